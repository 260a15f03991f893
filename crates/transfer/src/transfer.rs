//! The state machine of one transfer: told what happens, it answers with what is to be done.

#[allow(unreachable_patterns, reason = "`any_event!` names those, too, that a state has dealt with")]
mod attempt;
#[allow(unreachable_patterns, reason = "`any_event!` names those, too, that a state has dealt with")]
mod bridge;
mod case;
#[allow(unreachable_patterns, reason = "`any_event!` names those, too, that a state has dealt with")]
mod cold;
#[allow(unreachable_patterns, reason = "`any_event!` names those, too, that a state has dealt with")]
mod dialling;
#[allow(unreachable_patterns, reason = "`any_event!` names those, too, that a state has dealt with")]
mod ending;
#[allow(unreachable_patterns, reason = "`any_event!` names those, too, that a state has dealt with")]
mod handing;
#[allow(unreachable_patterns, reason = "`any_event!` names those, too, that a state has dealt with")]
mod introducing;
#[allow(unreachable_patterns, reason = "`any_event!` names those, too, that a state has dealt with")]
mod listening;
#[allow(unreachable_patterns, reason = "`any_event!` names those, too, that a state has dealt with")]
mod message;
#[allow(unreachable_patterns, reason = "`any_event!` names those, too, that a state has dealt with")]
mod offer;
mod seeded;
mod state;
mod taking_over;
mod wording;

#[cfg(test)]
mod desk;
#[cfg(test)]
mod modes;
#[cfg(test)]
mod plays;
#[cfg(test)]
mod table;
#[cfg(test)]
mod walks;

use baton_contract::{
    CallId, CommitLevel, Context, Driver, EventKind, IdSource, LegId, Mode, Outcome, Record, Slot, TransferId, TransferState,
    TransferView,
};
use baton_time::{Deadline, Mono, Now};
use serde_json::json;

use self::attempt::earlier;
use self::case::{Case, Rendering, Turn};
use self::state::{
    Ignored, State, Step, of_speech, of_the_ae, of_the_bridge, of_the_human, of_the_invite, of_the_offer, of_the_recall,
    of_the_recording, of_the_refer, of_the_store,
};
pub use self::taking_over::TakeOver;
use crate::plan::Plan;
use crate::{Action, ColdBy, Event, Fact, Line, Options, Roster, SceneName, Settings, Target, Why};
use serde::{Deserialize, Serialize};

/// What a transfer begins with.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Begin {
    /// Its id.
    pub id: TransferId,
    /// The call that it belongs to.
    pub call: CallId,
    /// Its kind.
    pub mode: Mode,
    /// What it does otherwise than the settings say, resolved: [`Settings::options`] where nobody asked for anything.
    pub options: Options,
    /// How it is made if it is a cold one.
    pub cold_by: ColdBy,
    /// Whom it is to reach.
    pub target: Target,
    /// Why it was asked for.
    pub reason: Option<String>,
    /// What is known about the caller.
    pub context: Context,
    /// The caller's number or URI: where a callback would go.
    pub from: String,
    /// The words with which the AE is to be briefed; absent: composed from the context.
    pub briefing: Option<String>,
    /// How fast the voice speaks.
    pub words_per_second: f64,
    /// Whether the AI leg is up.
    pub ai_up: bool,
}

/// One transfer. What it holds in common is in `Case`, where it stands in `State`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Transfer {
    case: Case,
    state: State,
}

impl Transfer {
    /// Begins a transfer; its first actions are waiting, the commit of the request before all others.
    pub fn begin(now: Now, begin: Begin, settings: &Settings, roster: &mut Roster, ids: &mut IdSource) -> Transfer {
        let plan = Plan::new(roster, &begin.target, &begin.context);
        let mut case = Case::new(now, begin, plan, settings, ids);
        let mut turn = Turn { now, case: &mut case, settings, roster };
        let state = open(&mut turn);
        Transfer { case, state }
    }

    /// Takes in what has happened. What does not fit changes nothing; then the answer says why, for a log.
    pub fn on(&mut self, now: Now, event: Event, settings: &Settings, roster: &mut Roster) -> Option<&'static str> {
        if seeded::is_lost(&event) {
            return None;
        }
        self.step(now, event, settings, roster).map(Ignored::words)
    }

    /// The next thing to be done; call until there is none.
    pub fn poll(&mut self) -> Option<Action> {
        let mut action = self.case.next_action();
        while action.as_ref().is_some_and(seeded::is_forgotten) {
            action = self.case.next_action();
        }
        action
    }

    /// When it must be given [`Event::Wake`], and why.
    pub fn poll_timeout(&self) -> Option<(Deadline, Why)> {
        self.deadline().map(|(at, why)| (Deadline::Mono(at), why))
    }

    /// The transfer as the API shows it.
    pub fn view(&self) -> TransferView {
        self.case.view(self.state.shown())
    }

    /// Its id.
    pub fn id(&self) -> TransferId {
        self.case.begin.id
    }

    /// Who hears whom.
    pub fn scene(&self) -> SceneName {
        self.case.scene
    }

    /// Who may speak to the caller.
    pub fn driver(&self) -> Driver {
        self.case.driver
    }

    /// The AE's leg that this transfer holds; a scene's AE is this one.
    pub fn ae_leg(&self) -> Option<LegId> {
        self.state.leg()
    }

    /// How it came out.
    pub fn outcome(&self) -> Option<Outcome> {
        self.case.outcome
    }

    /// What the caller is being offered, soonest first; empty where nothing is on offer.
    pub fn slots(&self) -> &[Slot] {
        match &self.state {
            State::Offering(state) => state.slots(),
            State::Journalling(_)
            | State::Dialing(_)
            | State::Invited(_)
            | State::Ringing(_)
            | State::Listening(_)
            | State::Referring(_)
            | State::Accepting(_)
            | State::Introducing(_)
            | State::Switching(_)
            | State::Human(_)
            | State::HandingBack(_)
            | State::MovingOn(_)
            | State::Recalling(_)
            | State::Promising(_)
            | State::Recording(_)
            | State::Keeping(_)
            | State::Farewell(_)
            | State::Parting(_)
            | State::Over => &[],
        }
    }

    /// Whether [`Event::Accept`] would do anything: the AE is on the line and has not accepted yet.
    pub fn can_be_accepted(&self) -> bool {
        matches!(self.state, State::Listening(_))
    }

    /// Whether [`Event::Decline`] would do anything: an AE is being dialled or briefed.
    pub fn can_be_declined(&self) -> bool {
        matches!(self.state, State::Dialing(_) | State::Invited(_) | State::Ringing(_) | State::Listening(_))
    }

    /// Whether [`Event::HandBack`] and [`Event::AeRefers`] would do anything: caller and AE are talking.
    pub fn can_be_handed_back(&self) -> bool {
        matches!(self.state, State::Human(_))
    }

    /// Whether [`Event::Cancel`] would do anything: nobody has accepted, and there is no outcome.
    pub fn can_be_cancelled(&self) -> bool {
        let before =
            self.state.is_waiting() || matches!(self.state, State::Offering(_) | State::Recalling(_) | State::Recording(_));
        before && self.case.outcome.is_none()
    }

    /// Whether it has nothing more to do: it can be forgotten; the call goes on without it, or has ended.
    pub fn is_over(&self) -> bool {
        matches!(self.state, State::Over)
    }

    fn deadline(&self) -> Option<(Mono, Why)> {
        let comfort = self.case.comfort_at.filter(|_| self.state.is_waiting()).map(|at| (at, Why::CallerIsComforted));
        let budget = self.case.budget.poll_timeout();
        earlier(earlier(self.state.deadline(), budget), comfort)
    }

    /// As [`Transfer::on`]; says why an event was ignored.
    fn step(&mut self, now: Now, event: Event, settings: &Settings, roster: &mut Roster) -> Option<Ignored> {
        let mut turn = Turn { now, case: &mut self.case, settings, roster };
        let ours = [self.state.leg(), self.state.third()];
        if let Some(leg) = leg_of(&event).filter(|leg| !ours.contains(&Some(*leg))) {
            return evidence(&mut turn, leg, &event, self.state.shown());
        }
        match event {
            Event::Wake => return self.wake(now, settings, roster),
            Event::BriefingReady { full, short } => return rendered(&mut turn, Rendering::Ready { full, short }),
            Event::BriefingFailed => return rendered(&mut turn, Rendering::Failed),
            Event::Key { leg, key } if turn.case.is_same_press(now.mono, Some(leg), key) => return Some(Ignored::Twice),
            Event::CallerKey(key) if turn.case.is_same_press(now.mono, None, key) => return Some(Ignored::Twice),
            Event::Cancel if turn.case.outcome.is_some() => return Some(Ignored::Decided),
            Event::AiGone => {
                if turn.ai_gone() {
                    self.state = std::mem::replace(&mut self.state, State::Over).ai_lost(&mut turn);
                }
            }
            Event::AiSilent => {
                turn.ai_silent();
                self.state = std::mem::replace(&mut self.state, State::Over).ai_lost(&mut turn);
            }
            event @ (of_the_store!()
            | of_the_invite!()
            | of_the_ae!()
            | of_speech!()
            | of_the_bridge!()
            | of_the_offer!()
            | of_the_recall!()
            | of_the_refer!()
            | of_the_recording!()
            | of_the_human!()
            | Event::AiDone
            | Event::LegGone { .. }
            | Event::Decline { .. }
            | Event::CallerGone
            | Event::Cancel) => {
                let Step { state, ignored } = std::mem::replace(&mut self.state, State::Over).on(&mut turn, event);
                self.state = state;
                return ignored;
            }
        }
        None
    }

    fn wake(&mut self, now: Now, settings: &Settings, roster: &mut Roster) -> Option<Ignored> {
        let mut ignored = Some(Ignored::NotDue);
        while let Some((_, why)) = self.deadline().filter(|(at, _)| *at <= now.mono) {
            ignored = None;
            let mut turn = Turn { now, case: &mut self.case, settings, roster };
            if why == Why::CallerIsComforted {
                turn.comfort();
                continue;
            }
            turn.miss(why);
            if !matches!(why, Why::StageTarget(_)) {
                self.state = std::mem::replace(&mut self.state, State::Over).due(&mut turn, why);
            }
        }
        ignored
    }
}

/// The first actions: the request goes on record, and with it the first attempt, if anybody can be dialled.
fn open(turn: &mut Turn<'_>) -> State {
    let state = match turn.case.begin.mode {
        Mode::Warm | Mode::Cold => attempt::first(turn),
        Mode::Scheduled => {
            attempt::request(turn, TransferState::Offering);
            offer::begin(turn)
        }
        Mode::Voicemail => {
            attempt::request(turn, TransferState::Recording);
            message::Recording::begin(turn)
        }
    };
    let begin = &turn.case.begin;
    let reason = begin.reason.clone();
    let mut data = json!({"reason": reason, "mode": begin.mode, "to": target_name(&begin.target)});
    if !state.is_waiting() {
        data["passed_over"] = turn.case.passed_over().into();
    }
    turn.report(EventKind::TransferRequested, data);
    turn.progress(100, "Trying");
    if state.is_waiting() {
        match turn.case.begin.mode {
            Mode::Warm => state.callee().iter().for_each(|to| turn.brief(to)),
            // Nobody is briefed.
            Mode::Cold | Mode::Scheduled | Mode::Voicemail => turn.case.briefing = Rendering::Failed,
        }
        if turn.case.scene != SceneName::ConsultAi {
            turn.say_to_caller(vec![Line::OneMoment]);
        }
    }
    state
}

fn target_name(target: &Target) -> Option<&str> {
    match target {
        Target::Ae(id) => Some(id.as_str()),
        Target::Group(name) => Some(name),
        Target::Outside(to) => Some(to),
        Target::Anyone => None,
    }
}

/// The AE leg that an event is about.
fn leg_of(event: &Event) -> Option<LegId> {
    match event {
        Event::Dialed { leg }
        | Event::Trying { leg }
        | Event::Ringing { leg, .. }
        | Event::Answered { leg }
        | Event::Refused { leg, .. }
        | Event::LegGone { leg, .. }
        | Event::Key { leg, .. } => Some(*leg),
        Event::Committed(_)
        | Event::CommitRefused(_)
        | Event::CallerKey(_)
        | Event::Accept
        | Event::Decline { .. }
        | Event::BriefingReady { .. }
        | Event::BriefingFailed
        | Event::SpeechStarted(_)
        | Event::SpeechEnded(_)
        | Event::Switched
        | Event::AeHeld
        | Event::AeResumed
        | Event::CallerGone
        | Event::AiGone
        | Event::AiSilent
        | Event::AiBack
        | Event::AiFailed
        | Event::AiDone
        | Event::ReferAccepted
        | Event::ReferProgress(_)
        | Event::ReferDone
        | Event::ReferFailed { .. }
        | Event::Recorded(_)
        | Event::RecordFailed
        | Event::HandBack { .. }
        | Event::AeRefers { .. }
        | Event::AeReplaced { .. }
        | Event::Cancel
        | Event::SlotPicked(_)
        | Event::Wake => None,
    }
}

/// The final status of a leg that was given up is evidence and goes on record; nothing else about it counts any more.
fn evidence(turn: &mut Turn<'_>, leg: LegId, event: &Event, state: TransferState) -> Option<Ignored> {
    let Event::Refused { status, .. } = event else { return Some(Ignored::AnotherLeg) };
    let unknown = turn.case.attempts.iter_mut().find(|view| view.leg == leg && view.sip_status.is_none());
    match unknown {
        Some(view) => view.sip_status = Some(*status),
        None => return Some(Ignored::AnotherLeg),
    }
    let view = turn.case.view(state);
    turn.commit(Fact::Evidence, CommitLevel::Process, vec![Record::Transfer(Box::new(view))]);
    None
}

fn rendered(turn: &mut Turn<'_>, rendering: Rendering) -> Option<Ignored> {
    match turn.case.briefing {
        Rendering::Pending => {
            turn.case.briefing = rendering;
            None
        }
        Rendering::Ready { .. } | Rendering::Failed => Some(Ignored::Twice),
    }
}
