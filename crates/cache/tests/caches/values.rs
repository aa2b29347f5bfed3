//! Values and numbers.

use std::time::{Duration, Instant};

use bytes::Bytes;
use coordinator_cache::CacheError;

use crate::stage::{Stage, eventually};

/// Short, for a test that waits until it is over.
const SHORT: Duration = Duration::from_millis(200);
const LONG: Duration = Duration::from_secs(600);

pub(crate) async fn a_value_is_kept_until_it_is_deleted(stage: &Stage) {
    let (here, there) = (stage.cache(), stage.cache());
    assert_eq!(here.get("a").await.unwrap(), None);
    let bytes = Bytes::from((0..=255).collect::<Vec<u8>>());
    here.set("a", bytes.clone(), None).await.unwrap();
    assert_eq!(there.get("a").await.unwrap(), Some(bytes));
    here.set("a", "", Some(LONG)).await.unwrap();
    assert_eq!(there.get("a").await.unwrap(), Some(Bytes::new()));
    assert!(there.delete("a").await.unwrap());
    assert!(!here.delete("a").await.unwrap());
    assert_eq!(here.get("a").await.unwrap(), None);
}

pub(crate) async fn a_value_is_gone_once_its_time_is_over(stage: &Stage) {
    let cache = stage.cache();
    let began = Instant::now();
    cache.set("a", "1", Some(SHORT)).await.unwrap();
    assert!(cache.add("b", "1", Some(SHORT)).await.unwrap());
    eventually("both are gone", async || {
        let gone =
            cache.get("a").await.unwrap().is_none() && cache.get("b").await.unwrap().is_none();
        // Not before: the server's clock counts whole milliseconds.
        assert!(!gone || began.elapsed() + Duration::from_millis(2) >= SHORT);
        gone
    })
    .await;
    assert!(
        !cache.delete("a").await.unwrap(),
        "what is over is not there"
    );
    assert!(cache.add("a", "2", None).await.unwrap());
    assert_eq!(cache.incr("b", 5, None).await.unwrap(), 5);
}

pub(crate) async fn a_value_set_again_has_the_new_time_only(stage: &Stage) {
    let cache = stage.cache();
    cache.set("a", "1", Some(SHORT)).await.unwrap();
    cache.set("a", "2", None).await.unwrap();
    cache.set("b", "1", Some(SHORT)).await.unwrap();
    cache.set("b", "2", Some(LONG)).await.unwrap();
    cache.set("c", "1", Some(SHORT)).await.unwrap();
    eventually("the third is gone", async || {
        cache.get("c").await.unwrap().is_none()
    })
    .await;
    for key in ["a", "b"] {
        assert_eq!(cache.get(key).await.unwrap(), Some("2".into()));
    }
}

pub(crate) async fn of_many_who_add_one_succeeds(stage: &Stage) {
    let adding = (0..16).map(|number: u32| {
        let cache = stage.cache();
        tokio::spawn(async move {
            cache
                .add("a", number.to_string(), Some(LONG))
                .await
                .unwrap()
        })
    });
    let mut first = 0;
    for added in adding.collect::<Vec<_>>() {
        first += u32::from(added.await.unwrap());
    }
    assert_eq!(first, 1);
}

pub(crate) async fn numbers_add_up_whoever_counts(stage: &Stage) {
    let counting = (0..8).map(|_| {
        let cache = stage.cache();
        tokio::spawn(async move {
            for _ in 0..50 {
                cache.incr("n", 3, Some(LONG)).await.unwrap();
                cache.incr("n", -1, Some(LONG)).await.unwrap();
            }
        })
    });
    for counted in counting.collect::<Vec<_>>() {
        counted.await.unwrap();
    }
    let cache = stage.cache();
    assert_eq!(cache.incr("n", 0, None).await.unwrap(), 800);
    assert_eq!(cache.get("n").await.unwrap(), Some("800".into()));
    // More than a floating-point number holds.
    cache.set("n", "9007199254740993", None).await.unwrap();
    assert_eq!(
        cache.incr("n", 2, None).await.unwrap(),
        9_007_199_254_740_995
    );
}

pub(crate) async fn a_number_keeps_the_time_it_was_created_with(stage: &Stage) {
    let cache = stage.cache();
    assert_eq!(cache.incr("short", 1, Some(SHORT)).await.unwrap(), 1);
    assert_eq!(cache.incr("short", 1, Some(LONG)).await.unwrap(), 2);
    cache.incr("for ever", 1, None).await.unwrap();
    cache.incr("for ever", 1, Some(SHORT)).await.unwrap();
    eventually("the first is gone", async || {
        cache.get("short").await.unwrap().is_none()
    })
    .await;
    assert_eq!(cache.get("for ever").await.unwrap(), Some("2".into()));
}

pub(crate) async fn what_is_no_number_or_too_large_a_sum_is_refused(stage: &Stage) {
    let cache = stage.cache();
    for text in [
        "",
        "one",
        "1.5",
        " 1",
        "1 ",
        "+1",
        "007",
        "-0",
        "99999999999999999999",
    ] {
        cache.set("n", text, None).await.unwrap();
        let outcome = cache.incr("n", 1, None).await;
        assert!(
            matches!(outcome, Err(CacheError::NotANumber)),
            "{text:?}: {outcome:?}"
        );
        assert_eq!(
            cache.get("n").await.unwrap(),
            Some(text.into()),
            "it is as it was"
        );
    }
    cache.set("n", i64::MAX.to_string(), None).await.unwrap();
    let outcome = cache.incr("n", 1, None).await;
    assert!(
        matches!(outcome, Err(CacheError::NotANumber)),
        "{outcome:?}"
    );
    assert_eq!(cache.incr("n", i64::MIN, None).await.unwrap(), -1);
}

pub(crate) async fn spaces_do_not_reach_each_other(stage: &Stage) {
    let cache = stage.cache();
    let spaces = [
        cache.clone(),
        cache.space("lms"),
        cache.space("lms:v"),
        cache.space("lms").space("deep"),
        cache.space("lms/deep"),
        cache.space("lms%2Fdeep"),
    ];
    // Keys that try to climb over.
    let keys = ["a", ":a", "lms/:a", "/:a", "deep/:a", "v:a"];
    for (number, space) in spaces.iter().enumerate() {
        for key in keys {
            assert!(
                space.add(key, number.to_string(), None).await.unwrap(),
                "{space:?} {key}"
            );
        }
    }
    for (number, space) in spaces.iter().enumerate() {
        for key in keys {
            assert_eq!(
                space.get(key).await.unwrap(),
                Some(number.to_string().into())
            );
        }
        // A lock and a first time are no values.
        assert!(space.lock("a", LONG).await.unwrap().is_some());
        assert!(space.once("a", LONG).await.unwrap());
        assert_eq!(
            space.get("a").await.unwrap(),
            Some(number.to_string().into())
        );
    }
}

pub(crate) async fn what_is_too_long_or_too_large_is_refused(stage: &Stage) {
    let cache = stage.cache().space("a-space-with-a-long-name-of-its-own");
    let longest = "k".repeat(512);
    let largest = Bytes::from(vec![7; 1 << 20]);
    cache
        .set(&longest, largest.clone(), Some(LONG))
        .await
        .unwrap();
    assert_eq!(cache.get(&longest).await.unwrap(), Some(largest));
    for key in ["", &"k".repeat(513)] {
        assert!(matches!(
            cache.get(key).await,
            Err(CacheError::Key { most: 512, .. })
        ));
        assert!(matches!(
            cache.lock(key, LONG).await,
            Err(CacheError::Key { .. })
        ));
        assert!(cache.subscribe(key).is_err());
    }
    let error = cache
        .set("a", vec![7; (1 << 20) + 1], None)
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "a value has at most 1048576 bytes, this one has 1048577"
    );
    for ttl in [Duration::ZERO, Duration::from_micros(999), Duration::MAX] {
        let error = cache.set("a", "1", Some(ttl)).await.unwrap_err();
        assert!(matches!(error, CacheError::Ttl { .. }), "{error}");
        assert!(!error.is_unavailable());
        assert!(cache.once("a", ttl).await.is_err());
    }
    assert_eq!(cache.get("a").await.unwrap(), None);
}
