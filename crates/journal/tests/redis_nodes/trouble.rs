//! A server that hangs, or that does not let its nodes talk.

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_whose_user_may_use_no_channel_share_the_work_all_the_same() {
    let place = Place::new(Settings::default());
    // As users are made by default.
    let server = &place.server;
    server.command(&["ACL", "SETUSER", "default", "resetchannels"]);
    let (here, there) = (place.node().await, place.node().await);
    let mut stream = open(&there, "lms.enrol", PAID, false).await;
    for number in 0..2 {
        let receipts = here.publish(vec![message(PAID, &number.to_string())]).await;
        assert_eq!(receipts.unwrap()[0].status, ReceiptStatus::Accepted);
        let delivery = take_one(&mut stream).await;
        assert_eq!(ack(&there, &delivery).await, SettleOutcome::Settled);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn publishers_do_not_queue_up_behind_a_server_that_hangs() {
    let place = Place::new(Settings::default());
    let node = Arc::new(place.node().await);
    let batch = vec![message(PAID, "0"), message(ENROLLED, "0")];
    node.publish(batch).await.unwrap();
    place.server.freeze();
    let publishers: Vec<_> = (0..16)
        .map(|number| {
            let node = Arc::clone(&node);
            let number = number.to_string();
            // Over several shards: what is in each of them is asked for.
            let batch = vec![message(PAID, &number), message(ENROLLED, &number)];
            tokio::spawn(async move { node.publish(batch).await })
        })
        .collect();
    let all = async {
        for publisher in publishers {
            assert!(publisher.await.unwrap().is_err());
        }
    };
    // Answers that are waited for one after the other take longer.
    let refused = tokio::time::timeout(PATIENCE, all).await;
    refused.expect("every publisher is refused");
    place.server.thaw();
}
