//! The hash of a row, which holds the hash of the row before it.

use sha2::{Digest as _, Sha256};

use crate::entity::audit_row;

/// What stands before the first row.
pub(super) fn beginning() -> String {
    "0".repeat(64)
}

/// SHA-256 over the row's columns as a JSON array, in this order, in hexadecimal.
pub(super) fn hash(row: &audit_row::Model) -> String {
    let columns = (
        row.sequence,
        row.at,
        &row.actor,
        &row.action,
        &row.subject,
        // As it is stored: text, in quotes, whatever is in it.
        &row.detail,
        &row.reason,
        &row.address,
        &row.previous,
    );
    let text = serde_json::to_vec(&columns).expect("numbers and texts are JSON");
    let digest = Sha256::digest(&text);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}
