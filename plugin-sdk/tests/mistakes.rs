//! What an author reads who makes a mistake: one file each in `ui/`, with the compiler's words beside it.
//!
//! After a message was made better: `TRYBUILD=overwrite cargo test -p coordinator-sdk --test mistakes`, then read
//! the difference.

#[test]
fn every_mistake_is_told_under_its_token() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
