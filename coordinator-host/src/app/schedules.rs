//! Schedules of the configuration, held against the wiring: what is wrong with one is told before it could tick.

use coordinator_config::{ScheduleData, ScheduleWiring};
use coordinator_dispatch::{Cadence, CadenceError, Schedule};
use coordinator_gateway::ScheduleEntry;
use coordinator_message::{MessageType, Timestamp};
use coordinator_wiring::{Finding, Severity, Types, ValidateError};

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
    types: &Types,
    away: bool,
) -> (Vec<Checked>, Vec<Finding>) {
    let (mut checked, mut findings) = (Vec::new(), Vec::new());
    for (name, wiring) in schedules {
        match check(name, wiring, types) {
            Ok(schedule) => checked.push(Checked {
                schedule,
                enabled: wiring.enabled,
            }),
            Err(wrong) => findings.push(Finding {
                id: "schedule",
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
    (checked, findings)
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
