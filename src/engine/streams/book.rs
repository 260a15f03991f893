//! The engine's book of streams: one for each peer and transport, whoever opened it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use baton_sip::{ConnectionId, ServerName, Transmit, Transport};
use bytes::Bytes;
use tokio::sync::mpsc;

use super::connection::{Heard, Side};
use super::{Call, Known, OUTGOING_MAX, Opened, Streams};
use crate::engine::Door;
use crate::tls::Tls;

/// What the end of a stream means for what was to be sent to its far end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// It had worked: what was sent last may not have arrived.
    Heard(SocketAddr),
    /// We had called and nothing has ever come of it: what was to be sent was not.
    CalledInVain(Transport, SocketAddr),
}

/// Which streams may carry what is for whom: under TLS only one whose far end has shown that it is who is meant.
type Far = (Transport, SocketAddr, Option<ServerName>);

/// Every open stream.
pub(crate) struct Connections {
    streams: Streams,
    runtime: tokio::runtime::Handle,
    open: BTreeMap<ConnectionId, Open>,
    by_far: BTreeMap<Far, ConnectionId>,
}

struct Open {
    far: Far,
    opened_by: Side,
    queue: mpsc::Sender<Bytes>,
}

impl Connections {
    pub(crate) fn new(door: Door, runtime: tokio::runtime::Handle, tls: Option<Arc<Tls>>, known: Known) -> Connections {
        Connections { streams: Streams::new(door, tls, known), runtime, open: BTreeMap::new(), by_far: BTreeMap::new() }
    }

    /// How many streams are open: transport, who opened them, count. Every pair is there, so that a gauge goes back to nothing.
    pub(crate) fn counts(&self) -> Vec<(&'static str, &'static str, u64)> {
        let sides = [(Side::Us, "us"), (Side::Them, "them")];
        let streams = [Transport::Tcp, Transport::Tls, Transport::Ws, Transport::Wss];
        let mut counts = Vec::new();
        for (transport, (side, name)) in streams.into_iter().flat_map(|transport| sides.map(|side| (transport, side))) {
            let is_one = |open: &&Open| open.far.0 == transport && open.opened_by == side;
            counts.push((transport.name(), name, self.open.values().filter(is_one).count() as u64));
        }
        counts
    }

    /// When each certificate of ours ends, by its file.
    pub(crate) fn certificate_ends(&self) -> Vec<(String, i64)> {
        let ends = self.streams.tls.iter().flat_map(|tls| tls.ends());
        ends.map(|(file, end)| (file.display().to_string(), end.as_second())).collect()
    }

    /// What accepts connections and gives them numbers of the same row.
    pub(crate) fn acceptor(&self) -> Streams {
        self.streams.clone()
    }

    /// Somebody has opened a stream.
    pub(crate) fn opened(&mut self, opened: Opened) {
        let Opened { id, transport, remote, queue } = opened;
        self.insert(id, Open { far: (transport, remote, None), opened_by: Side::Them, queue });
    }

    fn insert(&mut self, id: ConnectionId, open: Open) {
        self.by_far.insert(open.far.clone(), id);
        self.open.insert(id, open);
    }

    /// A stream has ended.
    pub(crate) fn closed(&mut self, id: ConnectionId, heard: Heard) -> Option<End> {
        let Open { far, opened_by, .. } = self.open.remove(&id)?;
        if self.by_far.get(&far) == Some(&id) {
            self.by_far.remove(&far);
        }
        let (transport, remote, _) = far;
        match (heard, opened_by) {
            (Heard::Something, _) => Some(End::Heard(remote)),
            (Heard::Nothing, Side::Us) => Some(End::CalledInVain(transport, remote)),
            (Heard::Nothing, Side::Them) => None,
        }
    }

    /// Sends by the stream that is named, else by the one to the same peer, else by a new one. False: nothing can be sent.
    pub(crate) fn send(&mut self, transmit: &Transmit) -> bool {
        let named = transmit.connection.and_then(|id| self.open.get(&id));
        let far = (transmit.transport, transmit.remote, transmit.server.clone());
        let same = || self.by_far.get(&far).and_then(|id| self.open.get(id));
        match named.or_else(same).map(|open| open.queue.try_send(transmit.bytes.clone())) {
            Some(Ok(())) => true,
            Some(Err(mpsc::error::TrySendError::Full(_))) => false,
            // A stream that has ended a moment ago is as good as none.
            Some(Err(mpsc::error::TrySendError::Closed(_))) | None => match (transmit.transport, transmit.connection) {
                (Transport::Tcp | Transport::Tls | Transport::Ws | Transport::Wss, None) => self.call(transmit, far),
                // Whoever has come by a stream is not looked for elsewhere: a browser can be reached by its WebSocket alone (RFC 7118 §5).
                (_, _) => false,
            },
        }
    }

    fn call(&mut self, transmit: &Transmit, far: Far) -> bool {
        let Ok(place) = self.streams.called.clone().try_acquire_owned() else {
            tracing::warn!(remote = %transmit.remote, "too many streams of our own are open");
            return false;
        };
        let id = self.streams.name();
        let (queue, outgoing) = mpsc::channel(OUTGOING_MAX);
        let first = queue.try_send(transmit.bytes.clone()).is_ok();
        let Transmit { transport, local, remote, ref server, .. } = *transmit;
        let (streams, call) = (self.streams.clone(), Call { id, transport, local, remote, server: server.clone() });
        self.runtime.spawn(async move {
            streams.call(call, outgoing).await;
            drop(place);
        });
        self.insert(id, Open { far, opened_by: Side::Us, queue });
        first
    }
}
