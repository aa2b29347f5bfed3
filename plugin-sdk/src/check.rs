//! Checks: what a plugin looks at before it serves, and whether it is well while it does.

use coordinator_abi::call;

use crate::error::chained_error;

/// One thing that a check found. All findings of all plugins are shown at once, by `coordinator check` and when the host
/// starts.
///
/// ```
/// use coordinator_sdk::prelude::*;
/// use coordinator_sdk::testing::Host;
///
/// /// Settings.
/// #[settings]
/// pub struct Lms {
///     /// Root of the LMS.
///     base_url: Url,
/// }
///
/// # #[plugin] impl Lms {
/// /// Looks at the connection.
/// #[check]
/// async fn connection(&self, _ctx: &Context) -> Vec<Finding> {
///     let mut findings = Vec::new();
///     if self.base_url.scheme() != "https" {
///         findings.push(
///             Finding::warning("lms.not-encrypted", "`base_url` is not https: tokens travel in the clear")
///                 .hint("write `https://` in `[plugins.lms.settings] base_url`"),
///         );
///     }
///     if self.base_url.path() != "/" {
///         findings.push(Finding::error("lms.path", "`base_url` is the root of the LMS, and has no path"));
///     }
///     findings.push(Finding::info("lms.host", format!("the LMS is {}", self.base_url.authority())));
///     findings
/// }
/// # }
/// let host = Host::<Lms>::new(serde_json::json!({"base_url": "http://lms.test"}));
/// let findings = host.check();
/// assert_eq!(findings[0].id(), "lms.not-encrypted");
/// assert_eq!(findings[0].severity(), Severity::Warning);
/// assert_eq!(findings[1].message(), "the LMS is lms.test");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    id: String,
    severity: Severity,
    message: String,
    hint: Option<String>,
}

/// How severe a finding is.
///
/// ```
/// use coordinator_sdk::prelude::*;
///
/// let found = [
///     Finding::info("lms.version", "the LMS is of version 20"),
///     Finding::error("lms.no-token", "`token` is empty").hint("set it to `env:LMS_TOKEN`"),
/// ];
/// let worst = found.iter().max_by_key(|finding| finding.severity()).unwrap();
/// assert_eq!(worst.severity(), Severity::Error);
/// assert_eq!((worst.id(), worst.message()), ("lms.no-token", "`token` is empty"));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Good to know.
    Info,
    /// It works, and should be mended.
    Warning,
    /// It does not work: `coordinator check` fails.
    Error,
}

impl Severity {
    fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }

    /// What is not known is the worst.
    fn of(name: &str) -> Self {
        match name {
            "info" => Self::Info,
            "warning" => Self::Warning,
            _ => Self::Error,
        }
    }
}

impl Finding {
    /// It does not work. `id` is stable, so that operators can search for it: `lms.token-expired`.
    pub fn error(id: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(Severity::Error, id.into(), message.into())
    }

    /// It works, and should be mended.
    pub fn warning(id: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(Severity::Warning, id.into(), message.into())
    }

    /// Good to know.
    pub fn info(id: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(Severity::Info, id.into(), message.into())
    }

    fn new(severity: Severity, id: String, message: String) -> Self {
        Self {
            id,
            severity,
            message,
            hint: None,
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// How bad it is.
    #[must_use]
    pub fn severity(&self) -> Severity {
        self.severity
    }

    /// What is wrong.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    pub(crate) fn into_meta(self) -> call::Finding {
        call::Finding {
            id: self.id,
            severity: self.severity.name().to_owned(),
            message: self.message,
            hint: self.hint,
        }
    }

    pub(crate) fn of(meta: call::Finding) -> Self {
        Self {
            id: meta.id,
            severity: Severity::of(&meta.severity),
            message: meta.message,
            hint: meta.hint,
        }
    }
}

chained_error! {
    /// Why a plugin is not well. Made by `?` of any error; operators read it in `/readyz?verbose` and `plugin list`.
    ///
    /// ```
    /// use coordinator_sdk::prelude::*;
    /// use coordinator_sdk::testing::Host;
    ///
    /// # /// Settings.
    /// # #[settings] pub struct Lms { /// Root.
    /// # base_url: Url }
    /// # #[plugin] impl Lms {
    /// /// Asks the LMS.
    /// #[health]
    /// async fn health(&self, ctx: &Context) -> Result<(), HealthError> {
    ///     ctx.http().get(&self.base_url).send().await?.error_for_status()?;
    ///     Ok(())
    /// }
    /// # }
    /// let host = Host::<Lms>::new(serde_json::json!({"base_url": "http://lms.test"}));
    /// assert!(host.health().is_ok());
    /// host.reply(503);
    /// assert!(host.health().is_err());
    /// ```
    HealthError
}

#[doc(hidden)]
#[must_use]
pub fn no_check(index: u32) -> Vec<Finding> {
    let message = format!("the plugin has no check number {index}");
    vec![Finding::error("no-such-check", message)]
}
