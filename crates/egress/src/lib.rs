//! The egress room.
