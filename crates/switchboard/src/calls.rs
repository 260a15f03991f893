//! The table of live calls, which remembers the ones that were touched: what changed is what a journal writes down.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Deref;

use baton_contract::CallId;

use crate::call::Call;

/// Live calls. Reading goes through to the map; whoever may change a call marks it as touched.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    calls: BTreeMap<CallId, Call>,
    touched: BTreeSet<CallId>,
}

impl Calls {
    pub(crate) fn get_mut(&mut self, id: &CallId) -> Option<&mut Call> {
        let call = self.calls.get_mut(id)?;
        self.touched.insert(*id);
        Some(call)
    }

    pub(crate) fn insert(&mut self, id: CallId, call: Call) {
        self.touched.insert(id);
        self.calls.insert(id, call);
    }

    pub(crate) fn remove(&mut self, id: &CallId) -> Option<Call> {
        self.touched.insert(*id);
        self.calls.remove(id)
    }

    /// Marks a call whose sessions have moved.
    pub(crate) fn touch(&mut self, id: CallId) {
        self.touched.insert(id);
    }

    /// The calls that were touched since this was asked last, those included that are gone.
    pub(crate) fn take_touched(&mut self) -> BTreeSet<CallId> {
        std::mem::take(&mut self.touched)
    }
}

impl Deref for Calls {
    type Target = BTreeMap<CallId, Call>;

    fn deref(&self) -> &BTreeMap<CallId, Call> {
        &self.calls
    }
}
