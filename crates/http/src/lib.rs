//! Baton over HTTP: the API, its events, its metrics and the screen-pop.
//!
//! Whoever runs the engine implements [`Control`]; [`router`] turns it into an application and [`serve`] puts that on a socket.
#![forbid(unsafe_code)]

mod control;
mod serve;

pub use control::{Control, EventStream, Readiness, follow};
pub use serve::{HttpSettings, router, serve};
pub use axum::Router;
