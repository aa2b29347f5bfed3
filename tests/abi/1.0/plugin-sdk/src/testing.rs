//! Tests a plugin with no server: a host in the test's own process, across the real boundary.
//!
//! ```
//! use coordinator_sdk::prelude::*;
//! use coordinator_sdk::testing::{Call, Host};
//!
//! /// A learner paid.
//! #[message("org.example.payment.received.v1")]
//! pub struct Paid {
//!     pub learner: String,
//! }
//!
//! /// Settings.
//! #[settings]
//! pub struct Lms {
//!     /// Enrolment endpoint.
//!     enrolment_url: Url,
//! }
//!
//! #[plugin]
//! impl Lms {
//!     /// Takes a payment.
//!     #[route(post, "/paid", auth = public)]
//!     async fn paid(&self, ctx: &Context, paid: Json<Paid>) -> Result<Response, RouteError> {
//!         ctx.publish(paid.0).idempotency_key(ctx.webhook_id()).await?;
//!         Ok(Response::accepted())
//!     }
//!
//!     /// Enrols.
//!     #[handler]
//!     async fn enrol(&self, ctx: &Context, paid: Paid) -> Result<(), HandlerError> {
//!         ctx.http().post(&self.enrolment_url).json(&paid).send().await?.error_for_status()?;
//!         Ok(())
//!     }
//! }
//!
//! let host = Host::<Lms>::new(serde_json::json!({"enrolment_url": "http://lms.test/enrol"}));
//! let answer = host.call(Call::post("/paid").json(&serde_json::json!({"learner": "ada"})));
//! assert_eq!(answer.status, 202);
//! let paid: Vec<Paid> = host.published();
//!
//! host.reply(503);
//! assert!(host.deliver(&paid[0]).unwrap_err().is_retry());
//! host.deliver(&paid[0]).unwrap();
//! assert_eq!(host.requests().len(), 2);
//! ```

mod block_on;
mod call;
mod path;
mod port;

use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use coordinator_abi::call::{FailureMeta, HandleMeta, ResponseMeta, RouteFailure};
use coordinator_abi::code::{op, outcome};
use coordinator_abi::manifest::Manifest;
use coordinator_abi::plugin::{describe, table};
use coordinator_abi::{Instance, Outcome, SharedBytes};

use crate::plugin::Plugin;
use crate::serve::Served;
use crate::{Message, Timestamp};
use block_on::block_on;
pub use call::Call;
use path::parameters;
pub use port::Sent;
use port::{Port, World};

/// A host for one plugin, in the test's own process. See the [module](self).
pub struct Host<P: Plugin> {
    instance: Instance<Port>,
    manifest: Manifest,
    world: Arc<World>,
    plugin: PhantomData<P>,
}

/// What a route answered.
#[derive(Debug)]
pub struct Answer {
    /// Status.
    pub status: u16,
    /// Body; of a refusal, its sentence.
    pub body: Vec<u8>,
    /// Of a refusal: its stable code.
    pub code: Option<String>,
}

/// A handler failed.
#[derive(Debug)]
pub struct Failed {
    retry: bool,
    after: Option<Duration>,
    chain: Vec<String>,
}

impl Failed {
    /// Would the host try again?
    #[must_use]
    pub fn is_retry(&self) -> bool {
        self.retry
    }

    /// Not before.
    #[must_use]
    pub fn after(&self) -> Option<Duration> {
        self.after
    }

    /// The error, then its causes. What an operator reads.
    #[must_use]
    pub fn chain(&self) -> &[String] {
        &self.chain
    }
}

impl<P: Plugin> Host<P> {
    /// Starts the plugin with these settings.
    ///
    /// # Panics
    ///
    /// If it does not start, saying why.
    #[must_use]
    pub fn new(settings: serde_json::Value) -> Self {
        match Self::try_new(settings) {
            Ok(host) => host,
            Err(reason) => panic!("the plugin did not start: {reason}"),
        }
    }

    /// Starts the plugin with these settings.
    ///
    /// # Errors
    ///
    /// Why it did not start.
    pub fn try_new(settings: serde_json::Value) -> Result<Self, String> {
        let table = table::<Served<P>>();
        let manifest = describe(table).map_err(|answer| reason(&answer))?;
        let manifest = serde_json::from_slice(&manifest).map_err(|error| error.to_string())?;
        let instance = Instance::open(table);
        let host = Self {
            instance,
            manifest,
            world: Arc::default(),
            plugin: PhantomData,
        };
        let settings = settings.to_string().into();
        let (answer, _) = host.run(op::START, 0, SharedBytes::new(), settings);
        if answer.is_ok() {
            Ok(host)
        } else {
            Err(reason(&answer))
        }
    }

    /// What the plugin says of itself.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The next outbound call is answered with this status and an empty JSON object. Calls that no reply is left
    /// for are answered 200.
    pub fn reply(&self, status: u16) -> &Self {
        self.reply_with(status, &[], &serde_json::json!({}))
    }

    /// The next outbound call is answered so.
    pub fn reply_with(
        &self,
        status: u16,
        headers: &[(&str, &str)],
        body: &serde_json::Value,
    ) -> &Self {
        self.world.script(status, headers, body);
        self
    }

    /// The next outbound call gets no answer.
    pub fn cut(&self) -> &Self {
        self.world.cut();
        self
    }

    /// The next outbound call is not made, as when the host leaves that system alone for `after` because it failed again
    /// and again.
    ///
    /// ```
    /// # use coordinator_sdk::prelude::*;
    /// # use coordinator_sdk::testing::Host;
    /// # use std::time::Duration;
    /// # /// A thing happened.
    /// # #[message("org.example.thing.happened.v1")] pub struct Thing { pub name: String }
    /// # /// Settings.
    /// # #[settings] pub struct Plugin {}
    /// # #[plugin] impl Plugin {
    /// /// Tells another system.
    /// #[handler]
    /// async fn tell(&self, ctx: &Context, thing: Thing) -> Result<(), HandlerError> {
    ///     ctx.http().post("http://other.test").json(&thing).send().await?.error_for_status()?;
    ///     Ok(())
    /// }
    /// # }
    /// let host = Host::<Plugin>::new(serde_json::json!({}));
    /// host.turn_away(Duration::from_secs(7));
    /// let failed = host.deliver(&Thing { name: "a".to_owned() }).unwrap_err();
    /// assert!(failed.is_retry());
    /// assert_eq!(failed.after(), Some(Duration::from_secs(7)));
    /// ```
    pub fn turn_away(&self, after: Duration) -> &Self {
        self.world.turn_away(after);
        self
    }

    /// The plugin's outbound calls so far.
    #[must_use]
    pub fn requests(&self) -> Vec<Sent> {
        self.world.sent()
    }

    /// Messages of type `M` that were published so far: by routes at once, by handlers when they ended well.
    ///
    /// # Panics
    ///
    /// If one does not decode.
    #[must_use]
    pub fn published<M: Message>(&self) -> Vec<M> {
        let decode = |payload: Vec<u8>| {
            serde_json::from_slice(&payload).expect("what was published decodes")
        };
        self.world
            .published(M::TYPE)
            .into_iter()
            .map(decode)
            .collect()
    }

    /// When each of them is to be delivered, in the order of [`Self::published`]; `None` is at once. The test host's
    /// clock begins at the epoch, and goes on when the plugin sleeps.
    #[must_use]
    pub fn deliver_times<M: Message>(&self) -> Vec<Option<Timestamp>> {
        self.world.deliver_times(M::TYPE)
    }

    /// Delivers a message to the handler of its type.
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
        let failure = FailureMeta::of(&answer);
        Err(Failed {
            retry: answer.code != outcome::DEAD,
            after: failure.after_ms.map(Duration::from_millis),
            chain: failure.chain,
        })
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

    fn run(
        &self,
        op: coordinator_abi::Code,
        index: usize,
        meta: SharedBytes,
        body: SharedBytes,
    ) -> (Outcome, Arc<Port>) {
        let port = Arc::new(Port::new(Arc::clone(&self.world)));
        let index = u32::try_from(index).expect("a plugin has fewer than 2³² handlers");
        let answer = block_on(self.instance.call(op, index, Arc::clone(&port), meta, body));
        (answer, port)
    }
}

fn reason(answer: &Outcome) -> String {
    FailureMeta::of(answer).chain.join(": ")
}
