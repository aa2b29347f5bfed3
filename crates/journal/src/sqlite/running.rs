//! Which deliveries run, in a file beside the database: what a process that dies tells the next one.
//!
//! A message that takes its process down is handed out again at the next start, and would take that one down as well. So
//! what is handed out is written down before anybody works on it. Nothing here is synced: what a process wrote outlives
//! it in the memory of the operating system. When that one ended too, no message was to blame.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use tracing::warn;

/// Name of the file in the data directory.
pub(super) const FILE: &str = "journal.running";
const MAGIC: [u8; 8] = *b"running1";
/// Bytes of what tells one start of the operating system from another: a UUID as text.
const BOOT: usize = 36;
/// Bytes before the entries: [`MAGIC`], epoch, boot.
const HEADER: usize = 12 + BOOT;
/// Bytes of an entry.
const ENTRY: usize = 32;
/// The file is begun anew when it has so many bytes, or twice what runs.
const LIMIT: usize = 1 << 20;
/// More than this is not read: two million deliveries do not run at once.
const MOST: u64 = 64 << 20;

/// What is known of a delivery: the last entry counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) handler: i64,
    pub(super) position: u64,
    /// Number of the attempt that runs, or is to come.
    pub(super) attempt: u32,
    pub(super) replay: u32,
    /// Attempts before that panicked, or ended with their process.
    pub(super) crashes: u32,
    /// Is somebody working on it?
    pub(super) runs: bool,
}

/// The file.
#[derive(Debug)]
pub(super) struct Running {
    book: Mutex<Book>,
}

#[derive(Debug)]
struct Book {
    file: File,
    /// Entries with another number are left over from before the file was begun anew.
    epoch: u32,
    boot: [u8; BOOT],
    end: usize,
    limit: usize,
    /// The last write failed, which was said: the next one begins the file anew.
    failing: bool,
    /// It is complete.
    closed: bool,
}

// === impl Running ===

impl Running {
    /// Opens the file, and reads what the process before this one left in it.
    pub(super) fn open(dir: &Path) -> io::Result<(Self, Vec<Entry>)> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(dir.join(FILE))?;
        let mut bytes = Vec::new();
        (&file).take(MOST).read_to_end(&mut bytes)?;
        let boot = boot();
        let (epoch, entries) = read(&bytes, boot);
        let book = Book {
            file,
            epoch,
            boot,
            end: HEADER,
            limit: LIMIT,
            failing: false,
            closed: false,
        };
        let running = Self {
            book: Mutex::new(book),
        };
        Ok((running, entries))
    }

    /// Adds entries. When there is no room for them the file is begun anew with `all`, which they are part of.
    pub(super) fn note(
        &self,
        entries: impl Iterator<Item = Entry>,
        all: impl FnOnce() -> Vec<Entry>,
    ) {
        self.with(|book| {
            let epoch = book.epoch;
            let bytes: Vec<u8> = entries.flat_map(|entry| entry.bytes(epoch)).collect();
            if book.failing || book.end + bytes.len() > book.limit {
                return book.begin(&all());
            }
            book.file.write_all_at(&bytes, book.end as u64)?;
            book.end += bytes.len();
            Ok(())
        });
    }

    /// Begins the file anew: nothing but these is known.
    pub(super) fn begin(&self, all: impl FnOnce() -> Vec<Entry>) {
        self.with(|book| book.begin(&all()));
    }

    /// Begins the file anew for the last time.
    pub(super) fn close(&self, all: impl FnOnce() -> Vec<Entry>) {
        self.with(|book| {
            book.begin(&all())?;
            book.closed = true;
            Ok(())
        });
    }

    /// A failure costs no message. It is said when it begins: a death of this process is not counted then.
    fn with(&self, write: impl FnOnce(&mut Book) -> io::Result<()>) {
        let mut book = self.book.lock().unwrap_or_else(PoisonError::into_inner);
        if book.closed {
            return;
        }
        let outcome = write(&mut book);
        if let (Err(error), false) = (&outcome, book.failing) {
            warn!(error = %error, file = FILE, "what runs cannot be written down: if this process dies, nobody knows of what");
        }
        book.failing = outcome.is_err();
    }
}

impl Book {
    fn begin(&mut self, all: &[Entry]) -> io::Result<()> {
        self.epoch = self.epoch.wrapping_add(1);
        let mut bytes = Vec::with_capacity(HEADER + all.len() * ENTRY);
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&self.epoch.to_le_bytes());
        bytes.extend_from_slice(&self.boot);
        bytes.extend(all.iter().flat_map(|entry| entry.bytes(self.epoch)));
        self.file.write_all_at(&bytes, 0)?;
        self.end = bytes.len();
        self.limit = LIMIT.max(2 * bytes.len());
        Ok(())
    }
}

// === impl Entry ===

impl Entry {
    fn bytes(self, epoch: u32) -> [u8; ENTRY] {
        let mut bytes = [0; ENTRY];
        let crashes = self.crashes << 1 | u32::from(self.runs);
        bytes[..4].copy_from_slice(&epoch.to_le_bytes());
        bytes[4..8].copy_from_slice(&crashes.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.handler.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.position.to_le_bytes());
        bytes[24..28].copy_from_slice(&self.attempt.to_le_bytes());
        bytes[28..].copy_from_slice(&self.replay.to_le_bytes());
        bytes
    }

    /// `None` from where on nothing was written in this epoch.
    fn read(bytes: &[u8], epoch: u32) -> Option<Self> {
        let four = |at: usize| Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
        let eight = |at: usize| Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
        let crashes = four(4)?;
        (four(0)? == epoch).then_some(())?;
        Some(Self {
            handler: eight(8)?.cast_signed(),
            position: eight(16)?,
            attempt: four(24)?,
            replay: four(28)?,
            crashes: crashes >> 1,
            runs: crashes & 1 == 1,
        })
    }
}

/// Which start of the operating system this is (`random(4)`): zeros if it does not say.
fn boot() -> [u8; BOOT] {
    let text = fs::read("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    text.first_chunk().copied().unwrap_or([0; BOOT])
}

/// The epoch, and the last entry of each delivery. What is not such a file has none. Nothing ran that died with the
/// operating system.
fn read(bytes: &[u8], boot: [u8; BOOT]) -> (u32, Vec<Entry>) {
    let header = bytes.split_first_chunk::<HEADER>();
    let Some((header, rest)) = header.filter(|(header, _)| header.starts_with(&MAGIC)) else {
        return (0, Vec::new());
    };
    let epoch = u32::from_le_bytes([header[8], header[9], header[10], header[11]]);
    let entries = rest.chunks_exact(ENTRY);
    let entries = entries.map_while(|bytes| Entry::read(bytes, epoch));
    let same_boot = header.ends_with(&boot);
    let last: BTreeMap<_, _> = entries
        .map(|entry| Entry {
            runs: entry.runs && same_boot,
            ..entry
        })
        .map(|entry| ((entry.handler, entry.position), entry))
        .collect();
    (epoch, last.into_values().collect())
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    fn entry(position: u64, runs: bool) -> Entry {
        Entry {
            handler: 7,
            position,
            attempt: 2,
            replay: 1,
            crashes: 3,
            runs,
        }
    }

    #[test]
    fn the_last_entry_of_each_delivery_is_found_by_the_next_process() {
        let dir = TempDir::new().unwrap();
        let (running, before) = Running::open(dir.path()).unwrap();
        assert!(before.is_empty());
        running.begin(Vec::new);
        let noted = [entry(1, true), entry(2, true), entry(1, false)];
        running.note(noted.into_iter(), Vec::new);
        let (_, found) = Running::open(dir.path()).unwrap();
        assert_eq!(found, [entry(1, false), entry(2, true)]);
    }

    #[test]
    fn a_file_that_is_begun_anew_forgets_what_was_behind() {
        let dir = TempDir::new().unwrap();
        let (running, _) = Running::open(dir.path()).unwrap();
        running.begin(|| (0..100).map(|position| entry(position, true)).collect());
        running.begin(|| vec![entry(3, true)]);
        let (_, found) = Running::open(dir.path()).unwrap();
        assert_eq!(found, [entry(3, true)]);
    }

    #[test]
    fn a_full_file_is_begun_with_what_runs_now() {
        let dir = TempDir::new().unwrap();
        let (running, _) = Running::open(dir.path()).unwrap();
        running.begin(Vec::new);
        for position in 0..2 * (LIMIT / ENTRY) as u64 {
            let now = || vec![entry(position, true)];
            running.note([entry(position, true)].into_iter(), now);
        }
        let length = fs::metadata(dir.path().join(FILE)).unwrap().len();
        assert!(length <= LIMIT as u64, "{length}");
        let (_, found) = Running::open(dir.path()).unwrap();
        assert!(found.contains(&entry(2 * (LIMIT / ENTRY) as u64 - 1, true)));
        assert!(!found.contains(&entry(0, true)));
    }

    #[test]
    fn what_could_not_be_written_is_there_with_the_next_that_can() {
        let dir = TempDir::new().unwrap();
        let (running, _) = Running::open(dir.path()).unwrap();
        let path = dir.path().join(FILE);
        running.begin(|| vec![entry(1, true)]);
        let swap = |file| std::mem::replace(&mut running.book.lock().unwrap().file, file);
        let writable = swap(File::open(&path).unwrap());
        running.note([entry(2, true)].into_iter(), Vec::new);
        swap(writable);
        let all = || vec![entry(2, true), entry(3, true)];
        running.note([entry(3, true)].into_iter(), all);
        let (_, found) = Running::open(dir.path()).unwrap();
        assert_eq!(found, [entry(2, true), entry(3, true)]);
    }

    #[test]
    fn what_ran_when_the_operating_system_ended_did_not_end_it() {
        let dir = TempDir::new().unwrap();
        let (running, _) = Running::open(dir.path()).unwrap();
        running.begin(|| vec![entry(1, true), entry(2, false)]);
        let path = dir.path().join(FILE);
        let mut bytes = fs::read(&path).unwrap();
        bytes[HEADER - BOOT] ^= 1;
        fs::write(&path, bytes).unwrap();
        let (_, found) = Running::open(dir.path()).unwrap();
        assert_eq!(found, [entry(1, false), entry(2, false)]);
    }

    #[test]
    fn what_is_not_such_a_file_says_nothing() {
        let dir = TempDir::new().unwrap();
        fs::write(dir.path().join(FILE), vec![b'x'; 1000]).unwrap();
        let (_, found) = Running::open(dir.path()).unwrap();
        assert!(found.is_empty());
    }
}
