//! Steps: each says what it is before it runs and how long it took after.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use crate::workspace::Workspace;

/// The steps of one command.
pub(crate) struct Steps<'a> {
    workspace: &'a Workspace,
    done: Vec<(String, Duration)>,
}

impl<'a> Steps<'a> {
    pub(crate) const fn new(workspace: &'a Workspace) -> Self {
        Self {
            workspace,
            done: Vec::new(),
        }
    }

    /// Runs cargo, its output passed on.
    pub(crate) fn cargo(&mut self, arguments: &[&str], environment: &[(&str, &str)]) -> Result<()> {
        let name = format!("cargo {}", arguments.join(" "));
        let mut command = self.workspace.cargo(arguments.iter().copied());
        command.envs(environment.iter().copied());
        self.time(&name, || {
            let status = command.status().context("failed to start cargo")?;
            ensure!(status.success(), "`{name}` failed");
            Ok(())
        })
    }

    /// Runs anything as a step.
    pub(crate) fn time(&mut self, name: &str, step: impl FnOnce() -> Result<()>) -> Result<()> {
        println!("==> {name}");
        let started = Instant::now();
        step()?;
        let took = started.elapsed();
        println!("    done in {:.1} s", took.as_secs_f64());
        self.done.push((name.to_owned(), took));
        Ok(())
    }

    /// How long each step took, and all of them.
    pub(crate) fn summary(&self) {
        println!("==> all passed");
        for (name, took) in &self.done {
            println!("{:>9.1} s  {name}", took.as_secs_f64());
        }
        let total: Duration = self.done.iter().map(|(_, took)| *took).sum();
        println!("{:>9.1} s  in all", total.as_secs_f64());
    }
}
