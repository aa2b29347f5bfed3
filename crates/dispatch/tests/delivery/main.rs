//! The dispatch room through its public door: the real SQLite journal, closures as targets.
#![expect(clippy::unwrap_used, reason = "what surprises a test fails it")]

mod breaking;
mod decision;
mod drain;
mod fairness;
mod faulty;
mod isolation;
mod operating;
mod order;
mod pacing;
mod retries;
mod settles;
mod stage;
mod swapping;
mod telling;
