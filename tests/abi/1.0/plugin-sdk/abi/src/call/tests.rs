//! What is written is read back.

use super::*;

#[test]
fn every_meta_comes_back_as_it_was() {
    let route = RouteMeta {
        method: "POST".into(),
        path: "/charges".into(),
        query: "a=1".into(),
        webhook_id: "evt_1".into(),
        trace: None,
        params: vec![("id".into(), "7".into())],
        headers: vec![("x-a".into(), b"\xff".to_vec())],
    };
    assert_eq!(RouteMeta::decode(&route.encode()), Ok(route));

    let response = ResponseMeta {
        status: 202,
        headers: vec![("x".into(), b"y".to_vec())],
    };
    assert_eq!(ResponseMeta::decode(&response.encode()), Ok(response));

    let handle = HandleMeta {
        id: "m".into(),
        attempt: 3,
        cause: Some("c".into()),
        ..HandleMeta::default()
    };
    assert_eq!(HandleMeta::decode(&handle.encode()), Ok(handle));

    let http = HttpMeta {
        method: "POST".into(),
        url: "http://x/".into(),
        timeout_ms: Some(5),
        headers: vec![],
    };
    assert_eq!(HttpMeta::decode(&http.encode()), Ok(http));
}
