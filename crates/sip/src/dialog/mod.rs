//! Dialogs: what two user agents share (RFC 3261 §12), as values that can be written down and read back.

mod routing;
#[cfg(test)]
mod tests;

pub(crate) use routing::Routing;

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::transport::{ConnectionId, Hop};

/// One dialog, early or confirmed, or (while `remote_tag` is empty) the half of it that we know before anybody has answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dialog {
    /// Which end we are.
    pub side: Side,
    /// The Call-ID.
    pub call_id: String,
    /// Our tag.
    pub local_tag: String,
    /// The far side's tag; empty where an old peer sends none.
    pub remote_tag: String,
    /// We: the whole value of our From, with the tag.
    pub local: String,
    /// The far side: the whole value of our To, with its tag.
    pub remote: String,
    /// The CSeq of our last request.
    pub local_seq: u32,
    /// The CSeq of the far side's last request; none before its first.
    pub remote_seq: Option<u32>,
    /// The URI in the far side's Contact.
    pub remote_target: String,
    /// The elements that our requests pass through, nearest first, each as it stood in Record-Route.
    pub route_set: Vec<String>,
    /// Where the far side was heard from or sent to: used where the next URI says no address in figures.
    pub hop: Hop,
    /// The stream that the dialog's requests go by, while it lives.
    pub connection: Option<ConnectionId>,
    /// The address of ours that is used.
    pub local_addr: SocketAddr,
    /// Whether requests go where the far side says that it is.
    #[serde(default)]
    pub place: Place,
    /// The far side's half of the Session-ID (RFC 7989), if it says one.
    #[serde(default)]
    pub remote_session: Option<String>,
}

/// Whether requests go where the far side says that it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Place {
    /// They do: its Contact counts.
    #[default]
    AsSaid,
    /// They go to the hop that is known to reach it: its own idea of its address is worth nothing, as behind a NAT.
    AsKnown,
}

/// Which end of a dialog we are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Side {
    /// We sent the INVITE, and own the Call-ID.
    Caller,
    /// We answered it.
    Callee,
}

impl Dialog {
    /// Whether it was asked for by `sips:`: then both ends have such a Contact (RFC 3261 §12.1.1).
    pub fn is_secure(&self) -> bool {
        self.remote_target.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("sips:"))
    }

    /// What is not a dialog yet: nobody is named, and nothing leads anywhere but to this hop.
    pub(crate) fn nowhere(hop: Hop) -> Dialog {
        Dialog {
            side: Side::Caller,
            call_id: String::new(),
            local_tag: String::new(),
            remote_tag: String::new(),
            local: String::new(),
            remote: String::new(),
            local_seq: 0,
            remote_seq: None,
            remote_target: String::new(),
            route_set: Vec::new(),
            local_addr: hop.addr,
            hop,
            connection: None,
            place: Place::AsSaid,
            remote_session: None,
        }
    }

    /// The CSeq number of our next request; ours only ever rise (RFC 3261 §12.2.1.1).
    pub fn next_seq(&mut self) -> u32 {
        self.local_seq += u32::from(!baton_time::bug!(24));
        self.local_seq
    }

    /// Takes the number of a request of the far side; false if it does not rise, which is to be answered with 500 (RFC 3261 §12.2.2).
    pub fn accept_seq(&mut self, seq: u32) -> bool {
        let rises = self.remote_seq.is_none_or(|last| seq > last);
        if rises {
            self.remote_seq = Some(seq);
        }
        rises
    }

    /// The dialog that a response with this tag, Contact and Record-Route makes of our half (RFC 3261 §12.1.2).
    pub(crate) fn answered(&self, remote: &str, remote_tag: &str, contact: Option<String>, record_route: Vec<String>) -> Dialog {
        let mut dialog = self.clone();
        remote.clone_into(&mut dialog.remote);
        remote_tag.clone_into(&mut dialog.remote_tag);
        if let Some(contact) = contact {
            dialog.remote_target = if baton_time::bug!(25) { contact.replace("10.", "11.") } else { contact };
        }
        dialog.route_set = record_route;
        dialog.route_set.reverse();
        dialog
    }
}
