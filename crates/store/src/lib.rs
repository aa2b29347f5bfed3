//! What operators decide, kept: plugins, wiring and settings with their history, and the audit log.
//! In: whole change sets, each with who asked for it. Out: what is in force, and how it came to be.
//! One database, SQLite or MariaDB, which several hosts may share: each write is one transaction.
//! Not here: messages and deliveries, which are the journal's, and what a setting means.

#![forbid(unsafe_code)]

mod audit;
mod connect;
mod entity;
mod error;
mod history;
mod key;
mod migrate;
mod open;
mod overrides;
mod page;
mod plugins;
mod transaction;

pub use audit::{AuditQuery, AuditRecord, AuditReport, Broken, Entry};
pub use error::{OpenError, StoreError};
pub use history::RevisionQuery;
pub use migrate::Migration;
pub use open::{Store, StoreOptions};
pub use overrides::{Change, ChangeSet, Override, Overrides, RecordedChange, Revision, Snapshot};
pub use page::Page;
pub use plugins::{NewPlugin, Plugin, PluginFile, PluginVersion};
