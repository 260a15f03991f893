//! What one story has left behind, and the questions that can be asked of it.

use std::collections::BTreeMap;
use std::time::Duration;

use baton_party::{Message, Pilot, Record, RtpSeen, hears, loudness_dbfs};
use baton_time::Mono;

use super::cast::Role;
use super::conductor::{Notebook, SeenEvent};
use super::story::{Begins, Story};

/// Below this there is silence.
pub(crate) const SILENCE_DBFS: f64 = -50.0;

/// One party's part in a story.
pub(crate) struct Part {
    /// Which.
    pub(crate) role: Role,
    /// What it left.
    pub(crate) record: Record,
    /// What each packet that it heard contains, beside `record.rtp_received`.
    pub(crate) heard: Vec<Heard>,
}

/// What one received packet contains.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Heard {
    /// When it came.
    pub(crate) at: Mono,
    /// Whose pilots are in it.
    pub(crate) pilots: Vec<Pilot>,
    /// How loud it is.
    pub(crate) loudness_dbfs: f64,
}

/// Everything about one story.
pub(crate) struct Evidence {
    /// The story.
    pub(crate) story: Story,
    /// Everybody in it: the caller first, then the AI, then the AEs.
    pub(crate) parts: Vec<Part>,
    /// What the conductor brought home.
    pub(crate) book: Notebook,
    /// When the stage was late, or the daemon had no processor: in order, and apart from each other.
    pub(crate) stalls: Vec<(Mono, Mono)>,
}

/// How the AE's audio came through to the caller after the bridge (or the other way round).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Passage {
    /// When the first packet arrived.
    pub(crate) first_at: Option<Mono>,
    /// When that packet was sent.
    pub(crate) first_sent_at: Option<Mono>,
    /// Packets that were sent after the first one, before the last one, and never came.
    pub(crate) lost: usize,
    /// Packets that did not come either, but were sent late and in a burst by a sender that the machine had held up: their time was over.
    pub(crate) excused: usize,
    /// Packets that came again or out of order.
    pub(crate) repeated: usize,
    /// Packets that came through.
    pub(crate) passed: usize,
}

impl Passage {
    /// Follows the audio packets of `from` into what `to` heard: payloads are passed on as they are, and no two of a party are alike.
    pub(crate) fn of(from: &Record, to: &Record) -> Passage {
        Passage::since(from, to, Mono::ZERO, &[])
    }

    /// The same, of what arrived from an instant on; `stalls`: when the machine was busy with others.
    pub(crate) fn since(from: &Record, to: &Record, since: Mono, stalls: &[(Mono, Mono)]) -> Passage {
        let sent: Vec<&RtpSeen> = from.rtp_sent.iter().filter(|packet| packet.is_audio()).collect();
        let places: BTreeMap<&[u8], usize> = sent.iter().enumerate().map(|(place, packet)| (packet.payload(), place)).collect();
        let mut passage = Passage::default();
        let mut last: Option<usize> = None;
        for packet in to.rtp_received.iter().filter(|packet| packet.is_audio() && packet.at >= since) {
            let Some(place) = places.get(packet.payload()).copied() else { continue };
            passage.passed += 1;
            match last {
                None => (passage.first_at, passage.first_sent_at) = (Some(packet.at), Some(sent[place].at)),
                Some(last) if place > last => {
                    let late = (last + 1..place).filter(|missing| was_held_up(&sent, *missing, stalls)).count();
                    passage.excused += late;
                    passage.lost += place - last - 1 - late;
                }
                Some(_) => passage.repeated += 1,
            }
            last = Some(last.map_or(place, |last| last.max(place)));
        }
        passage
    }
}

/// Whether a packet was late through no fault of the daemon: its sender paused just before it, or the machine was busy with others.
fn was_held_up(sent: &[&RtpSeen], place: usize, stalls: &[(Mono, Mono)]) -> bool {
    const BURST: usize = 12;
    const PAUSE: Duration = Duration::from_millis(40);
    const STALL: Duration = Duration::from_millis(25);
    let before = &sent[place.saturating_sub(BURST)..=place];
    let (from, to) = (before[0].at, sent[place].at + PAUSE);
    let stalled: Duration = stalls.iter().map(|(late, woken)| (*woken).min(to).since((*late).max(from))).sum();
    stalled > STALL || before.windows(2).any(|pair| pair[1].at.since(pair[0].at) > PAUSE)
}

impl Part {
    pub(crate) fn new(role: Role, record: Record) -> Part {
        let heard = record.rtp_received.iter().filter(|packet| packet.is_audio()).map(Heard::of).collect();
        Part { role, record, heard }
    }

    /// When a note was made.
    pub(crate) fn noted(&self, note: &str) -> Option<Mono> {
        self.record.notes.iter().find(|(_, own)| own == note).map(|(at, _)| *at)
    }

    /// When a message with this title was first sent (or received).
    pub(crate) fn saw(&self, title: &str, sent: bool) -> Option<Mono> {
        self.record.sip.iter().find(|seen| seen.sent == sent && seen.title == title).map(|seen| seen.at)
    }

    /// Every message that came, with its time; without repetitions.
    pub(crate) fn received(&self) -> impl Iterator<Item = (Mono, Message)> + '_ {
        let fresh = self.record.sip.iter().filter(|seen| !seen.sent && !seen.again);
        fresh.filter_map(|seen| Some((seen.at, Message::read(&seen.bytes).ok()?)))
    }

    /// When a pilot is heard between two instants: the first of at least two packets in a row.
    pub(crate) fn first_heard(&self, pilot: Pilot, from: Mono, to: Mono) -> Option<Mono> {
        let inside = |heard: &&Heard| heard.at >= from && heard.at < to;
        let packets: Vec<&Heard> = self.heard.iter().filter(inside).collect();
        let pair = packets.windows(2).find(|pair| pair.iter().all(|heard| heard.pilots.contains(&pilot)))?;
        Some(pair[0].at)
    }

    /// The share of packets between two instants in which a pilot is heard, from 0 to 1; `None` if there is none.
    pub(crate) fn share_with(&self, pilot: Pilot, from: Mono, to: Mono) -> Option<f64> {
        let packets: Vec<&Heard> = self.heard.iter().filter(|heard| heard.at >= from && heard.at < to).collect();
        let with = packets.iter().filter(|heard| heard.pilots.contains(&pilot)).count();
        (!packets.is_empty()).then(|| with as f64 / packets.len() as f64)
    }

    /// The longest stretch between two instants without anything above silence, from the recording.
    pub(crate) fn longest_silence(&self, from: Mono, to: Mono) -> (Duration, Mono) {
        const FRAME: Duration = Duration::from_millis(20);
        let (mut longest, mut longest_at) = (Duration::ZERO, from);
        let (mut at, mut since) = (from, from);
        while at + FRAME <= to {
            let frame = self.record.heard.between(at, at + FRAME);
            if !frame.is_empty() && loudness_dbfs(frame) >= SILENCE_DBFS {
                since = at + FRAME;
            } else if (at + FRAME).since(since) > longest {
                (longest, longest_at) = ((at + FRAME).since(since), since);
            }
            at = at + FRAME;
        }
        (longest, longest_at)
    }
}

impl Heard {
    fn of(packet: &RtpSeen) -> Heard {
        let samples = packet.samples();
        let pilots = Pilot::ALL.into_iter().filter(|pilot| hears(&samples, *pilot)).collect();
        Heard { at: packet.at, pilots, loudness_dbfs: loudness_dbfs(&samples) }
    }
}

impl Evidence {
    pub(crate) fn part(&self, role: &Role) -> Option<&Part> {
        self.parts.iter().find(|part| part.role == *role)
    }

    pub(crate) fn caller(&self) -> Option<&Part> {
        self.part(&Role::Caller)
    }

    /// The AI that was called a second time.
    pub(crate) fn ai_again(&self) -> Option<&Part> {
        self.part(&Role::AiAgain)
    }

    pub(crate) fn ai(&self) -> Option<&Part> {
        self.part(&Role::Ai)
    }

    pub(crate) fn aes(&self) -> impl Iterator<Item = &Part> {
        self.parts.iter().filter(|part| matches!(part.role, Role::Ae(_)))
    }

    /// The AE who takes the call, with their pilot.
    pub(crate) fn taker(&self) -> Option<(&Part, Pilot)> {
        let ae = self.story.taker()?;
        Some((self.part(&Role::Ae(ae.id.to_owned()))?, ae.pilot))
    }

    pub(crate) fn pilot_of(&self, id: &str) -> Option<Pilot> {
        self.story.aes.iter().find(|ae| ae.id == id).map(|ae| ae.pilot)
    }

    /// What became of the transfer; of a callback: its state.
    pub(crate) fn outcome(&self) -> Option<&str> {
        match &self.book.callback {
            Some(callback) => callback["state"].as_str(),
            None => self.book.transfer.as_ref()?["outcome"].as_str(),
        }
    }

    /// The first event of a kind.
    pub(crate) fn event(&self, kind: &str) -> Option<&SeenEvent> {
        self.book.events.iter().find(|event| event.kind() == kind)
    }

    /// When the AI had asked: from here on what the caller hears is Baton's.
    pub(crate) fn asked(&self) -> Option<Mono> {
        // A callback's transfer begins when the two are connected already.
        let is_callback = matches!(self.story.begins, Begins::Callback { .. });
        let requested = self.event("transfer.requested").filter(|_| !is_callback);
        requested.map(|event| event.at).or(self.book.answered).or(self.book.asked)
    }

    /// When caller and AE were brought together: the AE's key was pressed; of a callback the caller's; the AI that introduced them left.
    pub(crate) fn accepted(&self) -> Option<Mono> {
        self.taker()?;
        self.parts.iter().find_map(|part| part.noted(self.story.joined))
    }

    /// When the AE gave the caller back to the AI.
    pub(crate) fn handed_back(&self) -> Option<Mono> {
        self.taker().and_then(|(part, _)| part.noted("hands-back"))
    }

    /// Until when caller and AE were together.
    pub(crate) fn together_until(&self) -> Option<Mono> {
        self.handed_back().or(self.parted())
    }

    /// How the AE's audio reached the caller, from the key on.
    pub(crate) fn to_caller(&self) -> Passage {
        let since = self.accepted().unwrap_or_default();
        let ends = self.caller().zip(self.taker());
        ends.map(|(caller, (ae, _))| Passage::since(&ae.record, &caller.record, since, &self.stalls)).unwrap_or_default()
    }

    /// How the caller's audio reached the AE, from the key on.
    pub(crate) fn to_ae(&self) -> Passage {
        let since = self.accepted().unwrap_or_default();
        let ends = self.caller().zip(self.taker());
        ends.map(|(caller, (ae, _))| Passage::since(&caller.record, &ae.record, since, &self.stalls)).unwrap_or_default()
    }

    /// When the caller first heard the AE.
    pub(crate) fn bridged(&self) -> Option<Mono> {
        self.to_caller().first_at
    }

    /// When the caller left, or was left.
    pub(crate) fn parted(&self) -> Option<Mono> {
        let byes = self.caller()?.record.sip.iter().filter(|seen| seen.title == "BYE");
        byes.map(|seen| seen.at).min()
    }

    /// An instant as people read it: seconds since the first message of the story.
    pub(crate) fn seconds(&self, at: Mono) -> String {
        let begin = self.parts.iter().flat_map(|part| &part.record.sip).map(|seen| seen.at).min().unwrap_or_default();
        format!("{:.2} s", at.since(begin).as_secs_f64())
    }

    /// When everything was over.
    pub(crate) fn end(&self) -> Mono {
        self.parts.iter().flat_map(|part| &part.record.sip).map(|seen| seen.at).max().unwrap_or_default()
    }

    /// The longest time between two packets at a party, less what the machine was busy with others, and when that was.
    pub(crate) fn worst_gap(&self, part: &Part, from: Mono, to: Mono) -> Option<(Duration, Mono)> {
        let times: Vec<Mono> =
            part.record.rtp_received.iter().map(|packet| packet.at).filter(|at| *at >= from && *at <= to).collect();
        let gaps = times.windows(2).map(|pair| (self.unstalled(pair[0], pair[1]), pair[0]));
        gaps.max_by_key(|(gap, _)| *gap)
    }

    /// The time until the packet that follows the one of an instant.
    pub(crate) fn raw_gap(&self, part: &Part, at: Mono) -> Duration {
        let later = part.record.rtp_received.iter().find(|packet| packet.at > at);
        later.map_or(Duration::ZERO, |packet| packet.at.since(at))
    }

    /// The time from one instant to another without the stalls in it or just before it.
    pub(crate) fn unstalled(&self, from: Mono, to: Mono) -> Duration {
        const BEFORE: Duration = Duration::from_millis(25);
        let begin = from - BEFORE;
        let lost: Duration = self.stalls.iter().map(|(late, woken)| (*woken).min(to).since((*late).max(begin))).sum();
        to.since(from).saturating_sub(lost)
    }
}

/// Stalls in order, where those that touch have become one.
pub(crate) fn united(mut stalls: Vec<(Mono, Mono)>) -> Vec<(Mono, Mono)> {
    stalls.sort();
    let mut united: Vec<(Mono, Mono)> = Vec::new();
    for (from, to) in stalls {
        match united.last_mut().filter(|last| from <= last.1) {
            Some(last) => last.1 = last.1.max(to),
            None => united.push((from, to)),
        }
    }
    united
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stalls_at_the_same_time_count_once() {
        let at = Mono::from_millis;
        let stalls = vec![(at(30), at(50)), (at(10), at(20)), (at(15), at(25)), (at(16), at(18))];
        assert_eq!(united(stalls), [(at(10), at(25)), (at(30), at(50))]);
    }
}
