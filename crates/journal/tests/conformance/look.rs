//! What operators look at.

use coordinator_journal::{DeliveryState, MessageQuery, MessageState, StartFrom};

use super::*;

/// The payloads of the messages that match, newest first.
async fn listed(journal: &dyn Journal, query: MessageQuery) -> Vec<String> {
    let page = journal
        .messages(MessageQuery {
            limit: 100,
            ..query
        })
        .await
        .unwrap();
    assert_eq!(page.next, None);
    let payload = |data: &[u8]| String::from_utf8(data.to_vec()).unwrap();
    page.items
        .iter()
        .map(|record| payload(&record.message.data))
        .collect()
}

pub(crate) async fn messages_are_listed_by_what_they_are(harness: &dyn Harness) {
    let journal = harness.open(roomy()).await;
    let start = harness.clock_now();
    let mut first = message(PAID, "1");
    first.envelope.key = Some("order-7".to_owned());
    let correlation = first.envelope.id;
    let mut second = message(ENROLLED, "2");
    second.envelope.correlation = correlation;
    publish(&*journal, first).await;
    harness.clock().advance(HOUR);
    publish(&*journal, second).await;
    harness.clock().advance(HOUR);
    publish(&*journal, message(PAID, "3")).await;
    let all = MessageQuery::default;
    let since = Some(start.after(HOUR));
    let key = Some("order-7".to_owned());
    let nobody = Some(ty("org.never.seen.v1"));
    for (query, expected) in [
        (all(), &["3", "2", "1"][..]),
        (
            MessageQuery {
                ty: Some(ty(PAID)),
                ..all()
            },
            &["3", "1"],
        ),
        (
            MessageQuery {
                ty: nobody,
                ..all()
            },
            &[],
        ),
        (MessageQuery { key, ..all() }, &["1"]),
        (
            MessageQuery {
                correlation: Some(correlation),
                ..all()
            },
            &["2", "1"],
        ),
        (MessageQuery { since, ..all() }, &["3", "2"]),
        (
            MessageQuery {
                until: since,
                ..all()
            },
            &["1"],
        ),
    ] {
        assert_eq!(
            listed(&*journal, query.clone()).await,
            expected,
            "{query:?}"
        );
    }
}

pub(crate) async fn messages_are_listed_by_state(harness: &dyn Harness) {
    let journal = harness.open(roomy()).await;
    publish(&*journal, message(ENROLLED, "\"unhandled\"")).await;
    let mut lms = paid_handler(&*journal, "lms.enrol").await;
    let mut audit = paid_handler(&*journal, "audit.note").await;
    let batch =
        ["\"acked\"", "\"dead\"", "\"retrying\"", "\"running\""].map(|state| message(PAID, state));
    journal.publish(batch.into()).await.unwrap();
    for delivery in take(&mut audit, 4).await {
        ack(&*journal, &delivery).await;
    }
    let deliveries = take(&mut lms, 4).await;
    ack(&*journal, &deliveries[0]).await;
    kill(&*journal, &deliveries[1]).await;
    retry(&*journal, &deliveries[2], harness.clock_now().after(HOUR)).await;
    let all = MessageQuery::default;
    for (state, expected) in [
        (MessageState::Unhandled, "\"unhandled\""),
        (MessageState::Acked, "\"acked\""),
        (MessageState::Dead, "\"dead\""),
        (MessageState::Retrying, "\"retrying\""),
        (MessageState::Pending, "\"running\""),
    ] {
        assert_eq!(
            listed(
                &*journal,
                MessageQuery {
                    state: Some(state),
                    ..all()
                }
            )
            .await,
            [expected]
        );
    }
    // For one handler, its own state counts.
    let of_audit = |state| MessageQuery {
        state,
        handler: Some("audit.note".to_owned()),
        ..all()
    };
    assert_eq!(
        listed(&*journal, of_audit(Some(MessageState::Acked)))
            .await
            .len(),
        4
    );
    assert!(
        listed(&*journal, of_audit(Some(MessageState::Dead)))
            .await
            .is_empty()
    );
    assert_eq!(listed(&*journal, of_audit(None)).await.len(), 4);
}

pub(crate) async fn pages_follow_each_other_without_gaps(harness: &dyn Harness) {
    let journal = harness.open(roomy()).await;
    let mut stream = paid_handler(&*journal, "lms.enrol").await;
    let ids = publish_numbers(&*journal, PAID, 7).await;
    for delivery in take(&mut stream, 7).await {
        kill(&*journal, &delivery).await;
    }
    let mut seen = Vec::new();
    let mut cursor = None;
    loop {
        let query = MessageQuery {
            cursor,
            limit: 3,
            state: Some(MessageState::Dead),
            ..MessageQuery::default()
        };
        let page = journal.messages(query).await.unwrap();
        seen.extend(page.items.iter().map(|record| record.message.id));
        // What comes meanwhile is newer than every page to come.
        publish(&*journal, message(ENROLLED, "0")).await;
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(seen, ids.iter().rev().copied().collect::<Vec<_>>());
    let mut letters = Vec::new();
    let mut cursor = None;
    loop {
        let query = coordinator_journal::DeadLetterQuery {
            cursor,
            limit: 3,
            ..Default::default()
        };
        let page = journal.dead_letters(query).await.unwrap();
        letters.extend(page.items.iter().map(|letter| letter.message.id));
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(letters, seen);
}

pub(crate) async fn a_message_is_shown_with_deliveries_attempts_and_children(
    harness: &dyn Harness,
) {
    let journal = harness.open(roomy()).await;
    let mut lms = paid_handler(&*journal, "lms.enrol").await;
    let _waits = paid_handler(&*journal, "mail.send").await;
    let id = publish(&*journal, message(PAID, "1")).await.id;
    let first = take_one(&mut lms).await;
    retry(&*journal, &first, harness.clock_now()).await;
    let second = take_one(&mut lms).await;
    let emits = vec![
        emit(&second, 0, ENROLLED, "2"),
        emit(&second, 1, ENROLLED, "3"),
    ];
    let children: Vec<_> = emits.iter().map(|emit| emit.envelope.id).collect();
    settle(&*journal, &second, Verdict::Ack { emits }).await;
    let detail = journal.message(id).await.unwrap().unwrap();
    assert_eq!(detail.children, children);
    assert_eq!(detail.record.state, MessageState::Pending);
    assert_eq!(detail.record.message, first.message);
    let states: Vec<_> = detail
        .deliveries
        .iter()
        .map(|one| (one.handler.as_str(), one.state))
        .collect();
    assert_eq!(
        states,
        [
            ("lms.enrol", DeliveryState::Acked),
            ("mail.send", DeliveryState::Pending)
        ]
    );
    let attempt = &detail.deliveries[0].attempts[0];
    assert_eq!((attempt.replay, attempt.attempt), (0, 1));
    assert_eq!(
        attempt.failure,
        failure(FailureKind::Retry, "LMS answered 503")
    );
    assert!(
        journal
            .message(MessageId::new(Timestamp::now()))
            .await
            .unwrap()
            .is_none()
    );
}

pub(crate) async fn counts_follow_what_happens(harness: &dyn Harness) {
    let journal = harness.open(roomy()).await;
    let mut stream = journal
        .open(spec("lms.enrol", &[PAID, ENROLLED], StartFrom::Now))
        .await
        .unwrap();
    publish_numbers(&*journal, PAID, 4).await;
    harness.clock().advance(HOUR);
    publish(&*journal, message("org.other.thing.v1", "0")).await;
    let deliveries = take(&mut stream, 3).await;
    kill(&*journal, &deliveries[0]).await;
    retry(&*journal, &deliveries[1], harness.clock_now().after(HOUR)).await;
    let check = |stats: coordinator_journal::Stats, running: u64| {
        let handler = &stats.handlers[0];
        assert_eq!(
            (stats.messages, stats.dead, stats.durability),
            (5, 1, STRICT)
        );
        assert!(stats.size > 0);
        assert_eq!(
            (handler.handler.as_str(), handler.types.len()),
            ("lms.enrol", 2)
        );
        assert_eq!((handler.lag, handler.retrying, handler.dead), (3, 1, 1));
        assert_eq!((handler.running, handler.oldest), (running, Some(HOUR)));
        handler.open
    };
    assert!(check(journal.stats().await.unwrap(), 1));
    journal.close().await;
    let journal = harness.open(roomy()).await;
    assert!(!check(journal.stats().await.unwrap(), 0));
}

pub(crate) async fn a_foreign_cursor_is_refused(harness: &dyn Harness) {
    let journal = harness.open(roomy()).await;
    for cursor in ["", "newest", "-1", "99999999999999999999999999"] {
        let query = MessageQuery {
            cursor: Some(cursor.to_owned()),
            ..MessageQuery::default()
        };
        assert!(journal.messages(query).await.is_err(), "{cursor}");
    }
}
