//! Plugin stripe.
