//! What every engine promises. An engine's test file implements [`Harness`] and names it in `conformance!`.

pub(crate) mod deliver;
pub(crate) mod failures;
pub(crate) mod look;
pub(crate) mod publish;
pub(crate) mod replay;
pub(crate) mod retain;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use coordinator_journal::{
    Clock as _, Deliveries, Delivery, Durability, Failure, FailureKind, HandlerSpec, Journal,
    Limits, ManualClock, NewMessage, Receipt, Replay, Replayed, Settle, SettleOutcome, StartFrom,
    Verdict,
};
use coordinator_message::{Envelope, MessageId, MessageType, Timestamp};

pub(crate) const PAID: &str = "org.openedx.payment.received.v1";
pub(crate) const ENROLLED: &str = "org.openedx.enrolment.created.v1";
pub(crate) const HOUR: Duration = Duration::from_secs(3600);
pub(crate) const RETENTION: Duration = Duration::from_secs(24 * 3600);

/// Gives a test an engine with a storage of its own and a clock that the test moves.
#[async_trait]
pub(crate) trait Harness: Send + Sync {
    /// Opens the journal. Again on the same storage, once the one before was closed.
    async fn open(&self, limits: Limits) -> Box<dyn Journal>;
    /// The clock of every journal that it opens.
    fn clock(&self) -> &Arc<ManualClock>;
    /// What that clock says.
    fn clock_now(&self) -> Timestamp {
        self.clock().now()
    }
    /// Makes every write fail, from the next on.
    async fn break_writes(&self);
    /// Ends that.
    async fn mend_writes(&self);
}

/// Makes one test of each function of the suite.
#[macro_export]
macro_rules! conformance {
    ($harness:expr) => {
        conformance!(@tests $harness,
            publish::a_published_message_is_delivered_with_all_its_attributes,
            publish::a_duplicate_names_the_first_and_another_payload_is_a_conflict,
            publish::the_scope_of_a_key_is_publisher_and_type,
            publish::duplicates_inside_one_batch_are_one_message,
            publish::ten_concurrent_copies_are_one_message,
            publish::a_key_is_forgotten_after_the_retention,
            publish::a_key_survives_a_restart,
            publish::a_full_backlog_refuses_and_goes_on_by_itself,
            publish::a_full_journal_refuses_and_goes_on_after_retention,
            publish::what_cannot_be_written_is_refused_whole_and_goes_on_by_itself,
            deliver::each_bound_handler_gets_its_own_delivery,
            deliver::an_ack_and_its_emits_are_one_write,
            deliver::a_duplicate_emit_does_not_fail_the_ack,
            deliver::emits_pass_a_full_backlog,
            deliver::an_old_token_settles_nothing,
            deliver::what_was_handed_out_and_not_settled_comes_again_after_a_restart,
            deliver::what_was_acked_out_of_order_stays_acked_after_a_restart,
            deliver::a_failed_settle_changes_nothing_and_may_be_sent_again,
            deliver::a_new_handler_starts_now_unless_it_asks_for_the_earliest,
            deliver::a_newly_bound_type_starts_now_unless_it_asks_for_the_earliest,
            deliver::an_unbound_type_leaves_dead_letters_and_no_deliveries,
            deliver::a_straggler_does_not_hold_the_others_up,
            deliver::dropping_a_wait_loses_nothing,
            deliver::a_stream_ends_when_the_journal_is_closed,
            failures::a_retry_waits_for_its_time_and_counts_its_attempts,
            failures::a_retry_survives_a_restart,
            failures::retries_come_in_the_order_they_are_due,
            failures::panics_are_counted,
            failures::a_dead_letter_keeps_the_message_and_the_failure,
            failures::dead_letters_are_listed_by_what_they_are,
            failures::only_failures_leave_attempts,
            replay::a_dead_letter_is_delivered_again,
            replay::an_acked_message_is_delivered_again_to_that_handler_alone,
            replay::every_bound_handler_gets_a_replay_to_all,
            replay::a_second_replay_has_the_next_number_after_a_restart,
            replay::what_is_still_to_come_is_not_scheduled_twice,
            replay::an_unknown_message_or_handler_is_not_found,
            replay::a_dead_letter_outlives_its_message_and_is_replayed,
            look::messages_are_listed_by_what_they_are,
            look::messages_are_listed_by_state,
            look::pages_follow_each_other_without_gaps,
            look::a_message_is_shown_with_deliveries_attempts_and_children,
            look::counts_follow_what_happens,
            look::a_foreign_cursor_is_refused,
            retain::settled_messages_go_and_unsettled_stay,
            retain::positions_are_not_used_again,
            retain::expired_unhandled_messages_become_dead_letters,
            retain::a_message_with_a_waiting_retry_is_not_deleted,
            retain::a_handler_that_left_the_wiring_is_kept_for_one_retention,
            retain::dead_letters_and_attempts_expire,
            retain::a_failed_retention_loses_nothing,
        );
    };
    (@tests $harness:expr, $($module:ident::$name:ident,)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                conformance::$module::$name(&$harness).await;
            }
        )*
    };
}

/// Bounds that no test reaches by accident.
pub(crate) fn roomy() -> Limits {
    Limits {
        retention: RETENTION,
        max_size: 1 << 30,
        max_backlog: 1 << 20,
        ..Limits::default()
    }
}

pub(crate) fn ty(name: &str) -> MessageType {
    name.parse().unwrap()
}

/// A message of this type with this payload.
pub(crate) fn message(name: &str, data: &str) -> NewMessage {
    let now = Timestamp::now();
    let data = data.to_owned().into();
    NewMessage {
        envelope: Envelope::new(MessageId::new(now), ty(name), "/plugins/stripe", now, data),
        publisher: "plugin/stripe".to_owned(),
        idempotency_key: None,
        deliver_at: None,
    }
}

/// The same with an idempotency key.
pub(crate) fn keyed(name: &str, data: &str, key: &str) -> NewMessage {
    NewMessage {
        idempotency_key: Some(key.to_owned()),
        ..message(name, data)
    }
}

pub(crate) async fn publish(journal: &dyn Journal, message: NewMessage) -> Receipt {
    journal.publish(vec![message]).await.unwrap().remove(0)
}

/// Publishes messages with the payloads `1`, `2`, … and answers their ids.
pub(crate) async fn publish_numbers(
    journal: &dyn Journal,
    name: &str,
    count: usize,
) -> Vec<MessageId> {
    let batch = (1..=count)
        .map(|number| message(name, &number.to_string()))
        .collect();
    journal
        .publish(batch)
        .await
        .unwrap()
        .into_iter()
        .map(|receipt| receipt.id)
        .collect()
}

pub(crate) fn spec(id: &str, types: &[&str], from: StartFrom) -> HandlerSpec {
    HandlerSpec {
        from,
        ..HandlerSpec::new(id.to_owned(), types.iter().map(|name| ty(name)).collect())
    }
}

/// Opens a handler of [`PAID`] that starts now.
pub(crate) async fn paid_handler(journal: &dyn Journal, id: &str) -> Box<dyn Deliveries> {
    journal
        .open(spec(id, &[PAID], StartFrom::Now))
        .await
        .unwrap()
}

/// Waits for exactly `count` deliveries. The limit of its patience is for a hung test, not an expectation.
pub(crate) async fn take(stream: &mut Box<dyn Deliveries>, count: usize) -> Vec<Delivery> {
    let mut taken = Vec::new();
    while taken.len() < count {
        let next = tokio::time::timeout(Duration::from_secs(60), stream.next(count - taken.len()));
        let next = next.await.expect("deliveries should come").unwrap();
        assert!(!next.is_empty(), "the stream ended");
        taken.extend(next);
    }
    taken
}

pub(crate) async fn take_one(stream: &mut Box<dyn Deliveries>) -> Delivery {
    take(stream, 1).await.remove(0)
}

/// Proves that nothing else waits: the next delivery is that of a message published now.
pub(crate) async fn nothing_else_waits(journal: &dyn Journal, stream: &mut Box<dyn Deliveries>) {
    let marker = publish(journal, message(PAID, "\"marker\"")).await;
    let next = take_one(stream).await;
    assert_eq!(
        next.message.id,
        marker.id,
        "`{}` was delivered instead",
        data(&next)
    );
    ack(journal, &next).await;
}

pub(crate) fn data(delivery: &Delivery) -> String {
    String::from_utf8(delivery.message.data.to_vec()).unwrap()
}

pub(crate) fn texts(deliveries: &[Delivery]) -> Vec<String> {
    deliveries.iter().map(data).collect()
}

pub(crate) async fn settle(
    journal: &dyn Journal,
    delivery: &Delivery,
    verdict: Verdict,
) -> SettleOutcome {
    let settle = Settle {
        token: delivery.token.clone(),
        verdict,
    };
    journal.settle(vec![settle]).await.unwrap()[0]
}

pub(crate) async fn ack(journal: &dyn Journal, delivery: &Delivery) {
    let outcome = settle(journal, delivery, Verdict::Ack { emits: Vec::new() }).await;
    assert_eq!(outcome, SettleOutcome::Settled);
}

pub(crate) async fn retry(journal: &dyn Journal, delivery: &Delivery, due: Timestamp) {
    let verdict = Verdict::Retry {
        due,
        failure: failure(FailureKind::Retry, "LMS answered 503"),
    };
    assert_eq!(
        settle(journal, delivery, verdict).await,
        SettleOutcome::Settled
    );
}

pub(crate) async fn kill(journal: &dyn Journal, delivery: &Delivery) {
    let verdict = Verdict::Dead {
        failure: failure(FailureKind::Refused, "LMS answered 422"),
    };
    assert_eq!(
        settle(journal, delivery, verdict).await,
        SettleOutcome::Settled
    );
}

/// Delivers a message again; answers how many deliveries that are.
pub(crate) async fn replay(
    journal: &dyn Journal,
    message: MessageId,
    handler: Option<&str>,
) -> u64 {
    let replay = Replay {
        message,
        handler: handler.map(str::to_owned),
        due: None,
    };
    match journal.replay(vec![replay]).await.unwrap()[..] {
        [Replayed::Scheduled(count)] => count,
        ref other => panic!("{other:?}"),
    }
}

pub(crate) fn failure(kind: FailureKind, text: &str) -> Failure {
    Failure {
        kind,
        chain: vec![text.to_owned()],
        started: Timestamp::from_millis(1),
        ran_ms: 7,
    }
}

/// What `delivery` emits at `index`, as the dispatcher makes it.
pub(crate) fn emit(delivery: &Delivery, index: u32, name: &str, data: &str) -> NewMessage {
    let mut new = message(name, data);
    new.envelope.id = delivery.emit_id(index);
    new.envelope.cause = Some(delivery.message.id);
    new.envelope.correlation = delivery.message.correlation;
    new
}

/// What a receipt of this suite says.
pub(crate) const STRICT: Durability = Durability::Strict;
