//! What operators change while the host runs: plugins, their settings, the wiring. Nothing fails and nothing is lost by
//! it, and what cannot be changes nothing.

mod failing;
mod following;
mod foreseeing;
mod installing;
mod load;
mod overriding;
mod refusing;
mod rereading;
mod stage;
