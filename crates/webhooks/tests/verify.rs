//! Requests as providers send them, and as others do.
//!
//! The Standard Webhooks vector is the one of its specification; the Stripe ones were computed with
//! Python's `hmac`, not with this crate.

use std::time::Duration;

use coordinator_config::Secret;
use coordinator_webhooks::{
    Scheme, SchemeConfig, Verified, VerifyError, VerifyRequest, sign, verify,
};
use proptest::prelude::*;

const STANDARD_SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const STANDARD_ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
const STANDARD_TIME: i64 = 1_614_265_330;
const STANDARD_BODY: &[u8] = br#"{"test": 2432232314}"#;
const STANDARD_SIGNATURE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

const STRIPE_SECRET: &str = "whsec_test_secret";
const STRIPE_TIME: i64 = 1_700_000_000;
const STRIPE_BODY: &[u8] = br#"{"id":"evt_1","object":"event","type":"payment_intent.succeeded"}"#;
const STRIPE_TAG: &str = "67da5088c63e080c71bd2bb0cb5c03d85a8fc6a21ce3aaf484df809654745b92";
/// The same body under the secret `whsec_older`.
const STRIPE_OLDER_TAG: &str = "ec4fcda1bfcb59c27cdc1813495b48b32feb73a652b1929933dacd362df8d05e";

fn check(
    scheme: Scheme,
    secrets: &[&str],
    headers: &[(&str, &str)],
    body: &[u8],
    now: i64,
) -> Result<Verified, VerifyError> {
    let config = SchemeConfig::new(secrets.iter().map(|secret| Secret::new(*secret)).collect());
    let find = |name: &str| {
        headers
            .iter()
            .find(|(header, _)| *header == name)
            .map(|(_, value)| *value)
    };
    verify(
        scheme,
        &config,
        &VerifyRequest {
            headers: &find,
            body,
            now,
        },
    )
}

fn standard(secrets: &[&str], signature: &str, now: i64) -> Result<Verified, VerifyError> {
    let headers = [
        ("webhook-id", STANDARD_ID),
        ("webhook-timestamp", "1614265330"),
        ("webhook-signature", signature),
    ];
    check(
        Scheme::StandardWebhooks,
        secrets,
        &headers,
        STANDARD_BODY,
        now,
    )
}

fn stripe(secrets: &[&str], header: &str, body: &[u8], now: i64) -> Result<Verified, VerifyError> {
    check(
        Scheme::Stripe,
        secrets,
        &[("stripe-signature", header)],
        body,
        now,
    )
}

#[test]
fn the_published_standard_webhooks_example_is_accepted() {
    let verified = standard(&[STANDARD_SECRET], STANDARD_SIGNATURE, STANDARD_TIME).unwrap();
    assert_eq!(verified.id.as_deref(), Some(STANDARD_ID));
    assert_eq!(verified.scheme, Scheme::StandardWebhooks);
    let raw = STANDARD_SECRET.trim_start_matches("whsec_");
    assert!(standard(&[raw], STANDARD_SIGNATURE, STANDARD_TIME).is_ok());
}

#[test]
fn stripe_requests_are_accepted_and_carry_the_id_of_the_event() {
    let header = format!("t={STRIPE_TIME},v1={STRIPE_TAG},v0=00");
    let verified = stripe(&[STRIPE_SECRET], &header, STRIPE_BODY, STRIPE_TIME + 20).unwrap();
    assert_eq!(verified.id.as_deref(), Some("evt_1"));
}

#[test]
fn both_secrets_and_both_signatures_of_a_rotation_are_tried() {
    let both = format!("t={STRIPE_TIME},v1={STRIPE_OLDER_TAG},v1={STRIPE_TAG}");
    assert!(stripe(&[STRIPE_SECRET], &both, STRIPE_BODY, STRIPE_TIME).is_ok());
    let old = format!("t={STRIPE_TIME},v1={STRIPE_OLDER_TAG}");
    assert!(
        stripe(
            &[STRIPE_SECRET, "whsec_older"],
            &old,
            STRIPE_BODY,
            STRIPE_TIME
        )
        .is_ok()
    );

    let zero = format!("v1,{}=", "A".repeat(43));
    let both = format!("v1a,whatever {zero} {STANDARD_SIGNATURE}");
    assert!(
        standard(
            &["not base64!", "c29tZSBvdGhlcg==", STANDARD_SECRET],
            &both,
            STANDARD_TIME
        )
        .is_ok()
    );
}

#[test]
fn a_changed_body_a_foreign_secret_and_a_changed_time_do_not_match() {
    let header = format!("t={STRIPE_TIME},v1={STRIPE_TAG}");
    let refused = [
        stripe(&[STRIPE_SECRET], &header, b"{}", STRIPE_TIME),
        stripe(&["whsec_other"], &header, STRIPE_BODY, STRIPE_TIME),
        stripe(
            &[STRIPE_SECRET],
            &format!("t=1700000001,v1={STRIPE_TAG}"),
            STRIPE_BODY,
            STRIPE_TIME,
        ),
        standard(&["c29tZSBvdGhlcg=="], STANDARD_SIGNATURE, STANDARD_TIME),
    ];
    for answer in refused {
        assert_eq!(answer, Err(VerifyError::NoMatch));
    }
}

#[test]
fn time_stamps_outside_the_tolerance_are_refused_in_both_directions() {
    let header = format!("t={STRIPE_TIME},v1={STRIPE_TAG}");
    let at = |offset| stripe(&[STRIPE_SECRET], &header, STRIPE_BODY, STRIPE_TIME + offset);
    assert!(at(300).is_ok());
    assert!(at(-300).is_ok());
    let tolerance = Duration::from_secs(300);
    assert_eq!(
        at(301),
        Err(VerifyError::TooOld {
            age: 301,
            tolerance
        })
    );
    assert_eq!(
        at(-301),
        Err(VerifyError::InFuture {
            ahead: 301,
            tolerance
        })
    );
    assert_eq!(
        standard(&[STANDARD_SECRET], STANDARD_SIGNATURE, STANDARD_TIME + 3600)
            .unwrap_err()
            .to_string(),
        "the time stamp is 3600 s old, more than the tolerance of 300 s"
    );
}

#[test]
fn a_missing_header_is_named() {
    let answer = check(
        Scheme::Stripe,
        &[STRIPE_SECRET],
        &[],
        STRIPE_BODY,
        STRIPE_TIME,
    );
    assert_eq!(
        answer,
        Err(VerifyError::MissingHeader {
            header: "stripe-signature"
        })
    );
    let all = [
        ("webhook-id", STANDARD_ID),
        ("webhook-timestamp", "1614265330"),
        ("webhook-signature", STANDARD_SIGNATURE),
    ];
    for (missing, _) in all {
        let rest: Vec<_> = all
            .into_iter()
            .filter(|(name, _)| *name != missing)
            .collect();
        let answer = check(
            Scheme::StandardWebhooks,
            &[STANDARD_SECRET],
            &rest,
            STANDARD_BODY,
            STANDARD_TIME,
        );
        assert_eq!(answer, Err(VerifyError::MissingHeader { header: missing }));
    }
}

#[test]
fn malformed_headers_say_what_was_expected() {
    let many = format!("t={STRIPE_TIME}{}", format!(",v1={STRIPE_TAG}").repeat(17));
    for (header, reason) in [
        ("", "no `t=`"),
        ("t=1700000000", "no `v1=`"),
        ("t=1,t=2,v1=", "more than one `t=`"),
        ("t=1700000000,v1=abc", "`v1=` is not 64 hexadecimal digits"),
        (
            &format!("t=+1700000000,v1={STRIPE_TAG}"),
            "expected a time stamp in Unix seconds",
        ),
        (
            &format!("t=99999999999999999999,v1={STRIPE_TAG}"),
            "expected a time stamp in Unix seconds",
        ),
        (&many, "too many signatures"),
    ] {
        let answer = stripe(&[STRIPE_SECRET], header, STRIPE_BODY, STRIPE_TIME);
        let expected = VerifyError::MalformedHeader {
            header: "stripe-signature",
            reason,
        };
        assert_eq!(answer, Err(expected), "{header}");
    }
    for (header, reason) in [
        ("", "no `v1` signature"),
        ("v1a,abc", "no `v1` signature"),
        ("v1", "expected `v1,` and base64"),
        ("v1,AAAA", "a `v1` signature is not 32 bytes in base64"),
    ] {
        let answer = standard(&[STANDARD_SECRET], header, STANDARD_TIME);
        let expected = VerifyError::MalformedHeader {
            header: "webhook-signature",
            reason,
        };
        assert_eq!(answer, Err(expected), "{header}");
    }
}

#[test]
fn an_empty_secret_is_no_secret() {
    for secrets in [&[][..], &[""], &["whsec_"], &["not base64!"]] {
        let error = standard(secrets, STANDARD_SIGNATURE, STANDARD_TIME).unwrap_err();
        assert!(error.is_ours(), "{secrets:?}: {error}");
    }
    let header = format!("t={STRIPE_TIME},v1={STRIPE_TAG}");
    for secrets in [&[][..], &[""], &["whsec_"]] {
        let error = stripe(secrets, &header, STRIPE_BODY, STRIPE_TIME).unwrap_err();
        assert_eq!(error.code(), "signature-no-secret");
    }
}

#[test]
fn a_verified_stripe_body_without_an_id_is_accepted_without_one() {
    for body in [
        &b"not json"[..],
        b"{}",
        br#"{"id":7}"#,
        br#"{"id":""}"#,
        b"[]",
    ] {
        let secret = Secret::new(STRIPE_SECRET);
        let headers = sign(Scheme::Stripe, &secret, "", STRIPE_TIME, body).unwrap();
        let verified = stripe(&[STRIPE_SECRET], &headers[0].1, body, STRIPE_TIME).unwrap();
        assert_eq!(verified.id, None);
    }
}

proptest! {
    #[test]
    fn what_is_signed_verifies_and_one_changed_byte_does_not(
        body in proptest::collection::vec(any::<u8>(), 1..200),
        at in any::<proptest::sample::Index>(),
        now in 0_i64..=4_000_000_000,
    ) {
        for scheme in Scheme::ALL {
            let signed = sign(scheme, &Secret::new(STANDARD_SECRET), "msg_1", now, &body).unwrap();
            let headers: Vec<_> = signed.iter().map(|(name, value)| (*name, value.as_str())).collect();
            prop_assert!(check(scheme, &[STANDARD_SECRET], &headers, &body, now).is_ok());
            let mut changed = body.clone();
            let at = at.index(changed.len());
            changed[at] ^= 1;
            let answer = check(scheme, &[STANDARD_SECRET], &headers, &changed, now);
            prop_assert_eq!(answer, Err(VerifyError::NoMatch));
        }
    }

    #[test]
    fn no_header_text_makes_a_verifier_panic(text in ".{0,200}", now in any::<i64>()) {
        let headers = [
            ("stripe-signature", text.as_str()),
            ("webhook-id", text.as_str()),
            ("webhook-timestamp", text.as_str()),
            ("webhook-signature", text.as_str()),
        ];
        for scheme in Scheme::ALL {
            let answer = check(scheme, &[STANDARD_SECRET], &headers, b"[]", now);
            prop_assert!(answer.is_err());
        }
    }
}
