//! Fails in every way that there is. What `?` decides is the point: which failures are tried again, and which are not.
#![forbid(unsafe_code)]
use std::time::Duration;

use coordinator_sdk::prelude::*;

/// A seat is to be booked.
#[message("org.example.seat.wanted.v1", key = "course")]
pub struct SeatWanted {
    /// Where.
    pub course: String,
    /// How many, as the sender wrote it.
    pub seats: String,
}

/// Settings of the bookings.
#[settings]
pub struct Errors {
    /// Where seats are booked.
    bookings: Url,
}

#[plugin]
impl Errors {
    /// Books a seat.
    #[handler(max_attempts = 5, backoff = "1s..1m")]
    async fn book(&self, ctx: &Context, wanted: SeatWanted) -> Result<(), HandlerError> {
        // It will never be a number: no attempt helps. `?` alone would try again, for it does not know the error.
        let seats: u32 = wanted.seats.parse().dead()?;
        if seats == 0 {
            return Err(HandlerError::dead("no seat is wanted"));
        }
        // Its own reason to wait, and for how long.
        if wanted.course == "opens-tomorrow" {
            let tomorrow = Duration::from_secs(24 * 3600);
            return Err(HandlerError::retry("the course opens tomorrow").after(tomorrow));
        }
        // `?` decides: no answer, 401, 429, 5xx → again; 404, 422 and others → a dead letter.
        let answer = ctx.http().post(&self.bookings).json(&wanted).send().await?;
        if answer.status() == 409 {
            return Ok(()); // it is booked already: that is what was wanted
        }
        answer.error_for_status()?;
        Ok(())
    }

    /// Asks for a seat. A caller reads a status, a stable code and a sentence.
    #[route(post, "/seats", auth = public)]
    async fn want(&self, ctx: &Context, request: Request) -> Result<Response, RouteError> {
        let wanted: SeatWanted = request.json()?; // 400, naming the field
        if wanted.course.is_empty() {
            return Err(RouteError::new(422, "no-course", "`course` is empty"));
        }
        ctx.publish(wanted).await?; // 503 with `Retry-After` while the journal is full or away
        Ok(Response::accepted())
    }

    /// Fails as nobody expects. The caller reads a trace id and nothing else; the error is in the log.
    #[route(get, "/broken", auth = public)]
    async fn broken(&self, _ctx: &Context) -> Result<Response, RouteError> {
        let number: u32 = "not a number".parse()?;
        Ok(Response::text(200, number.to_string()))
    }
}

#[cfg(test)]
mod tests;
