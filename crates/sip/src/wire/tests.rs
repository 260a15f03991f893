//! Plays of the codec: RFC 4475, edges of our own, streams, mutants, and what is printed.

mod edges;
mod framing;
mod mutants;
mod printing;
mod torture;
mod typed;

use super::{Fault, Message};

/// A message written with plain line ends.
fn lines(text: &str) -> Vec<u8> {
    text.replace('\n', "\r\n").into_bytes()
}

fn parse(bytes: &[u8]) -> Result<Message, Fault> {
    Message::parse(bytes.to_vec().into())
}

const INVITE: &str = "INVITE sip:bob@biloxi.example SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.1:5070;branch=z9hG4bKa;rport\nMax-Forwards: 70\n\
                      From: \"Alice\" <sip:alice@atlanta.example>;tag=1928\nTo: <sip:bob@biloxi.example>\nCall-ID: a84b4c76e66710\n\
                      CSeq: 314159 INVITE\nContact: <sip:alice@192.0.2.1:5070>\nContent-Type: application/sdp\nContent-Length: 5\n\nv=0\n";
