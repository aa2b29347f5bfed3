//! Order per key, from the journal to the handler and back, and what a message that is given up means for its key.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use coordinator_context::{HandlerTerms, OnExhausted, Order, Reply, Target};
use coordinator_journal::{Discard, FailureKind, Replay};
use coordinator_message::MessageId;

use crate::stage::{Calls, Stage, ack, brisk, eventually, keyed, retry, target};

fn ordered(on_exhausted: OnExhausted) -> HandlerTerms {
    HandlerTerms {
        order: Order::Key,
        on_exhausted,
        max_attempts: 3,
        concurrency: 8,
        ..brisk()
    }
}

/// Publishes messages with these keys, in this order.
async fn publish(stage: &Stage, keys: &[&str]) -> Vec<MessageId> {
    let batch = keys.iter().map(|key| keyed(key)).collect();
    let receipts = stage.journal.publish(batch).await.unwrap();
    receipts.into_iter().map(|receipt| receipt.id).collect()
}

/// Fails on the messages of `key` while `down`, and notes what it acks.
fn failing_on(
    key: &'static str,
    terms: HandlerTerms,
    down: &Arc<AtomicBool>,
    acked: &Calls,
) -> Arc<dyn Target> {
    let (down, acked) = (Arc::clone(down), acked.clone());
    target("lms.enrol", terms, move |delivery| {
        let (down, acked) = (Arc::clone(&down), acked.clone());
        async move {
            tokio::time::sleep(Duration::from_millis(1)).await;
            if down.load(Ordering::SeqCst) && delivery.message.key.as_deref() == Some(key) {
                return retry("503");
            }
            acked.note(&delivery);
            ack()
        }
    })
}

fn order_of(acked: &Calls, of: &[MessageId]) -> Vec<MessageId> {
    let all = acked.all().into_iter().map(|(id, _)| id);
    all.filter(|id| of.contains(id)).collect()
}

#[tokio::test]
async fn a_message_that_is_tried_again_holds_back_its_key_and_no_other() {
    let stage = Stage::new().await;
    let (acked, down) = (Calls::default(), Arc::new(AtomicBool::new(true)));
    let terms = HandlerTerms {
        max_attempts: u32::MAX,
        ..ordered(OnExhausted::DeadLetter)
    };
    let _dispatcher = stage
        .start(vec![failing_on("a", terms, &down, &acked)])
        .await;
    let ids = publish(&stage, &["a", "b", "a", "b", "a", "b"]).await;
    let (of_a, of_b) = ([ids[0], ids[2], ids[4]], [ids[1], ids[3], ids[5]]);
    acked.reach(3).await;
    assert_eq!(order_of(&acked, &of_b), of_b);
    assert_eq!(order_of(&acked, &of_a), []);
    down.store(false, Ordering::SeqCst);
    stage.settled("lms.enrol").await;
    assert_eq!(order_of(&acked, &of_a), of_a);
}

#[tokio::test]
async fn a_held_key_waits_over_a_restart_until_its_head_is_replayed() {
    let stage = Stage::new().await;
    let (acked, down) = (Calls::default(), Arc::new(AtomicBool::new(true)));
    let lms = || failing_on("a", ordered(OnExhausted::HoldKey), &down, &acked);
    let dispatcher = stage.start(vec![lms()]).await;
    let ids = publish(&stage, &["a", "b", "a", "a"]).await;
    parked(&stage, 3).await;
    down.store(false, Ordering::SeqCst);
    dispatcher.drain(Duration::from_secs(30)).await;

    let stage = stage.restart().await;
    let _dispatcher = stage.start(vec![lms()]).await;
    let late = publish(&stage, &["a", "b"]).await;
    eventually("the other key", async || {
        (!acked.attempts_on(late[1]).is_empty()).then_some(())
    })
    .await;
    let of_a = [ids[0], ids[2], ids[3], late[0]];
    assert_eq!(order_of(&acked, &of_a), [], "the key is held");
    assert!(stage.dead_letters().await.is_empty());

    let replay = Replay {
        message: ids[0],
        handler: None,
        due: None,
    };
    stage.journal.replay(vec![replay]).await.unwrap();
    stage.settled("lms.enrol").await;
    assert_eq!(order_of(&acked, &of_a), of_a);
}

#[tokio::test]
async fn discarding_the_head_of_a_held_key_frees_it() {
    let stage = Stage::new().await;
    let (acked, down) = (Calls::default(), Arc::new(AtomicBool::new(true)));
    let lms = failing_on("a", ordered(OnExhausted::HoldKey), &down, &acked);
    let _dispatcher = stage.start(vec![lms]).await;
    let ids = publish(&stage, &["a", "a", "a"]).await;
    parked(&stage, 3).await;
    down.store(false, Ordering::SeqCst);
    let discard = Discard {
        message: ids[0],
        handler: Some("lms.enrol".to_owned()),
    };
    assert_eq!(stage.journal.discard(vec![discard]).await.unwrap(), [1]);
    stage.settled("lms.enrol").await;
    assert_eq!(order_of(&acked, &ids), ids[1..]);
}

#[tokio::test]
async fn a_key_that_is_given_up_with_its_head_is_in_the_dead_letters_and_others_are_not() {
    let stage = Stage::new().await;
    let acked = Calls::default();
    let noted = acked.clone();
    let refuses = target(
        "lms.enrol",
        ordered(OnExhausted::DeadLetterKey),
        move |delivery| {
            let noted = noted.clone();
            async move {
                if delivery.message.key.as_deref() == Some("a") {
                    return Reply::Dead {
                        chain: vec!["no such course".to_owned()],
                    };
                }
                noted.note(&delivery);
                ack()
            }
        },
    );
    let ids = publish(&stage, &["a", "b", "a", "a", "b"]).await;
    let _dispatcher = stage.start(vec![refuses]).await;
    let dead = stage.dead(3).await;
    stage.settled("lms.enrol").await;
    assert_eq!(order_of(&acked, &ids), [ids[1], ids[4]]);
    for letter in dead {
        let expected = if letter.message.id == ids[0] {
            FailureKind::Refused
        } else {
            FailureKind::Blocked
        };
        assert_eq!(letter.failure.kind, expected, "{}", letter.message.id);
    }
}

/// Waits until so many deliveries are parked.
async fn parked(stage: &Stage, count: u64) {
    eventually("parked deliveries", async || {
        let stats = stage.journal.stats().await.unwrap();
        (stats.handlers[0].parked == count).then_some(())
    })
    .await;
}
