//! Commands: what operators run by name.

use coordinator_abi::SharedBytes;
use serde::Serialize;

use crate::Json;
use crate::error::{DecodeError, chained_error};
use crate::step::Data;

chained_error! {
    /// Why a command failed. Made by `?` of any error; the operator who ran it reads the error and its causes.
    ///
    /// ```
    /// use coordinator_sdk::prelude::*;
    /// use coordinator_sdk::testing::Host;
    ///
    /// # /// Settings.
    /// # #[settings] pub struct Catalogue {}
    /// /// What to write anew.
    /// #[data]
    /// pub struct Reindex {
    ///     /// Only courses of this organisation.
    ///     pub organisation: Option<String>,
    ///     /// How many at most.
    ///     pub limit: u32,
    /// }
    ///
    /// # #[plugin] impl Catalogue {
    /// /// Writes the index anew.
    /// #[command]
    /// async fn reindex(&self, _ctx: &Context, asked: Reindex) -> Result<String, CommandError> {
    ///     if asked.limit == 0 {
    ///         return Err(CommandError::new("`limit` must be above zero"));
    ///     }
    ///     Ok(format!("wrote {} courses anew", asked.limit))
    /// }
    /// # }
    /// let host = Host::<Catalogue>::new(serde_json::json!({}));
    /// let told = host.command("reindex", &serde_json::json!({"limit": 3})).unwrap();
    /// assert_eq!(told.text(), "wrote 3 courses anew");
    /// assert!(host.command("reindex", &serde_json::json!({"limit": 0})).is_err());
    /// ```
    CommandError
}

/// What a command tells the operator who ran it: text, or JSON.
///
/// ```
/// use coordinator_sdk::prelude::*;
/// use coordinator_sdk::testing::Host;
///
/// # /// Settings.
/// # #[settings] pub struct Shop {}
/// /// How it stands.
/// #[data]
/// pub struct Stock {
///     pub courses: u32,
/// }
///
/// # #[plugin] impl Shop {
/// /// Says how it stands.
/// #[command]
/// async fn stock(&self, _ctx: &Context) -> Result<Json<Stock>, CommandError> {
///     Ok(Json(Stock { courses: 3 }))
/// }
/// # }
/// let told = Host::<Shop>::new(serde_json::json!({})).command("stock", &()).unwrap();
/// assert_eq!((told.content_type(), told.text()), ("application/json", r#"{"courses":3}"#));
/// ```
///
/// A type of your own is told as one of those:
///
/// ```
/// use coordinator_sdk::{CommandError, IntoOutput, Output};
///
/// struct Report(Vec<(String, u32)>);
///
/// impl IntoOutput for Report {
///     fn into_output(self) -> Result<Output, CommandError> {
///         let line = |(course, seats): (String, u32)| format!("{course}: {seats}\n");
///         self.0.into_iter().map(line).collect::<String>().into_output()
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "a command cannot answer `{Self}`",
    label = "not an answer of a command",
    note = "it answers `String`, `&'static str`, `Json<T>` or `()`"
)]
pub trait IntoOutput {
    /// Content type and bytes.
    ///
    /// # Errors
    ///
    /// If it does not encode.
    fn into_output(self) -> Result<Output, CommandError>;
}

/// What a command told: made of text, or of JSON.
///
/// ```
/// use coordinator_sdk::{IntoOutput, Json, Output};
///
/// let made: [Output; 2] = ["done".into_output().unwrap(), Json(["A-1"]).into_output().unwrap()];
/// ```
#[derive(Debug)]
pub struct Output {
    pub(crate) content_type: &'static str,
    pub(crate) body: SharedBytes,
}

impl IntoOutput for String {
    fn into_output(self) -> Result<Output, CommandError> {
        Ok(Output {
            content_type: "text/plain; charset=utf-8",
            body: self.into(),
        })
    }
}

impl IntoOutput for &'static str {
    fn into_output(self) -> Result<Output, CommandError> {
        self.to_owned().into_output()
    }
}

impl IntoOutput for () {
    fn into_output(self) -> Result<Output, CommandError> {
        String::new().into_output()
    }
}

impl<T: Serialize> IntoOutput for Json<T> {
    fn into_output(self) -> Result<Output, CommandError> {
        Ok(Output {
            content_type: "application/json",
            body: serde_json::to_vec(&self.0)?.into(),
        })
    }
}

/// How a command ended that gave no output.
#[doc(hidden)]
#[derive(Debug)]
pub enum CommandFailed {
    /// Its arguments do not fit.
    Arguments(Vec<String>),
    /// It failed.
    Failed(Vec<String>),
}

impl From<CommandError> for CommandFailed {
    fn from(error: CommandError) -> Self {
        Self::Failed(error.into_chain())
    }
}

/// The arguments that a command takes.
///
/// # Errors
///
/// If they do not fit.
#[doc(hidden)]
pub fn decode_arguments<T: Data>(arguments: &[u8]) -> Result<T, CommandFailed> {
    serde_json::from_slice(arguments).map_err(|error| {
        let error = DecodeError::new("the arguments", &error);
        CommandFailed::Arguments(vec![error.to_string()])
    })
}

#[doc(hidden)]
#[must_use]
pub fn no_command(index: u32) -> CommandFailed {
    CommandFailed::Failed(vec![format!("the plugin has no command number {index}")])
}
