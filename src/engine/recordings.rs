//! The way of recordings: orders to the writer, its answers, and what is said in a voicemail.

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;

use baton_contract::TransferId;
use baton_media::TapId;
use baton_switchboard::{RecordFault, RecordKind, RecordOrder, Recorded};
use baton_time::Now;
use baton_transfer::Language;
use parking_lot::Mutex;

use super::{Door, Request};
use crate::metrics::Metrics;
use crate::record::{Counts, Recorder};
use crate::transcribe::Transcriber;

/// Orders that may wait for room in the writer's queue.
const ORDERS_MAX: usize = 1_024;

/// Whoever records, and whoever writes down what was said.
pub(crate) struct Recordings {
    /// The writer and its folder; nothing is recorded without.
    pub(crate) recorder: Option<(Arc<Recorder>, PathBuf)>,
    /// Who makes text of voicemails.
    pub(crate) transcriber: Option<Arc<Transcriber>>,
    /// Orders for which the writer had no room yet.
    waiting: VecDeque<(RecordOrder, Now)>,
    /// The transfers that voicemails belong to.
    voicemails: BTreeMap<TapId, TransferId>,
}

impl Recordings {
    /// Nothing has been ordered yet.
    pub(crate) fn new(recorder: Option<(Arc<Recorder>, PathBuf)>, transcriber: Option<Arc<Transcriber>>) -> Recordings {
        Recordings { recorder, transcriber, waiting: VecDeque::new(), voicemails: BTreeMap::new() }
    }

    /// Hands an order on, in its turn; yields the answer where it is refused at once.
    pub(super) fn order(&mut self, order: RecordOrder, now: Now) -> Option<(TapId, RecordFault)> {
        let opened = if let RecordOrder::Open(track) = &order { Some(*track) } else { None };
        if self.recorder.is_none() {
            return opened.map(|track| (track.tap, RecordFault::NoFolder));
        }
        if self.waiting.len() >= ORDERS_MAX {
            tracing::error!(?order, "an order to the writer of recordings is lost");
            return opened.map(|track| (track.tap, RecordFault::TooMany));
        }
        if let Some(track) = opened
            && track.kind == RecordKind::Voicemail
            && let Some(transfer) = track.transfer
        {
            self.voicemails.insert(track.tap, transfer);
        }
        self.waiting.push_back((order, now));
        self.hand_on();
        None
    }

    /// Hands on what waits, as far as there is room.
    pub(super) fn hand_on(&mut self) {
        let Some((recorder, _)) = &self.recorder else { return };
        while let Some((order, now)) = self.waiting.pop_front() {
            if let Err(order) = recorder.obey(order, now) {
                self.waiting.push_front((order, now));
                return;
            }
        }
    }

    /// Takes note that a track has ended; a voicemail in which somebody speaks gets a text, elsewhere.
    pub(super) fn ended(
        &mut self,
        (runtime, door, metrics): (&tokio::runtime::Handle, &Door, &Arc<Mutex<Metrics>>),
        tap: TapId,
        result: &Result<Recorded, RecordFault>,
    ) {
        let Some(transfer) = self.voicemails.remove(&tap) else { return };
        let (Ok(recorded), Some((_, folder)), Some(transcriber)) = (result, &self.recorder, &self.transcriber) else { return };
        if recorded.speech_ms == 0 {
            return;
        }
        let (file, transcriber) = (folder.join(&recorded.file), transcriber.clone());
        let (door, metrics) = (door.clone(), metrics.clone());
        runtime.spawn(async move {
            let result = match transcriber.text_of(&file).await {
                Ok(text) => match door.send(Request::Transcribed { transfer, text }) {
                    Ok(()) => "done",
                    Err(_) => "failed",
                },
                Err(fault) => {
                    tracing::warn!(%transfer, %fault, "no-transcript");
                    "failed"
                }
            };
            metrics.lock().add("baton_transcripts_total", &[("result", result)], 1.0);
        });
    }

    /// Has an answer written down, elsewhere, and deletes it.
    pub(super) fn write_down(
        &self,
        (runtime, door, metrics): (&tokio::runtime::Handle, &Door, &Arc<Mutex<Metrics>>),
        (ticket, file): (u64, &str),
        language: Language,
    ) {
        let (folder, transcriber) = (self.recorder.as_ref().map(|(_, folder)| folder.join(file)), self.transcriber.clone());
        let (door, metrics) = (door.clone(), metrics.clone());
        runtime.spawn(async move {
            let text = match (&folder, transcriber) {
                (Some(file), Some(transcriber)) => {
                    transcriber.text_in(file, Some(language)).await.map_err(|fault| fault.to_string())
                }
                (_, _) => Err("there is nobody who writes down what is said".to_owned()),
            };
            let result = if text.is_ok() { "done" } else { "failed" };
            metrics.lock().add("baton_transcripts_total", &[("result", result)], 1.0);
            if let Err(fault) = &text {
                tracing::warn!(fault, "an-answer-without-a-text");
            }
            if door.send(Request::WrittenDown { ticket, text: text.ok() }).is_err() {
                tracing::debug!("nobody waits for what was said");
            }
            if let Some(file) = folder {
                delete(&file).await;
            }
        });
    }

    /// Deletes a recording that nobody wants.
    pub(super) fn forget(&self, runtime: &tokio::runtime::Handle, file: &str) {
        if let Some(file) = self.recorder.as_ref().map(|(_, folder)| folder.join(file)) {
            runtime.spawn(async move { delete(&file).await });
        }
    }

    /// What has become of recordings.
    pub(super) fn counts(&self) -> Option<Counts> {
        self.recorder.as_ref().map(|(recorder, _)| recorder.counts())
    }
}

async fn delete(file: &std::path::Path) {
    if let Err(error) = tokio::fs::remove_file(file).await {
        tracing::warn!(%error, "an-answer-stays");
    }
}
