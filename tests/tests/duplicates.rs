//! Providers send an event again when they are in doubt, sometimes several times at once.

use std::sync::Barrier;
use std::thread;

use coordinator_tests::{Payment, TestHouse};

const COPIES: usize = 10;

#[test]
fn ten_copies_of_one_webhook_at_once_are_one_message_and_one_enrolment() {
    let house = TestHouse::builder().payments().start();
    let (payment, url) = (Payment::numbered(1), house.url());
    let together = Barrier::new(COPIES);
    thread::scope(|scope| {
        for _ in 0..COPIES {
            scope.spawn(|| {
                let webhook = Payment::signed(&url, &payment.body());
                together.wait();
                webhook.send().is(202);
            });
        }
    });
    // One more, long after.
    Payment::signed(&url, &payment.body()).send().is(202);
    house.until_settled("lms.enrol");

    let payments = house.messages("org.openedx.payment.received.v1");
    assert_eq!(payments.len(), 1, "{payments:#?}");
    let fulfilled = house.messages("org.openedx.fulfilment.completed.v1");
    assert_eq!(fulfilled.len(), 1, "{fulfilled:#?}");
    assert_eq!(fulfilled[0]["cause"], payments[0]["id"]);
    let lms = house.sandbox().counts();
    assert_eq!((lms.requests, lms.enrolled, lms.repeats), (1, 1, 0));
}

#[test]
fn two_payments_with_one_content_are_two_messages() {
    let house = TestHouse::builder().payments().start();
    let mut payment = Payment::numbered(1);
    let url = house.url();
    Payment::signed(&url, &payment.body()).send().is(202);
    payment.template.id = "evt_sandbox_other".to_owned();
    Payment::signed(&url, &payment.body()).send().is(202);
    house.until_settled("lms.enrol");
    let payments = house.messages("org.openedx.payment.received.v1");
    assert_eq!(payments.len(), 2, "{payments:#?}");
}
