//! Plugin lms.
