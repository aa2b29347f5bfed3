//! What may have killed the process runs alone, and nothing else waits for it.

use std::time::Duration;

use coordinator_journal::sqlite::{OpenError, SqliteJournal};
use coordinator_journal::{Absence, Deliveries, Journal, StartFrom};

use crate::conformance::{self, ENROLLED, Ending, Harness, PAID, again, message, spec};
use crate::harness::SqliteHarness;

/// Long enough for what is due to come.
const MOMENT: Duration = Duration::from_millis(200);

type Stream = Box<dyn Deliveries>;

async fn mail_handler(journal: &dyn Journal) -> Stream {
    let spec = spec("mail.send", &[ENROLLED], StartFrom::Now);
    journal.open(spec).await.unwrap()
}

/// Nothing comes, whatever time it is given.
async fn nothing_comes(stream: &mut Stream) {
    let nothing = tokio::time::timeout(MOMENT, stream.next(1)).await;
    assert!(nothing.is_err(), "{nothing:?}");
}

/// Opens two handlers, and lets the process die twice with what both run: two deliveries each.
async fn died_twice(harness: &SqliteHarness) -> (Box<dyn Journal>, Stream, Stream) {
    let mut journal = harness.open(conformance::roomy()).await;
    for round in 0..2 {
        let mut lms = conformance::paid_handler(&*journal, "lms.enrol").await;
        let mut mail = mail_handler(&*journal).await;
        if round == 0 {
            conformance::publish_numbers(&*journal, PAID, 2).await;
            conformance::publish_numbers(&*journal, ENROLLED, 2).await;
        }
        for stream in [&mut lms, &mut mail] {
            let out = conformance::take(stream, 2).await;
            assert!(out.iter().all(|one| one.crashes == round));
        }
        drop((lms, mail));
        journal = again(harness, journal, Ending::Crash).await;
    }
    let lms = conformance::paid_handler(&*journal, "lms.enrol").await;
    let mail = mail_handler(&*journal).await;
    (journal, lms, mail)
}

#[tokio::test]
async fn suspects_of_all_handlers_run_one_at_a_time_and_what_is_new_flows_on() {
    let harness = SqliteHarness::new();
    let (journal, mut lms, mut mail) = died_twice(&harness).await;
    let first = conformance::take_one(&mut lms).await;
    assert_eq!(first.crashes, 2);
    for (name, stream) in [(PAID, &mut lms), (ENROLLED, &mut mail)] {
        nothing_comes(stream).await;
        let new = conformance::publish(&*journal, message(name, "3")).await;
        let next = conformance::take_one(stream).await;
        assert_eq!((next.message.id, next.crashes), (new.id, 0));
        conformance::ack(&*journal, &next).await;
    }
    // Given back, it does not stand in the way of the others.
    let later = harness.clock_now().after(Duration::from_secs(60));
    conformance::release(&*journal, &first, Some(later)).await;
    for _ in 0..2 {
        let next = conformance::take_one(&mut mail).await;
        assert_eq!(next.crashes, 2);
        nothing_comes(&mut lms).await;
        conformance::ack(&*journal, &next).await;
    }
    let second = conformance::take_one(&mut lms).await;
    assert_ne!(second.message.id, first.message.id);
    conformance::ack(&*journal, &second).await;
    harness.clock().advance(Duration::from_secs(60));
    let first = conformance::take_one(&mut lms).await;
    assert_eq!((first.attempt, first.crashes), (1, 2));
    conformance::ack(&*journal, &first).await;
    conformance::nothing_else_waits(&*journal, &mut lms).await;
    journal.close().await;
}

#[tokio::test]
async fn a_suspect_whose_handler_leaves_does_not_stand_in_the_way() {
    let harness = SqliteHarness::new();
    let (journal, mut lms, mut mail) = died_twice(&harness).await;
    let first = conformance::take_one(&mut lms).await;
    assert_eq!(first.crashes, 2);
    nothing_comes(&mut mail).await;
    let leave = journal.leave("lms.enrol", Absence::Waiting);
    leave.await.unwrap();
    let next = conformance::take_one(&mut mail).await;
    assert_eq!(next.crashes, 2);
    journal.close().await;
}

#[tokio::test]
async fn what_is_left_of_a_file_that_is_not_readable_blames_nobody() {
    let harness = SqliteHarness::new();
    let journal = harness.open(conformance::roomy()).await;
    let mut stream = conformance::paid_handler(&*journal, "lms.enrol").await;
    conformance::publish_numbers(&*journal, PAID, 1).await;
    conformance::take_one(&mut stream).await;
    drop(stream);
    harness.crash(journal).await;
    std::fs::write(harness.dir().join("journal.running"), [0xff; 4096]).unwrap();
    let journal = harness.open(conformance::roomy()).await;
    let mut stream = conformance::paid_handler(&*journal, "lms.enrol").await;
    assert_eq!(conformance::take_one(&mut stream).await.crashes, 0);
    journal.close().await;
}

#[tokio::test]
async fn a_suspect_that_is_tried_again_is_alone_again() {
    let harness = SqliteHarness::new();
    let (journal, mut lms, mut mail) = died_twice(&harness).await;
    let first = conformance::take_one(&mut lms).await;
    let later = harness.clock_now().after(Duration::from_secs(60));
    conformance::retry(&*journal, &first, later).await;
    for of_lms in [true, false, false] {
        let stream = if of_lms { &mut lms } else { &mut mail };
        let next = conformance::take_one(stream).await;
        assert_eq!((next.attempt, next.crashes), (1, 2));
        conformance::ack(&*journal, &next).await;
    }
    drop((lms, mail));
    let journal = again(&harness, journal, Ending::Crash).await;
    let mut lms = conformance::paid_handler(&*journal, "lms.enrol").await;
    let mail = mail_handler(&*journal).await;
    // It did not run when this process died.
    nothing_comes(&mut lms).await;
    harness.clock().advance(Duration::from_secs(60));
    let first = conformance::take_one(&mut lms).await;
    assert_eq!((first.attempt, first.crashes), (2, 2));
    drop((lms, mail));
    let journal = again(&harness, journal, Ending::Crash).await;
    let mut lms = conformance::paid_handler(&*journal, "lms.enrol").await;
    let first = conformance::take_one(&mut lms).await;
    assert_eq!((first.attempt, first.crashes), (2, 3));
    let mut mail = mail_handler(&*journal).await;
    let new = conformance::publish(&*journal, message(ENROLLED, "3")).await;
    let next = conformance::take_one(&mut mail).await;
    assert_eq!((next.message.id, next.crashes), (new.id, 0));
    journal.close().await;
}

#[tokio::test]
async fn a_suspect_that_hangs_keeps_others_waiting_for_ten_seconds() {
    let harness = SqliteHarness::new();
    let (journal, mut lms, mut mail) = died_twice(&harness).await;
    let first = conformance::take_one(&mut lms).await;
    nothing_comes(&mut mail).await;
    harness.clock().advance(Duration::from_secs(10));
    let next = conformance::take_one(&mut mail).await;
    assert_eq!(next.crashes, 2);
    nothing_comes(&mut lms).await;
    conformance::ack(&*journal, &next).await;
    let second = conformance::take_one(&mut lms).await;
    conformance::ack_all(&*journal, &[first, second]).await;
    conformance::nothing_else_waits(&*journal, &mut lms).await;
    journal.close().await;
}

#[tokio::test]
async fn an_older_database_than_its_file_of_what_runs_loses_no_message() {
    let harness = SqliteHarness::new();
    let mut journal = harness.open(conformance::roomy()).await;
    drop(conformance::paid_handler(&*journal, "lms.enrol").await);
    journal.close().await;
    let backup = std::fs::read(harness.dir().join("journal.db")).unwrap();
    journal = harness.open(conformance::roomy()).await;
    conformance::publish_numbers(&*journal, PAID, 1).await;
    for _ in 0..3 {
        let mut stream = conformance::paid_handler(&*journal, "lms.enrol").await;
        conformance::take_one(&mut stream).await;
        drop(stream);
        journal = again(&harness, journal, Ending::Crash).await;
    }
    journal.close().await;
    std::fs::write(harness.dir().join("journal.db"), backup).unwrap();
    let journal = harness.open(conformance::roomy()).await;
    let mut stream = conformance::paid_handler(&*journal, "lms.enrol").await;
    let new = conformance::publish(&*journal, message(PAID, "2")).await;
    let next = conformance::take_one(&mut stream).await;
    assert_eq!((next.message.id, next.crashes), (new.id, 0));
    journal.close().await;
}

#[tokio::test]
async fn a_file_of_what_runs_that_cannot_be_opened_is_named() {
    let harness = SqliteHarness::new();
    std::fs::create_dir(harness.dir().join("journal.running")).unwrap();
    let refused = SqliteJournal::open(harness.options(conformance::roomy()))
        .await
        .unwrap_err();
    assert!(matches!(&refused, OpenError::Running { .. }), "{refused}");
    assert!(refused.to_string().contains("journal.running"), "{refused}");
    std::fs::remove_dir(harness.dir().join("journal.running")).unwrap();
    harness.open(conformance::roomy()).await.close().await;
}
