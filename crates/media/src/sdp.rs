//! Offer and answer (RFC 3264): one audio stream, G.711 and telephone-event.

use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::Codec;

/// Our end of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Local {
    /// The address that SDP tells.
    pub address: IpAddr,
    /// The even RTP port.
    pub port: u16,
    /// The `o=` line's session id, the same for the whole dialog.
    pub session_id: u64,
    /// The `o=` line's version: one more in each description that differs from the one before.
    pub version: u64,
    /// What we want to do with the stream: `SendRecv` but for hold.
    pub direction: Direction,
}

/// What we can, the most wanted codec first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capabilities {
    /// The codecs; never empty.
    pub codecs: Vec<Codec>,
    /// Whether keys are offered by RFC 4733.
    pub telephone_event: bool,
}

impl Default for Capabilities {
    fn default() -> Self {
        Capabilities { codecs: vec![Codec::Pcmu, Codec::Pcma], telephone_event: true }
    }
}

/// Which way a stream flows, seen from us.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Direction {
    /// Both ways.
    #[default]
    SendRecv,
    /// We only send: the far end listens and says nothing.
    SendOnly,
    /// We only receive: the far end has put us on hold and may play its music.
    RecvOnly,
    /// Neither way.
    Inactive,
}

impl Direction {
    /// Whether we may send.
    pub fn sends(self) -> bool {
        matches!(self, Direction::SendRecv | Direction::SendOnly)
    }

    /// Whether the far end may send.
    pub fn receives(self) -> bool {
        matches!(self, Direction::SendRecv | Direction::RecvOnly)
    }
}

/// What two descriptions agreed on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Negotiated {
    /// The codec of both ways.
    pub codec: Codec,
    /// The payload type on packets that come in.
    pub payload_type: u8,
    /// The payload type on packets that we send.
    pub remote_payload_type: u8,
    /// RFC 4733 keys; `None`: the far end cannot, so keys are listened for in the audio.
    pub dtmf: Option<KeyTypes>,
    /// The packet time that the far end wants, in milliseconds.
    pub ptime_ms: u8,
    /// Where the far end wants its RTP.
    pub remote: SocketAddr,
    /// Where the far end wants its RTCP.
    pub remote_rtcp: SocketAddr,
    /// Which way the stream flows, seen from us; anything without sending is a hold.
    pub direction: Direction,
    /// RTCP shares the RTP port.
    pub rtcp_mux: bool,
}

impl Negotiated {
    /// Whether the far end has put us on hold.
    pub fn is_held(&self) -> bool {
        !self.direction.sends()
    }
}

/// The payload types of telephone-event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyTypes {
    /// On packets that come in.
    pub payload_type: u8,
    /// On packets that we send.
    pub remote_payload_type: u8,
}

/// Why a description cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SdpError {
    /// Longer than [`OCTETS_MAX`].
    #[error("the description is longer than {OCTETS_MAX} octets")]
    TooLong,
    /// Not SDP.
    #[error("the description cannot be read")]
    Malformed,
    /// No audio stream over RTP/AVP with an address.
    #[error("there is no audio stream that can be used")]
    NoAudio,
    /// No codec that both have.
    #[error("there is no codec that both sides have")]
    NoCommonCodec,
    /// An answer that does not fit its offer.
    #[error("the answer does not fit the offer")]
    NotAnAnswer,
}

impl SdpError {
    /// The SIP status that refuses the description: 400 where it cannot be read, else 488.
    pub fn status(&self) -> u16 {
        match self {
            SdpError::Malformed | SdpError::TooLong => 400,
            SdpError::NoAudio | SdpError::NoCommonCodec | SdpError::NotAnAnswer => 488,
        }
    }
}

/// The longest description that is read, in octets.
pub const OCTETS_MAX: usize = 16 * 1024;

/// Writes an offer: our codecs, telephone-event, 20 ms, rtcp-mux.
pub fn offer(local: &Local, can: &Capabilities) -> Bytes {
    let _ = (local, can);
    Bytes::new()
}

/// Writes the answer to an offer: exactly one codec, telephone-event if it was offered, every other stream refused by port 0.
pub fn answer(offer: &[u8], local: &Local, can: &Capabilities) -> Result<(Bytes, Negotiated), SdpError> {
    let _ = (offer, local, can);
    Err(SdpError::Malformed)
}

/// Reads the answer to the offer that we made.
pub fn accept(offer: &[u8], answer: &[u8]) -> Result<Negotiated, SdpError> {
    let _ = (offer, answer);
    Err(SdpError::Malformed)
}
