//! What the journal should know, and what may come next.

use coordinator_journal::{Delivery, HandlerStats, Stats};
use coordinator_message::{MessageId, Timestamp};

use super::super::{ENROLLED, PAID};

/// The handlers: name, bound types, order.
pub(super) const HANDLERS: [(&str, &[&str], bool); 2] = [
    ("lms.enrol", &[PAID, ENROLLED], true),
    ("audit.note", &[PAID], false),
];

/// So many deaths, and a delivery is handed out apart from others like it.
pub(super) const SUSPECT: u32 = 2;

/// Where the delivery of a message to a handler stands.
#[derive(Debug, Clone)]
pub(super) enum Place {
    Waiting {
        attempt: u32,
        due: Timestamp,
        again: Again,
    },
    Out(Box<Delivery>),
    Parked,
    /// Acked, skipped or discarded.
    Done,
    Dead,
}

/// Does a replay schedule what waits already?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Again {
    /// No: it is still to come.
    No,
    /// Yes: it failed, and is brought forward.
    Yes,
    /// The contract does not say.
    Either,
}

/// One delivery.
#[derive(Debug, Clone)]
pub(super) struct Slot {
    pub(super) place: Place,
    pub(super) replay: u32,
    /// It ran when so many processes died, or more: what an engine has read ahead may count as run.
    pub(super) crashes: u32,
    /// It ran at more than one death. Such deliveries are not handed out together: it may come later.
    pub(super) suspect: bool,
    /// It has not been settled yet since it was published: it waits for its key, and holds it.
    pub(super) in_order: bool,
}

/// One message, in the order of the log.
#[derive(Debug, Clone)]
pub(super) struct Message {
    pub(super) id: MessageId,
    pub(super) name: &'static str,
    pub(super) key: Option<u8>,
    /// Not in the log before.
    pub(super) at: Timestamp,
    pub(super) slots: [Option<Slot>; 2],
}

impl Message {
    pub(super) fn new(
        id: MessageId,
        name: &'static str,
        key: Option<u8>,
        at: Option<Timestamp>,
    ) -> Self {
        let slot = |handler: usize| {
            HANDLERS[handler].1.contains(&name).then(|| Slot {
                place: Place::Waiting {
                    attempt: 1,
                    due: Timestamp::default(),
                    again: Again::No,
                },
                replay: 0,
                crashes: 0,
                suspect: false,
                in_order: true,
            })
        };
        Self {
            id,
            name,
            key,
            at: at.unwrap_or_default(),
            slots: [slot(0), slot(1)],
        }
    }
}

impl Slot {
    /// Not settled.
    fn open(&self) -> bool {
        !matches!(self.place, Place::Done | Place::Dead)
    }

    /// Scheduled again.
    pub(super) fn replayed(&mut self, due: Timestamp) {
        self.replay += 1;
        self.crashes = 0;
        self.suspect = false;
        // A second replay before it was begun: is it the same one, brought forward, or another?
        self.place = Place::Waiting {
            attempt: 1,
            due,
            again: Again::Either,
        };
    }

    /// Settled, for now.
    pub(super) fn end(&mut self, place: Place) {
        self.place = place;
        self.in_order = false;
    }
}

/// Is an order kept between this message and others, for this handler?
fn ordered(message: &Message, handler: usize) -> bool {
    HANDLERS[handler].2 && message.key.is_some()
}

/// The indices of the messages that may come for a handler now.
pub(super) fn ready(messages: &[Message], handler: usize, now: Timestamp) -> Vec<usize> {
    let mut ready = Vec::new();
    for (index, message) in messages.iter().enumerate() {
        let Some(slot) = &message.slots[handler] else {
            continue;
        };
        let Place::Waiting { due, .. } = slot.place else {
            continue;
        };
        if due.max(message.at) > now {
            continue;
        }
        let waits = slot.in_order
            && ordered(message, handler)
            && messages[..index]
                .iter()
                .any(|before| holds(before, message, handler));
        if !waits {
            ready.push(index);
        }
    }
    ready
}

/// Those of them that come whatever else is handed out.
pub(super) fn sure(messages: &[Message], handler: usize, now: Timestamp) -> usize {
    let ready = ready(messages, handler, now).into_iter();
    let slots = ready.filter_map(|index| messages[index].slots[handler].as_ref());
    slots.filter(|slot| !slot.suspect).count()
}

/// Does the earlier message hold the key of the later one?
fn holds(earlier: &Message, later: &Message, handler: usize) -> bool {
    let slot = earlier.slots[handler].as_ref();
    (earlier.name, earlier.key) == (later.name, later.key)
        && slot.is_some_and(|slot| slot.in_order && slot.open())
}

/// The messages that are buried when `index` is given up with its key: all that wait behind it.
pub(super) fn bury(messages: &mut [Message], index: usize, handler: usize) {
    let head = messages[index].clone();
    if !ordered(&head, handler) {
        return;
    }
    for later in &mut messages[index + 1..] {
        if !holds(&head, later, handler) {
            continue;
        }
        if let Some(slot) = &mut later.slots[handler]
            && slot.in_order
            && slot.open()
        {
            slot.end(Place::Dead);
        }
    }
}

/// Parks or buries, as the handler and the message have it.
pub(super) fn parked(message: &Message, handler: usize) -> Place {
    if ordered(message, handler) {
        Place::Parked
    } else {
        Place::Dead
    }
}

/// What of these counts is not as the model has it; `None` if all is.
pub(super) fn difference(
    stats: &Stats,
    messages: &[Message],
    paused: [bool; 2],
    now: Timestamp,
) -> Option<String> {
    let logged: Vec<_> = messages.iter().filter(|one| one.at <= now).collect();
    let expected = (logged.len() as u64, (messages.len() - logged.len()) as u64);
    let found = (stats.messages, stats.delayed);
    if found != expected {
        return Some(format!("messages, delayed: {found:?}, not {expected:?}"));
    }
    (0..HANDLERS.len()).find_map(|handler| {
        let name = HANDLERS[handler].0;
        let stats = stats.handlers.iter().find(|one| one.handler == name)?;
        let slots = logged
            .iter()
            .filter_map(|message| message.slots[handler].as_ref());
        let slots: Vec<_> = slots.collect();
        let wrong = counts(stats, &slots, paused[handler])?;
        Some(format!("`{name}`: {wrong}"))
    })
}

fn counts(stats: &HandlerStats, slots: &[&Slot], paused: bool) -> Option<String> {
    let count = |wanted: fn(&Slot) -> bool| slots.iter().filter(|slot| wanted(slot)).count() as u64;
    let expected = (
        count(Slot::open),
        count(|slot| matches!(slot.place, Place::Out(..))),
        count(|slot| matches!(slot.place, Place::Dead)),
        paused,
    );
    let found = (stats.lag, stats.running, stats.dead, stats.paused);
    // What waits behind a head is parked once the engine has seen it there.
    let heads = count(|slot| matches!(slot.place, Place::Parked));
    let waiting = count(|slot| matches!(slot.place, Place::Waiting { .. }));
    let parked = heads..=heads + waiting;
    if found == expected && parked.contains(&stats.parked) {
        return None;
    }
    Some(format!(
        "lag, running, dead, paused: {found:?}, not {expected:?}; parked {}, not {parked:?}",
        stats.parked
    ))
}
