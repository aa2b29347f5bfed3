//! Ticks: what a schedule publishes is published once.

use coordinator_journal::{NewMessage, Tick};

use super::*;

const NIGHTLY: &str = "billing.nightly";

fn tick(at: Timestamp, message: Option<NewMessage>) -> Tick {
    Tick {
        schedule: NIGHTLY.to_owned(),
        at,
        message,
    }
}

pub(crate) async fn a_tick_publishes_once(harness: &dyn Harness) {
    let journal = harness.open(roomy()).await;
    let mut stream = paid_handler(&*journal, "lms.enrol").await;
    let at = harness.clock_now();
    assert_eq!(journal.last_tick(NIGHTLY).await.unwrap(), None);
    for (at, data, expected) in [
        (at, "1", true),
        (at, "2", false),
        (at.before(HOUR), "3", false),
        (at.after(HOUR), "4", true),
    ] {
        let ticked = journal.tick(tick(at, Some(message(PAID, data)))).await;
        assert_eq!(ticked.unwrap(), expected, "{data}");
    }
    assert_eq!(
        journal.last_tick(NIGHTLY).await.unwrap(),
        Some(at.after(HOUR))
    );
    assert_eq!(journal.last_tick("billing.hourly").await.unwrap(), None);
    let other = Tick {
        schedule: "billing.hourly".to_owned(),
        ..tick(at, Some(message(PAID, "5")))
    };
    assert!(journal.tick(other).await.unwrap());
    assert_eq!(texts(&take(&mut stream, 3).await), ["1", "4", "5"]);
    nothing_else_waits(&*journal, &mut stream).await;
}

pub(crate) async fn a_tick_is_remembered_over_a_restart(harness: &dyn Harness) {
    for ending in Ending::BOTH {
        let harness = &*harness.another().await;
        let journal = harness.open(roomy()).await;
        let stream = paid_handler(&*journal, "lms.enrol").await;
        let at = harness.clock_now();
        assert!(
            journal
                .tick(tick(at, Some(message(PAID, "1"))))
                .await
                .unwrap()
        );
        drop(stream);
        let journal = again(harness, journal, ending).await;
        let mut stream = paid_handler(&*journal, "lms.enrol").await;
        assert_eq!(journal.last_tick(NIGHTLY).await.unwrap(), Some(at));
        assert!(
            !journal
                .tick(tick(at, Some(message(PAID, "2"))))
                .await
                .unwrap()
        );
        let delivery = take_one(&mut stream).await;
        assert_eq!(data(&delivery), "1", "{ending:?}");
        nothing_else_waits(&*journal, &mut stream).await;
    }
}

pub(crate) async fn a_tick_of_many_nodes_at_once_is_one_message(harness: &dyn Harness) {
    let mut nodes: Vec<Arc<dyn Journal>> = Vec::new();
    for _ in 0..harness.nodes() {
        nodes.push(harness.open(roomy()).await.into());
    }
    let mut stream = paid_handler(&*nodes[0], "lms.enrol").await;
    let at = harness.clock_now();
    let ticks = (0..12).map(|number| {
        let journal = nodes[number % nodes.len()].clone();
        let new = message(PAID, &number.to_string());
        tokio::spawn(async move { journal.tick(tick(at, Some(new))).await.unwrap() })
    });
    let mut ticked = 0;
    for one in ticks.collect::<Vec<_>>() {
        ticked += u32::from(one.await.unwrap());
    }
    assert_eq!(ticked, 1);
    ack(&*nodes[0], &take_one(&mut stream).await).await;
    nothing_else_waits(&*nodes[0], &mut stream).await;
}

pub(crate) async fn a_mark_publishes_nothing(harness: &dyn Harness) {
    let journal = harness.open(roomy()).await;
    let mut stream = paid_handler(&*journal, "lms.enrol").await;
    let at = harness.clock_now();
    assert!(journal.tick(tick(at, None)).await.unwrap());
    assert!(!journal.tick(tick(at, None)).await.unwrap());
    assert_eq!(journal.last_tick(NIGHTLY).await.unwrap(), Some(at));
    let marked = tick(at, Some(message(PAID, "1")));
    assert!(!journal.tick(marked).await.unwrap());
    nothing_else_waits(&*journal, &mut stream).await;
}

pub(crate) async fn a_tick_passes_a_full_backlog(harness: &dyn Harness) {
    let journal = harness
        .open(Limits {
            max_backlog: 1,
            ..roomy()
        })
        .await;
    let mut stream = paid_handler(&*journal, "lms.enrol").await;
    publish(&*journal, message(PAID, "1")).await;
    assert!(
        journal
            .publish(vec![message(PAID, "refused")])
            .await
            .is_err()
    );
    let at = harness.clock_now();
    assert!(
        journal
            .tick(tick(at, Some(message(PAID, "2"))))
            .await
            .unwrap()
    );
    assert_eq!(texts(&take(&mut stream, 2).await), ["1", "2"]);
}

pub(crate) async fn a_tick_that_cannot_be_written_did_not_happen(harness: &dyn Harness) {
    let journal = harness.open(roomy()).await;
    let mut stream = paid_handler(&*journal, "lms.enrol").await;
    let at = harness.clock_now();
    let one = tick(at, Some(message(PAID, "1")));
    harness.break_writes().await;
    assert!(journal.tick(one.clone()).await.is_err());
    harness.mend_writes().await;
    assert_eq!(journal.last_tick(NIGHTLY).await.unwrap(), None);
    assert!(journal.tick(one).await.unwrap());
    assert_eq!(data(&take_one(&mut stream).await), "1");
    nothing_else_waits(&*journal, &mut stream).await;
}
