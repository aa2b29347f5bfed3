//! A system that fails again and again is left alone, and called again once it answers.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use coordinator_egress::{
    BreakerOptions, Egress, EgressError, EgressErrorKind, EgressOptions, HostPolicy,
    OutboundRequest, OutboundResponse,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const FAILURES: usize = 3;
/// Longer than any test takes.
const LONG: Duration = Duration::from_secs(3600);
const SHORT: Duration = Duration::from_millis(50);

/// A server that answers every request with the same head, until it is told another one.
struct Server {
    address: SocketAddr,
    head: Arc<Mutex<&'static str>>,
    asked: Arc<AtomicUsize>,
}

impl Server {
    async fn answering(head: &'static str) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .expect("a free port");
        let server = Self {
            address: listener.local_addr().expect("it is bound"),
            head: Arc::new(Mutex::new(head)),
            asked: Arc::default(),
        };
        let (head, asked) = (Arc::clone(&server.head), Arc::clone(&server.asked));
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = [0; 4096];
                // One read: the requests of these tests are small.
                let _ = stream.read(&mut request).await;
                asked.fetch_add(1, Ordering::SeqCst);
                let head = *head.lock().expect("no test panics with it");
                let answer =
                    format!("HTTP/1.1 {head}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        server
    }

    fn answer(&self, head: &'static str) {
        *self.head.lock().expect("no test panics with it") = head;
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    async fn call(&self, egress: &Egress) -> Result<OutboundResponse, EgressError> {
        egress.send(get(self.address)).await
    }
}

fn get(address: SocketAddr) -> OutboundRequest {
    let url = format!("http://{address}/status");
    let origin = url.parse().expect("a URL");
    OutboundRequest {
        method: "GET".to_owned(),
        url,
        headers: Vec::new(),
        body: Bytes::new(),
        timeout: None,
        trace: None,
        policy: Arc::new(HostPolicy::new("lms", [&origin], []).expect("no patterns")),
    }
}

fn egress(open_for: Duration, enabled: bool) -> Egress {
    Egress::new(&EgressOptions {
        timeout: Duration::from_secs(20),
        connect_timeout: Duration::from_secs(5),
        max_response: 64,
        pool_per_host: 4,
        pool_idle: Duration::from_secs(30),
        breaker: BreakerOptions {
            enabled,
            failures: u32::try_from(FAILURES).expect("few"),
            open_for,
            open_max: LONG,
        },
        fixed_hosts: BTreeMap::new(),
    })
    .expect("TLS is there")
}

fn wait_of(answer: Result<OutboundResponse, EgressError>) -> Option<Duration> {
    match answer {
        Err(EgressError::Open { after, .. }) => Some(after),
        _ => None,
    }
}

#[tokio::test]
async fn after_failures_in_a_row_the_system_is_not_asked_any_more() {
    let server = Server::answering("500 Internal Server Error").await;
    let egress = egress(LONG, true);
    for _ in 0..FAILURES {
        assert_eq!(
            server.call(&egress).await.ok().map(|it| it.status),
            Some(500)
        );
    }
    let refusal = server.call(&egress).await.err().expect("it is open");
    assert_eq!(refusal.kind(), EgressErrorKind::Open);
    assert!(refusal.to_string().contains("is not called"), "{refusal}");
    assert_eq!(server.asked(), FAILURES);
    assert_eq!(
        egress.open_breakers(),
        [format!("http://{}", server.address)]
    );
}

#[tokio::test]
async fn a_probe_that_is_answered_closes_it_for_all() {
    let server = Server::answering("502 Bad Gateway").await;
    let egress = egress(SHORT, true);
    while wait_of(server.call(&egress).await).is_none() {}
    server.answer("200 OK");
    while let Some(after) = wait_of(server.call(&egress).await) {
        assert!(after <= LONG);
        tokio::task::yield_now().await;
    }
    assert!(egress.open_breakers().is_empty());
    assert_eq!(
        server.call(&egress).await.ok().map(|it| it.status),
        Some(200)
    );
}

#[tokio::test]
async fn a_refusal_of_one_request_is_an_answer() {
    let server = Server::answering("429 Too Many Requests\r\nretry-after: 60").await;
    let egress = egress(LONG, true);
    for _ in 0..3 * FAILURES {
        assert_eq!(
            server.call(&egress).await.ok().map(|it| it.status),
            Some(429)
        );
    }
}

#[tokio::test]
async fn retry_after_of_an_overloaded_system_is_heeded_at_once() {
    let server = Server::answering("503 Service Unavailable\r\nretry-after: 900").await;
    let egress = egress(SHORT, true);
    assert!(server.call(&egress).await.is_ok());
    let after = wait_of(server.call(&egress).await).expect("it is open");
    assert!(after > Duration::from_secs(600) && after <= Duration::from_secs(900));
    assert_eq!(server.asked(), 1);
}

#[tokio::test]
async fn one_that_cannot_be_reached_is_left_alone_and_others_are_called() {
    let gone = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
    let gone = gone.expect("a free port").local_addr().expect("bound");
    let server = Server::answering("204 No Content").await;
    let egress = egress(LONG, true);
    for _ in 0..FAILURES {
        let refusal = egress.send(get(gone)).await.err().expect("nobody is there");
        assert_eq!(refusal.kind(), EgressErrorKind::Connect);
    }
    assert!(wait_of(egress.send(get(gone)).await).is_some());
    assert_eq!(
        server.call(&egress).await.ok().map(|it| it.status),
        Some(204)
    );
}

#[tokio::test]
async fn without_it_every_call_is_made() {
    let server = Server::answering("500 Internal Server Error").await;
    let egress = egress(LONG, false);
    for _ in 0..4 * FAILURES {
        assert!(server.call(&egress).await.is_ok());
    }
    assert_eq!(server.asked(), 4 * FAILURES);
}
