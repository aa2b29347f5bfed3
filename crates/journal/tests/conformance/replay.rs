//! Replay: again, for whom it was asked, with earlier attempts kept.

use coordinator_journal::{DeadLetterQuery, DeliveryState, StartFrom};

use super::*;

pub(crate) async fn a_dead_letter_is_delivered_again(harness: &dyn Harness) {
    let journal = harness.open(roomy()).await;
    let mut stream = paid_handler(&*journal, "lms.enrol").await;
    let id = publish(&*journal, message(PAID, "1")).await.id;
    kill(&*journal, &take_one(&mut stream).await).await;
    assert_eq!(replay(&*journal, id, Some("lms.enrol")).await, 1);
    assert_eq!(journal.stats().await.unwrap().dead, 0);
    let again = take_one(&mut stream).await;
    assert_eq!((again.message.id, again.attempt, again.replay), (id, 1, 1));
    assert_ne!(
        again.emit_id(0),
        Delivery {
            replay: 0,
            ..again.clone()
        }
        .emit_id(0)
    );
    retry(&*journal, &again, harness.clock_now()).await;
    let again = take_one(&mut stream).await;
    assert_eq!((again.attempt, again.replay), (2, 1));
    kill(&*journal, &again).await;
    let detail = journal.message(id).await.unwrap().unwrap();
    let delivery = &detail.deliveries[0];
    assert_eq!(
        (delivery.state, delivery.replay, delivery.attempt),
        (DeliveryState::Dead, 1, 2)
    );
    let attempts: Vec<_> = delivery
        .attempts
        .iter()
        .map(|one| (one.replay, one.attempt))
        .collect();
    assert_eq!(attempts, [(0, 1), (1, 1), (1, 2)]);
    assert_eq!(journal.stats().await.unwrap().dead, 1);
}

pub(crate) async fn an_acked_message_is_delivered_again_to_that_handler_alone(
    harness: &dyn Harness,
) {
    let journal = harness.open(roomy()).await;
    let mut lms = paid_handler(&*journal, "lms.enrol").await;
    let mut audit = paid_handler(&*journal, "audit.note").await;
    let ids = publish_numbers(&*journal, PAID, 2).await;
    for stream in [&mut lms, &mut audit] {
        for delivery in take(stream, 2).await {
            ack(&*journal, &delivery).await;
        }
    }
    assert_eq!(replay(&*journal, ids[0], Some("lms.enrol")).await, 1);
    let again = take_one(&mut lms).await;
    assert_eq!((again.message.id, again.replay), (ids[0], 1));
    ack(&*journal, &again).await;
    let marker = publish(&*journal, message(PAID, "\"marker\"")).await.id;
    assert_eq!(take_one(&mut lms).await.message.id, marker);
    assert_eq!(take_one(&mut audit).await.message.id, marker);
}

pub(crate) async fn every_bound_handler_gets_a_replay_to_all(harness: &dyn Harness) {
    let journal = harness.open(roomy()).await;
    let mut lms = paid_handler(&*journal, "lms.enrol").await;
    let mut audit = paid_handler(&*journal, "audit.note").await;
    let _other = journal
        .open(spec("mail.send", &[ENROLLED], StartFrom::Now))
        .await
        .unwrap();
    let id = publish(&*journal, message(PAID, "1")).await.id;
    ack(&*journal, &take_one(&mut lms).await).await;
    kill(&*journal, &take_one(&mut audit).await).await;
    assert_eq!(replay(&*journal, id, None).await, 2);
    for stream in [&mut lms, &mut audit] {
        let again = take_one(stream).await;
        assert_eq!((again.message.id, again.replay), (id, 1));
    }
}

pub(crate) async fn a_second_replay_has_the_next_number_after_a_restart(harness: &dyn Harness) {
    let journal = harness.open(roomy()).await;
    let mut stream = paid_handler(&*journal, "lms.enrol").await;
    let id = publish(&*journal, message(PAID, "1")).await.id;
    ack(&*journal, &take_one(&mut stream).await).await;
    replay(&*journal, id, None).await;
    ack(&*journal, &take_one(&mut stream).await).await;
    replay(&*journal, id, None).await;
    journal.close().await;
    let journal = harness.open(roomy()).await;
    let mut stream = paid_handler(&*journal, "lms.enrol").await;
    let again = take_one(&mut stream).await;
    assert_eq!((again.replay, again.attempt), (2, 1));
    ack(&*journal, &again).await;
    nothing_else_waits(&*journal, &mut stream).await;
}

pub(crate) async fn what_is_still_to_come_is_not_scheduled_twice(harness: &dyn Harness) {
    let journal = harness.open(roomy()).await;
    let mut stream = paid_handler(&*journal, "lms.enrol").await;
    let ids = publish_numbers(&*journal, PAID, 2).await;
    assert_eq!(replay(&*journal, ids[1], None).await, 0);
    let delivery = take_one(&mut stream).await;
    assert_eq!(replay(&*journal, ids[0], Some("lms.enrol")).await, 0);
    retry(&*journal, &delivery, harness.clock_now().after(HOUR)).await;
    // A retry that waits is brought forward, as a replay.
    assert_eq!(replay(&*journal, ids[0], Some("lms.enrol")).await, 1);
    let deliveries = take(&mut stream, 2).await;
    let replayed = deliveries
        .iter()
        .find(|one| one.message.id == ids[0])
        .unwrap();
    assert_eq!((replayed.attempt, replayed.replay), (1, 1));
    for delivery in &deliveries {
        ack(&*journal, delivery).await;
    }
    nothing_else_waits(&*journal, &mut stream).await;
}

pub(crate) async fn an_unknown_message_or_handler_is_not_found(harness: &dyn Harness) {
    let journal = harness.open(roomy()).await;
    let _bound = paid_handler(&*journal, "lms.enrol").await;
    let _other = journal
        .open(spec("mail.send", &[ENROLLED], StartFrom::Now))
        .await
        .unwrap();
    let id = publish(&*journal, message(PAID, "1")).await.id;
    let unknown = MessageId::new(Timestamp::now());
    for (message, handler) in [
        (unknown, None),
        (id, Some("no.such")),
        (id, Some("mail.send")),
    ] {
        let handler = handler.map(str::to_owned);
        let unknown = Replay {
            message,
            handler,
            due: None,
        };
        let answers = journal.replay(vec![unknown]).await.unwrap();
        assert_eq!(answers, [Replayed::NotFound]);
    }
}

pub(crate) async fn a_dead_letter_outlives_its_message_and_is_replayed(harness: &dyn Harness) {
    let journal = harness.open(roomy()).await;
    let mut lms = paid_handler(&*journal, "lms.enrol").await;
    let mut audit = paid_handler(&*journal, "audit.note").await;
    let id = publish(&*journal, message(PAID, "1")).await.id;
    ack(&*journal, &take_one(&mut audit).await).await;
    let delivery = take_one(&mut lms).await;
    harness.clock().advance(RETENTION);
    kill(&*journal, &delivery).await;
    harness.clock().advance(HOUR);
    journal.maintain().await.unwrap();
    assert_eq!(journal.stats().await.unwrap().messages, 0);
    assert!(
        journal.message(id).await.unwrap().is_some(),
        "shown from the dead letter"
    );
    assert_eq!(replay(&*journal, id, Some("lms.enrol")).await, 1);
    let again = take_one(&mut lms).await;
    assert_eq!((&again.message, again.replay), (&delivery.message, 1));
    ack(&*journal, &again).await;
    nothing_else_waits(&*journal, &mut lms).await;
    nothing_else_waits_for_other(&*journal, &mut audit).await;
    let letters = journal
        .dead_letters(DeadLetterQuery::default())
        .await
        .unwrap();
    assert!(letters.items.is_empty());
}

/// The marker of the handler before is all that is left for this one.
async fn nothing_else_waits_for_other(journal: &dyn Journal, stream: &mut Box<dyn Deliveries>) {
    let marker = take_one(stream).await;
    assert_eq!(data(&marker), "\"marker\"");
    ack(journal, &marker).await;
}

pub(crate) async fn a_batch_is_answered_in_its_order(harness: &dyn Harness) {
    let journal = harness.open(roomy()).await;
    let mut stream = paid_handler(&*journal, "lms.enrol").await;
    let _other = paid_handler(&*journal, "audit.note").await;
    let ids = publish_numbers(&*journal, PAID, 3).await;
    let out = take(&mut stream, 3).await;
    kill(&*journal, &out[0]).await;
    ack(&*journal, &out[1]).await;
    let one = |message, handler: &str| Replay {
        message,
        handler: Some(handler.to_owned()),
        due: None,
    };
    let batch = vec![
        one(ids[0], "lms.enrol"),
        one(MessageId::new(Timestamp::now()), "lms.enrol"),
        one(ids[2], "lms.enrol"),
        one(ids[1], "no.such"),
        one(ids[1], "lms.enrol"),
    ];
    let answers = journal.replay(batch).await.unwrap();
    use Replayed::{NotFound, Scheduled};
    assert_eq!(
        answers,
        [Scheduled(1), NotFound, Scheduled(0), NotFound, Scheduled(1)]
    );
    let mut again = take(&mut stream, 2).await;
    again.sort_by_key(data);
    assert_eq!(texts(&again), ["1", "2"]);
    assert!(again.iter().all(|one| (one.attempt, one.replay) == (1, 1)));
    assert_eq!(journal.stats().await.unwrap().dead, 0);
    ack_all(&*journal, &again).await;
    nothing_else_waits(&*journal, &mut stream).await;
}

pub(crate) async fn replays_come_at_the_pace_that_was_asked_for(harness: &dyn Harness) {
    for ending in Ending::BOTH {
        let harness = &*harness.another().await;
        let journal = harness.open(roomy()).await;
        let mut stream = paid_handler(&*journal, "lms.enrol").await;
        let ids = publish_numbers(&*journal, PAID, 300).await;
        ack_all(&*journal, &take(&mut stream, 300).await).await;
        let now = harness.clock_now();
        let paced = ids.iter().enumerate().map(|(index, id)| Replay {
            message: *id,
            handler: None,
            due: Some(now.after(HOUR * (index as u32 / 100 + 1))),
        });
        let answers = journal.replay(paced.collect()).await.unwrap();
        assert_eq!(answers, vec![Replayed::Scheduled(1); 300]);
        nothing_else_waits(&*journal, &mut stream).await;
        let waiting = delivery(&*journal, ids[0], "lms.enrol").await;
        assert_eq!(waiting.due, Some(now.after(HOUR)));
        drop(stream);
        let journal = again(harness, journal, ending).await;
        let mut stream = paid_handler(&*journal, "lms.enrol").await;
        for hour in 0..3 {
            nothing_else_waits(&*journal, &mut stream).await;
            harness.clock().advance(HOUR);
            let mut due = take(&mut stream, 100).await;
            due.sort_by_key(|one| data(one).parse::<usize>().unwrap());
            let expected: Vec<_> = (1..=100)
                .map(|number| (hour * 100 + number).to_string())
                .collect();
            assert_eq!(texts(&due), expected, "{ending:?}");
            ack_all(&*journal, &due).await;
        }
        nothing_else_waits(&*journal, &mut stream).await;
    }
}

pub(crate) async fn a_replay_to_all_leaves_out_those_that_have_it_to_come(harness: &dyn Harness) {
    let journal = harness.open(roomy()).await;
    let mut lms = paid_handler(&*journal, "lms.enrol").await;
    let mut audit = paid_handler(&*journal, "audit.note").await;
    let _waits = paid_handler(&*journal, "mail.send").await;
    let id = publish(&*journal, message(PAID, "1")).await.id;
    ack(&*journal, &take_one(&mut lms).await).await;
    let running = take_one(&mut audit).await;
    assert_eq!(replay(&*journal, id, None).await, 1);
    let again = take_one(&mut lms).await;
    assert_eq!((again.message.id, again.replay), (id, 1));
    ack(&*journal, &running).await;
    nothing_else_waits(&*journal, &mut audit).await;
}
