//! The house itself: a test that forgets to look is failed by it.

use coordinator_sandbox::Rule;
use coordinator_tests::{Payment, TestHouse};

#[test]
#[should_panic(expected = "dead letters")]
fn a_dead_letter_that_nobody_announced_fails_the_test() {
    let house = TestHouse::builder().payments().start();
    let refuse = Rule::status(422);
    house.sandbox().behave(vec![refuse]).expect("a rule");
    let body = Payment::numbered(1).body();
    Payment::signed(&house.url(), &body).send().is(202);
}
