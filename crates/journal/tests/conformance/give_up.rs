//! What becomes of a key whose head is given up: parked, buried with it, or given back.

use coordinator_journal::{DeliveryState, MessageState};

use super::*;

pub(crate) async fn a_parked_head_holds_its_key_until_it_is_replayed(harness: &dyn Harness) {
    for ending in Ending::BOTH {
        let journal = harness.open(roomy()).await;
        let mut stream = ordered_handler(&*journal, "lms.enrol").await;
        let ids = publish_letters(&*journal, &["a1", "a2", "b1"]).await;
        let mut heads = take(&mut stream, 2).await;
        heads.sort_by_key(data);
        park(&*journal, &heads[0]).await;
        ack(&*journal, &heads[1]).await;
        harness.clock().advance(HOUR);
        nothing_else_waits_in_any_key(&*journal, &mut stream).await;
        drop(stream);
        let journal = again(harness, journal, ending).await;
        let mut stream = ordered_handler(&*journal, "lms.enrol").await;
        nothing_else_waits_in_any_key(&*journal, &mut stream).await;
        assert_eq!(journal.stats().await.unwrap().dead, 0);
        assert_eq!(replay(&*journal, ids[0], Some("lms.enrol")).await, 1);
        let head = take_one(&mut stream).await;
        assert_eq!((head.message.id, head.attempt), (ids[0], 1), "{ending:?}");
        assert_eq!(head.replay, 1);
        nothing_else_waits_in_any_key(&*journal, &mut stream).await;
        retry(&*journal, &head, harness.clock_now().after(HOUR)).await;
        nothing_else_waits_in_any_key(&*journal, &mut stream).await;
        harness.clock().advance(HOUR);
        for (id, attempt) in [(ids[0], 2), (ids[1], 1)] {
            let next = take_one(&mut stream).await;
            assert_eq!((next.message.id, next.attempt), (id, attempt));
            ack(&*journal, &next).await;
        }
        nothing_else_waits_in_any_key(&*journal, &mut stream).await;
        drop(stream);
        journal.close().await;
    }
}

pub(crate) async fn a_parked_head_is_shown_with_its_reason_and_counted(harness: &dyn Harness) {
    let journal = harness.open(roomy()).await;
    let mut stream = ordered_handler(&*journal, "lms.enrol").await;
    let ids = publish_letters(&*journal, &["a1", "a2"]).await;
    let head = take_one(&mut stream).await;
    retry(&*journal, &head, harness.clock_now()).await;
    park(&*journal, &take_one(&mut stream).await).await;
    nothing_else_waits_in_any_key(&*journal, &mut stream).await;
    let detail = journal.message(ids[0]).await.unwrap().unwrap();
    assert_eq!(detail.record.state, MessageState::Parked);
    let shown = &detail.deliveries[0];
    assert_eq!((shown.state, shown.attempt), (DeliveryState::Parked, 2));
    let attempts: Vec<_> = shown
        .attempts
        .iter()
        .map(|one| (one.attempt, one.failure.chain[0].as_str()))
        .collect();
    assert_eq!(attempts, [(1, "LMS answered 503"), (2, "given up for now")]);
    // What waits behind it is parked as soon as the engine has seen it there.
    let behind = delivery(&*journal, ids[1], "lms.enrol").await;
    assert!(
        matches!(behind.state, DeliveryState::Parked | DeliveryState::Pending),
        "{behind:?}"
    );
    assert_eq!((behind.attempts.len(), behind.due), (0, None));
    let stats = handler_stats(&*journal, "lms.enrol").await;
    assert_eq!((stats.lag, stats.running, stats.retrying), (2, 0, 0));
    assert!((1..=2).contains(&stats.parked), "{stats:?}");
}

pub(crate) async fn a_parked_head_that_is_discarded_frees_its_key(harness: &dyn Harness) {
    for ending in Ending::BOTH {
        let journal = harness.open(roomy()).await;
        let mut stream = ordered_handler(&*journal, "lms.enrol").await;
        let ids = publish_letters(&*journal, &["a1", "a2", "a3", "a4"]).await;
        park(&*journal, &take_one(&mut stream).await).await;
        nothing_else_waits_in_any_key(&*journal, &mut stream).await;
        // One behind it goes first; the key stays held.
        assert_eq!(discard(&*journal, ids[2], Some("lms.enrol")).await, 1);
        nothing_else_waits_in_any_key(&*journal, &mut stream).await;
        drop(stream);
        let journal = again(harness, journal, ending).await;
        let mut stream = ordered_handler(&*journal, "lms.enrol").await;
        nothing_else_waits_in_any_key(&*journal, &mut stream).await;
        assert_eq!(discard(&*journal, ids[0], Some("lms.enrol")).await, 1);
        for id in [ids[1], ids[3]] {
            let next = take_one(&mut stream).await;
            assert_eq!(next.message.id, id, "{ending:?}: `{}` came", data(&next));
            nothing_else_waits_in_any_key(&*journal, &mut stream).await;
            ack(&*journal, &next).await;
        }
        nothing_else_waits_in_any_key(&*journal, &mut stream).await;
        assert_eq!(handler_stats(&*journal, "lms.enrol").await.lag, 0);
        drop(stream);
        journal.close().await;
    }
}

pub(crate) async fn a_parked_head_that_is_given_up_again_parks_again(harness: &dyn Harness) {
    let journal = harness.open(roomy()).await;
    let mut stream = ordered_handler(&*journal, "lms.enrol").await;
    let ids = publish_letters(&*journal, &["a1", "a2"]).await;
    park(&*journal, &take_one(&mut stream).await).await;
    replay(&*journal, ids[0], None).await;
    park(&*journal, &take_one(&mut stream).await).await;
    nothing_else_waits_in_any_key(&*journal, &mut stream).await;
    replay(&*journal, ids[0], None).await;
    let third = take_one(&mut stream).await;
    assert_eq!((third.attempt, third.replay), (1, 2));
    kill(&*journal, &third).await;
    assert_eq!(data(&take_one(&mut stream).await), "a2");
}

pub(crate) async fn a_dead_key_buries_what_waits_and_new_messages_flow(harness: &dyn Harness) {
    for ending in Ending::BOTH {
        let harness = &*harness.another().await;
        let journal = harness.open(roomy()).await;
        let mut stream = ordered_handler(&*journal, "lms.enrol").await;
        let mut other = paid_handler(&*journal, "audit.note").await;
        let ids = publish_letters(&*journal, &["a1", "a2", "b1", "a3", "b2"]).await;
        let mut heads = take(&mut stream, 2).await;
        heads.sort_by_key(data);
        dead_key(&*journal, &heads[0]).await;
        ack(&*journal, &heads[1]).await;
        let b2 = take_one(&mut stream).await;
        assert_eq!(data(&b2), "b2");
        ack(&*journal, &b2).await;
        let mut letters = dead_letters(&*journal).await;
        letters.sort_by_key(|letter| letter.message.data.clone());
        let dead: Vec<_> = letters
            .iter()
            .map(|letter| (letter.message.id, letter.attempts, letter.failure.kind))
            .collect();
        let blocked = FailureKind::Blocked;
        assert_eq!(
            dead,
            [
                (ids[0], 1, FailureKind::Refused),
                (ids[1], 0, blocked),
                (ids[3], 0, blocked)
            ]
        );
        let why = letters[1].failure.chain.join(" ");
        assert!(why.contains(&ids[0].to_string()), "{why}");
        drop(stream);
        assert_eq!(
            take(&mut other, 5).await.len(),
            5,
            "another handler's are its own"
        );
        drop(other);
        let journal = again(harness, journal, ending).await;
        let mut stream = ordered_handler(&*journal, "lms.enrol").await;
        let new = publish_letters(&*journal, &["a4"]).await[0];
        let a4 = take_one(&mut stream).await;
        assert_eq!((a4.message.id, a4.attempt), (new, 1), "{ending:?}");
        // A buried one is an ordinary dead letter.
        assert_eq!(replay(&*journal, ids[1], Some("lms.enrol")).await, 1);
        let a2 = take_one(&mut stream).await;
        assert_eq!((a2.message.id, a2.attempt, a2.replay), (ids[1], 1, 1));
        ack_all(&*journal, &[a2, a4]).await;
        nothing_else_waits_in_any_key(&*journal, &mut stream).await;
        drop(stream);
        journal.close().await;
    }
}

pub(crate) async fn without_order_or_key_nothing_is_held_or_buried(harness: &dyn Harness) {
    let journal = harness.open(roomy()).await;
    let mut free = paid_handler(&*journal, "audit.note").await;
    let mut ordered = ordered_handler(&*journal, "lms.enrol").await;
    publish_letters(&*journal, &["a1", "a2", "a3"]).await;
    let all = take(&mut free, 3).await;
    park(&*journal, &all[0]).await;
    dead_key(&*journal, &all[1]).await;
    ack(&*journal, &all[2]).await;
    let stats = handler_stats(&*journal, "audit.note").await;
    assert_eq!((stats.lag, stats.parked, stats.dead), (0, 0, 2));
    for _ in 0..3 {
        ack(&*journal, &take_one(&mut ordered).await).await;
    }
    publish_numbers(&*journal, PAID, 3).await;
    let keyless = take(&mut ordered, 3).await;
    park(&*journal, &keyless[0]).await;
    dead_key(&*journal, &keyless[1]).await;
    ack(&*journal, &keyless[2]).await;
    let stats = handler_stats(&*journal, "lms.enrol").await;
    assert_eq!((stats.lag, stats.parked, stats.dead), (0, 0, 2));
    let kinds: Vec<_> = dead_letters(&*journal)
        .await
        .iter()
        .map(|letter| letter.failure.kind)
        .collect();
    assert_eq!(kinds, [FailureKind::Refused; 4]);
}

pub(crate) async fn what_is_released_is_the_same_attempt_and_keeps_its_key(harness: &dyn Harness) {
    let journal = harness.open(roomy()).await;
    let mut stream = ordered_handler(&*journal, "lms.enrol").await;
    let ids = publish_letters(&*journal, &["a1", "a2"]).await;
    let first = take_one(&mut stream).await;
    release(&*journal, &first, None).await;
    assert_eq!(
        settle(&*journal, &first, Verdict::Ack { emits: Vec::new() }).await,
        SettleOutcome::Stale
    );
    let again = take_one(&mut stream).await;
    assert_eq!((again.message.id, again.attempt), (ids[0], 1));
    assert_eq!((again.crashes, again.replay), (0, 0));
    retry(&*journal, &again, harness.clock_now()).await;
    let second = take_one(&mut stream).await;
    release(&*journal, &second, Some(harness.clock_now().after(HOUR))).await;
    nothing_else_waits_in_any_key(&*journal, &mut stream).await;
    harness.clock().advance(HOUR);
    let second = take_one(&mut stream).await;
    assert_eq!((second.message.id, second.attempt), (ids[0], 2));
    nothing_else_waits_in_any_key(&*journal, &mut stream).await;
    ack(&*journal, &second).await;
    assert_eq!(data(&take_one(&mut stream).await), "a2");
    // Only what failed is on record.
    let shown = delivery(&*journal, ids[0], "lms.enrol").await;
    assert_eq!(
        (shown.state, shown.attempts.len()),
        (DeliveryState::Acked, 1)
    );
}

pub(crate) async fn what_is_released_without_order_comes_again_also_after_a_restart(
    harness: &dyn Harness,
) {
    for ending in Ending::BOTH {
        let journal = harness.open(roomy()).await;
        let mut stream = paid_handler(&*journal, "lms.enrol").await;
        publish_numbers(&*journal, PAID, 2).await;
        let both = take(&mut stream, 2).await;
        release(&*journal, &both[0], Some(harness.clock_now().after(HOUR))).await;
        release(&*journal, &both[1], None).await;
        drop(stream);
        let journal = again(harness, journal, ending).await;
        let mut stream = paid_handler(&*journal, "lms.enrol").await;
        let second = take_one(&mut stream).await;
        assert_eq!(
            (data(&second).as_str(), second.attempt),
            ("2", 1),
            "{ending:?}"
        );
        ack(&*journal, &second).await;
        nothing_else_waits(&*journal, &mut stream).await;
        harness.clock().advance(HOUR);
        let first = take_one(&mut stream).await;
        assert_eq!((data(&first).as_str(), first.attempt), ("1", 1));
        ack(&*journal, &first).await;
        drop(stream);
        journal.close().await;
    }
}
