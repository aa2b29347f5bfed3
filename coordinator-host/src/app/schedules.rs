//! Schedules of the configuration and of plugins, held against the wiring: what is wrong with one is told before it could tick.

use coordinator_config::{Missed, ScheduleData, ScheduleWiring};
use coordinator_dispatch::{Cadence, CadenceError, Schedule};
use coordinator_gateway::ScheduleEntry;
use coordinator_message::{MessageType, Timestamp};
use coordinator_wiring::{BoundSchedule, Finding, Severity, Types, ValidateError, Wiring};

/// A payload in a file of its own may be this large, bytes.
const MAX_FILE: u64 = 1 << 20;

/// What is wrong with one setting of a schedule.
struct Wrong {
    setting: &'static str,
    problem: String,
    hint: String,
    unknown_type: bool,
}

/// A schedule and whether it is on.
pub(super) struct Checked {
    pub(super) schedule: Schedule,
    pub(super) enabled: bool,
}

/// All schedules, also those that are off, and everything that is wrong with them, by setting. While a plugin is `away`,
/// a type that nobody knows may be that plugin's: such a schedule does not tick, and the host starts all the same.
pub(super) fn read<'a>(
    schedules: impl IntoIterator<Item = (&'a String, &'a ScheduleWiring)>,
    wiring: &Wiring,
    away: bool,
) -> (Vec<Checked>, Vec<Finding>) {
    let (mut checked, mut findings) = (Vec::new(), Vec::new());
    for (name, of_operator) in schedules {
        match check(name, of_operator, &wiring.types) {
            Ok(schedule) => checked.push(Checked {
                schedule,
                enabled: of_operator.enabled,
            }),
            Err(wrong) => findings.push(Finding {
                id: "schedule".into(),
                severity: if away && wrong.unknown_type {
                    Severity::Warning
                } else {
                    Severity::Error
                },
                subject: format!("wiring.schedules.{name}.{}", wrong.setting),
                message: wrong.problem,
                hint: wrong.hint,
            }),
        }
    }
    for schedule in &wiring.schedules {
        match of_plugin(schedule) {
            Ok(schedule) => checked.push(Checked {
                schedule,
                enabled: true,
            }),
            Err(finding) => findings.push(finding),
        }
    }
    (checked, findings)
}

/// A schedule that a plugin declares, at the times that it or the operator says.
fn of_plugin(bound: &BoundSchedule) -> Result<Schedule, Finding> {
    let cadence = Cadence::new(&bound.cron, &bound.zone, Timestamp::now()).map_err(|error| {
        let Wrong { problem, hint, .. } = wrong("cron", &error);
        Finding {
            id: "schedule".into(),
            severity: Severity::Error,
            subject: bound.id.clone(),
            message: problem,
            hint: format!(
                "{hint}; `cron` and `zone` of wiring.handlers.\"{}\" come before its author's",
                bound.id
            ),
        }
    })?;
    Ok(Schedule {
        name: bound.id.clone(),
        cadence,
        ty: bound.ty.clone(),
        data: b"{}".as_slice().into(),
        missed: Missed::One,
    })
}

/// As the API shows it.
pub(super) fn entry(checked: &Checked) -> ScheduleEntry {
    let Checked { schedule, enabled } = checked;
    let cadence = schedule.cadence.clone();
    ScheduleEntry {
        name: schedule.name.clone(),
        ty: schedule.ty.to_string(),
        cron: cadence.cron().to_owned(),
        zone: cadence.zone().to_owned(),
        missed: schedule.missed.as_str(),
        enabled: *enabled,
        next: Box::new(move |after| cadence.next_after(after)),
    }
}

fn check(name: &str, wiring: &ScheduleWiring, types: &Types) -> Result<Schedule, Wrong> {
    let cadence = Cadence::new(&wiring.cron, &wiring.zone, Timestamp::now()).map_err(|error| {
        let setting = match error {
            CadenceError::Zone(_) => "zone",
            _ => "cron",
        };
        wrong(setting, &error)
    })?;
    let ty: MessageType = wiring.ty.parse().map_err(|error| wrong("type", &error))?;
    let (setting, data) = payload(wiring)?;
    types.validate(&ty, &data).map_err(|error| match error {
        ValidateError::UnknownType(_) => Wrong {
            unknown_type: true,
            ..wrong("type", &error)
        },
        error => wrong(setting, &error),
    })?;
    Ok(Schedule {
        name: name.to_owned(),
        cadence,
        ty,
        data: data.into(),
        missed: wiring.missed,
    })
}

fn payload(wiring: &ScheduleWiring) -> Result<(&'static str, Vec<u8>), Wrong> {
    match &wiring.data {
        ScheduleData::Here(json) => Ok(("data", json.to_string().into())),
        ScheduleData::File(path) => {
            let unreadable = |problem: String| Wrong {
                setting: "data_file",
                problem: format!("`{}`: {problem}", path.display()),
                hint: "name a file with the JSON that the message is to carry".to_owned(),
                unknown_type: false,
            };
            let size = std::fs::metadata(path)
                .map_err(|error| unreadable(error.to_string()))?
                .len();
            if size > MAX_FILE {
                return Err(unreadable(format!(
                    "{size} bytes are too many for a payload"
                )));
            }
            let text = std::fs::read(path).map_err(|error| unreadable(error.to_string()))?;
            Ok(("data_file", text))
        }
    }
}

/// The last line of an error's text is its hint, if it is in parentheses.
fn wrong(setting: &'static str, error: &dyn std::error::Error) -> Wrong {
    let text = error.to_string();
    let (mut problem, hint) = match text.rsplit_once("\n  (") {
        Some((problem, hint)) => (problem.to_owned(), hint.trim_end_matches(')').to_owned()),
        None => (text, "see `coordinator config reference`".to_owned()),
    };
    let mut cause = error.source();
    while let Some(error) = cause {
        problem.push_str(&format!(": {error}"));
        cause = error.source();
    }
    Wrong {
        setting,
        problem,
        hint,
        unknown_type: false,
    }
}
