//! What operators do to a handler: pause, resume, skip.

use coordinator_journal::Control;

use super::*;

/// Lets everything run that is ready to run, a few times over. It can only miss what is wrong, never make it up.
async fn settle_down() {
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
}

pub(crate) async fn a_paused_handler_is_given_nothing_until_it_is_resumed(harness: &dyn Harness) {
    let journal = harness.open(roomy()).await;
    let mut stream = paid_handler(&*journal, "lms.enrol").await;
    let mut other = paid_handler(&*journal, "audit.note").await;
    publish(&*journal, message(PAID, "1")).await;
    retry(&*journal, &take_one(&mut stream).await, harness.clock_now()).await;
    control(&*journal, "lms.enrol", Control::Pause).await;
    let waiting = tokio::spawn(async move { (take(&mut stream, 2).await, stream) });
    publish(&*journal, message(PAID, "2")).await;
    assert_eq!(texts(&take(&mut other, 2).await), ["1", "2"]);
    settle_down().await;
    let stats = handler_stats(&*journal, "lms.enrol").await;
    assert_eq!((stats.running, stats.lag, stats.paused), (0, 2, true));
    assert!(!handler_stats(&*journal, "audit.note").await.paused);
    // Once more is no mistake.
    control(&*journal, "lms.enrol", Control::Pause).await;
    assert!(!waiting.is_finished());
    control(&*journal, "lms.enrol", Control::Resume).await;
    let (deliveries, mut stream) = waiting.await.unwrap();
    let mut seen = texts(&deliveries);
    seen.sort();
    assert_eq!(seen, ["1", "2"]);
    assert!(!handler_stats(&*journal, "lms.enrol").await.paused);
    ack_all(&*journal, &deliveries).await;
    nothing_else_waits(&*journal, &mut stream).await;
}

pub(crate) async fn a_pause_survives_a_restart(harness: &dyn Harness) {
    for ending in Ending::BOTH {
        let journal = harness.open(roomy()).await;
        let stream = paid_handler(&*journal, "lms.enrol").await;
        control(&*journal, "lms.enrol", Control::Pause).await;
        publish(&*journal, message(PAID, "1")).await;
        drop(stream);
        let journal = again(harness, journal, ending).await;
        assert!(handler_stats(&*journal, "lms.enrol").await.paused);
        let mut stream = paid_handler(&*journal, "lms.enrol").await;
        let waiting = tokio::spawn(async move { (take_one(&mut stream).await, stream) });
        settle_down().await;
        let stats = handler_stats(&*journal, "lms.enrol").await;
        assert_eq!((stats.running, stats.paused), (0, true), "{ending:?}");
        assert!(!waiting.is_finished());
        control(&*journal, "lms.enrol", Control::Resume).await;
        let (delivery, stream) = waiting.await.unwrap();
        ack(&*journal, &delivery).await;
        drop(stream);
        let journal = again(harness, journal, ending).await;
        assert!(!handler_stats(&*journal, "lms.enrol").await.paused);
        journal.close().await;
    }
}

pub(crate) async fn what_is_handed_out_may_be_settled_while_paused(harness: &dyn Harness) {
    let journal = harness.open(roomy()).await;
    let mut stream = paid_handler(&*journal, "lms.enrol").await;
    publish_numbers(&*journal, PAID, 4).await;
    let out = take(&mut stream, 4).await;
    control(&*journal, "lms.enrol", Control::Pause).await;
    let emits = vec![emit(&out[0], 0, ENROLLED, "emitted")];
    settled(&*journal, &out[0], Verdict::Ack { emits }).await;
    retry(&*journal, &out[1], harness.clock_now()).await;
    kill(&*journal, &out[2]).await;
    release(&*journal, &out[3], None).await;
    let stats = handler_stats(&*journal, "lms.enrol").await;
    assert_eq!((stats.running, stats.lag, stats.dead), (0, 2, 1));
    control(&*journal, "lms.enrol", Control::Resume).await;
    let mut back = take(&mut stream, 2).await;
    back.sort_by_key(data);
    let back: Vec<_> = back.iter().map(|one| (data(one), one.attempt)).collect();
    assert_eq!(back, [("2".to_owned(), 2), ("4".to_owned(), 1)]);
}

pub(crate) async fn a_skip_settles_what_waits_and_leaves_the_rest(harness: &dyn Harness) {
    for ending in Ending::BOTH {
        let harness = &*harness.another().await;
        let journal = harness.open(roomy()).await;
        let mut stream = paid_handler(&*journal, "lms.enrol").await;
        let mut other = paid_handler(&*journal, "audit.note").await;
        publish_numbers(&*journal, PAID, 6).await;
        let out = take(&mut stream, 3).await;
        retry(&*journal, &out[1], harness.clock_now().after(HOUR)).await;
        retry(&*journal, &out[2], harness.clock_now()).await;
        assert_eq!(control(&*journal, "lms.enrol", Control::Skip).await, 5);
        assert_eq!(handler_stats(&*journal, "lms.enrol").await.lag, 1);
        assert_eq!(journal.stats().await.unwrap().dead, 0);
        assert_eq!(handler_stats(&*journal, "audit.note").await.lag, 6);
        assert_eq!(take(&mut other, 6).await.len(), 6);
        publish(&*journal, message(PAID, "new")).await;
        let new = take_one(&mut stream).await;
        assert_eq!(data(&new), "new");
        drop((stream, other));
        let journal = again(harness, journal, ending).await;
        let mut stream = paid_handler(&*journal, "lms.enrol").await;
        harness.clock().advance(HOUR);
        let back = take(&mut stream, 2).await;
        assert_eq!(texts(&back), ["1", "new"], "{ending:?}");
        ack_all(&*journal, &back).await;
        nothing_else_waits(&*journal, &mut stream).await;
        assert_eq!(control(&*journal, "lms.enrol", Control::Skip).await, 0);
        drop(stream);
        journal.close().await;
    }
}

pub(crate) async fn a_skip_frees_every_key_but_those_of_what_runs(harness: &dyn Harness) {
    let journal = harness.open(roomy()).await;
    let mut stream = ordered_handler(&*journal, "lms.enrol").await;
    publish_letters(&*journal, &["a1", "b1", "c1", "a2", "b2", "c2"]).await;
    let mut heads = take(&mut stream, 3).await;
    heads.sort_by_key(data);
    park(&*journal, &heads[0]).await;
    retry(&*journal, &heads[1], harness.clock_now().after(HOUR)).await;
    nothing_else_waits_in_any_key(&*journal, &mut stream).await;
    assert_eq!(control(&*journal, "lms.enrol", Control::Skip).await, 5);
    let stats = handler_stats(&*journal, "lms.enrol").await;
    assert_eq!((stats.lag, stats.parked, stats.retrying), (1, 0, 0));
    publish_letters(&*journal, &["a3", "b3", "c3"]).await;
    let mut next = take(&mut stream, 2).await;
    next.sort_by_key(data);
    assert_eq!(texts(&next), ["a3", "b3"]);
    nothing_else_waits_in_any_key(&*journal, &mut stream).await;
    ack(&*journal, &heads[2]).await;
    assert_eq!(data(&take_one(&mut stream).await), "c3");
}

pub(crate) async fn a_paused_handler_is_skipped_and_stays_paused(harness: &dyn Harness) {
    let journal = harness.open(roomy()).await;
    let mut stream = paid_handler(&*journal, "lms.enrol").await;
    control(&*journal, "lms.enrol", Control::Pause).await;
    publish_numbers(&*journal, PAID, 300).await;
    assert_eq!(control(&*journal, "lms.enrol", Control::Skip).await, 300);
    let stats = handler_stats(&*journal, "lms.enrol").await;
    assert_eq!((stats.lag, stats.paused), (0, true));
    control(&*journal, "lms.enrol", Control::Resume).await;
    nothing_else_waits(&*journal, &mut stream).await;
}

pub(crate) async fn an_unknown_handler_is_not_controlled(harness: &dyn Harness) {
    let journal = harness.open(roomy()).await;
    let _known = paid_handler(&*journal, "lms.enrol").await;
    for what in [Control::Pause, Control::Resume, Control::Skip] {
        let answer = journal.control("no.such", what).await.unwrap();
        assert_eq!(answer, None, "{what:?}");
    }
    assert_eq!(journal.stats().await.unwrap().handlers.len(), 1);
}
