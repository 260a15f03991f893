//! Scripted callers, AIs and AEs: the other side of Baton in its demo, its fixtures and its tests.
//!
//! A [`Party`] plays one [`Script`] in one call. It is sans-IO: told the time and what arrives, it answers with what is to leave, so that
//! the same party runs over real sockets and in virtual time. Its SIP is read and written through `rsip`, its RTP through `rtp-rs`, its
//! G.711 is its own: it shares nothing with the product that it tests. Everything that it sends carries its [`Pilot`], and everything
//! that it hears, says and signals is kept in its [`Record`].
#![forbid(unsafe_code)]

pub mod g711;
mod media;
mod message;
mod party;
#[cfg(test)]
mod plays;
mod record;
mod script;
pub mod sdp;
mod tone;
mod transaction;
mod ua;

pub use message::{Message, StartLine, Unreadable, parameter, uri_of, user_of};
pub use party::{Identity, Input, Lines, Output, Party, Taken};
pub use record::{Fault, Record, RtpSeen, SipSeen, Track};
pub use script::{Cue, KeyPath, Script, Step, Way};
pub use tone::{
    Dice, PILOT_DBFS, Pilot, PilotSource, RATE, below_the_pilots, find, hears, level_dbfs, likeness, loudness_dbfs, pilots,
};
pub use ua::sipfrag_status;
