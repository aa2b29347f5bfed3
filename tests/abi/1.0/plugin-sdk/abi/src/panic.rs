//! Panics stop at the boundary, on the side where they happen.

use std::any::Any;
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind};

thread_local! {
    /// Where the panic that is unwinding this thread began; written by the hook, taken by the guard.
    static LOCATION: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Runs `work`; a panic comes back as text: what it said and, if this side's hook calls [`note`], where.
///
/// # Errors
///
/// The panic, as one line.
pub fn catch<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).map_err(describe)
}

/// Remembers where a panic began. For the panic hook of the side that guards.
pub fn note(info: &PanicHookInfo<'_>) {
    let place = info
        .location()
        .map(|at| format!("{}:{}:{}", at.file(), at.line(), at.column()));
    // `try_with`: the panic may come from a destructor of thread-local storage.
    let _ = LOCATION.try_with(|slot| *slot.borrow_mut() = place);
}

/// What a panic's payload says.
#[must_use]
pub fn message(payload: &(dyn Any + Send)) -> &str {
    payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("panicked with a payload that is not text")
}

fn describe(payload: Box<dyn Any + Send>) -> String {
    let mut text = format!("panicked: {}", message(&*payload));
    let place = LOCATION
        .try_with(|slot| slot.borrow_mut().take())
        .ok()
        .flatten();
    if let Some(place) = place {
        text.push_str(" at ");
        text.push_str(&place);
    }
    discard(payload);
    text
}

/// The payload's own `Drop` may panic, and the payload of that panic too: after two, leak the rest.
fn discard(payload: Box<dyn Any + Send>) {
    if let Err(second) = catch_unwind(AssertUnwindSafe(move || drop(payload))) {
        std::mem::forget(second);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("in drop");
        }
    }

    #[test]
    fn a_payload_that_panics_in_its_drop_is_survived() {
        let result = catch(|| std::panic::panic_any(Bomb));
        assert!(result.unwrap_err().contains("payload that is not text"));
    }

    #[test]
    fn the_panic_says_what_it_said() {
        let index = std::hint::black_box(9);
        let text = catch(|| [1, 2, 3][index]).unwrap_err();
        assert!(text.contains("index out of bounds"), "{text}");
    }
}
