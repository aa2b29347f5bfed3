//! What a test house is made of, before it is started.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use coordinator_sandbox::{Credential, Options, Sandbox};
use tempfile::TempDir;

use crate::process::{Ended, built, coordinator};
use crate::{LMS_TOKEN, TestHouse};

/// A folder with a configuration, and a sandbox.
#[derive(Debug)]
pub struct Builder {
    pub(crate) folder: TempDir,
    pub(crate) sandbox: Sandbox,
    plugins: String,
    server: String,
    log: String,
    more: String,
}

impl Builder {
    pub(crate) fn new() -> Self {
        let options = Options {
            credential: Credential::Bearer(LMS_TOKEN.to_owned()),
            ..Options::default()
        };
        Self {
            folder: tempfile::tempdir().expect("a temporary folder"),
            sandbox: Sandbox::start(options).expect("a free port"),
            plugins: String::new(),
            server: String::new(),
            log: String::new(),
            more: String::new(),
        }
    }

    /// Installs a plugin that must run: `file` is the name of its crate as cargo writes it, `settings` are lines of
    /// TOML.
    #[must_use]
    pub fn plugin(mut self, name: &str, file: &str, settings: &str) -> Self {
        let path = built(&format!("lib{file}.so"));
        write!(
            self.plugins,
            "[plugins.{name}]\npath = {path:?}\nrequired = true\n[plugins.{name}.settings]\n{settings}\n"
        )
        .expect("writing to a string cannot fail");
        self
    }

    /// Stripe, and the LMS that the sandbox plays.
    #[must_use]
    pub fn payments(self) -> Self {
        let url = self.sandbox.url();
        self.payments_at(&url)
    }

    /// Stripe, and an LMS that another house's sandbox plays.
    #[must_use]
    pub fn payments_at(self, lms: &str) -> Self {
        let lms = format!("base_url = \"{lms}\"\ntoken = \"env:LMS_TOKEN\"");
        self.plugin(
            "stripe",
            "coordinator_stripe",
            "webhook_secret = \"env:STRIPE_SECRET\"",
        )
        .plugin("lms", "coordinator_lms", &lms)
    }

    /// Lets the LMS plugin try again soon, and for ever.
    #[must_use]
    pub fn patient(self) -> Self {
        self.config(
            "[wiring.handlers.\"lms.enrol\"]\nbackoff = \"100ms..300ms\"\nmax_attempts = 100000\n\
             [dispatch.breaker]\nopen_for = \"50ms..100ms\"\n\
             [egress.breaker]\nopen_for = \"50ms..100ms\"",
        )
    }

    /// Logs what this filter lets through; what a host logs by itself if not told.
    #[must_use]
    pub fn log(mut self, filter: &str) -> Self {
        self.log = format!("filter = {filter:?}\n");
        self
    }

    /// A line of the section `[server]`.
    #[must_use]
    pub fn server(mut self, line: &str) -> Self {
        self.server.push_str(line);
        self.server.push('\n');
        self
    }

    /// More of `coordinator.toml`.
    #[must_use]
    pub fn config(mut self, toml: &str) -> Self {
        self.more.push_str(toml);
        self.more.push('\n');
        self
    }

    /// Puts a file into the house's folder.
    #[must_use]
    pub fn file(self, name: &str, content: &[u8]) -> Self {
        fs::write(self.path().join(name), content).expect("the folder is writable");
        self
    }

    /// Writes the configuration, locks the plugins, and runs `coordinator serve` until it listens.
    ///
    /// # Panics
    ///
    /// If any of it fails.
    #[track_caller]
    pub fn start(self) -> TestHouse {
        self.lock();
        let mut house = TestHouse::new(self);
        house.start();
        house
    }

    /// The same, for a host that must not come up.
    #[track_caller]
    pub fn serve(self) -> Ended {
        self.lock();
        let mut command = coordinator(self.path());
        command.arg("serve");
        Ended::of(command)
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn lock(&self) {
        let Self {
            plugins,
            server,
            log,
            more,
            ..
        } = self;
        let text = format!(
            "[server]\nlisten = \"127.0.0.1:0\"\n{server}[api.keys.tests]\nsecret = \"env:TESTS_KEY\"\n\
             [log]\nformat = \"json\"\n{log}{plugins}\n{more}"
        );
        fs::write(self.path().join("coordinator.toml"), text).expect("the folder is writable");
        let mut command = coordinator(self.path());
        command.args(["plugin", "lock"]);
        // Where nothing is locked the policy is `any`; if it is not, the start says so.
        let _ = Ended::of(command);
    }
}
