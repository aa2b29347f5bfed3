//! Pipelines: their steps, their failures, what they publish, and what they take.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use coordinator_tests::Ask;
use serde_json::{Value, json};

use crate::{ORDER, PRICE, SEEN, attempt, basket, order, prices, run, steps, workshop};

#[test]
fn a_pipeline_is_run_step_by_step_and_says_what_each_step_did() {
    let house = prices().start();
    let answer = run(&house, PRICE, &basket(Some("TEN"))).is(200).json();
    assert_eq!(
        answer["value"]["minor"], 4_641,
        "(4900 - 1000) and 19 per cent"
    );
    let continued = |step: &str| (step.to_owned(), "continued".to_owned());
    let expected = ["pipeline.lines", "pipeline.voucher", "pipeline.tax"].map(continued);
    assert_eq!(steps(&answer), expected);

    let free = json!({"lines": [], "voucher": null, "minor": null});
    let answer = run(&house, PRICE, &free).is(200).json();
    assert_eq!(answer["halted_by"], "pipeline.lines");
    assert_eq!(
        steps(&answer),
        [("pipeline.lines".to_owned(), "halted".to_owned())]
    );

    let refused = run(&house, PRICE, &basket(Some("ELEVEN"))).is(422).json();
    assert_eq!(refused["code"], "no-such-voucher");
    assert_eq!(steps(&refused)[1].1, "refused");

    let listed = house.get("/api/v1/pipelines");
    assert_eq!(listed["items"][0]["steps"][2], json!(["pipeline.tax"]));
    let metrics = house.ask("GET", "/metrics").send().is(200).text();
    let counted = format!(
        "coordinator_pipeline_steps_total{{pipeline=\"{PRICE}\",step=\"pipeline.tax\",outcome=\"continued\"}} 1"
    );
    assert!(
        metrics.contains(&counted),
        "{counted} is not in:\n{metrics}"
    );
}

#[test]
fn a_pipeline_takes_only_what_its_first_step_takes_and_only_if_it_is_public() {
    let house = prices()
        .config(&format!(
            "[wiring.pipelines.\"{ORDER}\"]\nsteps = [\"pipeline.tax\"]"
        ))
        .start();
    let mut wrong = basket(None);
    wrong["lines"][0]["count"] = json!("two");
    let problem = run(&house, PRICE, &wrong).is(422).json();
    assert_eq!(
        (&problem["code"], &problem["pointer"]),
        (&json!("pipeline-input"), &json!("/lines/0/count"))
    );
    assert!(
        !problem.to_string().contains("two"),
        "values stay where they are: {problem}"
    );

    let ask = || house.ask("POST", &format!("/api/v1/pipelines/{PRICE}"));
    ask().key().body("{").send().is(400);
    ask().json(&basket(None)).send().is(401);
    for name in [ORDER, "org.example.nothing.v1"] {
        let problem = run(&house, name, &basket(None)).is(404).json();
        assert_eq!(problem["code"], "no-such-pipeline");
    }
}

#[test]
fn the_command_line_runs_a_pipeline_and_shows_where_it_failed() {
    let house = prices().start();
    let good = basket(None).to_string();
    let ran = house
        .run(&["pipelines", "run", PRICE, "--input", &good])
        .exits(0);
    let value: Value =
        serde_json::from_str(&ran.out).expect("the value alone is on standard output");
    assert_eq!(value["minor"], 5_831);
    assert!(
        ran.err.contains("pipeline.voucher  continued"),
        "{}",
        ran.err
    );
    let bad = basket(Some("ELEVEN")).to_string();
    let ran = house
        .run(&["pipelines", "run", PRICE, "--input", &bad])
        .exits(1);
    assert!(ran.err.contains("pipeline.voucher  refused"), "{}", ran.err);
    assert!(
        ran.err
            .contains("this voucher is not known [no-such-voucher]"),
        "{}",
        ran.err
    );
    assert!(
        house
            .run(&["pipelines", "list"])
            .exits(0)
            .out
            .contains("pipeline.lines \u{2192}")
    );
}

#[test]
fn a_step_that_panics_or_waits_fails_its_pipeline_and_nothing_else() {
    let house = workshop("")
        .config(&order("[\"workshop.see\", \"workshop.judge\"]"))
        .start();
    let input = |order: &str| json!({"order": order});
    let answer = run(&house, ORDER, &input("panics")).is(502).json();
    assert_eq!(answer["code"], "step-panicked");
    let error = answer["steps"][1]["error"].as_str().unwrap_or_default();
    assert!(error.contains("the judge has lost his wig"), "{answer}");
    assert!(error.contains("src/lib.rs:"), "{answer}");
    let answer = run(&house, ORDER, &input("waits")).is(504).json();
    assert_eq!(
        (&answer["code"], &answer["steps"][1]["outcome"]),
        (&json!("step-timeout"), &json!("timed-out"))
    );
    assert_eq!(attempt(&house, "run", "7")["by"], json!(["see", "judge"]));
}

#[test]
fn what_the_steps_of_a_handler_publish_is_part_of_its_ack_or_of_nothing() {
    let mut house = workshop("")
        .config(&order("[\"workshop.see\", \"workshop.judge\"]"))
        .start();
    let publish = |order: &str| {
        let data = json!({"order": order}).to_string();
        let ty = "org.example.workshop.asked.v1";
        house
            .run(&["messages", "publish", "--type", ty, "--data", &data])
            .exits(0);
    };
    publish("good");
    publish("refused");
    house.until_settled("workshop.pass_on");
    let seen = house.messages(SEEN);
    let keys: Vec<_> = seen.iter().map(|message| message["key"].clone()).collect();
    assert_eq!(
        keys,
        ["good", "good"],
        "nothing of the one that was refused"
    );
    let parents: Vec<_> = seen
        .iter()
        .map(|message| message["cause"].clone())
        .collect();
    assert!(parents[0].is_string() && parents[0] == parents[1]);
    let dead = house.dead_letters();
    assert_eq!(dead.len(), 1);
    house.expect_dead_letters(1);
}

#[test]
fn a_group_states_what_is_missing_where_the_operator_allows_it() {
    let group = order("[[\"workshop.see\", \"workshop.judge\"]]\npartial = \"state\"");
    let house = workshop("").config(&group).start();
    let said = attempt(&house, "run", "panics");
    assert_eq!(said, json!({"by": ["see"], "missing": ["workshop.judge"]}));
    let said = attempt(&house, "run", "7");
    assert_eq!(said, json!({"by": ["see", "judge"], "missing": []}));
}

#[test]
fn pipelines_that_run_each_other_in_a_circle_end_with_a_reason() {
    let circle = "org.example.workshop.circle.v1";
    let wiring =
        format!("[wiring.pipelines.\"{circle}\"]\npublic = true\nsteps = [\"workshop.circle\"]");
    let house = workshop("").config(&wiring).start();
    let answer = run(&house, circle, &json!({"order": "7"}));
    assert!(answer.status >= 500, "{}", answer.text());
    house.log().until("more than 8 deep", 1);
}

#[test]
fn a_circle_that_authors_declare_is_found_before_anything_runs() {
    let ring = "[wiring.pipelines.\"org.example.workshop.ring.v1\"]\nsteps = [\"workshop.ring\"]";
    let refused = workshop("").config(ring).serve().exits(78).err;
    assert!(refused.contains("error[cycle]"), "{refused}");
    assert!(
        refused.contains("`workshop.ring` → `org.example.workshop.ring.v1`"),
        "{refused}"
    );

    // What the step says of the order, the handler takes, and runs the step.
    let house = workshop("").config(&order("[\"workshop.see\"]")).start();
    assert!(!house.run(&["check"]).exits(0).out.contains("[cycle]"));
    let on = format!("workshop.pass_on.on=[\"{SEEN}\"]");
    house.run(&["wiring", "set", &on]).exits(0);
    let checked = house.run(&["check"]).exits(0).out;
    let way =
        format!("`workshop.pass_on` → `{ORDER}` → `workshop.see` → `{SEEN}` → `workshop.pass_on`");
    assert!(
        checked.contains("warning[cycle] workshop.pass_on"),
        "{checked}"
    );
    assert!(
        checked.contains(&way) && checked.contains("written in: override"),
        "{checked}"
    );
    let key = "wiring.pipelines.\"org.example.workshop.ring.v1\".steps=[\"workshop.ring\"]";
    let refused = house.run(&["wiring", "set", key]).exits(1).err;
    assert!(refused.contains("its steps run it again"), "{refused}");
}

#[test]
fn what_does_not_fit_in_a_pipeline_is_told_before_the_start_with_the_nearest_name() {
    let built =
        prices().config("[wiring.pipelines.\"org.example.typo.v1\"]\nsteps = [\"pipeline.taxx\"]");
    let refused = built.serve().exits(78);
    assert!(
        refused.err.contains("error[unknown-step]"),
        "{}",
        refused.err
    );
    assert!(
        refused.err.contains("did you mean `pipeline.tax`?"),
        "{}",
        refused.err
    );
}

#[test]
fn a_pipeline_is_reordered_while_the_host_runs_and_a_mistake_changes_nothing() {
    let house = prices().start();
    let key = format!("wiring.pipelines.\"{PRICE}\".steps");
    let set = |steps: &str| house.run(&["wiring", "set", &format!("{key}={steps}")]);
    let priced = || run(&house, PRICE, &basket(Some("TEN"))).is(200).json();
    assert_eq!(priced()["value"]["minor"], 4_641);
    set("[\"pipeline.lines\", \"pipeline.tax\", \"pipeline.voucher\"]").exits(0);
    assert_eq!(
        priced()["value"]["minor"],
        4_831,
        "4900 and 19 per cent, then 1000 off"
    );
    let refused = set("[\"pipeline.lines\", \"pipeline.taxx\"]").exits(1);
    assert!(
        refused.err.contains("did you mean `pipeline.tax`?"),
        "{}",
        refused.err
    );
    assert_eq!(priced()["value"]["minor"], 4_831);
    house.run(&["wiring", "revert", "0", "--yes"]).exits(0);
    assert_eq!(priced()["value"]["minor"], 4_641);
}

#[test]
fn no_run_fails_while_the_plugin_of_its_steps_is_replaced_again_and_again() {
    let house = prices().start();
    let (ended, url) = (AtomicBool::new(false), house.url());
    let ran = thread::scope(|scope| {
        let running: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let mut ran = 0_u32;
                    while !ended.load(Ordering::Relaxed) {
                        let ask = Ask::new("POST", &format!("{url}/api/v1/pipelines/{PRICE}"));
                        let answer = ask.key().json(&basket(None)).send().is(200).json();
                        let minor = answer["value"]["minor"].as_i64().unwrap_or_default();
                        // One tax or the other for the whole run, whichever generation did its steps.
                        assert!(
                            [19, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]
                                .iter()
                                .any(|tax| minor == 4_900 + 49 * tax),
                            "{answer}"
                        );
                        ran += 1;
                    }
                    ran
                })
            })
            .collect();
        for tax in 1..=10 {
            let setting = format!("tax_percent={tax}");
            house
                .run(&["settings", "set", "pipeline", &setting])
                .exits(0);
        }
        ended.store(true, Ordering::Relaxed);
        running
            .into_iter()
            .map(|it| it.join().unwrap_or_default())
            .sum::<u32>()
    });
    assert!(ran > 20, "{ran} runs");
}
