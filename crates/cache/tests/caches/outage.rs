//! A server that is away, hangs, and comes back; memory that is full.

use std::time::{Duration, Instant};

use coordinator_cache::{Cache, CacheOptions, Heard, OpenError};

use crate::server::{Server, Settings};
use crate::stage::{eventually, options, soon};

const LONG: Duration = Duration::from_secs(600);

fn impatient(url: &str) -> Cache {
    let options = CacheOptions {
        timeout: Duration::from_millis(500),
        ..options(url)
    };
    Cache::open(&options).unwrap()
}

fn server() -> Server {
    Server::start(Settings {
        appendfsync: None,
        ..Settings::default()
    })
}

/// Whatever it is asked, it fails in time.
async fn assert_away(cache: &Cache) {
    let began = Instant::now();
    for error in [
        cache.get("a").await.unwrap_err(),
        cache.set("a", "1", None).await.unwrap_err(),
        cache.incr("a", 1, None).await.unwrap_err(),
        cache.lock("a", LONG).await.unwrap_err(),
        cache.once("a", LONG).await.unwrap_err(),
        cache.publish("a", "1").await.unwrap_err(),
        cache.probe().await.unwrap_err(),
    ] {
        assert!(error.is_unavailable(), "{error:?}");
    }
    // Seven calls of half a second, on a machine that has other things to do as well.
    assert!(
        began.elapsed() < Duration::from_secs(10),
        "{:?}",
        began.elapsed()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_fails_in_time_and_is_back_when_it_is_back() {
    let server = server();
    let cache = impatient(&server.url());
    cache.set("a", "1", None).await.unwrap();
    let mut heard = cache.subscribe("overrides").unwrap();
    assert_eq!(soon(heard.next()).await, Heard::Missed);
    server.kill();
    assert_away(&cache).await;
    server.restart();
    eventually("it answers again", async || cache.probe().await.is_ok()).await;
    assert_eq!(
        cache.get("a").await.unwrap(),
        None,
        "it kept nothing, and that is allowed"
    );
    assert_eq!(
        soon(heard.next()).await,
        Heard::Missed,
        "something may have been said meanwhile"
    );
    cache.publish("overrides", "1").await.unwrap();
    assert_eq!(soon(heard.next()).await, Heard::Message("1".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_hangs_fails_in_time_and_goes_on_where_it_was() {
    let server = server();
    let cache = impatient(&server.url());
    cache.set("kept", "1", None).await.unwrap();
    server.freeze();
    assert_away(&cache).await;
    server.thaw();
    eventually("it answers again", async || cache.probe().await.is_ok()).await;
    assert_eq!(cache.get("kept").await.unwrap(), Some("1".into()));
    // An answer that came too late is nobody else's.
    for number in 0..50_u32 {
        let key = format!("k{number}");
        cache.set(&key, number.to_string(), None).await.unwrap();
        assert_eq!(
            cache.get(&key).await.unwrap(),
            Some(number.to_string().into())
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_starts_without_its_server_and_finds_it_later() {
    let server = server();
    server.kill();
    let cache = impatient(&server.url());
    assert_away(&cache).await;
    let mut heard = cache.subscribe("overrides").unwrap();
    server.restart();
    eventually("it answers", async || cache.probe().await.is_ok()).await;
    assert_eq!(soon(heard.next()).await, Heard::Missed);
}

#[test]
fn a_url_that_names_no_cache_is_refused_without_repeating_it() {
    for url in [
        "",
        "memory",
        "memcached://:hunter2@127.0.0.1",
        "redis://:hunter2@:port",
    ] {
        let error = Cache::open(&options(url)).unwrap_err();
        let OpenError::Url { .. } = error;
        let told = format!("{error} {error:?}");
        assert!(
            told.contains("cache.url") && !told.contains("hunter2"),
            "{told}"
        );
    }
}

#[tokio::test]
async fn memory_that_is_full_forgets_values_and_keeps_locks() {
    let cache = Cache::open(&CacheOptions {
        max_bytes: 1 << 20,
        ..options("memory:")
    })
    .unwrap();
    let held = cache.lock("held", LONG).await.unwrap().unwrap();
    assert!(cache.once("first", LONG).await.unwrap());
    for number in 0..200 {
        cache
            .set(&format!("k{number}"), vec![0; 64 << 10], None)
            .await
            .unwrap();
    }
    eventually("it has made room", async || {
        let mut kept = 0;
        for number in 0..200 {
            kept += usize::from(cache.get(&format!("k{number}")).await.unwrap().is_some());
        }
        kept * (64 << 10) <= 1 << 20
    })
    .await;
    assert!(cache.lock("held", LONG).await.unwrap().is_none());
    assert!(!cache.once("first", LONG).await.unwrap());
    assert!(cache.release("held", &held).await.unwrap());
}
