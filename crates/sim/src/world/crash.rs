//! The process dies, and another one takes its calls up.

use std::collections::BTreeMap;
use std::time::Duration;

use baton_contract::{CallbackState, LeaseRow, Record};
use baton_switchboard::{CallRecord, Input, Switchboard};
use baton_transfer::Roster;

use super::{Post, World, stage};

impl World {
    /// Baton dies now and is back after `downtime`. It knows what its journal and its store have; whatever the media threads, the store or a voice
    /// were about to tell is lost, sound that came meanwhile is thrown away, and SIP that came meanwhile waits in the sockets.
    pub fn crash(&mut self, downtime: Duration) {
        self.crash_with(downtime, |_| ());
    }

    /// The same, and meanwhile something happens.
    pub fn crash_with(&mut self, downtime: Duration, meanwhile: impl FnOnce(&mut World)) {
        let calls = self.board.live_calls().into_iter().filter_map(|id| self.board.snapshot(id));
        let journal: Vec<Vec<u8>> = calls.map(|call| serde_json::to_vec(&call).expect("a call can be written down")).collect();
        let common = self.board.common_snapshot();
        let marks: Vec<_> = self.rooms.values().flat_map(|room| room.marks(self.now.mono)).collect();
        self.rooms.clear();
        self.ports.clear();
        let posts = std::mem::take(&mut self.posts);
        self.posts = posts.into_iter().filter(|(_, post)| survives(post)).collect();
        self.board = self.board_without_calls();
        let back = self.now.mono + downtime;
        self.missed = Some(Vec::new());
        meanwhile(self);
        while let Some(at) = self.next_at().filter(|at| *at < back) {
            self.go_to(at.max(self.now.mono));
            self.step();
        }
        self.go_to(back);
        let missed = self.missed.take().unwrap_or_default();
        self.board.restore_common(&common);
        let mut used = Vec::new();
        for bytes in journal {
            let record: CallRecord = serde_json::from_slice(&bytes).expect("what was written can be read");
            used.extend(record.ports());
            self.board.restore(self.now, record, &marks);
        }
        let ports = (0..self.port_count).map(|pair| 20_000 + 2 * pair);
        self.tell_board(Input::Ports(ports.filter(|port| !used.contains(port)).collect()));
        missed.into_iter().for_each(|input| self.tell_board(input));
    }

    /// A switchboard without calls, over the rows that are on record.
    fn board_without_calls(&self) -> Switchboard {
        let mut setup = self.setup.clone();
        setup.seed = setup.seed.wrapping_add(1 + self.records.len() as u64);
        let mut begin = stage::begin(&setup);
        let mut roster = Roster::new(stage::ae_settings(&setup), Vec::new());
        for row in self.leases().values() {
            roster.restore(self.now, row);
        }
        begin.roster = roster;
        let is_open = |state| matches!(state, CallbackState::Scheduled | CallbackState::Running);
        begin.callbacks = self.callback_rows().into_values().filter(|row| is_open(row.state)).collect();
        begin.last_event_seq = self.events.last().map_or(0, |event| event.seq);
        Switchboard::new(stage::settings(&setup), begin)
    }

    fn leases(&self) -> BTreeMap<String, LeaseRow> {
        let mut leases = BTreeMap::new();
        for (_, record) in &self.records {
            match record {
                Record::Lease(row) => {
                    leases.insert(row.ae.to_string(), row.clone());
                }
                Record::Release { ae, .. } => {
                    leases.remove(&ae.to_string());
                }
                Record::Journal { .. }
                | Record::Call(_)
                | Record::Transfer(_)
                | Record::Callback(_)
                | Record::Claim { .. }
                | Record::Outbox(_)
                | Record::Placed(_)
                | Record::Forget(_)
                | Record::Audit(_) => {}
            }
        }
        leases
    }
}

/// What is on its way and does not die with the process: datagrams, and what people do.
fn survives(post: &Post) -> bool {
    match post {
        Post::Board(input) => matches!(**input, Input::Sip(_)),
        Post::Room { .. } | Post::Party(..) | Post::Wire { .. } => true,
    }
}
