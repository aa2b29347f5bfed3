//! Calls to a server that says what the test tells it to.

use std::collections::BTreeMap;
use std::error::Error;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use coordinator_egress::{
    BreakerOptions, Egress, EgressError, EgressErrorKind, EgressOptions, HostPolicy,
    OutboundRequest,
};
use coordinator_message::TraceParent;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// Answers one connection with fixed bytes, then keeps it open. Its task ends with the request.
struct Server {
    address: SocketAddr,
    request: JoinHandle<(String, TcpStream)>,
}

impl Server {
    async fn answering(answer: impl Into<Vec<u8>>) -> Self {
        let answer = answer.into();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let request = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            let request = read_request(&mut stream).await;
            // The client may hang up before it has read everything.
            let _ = stream.write_all(&answer).await;
            (request, stream)
        });
        Self { address, request }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    async fn seen(self) -> String {
        self.request.await.expect("the server does not panic").0
    }
}

async fn read_request(stream: &mut TcpStream) -> String {
    let mut read = Vec::new();
    let mut buffer = [0; 1024];
    loop {
        let text = String::from_utf8_lossy(&read).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "));
            if body.len() >= length.map_or(0, |length| length.parse().expect("a number")) {
                return text;
            }
        }
        match stream.read(&mut buffer).await.expect("the client sends") {
            0 => return text,
            count => read.extend_from_slice(&buffer[..count]),
        }
    }
}

fn options() -> EgressOptions {
    EgressOptions {
        timeout: Duration::from_secs(20),
        connect_timeout: Duration::from_secs(5),
        max_response: 64,
        pool_per_host: 4,
        pool_idle: Duration::from_secs(30),
        breaker: BreakerOptions {
            enabled: true,
            failures: 3,
            open_for: Duration::from_millis(50),
            open_max: Duration::from_millis(200),
        },
        fixed_hosts: BTreeMap::from([(
            "inside.example.org".to_owned(),
            vec![IpAddr::from(Ipv4Addr::LOCALHOST)],
        )]),
    }
}

fn egress() -> Egress {
    Egress::new(&options()).expect("TLS is there")
}

/// A call by a plugin that has its own URL as a setting.
fn call(method: &str, url: &str) -> OutboundRequest {
    let origin = url.parse().expect("a URL");
    let policy = HostPolicy::new("lms", [&origin], []).expect("no patterns");
    request(method, url, policy)
}

fn request(method: &str, url: &str, policy: HostPolicy) -> OutboundRequest {
    OutboundRequest {
        method: method.to_owned(),
        url: url.to_owned(),
        headers: Vec::new(),
        body: Bytes::new(),
        timeout: None,
        trace: None,
        policy: Arc::new(policy),
    }
}

async fn refusal(request: OutboundRequest) -> EgressError {
    egress().send(request).await.err().expect("no answer")
}

/// The error and its causes, as they end up in a dead letter.
fn chain(error: &EgressError) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}

#[tokio::test]
async fn a_request_arrives_with_its_trace_and_the_answer_comes_back() {
    let server = Server::answering(
        b"HTTP/1.1 503 Busy\r\nRetry-After: 7\r\nX-A: \xe9\r\nContent-Length: 4\r\n\r\nlate",
    )
    .await;
    let trace = TraceParent::start();
    let mut request = call("POST", &server.url("/enrol?x=1"));
    request.headers = vec![("X-Key".to_owned(), "k".to_owned())];
    request.body = Bytes::from_static(b"{\"n\":1}");
    request.trace = Some(trace);
    let response = egress().send(request).await.unwrap();
    assert_eq!((response.status, &response.body[..]), (503, &b"late"[..]));
    assert_eq!(
        response.retry_after(std::time::SystemTime::now()),
        Some(Duration::from_secs(7))
    );
    let seen = server.seen().await;
    assert!(seen.starts_with("POST /enrol?x=1 HTTP/1.1\r\n"), "{seen}");
    assert!(seen.ends_with("\r\n\r\n{\"n\":1}"), "{seen}");
    for line in ["x-key: k", "content-length: 7", "user-agent: coordinator/"] {
        assert!(seen.contains(line), "{line} is not in {seen}");
    }
    assert!(
        seen.contains(&format!("traceparent: 00-{}-", trace.trace_id())),
        "{seen}"
    );
    assert!(
        !seen.contains(&trace.to_string()),
        "the call is a span of its own"
    );
}

#[tokio::test]
async fn headers_of_the_plugin_come_before_ours_and_framing_is_not_its_own() {
    let server = Server::answering("HTTP/1.1 204 No Content\r\n\r\n").await;
    let mut request = call("GET", &server.url("/"));
    let traceparent = TraceParent::start().to_string();
    request.headers = vec![
        ("Traceparent".to_owned(), traceparent.clone()),
        ("User-Agent".to_owned(), "lms-plugin/1".to_owned()),
    ];
    assert_eq!(egress().send(request).await.unwrap().status, 204);
    let seen = server.seen().await;
    assert!(
        seen.contains(&format!("traceparent: {traceparent}")) && !seen.contains("coordinator/")
    );
    for (name, value) in [
        ("Host", "evil"),
        ("content-length", "0"),
        ("a b", "c"),
        ("x", "a\r\nb: c"),
    ] {
        let mut request = call("GET", "http://127.0.0.1:9/");
        request.headers = vec![(name.to_owned(), value.to_owned())];
        assert_eq!(
            refusal(request).await.kind(),
            EgressErrorKind::Invalid,
            "{name}"
        );
    }
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_is_not_followed() {
    let server = Server::answering(
        "HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n",
    )
    .await;
    let response = egress().send(call("GET", &server.url("/"))).await.unwrap();
    assert_eq!(response.status, 302);
    assert_eq!(response.header("location"), Some("http://169.254.169.254/"));
}

#[tokio::test]
async fn a_host_that_was_not_granted_is_refused_with_the_cure() {
    let policy = HostPolicy::new("lms", [], ["lms.example.org"]).unwrap();
    let error = refusal(request(
        "GET",
        "http://ann:pw@127.0.0.1:9/x?token=t",
        policy,
    ))
    .await;
    assert_eq!(error.kind(), EgressErrorKind::Forbidden);
    insta::assert_snapshot!(error, @r"
    plugin `lms` may not call `127.0.0.1:9`
      (add it to `allow_hosts` in [plugins.lms], or make it one of the plugin's URL settings)
    ");
}

#[tokio::test]
async fn a_wildcard_does_not_lead_into_the_own_network_and_a_name_does() {
    let server = Server::answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
    let url = format!("http://inside.example.org:{}/", server.address.port());
    let wildcard = HostPolicy::new("lms", [], ["*.example.org"]).unwrap();
    let error = refusal(request("GET", &url, wildcard)).await;
    assert_eq!(error.kind(), EgressErrorKind::Forbidden);
    assert!(
        error.to_string().contains("it is on a private network"),
        "{error}"
    );
    let named = HostPolicy::new("lms", [], ["*.example.org", "inside.example.org"]).unwrap();
    assert_eq!(
        egress()
            .send(request("GET", &url, named))
            .await
            .unwrap()
            .status,
        200
    );
}

#[tokio::test]
async fn a_large_answer_is_cut_off_announced_or_not() {
    let body = "x".repeat(65);
    for head in ["Content-Length: 65", "Connection: close"] {
        let server = Server::answering(format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n{body}")).await;
        let error = refusal(call("GET", &server.url("/"))).await;
        assert_eq!(error.kind(), EgressErrorKind::TooLarge, "{head}");
    }
}

#[tokio::test]
async fn silence_ends_with_the_timeout_before_and_within_the_answer() {
    for answer in ["", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"] {
        let server = Server::answering(answer).await;
        let mut request = call("GET", &server.url("/"));
        request.timeout = Some(Duration::from_millis(200));
        let error = refusal(request).await;
        assert_eq!(error.kind(), EgressErrorKind::Timeout, "{error}");
        drop(server);
    }
}

#[tokio::test]
async fn errors_tell_neither_path_nor_query_nor_credentials() {
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let closed = free.local_addr().unwrap();
    drop(free);
    let refused = refusal(call(
        "GET",
        &format!("http://bob:hunter2@{closed}/path?token=t"),
    ))
    .await;
    assert_eq!(refused.kind(), EgressErrorKind::Connect);
    let server = Server::answering("SSH-2.0-OpenSSH\r\n\r\n").await;
    let nonsense = refusal(call("GET", &server.url("/path?token=t"))).await;
    assert_eq!(nonsense.kind(), EgressErrorKind::Protocol);
    for error in [refused, nonsense] {
        let text = chain(&error);
        assert!(text.contains("127.0.0.1:"), "{text}");
        for hidden in ["bob", "hunter2", "path", "token"] {
            assert!(!text.contains(hidden), "`{hidden}` is in {text}");
        }
    }
}

#[tokio::test]
async fn what_is_no_request_is_said_to_be_none() {
    for (method, url) in [
        ("GET", "not a url"),
        ("GET", "file:///etc/passwd"),
        ("G T", "http://127.0.0.1:9/"),
    ] {
        let origin = "http://127.0.0.1:9/".parse().unwrap();
        let policy = HostPolicy::new("lms", [&origin], []).unwrap();
        assert_eq!(
            refusal(request(method, url, policy)).await.kind(),
            EgressErrorKind::Invalid
        );
    }
}
