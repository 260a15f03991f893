//! The virtual world: the production switchboard, SIP, transfers and media, and scripted parties around them, without a clock,
//! a socket or a disk. Ninety seconds go by in milliseconds, and the same seed gives the same trace.
#![forbid(unsafe_code)]

pub mod chance;
pub mod checks;
#[cfg(test)]
mod crashes;
pub mod fixture;
#[cfg(test)]
mod fixtures_hold;
pub mod hearing;
#[cfg(test)]
mod opening;
#[cfg(test)]
mod plays;
mod world;

pub use world::{Ae, AesAt, Arrival, BATON, Carrier, Fate, Listening, Rung, Setup, Store, Wiring, World};
