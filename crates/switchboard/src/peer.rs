//! Who a peer is.

use std::net::SocketAddr;

use baton_contract::AeId;

use crate::Settings;

/// Somebody who sends us SIP outside of a dialog.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Peer {
    /// An AI, by its place in the settings.
    Ai(usize),
    /// An AE's phone.
    Ae(AeId),
    /// A trunk, by its place in the settings.
    Trunk(usize),
    /// Nobody that we know.
    Stranger,
}

impl Settings {
    /// Who sends from `source`: the exact address of an AI or an AE first, then a trunk's ranges.
    pub(crate) fn peer(&self, source: SocketAddr) -> Peer {
        if let Some(ai) = self.ais.iter().position(|ai| ai.address == source) {
            return Peer::Ai(ai);
        }
        if let Some((ae, _)) = self.aes.iter().find(|(_, line)| line.trunk.is_none() && line.address == source) {
            return Peer::Ae(ae.clone());
        }
        let trunk = self.trunks.iter().position(|trunk| trunk.sources.iter().any(|net| net.contains(source.ip())));
        trunk.map_or(Peer::Stranger, Peer::Trunk)
    }
}
