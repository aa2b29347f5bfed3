//! Plugin messages.
