//! A journal moves to another: what is not settled goes on there as if nothing had happened.

use coordinator_journal::{Control, MessageState, Record, StartFrom, Tick};

use super::*;

/// Everything of an idle journal.
pub(crate) async fn exported(journal: &dyn Journal) -> Vec<Record> {
    let mut records = Vec::new();
    let mut cursor = None;
    loop {
        let page = journal.export(cursor).await.unwrap();
        assert!(page.items.len() <= 500, "a page is bounded");
        records.extend(page.items);
        cursor = page.next;
        if cursor.is_none() {
            return records;
        }
    }
}

/// Moves a journal whose streams were dropped to an empty storage of the same engine.
pub(crate) async fn moved(
    harness: &dyn Harness,
    journal: Box<dyn Journal>,
) -> (Box<dyn Harness>, Box<dyn Journal>) {
    let target = harness.another().await;
    let journal = again(harness, journal, Ending::Close).await;
    let records = exported(&*journal).await;
    journal.close().await;
    let journal = target.open(roomy()).await;
    for batch in records.chunks(7) {
        journal.import(batch.to_vec()).await.unwrap();
    }
    (target, journal)
}

pub(crate) async fn what_waits_goes_on_in_the_other_journal(harness: &dyn Harness) {
    let journal = harness.open(roomy()).await;
    let mut stream = paid_handler(&*journal, "lms.enrol").await;
    let mut ids = publish_numbers(&*journal, PAID, 4).await;
    let due = harness.clock_now().after(HOUR);
    publish(&*journal, later(PAID, "later", due)).await;
    let out = take(&mut stream, 4).await;
    ack(&*journal, &out[0]).await;
    retry(&*journal, &out[1], harness.clock_now()).await;
    retry(&*journal, &take_one(&mut stream).await, due).await;
    kill(&*journal, &out[2]).await;
    let panicked = Verdict::Retry {
        due: harness.clock_now(),
        failure: failure(FailureKind::Panic, "index out of range"),
    };
    settled(&*journal, &out[3], panicked).await;
    for data in ["5", "6"] {
        ids.push(publish(&*journal, message(PAID, data)).await.id);
    }
    drop(stream);
    let (target, journal) = moved(harness, journal).await;

    let stats = journal.stats().await.unwrap();
    assert_eq!((stats.dead, stats.delayed), (1, 1));
    let mut stream = paid_handler(&*journal, "lms.enrol").await;
    let mut now = take(&mut stream, 3).await;
    now.sort_by_key(data);
    let came: Vec<_> = now
        .iter()
        .map(|one| (one.message.id, one.attempt, one.crashes))
        .collect();
    assert_eq!(came, [(ids[3], 2, 1), (ids[4], 1, 0), (ids[5], 1, 0)]);
    ack_all(&*journal, &now).await;
    nothing_else_waits(&*journal, &mut stream).await;
    let waiting = delivery(&*journal, ids[1], "lms.enrol").await;
    assert_eq!((waiting.due, waiting.attempts.len()), (Some(due), 2));
    target.clock().advance(HOUR);
    let mut late = take(&mut stream, 2).await;
    late.sort_by_key(data);
    assert_eq!((late[0].message.id, late[0].attempt), (ids[1], 3));
    assert_eq!(data(&late[1]), "later");
    ack_all(&*journal, &late).await;
    nothing_else_waits(&*journal, &mut stream).await;
    let letters = dead_letters(&*journal).await;
    assert_eq!((letters[0].message.id, letters[0].attempts), (ids[2], 1));
    assert_eq!(letters[0].failure.chain, ["LMS answered 422"]);
    assert_eq!(replay(&*journal, ids[2], Some("lms.enrol")).await, 1);
    assert_eq!(take_one(&mut stream).await.message.id, ids[2]);
}

pub(crate) async fn each_handler_goes_on_where_it_was(harness: &dyn Harness) {
    let journal = harness.open(roomy()).await;
    let mut lms = paid_handler(&*journal, "lms.enrol").await;
    let mut audit = paid_handler(&*journal, "audit.note").await;
    publish_numbers(&*journal, PAID, 4).await;
    let of_lms = take(&mut lms, 4).await;
    ack_all(&*journal, &[of_lms[1].clone(), of_lms[3].clone()]).await;
    ack_all(&*journal, &take(&mut audit, 3).await).await;
    drop((lms, audit));
    let (_target, journal) = moved(harness, journal).await;
    assert_eq!(handler_stats(&*journal, "lms.enrol").await.lag, 2);
    assert_eq!(handler_stats(&*journal, "audit.note").await.lag, 1);
    let mut lms = paid_handler(&*journal, "lms.enrol").await;
    let mut audit = paid_handler(&*journal, "audit.note").await;
    publish(&*journal, message(PAID, "5")).await;
    let mut of_lms = texts(&take(&mut lms, 3).await);
    of_lms.sort();
    assert_eq!(of_lms, ["1", "3", "5"]);
    let mut of_audit = texts(&take(&mut audit, 2).await);
    of_audit.sort();
    assert_eq!(of_audit, ["4", "5"]);
}

pub(crate) async fn order_holds_after_a_transfer(harness: &dyn Harness) {
    let journal = harness.open(roomy()).await;
    let mut stream = ordered_handler(&*journal, "lms.enrol").await;
    let letters = ["a1", "b1", "c1", "a2", "b2", "c2", "a3", "c3"];
    let ids = publish_letters(&*journal, &letters).await;
    let mut heads = take(&mut stream, 3).await;
    heads.sort_by_key(data);
    retry(&*journal, &heads[0], harness.clock_now().after(HOUR)).await;
    park(&*journal, &heads[1]).await;
    nothing_else_waits_in_any_key(&*journal, &mut stream).await;
    drop(stream);
    let (target, journal) = moved(harness, journal).await;
    let detail = journal.message(ids[1]).await.unwrap().unwrap();
    assert_eq!(detail.record.state, MessageState::Parked);
    assert_eq!(
        detail.deliveries[0].attempts[0].failure.chain,
        ["given up for now"]
    );
    let mut stream = ordered_handler(&*journal, "lms.enrol").await;
    // `c` was running: it comes again. `a` waits for its retry, `b` for an operator.
    publish_letters(&*journal, &["c4"]).await;
    for expected in ["c1", "c2", "c3", "c4"] {
        let next = take_one(&mut stream).await;
        assert_eq!(data(&next), expected);
        nothing_else_waits_in_any_key(&*journal, &mut stream).await;
        ack(&*journal, &next).await;
    }
    assert_eq!(replay(&*journal, ids[1], Some("lms.enrol")).await, 1);
    for expected in ["b1", "b2"] {
        let next = take_one(&mut stream).await;
        assert_eq!(data(&next), expected);
        ack(&*journal, &next).await;
    }
    target.clock().advance(HOUR);
    for (expected, attempt) in [("a1", 2), ("a2", 1), ("a3", 1)] {
        let next = take_one(&mut stream).await;
        assert_eq!((data(&next).as_str(), next.attempt), (expected, attempt));
        ack(&*journal, &next).await;
    }
    nothing_else_waits_in_any_key(&*journal, &mut stream).await;
}

pub(crate) async fn handlers_and_schedules_are_as_they_were(harness: &dyn Harness) {
    let journal = harness.open(roomy()).await;
    let both = spec("audit.note", &[PAID, ENROLLED], StartFrom::Now);
    let streams = (
        paid_handler(&*journal, "lms.enrol").await,
        journal.open(both).await.unwrap(),
    );
    control(&*journal, "lms.enrol", Control::Pause).await;
    let at = harness.clock_now();
    let tick = Tick {
        schedule: "billing.nightly".to_owned(),
        at,
        message: None,
    };
    assert!(journal.tick(tick.clone()).await.unwrap());
    drop(streams);
    let (_target, journal) = moved(harness, journal).await;
    assert!(handler_stats(&*journal, "lms.enrol").await.paused);
    let audit = handler_stats(&*journal, "audit.note").await;
    assert_eq!((audit.paused, audit.types.len(), audit.lag), (false, 2, 0));
    assert_eq!(
        journal.last_tick("billing.nightly").await.unwrap(),
        Some(at)
    );
    assert!(!journal.tick(tick).await.unwrap());
}
