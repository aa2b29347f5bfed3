//! The loader room.
