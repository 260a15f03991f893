//! The table of live calls, which remembers the ones that were touched: what changed is what a journal writes down.

use std::collections::{BTreeMap, BTreeSet};

use baton_contract::CallId;

use crate::call::Call;

/// Live calls. Whoever may change a call marks it as touched.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    /// Boxed: a map has room for twice as many as there are, and moves them about.
    calls: BTreeMap<CallId, Box<Call>>,
    touched: BTreeSet<CallId>,
}

impl Calls {
    pub(crate) fn get(&self, id: &CallId) -> Option<&Call> {
        self.calls.get(id).map(Box::as_ref)
    }

    pub(crate) fn contains_key(&self, id: &CallId) -> bool {
        self.calls.contains_key(id)
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = &CallId> {
        self.calls.keys()
    }

    pub(crate) fn values(&self) -> impl DoubleEndedIterator<Item = &Call> {
        self.calls.values().map(Box::as_ref)
    }

    pub(crate) fn len(&self) -> usize {
        self.calls.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }

    pub(crate) fn get_mut(&mut self, id: &CallId) -> Option<&mut Call> {
        let call = self.calls.get_mut(id)?;
        self.touched.insert(*id);
        Some(call)
    }

    pub(crate) fn insert(&mut self, id: CallId, call: Box<Call>) {
        self.touched.insert(id);
        self.calls.insert(id, call);
    }

    pub(crate) fn remove(&mut self, id: &CallId) -> Option<Box<Call>> {
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
