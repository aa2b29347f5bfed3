//! What a test says of the host's services, and looks up in them.

use std::time::Duration;

use coordinator_abi::ask::{MissingStep, RunReply};
use coordinator_abi::call::RouteFailure;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Host;
use super::asked::Scripted;
use crate::plugin::Plugin;
use crate::{Flag, Timestamp};

impl<P: Plugin> Host<P> {
    /// An operator turns a flag.
    ///
    /// ```
    /// # use coordinator_sdk::prelude::*;
    /// # use coordinator_sdk::testing::Host;
    /// # /// Settings.
    /// # #[settings] pub struct Plugin {}
    /// /// Switches.
    /// #[flags]
    /// pub struct Switches {
    ///     /// Named as a keyword is.
    ///     r#type: bool,
    /// }
    /// # #[plugin] impl Plugin {
    /// /// Says how it stands.
    /// #[command]
    /// async fn r#match(&self, ctx: &Context) -> Result<String, CommandError> {
    ///     Ok(ctx.flag(Switches::TYPE).to_string())
    /// }
    /// # }
    /// let host = Host::<Plugin>::new(serde_json::json!({}));
    /// host.flag(Switches::TYPE, true);
    /// assert_eq!(host.command("match", &()).unwrap().text(), "true");
    /// assert_eq!(host.manifest().flags[0].name, "type");
    /// ```
    pub fn flag(&self, flag: Flag, on: bool) -> &Self {
        let mut state = self.world.state();
        state.services.flags.insert(flag.name().to_owned(), on);
        drop(state);
        self
    }

    /// This pipeline answers so from now on.
    ///
    /// # Panics
    ///
    /// If the value does not encode.
    pub fn pipeline<T: Serialize + ?Sized>(&self, name: &str, value: &T) -> &Self {
        self.pipeline_without(name, value, &[])
    }

    /// This pipeline answers so from now on, and says that the parts of these steps are missing. See
    /// [`Context::run_stated`](crate::Context::run_stated).
    ///
    /// # Panics
    ///
    /// If the value does not encode.
    pub fn pipeline_without<T: Serialize + ?Sized>(
        &self,
        name: &str,
        value: &T,
        missing: &[&str],
    ) -> &Self {
        let value = serde_json::to_value(value).expect("a test's value encodes as JSON");
        let missing = missing.iter().map(|step| MissingStep {
            step: (*step).to_owned(),
            reason: "it took too long".to_owned(),
        });
        let reply = RunReply {
            missing: missing.collect(),
        };
        self.script(name, Ok((value, reply)))
    }

    /// This pipeline fails so from now on.
    ///
    /// ```
    /// # use coordinator_sdk::prelude::*;
    /// # use coordinator_sdk::testing::{Call, Host};
    /// # /// Settings.
    /// # #[settings] pub struct Shop {}
    /// # #[plugin] impl Shop {
    /// /// The price of a basket.
    /// #[route(get, "/price", auth = public)]
    /// async fn price(&self, ctx: &Context) -> Result<Response, RouteError> {
    ///     let price: Money = ctx.run("org.example.basket.price.v1", &()).await?;
    ///     Ok(Response::text(200, price.minor.to_string()))
    /// }
    /// # }
    /// let host = Host::<Shop>::new(serde_json::json!({}));
    /// host.pipeline_fails("org.example.basket.price.v1", 422, "no-such-voucher");
    /// let answer = host.call(Call::get("/price"));
    /// assert_eq!((answer.status, answer.code.as_deref()), (422, Some("no-such-voucher")));
    /// ```
    pub fn pipeline_fails(&self, name: &str, status: u16, code: &str) -> &Self {
        let failure = RouteFailure {
            status,
            code: code.to_owned(),
            detail: format!("`{code}`, as the test wants it"),
            ..RouteFailure::default()
        };
        self.script(name, Err(failure))
    }

    fn script(&self, name: &str, answer: Scripted) -> &Self {
        let mut state = self.world.state();
        state.services.pipelines.insert(name.to_owned(), answer);
        drop(state);
        self
    }

    /// Lets time pass: what is kept for a while is forgotten when that is over.
    pub fn advance(&self, time: Duration) -> &Self {
        let millis = i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
        let mut state = self.world.state();
        state.now_ms = state.now_ms.saturating_add(millis);
        drop(state);
        self
    }

    /// Sets the clock. It begins at the epoch.
    pub fn set_now(&self, now: Timestamp) -> &Self {
        self.world.state().now_ms = now.as_millis();
        self
    }

    /// The cache is away from now on, and locks with it.
    pub fn without_cache(&self) -> &Self {
        self.world.state().services.away = true;
        self
    }

    /// What the plugin keeps in the cache under this key.
    ///
    /// # Panics
    ///
    /// If it is no `T`.
    #[must_use]
    pub fn cached<T: DeserializeOwned>(&self, key: &str) -> Option<T> {
        let state = self.world.state();
        let value = state.services.value(key, state.now_ms)?;
        Some(serde_json::from_slice(value).expect("what is kept is of this type"))
    }

    /// Somebody else holds this lock, for a minute of the host's clock.
    pub fn hold(&self, key: &str) -> &Self {
        let mut state = self.world.state();
        let until_ms = state.now_ms.saturating_add(60_000);
        let _ = state.services.acquire(key, until_ms);
        drop(state);
        self
    }

    /// A metric of the plugin: of a counter and a histogram the sum, of a gauge its value. `None` if it was never told.
    #[must_use]
    pub fn metric(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        self.world.state().services.metric(name, labels)
    }
}
