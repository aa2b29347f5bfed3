//! The first schema: plugins, overrides with their history, and the audit log.
//!
//! Every statement is repeatable: MariaDB commits each one by itself, so a migration that broke off runs again.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{
    big_integer, big_integer_null, boolean, char_len, integer, string_len, string_len_null, text,
    text_null,
};

use super::table;

/// The first schema.
pub(super) struct Platform;

impl MigrationName for Platform {
    fn name(&self) -> &'static str {
        "m0001_platform"
    }
}

#[expect(
    elided_lifetimes_in_paths,
    reason = "the trait elides it, and the macro takes the written one for another"
)]
#[async_trait::async_trait]
impl MigrationTrait for Platform {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        counters(manager).await?;
        plugins(manager).await?;
        overrides(manager).await?;
        audit(manager).await
    }
}

/// The numbers that were given last. Who changes anything locks these rows first.
async fn counters(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let mut counters = table(manager, "counters");
    counters
        .col(string_len("name", 32).primary_key())
        .col(big_integer("value"));
    manager.create_table(counters).await?;
    for name in ["audit", "revision"] {
        let mut zero = Query::insert();
        zero.into_table("counters")
            .columns(["name", "value"])
            .values([name.into(), 0_i64.into()])
            .map_err(|error| DbErr::Custom(error.to_string()))?
            .on_conflict(
                OnConflict::column("name")
                    .do_nothing_on(["name"])
                    .to_owned(),
            );
        manager.execute(zero).await?;
    }
    Ok(())
}

async fn plugins(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let mut plugins = table(manager, "plugins");
    plugins
        .col(string_len("name", 100).primary_key())
        .col(big_integer("version_id"))
        .col(boolean("enabled"))
        .col(string_len("isolation", 32))
        .col(string_len_null("floor", 100))
        .col(big_integer("installed_at"))
        .col(big_integer("revision"));
    manager.create_table(plugins).await?;
    let mut versions = table(manager, "plugin_versions");
    versions
        .col(big_integer("id").primary_key())
        .col(string_len("plugin", 100))
        .col(text("path"))
        .col(char_len("sha256", 64))
        .col(string_len("version", 100))
        .col(big_integer_null("previous"))
        .col(big_integer("added_at"))
        .col(string_len("added_by", 200))
        .index(
            Index::create()
                .name("plugin_versions_plugin")
                .col("plugin")
                .col("id")
                .unique(),
        );
    manager.create_table(versions).await
}

async fn overrides(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let mut overrides = table(manager, "overrides");
    overrides
        .col(string_len("key", 500).primary_key())
        .col(text("value"))
        .col(big_integer("revision"));
    manager.create_table(overrides).await?;
    let mut revisions = table(manager, "revisions");
    revisions
        .col(big_integer("number").primary_key())
        .col(big_integer("at"))
        .col(string_len("actor", 200))
        .col(string_len("action", 100))
        .col(string_len("subject", 500))
        .col(text_null("reason"))
        .col(big_integer_null("reverts"));
    manager.create_table(revisions).await?;
    let mut changes = table(manager, "revision_changes");
    changes
        .col(big_integer("revision"))
        .col(integer("position"))
        .col(string_len("key", 500))
        .col(text_null("before"))
        .col(text_null("after"))
        .primary_key(Index::create().col("revision").col("position"))
        // For "what changed below this key".
        .index(
            Index::create()
                .name("revision_changes_key")
                .col("key")
                .col("revision")
                .unique(),
        );
    manager.create_table(changes).await
}

async fn audit(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let mut audit = table(manager, "audit_log");
    audit
        // Unique: two rows after the same one would be a fork.
        .col(big_integer("sequence").primary_key())
        .col(big_integer("at"))
        .col(string_len("actor", 200))
        .col(string_len("action", 100))
        .col(string_len("subject", 500))
        .col(text("detail"))
        .col(text_null("reason"))
        .col(string_len_null("address", 100))
        .col(char_len("previous", 64))
        .col(char_len("hash", 64))
        .index(
            Index::create()
                .name("audit_log_actor")
                .col("actor")
                .col("sequence")
                .unique(),
        )
        .index(
            Index::create()
                .name("audit_log_subject")
                .col("subject")
                .col("sequence")
                .unique(),
        );
    manager.create_table(audit).await
}
