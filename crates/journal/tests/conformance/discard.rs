//! Discard: settled without running it.

use coordinator_journal::{DeliveryState, Discard};

use super::*;

pub(crate) async fn what_waits_or_is_dead_is_discarded_and_what_runs_is_not(harness: &dyn Harness) {
    for ending in Ending::BOTH {
        let harness = &*harness.another().await;
        let journal = harness.open(roomy()).await;
        let mut stream = paid_handler(&*journal, "lms.enrol").await;
        let ids = publish_numbers(&*journal, PAID, 6).await;
        let out = take(&mut stream, 4).await;
        ack(&*journal, &out[0]).await;
        kill(&*journal, &out[1]).await;
        retry(&*journal, &out[2], harness.clock_now().after(HOUR)).await;
        // Acked, dead, retrying, running, pending, and one that is not there.
        let unknown = MessageId::new(Timestamp::now());
        let asked = [ids[0], ids[1], ids[2], ids[3], ids[4], unknown].map(|message| Discard {
            message,
            handler: Some("lms.enrol".to_owned()),
        });
        let answers = journal.discard(asked.to_vec()).await.unwrap();
        assert_eq!(answers, [0, 1, 1, 0, 1, 0]);
        let answers = journal.discard(asked.to_vec()).await.unwrap();
        assert_eq!(answers, [0; 6]);
        assert!(dead_letters(&*journal).await.is_empty());
        let stats = handler_stats(&*journal, "lms.enrol").await;
        assert_eq!((stats.lag, stats.running, stats.retrying), (2, 1, 0));
        drop(stream);
        let journal = again(harness, journal, ending).await;
        let mut stream = paid_handler(&*journal, "lms.enrol").await;
        harness.clock().advance(HOUR);
        let back = take(&mut stream, 2).await;
        assert_eq!(texts(&back), ["4", "6"], "{ending:?}");
        ack_all(&*journal, &back).await;
        nothing_else_waits(&*journal, &mut stream).await;
        drop(stream);
        journal.close().await;
    }
}

pub(crate) async fn a_discarded_delivery_says_so(harness: &dyn Harness) {
    let journal = harness.open(roomy()).await;
    let mut stream = paid_handler(&*journal, "lms.enrol").await;
    let ids = publish_numbers(&*journal, PAID, 2).await;
    let first = take_one(&mut stream).await;
    retry(&*journal, &first, harness.clock_now().after(HOUR)).await;
    for id in &ids {
        assert_eq!(discard(&*journal, *id, Some("lms.enrol")).await, 1);
    }
    for (id, failed) in ids.iter().zip([1, 0]) {
        let shown = delivery(&*journal, *id, "lms.enrol").await;
        assert_eq!(shown.state, DeliveryState::Acked);
        let kinds: Vec<_> = shown.attempts.iter().map(|one| one.failure.kind).collect();
        let mut expected = vec![FailureKind::Retry; failed];
        expected.push(FailureKind::Discarded);
        assert_eq!(kinds, expected);
    }
}

pub(crate) async fn a_discard_for_all_handlers_counts_them(harness: &dyn Harness) {
    let journal = harness.open(roomy()).await;
    let mut lms = paid_handler(&*journal, "lms.enrol").await;
    let mut audit = paid_handler(&*journal, "audit.note").await;
    let mut mail = paid_handler(&*journal, "mail.send").await;
    let id = publish(&*journal, message(PAID, "1")).await.id;
    kill(&*journal, &take_one(&mut lms).await).await;
    ack(&*journal, &take_one(&mut audit).await).await;
    assert_eq!(discard(&*journal, id, None).await, 2);
    let marker = publish(&*journal, message(PAID, "marker")).await.id;
    for stream in [&mut lms, &mut audit, &mut mail] {
        assert_eq!(take_one(stream).await.message.id, marker);
    }
    assert_eq!(discard(&*journal, id, Some("no.such")).await, 0);
}

pub(crate) async fn what_was_discarded_may_be_replayed(harness: &dyn Harness) {
    let journal = harness.open(roomy()).await;
    let mut stream = paid_handler(&*journal, "lms.enrol").await;
    let id = publish(&*journal, message(PAID, "1")).await.id;
    assert_eq!(discard(&*journal, id, None).await, 1);
    nothing_else_waits(&*journal, &mut stream).await;
    assert_eq!(replay(&*journal, id, Some("lms.enrol")).await, 1);
    let again = take_one(&mut stream).await;
    assert_eq!((again.message.id, again.attempt, again.replay), (id, 1, 1));
    ack(&*journal, &again).await;
    nothing_else_waits(&*journal, &mut stream).await;
}

pub(crate) async fn a_discarded_head_or_follower_leaves_its_key_in_order(harness: &dyn Harness) {
    let journal = harness.open(roomy()).await;
    let mut stream = ordered_handler(&*journal, "lms.enrol").await;
    let ids = publish_letters(&*journal, &["a1", "a2", "a3", "a4"]).await;
    let head = take_one(&mut stream).await;
    retry(&*journal, &head, harness.clock_now().after(HOUR)).await;
    // The second has not been looked at, the first waits for its retry and holds the key.
    assert_eq!(discard(&*journal, ids[1], None).await, 1);
    nothing_else_waits_in_any_key(&*journal, &mut stream).await;
    assert_eq!(discard(&*journal, ids[0], None).await, 1);
    let a3 = take_one(&mut stream).await;
    assert_eq!(data(&a3), "a3");
    nothing_else_waits_in_any_key(&*journal, &mut stream).await;
    ack(&*journal, &a3).await;
    assert_eq!(data(&take_one(&mut stream).await), "a4");
    harness.clock().advance(HOUR);
    nothing_else_waits_in_any_key(&*journal, &mut stream).await;
}
