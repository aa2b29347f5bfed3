//! A file that an earlier version made is brought up to date, with everything that was in it.

use coordinator_journal::sqlite::SqliteJournal;
use coordinator_journal::{Journal, MessageQuery};
use coordinator_message::{MessageId, Timestamp};
use sea_orm::sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode};
use sea_orm::sqlx::{Connection as _, SqliteConnection, query, query_scalar, raw_sql};

use crate::conformance::{self, Harness as _, PAID};
use crate::harness::SqliteHarness;

const FIRST_SCHEMA: &str = include_str!("../../../../migrations/journal/0001_log.sql");
const FAILED: &str =
    r#"{"kind":"retry","chain":["LMS answered 503"],"started":"2026-01-02T03:04:05Z","ran_ms":1}"#;

/// Of the messages 1 to 4 in the log, the first is done, the second waits for its next attempt, the third is dead and
/// the fourth was not looked at yet.
const CONTENT: &str = "
    INSERT INTO handler VALUES (1, 'lms.enrol', 3, x'', 0);
    INSERT INTO binding VALUES (1, 1, 0);
    INSERT INTO exception VALUES (1, 2, 1, 0, 0, 9);
    INSERT INTO attempt SELECT 2, 1, 0, 1, 7, failure FROM failed;
    INSERT INTO dead SELECT NULL, 1, 3, 8, 1, failure, id, type, accepted, source, subject, time, ordering_key, lane,
        correlation, cause, trace, data FROM message, failed WHERE seq = 3;
    DROP TABLE failed;
    PRAGMA user_version = 1;";

/// A file as the first version left it; answers the ids of its messages.
async fn first_version(harness: &SqliteHarness) -> Vec<MessageId> {
    let options = SqliteConnectOptions::new()
        .filename(harness.dir().join("journal.db"))
        .create_if_missing(true)
        .page_size(8192)
        .journal_mode(SqliteJournalMode::Wal);
    let mut file = SqliteConnection::connect_with(&options).await.unwrap();
    raw_sql(FIRST_SCHEMA).execute(&mut file).await.unwrap();
    query("INSERT INTO type VALUES (1, ?)")
        .bind(PAID)
        .execute(&mut file)
        .await
        .unwrap();
    let now = harness.clock_now();
    let mut ids = Vec::new();
    for number in 1_i64..=4 {
        let id = MessageId::new(now);
        query("INSERT INTO message (seq, id, type, accepted, source, time, data) VALUES (?, ?, 1, ?, '/old', ?, ?)")
            .bind(number)
            .bind(&id.as_bytes()[..])
            .bind(now.as_millis() + number)
            .bind(now.as_millis())
            .bind(number.to_string().into_bytes())
            .execute(&mut file)
            .await
            .unwrap();
        ids.push(id);
    }
    query("CREATE TABLE failed AS SELECT ? AS failure")
        .bind(FAILED)
        .execute(&mut file)
        .await
        .unwrap();
    raw_sql(CONTENT).execute(&mut file).await.unwrap();
    file.close().await.unwrap();
    ids
}

#[tokio::test]
async fn a_file_of_the_first_version_goes_on_where_it_was() {
    let harness = SqliteHarness::new();
    let ids = first_version(&harness).await;
    let journal = harness.open(conformance::roomy()).await;
    let mut enrol = conformance::paid_handler(&*journal, "lms.enrol").await;
    let mut waiting = conformance::take(&mut enrol, 2).await;
    waiting.sort_by_key(conformance::data);
    let attempts = waiting
        .iter()
        .map(|delivery| (delivery.message.id, delivery.attempt));
    assert_eq!(
        attempts.collect::<Vec<_>>(),
        [(ids[1], 2), (ids[3], 1)],
        "the retry and what was not looked at"
    );
    conformance::ack_all(&*journal, &waiting).await;
    conformance::nothing_else_waits(&*journal, &mut enrol).await;
    let dead = conformance::dead_letters(&*journal).await;
    assert_eq!(dead.len(), 1);
    assert_eq!(dead[0].message.id, ids[2]);
    assert_eq!(dead[0].failure.chain, ["LMS answered 503"]);
    journal.close().await;
}

#[tokio::test]
async fn a_time_is_found_in_a_file_of_the_first_version() {
    let harness = SqliteHarness::new();
    let ids = first_version(&harness).await;
    let journal = harness.open(conformance::roomy()).await;
    let third = harness.clock_now().as_millis() + 3;
    let query = MessageQuery {
        since: Some(Timestamp::from_millis(third)),
        oldest_first: true,
        limit: 10,
        ..MessageQuery::default()
    };
    let found = journal.messages(query).await.unwrap().items;
    let found = found.iter().map(|record| record.message.id);
    assert_eq!(found.collect::<Vec<_>>(), ids[2..]);
    journal.close().await;
}

#[tokio::test]
async fn an_upgraded_file_has_the_schema_of_a_new_one() {
    let schema = async |harness: &SqliteHarness| {
        SqliteJournal::open(harness.options(conformance::roomy()))
            .await
            .unwrap()
            .close()
            .await;
        let mut file = harness.connection().await;
        let names: Vec<String> = query_scalar(
            "SELECT type || ' ' || name || ' ' || coalesce(sql, '') FROM sqlite_schema ORDER BY 1",
        )
        .fetch_all(&mut file)
        .await
        .unwrap();
        names
    };
    let (old, new) = (SqliteHarness::new(), SqliteHarness::new());
    first_version(&old).await;
    assert_eq!(schema(&old).await, schema(&new).await);
}
