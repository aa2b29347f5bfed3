//! `[wiring.schedules.NAME]`: messages that are published by the clock. Explained in `instances.toml`.

use std::path::PathBuf;

use serde_json::Value as Json;

use crate::reader::Reader;
use crate::value::{Raw, Setting};

/// `[wiring.schedules.NAME]`: a message that is published by the clock.
#[derive(Debug, Clone, PartialEq)]
pub struct ScheduleWiring {
    /// Whether it ticks.
    pub enabled: bool,
    /// When, as cron writes it.
    pub cron: String,
    /// The time zone that `cron` is meant in.
    pub zone: String,
    /// Type of the message.
    pub ty: String,
    /// Where its payload is.
    pub data: ScheduleData,
    /// What becomes of ticks that nobody was there for.
    pub missed: Missed,
}

/// The payload of a schedule's messages.
#[derive(Debug, Clone, PartialEq)]
pub enum ScheduleData {
    /// In the configuration.
    Here(Json),
    /// In a file of its own, JSON.
    File(PathBuf),
}

/// What becomes of ticks that nobody was there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Missed {
    /// The last of them is made up for.
    #[default]
    One,
    /// All of them are.
    All,
    /// None is.
    None,
}

impl Missed {
    /// As it is written.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::One => "one",
            Self::All => "all",
            Self::None => "none",
        }
    }
}

impl ScheduleWiring {
    pub(crate) fn read(from: &Reader<'_>) -> Self {
        let data = from.json("data");
        let file: Option<String> = from.optional("data_file");
        let given = data.as_ref().and_then(Json::as_object);
        if file.is_some() && given.is_some_and(|data| !data.is_empty()) {
            from.reject("data_file", "expected `data` or `data_file`, not both");
        }
        Self {
            enabled: from.get_or("enabled", true),
            cron: from.required("cron").unwrap_or_default(),
            zone: from.get_or("zone", "UTC".to_owned()),
            ty: from.required("type").unwrap_or_default(),
            data: match file {
                Some(file) => ScheduleData::File(from.path(file)),
                None => {
                    ScheduleData::Here(data.unwrap_or_else(|| Json::Object(Default::default())))
                }
            },
            missed: from.get_or("missed", Missed::One),
        }
    }
}

impl Setting for Missed {
    const EXPECTED: &'static str = "\"one\", \"all\" or \"none\"";

    fn read(raw: Raw<'_>) -> Option<Self> {
        match raw.text()? {
            "one" => Some(Self::One),
            "all" => Some(Self::All),
            "none" => Some(Self::None),
            _ => None,
        }
    }
}
