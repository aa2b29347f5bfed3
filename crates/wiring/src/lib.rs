//! The wiring room.
