//! What plugin authors see.
