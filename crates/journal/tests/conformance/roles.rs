//! Roles: one holder at a time, for as long as it renews.

use super::*;

const ROLE: &str = "scheduler";

pub(crate) async fn a_role_has_one_holder_until_it_expires(harness: &dyn Harness) {
    let journal = harness.open(roomy()).await;
    let first = journal.lead(ROLE, "node-a", HOUR).await.unwrap();
    let first = first.expect("nobody holds it");
    assert_eq!(journal.lead(ROLE, "node-b", HOUR).await.unwrap(), None);
    let other = journal.lead("trimmer", "node-b", HOUR).await.unwrap();
    assert!(other.is_some(), "another role has its own holder");
    harness.clock().advance(HOUR / 2);
    // A renewal counts from now, and is no change of hands.
    assert_eq!(
        journal.lead(ROLE, "node-a", HOUR).await.unwrap(),
        Some(first)
    );
    harness.clock().advance(HOUR - Duration::from_secs(1));
    assert_eq!(journal.lead(ROLE, "node-b", HOUR).await.unwrap(), None);
    harness.clock().advance(Duration::from_secs(2));
    let second = journal.lead(ROLE, "node-b", HOUR).await.unwrap();
    let second = second.expect("it has expired");
    assert!(second > first, "{second} after {first}");
    assert_eq!(journal.lead(ROLE, "node-a", HOUR).await.unwrap(), None);
}

pub(crate) async fn a_role_that_is_given_up_is_free_at_once(harness: &dyn Harness) {
    let journal = harness.open(roomy()).await;
    journal.resign(ROLE, "node-a").await.unwrap();
    let first = journal.lead(ROLE, "node-a", HOUR).await.unwrap().unwrap();
    journal.resign(ROLE, "node-b").await.unwrap();
    assert_eq!(journal.lead(ROLE, "node-b", HOUR).await.unwrap(), None);
    journal.resign(ROLE, "node-a").await.unwrap();
    let second = journal.lead(ROLE, "node-b", HOUR).await.unwrap().unwrap();
    assert!(second > first, "{second} after {first}");
    journal.resign(ROLE, "node-a").await.unwrap();
    assert_eq!(
        journal.lead(ROLE, "node-b", HOUR).await.unwrap(),
        Some(second)
    );
}

pub(crate) async fn a_role_survives_a_restart(harness: &dyn Harness) {
    for ending in Ending::BOTH {
        let harness = &*harness.another().await;
        let journal = harness.open(roomy()).await;
        let first = journal.lead(ROLE, "node-a", HOUR).await.unwrap().unwrap();
        let journal = again(harness, journal, ending).await;
        assert_eq!(journal.lead(ROLE, "node-b", HOUR).await.unwrap(), None);
        harness.clock().advance(HOUR * 2);
        let journal = again(harness, journal, ending).await;
        let second = journal.lead(ROLE, "node-b", HOUR).await.unwrap().unwrap();
        assert!(second > first, "{ending:?}: {second} after {first}");
        journal.close().await;
    }
}

pub(crate) async fn one_of_many_that_ask_at_once_gets_the_role(harness: &dyn Harness) {
    let mut nodes: Vec<Arc<dyn Journal>> = Vec::new();
    for _ in 0..harness.nodes() {
        nodes.push(harness.open(roomy()).await.into());
    }
    for _ in 0..3 {
        let asks = (0..8).map(|number| {
            let journal = nodes[number % nodes.len()].clone();
            let holder = format!("node-{number}");
            tokio::spawn(async move { journal.lead(ROLE, &holder, HOUR).await.unwrap() })
        });
        let mut leaders = 0;
        for ask in asks.collect::<Vec<_>>() {
            leaders += u32::from(ask.await.unwrap().is_some());
        }
        assert_eq!(leaders, 1);
        harness.clock().advance(HOUR * 2);
    }
}
