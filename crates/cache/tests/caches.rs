//! What the cache promises, in memory and on a real Redis server.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "caches/channels.rs"]
mod channels;
#[path = "caches/locks.rs"]
mod locks;
#[path = "caches/outage.rs"]
mod outage;
#[expect(dead_code, reason = "the journal's tests use the rest of it")]
#[path = "../../journal/tests/redis/server.rs"]
mod server;
#[path = "caches/stage.rs"]
mod stage;
#[path = "caches/values.rs"]
mod values;

/// Each promise as a test of both engines.
macro_rules! promises {
    ($($room:ident :: $promise:ident,)*) => {
        mod memory {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $promise() {
                crate::$room::$promise(&crate::stage::Stage::memory()).await;
            })*
        }
        mod redis {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $promise() {
                crate::$room::$promise(&crate::stage::Stage::redis()).await;
            })*
        }
    };
}

promises! {
    values::a_value_is_kept_until_it_is_deleted,
    values::a_value_is_gone_once_its_time_is_over,
    values::a_value_set_again_has_the_new_time_only,
    values::of_many_who_add_one_succeeds,
    values::numbers_add_up_whoever_counts,
    values::a_number_keeps_the_time_it_was_created_with,
    values::what_is_no_number_or_too_large_a_sum_is_refused,
    values::spaces_do_not_reach_each_other,
    values::what_is_too_long_or_too_large_is_refused,
    locks::one_holds_a_lock_until_it_lets_go,
    locks::who_lost_a_lock_cannot_extend_or_release_it,
    locks::an_extended_lock_lives_on,
    locks::many_who_want_a_lock_have_it_one_at_a_time,
    locks::the_first_within_its_time_is_the_first_once,
    channels::what_is_said_is_heard_by_everybody_who_listens,
    channels::who_comes_later_is_told_to_look_for_itself,
}
