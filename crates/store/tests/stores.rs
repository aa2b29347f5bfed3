//! What the store promises, on SQLite and on MariaDB.
//!
//! MariaDB is the server where `COORDINATOR_TEST_MYSQL` says, or at 127.0.0.1:3306 with the user `root` and no password;
//! where none lets us in, one is started. Each test has a database of its own, which goes with it.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "stores/audit.rs"]
mod audit;
#[path = "stores/changes.rs"]
mod changes;
#[path = "stores/crowd.rs"]
mod crowd;
#[path = "stores/database.rs"]
mod database;
#[path = "stores/opening.rs"]
mod opening;
#[path = "stores/outage.rs"]
mod outage;
#[path = "stores/plugins.rs"]
mod plugins;
#[path = "stores/server.rs"]
mod server;

/// Each promise as a test on both databases.
macro_rules! promises {
    ($($room:ident :: $promise:ident,)*) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $promise() {
                crate::$room::$promise(&crate::database::Database::sqlite()).await;
            })*
        }
        mod mariadb {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $promise() {
                crate::$room::$promise(&crate::database::Database::mariadb().await).await;
            })*
        }
    };
}

promises! {
    opening::a_database_is_migrated_once_and_says_so,
    opening::hosts_that_start_together_migrate_once,
    opening::a_database_without_tables_says_what_to_do,
    opening::a_database_of_a_later_version_is_left_alone,
    opening::who_only_looks_sees_what_is_in_force_and_makes_nothing,
    changes::a_change_set_is_made_as_a_whole_or_not_at_all,
    changes::a_change_that_was_planned_for_another_revision_is_refused,
    changes::what_is_so_already_makes_no_revision,
    changes::every_change_is_in_the_history_with_before_and_after,
    changes::every_earlier_state_can_be_gone_back_to,
    changes::keys_and_values_are_kept_letter_by_letter,
    plugins::a_plugin_goes_through_its_versions_and_back,
    plugins::a_rollback_skips_what_was_rolled_back_before,
    plugins::what_cannot_be_installed_leaves_nothing_behind,
    plugins::an_uninstalled_plugin_takes_its_overrides_along,
    audit::the_log_holds_until_a_row_is_changed,
    audit::a_row_that_is_gone_is_missed_also_at_the_end,
    audit::a_log_that_was_rewritten_as_a_whole_differs_from_what_was_kept,
    audit::the_log_is_found_by_who_what_and_when_page_by_page,
    audit::an_entry_that_is_too_long_is_written_all_the_same,
    crowd::eight_hosts_count_together_and_no_count_is_lost,
    crowd::eight_hosts_write_one_log_that_does_not_fork,
    crowd::what_was_broken_off_is_there_as_a_whole_or_not_at_all,
}
