//! What a plugin counts and measures.

use coordinator_abi::ask::MetricTell;
use coordinator_abi::code::metric;
use coordinator_abi::{Code, Lent, code};

/// The plugin's own metrics, through [`Context::metrics`](crate::Context::metrics). They appear on the host's `/metrics`
/// under the name of the instance.
///
/// Names and labels are the author's, and their number is bounded: a label takes few values, never an id, a name or an
/// amount. What goes beyond the host's bounds is not counted, and the host says so once in its log.
///
/// ```
/// use coordinator_sdk::prelude::*;
/// use coordinator_sdk::testing::{Call, Host};
///
/// # /// Settings.
/// # #[settings] pub struct Shop {}
/// # #[plugin] impl Shop {
/// /// Takes an order.
/// #[route(post, "/orders", auth = public)]
/// async fn order(&self, ctx: &Context) -> Result<Response, RouteError> {
///     ctx.metrics().counter("orders").label("country", "de").add(1);
///     ctx.metrics().gauge("open_orders").set(7.0);
///     ctx.metrics().histogram("order_lines").record(3.0);
///     Ok(Response::accepted())
/// }
/// # }
/// let host = Host::<Shop>::new(serde_json::json!({}));
/// host.call(Call::post("/orders"));
/// host.call(Call::post("/orders"));
/// assert_eq!(host.metric("orders", &[("country", "de")]), Some(2.0));
/// ```
#[derive(Clone, Copy)]
pub struct Metrics<'a> {
    lent: &'a Lent,
}

impl<'a> Metrics<'a> {
    pub(crate) fn new(lent: &'a Lent) -> Self {
        Self { lent }
    }

    /// A sum that only grows. By convention its name is a plural, such as `orders_refused`.
    pub fn counter(&self, name: &'a str) -> Counter<'a> {
        Counter(self.measure(name))
    }

    /// A value that goes up and down.
    pub fn gauge(&self, name: &'a str) -> Gauge<'a> {
        Gauge(self.measure(name))
    }

    /// How values are spread. By convention its name ends in its unit, such as `answer_seconds`.
    pub fn histogram(&self, name: &'a str) -> Histogram<'a> {
        Histogram(self.measure(name))
    }

    fn measure(&self, name: &'a str) -> Measure<'a> {
        Measure {
            lent: self.lent,
            name,
            labels: Vec::new(),
        }
    }
}

/// What is measured, and which of several.
struct Measure<'a> {
    lent: &'a Lent,
    name: &'a str,
    labels: Vec<(&'a str, &'a str)>,
}

impl Measure<'_> {
    fn tell(&self, kind: Code, value: f64) {
        let input = MetricTell::encode(kind, self.name, value, &self.labels);
        // A measure is no reason to fail: an older host, or one whose bounds are reached, does not count it.
        let _ = self.lent.tell(code::tell::METRIC, &input);
    }
}

/// The three kinds differ in what they are told, and in nothing else.
macro_rules! kind {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[must_use = "it is told nothing yet"]
        pub struct $name<'a>(Measure<'a>);

        impl<'a> $name<'a> {
            /// Tells apart what is measured: one series for each value, so let there be few.
            pub fn label(mut self, name: &'a str, value: &'a str) -> Self {
                self.0.labels.push((name, value));
                self
            }
        }
    };
}

kind! {
    /// See [`Metrics::counter`].
    ///
    /// ```
    /// # fn count(ctx: &coordinator_sdk::Context) {
    /// ctx.metrics().counter("orders_refused").label("reason", "sold-out").add(1);
    /// # }
    /// ```
    Counter
}
kind! {
    /// See [`Metrics::gauge`].
    ///
    /// ```
    /// # fn measure(ctx: &coordinator_sdk::Context, seats: u32) {
    /// ctx.metrics().gauge("free_seats").set(f64::from(seats));
    /// # }
    /// ```
    Gauge
}
kind! {
    /// See [`Metrics::histogram`].
    ///
    /// ```
    /// # fn observe(ctx: &coordinator_sdk::Context, took: std::time::Duration) {
    /// ctx.metrics().histogram("export_seconds").record(took.as_secs_f64());
    /// # }
    /// ```
    Histogram
}

impl Counter<'_> {
    /// Adds to it.
    pub fn add(self, count: u32) {
        self.0.tell(metric::COUNTER, f64::from(count));
    }
}

impl Gauge<'_> {
    /// It is this now.
    pub fn set(self, value: f64) {
        self.0.tell(metric::GAUGE, value);
    }
}

impl Histogram<'_> {
    /// One more value.
    pub fn record(self, value: f64) {
        self.0.tell(metric::HISTOGRAM, value);
    }
}
