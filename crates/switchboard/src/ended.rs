//! Calls that are over, kept for a while so that late questions get an answer.
//!
//! They outlive whatever was made while they were up. Kept as they were, each in a dozen pieces among those, they would hold on to the pages of all of it.
//! So what is of one length is in rows here, and all their words are one text.

use std::collections::{BTreeMap, VecDeque};

use baton_contract::{
    At, CallDirection, CallEnd, CallId, CallOutcome, CallState, CallView, Context, Driver, LegId, LegRole, LegState, LegView,
    TransferId, TransferView,
};

/// How many ended calls are kept in memory; older ones are in the store.
const ENDED_CALLS_MAX: usize = 1_000;

/// The last ended calls, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Ended {
    calls: VecDeque<Row>,
    legs: VecDeque<LegRow>,
    words: VecDeque<u8>,
    /// How much of them has been let go of: places are counted from the very first one.
    legs_gone: usize,
    words_gone: usize,
    /// Whatever few calls have.
    stories: BTreeMap<CallId, Story>,
    transfers: BTreeMap<TransferId, CallId>,
}

/// A view without its words, which are from, to and the reason of the end, and then those of its legs.
#[derive(Debug, Clone, Copy)]
struct Row {
    id: CallId,
    state: CallState,
    direction: CallDirection,
    driver: Driver,
    started_at: At,
    ended_at: Option<At>,
    transfer: Option<TransferId>,
    end: Option<EndRow>,
    from_length: usize,
    to_length: usize,
    /// Where its legs and its words begin.
    legs: usize,
    words: usize,
    leg_count: usize,
}

#[derive(Debug, Clone, Copy)]
struct EndRow {
    outcome: CallOutcome,
    sip_status: Option<u16>,
    reason_length: usize,
}

#[derive(Debug, Clone, Copy)]
struct LegRow {
    id: LegId,
    role: LegRole,
    state: LegState,
    sip_call_id_length: usize,
    codec_length: Option<usize>,
}

/// What was told and done in a call.
#[derive(Debug)]
pub(crate) struct Story {
    /// Its transfers.
    pub(crate) transfers: Vec<TransferView>,
    /// What was known of the caller.
    pub(crate) context: Context,
}

impl Ended {
    /// Keeps a call, and lets go of the oldest one where there are too many.
    pub(crate) fn keep(&mut self, view: &CallView, transfers: Vec<TransferView>, context: Context) {
        if self.calls.len() >= ENDED_CALLS_MAX {
            self.forget_oldest();
        }
        let (legs, words) = (self.legs_gone + self.legs.len(), self.words_gone + self.words.len());
        let CallView { id, state, direction, driver, from, to, started_at, ended_at, legs: views, transfer, end } = view;
        let (from_length, to_length, leg_count) = (self.write(from), self.write(to), views.len());
        let end = end.as_ref().map(|CallEnd { outcome, sip_status, reason }| {
            let reason_length = self.write(reason);
            EndRow { outcome: *outcome, sip_status: *sip_status, reason_length }
        });
        for LegView { id, role, state, sip_call_id, codec } in views {
            let (sip_call_id_length, codec_length) = (self.write(sip_call_id), codec.as_ref().map(|codec| self.write(codec)));
            self.legs.push_back(LegRow { id: *id, role: *role, state: *state, sip_call_id_length, codec_length });
        }
        self.calls.push_back(Row {
            id: *id,
            state: *state,
            direction: *direction,
            driver: *driver,
            started_at: *started_at,
            ended_at: *ended_at,
            transfer: *transfer,
            end,
            from_length,
            to_length,
            legs,
            words,
            leg_count,
        });
        if !transfers.is_empty() || context != Context::default() {
            self.transfers.extend(transfers.iter().map(|transfer| (transfer.id, *id)));
            self.stories.insert(*id, Story { transfers, context });
        }
    }

    fn write(&mut self, words: &str) -> usize {
        self.words.extend(words.as_bytes());
        words.len()
    }

    fn forget_oldest(&mut self) {
        let Some(oldest) = self.calls.pop_front() else { return };
        let legs = self.legs_gone + self.legs.len();
        let words = self.words_gone + self.words.len();
        // Places only rise: what is before those of the next call was the oldest one's.
        let (legs, words) = self.calls.front().map_or((legs, words), |next| (next.legs, next.words));
        self.legs.drain(..legs - self.legs_gone);
        self.words.drain(..words - self.words_gone);
        (self.legs_gone, self.words_gone) = (legs, words);
        for transfer in self.stories.remove(&oldest.id).into_iter().flat_map(|story| story.transfers) {
            self.transfers.remove(&transfer.id);
        }
    }

    /// A call as it was in the end.
    pub(crate) fn view(&self, id: CallId) -> Option<CallView> {
        self.row(id).map(|row| self.read(row))
    }

    /// All of them, newest first.
    pub(crate) fn views(&self) -> impl Iterator<Item = CallView> {
        self.calls.iter().rev().map(|row| self.read(row))
    }

    /// What was known of the caller.
    pub(crate) fn context(&self, id: CallId) -> Option<Context> {
        self.row(id)?;
        Some(self.stories.get(&id).map(|story| story.context.clone()).unwrap_or_default())
    }

    /// A transfer, and the call that it was in.
    pub(crate) fn by_transfer(&self, id: TransferId) -> Option<(CallId, &Story, &TransferView)> {
        let call = *self.transfers.get(&id)?;
        let story = self.stories.get(&call)?;
        story.transfers.iter().find(|view| view.id == id).map(|view| (call, story, view))
    }

    /// Puts a newer view of a transfer in place of the one that was kept.
    pub(crate) fn refresh(&mut self, view: &TransferView) {
        let story = self.transfers.get(&view.id).and_then(|call| self.stories.get_mut(call));
        for kept in story.into_iter().flat_map(|story| &mut story.transfers).filter(|kept| kept.id == view.id) {
            *kept = view.clone();
        }
    }

    fn row(&self, id: CallId) -> Option<&Row> {
        self.calls.iter().rev().find(|row| row.id == id)
    }

    fn read(&self, row: &Row) -> CallView {
        let mut at = row.words - self.words_gone;
        let mut take = |length: usize| {
            let words: Vec<u8> = self.words.range(at..at + length).copied().collect();
            at += length;
            String::from_utf8(words).unwrap_or_default()
        };
        let (from, to) = (take(row.from_length), take(row.to_length));
        let end = row.end.map(|EndRow { outcome, sip_status, reason_length }| CallEnd {
            outcome,
            sip_status,
            reason: take(reason_length),
        });
        let first = row.legs - self.legs_gone;
        let legs = self.legs.range(first..first + row.leg_count).map(|leg| {
            let LegRow { id, role, state, sip_call_id_length, codec_length } = *leg;
            LegView { id, role, state, sip_call_id: take(sip_call_id_length), codec: codec_length.map(&mut take) }
        });
        let legs = legs.collect();
        let Row { id, state, direction, driver, started_at, ended_at, transfer, .. } = *row;
        CallView { id, state, direction, driver, from, to, started_at, ended_at, legs, transfer, end }
    }
}

#[cfg(test)]
mod tests {
    use baton_contract::IdSource;
    use baton_time::Wall;

    use super::*;

    /// Calls that differ in everything that can differ.
    fn calls(count: usize) -> Vec<CallView> {
        let mut ids = IdSource::seeded(7);
        let views = (0..count).map(|number| {
            let at = At(Wall::from_micros(1_700_000_000_000_001 + number as i64));
            let leg = |number: usize, ids: &mut IdSource| LegView {
                id: LegId::new(ids, at.0),
                role: if number == 0 { LegRole::Caller } else { LegRole::Ai },
                state: LegState::Ended,
                sip_call_id: format!("{}ü-{number}", "x".repeat(number * 3)),
                codec: number.is_multiple_of(2).then(|| "PCMA/8000".to_owned()),
            };
            let reason = "so it ended ".repeat(number % 3);
            CallView {
                id: CallId::new(&mut ids, at.0),
                state: CallState::Ended,
                direction: if number.is_multiple_of(2) { CallDirection::Inbound } else { CallDirection::Callback },
                driver: Driver::Paused,
                from: format!("+1555{number}"),
                to: "desk".repeat(number % 5),
                started_at: at,
                ended_at: (number % 4 != 3).then_some(at),
                legs: (0..number % 4).map(|leg_number| leg(leg_number, &mut ids)).collect(),
                transfer: number.is_multiple_of(7).then(|| TransferId::new(&mut ids, at.0)),
                end: (number % 5 != 1).then_some(CallEnd { outcome: CallOutcome::Busy, sip_status: Some(486), reason }),
            }
        });
        views.collect()
    }

    #[test]
    fn a_call_is_told_as_it_was_when_it_ended() {
        let (mut ended, calls) = (Ended::default(), calls(40));
        for (number, call) in calls.iter().enumerate() {
            let summary = number.is_multiple_of(2).then(|| format!("wants {number}"));
            ended.keep(call, Vec::new(), Context { summary, ..Context::default() });
        }
        assert_eq!(ended.views().collect::<Vec<_>>(), calls.iter().rev().cloned().collect::<Vec<_>>());
        for (number, call) in calls.iter().enumerate() {
            assert_eq!(ended.view(call.id).as_ref(), Some(call));
            let summary = number.is_multiple_of(2).then(|| format!("wants {number}"));
            assert_eq!(ended.context(call.id).map(|context| context.summary), Some(summary));
        }
        assert_eq!(ended.stories.len(), 20, "nothing is kept where nothing was told");
    }

    #[test]
    fn the_oldest_call_is_let_go_of_with_all_its_words() {
        let (mut ended, calls) = (Ended::default(), calls(ENDED_CALLS_MAX * 2 + 3));
        for call in &calls {
            ended.keep(call, Vec::new(), Context::default());
        }
        let (gone, known) = calls.split_at(ENDED_CALLS_MAX + 3);
        assert!(gone.iter().all(|call| ended.view(call.id).is_none() && ended.context(call.id).is_none()));
        assert_eq!(ended.views().collect::<Vec<_>>(), known.iter().rev().cloned().collect::<Vec<_>>());
        let legs: usize = known.iter().map(|call| call.legs.len()).sum();
        assert_eq!((ended.calls.len(), ended.legs.len()), (ENDED_CALLS_MAX, legs));
        let words = |call: &CallView| {
            let legs = call.legs.iter().map(|leg| leg.sip_call_id.len() + leg.codec.as_ref().map_or(0, String::len));
            call.from.len() + call.to.len() + call.end.as_ref().map_or(0, |end| end.reason.len()) + legs.sum::<usize>()
        };
        assert_eq!(ended.words.len(), known.iter().map(words).sum::<usize>());
    }
}
