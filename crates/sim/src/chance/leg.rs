//! One dialog of a phone in a random world: what a sound phone sends by itself, and what it must not be sent.

use std::net::SocketAddr;
use std::time::Duration;

use baton_contract::CallId;
use baton_time::Mono;
use bytes::Bytes;

use super::plan::Who;
use super::wire::{Ask, Seen, Talk, response, sdp};

/// T1 and T2 of RFC 3261 §17, and 64 times T1.
const T1: Duration = Duration::from_millis(500);
const T2: Duration = Duration::from_secs(4);
const PATIENCE: Duration = Duration::from_secs(32);

/// How far a dialog has come, as its phone sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// It has sent an INVITE.
    Calling,
    /// It has sent a CANCEL, or will when it hears of its INVITE.
    Cancelling,
    /// An INVITE is on its way to it.
    Coming,
    /// It has got an INVITE.
    Called,
    /// It has answered, and waits for the ACK.
    Answered,
    Up,
    /// It has refused or hung up, or the far side has.
    Over,
}

/// Something that is sent until it is answered.
#[derive(Debug, Clone)]
pub(super) struct Pending {
    pub(super) method: &'static str,
    pub(super) seq: u32,
    pub(super) branch: u64,
    bytes: Bytes,
    at: Mono,
    span: Duration,
    until: Mono,
}

/// What has happened on a leg, by the time at which Baton knew or did it.
#[derive(Debug, Clone, Default)]
pub(super) struct Facts {
    pub(super) invited: Option<Mono>,
    /// Copies of the INVITE that left.
    pub(super) invites: u32,
    pub(super) provisional: Option<Mono>,
    pub(super) rang: Option<Mono>,
    pub(super) answered: Option<Mono>,
    pub(super) refused: Option<(u16, Mono)>,
    pub(super) bye_in: Option<Mono>,
    pub(super) cancel_out: Option<Mono>,
    pub(super) bye_out: Option<Mono>,
    /// The AE has accepted: a key, an order, or an answer where that is enough.
    pub(super) accepts: Option<Mono>,
    pub(super) declines: Option<Mono>,
    /// The ACK of Baton's own answer has come.
    pub(super) acked: Option<Mono>,
    /// Its attempt has been told as failed.
    pub(super) given_up: bool,
    /// It has taken a REFER.
    pub(super) referred: bool,
    /// The REFER that it has taken has come about, as it tells.
    pub(super) passed_on: bool,
    /// Baton has refreshed its session, or changed it.
    pub(super) refreshed: bool,
    /// The INVITE of this phone has come to Baton.
    pub(super) came: Option<Mono>,
    /// What was sent last to the INVITE of this leg, and when.
    pub(super) said: Option<(u16, Mono)>,
}

impl Facts {
    /// Whether it was so before this instant: what is done in one step has no order that anybody sees.
    pub(super) fn was_closed(&self, now: Mono) -> bool {
        let refused = self.refused.map(|(_, at)| at);
        [refused, self.bye_in, self.cancel_out, self.bye_out].into_iter().flatten().any(|at| at < now)
    }

    /// Whether Baton has let go of this leg, or been left by it.
    pub(super) fn is_closed(&self) -> bool {
        self.refused.is_some() || self.bye_in.is_some() || self.cancel_out.is_some() || self.bye_out.is_some()
    }
}

/// A dialog.
#[derive(Debug, Clone)]
pub(super) struct Leg {
    pub(super) who: Who,
    pub(super) own: SocketAddr,
    pub(super) phase: Phase,
    pub(super) call_id: String,
    /// Our From or To value with its tag, as it stands in our requests.
    local: String,
    pub(super) tag: String,
    pub(super) remote: String,
    pub(super) remote_tag: Option<String>,
    pub(super) target: String,
    seq: u32,
    remote_seq: Option<u32>,
    /// The INVITE that was got, as it came.
    invite: Bytes,
    /// CSeq and branch of the INVITE that was got.
    invited_by: (u32, String),
    /// Branch and CSeq of the INVITE that was sent.
    own_invite: (u64, u32),
    final_status: Option<u16>,
    /// Our final answer until its ACK comes.
    unacked: Option<(Bytes, Mono, Duration, Mono, u32)>,
    served: Vec<(String, Bytes)>,
    /// CSeq numbers of our INVITEs that made an offer.
    offered: Vec<u32>,
    pub(super) pending: Vec<Pending>,
    sdp_version: u32,
    pub(super) talk: Talk,
    /// How it was before the offer that is under way.
    agreed: Talk,
    pub(super) muted: bool,
    /// Which of Baton's ports it sends to.
    pub(super) port: u16,
    pub(super) call: Option<CallId>,
    /// It is an AI that is called once more, in the middle of a call.
    pub(super) is_recalled: bool,
    pub(super) facts: Facts,
    pub(super) refer: Refer,
    /// Requests that a sound peer refuses, by their branches.
    pub(super) wrong: Vec<u64>,
    /// The highest number of its requests that has come to Baton.
    heard: u32,
    /// What was sent to its end without an answer, or an ACK.
    pub(super) unheeded: Option<&'static str>,
    /// A final answer had to be sent again.
    pub(super) is_overdue: bool,
    repeated: u32,
    /// What its requests were answered with finally, by their branches.
    answers: Vec<(u64, u16)>,
    /// What it says to a REFER; 0: nothing.
    pub(super) refer_status: u16,
}

/// What has become of the REFER of a leg.
#[derive(Debug, Clone, Default)]
pub(super) struct Refer {
    pub(super) accepted: Option<Mono>,
    pub(super) last: Option<u16>,
    pub(super) count: u32,
    pub(super) asked: u32,
    pub(super) lasts: u32,
}

/// What comes of a message.
#[derive(Debug, Default)]
pub(super) struct Turn {
    pub(super) out: Vec<Bytes>,
    /// Something that must not be.
    pub(super) fault: Option<String>,
    /// What must not be, unless a datagram has overtaken another.
    pub(super) overtaken: Option<String>,
    pub(super) invited: bool,
    pub(super) up: bool,
    pub(super) glare: bool,
    /// A REFER has come, and is taken.
    pub(super) referred: bool,
}

impl Leg {
    fn blank(who: Who, own: SocketAddr) -> Leg {
        Leg {
            who,
            own,
            phase: Phase::Over,
            call_id: String::new(),
            local: String::new(),
            tag: format!("t{}x{}", who.phone, who.nth),
            remote: String::new(),
            remote_tag: None,
            target: String::new(),
            seq: 1,
            remote_seq: None,
            invite: Bytes::new(),
            invited_by: (0, String::new()),
            own_invite: (0, 0),
            final_status: None,
            unacked: None,
            served: Vec::new(),
            offered: Vec::new(),
            pending: Vec::new(),
            sdp_version: 1,
            talk: Talk::Both,
            agreed: Talk::Both,
            muted: false,
            port: 0,
            call: None,
            is_recalled: false,
            facts: Facts::default(),
            refer: Refer::default(),
            wrong: Vec::new(),
            heard: 0,
            unheeded: None,
            is_overdue: false,
            repeated: 0,
            answers: Vec::new(),
            refer_status: 202,
        }
    }

    /// A call that a phone makes.
    ///
    /// `says` has whether it makes an offer, and further headers.
    pub(super) fn calling(now: Mono, who: Who, own: SocketAddr, user: &str, branch: u64, says: (bool, &str)) -> (Leg, Bytes) {
        let (offer, headers) = says;
        let mut leg = Leg::blank(who, own);
        leg.phase = Phase::Calling;
        leg.call_id = format!("sim-{}-{}@{own}", who.phone, who.nth);
        leg.local = format!("<sip:{user}@{}>;tag={}", own.ip(), leg.tag);
        leg.target = super::wire::baton_uri("+15550100");
        leg.remote = format!("<{}>", leg.target);
        let body = if offer { sdp(own, 1, Talk::Both) } else { String::new() };
        leg.own_invite = (branch, 1);
        let bytes = leg.send(now, "INVITE", branch, headers, &body);
        (leg, bytes)
    }

    /// A call that has come to a phone.
    pub(super) fn called(who: Who, own: SocketAddr, seen: &Seen<'_>, bytes: &Bytes) -> Leg {
        let mut leg = Leg::blank(who, own);
        leg.phase = Phase::Coming;
        leg.call_id = seen.call_id.to_owned();
        leg.local = format!("{};tag={}", seen.to, leg.tag);
        leg.remote = seen.from.to_owned();
        leg.remote_tag = seen.tag_of_from().map(str::to_owned);
        leg.target = seen.target().to_owned();
        leg.remote_seq = Some(seen.seq());
        leg.invite = bytes.clone();
        leg.invited_by = (seen.seq(), seen.branch().unwrap_or_default().to_owned());
        leg.port = seen.port().unwrap_or(0);
        leg.call = seen.call.parse().ok();
        leg.is_recalled = !seen.resume.is_empty();
        leg
    }

    /// Whether RTP comes from this leg.
    pub(super) fn sends_sound(&self) -> bool {
        matches!(self.phase, Phase::Answered | Phase::Up) && !self.muted && matches!(self.talk, Talk::Both | Talk::SendOnly)
    }

    /// A request of ours, sent until it is answered.
    pub(super) fn send(&mut self, now: Mono, method: &'static str, branch: u64, extra: &str, body: &str) -> Bytes {
        self.refer.asked += u32::from(method == "REFER");
        if method != "INVITE" || self.phase == Phase::Up {
            self.seq += 1;
        }
        let bytes = self.ask(method, branch, self.seq, extra, body);
        if method == "INVITE" && !body.is_empty() {
            self.offered.push(self.seq);
        }
        self.pending.push(Pending {
            method,
            seq: self.seq,
            branch,
            bytes: bytes.clone(),
            at: now + T1,
            span: T1,
            until: now + PATIENCE,
        });
        bytes
    }

    pub(super) fn ask(&self, method: &'static str, branch: u64, seq: u32, extra: &str, body: &str) -> Bytes {
        let Leg { own, call_id, local, remote, target, .. } = self;
        Ask { method, uri: target, own: *own, branch, from: local, to: remote, call_id, seq, extra, body }.bytes()
    }

    /// Whether a response is to the INVITE that began this leg.
    pub(super) fn is_first_invite(&self, seen: &Seen<'_>) -> bool {
        let (seq, branch) = &self.invited_by;
        *seq == seen.seq() && Some(branch.as_str()) == seen.branch()
    }

    /// Whether this is the INVITE by which this phone has begun the call.
    pub(super) fn is_own_invite(&self, seen: &Seen<'_>) -> bool {
        let (branch, seq) = self.own_invite;
        seen.method == "INVITE" && !self.is_dialled() && seen.seq() == seq && branch_of(seen) == Some(branch)
    }

    /// Whether it was dialled, and has sent a re-INVITE.
    pub(super) fn has_offered_anew(&self) -> bool {
        self.is_dialled() && self.sdp_version > 1
    }

    /// Whether Baton has dialled it.
    pub(super) fn is_dialled(&self) -> bool {
        !self.invite.is_empty()
    }

    /// Whether its phone has not heard of it yet.
    pub(super) fn is_unheard(&self) -> bool {
        self.phase == Phase::Coming
    }

    /// Leaves numbers out, as a peer may (RFC 3261 §12.2.2).
    pub(super) fn skip_seq(&mut self, by: u32) {
        self.seq += by;
    }

    /// A BYE of somebody who knows the Call-ID and not the tags.
    pub(super) fn with_wrong_tag(&self, branch: u64) -> Option<Bytes> {
        let mut other = self.clone();
        other.local = other.local.replace("tag=", "tag=x");
        Some(other.ask("BYE", branch, self.seq + 1, "", ""))
    }

    /// A request of this dialog comes to Baton; says whether its number rises, as far as Baton can know. One that does not is refused, but one
    /// that was to have been refused and whose predecessor is lost is as good as any.
    pub(super) fn is_heard_in_turn(&mut self, seen: &Seen<'_>) -> bool {
        let rises = seen.seq() > self.heard;
        self.heard = self.heard.max(seen.seq());
        let branch = branch_of(seen).filter(|_| rises);
        self.wrong.retain(|wrong| Some(*wrong) != branch);
        rises
    }

    pub(super) fn last_seq(&self) -> u32 {
        self.seq
    }

    /// A response to the INVITE; the final ones are sent until their ACK comes.
    pub(super) fn respond(&mut self, now: Mono, status: u16, talk: Talk) -> Option<Bytes> {
        if self.phase != Phase::Called {
            return None;
        }
        let invite = self.invite.clone();
        let seen = Seen::read(&invite).ok()?;
        let body = if status == 200 && talk != Talk::Missing { sdp(self.own, self.sdp_version, talk) } else { String::new() };
        let bytes = response(&seen, status, &self.tag, self.own, &body, "");
        if status >= 200 {
            self.phase = if status < 300 { Phase::Answered } else { Phase::Over };
            (self.talk, self.agreed) = (talk, talk);
            self.final_status = Some(status);
            self.unacked = Some((bytes.clone(), now + T1, T1, now + PATIENCE, seen.seq()));
        }
        self.keep(&seen, &bytes);
        Some(bytes)
    }

    /// Another 200, or a 180 after it: responses to the INVITE that change nothing here.
    pub(super) fn stray(&self, status: u16, tag: &str) -> Option<Bytes> {
        let seen = Seen::read(&self.invite).ok()?;
        let body = if status == 200 { sdp(self.own, 1, Talk::Both) } else { String::new() };
        Some(response(&seen, status, tag, self.own, &body, ""))
    }

    fn keep(&mut self, seen: &Seen<'_>, bytes: &Bytes) {
        let key = served_key(seen);
        match self.served.iter_mut().find(|(known, _)| *known == key) {
            Some((_, kept)) => *kept = bytes.clone(),
            None => self.served.push((key, bytes.clone())),
        }
    }

    /// Hangs up, in whatever state it is.
    pub(super) fn hang_up(&mut self, now: Mono, branch: u64) -> Option<Bytes> {
        match self.phase {
            Phase::Calling => {
                self.phase = Phase::Cancelling;
                self.is_heard().then(|| self.cancel(now))
            }
            Phase::Called => self.respond(now, 480, Talk::Both),
            Phase::Answered | Phase::Up => {
                let bytes = self.send(now, "BYE", branch, "", "");
                self.phase = Phase::Over;
                self.unacked = None;
                self.pending.retain(|pending| pending.method == "BYE");
                Some(bytes)
            }
            Phase::Coming | Phase::Cancelling | Phase::Over => None,
        }
    }

    /// Whether our INVITE has got a provisional response: it is not sent again, but still pending.
    fn is_heard(&self) -> bool {
        self.pending.iter().any(|pending| pending.method == "INVITE" && pending.at >= pending.until)
    }

    fn cancel(&mut self, now: Mono) -> Bytes {
        let (branch, seq) = self.own_invite;
        let bytes = self.ask("CANCEL", branch, seq, "", "");
        self.pending.push(Pending {
            method: "CANCEL",
            seq,
            branch,
            bytes: bytes.clone(),
            at: now + T1,
            span: T1,
            until: now + PATIENCE,
        });
        bytes
    }

    /// A new offer in a dialog that is up.
    pub(super) fn offer(&mut self, now: Mono, branch: u64, talk: Talk) -> Option<Bytes> {
        if self.phase != Phase::Up || self.pending.iter().any(|pending| pending.method == "INVITE") {
            return None;
        }
        self.sdp_version += 1;
        // An INVITE that does not speak of a session timer ends the one that there was (RFC 4028 §7.4).
        self.facts.refreshed = true;
        let body = if talk == Talk::Missing { String::new() } else { sdp(self.own, self.sdp_version, talk) };
        if !matches!(talk, Talk::Missing | Talk::StrangeCodec) {
            self.talk = talk;
        }
        Some(self.send(now, "INVITE", branch, "", &body))
    }

    /// When something is to be sent again.
    pub(super) fn next_at(&self) -> Option<Mono> {
        let unacked = self.unacked.as_ref().map(|(_, at, ..)| *at);
        let pending = self.pending.iter().map(|pending| pending.at.min(pending.until)).min();
        unacked.into_iter().chain(pending).min()
    }

    /// Sends again what has not been answered.
    pub(super) fn wake(&mut self, now: Mono) -> Vec<Bytes> {
        let mut out = Vec::new();
        if let Some((bytes, at, span, until, _)) = &mut self.unacked
            && *at <= now
        {
            out.push(bytes.clone());
            self.is_overdue = true;
            *span = (*span * 2).min(T2);
            *at = *at + *span;
            if *at >= *until {
                self.unacked = None;
                self.unheeded = Some("a final answer never got its ACK");
            }
        }
        for pending in self.pending.iter_mut().filter(|pending| pending.at <= now && pending.at < pending.until) {
            out.push(pending.bytes.clone());
            pending.span = if pending.method == "INVITE" { pending.span * 2 } else { (pending.span * 2).min(T2) };
            pending.at = (pending.at + pending.span).min(pending.until);
        }
        let gone = self.pending.iter().any(|pending| pending.until <= now);
        if gone {
            self.unheeded = Some("a request was never answered");
        }
        self.pending.retain(|pending| pending.until > now);
        if gone && matches!(self.phase, Phase::Calling | Phase::Cancelling) {
            self.phase = Phase::Over;
        }
        out
    }

    /// Takes a message of Baton.
    pub(super) fn take(&mut self, now: Mono, seen: &Seen<'_>, branch: u64) -> Turn {
        let mut turn = Turn::default();
        if seen.is_request() {
            self.request(now, seen, &mut turn)
        } else {
            self.response(now, seen, branch, &mut turn)
        }
        turn
    }

    fn request(&mut self, now: Mono, seen: &Seen<'_>, turn: &mut Turn) {
        let key = served_key(seen);
        if seen.method == "ACK" {
            return self.acked(seen, turn);
        }
        // Our answer has not come to it, and it knows of no dialog.
        let is_early = matches!(self.phase, Phase::Calling | Phase::Cancelling) && matches!(seen.method, "REFER" | "MESSAGE");
        if is_early || seen.method == "REFER" && self.refer_status == 0 {
            return;
        }
        if let Some((_, kept)) = self.served.iter().find(|(known, _)| *known == key) {
            turn.out.push(kept.clone());
            return;
        }
        if seen.method == "CANCEL" {
            return self.cancelled(now, seen, turn);
        }
        if !self.belongs(seen, turn) {
            return;
        }
        let reply = match seen.method {
            "INVITE" if seen.tag_of_to().is_none() => {
                turn.invited = true;
                self.phase = Phase::Called;
                response(seen, 100, &self.tag, self.own, "", "")
            }
            // What tells of a REFER outlives the call (RFC 5057 §3).
            "NOTIFY" if self.phase == Phase::Over && self.refer.accepted.is_some() && self.refer.lasts < self.refer.asked => {
                self.notified(seen, turn);
                response(seen, 200, &self.tag, self.own, "", "")
            }
            _ if self.phase == Phase::Over => response(seen, 481, &self.tag, self.own, "", ""),
            "INVITE" if self.pending.iter().any(|pending| pending.method == "INVITE") => {
                turn.glare = true;
                response(seen, 491, &self.tag, self.own, "", "")
            }
            "INVITE" => {
                self.facts.refreshed = true;
                let body = sdp(self.own, self.sdp_version, self.talk);
                let bytes = response(seen, 200, &self.tag, self.own, &body, "");
                self.unacked = Some((bytes.clone(), now + T1, T1, now + PATIENCE, seen.seq()));
                bytes
            }
            "BYE" => {
                self.phase = Phase::Over;
                self.unacked = None;
                self.pending.retain(|pending| pending.method == "BYE");
                response(seen, 200, &self.tag, self.own, "", "")
            }
            "NOTIFY" => {
                self.notified(seen, turn);
                response(seen, 200, &self.tag, self.own, "", "")
            }
            "REFER" => {
                turn.referred = self.refer_status < 300;
                self.facts.referred |= turn.referred;
                response(seen, self.refer_status, &self.tag, self.own, "", "")
            }
            method => {
                self.facts.refreshed |= method == "UPDATE";
                response(seen, 200, &self.tag, self.own, "", "")
            }
        };
        self.keep(seen, &reply);
        turn.out.push(reply);
    }

    fn cancelled(&mut self, now: Mono, seen: &Seen<'_>, turn: &mut Turn) {
        if Some(self.invited_by.1.as_str()) != seen.branch() {
            turn.fault = Some("a CANCEL has not the branch of its INVITE".to_owned());
        }
        turn.out.push(response(seen, 200, &self.tag, self.own, "", ""));
        turn.out.extend(self.respond(now, 487, Talk::Both));
    }

    /// Whether a request is one that begins this dialog, or one of it whose turn it is; any other is answered here.
    fn belongs(&mut self, seen: &Seen<'_>, turn: &mut Turn) -> bool {
        if seen.tag_of_to() == Some(self.tag.as_str()) {
            if self.remote_seq.is_some_and(|last| seen.seq() <= last) {
                turn.overtaken = Some(format!("CSeq does not rise: {} behind {:?} (I10)", seen.cseq, self.remote_seq));
                turn.out.push(response(seen, 500, &self.tag, self.own, "", ""));
                return false;
            }
            if self.remote_tag.as_deref() != seen.tag_of_from() {
                turn.fault = Some(format!("{} comes with From tag {:?}", seen.method, seen.tag_of_from()));
            }
            if !seen.uri.contains(&self.own.to_string()) {
                turn.fault = Some(format!("{} goes to {} and not to our Contact", seen.method, seen.uri));
            }
            self.remote_seq = Some(seen.seq());
            return true;
        }
        if seen.tag_of_to().is_none() {
            return true;
        }
        turn.out.push(response(seen, 481, &self.tag, self.own, "", ""));
        // A fork of this phone is ended by its own tag; anything else is no dialog of ours.
        if seen.method != "BYE" || seen.tag_of_to() != Some("fork") {
            turn.fault = Some(format!("{} comes with To tag {:?}", seen.method, seen.tag_of_to()));
        }
        false
    }

    fn notified(&mut self, seen: &Seen<'_>, turn: &mut Turn) {
        let status =
            seen.body.strip_prefix("SIP/2.0 ").and_then(|rest| rest.get(..3)).and_then(|status| status.parse::<u16>().ok());
        match status {
            Some(status) if seen.subscription.starts_with("terminated") => {
                self.refer.lasts += 1;
                if self.refer.lasts > self.refer.asked {
                    turn.fault = Some("more last NOTIFYs than REFERs".to_owned());
                }
                if status < 200 {
                    turn.fault = Some(format!("the last NOTIFY says {status}"));
                }
                self.refer.last = Some(status);
            }
            Some(status) if status >= 200 => turn.fault = Some(format!("a NOTIFY says {status} and is not the last")),
            Some(_) => {}
            None => turn.fault = Some("a NOTIFY without a sipfrag".to_owned()),
        }
        self.refer.count += 1;
    }

    fn acked(&mut self, seen: &Seen<'_>, turn: &mut Turn) {
        match &self.unacked {
            Some((.., seq)) if *seq == seen.seq() => self.unacked = None,
            Some(_) | None if self.final_status.is_some() || self.phase == Phase::Up || self.phase == Phase::Over => {}
            Some(_) | None => turn.fault = Some(format!("an ACK with CSeq {} for nothing", seen.cseq)),
        }
        if self.phase == Phase::Answered {
            self.phase = Phase::Up;
            turn.up = true;
        }
    }

    fn response(&mut self, now: Mono, seen: &Seen<'_>, fresh: u64, turn: &mut Turn) {
        let Some(branch) = branch_of(seen) else {
            turn.fault = Some(format!("{} with a branch that is not ours", seen.title()));
            return;
        };
        let is_first_invite = (branch, seen.seq()) == self.own_invite && seen.cseq_method() == "INVITE";
        let at = self.pending.iter().position(|pending| pending.branch == branch && pending.method == seen.cseq_method());
        if seen.status < 300 && self.wrong.contains(&branch) {
            turn.fault = Some(format!("{} to a request that must be refused", seen.title()));
        }
        if seen.status < 200 {
            if let Some(at) = at {
                if seen.status > 100 && seen.tag_of_to().is_none() {
                    turn.fault = Some(format!("{} without To tag", seen.title()));
                }
                let pending = &mut self.pending[at];
                if seen.cseq_method() == "INVITE" {
                    pending.at = pending.until + Duration::from_secs(600);
                    pending.until = pending.at;
                }
                if self.phase == Phase::Cancelling && !self.pending.iter().any(|pending| pending.method == "CANCEL") {
                    let bytes = self.cancel(now);
                    turn.out.push(bytes);
                }
            }
            return;
        }
        if seen.tag_of_to().is_none() && seen.cseq_method() != "CANCEL" {
            turn.fault = Some(format!("{} without To tag", seen.title()));
        }
        let asked = at.map(|at| self.pending.remove(at));
        if !matches!(seen.cseq_method(), "INVITE" | "CANCEL") {
            let known = self.answers.iter().find(|(known, _)| *known == branch).map(|(_, status)| *status);
            if let Some(status) = known.filter(|status| *status != seen.status) {
                turn.fault = Some(format!("{} where it was answered with {status} before (RFC 3261 §17.2.2)", seen.title()));
            }
            self.answers.push((branch, seen.status));
        }
        if seen.cseq_method() == "INVITE" {
            self.answer_of_invite(now, seen, (fresh, branch, is_first_invite), asked.is_some(), turn);
        } else if seen.cseq_method() == "REFER" && asked.is_some() && seen.status < 300 {
            self.refer.accepted = Some(now);
        }
        if asked.is_some_and(|asked| asked.seq != seen.seq()) {
            turn.fault = Some(format!("{} has CSeq {}", seen.title(), seen.cseq));
        }
    }

    fn answer_of_invite(&mut self, now: Mono, seen: &Seen<'_>, names: (u64, u64, bool), is_new: bool, turn: &mut Turn) {
        let (fresh, branch, is_first) = names;
        if is_first {
            if self.final_status.is_some_and(|status| status != seen.status) {
                turn.fault = Some(format!("an INVITE gets {} after {:?}", seen.status, self.final_status));
            }
            self.final_status = Some(seen.status);
            self.repeated += u32::from(!is_new);
            if self.repeated > 2 {
                turn.overtaken = Some(format!("{} comes again and again, acknowledged as it is", seen.title()));
            }
        }
        turn.glare |= seen.status == 491 && is_new;
        if seen.status >= 300 {
            turn.out.push(self.ask("ACK", branch, seen.seq(), "", ""));
            if is_first {
                self.phase = Phase::Over;
            } else if is_new {
                self.talk = self.agreed; // The session goes on as it was (RFC 3261 §14.1).
            }
            return;
        }
        if is_new {
            self.agreed = self.talk;
        }
        if is_first && is_new {
            if seen.contact.is_empty() || seen.port().is_none() {
                turn.fault = Some("a 200 to an INVITE without Contact or SDP".to_owned());
            }
            self.remote_tag = seen.tag_of_to().map(str::to_owned);
            self.remote = seen.to.to_owned();
            self.target = seen.target().to_owned();
            self.port = seen.port().unwrap_or(0);
        }
        let body = self.late_answer(seen);
        turn.out.push(self.ask("ACK", fresh, seen.seq(), "", &body));
        match self.phase {
            Phase::Calling => {
                self.phase = Phase::Up;
                turn.up = true;
            }
            Phase::Cancelling => {
                let bytes = self.send(now, "BYE", fresh + 1, "", "");
                self.phase = Phase::Over;
                turn.out.push(bytes);
            }
            Phase::Coming | Phase::Called | Phase::Answered | Phase::Up | Phase::Over => {}
        }
    }

    /// The answer in the ACK where the 200 made the offer: our offers are numbered, theirs comes to an INVITE without one.
    fn late_answer(&self, seen: &Seen<'_>) -> String {
        let offered = self.offered.contains(&seen.seq());
        if offered { String::new() } else { sdp(self.own, self.sdp_version, self.talk) }
    }
}

/// The number in a branch of ours.
fn branch_of(seen: &Seen<'_>) -> Option<u64> {
    u64::from_str_radix(seen.branch()?.get(7..)?, 16).ok()
}

/// How a request is known again.
fn served_key(seen: &Seen<'_>) -> String {
    format!("{}{}", seen.method, seen.branch().unwrap_or_default())
}
