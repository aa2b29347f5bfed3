//! The whole house, tested through its public door.
//!
//! In: which plugins, settings and misfortunes a test wants. Out: a running `coordinator serve` with plugin files
//! as they are shipped, its API, its log and its command line, and a sandbox as the world around it. Not here: the
//! tests (see `tests/`), and any code of the host; what both sides compute, they compute apart.
#![forbid(unsafe_code)]

mod answer;
mod builder;
mod house;
mod log;
mod look;
mod patience;
mod payment;
mod process;

pub use answer::{Answer, Ask};
pub use builder::Builder;
pub use house::{Door, TestHouse};
pub use log::Log;
pub use patience::eventually;
pub use payment::Payment;
pub use process::{Ended, built, interrupt};

/// The API key of every test house.
pub const API_KEY: &str = "tests-key-c3d4e5f6";
/// What Stripe's webhooks are signed with.
pub const STRIPE_SECRET: &str = "whsec_houseSecret0123456789";
/// What the sandbox's LMS asks of its callers.
pub const LMS_TOKEN: &str = "lms-token-of-the-house-9f8e7d";
