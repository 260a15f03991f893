//! The audit trail as a stream, for subscribers who come back.

use std::collections::VecDeque;
use std::sync::Arc;

use baton_contract::Event;
use futures_util::stream::{Stream, unfold};

use crate::Store;

/// The events after the one with the number `after`, in their order, read `page` at a time; ends with the last one that is there,
/// or where the trail cannot be read.
pub fn past_events(store: Arc<Store>, after: u64, page: u32) -> impl Stream<Item = Event> + Send + 'static {
    let start = (store, after, VecDeque::new());
    unfold(start, move |(store, after, mut read)| async move {
        if read.is_empty() {
            match store.audit(after, page).await {
                Ok(events) => read.extend(events),
                Err(error) => tracing::warn!(%error, after, "past events cannot be told"),
            }
        }
        let event: Event = read.pop_front()?;
        let seq = event.seq;
        Some((event, (store, seq, read)))
    })
}
