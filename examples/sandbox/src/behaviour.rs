//! Misbehaviour on demand: rules that say which requests are refused, slowed, left hanging or cut off.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::ledger::Asked;

/// More rules than any test needs.
const MAX_RULES: usize = 1_000;
/// The longest delay of one answer.
const MAX_DELAY: Duration = Duration::from_secs(600);

/// Which requests behave how. The first rule that matches decides.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// The requests it is about; an empty match is all of them.
    #[serde(default, rename = "match")]
    pub matching: Match,
    /// What they get.
    pub answer: Answer,
}

/// A request matches when every field that is given is equal.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Match {
    /// The LMS user name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The course key, `course-v1:…`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub course: Option<String>,
    /// The order number among the enrolment attributes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<String>,
    /// The path, without the query.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
}

/// What a matching request gets.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    /// The status to answer with, nothing being done. Without it the LMS does its work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// `Retry-After`, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u32>,
    /// How many requests it holds for; then the rule is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u32>,
    /// Milliseconds to wait before anything else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay_ms: Option<u64>,
    /// Never answer.
    #[serde(default)]
    pub hang: bool,
    /// Close the connection without an answer.
    #[serde(default)]
    pub reset: bool,
    /// Do the work first, then misbehave: the caller cannot know that it was done.
    #[serde(default)]
    pub enrol_first: bool,
}

impl Rule {
    /// Answers every request with `status`.
    #[must_use]
    pub fn status(status: u16) -> Self {
        Self {
            answer: Answer {
                status: Some(status),
                ..Answer::default()
            },
            ..Self::default()
        }
    }

    /// Leaves every request without an answer.
    #[must_use]
    pub fn hang() -> Self {
        Self {
            answer: Answer {
                hang: true,
                ..Answer::default()
            },
            ..Self::default()
        }
    }

    /// Closes the connection of every request.
    #[must_use]
    pub fn reset() -> Self {
        Self {
            answer: Answer {
                reset: true,
                ..Answer::default()
            },
            ..Self::default()
        }
    }

    /// Answers every request as usual, but late.
    #[must_use]
    pub fn delay(delay: Duration) -> Self {
        let delay_ms = u64::try_from(delay.as_millis()).ok();
        Self {
            answer: Answer {
                delay_ms,
                ..Answer::default()
            },
            ..Self::default()
        }
    }

    /// Adds a `Retry-After` of so many seconds.
    #[must_use]
    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.answer.retry_after = Some(seconds);
        self
    }

    /// Holds for so many requests only.
    #[must_use]
    pub fn times(mut self, times: u32) -> Self {
        self.answer.times = Some(times);
        self
    }

    /// Does the work before misbehaving.
    #[must_use]
    pub fn after_enrolling(mut self) -> Self {
        self.answer.enrol_first = true;
        self
    }

    /// Concerns this user only.
    #[must_use]
    pub fn for_user(mut self, user: impl Into<String>) -> Self {
        self.matching.user = Some(user.into());
        self
    }

    /// Concerns this course only.
    #[must_use]
    pub fn for_course(mut self, course: impl Into<String>) -> Self {
        self.matching.course = Some(course.into());
        self
    }

    fn check(&self) -> Result<(), RuleError> {
        let answer = &self.answer;
        if let Some(status) = answer.status
            && !(200..=599).contains(&status)
        {
            return Err(RuleError::Status(status));
        }
        if u8::from(answer.hang) + u8::from(answer.reset) + u8::from(answer.status.is_some()) > 1 {
            return Err(RuleError::Contradiction);
        }
        if answer.times == Some(0) {
            return Err(RuleError::NoTimes);
        }
        if answer
            .delay_ms
            .is_some_and(|ms| Duration::from_millis(ms) > MAX_DELAY)
        {
            return Err(RuleError::Delay);
        }
        Ok(())
    }
}

impl Match {
    fn covers(&self, asked: &Asked) -> bool {
        let equal = |wanted: &Option<String>, found: Option<&str>| {
            wanted.is_none() || wanted.as_deref() == found
        };
        equal(&self.user, asked.user.as_deref())
            && equal(&self.course, asked.course.as_deref())
            && equal(&self.order, asked.order_number.as_deref())
            && equal(&self.path, Some(&asked.path))
    }
}

/// A rule of misbehaviour cannot be obeyed.
#[derive(Debug, thiserror::Error)]
pub enum RuleError {
    /// Not a final HTTP status.
    #[error("`{0}` is not a status to answer with: expected 200 to 599")]
    Status(u16),
    /// More than one of the exclusive answers.
    #[error("a rule has one of `status`, `hang` and `reset`")]
    Contradiction,
    /// `times` of zero.
    #[error("`times` is at least 1 (leave it out for a rule that stays)")]
    NoTimes,
    /// Longer than any client waits.
    #[error("`delay_ms` is at most {}", MAX_DELAY.as_millis())]
    Delay,
    /// Too long a list.
    #[error("{0} rules are too many: at most {MAX_RULES}")]
    TooMany(usize),
}

/// The rules in force.
#[derive(Default)]
pub(crate) struct Behaviour(Mutex<Vec<Rule>>);

impl Behaviour {
    pub(crate) fn replace(&self, rules: Vec<Rule>) -> Result<(), RuleError> {
        if rules.len() > MAX_RULES {
            return Err(RuleError::TooMany(rules.len()));
        }
        rules.iter().try_for_each(Rule::check)?;
        *self.lock() = rules;
        Ok(())
    }

    pub(crate) fn rules(&self) -> Vec<Rule> {
        self.lock().clone()
    }

    /// The answer for this request, counting down a rule that holds for a number of requests.
    pub(crate) fn answer_for(&self, asked: &Asked) -> Option<Answer> {
        let mut rules = self.lock();
        let position = rules.iter().position(|rule| rule.matching.covers(asked))?;
        let answer = rules[position].answer.clone();
        match answer.times {
            Some(1) => drop(rules.remove(position)),
            Some(left) => rules[position].answer.times = Some(left - 1),
            None => {}
        }
        Some(answer)
    }

    /// A panic elsewhere leaves the list whole: every change to it is one assignment.
    fn lock(&self) -> MutexGuard<'_, Vec<Rule>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
