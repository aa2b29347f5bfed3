//! The webhooks room.
