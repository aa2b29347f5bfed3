//! `GET /messages/tail`: messages as they are accepted, as server-sent events.
//!
//! The id of an event says where to go on: a browser sends it back by itself (`Last-Event-ID`) when it connects again,
//! and misses nothing that the retention has left.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, HeaderName};
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use coordinator_journal::{Journal, MessageQuery, MessageRecord, Page};
use coordinator_message::{MessageId, Timestamp};
use futures_util::stream;
use tokio::time::Instant;

use super::query::Query;
use super::view::MessageView;
use crate::Problem;
use crate::problem::Chain;
use crate::state::State;
use crate::tails;

const FILTERS: [&str; 4] = ["type", "handler", "key", "cursor"];
/// Most messages of one write.
const STEP: usize = 100;
/// How long a quiet journal is left alone.
const PAUSE: Duration = Duration::from_millis(300);
/// The same while there are messages, of which none fits: a page of them may end before it is full.
const SHORT_PAUSE: Duration = Duration::from_millis(20);
/// A connection that says nothing for longer is taken for dead by what stands between.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// When a browser connects again, in milliseconds.
const RETRY_MS: u32 = 2_000;

/// Where a follower stands: `SINCE~CURSOR~ID`. The journal's cursor names the end of a page; within the next one, the
/// last message that was told does.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    /// Nothing that was accepted before.
    since: Timestamp,
    cursor: Option<String>,
    after: Option<MessageId>,
}

/// One follower.
struct Follower {
    journal: Arc<dyn Journal>,
    query: MessageQuery,
    place: Place,
    /// A page that was read and not told.
    read: Option<Page<MessageRecord>>,
    told: Instant,
    seat: tails::Place,
}

/// Follows from now on, or from where the last event said.
pub(crate) async fn tail(
    state: web::Data<State>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    state.keys.check(&request)?;
    let query = Query::read(&request, &FILTERS)?;
    let asked = MessageQuery {
        ty: query.parsed("type", str::parse)?,
        handler: query.text("handler"),
        key: query.text("key"),
        oldest_first: true,
        limit: STEP,
        ..MessageQuery::default()
    };
    let place = match last_event(&request).or_else(|| query.text("cursor")) {
        Some(text) => Place::parse(&text)?,
        None => Place {
            since: Timestamp::now(),
            cursor: None,
            after: None,
        },
    };
    let Some(seat) = state.tails.take() else {
        let detail = "as many follow as may, or the host stops: try again later";
        return Err(Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "too-many-followers",
            detail,
        )
        .after(Some(Duration::from_secs(5))));
    };
    let mut follower = Follower {
        journal: Arc::clone(state.publisher.journal()),
        query: asked,
        place,
        read: None,
        told: Instant::now(),
        seat,
    };
    // Asked before anything is answered: a cursor that is none is the caller's mistake.
    follower.read = Some(follower.page().await?);
    let greeting = format!("retry: {RETRY_MS}\nid: {}\n\n", follower.place);
    let events = stream::unfold(
        (Some(greeting), follower),
        |(greeting, follower)| async move {
            let (text, follower) = match greeting {
                Some(greeting) => (greeting, follower),
                None => follower.next().await?,
            };
            Some((Ok::<_, Infallible>(Bytes::from(text)), (None, follower)))
        },
    );
    Ok(HttpResponse::Ok()
        .content_type("text/event-stream")
        .insert_header((CACHE_CONTROL, "no-store"))
        // A proxy that collects would hold events back.
        .insert_header((HeaderName::from_static("x-accel-buffering"), "no"))
        .streaming(Box::pin(events)))
}

/// What a browser sends when it connects again; it stands above the address, which it cannot change.
fn last_event(request: &HttpRequest) -> Option<String> {
    let value = request.headers().get("last-event-id")?.to_str().ok()?;
    Some(value.to_owned()).filter(|text| !text.is_empty())
}

impl Follower {
    /// What is to be sent next; `None` once the host stops.
    async fn next(mut self) -> Option<(String, Self)> {
        loop {
            if self.seat.is_closing() {
                return None;
            }
            let page = match self.read.take() {
                Some(page) => Ok(page),
                None => self.page().await,
            };
            let mut pause = PAUSE;
            match page {
                Ok(page) => {
                    let before = self.place.cursor.clone();
                    let text = self.tell(page);
                    if !text.is_empty() {
                        self.told = Instant::now();
                        return Some((text, self));
                    }
                    if self.place.cursor != before {
                        pause = SHORT_PAUSE;
                    }
                }
                // It goes on by itself; whether it does is for the readiness check.
                Err(error) => {
                    tracing::warn!(error = %Chain(&error), "a follower waits: the journal cannot be read");
                }
            }
            if self.told.elapsed() >= HEARTBEAT {
                self.told = Instant::now();
                // No event, but a browser remembers where it stands.
                let text = format!("id: {}\n\n", self.place);
                return Some((text, self));
            }
            if tokio::time::timeout(pause, self.seat.closed())
                .await
                .is_ok()
            {
                return None;
            }
        }
    }

    async fn page(&self) -> Result<Page<MessageRecord>, coordinator_journal::JournalError> {
        let query = MessageQuery {
            since: Some(self.place.since),
            cursor: self.place.cursor.clone(),
            ..self.query.clone()
        };
        self.journal.messages(query).await
    }

    /// The events of a page, and the place behind it.
    fn tell(&mut self, page: Page<MessageRecord>) -> String {
        let after = self.place.after;
        let told = after.and_then(|id| page.items.iter().position(|one| one.message.id == id));
        let new = &page.items[told.map_or(0, |told| told + 1)..];
        let mut text = String::new();
        for (index, record) in new.iter().enumerate() {
            let is_last = index + 1 == new.len();
            self.place.after = Some(record.message.id);
            if let (true, Some(next)) = (is_last, &page.next) {
                self.place.cursor = Some(next.clone());
                self.place.after = None;
            }
            let view = MessageView::from(record);
            let data = serde_json::to_string(&view).expect("a view is texts and times");
            let place = &self.place;
            write!(text, "id: {place}\nevent: message\ndata: {data}\n\n")
                .expect("writing to a string cannot fail");
        }
        if let (true, Some(next)) = (new.is_empty(), page.next) {
            self.place.cursor = Some(next);
            self.place.after = None;
        }
        text
    }
}

impl Place {
    fn parse(text: &str) -> Result<Self, Problem> {
        Self::read(text).ok_or_else(|| {
            let detail = "`cursor`: expected the id of an event of this list, or nothing";
            Problem::bad_request("malformed-parameter", detail)
        })
    }

    fn read(text: &str) -> Option<Self> {
        let (since, rest) = text.split_once('~')?;
        let (cursor, after) = rest.rsplit_once('~')?;
        let some = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        Some(Self {
            since: Timestamp::from_millis(since.parse().ok()?),
            cursor: some(cursor),
            after: match some(after) {
                Some(id) => Some(id.parse().ok()?),
                None => None,
            },
        })
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let cursor = self.cursor.as_deref().unwrap_or_default();
        write!(f, "{}~{cursor}~", self.since.as_millis())?;
        self.after.map_or(Ok(()), |id| write!(f, "{id}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_read_as_it_was_written_and_nothing_else_is_one() {
        let id = MessageId::new(Timestamp::from_millis(7));
        for (cursor, after) in [(None, None), (Some("1-0~a"), None), (Some("42"), Some(id))] {
            let place = Place {
                since: Timestamp::from_millis(1_700_000_000_000),
                cursor: cursor.map(str::to_owned),
                after,
            };
            assert_eq!(Place::read(&place.to_string()), Some(place));
        }
        for text in ["", "7", "7~8", "x~8~", "7~8~not-an-id"] {
            assert_eq!(Place::read(text), None, "{text}");
        }
    }
}
