//! Who a peer is.

use std::net::SocketAddr;

use baton_contract::AeId;

use crate::Settings;
use crate::switchboard::Switchboard;

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
        if let Some(ai) = self.ais.iter().position(|ai| ai.address == source || ai.hops.iter().any(|hop| hop.addr == source)) {
            return Peer::Ai(ai);
        }
        if let Some((ae, _)) = self.aes.iter().find(|(_, line)| {
            let is_there = line.address == source || line.hops.iter().any(|hop| hop.addr == source);
            line.trunk.is_none() && is_there
        }) {
            return Peer::Ae(ae.clone());
        }
        let trunk = self.trunks.iter().position(|trunk| trunk.is_from(source));
        trunk.map_or(Peer::Stranger, Peer::Trunk)
    }
}

impl crate::Trunk {
    /// Whether this is one of its addresses: those that are configured, else those that its name stands for.
    fn is_from(&self, source: SocketAddr) -> bool {
        match self.sources.as_slice() {
            [] if self.caller_account.is_some() => false,
            [] => self.hops.iter().any(|hop| hop.addr.ip() == source.ip().to_canonical()),
            some => some.iter().any(|net| net.contains(source.ip())),
        }
    }
}

impl Switchboard {
    /// Who sends from `source`, those included who have registered from there.
    pub(crate) fn peer(&self, source: SocketAddr) -> Peer {
        let Some(account) = self.agent.account_at(source) else { return self.settings.peer(source) };
        let is_its = |own: &Option<String>| own.as_deref() == Some(account);
        if let Some(ai) = self.settings.ais.iter().position(|ai| is_its(&ai.account)) {
            return Peer::Ai(ai);
        }
        match self.settings.aes.iter().find(|(_, line)| is_its(&line.account)) {
            Some((ae, _)) => Peer::Ae(ae.clone()),
            None => self.settings.peer(source),
        }
    }
}
