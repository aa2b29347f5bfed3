//! `cargo xtask demo`: host, plugins and outside world, started, set to work, and told about.

mod house;
mod payments;
mod story;

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::interrupt::Interrupt;
use crate::steps::Steps;
use crate::workspace::Workspace;
use house::House;
use payments::Payment;
use story::Story;

/// The longest wait until everything is acknowledged: one backoff and much slowness.
const PATIENCE: Duration = Duration::from_secs(60);

/// When the demo is over.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// It serves on until Ctrl-C.
    CtrlC,
    /// Once every message is acknowledged.
    AllAcked,
}

pub(crate) fn demo(workspace: &Workspace, interrupt: &Interrupt, ending: Ending) -> Result<()> {
    let mut steps = Steps::new(workspace);
    steps.cargo(&["build", "--workspace"], &[])?;
    let mut house = House::open(workspace, interrupt)?;
    let payments = payments::send(&house)?;
    wait_for_acks(&mut house, &payments, interrupt)?;
    tell(&house, &payments)?;
    if ending == Ending::CtrlC {
        house.print_directions();
        while interrupt.pause().is_ok() {
            house.check_alive()?;
        }
        println!("\nStopping: the host drains what is under way.");
    }
    house.close();
    Ok(())
}

/// Returns once every payment's message is settled; says what is missing if that takes too long.
fn wait_for_acks(house: &mut House, payments: &[Payment], interrupt: &Interrupt) -> Result<()> {
    println!("==> waiting for every message to be acknowledged");
    let deadline = Instant::now() + PATIENCE;
    loop {
        house.check_alive()?;
        let mut missing = Vec::new();
        for payment in payments {
            missing.extend(Story::read(house, payment)?.missing());
        }
        if missing.is_empty() {
            return Ok(());
        }
        if Instant::now() > deadline {
            bail!(
                "not everything was acknowledged within {PATIENCE:?}:\n  {}\n  (the host's log is {})",
                missing.join("\n  "),
                house.log().display()
            );
        }
        interrupt.pause()?;
    }
}

/// Every story, then the counts; an enrolment too many or too few is an error.
fn tell(house: &House, payments: &[Payment]) -> Result<()> {
    let mut accepted = 0;
    for payment in payments {
        let story = Story::read(house, payment)?;
        accepted += story.accepted;
        println!("\n{story}");
    }
    let ledger = house.sandbox().get("/_control/ledger?limit=1")?;
    let counts = &ledger["counts"];
    let sent: usize = payments.iter().map(|payment| payment.events.len()).sum();
    println!();
    println!("events sent        {sent}");
    println!("messages accepted  {accepted}");
    println!(
        "calls refused      {}",
        counts["by_status"]["503"].as_u64().unwrap_or_default()
    );
    println!("enrolments made    {}", counts["enrolled"]);
    println!("made twice         {}", counts["repeats"]);
    let expected: u64 = payments.iter().map(|payment| payment.courses).sum();
    if counts["enrolled"] != expected || counts["repeats"] != 0 {
        bail!("expected {expected} enrolments, each made once");
    }
    Ok(())
}
