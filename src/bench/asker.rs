//! Those who ask for transfers, as the makers of an AI would: over the REST API, each on a thread of its own.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{JoinHandle, spawn};

use baton_time::Mono;
use parking_lot::Mutex;
use serde_json::json;
use std::sync::Arc;

use crate::client::Api;
use crate::clock::Clock;

/// How many requests are under way at a time, at most.
const THREADS: usize = 8;
/// How many wishes may wait.
const WISHES_MAX: usize = 1_024;

/// A transfer that is wished for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wish {
    /// Which transfer of this run.
    pub(super) number: usize,
    /// The call.
    pub(super) call: String,
    /// What is asked for.
    pub(super) mode: &'static str,
    /// The AE.
    pub(super) to: String,
    /// What the caller wants: the same words have been spoken before, others must be rendered.
    pub(super) summary: String,
}

/// How a wish was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Asked {
    /// Which transfer of this run.
    pub(super) number: usize,
    /// When the request began to leave.
    pub(super) posted: Mono,
    /// The HTTP status, or what went wrong.
    pub(super) verdict: Result<u16, String>,
}

/// The threads.
pub(super) struct Askers {
    wishes: SyncSender<Wish>,
    asked: Arc<Mutex<Vec<Asked>>>,
    threads: Vec<JoinHandle<()>>,
}

impl Askers {
    /// Starts them.
    pub(super) fn start(api: Api, clock: Clock) -> Askers {
        let (wishes, queue) = sync_channel(WISHES_MAX);
        let (queue, asked) = (Arc::new(Mutex::new(queue)), Arc::new(Mutex::new(Vec::new())));
        let threads = (0..THREADS)
            .map(|_| {
                let (queue, asked) = (Arc::clone(&queue), Arc::clone(&asked));
                spawn(move || ask_all(api, clock, &queue, &asked))
            })
            .collect();
        Askers { wishes, asked, threads }
    }

    /// Passes a wish on; never waits.
    pub(super) fn wish(&self, wish: Wish) {
        if let Err(error) = self.wishes.try_send(wish) {
            tracing::warn!(%error, "a transfer was not asked for");
        }
    }

    /// Ends, and says what became of the wishes.
    pub(super) fn end(self) -> Vec<Asked> {
        drop(self.wishes);
        for thread in self.threads {
            if thread.join().is_err() {
                tracing::warn!("somebody who asked for transfers broke down");
            }
        }
        std::mem::take(&mut *self.asked.lock())
    }
}

fn ask_all(api: Api, clock: Clock, queue: &Mutex<Receiver<Wish>>, asked: &Mutex<Vec<Asked>>) {
    loop {
        let next = queue.lock().recv();
        let Ok(wish) = next else { return };
        let body = json!({"mode": wish.mode, "to": wish.to, "reason": "explicit_request", "context": {"summary": wish.summary}});
        let path = format!("/v1/calls/{}/transfers", wish.call);
        let posted = clock.now().mono;
        let answer = api.post(&path, &body);
        let verdict = answer.map(|answer| answer.status).map_err(|error| error.to_string());
        asked.lock().push(Asked { number: wish.number, posted, verdict });
    }
}
