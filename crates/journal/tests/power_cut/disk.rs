//! A disk that keeps only what was synced, played back from the record of `recorder.c`.

use std::collections::BTreeMap;
use std::path::Path;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

/// What a disk writes as one piece, in bytes.
const SECTOR: usize = 512;

/// One thing that the victim did to a file.
#[derive(Debug)]
pub(crate) struct Event {
    pub(crate) file: String,
    pub(crate) deed: Deed,
}

#[derive(Debug)]
pub(crate) enum Deed {
    Write { at: usize, data: Vec<u8> },
    Truncate(usize),
    Unlink,
    Sync,
}

/// A file as the process sees it, as the disk has it, and what lies between the two.
#[derive(Debug, Default)]
struct File {
    durable: Vec<u8>,
    unsynced: Vec<Deed>,
}

/// Every file below the folder. That a file exists is durable at once: SQLite syncs the folder when it matters.
#[derive(Debug, Default)]
pub(crate) struct Disk(BTreeMap<String, File>);

/// Reads the whole record.
pub(crate) fn read(record: &[u8]) -> Vec<Event> {
    let (mut rest, mut events) = (record, Vec::new());
    while !rest.is_empty() {
        let op = take(&mut rest, 1)[0];
        let length = number(take(&mut rest, 4));
        let file = String::from_utf8(take(&mut rest, length).to_vec()).unwrap();
        let at = number(take(&mut rest, 8));
        let length = number(take(&mut rest, 4));
        let data = take(&mut rest, length).to_vec();
        let deed = match op {
            b'W' => Deed::Write { at, data },
            b'T' => Deed::Truncate(at),
            b'U' => Deed::Unlink,
            b'S' => Deed::Sync,
            other => panic!("the record has an operation {other}"),
        };
        events.push(Event { file, deed });
    }
    events
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> &'a [u8] {
    let (taken, left) = rest.split_at(length);
    *rest = left;
    taken
}

fn number(bytes: &[u8]) -> usize {
    let digits = bytes.iter().rev();
    digits.fold(0, |number, byte| number << 8 | usize::from(*byte))
}

impl Disk {
    /// Takes one event in.
    pub(crate) fn happen(&mut self, event: Event) {
        let file = self.0.entry(event.file.clone()).or_default();
        match event.deed {
            Deed::Sync => {
                for deed in std::mem::take(&mut file.unsynced) {
                    apply(&mut file.durable, &deed);
                }
            }
            Deed::Unlink => drop(self.0.remove(&event.file)),
            deed => file.unsynced.push(deed),
        }
    }

    /// Writes down what is left after a power cut now: what was synced, and nothing else.
    pub(crate) fn cut(&self, into: &Path) {
        for (name, file) in &self.0 {
            std::fs::write(into.join(name), &file.durable).unwrap();
        }
    }

    /// The same, but of what was not synced any sectors have reached the disk, as a real one may have it.
    pub(crate) fn cut_torn(&self, into: &Path, seed: u64) {
        let mut random = StdRng::seed_from_u64(seed);
        for (name, file) in &self.0 {
            let mut content = file.durable.clone();
            for deed in &file.unsynced {
                tear(&mut content, deed, &mut random);
            }
            std::fs::write(into.join(name), &content).unwrap();
        }
    }
}

fn apply(content: &mut Vec<u8>, deed: &Deed) {
    match deed {
        Deed::Write { at, data } => {
            let end = at + data.len();
            if content.len() < end {
                content.resize(end, 0);
            }
            content[*at..end].copy_from_slice(data);
        }
        Deed::Truncate(size) => content.resize(*size, 0),
        Deed::Unlink | Deed::Sync => {}
    }
}

fn tear(content: &mut Vec<u8>, deed: &Deed, random: &mut StdRng) {
    let Deed::Write { at, data } = deed else {
        if random.random_bool(0.5) {
            apply(content, deed);
        }
        return;
    };
    for (number, sector) in data.chunks(SECTOR).enumerate() {
        if random.random_bool(0.5) {
            let (at, data) = (at + number * SECTOR, sector.to_vec());
            apply(content, &Deed::Write { at, data });
        }
    }
}
