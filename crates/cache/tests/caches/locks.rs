//! Locks, and first times.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use coordinator_cache::LockToken;

use crate::stage::{Stage, eventually};

const SHORT: Duration = Duration::from_millis(200);
const LONG: Duration = Duration::from_secs(600);

pub(crate) async fn one_holds_a_lock_until_it_lets_go(stage: &Stage) {
    let (here, there) = (stage.cache(), stage.cache());
    let token = here.lock("a", LONG).await.unwrap().expect("it is free");
    assert!(there.lock("a", LONG).await.unwrap().is_none());
    assert!(there.lock("b", LONG).await.unwrap().is_some());
    let handed_on = LockToken::from(token.as_str().to_owned());
    assert!(there.release("a", &handed_on).await.unwrap());
    assert!(!here.release("a", &token).await.unwrap(), "it was let go");
    let next = there
        .lock("a", LONG)
        .await
        .unwrap()
        .expect("it is free again");
    assert_ne!(next, token);
    assert!(!format!("{next:?}").contains(next.as_str()));
}

pub(crate) async fn who_lost_a_lock_cannot_extend_or_release_it(stage: &Stage) {
    let (slow, fast) = (stage.cache(), stage.cache());
    let lost = slow.lock("a", SHORT).await.unwrap().unwrap();
    let mut next = None;
    eventually("its time is over", async || {
        next = fast.lock("a", LONG).await.unwrap();
        next.is_some()
    })
    .await;
    assert!(!slow.extend("a", &lost, LONG).await.unwrap());
    assert!(!slow.release("a", &lost).await.unwrap());
    assert!(
        slow.lock("a", LONG).await.unwrap().is_none(),
        "the other still holds it"
    );
    assert!(fast.release("a", &next.unwrap()).await.unwrap());
}

pub(crate) async fn an_extended_lock_lives_on(stage: &Stage) {
    let cache = stage.cache();
    let token = cache.lock("a", SHORT).await.unwrap().unwrap();
    assert!(cache.extend("a", &token, LONG).await.unwrap());
    // What the lock would have ended with, had it not been extended.
    assert!(cache.once("its time", SHORT).await.unwrap());
    eventually("its time is over", async || {
        cache.once("its time", SHORT).await.unwrap()
    })
    .await;
    assert!(cache.lock("a", LONG).await.unwrap().is_none());
    // And shortened: its time counts from now.
    assert!(cache.extend("a", &token, SHORT).await.unwrap());
    eventually("its time is over", async || {
        cache.lock("a", LONG).await.unwrap().is_some()
    })
    .await;
}

pub(crate) async fn many_who_want_a_lock_have_it_one_at_a_time(stage: &Stage) {
    let inside = Arc::new(AtomicU32::new(0));
    let entering = (0..8).map(|_| {
        let (cache, inside) = (stage.cache(), Arc::clone(&inside));
        tokio::spawn(async move {
            for _ in 0..10 {
                let held = loop {
                    match cache.lock("door", LONG).await.unwrap() {
                        Some(held) => break held,
                        None => tokio::task::yield_now().await,
                    }
                };
                assert_eq!(
                    inside.fetch_add(1, Ordering::SeqCst),
                    0,
                    "somebody is inside"
                );
                tokio::task::yield_now().await;
                inside.fetch_sub(1, Ordering::SeqCst);
                assert!(cache.release("door", &held).await.unwrap());
            }
        })
    });
    for entered in entering.collect::<Vec<_>>() {
        entered.await.unwrap();
    }
}

pub(crate) async fn the_first_within_its_time_is_the_first_once(stage: &Stage) {
    let asking = (0..16).map(|_| {
        let cache = stage.cache();
        tokio::spawn(async move { cache.once("webhook-1", LONG).await.unwrap() })
    });
    let mut first = 0;
    for asked in asking.collect::<Vec<_>>() {
        first += u32::from(asked.await.unwrap());
    }
    assert_eq!(first, 1);
    let cache = stage.cache();
    assert!(cache.once("webhook-2", SHORT).await.unwrap());
    eventually("its time is over", async || {
        cache.once("webhook-2", LONG).await.unwrap()
    })
    .await;
    assert!(!cache.once("webhook-2", LONG).await.unwrap());
}
