//! Calls that are over, kept for a while so that late questions get an answer.

use std::collections::{BTreeMap, VecDeque};

use baton_contract::{CallId, CallView, Context, TransferId, TransferView};

/// How many ended calls are kept in memory; older ones are in the store.
const ENDED_CALLS_MAX: usize = 1_000;

/// The last ended calls.
#[derive(Debug, Default)]
pub(crate) struct Ended {
    /// Boxed: a map has room for twice as many as there are.
    calls: BTreeMap<CallId, Box<EndedCall>>,
    order: VecDeque<CallId>,
    transfers: BTreeMap<TransferId, CallId>,
}

/// What is left of a call.
#[derive(Debug)]
pub(crate) struct EndedCall {
    pub(crate) view: CallView,
    pub(crate) transfers: Vec<TransferView>,
    pub(crate) context: Context,
}

impl Ended {
    /// Keeps a call, and lets go of the oldest one where there are too many.
    pub(crate) fn keep(&mut self, call: Box<EndedCall>) {
        if self.order.len() >= ENDED_CALLS_MAX
            && let Some(oldest) = self.order.pop_front().and_then(|id| self.calls.remove(&id))
        {
            for transfer in &oldest.transfers {
                self.transfers.remove(&transfer.id);
            }
        }
        for transfer in &call.transfers {
            self.transfers.insert(transfer.id, call.view.id);
        }
        self.order.push_back(call.view.id);
        self.calls.insert(call.view.id, call);
    }

    pub(crate) fn call(&self, id: CallId) -> Option<&EndedCall> {
        self.calls.get(&id).map(Box::as_ref)
    }

    pub(crate) fn by_transfer(&self, id: TransferId) -> Option<(&EndedCall, &TransferView)> {
        let call = self.calls.get(self.transfers.get(&id)?)?;
        call.transfers.iter().find(|view| view.id == id).map(|view| (call.as_ref(), view))
    }

    /// Puts a newer view of a transfer in place of the one that was kept.
    pub(crate) fn refresh(&mut self, view: &TransferView) {
        let call = self.transfers.get(&view.id).and_then(|call| self.calls.get_mut(call));
        for kept in call.into_iter().flat_map(|call| &mut call.transfers).filter(|kept| kept.id == view.id) {
            *kept = view.clone();
        }
    }

    /// Newest first.
    pub(crate) fn calls(&self) -> impl Iterator<Item = &EndedCall> {
        self.order.iter().rev().filter_map(|id| self.call(*id))
    }
}
