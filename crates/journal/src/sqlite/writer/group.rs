//! A group: everything that was waiting to be published or settled, committed as one.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;
use std::{fmt, mem};

use coordinator_message::Timestamp;
use futures_util::future::join;

use super::delaying::due;
use super::messages::{Batch, Stored};
use super::settling::Settled;
use super::{Reply, Writer};
use crate::sqlite::error::StoreError;
use crate::sqlite::load;
use crate::sqlite::running::Entry;
use crate::sqlite::state::{Shared, State};
use crate::{NewMessage, Receipt, ReceiptStatus, Settle, SettleOutcome, Verdict};

/// How often the size is measured anew, in commits.
const MEASURE_EVERY: u64 = 256;

/// What was waiting.
#[derive(Default)]
pub(super) struct Group {
    pub(super) publishes: Vec<(Vec<NewMessage>, Reply<Admitted>)>,
    pub(super) settles: Vec<(Vec<Settle>, Reply<Vec<SettleOutcome>>)>,
    /// The window of some handler is full of what waits behind its keys.
    pub(super) crowded: bool,
}

/// What everyone in a group is told, which is committed.
///
/// Whoever is told wakes up, and that takes a while with hundreds of them: if the next group waits already, the database
/// gets it first.
#[derive(Default)]
pub(super) struct Answers {
    group: Group,
    receipts: Vec<Admitted>,
    outcomes: Vec<Vec<SettleOutcome>>,
}

/// What a publisher is told, if anything could be written.
pub(super) type Admitted = Result<Vec<Receipt>, Full>;

/// A bound is reached: which, with both numbers.
#[derive(Debug)]
pub(in crate::sqlite) struct Full(pub(in crate::sqlite) String);

/// What a group amounts to, decided before anything is written.
struct Plan<'a> {
    /// What is to be stored: admitted batches, then emits.
    messages: Vec<&'a NewMessage>,
    /// For each publish: its messages, or why it is refused.
    admitted: Vec<Result<Range<usize>, Full>>,
    outcomes: Vec<Vec<SettleOutcome>>,
    settled: BTreeMap<i64, Vec<Settled<'a>>>,
    now: Timestamp,
}

impl Writer {
    /// Writes a group: all of it is durable, or none. The answers are left to be sent, unless they are errors.
    pub(super) async fn commit_group(&mut self, group: Group) {
        if group.publishes.is_empty() && group.settles.is_empty() && !group.crowded {
            return;
        }
        let mut before = mem::take(&mut self.answers);
        let outcome = self.write_group(&group, &mut before).await;
        before.send();
        match self.checked(outcome) {
            Ok((receipts, outcomes)) => {
                self.answers = Answers {
                    group,
                    receipts,
                    outcomes,
                }
            }
            Err(error) => {
                for (_, reply) in group.publishes {
                    let _ = reply.send(Err(error.clone()));
                }
                for (_, reply) in group.settles {
                    let _ = reply.send(Err(error.clone()));
                }
            }
        }
    }

    /// Plans, writes, and only after the commit changes what is known in memory.
    async fn write_group(
        &mut self,
        group: &Group,
        before: &mut Answers,
    ) -> Result<(Vec<Admitted>, Vec<Vec<SettleOutcome>>), StoreError> {
        self.measure(!group.publishes.is_empty()).await?;
        let shared = self.shared.clone();
        // The database begins while this thread decides.
        let (transaction, plan) = join(self.begin(), async { plan(&shared, group) }).await;
        let (mut transaction, mut plan) = (transaction?, plan);
        if plan.messages.is_empty() && plan.settled.is_empty() {
            transaction.rollback().await?;
            return Ok((plan.receipts(&shared, &[]), plan.outcomes));
        }
        let answer = || before.send();
        let batch =
            Batch::store(&mut transaction, &shared, &plan.messages, plan.now, answer).await?;
        let consequences =
            Settled::write(&mut transaction, &shared, &plan.settled, plan.now).await?;
        let (committed, receipts) = join(transaction.commit(), async {
            plan.receipts(&shared, &batch.stored)
        })
        .await;
        committed?;
        self.failing = false;
        let mut state = shared.state();
        for (handler, settled) in &plan.settled {
            if let Some(what) = consequences.get(handler) {
                Settled::apply(&mut state, *handler, settled, what);
            }
        }
        batch.apply(&mut state);
        drop(state);
        plan.note_given_back(&shared);
        Ok((receipts, plan.outcomes))
    }

    /// Measures the size when the estimate says that it matters, and now and then to keep the estimate honest.
    async fn measure(&mut self, publishing: bool) -> Result<(), StoreError> {
        self.commits += 1;
        let near = publishing && self.shared.state().size >= self.shared.limits.max_size;
        if near || self.commits.is_multiple_of(MEASURE_EVERY) {
            let mut transaction = self.begin().await?;
            let size = load::size(&mut transaction).await?;
            transaction.rollback().await?;
            self.shared.state().size = size;
        }
        Ok(())
    }
}

impl Answers {
    /// Sends them, if that was not done before. A caller that went away does not want its answer.
    pub(super) fn send(&mut self) {
        let Self {
            group,
            receipts,
            outcomes,
        } = mem::take(self);
        for ((_, reply), answer) in group.publishes.into_iter().zip(receipts) {
            let _ = reply.send(Ok(answer));
        }
        for ((_, reply), answer) in group.settles.into_iter().zip(outcomes) {
            let _ = reply.send(Ok(answer));
        }
    }
}

fn receipt(shared: &Shared, message: &NewMessage, stored: &Stored) -> Receipt {
    let (id, status) = match stored {
        Stored::New(_) | Stored::Delayed(_) => (message.envelope.id, ReceiptStatus::Accepted),
        Stored::Known { id, same: true } => (*id, ReceiptStatus::Duplicate),
        Stored::Known { id, same: false } => (*id, ReceiptStatus::Conflict),
    };
    Receipt {
        id,
        status,
        durability: shared.durability,
    }
}

fn plan<'a>(shared: &Shared, group: &'a Group) -> Plan<'a> {
    let state = shared.state();
    let mut plan = Plan {
        messages: Vec::new(),
        admitted: Vec::with_capacity(group.publishes.len()),
        outcomes: Vec::with_capacity(group.settles.len()),
        settled: BTreeMap::new(),
        now: shared.clock.now().max(state.accepted),
    };
    let mut waiting = HashMap::new();
    for (batch, _) in &group.publishes {
        let start = plan.messages.len();
        plan.admitted.push(
            admit(shared, &state, batch, (plan.now, &mut waiting)).map(|()| {
                plan.messages.extend(batch);
                start..plan.messages.len()
            }),
        );
    }
    let crowded = state.handlers.iter();
    for (id, _) in crowded.filter(|(_, handler)| handler.cursor.is_stuffed()) {
        plan.settled.insert(*id, Vec::new());
    }
    let mut taken = BTreeSet::new();
    for (batch, _) in &group.settles {
        let outcomes = batch
            .iter()
            .map(|settle| plan.settle(&state, settle, &mut taken));
        let outcomes = outcomes.collect();
        plan.outcomes.push(outcomes);
    }
    plan
}

impl<'a> Plan<'a> {
    /// What publishers are told, once, given what became of the messages.
    fn receipts(&mut self, shared: &Shared, stored: &[Stored]) -> Vec<Admitted> {
        let admitted = mem::take(&mut self.admitted).into_iter();
        let receipts = admitted.map(|admitted| {
            let range = admitted?;
            let messages = self.messages[range.clone()].iter().zip(&stored[range]);
            Ok(messages
                .map(|(message, stored)| receipt(shared, message, stored))
                .collect())
        });
        receipts.collect()
    }

    /// What was given back does not run any more.
    fn note_given_back(&self, shared: &Shared) {
        let settled = self.settled.iter();
        let settled = settled.flat_map(|(id, settled)| settled.iter().map(|one| (*id, one)));
        let given_back = settled.filter_map(|(id, one)| one.given_back(id));
        let given_back: Vec<Entry> = given_back.collect();
        if !given_back.is_empty() {
            shared
                .running
                .note(given_back.into_iter(), || shared.state().entries());
        }
    }

    /// Takes one settle in, if its token is the current one and nothing else of this group used it.
    fn settle(
        &mut self,
        state: &State,
        settle: &'a Settle,
        taken: &mut BTreeSet<(i64, u64)>,
    ) -> SettleOutcome {
        let token = &settle.token;
        let current = state
            .handler_named(&token.handler)
            .and_then(|(id, handler)| {
                let handed = handler.current(token.position, token.fence)?;
                Some((
                    id,
                    handed,
                    handler.cursor.fresh.contains_key(&token.position),
                ))
            });
        let Some((id, handed, fresh)) = current else {
            return SettleOutcome::Stale;
        };
        if !taken.insert((id, token.position)) {
            return SettleOutcome::Stale;
        }
        if let Verdict::Ack { emits } = &settle.verdict {
            self.messages.extend(emits);
        }
        let settled = Settled {
            position: token.position,
            handed,
            fresh,
            verdict: &settle.verdict,
        };
        self.settled.entry(id).or_default().push(settled);
        SettleOutcome::Settled
    }
}

/// A size as people read it.
struct Bytes(u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            bytes if bytes < 10 << 20 => write!(f, "{} KiB", bytes >> 10),
            bytes if bytes < 10 << 30 => write!(f, "{} MiB", bytes >> 20),
            bytes => write!(f, "{} GiB", bytes >> 30),
        }
    }
}

/// Is there room for this batch? `waiting` counts what the group adds to the backlog of each handler.
fn admit(
    shared: &Shared,
    state: &State,
    batch: &[NewMessage],
    (now, waiting): (Timestamp, &mut HashMap<i64, u64>),
) -> Result<(), Full> {
    let limits = &shared.limits;
    if state.size >= limits.max_size {
        return Err(Full(format!(
            "max_size {}, stored {}",
            Bytes(limits.max_size),
            Bytes(state.size)
        )));
    }
    let mut added: HashMap<i64, u64> = HashMap::new();
    let mut delayed = state.delayed;
    for message in batch {
        if due(message, now).is_some() {
            if delayed >= limits.max_backlog {
                let max = limits.max_backlog;
                return Err(Full(format!(
                    "max_backlog {max} messages, {delayed} are delayed"
                )));
            }
            delayed += 1;
            continue;
        }
        let Some(ty) = state.types.id(&message.envelope.ty) else {
            continue;
        };
        for (id, handler) in state
            .bound(ty, u64::MAX)
            .filter(|(_, handler)| handler.open)
        {
            let before = waiting.get(&id).copied().unwrap_or(0);
            let added = added.entry(id).or_default();
            let lag = handler.lag() + before + *added;
            if lag >= limits.max_backlog {
                let (max, name) = (limits.max_backlog, &handler.name);
                return Err(Full(format!(
                    "max_backlog {max} messages, {lag} wait for `{name}`"
                )));
            }
            *added += 1;
        }
    }
    for (id, added) in added {
        *waiting.entry(id).or_default() += added;
    }
    Ok(())
}
