//! Media without sockets: who hears whom in a call, told packets and the time, answering with packets and events.
//!
//! A [`Room`] holds the legs of one call. A [`Scene`] says for each leg what it hears and is swapped as one value between two
//! packets. Towards each leg there is one sender for the whole of its life, whatever it plays.
#![forbid(unsafe_code)]

mod clip;
mod codec;
mod command;
mod hearing;
mod key;
mod leg;
mod mixer;
mod outbox;
mod output;
mod player;
mod quiet;
mod resume;
mod room;
mod rtcp;
mod rtp;
mod sabotage;
mod scene;
pub mod sdp;
mod sender;
mod signal;
mod source;
mod stats;
mod tap;
mod tone;
mod window;

pub use clip::Clip;
pub use codec::Codec;
pub use command::{BindError, Command, Event, Role, RoomId, Sources, StreamMark};
pub use outbox::{Channel, Outbox, Outgoing};
pub use room::{Room, RoomSettings};
pub use sabotage::Sabotage;
pub use scene::{Digits, Pair, PlayId, Playlist, Port, Scene, Source, Then};
pub use sdp::{Direction, Negotiated};
pub use signal::{beep, ringback};
pub use stats::{Fate, LegStats, Tally};
pub use tap::{TAPPED_OCTETS_MAX, TapId, Tapped};
