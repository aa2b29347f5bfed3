//! After a crash: everything unsettled again, nothing that was settled, and emits once.

use std::collections::HashSet;

use coordinator_journal::{DeliveryState, StartFrom};

use super::*;

pub(crate) async fn what_was_not_settled_comes_again_and_what_was_does_not(harness: &dyn Harness) {
    let journal = harness.open(roomy()).await;
    let mut stream = paid_handler(&*journal, "lms.enrol").await;
    publish_numbers(&*journal, PAID, 7).await;
    let out = take(&mut stream, 7).await;
    ack(&*journal, &out[0]).await;
    ack(&*journal, &out[2]).await;
    kill(&*journal, &out[3]).await;
    retry(&*journal, &out[4], harness.clock_now()).await;
    retry(&*journal, &out[5], harness.clock_now().after(HOUR)).await;
    // The fifth runs again, the second and the seventh still run, the eighth is never taken.
    assert_eq!(take_one(&mut stream).await.attempt, 2);
    publish(&*journal, message(PAID, "8")).await;
    drop(stream);
    let journal = again(harness, journal, Ending::Crash).await;
    let mut stream = paid_handler(&*journal, "lms.enrol").await;
    let mut back = take(&mut stream, 4).await;
    back.sort_by_key(data);
    let came: Vec<_> = back.iter().map(|one| (data(one), one.attempt)).collect();
    let expected = [("2", 1), ("5", 2), ("7", 1), ("8", 1)];
    assert_eq!(
        came,
        expected.map(|(data, attempt)| (data.to_owned(), attempt))
    );
    ack_all(&*journal, &back).await;
    nothing_else_waits(&*journal, &mut stream).await;
    harness.clock().advance(HOUR);
    let sixth = take_one(&mut stream).await;
    assert_eq!((data(&sixth).as_str(), sixth.attempt), ("6", 2));
    assert_eq!(dead_letters(&*journal).await.len(), 1);
}

pub(crate) async fn what_was_acked_in_order_is_not_delivered_again(harness: &dyn Harness) {
    let mut journal = harness.open(roomy()).await;
    for _ in 0..3 {
        let mut stream = paid_handler(&*journal, "lms.enrol").await;
        publish_numbers(&*journal, PAID, 500).await;
        for _ in 0..5 {
            let deliveries = take(&mut stream, 100).await;
            assert!(deliveries.iter().all(|delivery| delivery.attempt == 1));
            ack_all(&*journal, &deliveries).await;
        }
        drop(stream);
        journal = again(harness, journal, Ending::Crash).await;
    }
    let mut stream = paid_handler(&*journal, "lms.enrol").await;
    assert_eq!(handler_stats(&*journal, "lms.enrol").await.lag, 0);
    nothing_else_waits(&*journal, &mut stream).await;
}

pub(crate) async fn emits_are_there_once_with_their_ack(harness: &dyn Harness) {
    let mut journal = harness.open(roomy()).await;
    let mut received = Vec::new();
    let mut parents = HashSet::new();
    for round in 0..4_u32 {
        let mut lms = paid_handler(&*journal, "lms.enrol").await;
        let spec = spec("mail.send", &[ENROLLED], StartFrom::Now);
        let mut mail = journal.open(spec).await.unwrap();
        parents.extend(publish_numbers(&*journal, PAID, 5).await);
        // What ran when the process died emits the same again, under the same ids.
        let unfinished = usize::try_from(round.min(1)).unwrap() * 2;
        let out = take(&mut lms, 5 + unfinished).await;
        for delivery in &out[..out.len() - 2] {
            let emits = vec![
                emit(delivery, 0, ENROLLED, "first"),
                emit(delivery, 1, ENROLLED, "second"),
            ];
            settled(&*journal, delivery, Verdict::Ack { emits }).await;
        }
        // The receiver takes some before the crash and none after it.
        for delivery in take(&mut mail, 4).await {
            received.push(delivery.message.id);
            ack(&*journal, &delivery).await;
        }
        drop((lms, mail));
        journal = again(harness, journal, Ending::Crash).await;
    }
    let spec = spec("mail.send", &[ENROLLED], StartFrom::Now);
    let mut mail = journal.open(spec).await.unwrap();
    // Two of the parents are left; each of the others has two children.
    let emitted = (parents.len() - 2) * 2;
    for delivery in take(&mut mail, emitted - received.len()).await {
        received.push(delivery.message.id);
        assert!(parents.contains(&delivery.message.cause.unwrap()));
        ack(&*journal, &delivery).await;
    }
    assert_eq!(received.iter().collect::<HashSet<_>>().len(), emitted);
    assert_eq!(handler_stats(&*journal, "mail.send").await.lag, 0);
}

pub(crate) async fn every_accepted_message_is_there_after_a_crash(harness: &dyn Harness) {
    let journal = harness.open(roomy()).await;
    let stream = paid_handler(&*journal, "lms.enrol").await;
    let first = publish(&*journal, keyed(PAID, "1", "evt_1")).await;
    let batch = (2..=9).map(|number| message(PAID, &number.to_string()));
    journal.publish(batch.collect()).await.unwrap();
    drop(stream);
    let journal = again(harness, journal, Ending::Crash).await;
    let again = publish(&*journal, keyed(PAID, "1", "evt_1")).await;
    assert_eq!(again.id, first.id);
    let mut stream = paid_handler(&*journal, "lms.enrol").await;
    publish(&*journal, message(PAID, "10")).await;
    let all = take(&mut stream, 10).await;
    let expected: Vec<_> = (1..=10).map(|number| number.to_string()).collect();
    assert_eq!(texts(&all), expected);
    ack_all(&*journal, &all).await;
    nothing_else_waits(&*journal, &mut stream).await;
}

pub(crate) async fn what_an_operator_did_is_kept(harness: &dyn Harness) {
    let journal = harness.open(roomy()).await;
    let mut stream = paid_handler(&*journal, "lms.enrol").await;
    let ids = publish_numbers(&*journal, PAID, 3).await;
    let out = take(&mut stream, 2).await;
    kill(&*journal, &out[0]).await;
    ack(&*journal, &out[1]).await;
    let due = Some(harness.clock_now().after(HOUR));
    let replays = [0, 1].map(|index| Replay {
        message: ids[index],
        handler: None,
        due,
    });
    let answers = journal.replay(replays.into()).await.unwrap();
    assert_eq!(answers, [Replayed::Scheduled(1); 2]);
    assert_eq!(discard(&*journal, ids[2], None).await, 1);
    drop(stream);
    let journal = again(harness, journal, Ending::Crash).await;
    let mut stream = paid_handler(&*journal, "lms.enrol").await;
    assert!(dead_letters(&*journal).await.is_empty());
    nothing_else_waits(&*journal, &mut stream).await;
    harness.clock().advance(HOUR);
    let mut back = take(&mut stream, 2).await;
    back.sort_by_key(data);
    let back: Vec<_> = back
        .iter()
        .map(|one| (one.message.id, one.attempt, one.replay))
        .collect();
    assert_eq!(back, [(ids[0], 1, 1), (ids[1], 1, 1)]);
    let third = delivery(&*journal, ids[2], "lms.enrol").await;
    assert_eq!(third.state, DeliveryState::Acked);
}
