//! Whatever is done to the messages of two handlers, in any order: the journal agrees with a model of a few lines.
//!
//! One handler keeps order and is bound to two types, the other does not and is bound to one. What is left open by the
//! contract is left open here.

mod expected;
mod operating;
mod settling;
mod world;

use std::cell::Cell;
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestError, TestRunner};

use self::world::World;
use super::Harness;

/// One thing that is done. Indices are taken modulo what there is.
#[derive(Debug, Clone)]
pub(super) enum Action {
    /// One message for each: its key, if any.
    Publish(Vec<Option<u8>>),
    /// A message without key, for so many minutes from now.
    Delay(u32),
    Take(usize, usize),
    Ack {
        handler: usize,
        index: usize,
        emits: u32,
    },
    Retry(usize, usize, u32),
    Kill(usize, usize),
    Park(usize, usize),
    DeadKey(usize, usize),
    Release(usize, usize, Option<u32>),
    /// For one handler, or for all; so many minutes from now.
    Replay(Option<usize>, usize, Option<u32>),
    Discard(Option<usize>, usize),
    Pause(usize),
    Resume(usize),
    Skip(usize),
    /// Minutes.
    Advance(u32),
    Restart,
    Crash,
}

fn actions() -> impl Strategy<Value = Vec<Action>> {
    let key = prop_oneof![1 => Just(None), 3 => (0..3_u8).prop_map(Some)];
    let some = any::<usize>;
    let one = || 0..2_usize;
    let one_or_all = || proptest::option::weighted(0.8, 0..2_usize);
    let minutes = || 0..5_u32;
    let action = prop_oneof![
        6 => proptest::collection::vec(key, 1..5).prop_map(Action::Publish),
        1 => minutes().prop_map(Action::Delay),
        8 => (one(), 1..5_usize).prop_map(|(handler, count)| Action::Take(handler, count)),
        6 => (one(), some(), 0..3_u32)
            .prop_map(|(handler, index, emits)| Action::Ack { handler, index, emits }),
        4 => (one(), some(), minutes()).prop_map(|(h, i, due)| Action::Retry(h, i, due)),
        2 => (one(), some()).prop_map(|(h, i)| Action::Kill(h, i)),
        2 => (one(), some()).prop_map(|(h, i)| Action::Park(h, i)),
        1 => (one(), some()).prop_map(|(h, i)| Action::DeadKey(h, i)),
        2 => (one(), some(), proptest::option::of(minutes()))
            .prop_map(|(h, i, due)| Action::Release(h, i, due)),
        4 => (one_or_all(), some(), proptest::option::of(minutes()))
            .prop_map(|(h, i, due)| Action::Replay(h, i, due)),
        2 => (one_or_all(), some()).prop_map(|(h, i)| Action::Discard(h, i)),
        1 => one().prop_map(Action::Pause),
        2 => one().prop_map(Action::Resume),
        1 => one().prop_map(Action::Skip),
        3 => (1..4_u32).prop_map(Action::Advance),
        1 => Just(Action::Restart),
        1 => Just(Action::Crash),
    ];
    proptest::collection::vec(action, 1..60)
}

/// Runs the model against the engine of this harness. `PROPTEST_CASES` asks for more cases than usual.
pub(crate) fn agrees(make: impl AsyncFnOnce() -> Box<dyn Harness>) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let mut config = Config {
        failure_persistence: None,
        max_shrink_time: 120_000,
        ..Config::default()
    };
    if std::env::var_os("PROPTEST_CASES").is_none() {
        config.cases = 24;
    }
    let harness = runtime.block_on(make());
    // Cleared by the case that fails: the smaller ones after it need not wait as long.
    let passed = Cell::new(true);
    let ran = TestRunner::new(config).run(&actions(), |actions| {
        let patience = if passed.replace(false) { 20 } else { 3 };
        let patience = Duration::from_secs(patience);
        runtime.block_on(case(&*harness, patience, actions));
        passed.set(true);
        Ok(())
    });
    match ran {
        Ok(()) => {}
        Err(TestError::Fail(reason, actions)) => {
            let lines: Vec<_> = actions.iter().map(|one| format!("  {one:?}")).collect();
            panic!("{reason}\nafter\n{}", lines.join("\n"));
        }
        Err(TestError::Abort(reason)) => panic!("{reason}"),
    }
}

async fn case(harness: &dyn Harness, patience: Duration, actions: Vec<Action>) {
    let mut world = World::new(harness.another().await, patience).await;
    for action in actions {
        world.act(action).await;
        world.check().await;
    }
    world.finish().await;
}
