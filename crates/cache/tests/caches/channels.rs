//! Saying and hearing.

use coordinator_cache::{CacheError, Heard};

use crate::stage::{Stage, soon};

pub(crate) async fn what_is_said_is_heard_by_everybody_who_listens(stage: &Stage) {
    let (here, there) = (stage.cache().space("host"), stage.cache().space("host"));
    let mut listening = vec![
        here.subscribe("overrides").unwrap(),
        there.subscribe("overrides").unwrap(),
    ];
    let mut elsewhere = stage.cache().space("lms").subscribe("overrides").unwrap();
    for subscription in listening.iter_mut().chain([&mut elsewhere]) {
        assert_eq!(soon(subscription.next()).await, Heard::Missed);
    }
    for number in 1..=3 {
        here.publish("overrides", number.to_string()).await.unwrap();
    }
    for subscription in &mut listening {
        for number in 1..=3 {
            let expected = Heard::Message(number.to_string().into());
            assert_eq!(soon(subscription.next()).await, expected);
        }
    }
    stage
        .cache()
        .space("lms")
        .publish("overrides", "own")
        .await
        .unwrap();
    assert_eq!(soon(elsewhere.next()).await, Heard::Message("own".into()));
    let error = here
        .publish("overrides", vec![0; (64 << 10) + 1])
        .await
        .unwrap_err();
    assert!(matches!(error, CacheError::Value { .. }), "{error}");
}

pub(crate) async fn who_comes_later_is_told_to_look_for_itself(stage: &Stage) {
    let cache = stage.cache();
    cache.publish("overrides", "unheard").await.unwrap();
    let mut late = cache.subscribe("overrides").unwrap();
    assert_eq!(soon(late.next()).await, Heard::Missed);
    cache.publish("overrides", "heard").await.unwrap();
    assert_eq!(soon(late.next()).await, Heard::Message("heard".into()));
    drop(late);
    cache.publish("overrides", "nobody listens").await.unwrap();
}
