//! What one transfer has left behind, and what can be measured in it.
//!
//! No two packets of a party are alike, and Baton passes them on as they are: whose packet is heard is known exactly, not by its sound.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use baton_party::{Record, RtpSeen, loudness_dbfs};
use baton_time::Mono;

use super::kinds::Kind;
use super::metronome::stood_still;
use super::scripts::{ACCEPTS, ANSWERS, ASKS};
use crate::demo::evidence::{Passage, SILENCE_DBFS};

/// The time in a packet.
const PTIME: Duration = Duration::from_millis(20);
/// Samples in a packet.
const FRAME: u32 = 160;

/// A time at which this tool itself was late.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stall {
    /// When it should have been there.
    pub(super) due: Mono,
    /// When it was.
    pub(super) was: Mono,
}

/// One transfer.
pub(super) struct Trial {
    /// Which of this run; the first one is not measured.
    pub(super) number: usize,
    /// Its kind.
    pub(super) kind: Kind,
    /// The call's id.
    pub(super) call: Option<String>,
    /// How many transfers were in flight when this one was asked for, itself among them.
    pub(super) in_flight: usize,
    /// What the caller sent and heard.
    pub(super) caller: Record,
    /// What the AI sent and heard.
    pub(super) ai: Record,
    /// What the AE sent and heard.
    pub(super) ae: Record,
    /// What the AI sent and heard that was called a second time.
    pub(super) ai_again: Option<Record>,
}

/// What happened elsewhere.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Request {
    /// When the request began to leave its sender.
    pub(super) posted: Option<Mono>,
    /// When the daemon had it: the time of its event `transfer.requested`.
    pub(super) taken: Option<Mono>,
}

/// Everything that is measured in one transfer.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Measured {
    /// What kept it from coming through; empty: it did.
    pub(super) faults: Vec<String>,
    /// How many transfers were in flight.
    pub(super) in_flight: usize,
    /// Decision → the INVITE is at the AE.
    pub(super) decision: Option<Duration>,
    /// The same, less the time in which the machine stood still.
    pub(super) decision_own: Option<Duration>,
    /// The request begins to leave → the INVITE is at the AE.
    pub(super) post: Option<Duration>,
    /// 200 leaves the AE → the first sound of the briefing is there.
    pub(super) briefing: Option<Duration>,
    /// The same, less the time in which the machine stood still.
    pub(super) briefing_own: Option<Duration>,
    /// The key leaves the AE → caller and AE have both heard each other.
    pub(super) bridge: Option<Duration>,
    /// The longest times between two packets at the caller, from the request to the end.
    pub(super) gaps: Gaps,
    /// Packets that the caller should have got and did not.
    pub(super) lost: usize,
    /// Packets that the caller got twice or out of order.
    pub(super) repeated: usize,
    /// Packets at the caller whose timestamp or source does not follow from the one before.
    pub(super) broken: usize,
    /// How long the AI was heard by anybody after the caller had heard the AE.
    pub(super) ai_after: Option<Duration>,
    /// The longest silence at the caller, from the request to the end.
    pub(super) silence: Option<Duration>,
}

/// The longest times between two packets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Gaps {
    /// Of all.
    pub(super) worst: Option<Duration>,
    /// Where Baton made both: music, prompts.
    pub(super) made: Option<Duration>,
    /// Where both came from one party and were passed on.
    pub(super) passed_on: Option<Duration>,
    /// Where what is heard was swapped.
    pub(super) swapped: Option<Duration>,
    /// Of all, less what this tool was late in sending what was passed on, and less the time in which the machine stood still.
    pub(super) own: Option<Duration>,
}

impl Trial {
    /// Measures.
    pub(super) fn measure(&self, request: Request, stalls: &[Stall]) -> Measured {
        let to_caller = Passage::of(&self.ae, &self.caller);
        let to_ae = Passage::of(&self.caller, &self.ae);
        let invited = self.ae.sip.iter().find(|seen| !seen.sent && seen.title == "INVITE").map(|seen| seen.at);
        let since = |earlier: Option<Mono>| Some(invited?.since(earlier?));
        let own = |(from, to): (Mono, Mono)| to.since(from).saturating_sub(stood_still(stalls, from, to));
        let briefing = self.briefing();
        let mut measured = Measured {
            faults: self.faults(),
            in_flight: self.in_flight,
            decision: since(request.taken),
            decision_own: request.taken.zip(invited).map(own),
            post: since(request.posted),
            briefing: briefing.map(|(answered, heard)| heard.since(answered)),
            briefing_own: briefing.map(own),
            ..Measured::default()
        };
        if let (Some(accepted), Some(one), Some(other)) = (note(&self.ae, ACCEPTS), to_caller.first_at, to_ae.first_at) {
            measured.bridge = Some(one.max(other).since(accepted));
            measured.ai_after = Some(self.ai_after(one));
        }
        let stream = Stream::of(&self.caller);
        (measured.lost, measured.repeated) = (stream.lost + to_caller.lost, stream.repeated + to_caller.repeated);
        measured.broken = stream.broken;
        if let Some((from, to)) = note(&self.caller, ASKS).zip(self.hung_up()) {
            let heard: Vec<&RtpSeen> = self.caller.rtp_received.iter().filter(|seen| seen.at >= from && seen.at <= to).collect();
            measured.gaps = self.gaps(&heard, stalls);
            measured.silence = Some(silence(&heard, from, to));
        }
        measured
    }

    /// What kept the parties from coming to the end of what they do.
    pub(super) fn faults(&self) -> Vec<String> {
        let ae = Some(("AE", &self.ae)).filter(|_| self.kind != Kind::Voicemail);
        let again = self.ai_again.as_ref().map(|again| ("AI, called again", again));
        let parties = [("caller", &self.caller), ("AI", &self.ai)].into_iter().chain(ae).chain(again);
        let verdicts = parties.filter_map(|(who, record)| match &record.verdict {
            Some(Ok(())) => None,
            Some(Err(fault)) => Some(format!("transfer {}: {who}: {fault}", self.number)),
            None => Some(format!("transfer {}: {who}: never called", self.number)),
        });
        verdicts.collect()
    }

    fn hung_up(&self) -> Option<Mono> {
        self.caller.sip.iter().find(|seen| seen.sent && seen.title == "BYE").map(|seen| seen.at)
    }

    /// When the AE answered, and when they first heard something.
    fn briefing(&self) -> Option<(Mono, Mono)> {
        let answered = note(&self.ae, ANSWERS)?;
        let is_sound = |seen: &&RtpSeen| seen.at >= answered && seen.is_audio() && loudness_dbfs(&seen.samples()) > SILENCE_DBFS;
        Some((answered, self.ae.rtp_received.iter().find(is_sound)?.at))
    }

    /// The last packet of the AI that reached caller or AE, counted from the first one of the AE that reached the caller.
    fn ai_after(&self, bridged: Mono) -> Duration {
        let said: BTreeSet<&[u8]> = self.ai.rtp_sent.iter().filter(|seen| seen.is_audio()).map(RtpSeen::payload).collect();
        let heard = self.caller.rtp_received.iter().chain(&self.ae.rtp_received);
        let last = heard.filter(|seen| said.contains(seen.payload())).map(|seen| seen.at).max();
        last.map_or(Duration::ZERO, |last| last.since(bridged))
    }

    /// The longest times between two packets, by what the caller heard around them.
    fn gaps(&self, heard: &[&RtpSeen], stalls: &[Stall]) -> Gaps {
        let mut sent: BTreeMap<&[u8], (usize, Mono)> = BTreeMap::new();
        for (who, record) in [&self.ai, &self.ae].into_iter().enumerate() {
            sent.extend(record.rtp_sent.iter().map(|seen| (seen.payload(), (who, seen.at))));
        }
        let mut gaps = Gaps::default();
        for pair in heard.windows(2) {
            let gap = pair[1].at.since(pair[0].at);
            let (mut own, kind) = match (sent.get(pair[0].payload()), sent.get(pair[1].payload())) {
                (None, None) => (gap, &mut gaps.made),
                (Some((one, first)), Some((other, second))) if one == other => {
                    (gap.saturating_sub(second.since(*first).saturating_sub(PTIME)), &mut gaps.passed_on)
                }
                _ => (gap, &mut gaps.swapped),
            };
            *kind = (*kind).max(Some(gap));
            own = own.saturating_sub(stood_still(stalls, pair[0].at, pair[1].at));
            (gaps.own, gaps.worst) = (gaps.own.max(Some(own)), gaps.worst.max(Some(gap)));
        }
        gaps
    }
}

fn note(record: &Record, note: &str) -> Option<Mono> {
    record.notes.iter().find(|(_, own)| own == note).map(|(at, _)| *at)
}

/// The longest stretch without anything above silence.
fn silence(heard: &[&RtpSeen], from: Mono, to: Mono) -> Duration {
    let (mut longest, mut loud_until) = (Duration::ZERO, from);
    for packet in heard.iter().filter(|seen| seen.is_audio() && loudness_dbfs(&seen.samples()) >= SILENCE_DBFS) {
        longest = longest.max(packet.at.since(loud_until));
        loud_until = packet.at + PTIME;
    }
    longest.max(to.since(loud_until))
}

/// How the numbers of a stream run.
#[derive(Debug, Default, PartialEq, Eq)]
struct Stream {
    lost: usize,
    repeated: usize,
    broken: usize,
}

impl Stream {
    fn of(record: &Record) -> Stream {
        let mut stream = Stream::default();
        for pair in record.rtp_received.windows(2) {
            let [before, next] = [&pair[0], &pair[1]];
            let step = next.sequence.wrapping_sub(before.sequence) as i16;
            match step {
                1.. => stream.lost += usize::from(step.unsigned_abs()) - 1,
                _ => stream.repeated += 1,
            }
            let ahead = next.timestamp.wrapping_sub(before.timestamp);
            let follows = !(before.is_audio() && next.is_audio()) || ahead == FRAME.wrapping_mul(step as u32);
            if before.ssrc != next.ssrc || !follows {
                stream.broken += 1;
            }
        }
        stream
    }
}

#[cfg(test)]
mod tests {
    use baton_party::{Fault, SipSeen};
    use bytes::Bytes;

    use super::*;

    fn ms(millis: u64) -> Mono {
        Mono::from_millis(millis)
    }

    /// A packet whose payload is told by one byte; 0xff is digital silence.
    fn packet(at: Mono, number: u16, byte: u8) -> RtpSeen {
        let address = "127.0.0.1:4000".parse().unwrap();
        let bytes = Bytes::from(vec![byte; 160]);
        let timestamp = u32::from(number) * FRAME;
        RtpSeen {
            at,
            local: address,
            remote: address,
            bytes,
            sequence: number,
            timestamp,
            ssrc: 1,
            marker: false,
            payload_type: 0,
            payload_at: 0,
        }
    }

    fn message(at: u64, sent: bool, title: &str) -> SipSeen {
        let address = "127.0.0.1:5060".parse().unwrap();
        SipSeen { at: ms(at), sent, local: address, remote: address, bytes: Bytes::new(), title: title.to_owned(), again: false }
    }

    /// Asked at 1,000; INVITE at 1,003; answered at 1,300, key at 1,800; AE heard from 1,815 on, caller from 1,822 on; BYE at 2,000.
    /// The AI's payloads are below 40, the AE's from 40 on, the music is 60, the caller's 80.
    fn trial() -> Trial {
        let mut trial = Trial {
            number: 1,
            kind: Kind::Warm,
            call: None,
            in_flight: 20,
            caller: done(),
            ai: done(),
            ae: done(),
            ai_again: None,
        };
        let ai_talks = |n: u16| (ms(940 + 20 * u64::from(n)), n as u8 + 1);
        let caller_hears = |n: u16| match n {
            0..4 => ai_talks(n),
            4..44 => (ms(940 + 20 * u64::from(n)), 60),
            _ => (ms(1_815 + 20 * u64::from(n - 44)), 40 + (n - 44) as u8),
        };
        trial.ai.rtp_sent = (0..10).map(|n| packet(ai_talks(n).0, n, ai_talks(n).1)).collect();
        trial.caller.rtp_received = (0..53).map(|n| packet(caller_hears(n).0, n + 500, caller_hears(n).1)).collect();
        trial.ae.rtp_sent = (0..9).map(|n| packet(ms(1_815 + 20 * u64::from(n)), n, 40 + n as u8)).collect();
        trial.caller.rtp_sent = vec![packet(ms(1_821), 1, 80)];
        trial.ae.rtp_received = vec![packet(ms(1_305), 1, 0xff), packet(ms(1_325), 2, 61), packet(ms(1_822), 3, 80)];
        trial.caller.notes = vec![(ms(1_000), ASKS.to_owned())];
        trial.ae.notes = vec![(ms(1_300), ANSWERS.to_owned()), (ms(1_800), ACCEPTS.to_owned())];
        trial.ae.sip = vec![message(1_003, false, "INVITE")];
        trial.caller.sip = vec![message(2_000, true, "BYE")];
        trial
    }

    fn done() -> Record {
        Record { verdict: Some(Ok(())), ..Record::default() }
    }

    fn span(millis: u64) -> Option<Duration> {
        Some(Duration::from_millis(millis))
    }

    #[test]
    fn a_good_transfer_is_measured_from_what_the_parties_heard() {
        let request = Request { posted: Some(ms(1_000)), taken: Some(ms(1_001)) };
        let expected = Measured {
            faults: Vec::new(),
            in_flight: 20,
            decision: span(2),
            decision_own: span(2),
            post: span(3),
            briefing: span(25),
            briefing_own: span(25),
            bridge: span(22),
            gaps: Gaps { worst: span(20), made: span(20), passed_on: span(20), swapped: span(20), own: span(20) },
            lost: 0,
            repeated: 0,
            broken: 0,
            ai_after: span(0),
            silence: span(5),
        };
        assert_eq!(trial().measure(request, &[]), expected);
    }

    #[test]
    fn a_lost_a_repeated_and_a_jumping_packet_are_each_counted() {
        let mut lost = trial();
        lost.caller.rtp_received.remove(20);
        let measured = lost.measure(Request::default(), &[]);
        assert_eq!((measured.lost, measured.repeated, measured.broken, measured.gaps.made), (1, 0, 0, span(40)));
        let mut repeated = trial();
        let again = repeated.caller.rtp_received[20].clone();
        repeated.caller.rtp_received.insert(21, again);
        let measured = repeated.measure(Request::default(), &[]);
        assert_eq!((measured.lost, measured.repeated, measured.broken), (0, 1, 0));
        let mut jumps = trial();
        jumps.caller.rtp_received.iter_mut().skip(20).for_each(|packet| packet.timestamp += 7);
        assert_eq!(jumps.measure(Request::default(), &[]).broken, 1);
        let mut stranger = trial();
        stranger.caller.rtp_received.iter_mut().skip(20).for_each(|packet| packet.ssrc = 2);
        assert_eq!(stranger.measure(Request::default(), &[]).broken, 1);
    }

    #[test]
    fn a_packet_of_the_ae_that_never_came_is_lost_though_the_numbers_run_on() {
        let mut trial = trial();
        trial.caller.rtp_received.remove(48);
        for (place, packet) in trial.caller.rtp_received.iter_mut().enumerate() {
            (packet.sequence, packet.timestamp) = (500 + place as u16, (500 + place as u32) * FRAME);
        }
        let measured = trial.measure(Request::default(), &[]);
        assert_eq!((measured.lost, measured.repeated, measured.broken), (1, 0, 0));
    }

    #[test]
    fn an_ai_that_is_heard_after_the_bridge_is_found_at_either_end() {
        let mut lingers = trial();
        lingers.caller.rtp_received.push(packet(ms(1_985), 553, 9));
        assert_eq!(lingers.measure(Request::default(), &[]).ai_after, span(170));
        let mut leaks = trial();
        leaks.ae.rtp_received.push(packet(ms(1_900), 4, 9));
        assert_eq!(leaks.measure(Request::default(), &[]).ai_after, span(85));
    }

    #[test]
    fn silence_counts_whether_it_is_sent_or_nothing_is() {
        let mut silent = trial();
        silent.caller.rtp_received[10..30].iter_mut().for_each(|packet| packet.bytes = Bytes::from(vec![0xff; 160]));
        let measured = silent.measure(Request::default(), &[]).silence.unwrap();
        assert!(measured >= Duration::from_millis(400) && measured <= Duration::from_millis(420), "{measured:?}");
        let mut nothing = trial();
        nothing.caller.rtp_received.truncate(10);
        assert!(nothing.measure(Request::default(), &[]).silence.unwrap() > Duration::from_millis(800));
    }

    #[test]
    fn a_party_of_ours_that_sends_late_is_told_apart() {
        let mut late = trial();
        for packets in [&mut late.ae.rtp_sent[5..], &mut late.caller.rtp_received[49..]] {
            packets.iter_mut().for_each(|packet| packet.at = packet.at + Duration::from_millis(9));
        }
        let measured = late.measure(Request::default(), &[]);
        assert_eq!((measured.gaps.worst, measured.gaps.passed_on, measured.gaps.own), (span(29), span(29), span(20)));
    }

    #[test]
    fn a_machine_that_stands_still_is_told_apart() {
        let mut still = trial();
        still.caller.rtp_received[20..].iter_mut().for_each(|packet| packet.at = packet.at + Duration::from_millis(8));
        let moment =
            Stall { due: still.caller.rtp_received[19].at + Duration::from_millis(15), was: still.caller.rtp_received[20].at };
        let measured = still.measure(Request::default(), &[moment]);
        assert_eq!((measured.gaps.worst, measured.gaps.own), (span(28), span(20)));
        let moments = [Stall { due: ms(1_002), was: ms(1_009) }, Stall { due: ms(1_310), was: ms(1_316) }];
        let request = Request { posted: None, taken: Some(ms(1_001)) };
        let measured = trial().measure(request, &moments);
        assert_eq!((measured.decision, measured.decision_own), (span(2), span(1)));
        assert_eq!((measured.briefing, measured.briefing_own), (span(25), span(19)));
    }

    #[test]
    fn a_transfer_that_did_not_come_through_says_why_and_measures_nothing_that_did_not_happen() {
        let why = Fault { step: 2, what: "Answer".to_owned(), at_ms: 7, why: "no".to_owned() };
        let failed = Record { verdict: Some(Err(why)), ..Record::default() };
        let (ai, ae) = (done(), Record::default());
        let trial = Trial { number: 3, kind: Kind::Warm, call: None, in_flight: 1, caller: failed, ai, ae, ai_again: None };
        let measured = trial.measure(Request::default(), &[]);
        assert_eq!(measured.faults, ["transfer 3: caller: step 2 (Answer) at 7 ms: no", "transfer 3: AE: never called"]);
        assert_eq!((measured.bridge, measured.gaps, measured.briefing), (None, Gaps::default(), None));
    }
}
