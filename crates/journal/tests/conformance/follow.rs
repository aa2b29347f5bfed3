//! What operators search and follow, and the states of order and delay.

use std::collections::BTreeSet;

use coordinator_journal::{Control, MessageQuery, MessageState, NewMessage};

use super::*;

/// The payloads of one page, and where to go on.
async fn page(journal: &dyn Journal, query: MessageQuery) -> (Vec<String>, Option<String>) {
    let page = journal.messages(query).await.unwrap();
    let payload = |data: &[u8]| String::from_utf8(data.to_vec()).unwrap();
    let items = page.items.iter();
    (
        items.map(|record| payload(&record.message.data)).collect(),
        page.next,
    )
}

/// All payloads that match, however many pages that takes.
async fn all(journal: &dyn Journal, query: MessageQuery) -> Vec<String> {
    let mut found = Vec::new();
    let mut cursor = None;
    loop {
        let query = MessageQuery {
            cursor,
            limit: 50,
            ..query.clone()
        };
        let (items, next) = page(journal, query).await;
        found.extend(items);
        cursor = next;
        if cursor.is_none() {
            return found;
        }
    }
}

pub(crate) async fn messages_are_found_by_source_and_text(harness: &dyn Harness) {
    let journal = harness.open(roomy()).await;
    let from = |source: &str, data: &str| {
        let mut new = message(PAID, data);
        new.envelope.source = source.to_owned();
        new
    };
    for new in [
        from("/plugins/stripe", r#"{"order": "EDX-1"}"#),
        from("/plugins/paypal", r#"{"order": "EDX-2"}"#),
        from("/plugins/stripe", r#"{"note": "100% Grüße_"}"#),
    ] {
        publish(&*journal, new).await;
        harness.clock().advance(HOUR);
    }
    let source = |source: &str| MessageQuery {
        source: Some(source.to_owned()),
        ..MessageQuery::default()
    };
    let text = |text: &str| MessageQuery {
        text: Some(text.to_owned()),
        ..MessageQuery::default()
    };
    for (query, found) in [
        (source("/plugins/stripe"), 2),
        (source("/plugins/paypal"), 1),
        (source("/plugins"), 0),
        (text("EDX-"), 2),
        (text("EDX-2"), 1),
        (text("Grüße"), 1),
        // What a pattern would take for something else.
        (text("0% G"), 1),
        (text("1%"), 0),
        (text("EDX_2"), 0),
        (text("*"), 0),
        (text("no such"), 0),
        (
            MessageQuery {
                text: Some("EDX".to_owned()),
                ..source("/plugins/stripe")
            },
            1,
        ),
    ] {
        let listed = all(&*journal, query.clone()).await;
        assert_eq!(listed.len(), found, "{query:?}: {listed:?}");
    }
}

pub(crate) async fn new_messages_are_followed_without_gaps_or_repeats(harness: &dyn Harness) {
    let journal = harness.open(roomy()).await;
    let follow = |cursor: Option<String>| MessageQuery {
        oldest_first: true,
        limit: 4,
        cursor,
        ..MessageQuery::default()
    };
    let (items, mut cursor) = page(&*journal, follow(None)).await;
    assert!(items.is_empty());
    assert!(
        cursor.is_some(),
        "also of an empty log it is told where to go on"
    );
    let mut published = 0;
    let mut seen: Vec<usize> = Vec::new();
    for batch in [3, 0, 9, 1, 0, 6] {
        for _ in 0..batch {
            published += 1;
            publish(&*journal, message(PAID, &published.to_string())).await;
        }
        if batch == 9 {
            harness.clock().advance(HOUR);
        }
        // Pages until one is empty: then everything that was there has been seen.
        loop {
            let (items, next) = page(&*journal, follow(cursor.take())).await;
            assert!(next.is_some());
            cursor = next;
            if items.is_empty() {
                break;
            }
            seen.extend(items.iter().map(|item| item.parse::<usize>().unwrap()));
        }
        assert_eq!(seen, (1..=published).collect::<Vec<_>>());
    }
}

pub(crate) async fn messages_of_many_keys_and_types_are_followed_once_each(harness: &dyn Harness) {
    let journal = harness.open(roomy()).await;
    let mut published = BTreeSet::new();
    let mut seen = Vec::new();
    let mut cursor = None;
    for round in 0..6 {
        let batch: Vec<NewMessage> = (0..10)
            .map(|number| {
                let name = if number % 3 == 0 { ENROLLED } else { PAID };
                in_key(name, &format!("k{number}"), &format!("{round}.{number}"))
            })
            .collect();
        for new in batch {
            published.insert(String::from_utf8(new.envelope.data.to_vec()).unwrap());
            publish(&*journal, new).await;
        }
        harness.clock().advance(Duration::from_secs(1));
        loop {
            let query = MessageQuery {
                oldest_first: true,
                limit: 7,
                cursor: cursor.take(),
                ..MessageQuery::default()
            };
            let (items, next) = page(&*journal, query).await;
            cursor = next;
            if items.is_empty() {
                break;
            }
            seen.extend(items);
        }
        assert_eq!(seen.len(), published.len(), "round {round}");
    }
    assert_eq!(seen.into_iter().collect::<BTreeSet<_>>(), published);
}

pub(crate) async fn oldest_first_is_newest_first_turned_round(harness: &dyn Harness) {
    let journal = harness.open(roomy()).await;
    for number in 1..=9 {
        let name = if number % 2 == 0 { ENROLLED } else { PAID };
        publish(&*journal, message(name, &number.to_string())).await;
        harness.clock().advance(HOUR);
    }
    let newest = all(&*journal, MessageQuery::default()).await;
    let query = MessageQuery {
        oldest_first: true,
        limit: 100,
        ..MessageQuery::default()
    };
    let (oldest, _) = page(&*journal, query.clone()).await;
    assert_eq!(oldest.len(), 9);
    assert!(oldest.iter().eq(newest.iter().rev()), "{oldest:?}");
    let query = MessageQuery {
        ty: Some(ty(ENROLLED)),
        ..query
    };
    assert_eq!(page(&*journal, query).await.0, ["2", "4", "6", "8"]);
}

pub(crate) async fn parked_and_delayed_messages_are_listed_by_state(harness: &dyn Harness) {
    let journal = harness.open(roomy()).await;
    let mut stream = ordered_handler(&*journal, "lms.enrol").await;
    publish_letters(&*journal, &["a1", "b1"]).await;
    let at = harness.clock_now().after(HOUR);
    publish(&*journal, later(PAID, "later", at)).await;
    let mut heads = take(&mut stream, 2).await;
    heads.sort_by_key(data);
    park(&*journal, &heads[0]).await;
    ack(&*journal, &heads[1]).await;
    for handler in [None, Some("lms.enrol".to_owned())] {
        let state = |state| MessageQuery {
            state: Some(state),
            handler: handler.clone(),
            ..MessageQuery::default()
        };
        assert_eq!(all(&*journal, state(MessageState::Parked)).await, ["a1"]);
        assert_eq!(all(&*journal, state(MessageState::Acked)).await, ["b1"]);
    }
    let delayed = MessageQuery {
        state: Some(MessageState::Delayed),
        ..MessageQuery::default()
    };
    assert_eq!(all(&*journal, delayed).await, ["later"]);
}

pub(crate) async fn what_is_parked_paused_and_delayed_is_counted(harness: &dyn Harness) {
    let journal = harness.open(roomy()).await;
    let mut stream = ordered_handler(&*journal, "lms.enrol").await;
    let stats = journal.stats().await.unwrap();
    assert!(!stats.engine.trim().is_empty());
    assert!(!stats.engine.contains('\n'), "{}", stats.engine);
    assert_eq!((stats.delayed, stats.handlers[0].parked), (0, 0));
    publish_letters(&*journal, &["a1", "b1", "c1"]).await;
    let at = harness.clock_now().after(HOUR);
    let batch = ["1", "2"].map(|data| later(PAID, data, at));
    journal.publish(batch.into()).await.unwrap();
    let mut heads = take(&mut stream, 3).await;
    heads.sort_by_key(data);
    park(&*journal, &heads[0]).await;
    park(&*journal, &heads[1]).await;
    control(&*journal, "lms.enrol", Control::Pause).await;
    drop(stream);
    let mut journal = journal;
    for ending in Ending::BOTH {
        journal = again(harness, journal, ending).await;
        let stats = journal.stats().await.unwrap();
        let handler = &stats.handlers[0];
        assert_eq!((stats.delayed, handler.parked), (2, 2), "{ending:?}");
        assert!(handler.paused, "{ending:?}");
        assert_eq!((handler.lag, handler.running, stats.dead), (3, 0, 0));
    }
}
