//! What caller, AI and AE do in each transfer.

use baton_party::{Cue, Dice, KeyPath, Pilot, Step};

/// The note of the caller at which the transfer is to be asked for.
pub(super) const ASKS: &str = "asks";
/// The note of the AE right before the phone is picked up.
pub(super) const ANSWERS: &str = "answers";
/// The note of the AE right before the key is pressed.
pub(super) const ACCEPTS: &str = "accepts";
/// The note of the caller who hears the AE.
pub(super) const HEARS_AE: &str = "hears-ae";
/// The note of the AE who hears the caller.
pub(super) const HEARS_CALLER: &str = "hears-caller";

/// How long anything may take before a party gives up.
pub(super) const PATIENCE_MS: u64 = 15_000;
/// How long caller and AE are together.
pub(super) const TOGETHER_MS: u64 = 600;

/// So many milliseconds at least, and fewer than so many at most.
pub(super) fn between(dice: &mut Dice, least: u64, most: u64) -> Step {
    Step::pause(least + dice.roll() % (most - least))
}

/// Calls, hears the AI, waits for the AE, stays a while and hangs up.
pub(super) fn caller(dialled: &str, dice: &mut Dice) -> Vec<Step> {
    vec![
        Step::call(format!("sip:{dialled}@baton.example")),
        Step::wait_for(Cue::Up, PATIENCE_MS),
        Step::wait_for(Cue::Hears(Pilot::Ai), PATIENCE_MS),
        between(dice, 200, 500),
        Step::note(ASKS),
        Step::wait_for(Cue::Hears(Pilot::Ae), 2 * PATIENCE_MS),
        Step::note(HEARS_AE),
        Step::wait_for(Cue::Told(HEARS_CALLER.to_owned()), PATIENCE_MS),
        Step::pause(TOGETHER_MS),
        Step::HangUp,
    ]
}

/// Takes the call and stays until it is hung up on.
pub(super) fn ai() -> Vec<Step> {
    vec![
        Step::wait_for(Cue::Invited, PATIENCE_MS),
        Step::Ring { status: 180 },
        Step::pause(40),
        Step::Answer,
        Step::wait_for(Cue::Gone, 4 * PATIENCE_MS),
    ]
}

/// Rings for a while, answers, listens into the briefing, presses the key and stays until the caller hangs up.
pub(super) fn ae(dice: &mut Dice) -> Vec<Step> {
    vec![
        Step::wait_for(Cue::Invited, 4 * PATIENCE_MS),
        Step::Ring { status: 180 },
        between(dice, 200, 600),
        Step::note(ANSWERS),
        Step::Answer,
        Step::wait_for(Cue::Voice, PATIENCE_MS),
        between(dice, 400, 900),
        Step::note(ACCEPTS),
        Step::Press { key: '1', by: KeyPath::Info },
        Step::wait_for(Cue::Hears(Pilot::Caller), PATIENCE_MS),
        Step::note(HEARS_CALLER),
        Step::wait_for(Cue::Gone, 2 * PATIENCE_MS),
    ]
}
