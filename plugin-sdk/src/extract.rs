//! Requests to routes, and their answers.

use coordinator_abi::call::ResponseMeta;
use coordinator_abi::{RouteView, SharedBytes};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{DecodeError, RouteError};

/// A request, as it was sent: the signature, if the route has one, fits these bytes.
///
/// ```
/// use coordinator_sdk::prelude::*;
/// # /// Settings.
/// # #[settings] pub struct Plugin {}
/// # #[plugin] impl Plugin {
/// /// Says which order it was asked for.
/// #[route(get, "/orders/{number}", auth = public)]
/// async fn order(&self, ctx: &Context, request: Request) -> Result<Response, RouteError> {
///     let number = request.param("number").unwrap_or_default();
///     let page = request.query("page").unwrap_or_else(|| "1".to_owned());
///     let language = request.header("accept-language").unwrap_or("en");
///     Ok(Response::text(200, format!("order {number}, page {page}, in {language}")))
/// }
///
/// /// Takes whatever is sent.
/// #[route(post, "/any", auth = public)]
/// async fn any(&self, ctx: &Context, request: Request) -> Result<Response, RouteError> {
///     let (method, path, length) = (request.method(), request.path(), request.body().len());
///     tracing::info!(method, path, length, "something was sent");
///     let text: String = request.json()?; // 400 with the reason if it is anything else
///     Ok(Response::text(200, text))
/// }
/// # }
/// # use coordinator_sdk::testing::{Call, Host};
/// let host = Host::<Plugin>::new(serde_json::json!({}));
/// assert_eq!(host.call(Call::get("/orders/7?page=2")).body, b"order 7, page 2, in en");
/// assert_eq!(host.call(Call::post("/any").body("no JSON")).status, 400);
/// ```
#[derive(Debug)]
pub struct Request {
    meta: SharedBytes,
    body: SharedBytes,
}

impl Request {
    /// `meta` was read before: its head is well-formed.
    pub(crate) fn new(meta: SharedBytes, body: SharedBytes) -> Self {
        Self { meta, body }
    }

    fn view(&self) -> RouteView<'_> {
        RouteView::read(&self.meta).expect("the head was read when the request came in")
    }

    /// HTTP method, in capitals.
    #[must_use]
    pub fn method(&self) -> &str {
        self.view().method
    }

    /// Path below the plugin's mount.
    #[must_use]
    pub fn path(&self) -> &str {
        self.view().path
    }

    /// A parameter of the route's path.
    #[must_use]
    pub fn param(&self, name: &str) -> Option<&str> {
        self.view().param(name)
    }

    /// The first value of a query parameter, decoded.
    #[must_use]
    pub fn query(&self, name: &str) -> Option<String> {
        url::form_urlencoded::parse(self.view().query.as_bytes())
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.into_owned())
    }

    /// A header, if it is there and text. Names are lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        std::str::from_utf8(self.view().header(name)?).ok()
    }

    /// The raw body.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// The body as JSON.
    ///
    /// # Errors
    ///
    /// If it is not, or does not fit `T`; in a route, `?` makes that 400 with the reason.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, DecodeError> {
        serde_json::from_slice(&self.body)
            .map_err(|error| DecodeError::new("the request body", &error))
    }
}

/// What a route may take instead of the whole [`Request`].
///
/// ```
/// use coordinator_sdk::{FromRequest, prelude::*};
///
/// /// The lines of a CSV body.
/// pub struct Csv(Vec<String>);
///
/// impl FromRequest for Csv {
///     fn from_request(request: Request) -> Result<Self, RouteError> {
///         let text = std::str::from_utf8(request.body());
///         let text = text.map_err(|_| RouteError::bad_request("the body is not UTF-8"))?;
///         Ok(Self(text.lines().map(str::to_owned).collect()))
///     }
/// }
/// # /// Settings.
/// # #[settings] pub struct Plugin {}
/// # #[plugin] impl Plugin {
/// /// Counts lines.
/// #[route(post, "/csv", auth = public)]
/// async fn csv(&self, ctx: &Context, lines: Csv) -> Result<Response, RouteError> {
///     Ok(Response::text(200, lines.0.len().to_string()))
/// }
/// # }
/// # use coordinator_sdk::testing::{Call, Host};
/// let host = Host::<Plugin>::new(serde_json::json!({}));
/// assert_eq!(host.call(Call::post("/csv").body("a,b\nc,d")).body, b"2");
/// ```
#[diagnostic::on_unimplemented(
    message = "a route cannot take `{Self}`",
    note = "it takes `Request`, or `Json<T>` of a `#[data]` or `#[message]` type"
)]
pub trait FromRequest: Sized {
    /// Made of the request.
    ///
    /// # Errors
    ///
    /// What the caller then reads.
    fn from_request(request: Request) -> Result<Self, RouteError>;
}

impl FromRequest for Request {
    fn from_request(request: Request) -> Result<Self, RouteError> {
        Ok(request)
    }
}

/// A JSON body, of a request or of a response.
///
/// ```
/// use coordinator_sdk::prelude::*;
/// # /// Settings.
/// # #[settings] pub struct Plugin {}
/// /// A greeting.
/// #[data]
/// pub struct Greeting {
///     pub text: String,
/// }
/// # #[plugin] impl Plugin {
/// /// Says it back.
/// #[route(post, "/echo", auth = public)]
/// async fn echo(&self, ctx: &Context, greeting: Json<Greeting>) -> Result<Json<Greeting>, RouteError> {
///     Ok(greeting)
/// }
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Json<T>(pub T);

impl<T: DeserializeOwned> FromRequest for Json<T> {
    fn from_request(request: Request) -> Result<Self, RouteError> {
        Ok(Self(request.json()?))
    }
}

/// An answer of a route.
///
/// ```
/// use coordinator_sdk::prelude::*;
///
/// fn answer(kind: &str) -> Result<Response, RouteError> {
///     Ok(match kind {
///         "done" => Response::ok(),
///         "queued" => Response::accepted(),
///         "moved" => Response::status(303).header("location", "https://shop.example.org/orders"),
///         "page" => Response::text(200, "<h1>Orders</h1>").header("content-type", "text/html"),
///         _ => Response::json(200, &serde_json::json!({"orders": ["A-1"]}))?,
///     })
/// }
/// assert!(answer("queued").is_ok());
/// ```
#[derive(Debug)]
pub struct Response {
    head: ResponseMeta,
    body: SharedBytes,
}

impl Response {
    /// A status without a body.
    #[must_use]
    pub fn status(status: u16) -> Self {
        Self {
            head: ResponseMeta {
                status,
                headers: Vec::new(),
            },
            body: SharedBytes::new(),
        }
    }

    /// 200 without a body.
    #[must_use]
    pub fn ok() -> Self {
        Self::status(200)
    }

    /// 202 without a body: it is durable, and will be handled.
    #[must_use]
    pub fn accepted() -> Self {
        Self::status(202)
    }

    /// A plain text body.
    pub fn text(status: u16, text: impl Into<String>) -> Self {
        let plain = Self::status(status).header("content-type", "text/plain; charset=utf-8");
        Self {
            body: text.into().into(),
            ..plain
        }
    }

    /// A JSON body.
    ///
    /// # Errors
    ///
    /// If `body` does not encode as JSON.
    pub fn json(status: u16, body: &impl Serialize) -> Result<Self, RouteError> {
        let encoded = serde_json::to_vec(body).map_err(|error| {
            let detail = format!("the answer does not encode as JSON: {error}");
            RouteError::new(500, "internal", detail)
        })?;
        let head = Self::status(status).header("content-type", "application/json");
        Ok(Self {
            body: encoded.into(),
            ..head
        })
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.head
            .headers
            .push((name.to_lowercase(), value.as_ref().to_vec()));
        self
    }

    pub(crate) fn into_parts(self) -> (ResponseMeta, SharedBytes) {
        (self.head, self.body)
    }
}

/// What a route may answer.
///
/// ```
/// use coordinator_sdk::{IntoResponse, prelude::*};
///
/// /// A page.
/// pub struct Html(String);
///
/// impl IntoResponse for Html {
///     fn into_response(self) -> Response {
///         Response::text(200, self.0).header("content-type", "text/html; charset=utf-8")
///     }
/// }
/// # /// Settings.
/// # #[settings] pub struct Plugin {}
/// # #[plugin] impl Plugin {
/// /// Says hello.
/// #[route(get, "/", auth = public)]
/// async fn hello(&self, ctx: &Context) -> Result<Html, RouteError> {
///     Ok(Html("<h1>Hello</h1>".to_owned()))
/// }
/// # }
/// ```
#[diagnostic::on_unimplemented(
    message = "a route cannot answer `{Self}`",
    label = "not an answer",
    note = "it answers `Response`, `Json<T>` or `()`"
)]
pub trait IntoResponse {
    /// As a response.
    fn into_response(self) -> Response;
}

impl IntoResponse for Response {
    fn into_response(self) -> Response {
        self
    }
}

impl IntoResponse for () {
    fn into_response(self) -> Response {
        Response::status(204)
    }
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        // `#[data]` and `#[message]` types encode unless they hold a map with keys that are not text.
        Response::json(200, &self.0).unwrap_or_else(|_| Response::status(500))
    }
}
