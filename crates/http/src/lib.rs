//! Baton over HTTP: the API, its events, its metrics and the screen-pop.
//!
//! Whoever runs the engine implements [`Control`]; [`router`] turns it into an application and [`serve`] puts that on a socket.
#![forbid(unsafe_code)]

mod api;
mod app;
mod body;
mod control;
mod events;
mod failure;
mod gate;
mod openapi;
mod page;
mod path;
#[cfg(test)]
mod plays;
mod pop;
mod serve;
mod text;
mod vitals;

pub use app::HttpSettings;
pub use axum::Router;
pub use control::{Control, EventStream, Readiness, follow, from_now};
pub use serve::{router, serve};
