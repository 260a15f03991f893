//! SIP over WebSocket (RFC 7118): one message of SIP is one message of the WebSocket, whose frames are those of RFC 6455.

mod frames;
mod handshake;

#[cfg(test)]
mod tests;

pub use frames::{Frame, FrameFault, Frames, Mask, Opcode, write};
pub use handshake::{HEAD_MAX, Opening, OpeningFault, Refusal, Upgrade, head_end};
