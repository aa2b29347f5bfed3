//! Everything that a host asks of a plugin, asked by a test.

use coordinator_abi::call::{self, HandleMeta, ResponseMeta, RouteFailure};
use coordinator_abi::code::{flow, op};
use coordinator_abi::step::{StepMeta, decode_flow};
use coordinator_abi::{Code, SharedBytes};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::answer::{Answer, Failed, StepFailed, Told};
use super::path::parameters;
use super::{Call, Host};
use crate::plugin::Plugin;
use crate::{Finding, Flow, Message};

impl<P: Plugin> Host<P> {
    /// Delivers a message to the handler of its type; of several, to the first: see [`Self::deliver_to`].
    ///
    /// # Errors
    ///
    /// How the handler failed.
    ///
    /// # Panics
    ///
    /// If the plugin has no handler for it.
    pub fn deliver<M: Message>(&self, message: &M) -> Result<(), Failed> {
        let payload = serde_json::to_string(message).expect("a message encodes as JSON");
        self.deliver_json(M::TYPE, &payload)
    }

    /// Delivers a payload, well-formed or not, to the handler of `ty`.
    ///
    /// ```
    /// # use coordinator_sdk::prelude::*;
    /// # use coordinator_sdk::testing::Host;
    /// # /// A thing happened.
    /// # #[message("org.example.thing.happened.v1")] pub struct Thing { pub id: String }
    /// # /// Settings.
    /// # #[settings] pub struct Plugin {}
    /// # #[plugin] impl Plugin {
    /// #     /// Takes it.
    /// #     #[handler] async fn take(&self, ctx: &Context, thing: Thing) -> Result<(), HandlerError> { Ok(()) }
    /// # }
    /// let host = Host::<Plugin>::new(serde_json::json!({}));
    /// assert!(host.deliver_json("org.example.thing.happened.v1", r#"{"id": "a"}"#).is_ok());
    /// // Of another version of its publisher: it will never fit.
    /// assert!(!host.deliver_json("org.example.thing.happened.v1", "{}").unwrap_err().is_retry());
    /// ```
    ///
    /// # Errors
    ///
    /// How the handler failed.
    ///
    /// # Panics
    ///
    /// If the plugin has no handler for it.
    pub fn deliver_json(&self, ty: &str, payload: &str) -> Result<(), Failed> {
        let handlers = &self.manifest.handlers;
        let index = handlers.iter().position(|handler| handler.ty == ty);
        let index = index.unwrap_or_else(|| panic!("the plugin has no handler for `{ty}`"));
        self.handle(index, ty, payload)
    }

    /// Delivers a message to the handler that is named after this function: a type may have several.
    ///
    /// ```
    /// # use coordinator_sdk::prelude::*;
    /// # use coordinator_sdk::testing::Host;
    /// # /// A thing happened.
    /// # #[message("org.example.thing.happened.v1")] pub struct Thing { pub id: String }
    /// # /// Settings.
    /// # #[settings] pub struct Plugin {}
    /// # #[plugin] impl Plugin {
    /// /// Writes it down.
    /// #[handler]
    /// async fn write(&self, _ctx: &Context, _thing: Thing) -> Result<(), HandlerError> {
    ///     Ok(())
    /// }
    ///
    /// /// Counts it. What becomes of the other handler's delivery does not matter here.
    /// #[handler]
    /// async fn count(&self, ctx: &Context, _thing: Thing) -> Result<(), HandlerError> {
    ///     ctx.metrics().counter("things").add(1);
    ///     Ok(())
    /// }
    /// # }
    /// let host = Host::<Plugin>::new(serde_json::json!({}));
    /// host.deliver_to("count", &Thing { id: "a".to_owned() }).unwrap();
    /// assert_eq!(host.metric("things", &[]), Some(1.0));
    /// ```
    ///
    /// # Errors
    ///
    /// How the handler failed.
    ///
    /// # Panics
    ///
    /// If the plugin has no such handler, or it takes another type.
    pub fn deliver_to<M: Message>(&self, handler: &str, message: &M) -> Result<(), Failed> {
        let handlers = &self.manifest.handlers;
        let index = position(handlers.iter().map(|it| &*it.name), "handler", handler);
        assert!(
            handlers[index].ty == M::TYPE,
            "handler `{handler}` takes `{}`",
            handlers[index].ty
        );
        let payload = serde_json::to_string(message).expect("a message encodes as JSON");
        self.handle(index, M::TYPE, &payload)
    }

    fn handle(&self, index: usize, ty: &str, payload: &str) -> Result<(), Failed> {
        let meta = HandleMeta {
            id: "00000000-0000-7000-8000-000000000001".to_owned(),
            ty: ty.to_owned(),
            attempt: 1,
            ..HandleMeta::default()
        };
        let (answer, port) = self.run(op::HANDLE, index, meta.encode(), payload.to_owned().into());
        if answer.is_ok() {
            port.commit();
            return Ok(());
        }
        Err(Failed::of(&answer))
    }

    /// Calls the route that the request fits.
    ///
    /// # Panics
    ///
    /// If there is none.
    #[must_use]
    pub fn call(&self, mut call: Call) -> Answer {
        let routes = &self.manifest.routes;
        let fit = |path: &str| parameters(path, &call.meta.path);
        let found = routes.iter().enumerate().find_map(|(index, route)| {
            let params = (route.method == call.meta.method)
                .then(|| fit(&route.path))
                .flatten()?;
            Some((index, params))
        });
        let (index, params) = found.unwrap_or_else(|| {
            panic!(
                "the plugin has no route {} {}",
                call.meta.method, call.meta.path
            )
        });
        call.meta.params = params;
        let (answer, port) = self.run(op::ROUTE, index, call.meta.encode(), call.body.into());
        port.commit();
        if answer.is_ok() {
            let head =
                ResponseMeta::decode(&answer.meta).expect("the SDK writes a well-formed head");
            return Answer {
                status: head.status,
                body: answer.body.to_vec(),
                code: None,
            };
        }
        let failure: RouteFailure = serde_json::from_slice(&answer.meta).unwrap_or_default();
        Answer {
            status: if failure.status == 0 {
                500
            } else {
                failure.status
            },
            body: failure.detail.into_bytes(),
            code: Some(failure.code),
        }
    }

    /// Runs a step, named after its function, on a value.
    ///
    /// ```
    /// # use coordinator_sdk::prelude::*;
    /// # use coordinator_sdk::testing::Host;
    /// # /// Settings.
    /// # #[settings] pub struct Shop {}
    /// # #[plugin] impl Shop {
    /// /// Adds the tax.
    /// #[step("org.example.price.v1")]
    /// async fn tax(&self, _ctx: &Context, minor: i64) -> Result<Flow<i64>, StepError> {
    ///     Ok(Flow::Continue(minor + minor * 19 / 100))
    /// }
    /// # }
    /// let host = Host::<Shop>::new(serde_json::json!({}));
    /// assert_eq!(host.step::<_, i64>("tax", &10_000).unwrap(), Flow::Continue(11_900));
    /// ```
    ///
    /// # Errors
    ///
    /// How the step failed.
    ///
    /// # Panics
    ///
    /// If the plugin has no such step, or it answers no `Out`.
    pub fn step<In: Serialize + ?Sized, Out: DeserializeOwned>(
        &self,
        name: &str,
        value: &In,
    ) -> Result<Flow<Out>, StepFailed> {
        let steps = &self.manifest.steps;
        let index = position(steps.iter().map(|step| &*step.name), "step", name);
        let meta = StepMeta {
            pipeline: steps[index].pipeline.clone(),
            run: "run-1".to_owned(),
            ..StepMeta::default()
        };
        let value = serde_json::to_vec(value).expect("a test's value encodes as JSON");
        let (answer, port) = self.run(op::STEP, index, meta.encode(), value.into());
        if !answer.is_ok() {
            return Err(StepFailed::of(&answer));
        }
        port.commit();
        let value = serde_json::from_slice(&answer.body).expect("the step answers this type");
        Ok(match decode_flow(&answer.meta) {
            flow::CONTINUE => Flow::Continue(value),
            _ => Flow::Halt(value),
        })
    }

    /// Runs a schedule, named after its function, as if it were due now.
    ///
    /// ```
    /// # use coordinator_sdk::prelude::*;
    /// # use coordinator_sdk::testing::Host;
    /// # /// Settings.
    /// # #[settings] pub struct Books {}
    /// # #[plugin] impl Books {
    /// /// Closes the books of the day.
    /// #[schedule("0 0 * * *")]
    /// async fn close(&self, ctx: &Context) -> Result<(), HandlerError> {
    ///     let due = ctx.message().map(|tick| tick.time);
    ///     tracing::info!(due = ?due, "closed the books");
    ///     Ok(())
    /// }
    /// # }
    /// let host = Host::<Books>::new(serde_json::json!({}));
    /// assert!(host.schedule("close").is_ok());
    /// assert!(host.check().is_empty() && host.health().is_ok() && host.stop().is_ok());
    /// ```
    ///
    /// # Errors
    ///
    /// How it failed.
    ///
    /// # Panics
    ///
    /// If the plugin has no such schedule.
    pub fn schedule(&self, name: &str) -> Result<(), Failed> {
        let schedules = self.manifest.schedules.iter();
        let index = position(schedules.map(|schedule| &*schedule.name), "schedule", name);
        let meta = HandleMeta {
            id: "00000000-0000-7000-8000-000000000002".to_owned(),
            time_ms: u64::try_from(self.world.now()).unwrap_or_default(),
            attempt: 1,
            ..HandleMeta::default()
        };
        let (answer, port) = self.run(op::SCHEDULE, index, meta.encode(), SharedBytes::new());
        if answer.is_ok() {
            port.commit();
            return Ok(());
        }
        Err(Failed::of(&answer))
    }

    /// Runs a command, named after its function. `()` is no arguments.
    ///
    /// # Errors
    ///
    /// How it failed: arguments that do not fit, or an error of its own.
    ///
    /// # Panics
    ///
    /// If the plugin has no such command.
    pub fn command<A: Serialize + ?Sized>(
        &self,
        name: &str,
        arguments: &A,
    ) -> Result<Told, Failed> {
        let commands = self.manifest.commands.iter();
        let index = position(commands.map(|command| &*command.name), "command", name);
        let arguments = serde_json::to_vec(arguments).expect("a test's arguments encode as JSON");
        let (answer, port) = self.run(op::COMMAND, index, SharedBytes::new(), arguments.into());
        port.commit();
        if !answer.is_ok() {
            return Err(Failed::of(&answer));
        }
        let head = ResponseMeta::decode(&answer.meta).expect("the SDK writes a well-formed head");
        let content_type = head.headers.first().map(|(_, value)| value.as_slice());
        Ok(Told {
            content_type: String::from_utf8_lossy(content_type.unwrap_or_default()).into_owned(),
            body: answer.body.to_vec(),
        })
    }

    /// What all checks find.
    ///
    /// # Panics
    ///
    /// If a check panics.
    #[must_use]
    pub fn check(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        for index in 0..self.manifest.checks.len() {
            let answer = self.ask(op::CHECK, index);
            let found =
                answer.unwrap_or_else(|failed| panic!("the check {}", failed.chain.join(": ")));
            let found: Vec<call::Finding> =
                serde_json::from_slice(&found).expect("the SDK writes well-formed findings");
            findings.extend(found.into_iter().map(Finding::of));
        }
        findings
    }

    /// Is it well?
    ///
    /// # Errors
    ///
    /// Why not.
    pub fn health(&self) -> Result<(), Failed> {
        self.ask(op::HEALTH, 0).map(drop)
    }

    /// Lets it finish. Nothing is to be asked of it after that.
    ///
    /// # Errors
    ///
    /// If it panics.
    pub fn stop(&self) -> Result<(), Failed> {
        self.ask(op::STOP, 0).map(drop)
    }

    fn ask(&self, what: Code, index: usize) -> Result<SharedBytes, Failed> {
        let (answer, _) = self.run(what, index, SharedBytes::new(), SharedBytes::new());
        if answer.is_ok() {
            Ok(answer.body)
        } else {
            Err(Failed::of(&answer))
        }
    }
}

#[track_caller]
fn position<'a>(mut names: impl Iterator<Item = &'a str>, kind: &str, wanted: &str) -> usize {
    let found = names.position(|name| name == wanted);
    found.unwrap_or_else(|| panic!("the plugin has no {kind} `{wanted}`"))
}
