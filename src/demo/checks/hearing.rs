//! Who heard whom.

use std::time::Duration;

use baton_party::{Pilot, likeness, loudness_dbfs};
use baton_time::Mono;

use super::Finding;
use crate::demo::cast::Role;
use crate::demo::evidence::{Evidence, SILENCE_DBFS};

/// Of the packets of a stage in which somebody must be heard, so many must have their pilot.
const SHARE_MIN: f64 = 0.75;
/// What is left out at either end of a stage: packets are on their way.
const EDGE: Duration = Duration::from_millis(200);
/// The AI may be heard so long after the human.
const AI_GONE_WITHIN: Duration = Duration::from_millis(60);
/// The longest silence at the caller while Baton owns what is heard.
const SILENCE_MAX: Duration = Duration::from_secs(1);
/// More alike than this in what changes quickly, and it is the same sound. A true copy has 1.0, a copy below music of the same loudness
/// 0.9; of the briefings no half second is as much as 0.65 like any of the music, or of a prompt in the same voice.
const SAME_SOUND: f64 = 0.7;

/// Caller and AI hear each other until the AI asks.
pub(super) fn conversation(evidence: &Evidence) -> Option<Finding> {
    let (caller, ai) = (evidence.caller()?, evidence.ai()?);
    let from = caller.noted("up")? + EDGE;
    let to = evidence.asked()? - EDGE;
    let shares = [caller.share_with(Pilot::Ai, from, to), ai.share_with(Pilot::Caller, from, to)].map(Option::unwrap_or_default);
    let says = format!(
        "before the request the caller hears the AI in {}, the AI hears the caller in {} of the packets",
        percent(shares[0]),
        percent(shares[1])
    );
    Some(Finding::new("conversation", shares.iter().all(|share| *share >= SHARE_MIN), says))
}

/// Caller and AE hear each other after the bridge; where there is none, the caller is with the AI again.
pub(super) fn bridge(evidence: &Evidence) -> Option<Finding> {
    if evidence.story.outcome == "returned_to_ai" {
        let (caller, ai) = (evidence.caller()?, evidence.ai()?);
        let Some(from) = ai.noted("ava-back") else {
            return Some(Finding::new("bridge", false, "the AI never spoke again"));
        };
        let to = evidence.parted()? - EDGE;
        let shares =
            [caller.share_with(Pilot::Ai, from, to), ai.share_with(Pilot::Caller, from, to)].map(Option::unwrap_or_default);
        let says = format!(
            "back with the AI: the caller hears it in {}, it hears the caller in {}",
            percent(shares[0]),
            percent(shares[1])
        );
        return Some(Finding::new("bridge", shares.iter().all(|share| *share >= SHARE_MIN), says));
    }
    let (ae, pilot) = evidence.taker()?;
    let Some(bridged) = evidence.bridged() else {
        return Some(Finding::new("bridge", false, "the caller never heard the AE"));
    };
    let (from, to) = (bridged + EDGE, evidence.together_until()? - EDGE);
    let shares =
        [evidence.caller()?.share_with(pilot, from, to), ae.share_with(Pilot::Caller, from, to)].map(Option::unwrap_or_default);
    let after = evidence
        .accepted()
        .map_or(String::new(), |accepted| format!("{} ms after the key: ", bridged.since(accepted).as_millis()));
    let says = format!(
        "{after}the caller hears the AE in {}, the AE the caller in {} of the packets",
        percent(shares[0]),
        percent(shares[1])
    );
    Some(Finding::new("bridge", shares.iter().all(|share| *share >= SHARE_MIN), says))
}

/// The caller hears no AE before that AE has accepted.
pub(super) fn caller_hears_no_ae(evidence: &Evidence) -> Option<Finding> {
    let caller = evidence.caller()?;
    let leak = evidence.aes().find_map(|ae| {
        let Role::Ae(id) = &ae.role else { return None };
        let until = ae.noted("accepts").unwrap_or(Mono::from_micros(u64::MAX));
        Some((id.clone(), caller.first_heard(evidence.pilot_of(id)?, Mono::ZERO, until)?))
    });
    let says = match &leak {
        None => "the caller hears no AE who has not accepted".to_owned(),
        Some((id, at)) => format!("the caller hears {id} at {}, before they accepted", evidence.seconds(*at)),
    };
    Some(Finding::new("caller-hears-no-ae-before-acceptance", leak.is_none(), says))
}

/// The caller never hears the briefing: nothing in the consult sounds alike at both ends.
pub(super) fn caller_hears_no_briefing(evidence: &Evidence) -> Option<Finding> {
    const WINDOW: Duration = Duration::from_millis(500);
    const LAG_SAMPLES_MAX: usize = 800;
    const LOUD_DBFS: f64 = -40.0;
    let is_loud = |samples: &[i16]| loudness_dbfs(samples) > LOUD_DBFS;
    let caller = evidence.caller()?;
    let consults: Vec<_> = evidence.aes().filter_map(|ae| Some((ae, ae.noted("answers")?))).collect();
    let mut worst = (0.0, Mono::ZERO);
    let mut compared = 0;
    for (ae, answered) in &consults {
        let until = ae.noted("accepts").or(ae.noted("declines")).unwrap_or(evidence.end());
        let mut at = *answered;
        while at + WINDOW <= until {
            let (briefing, heard) = (ae.record.heard.between(at, at + WINDOW), caller.record.heard.between(at, at + WINDOW));
            if is_loud(briefing) && is_loud(heard) {
                let alike = likeness(&edges(briefing), &edges(heard), LAG_SAMPLES_MAX);
                worst = if alike > worst.0 { (alike, at) } else { worst };
                compared += 1;
            }
            at = at + WINDOW;
        }
    }
    (!consults.is_empty()).then(|| {
        let says =
            format!("{compared} half seconds of the consult compared with what the caller heard: at most {:.2} alike", worst.0);
        Finding::new("caller-hears-no-briefing", worst.0 < SAME_SOUND, says)
    })
}

/// What changes quickly in a sound: its second difference. Music and vowels are tones, and two tones of one pitch resemble each other at some
/// lag (0.75 and more in half a second); what is left here, attacks and hisses, is alike only where one is a copy of the other.
fn edges(samples: &[i16]) -> Vec<i16> {
    let edge = |three: &[i16]| (i32::from(three[0]) - 2 * i32::from(three[1]) + i32::from(three[2])) / 4;
    samples.windows(3).map(|three| edge(three) as i16).collect()
}

/// No AE hears the caller before having accepted.
pub(super) fn ae_hears_no_caller(evidence: &Evidence) -> Option<Finding> {
    let leak = evidence.aes().find_map(|ae| {
        let until = ae.noted("accepts").unwrap_or(Mono::from_micros(u64::MAX));
        Some((ae.role.clone(), ae.first_heard(Pilot::Caller, Mono::ZERO, until)?))
    });
    let says = match &leak {
        None => "no AE hears the caller before accepting".to_owned(),
        Some((role, at)) => format!("{role} hears the caller at {}, before accepting", evidence.seconds(*at)),
    };
    Some(Finding::new("ae-hears-no-caller-before-acceptance", leak.is_none(), says))
}

/// The AI hears neither caller nor music nor AE from the request on, unless it gets the caller back.
pub(super) fn ai_hears_nobody(evidence: &Evidence) -> Option<Finding> {
    let ai = evidence.ai()?;
    let from = evidence.asked()? + EDGE;
    let until = match evidence.story.outcome {
        "returned_to_ai" => evidence.event("transfer.ended")?.at,
        _ if introduces(evidence) => evidence.taker()?.0.noted("accepts")?,
        _ => evidence.end(),
    };
    let sound = ai.heard.iter().find(|heard| heard.at >= from && heard.at < until && heard.loudness_dbfs > SILENCE_DBFS);
    let says = match sound {
        None => "the AI hears nothing while the AE is called".to_owned(),
        Some(heard) => {
            format!(
                "the AI hears something at {} ({:.0} dBFS, {:?})",
                evidence.seconds(heard.at),
                heard.loudness_dbfs,
                heard.pilots
            )
        }
    };
    Some(Finding::new("ai-hears-nobody-in-consult", sound.is_none(), says))
}

/// The AI is not heard any more once the human has taken over, though it goes on speaking for a while after its BYE.
pub(super) fn ai_gone(evidence: &Evidence) -> Option<Finding> {
    let (ae, _) = evidence.taker()?;
    evidence.ai()?;
    let accepted = evidence.accepted()?;
    let until = evidence.handed_back().unwrap_or(Mono::from_micros(u64::MAX));
    let span = accepted..until;
    let with_ai = evidence.caller()?.heard.iter().filter(|heard| span.contains(&heard.at) && heard.pilots.contains(&Pilot::Ai));
    let last = with_ai.map(|heard| heard.at).max();
    let after = last.map_or(Duration::ZERO, |last| last.since(accepted));
    let at_ae = ae.first_heard(Pilot::Ai, accepted + AI_GONE_WITHIN, until).is_some();
    let says = match (last, at_ae) {
        (None, false) => "no packet of the AI reaches the caller or the AE once the key is pressed".to_owned(),
        (None, true) => "the AE hears the AI after the bridge".to_owned(),
        (Some(_), _) => format!("the caller hears the AI until {} ms after the key", after.as_millis()),
    };
    Some(Finding::new("ai-gone-after-bridge", after <= AI_GONE_WITHIN && !at_ae, says))
}

/// The caller is never in silence while Baton owns what is heard, nor at the cut-overs.
pub(super) fn silence(evidence: &Evidence) -> Option<Finding> {
    const CUT_OVER: Duration = Duration::from_millis(1_500);
    let caller = evidence.caller()?;
    let from = evidence.asked()?;
    let parted = evidence.parted().unwrap_or(evidence.end());
    let until = match evidence.story.outcome {
        "bridged" => evidence.bridged().map_or(parted, |at| at + CUT_OVER),
        "returned_to_ai" => evidence.event("transfer.ended").map_or(parted, |event| event.at + CUT_OVER),
        "voicemail" => evidence.book.recording.unwrap_or(parted), // from here on the caller speaks
        _ => parted,
    };
    let (longest, at) = caller.longest_silence(from, until.min(parted));
    let says = format!("the longest silence at the caller is {} ms, at {}", longest.as_millis(), evidence.seconds(at));
    Some(Finding::new("silence-at-caller", longest <= SILENCE_MAX, says))
}

/// Whether the AI introduces caller and AE to each other.
fn introduces(evidence: &Evidence) -> bool {
    evidence.story.joined == "leaves"
}

/// During an introduction each hears the two others.
pub(super) fn introduction(evidence: &Evidence) -> Option<Finding> {
    let (ae, pilot) = evidence.taker().filter(|_| introduces(evidence))?;
    let (caller, ai) = (evidence.caller()?, evidence.ai()?);
    let Some((from, to)) = ae.noted("accepts").zip(evidence.accepted()) else {
        return Some(Finding::new("introduction", false, "the AI never introduced anybody"));
    };
    let (from, to) = (from + EDGE * 2, to - EDGE);
    let pairs = [(caller, Pilot::Ai), (caller, pilot), (ai, Pilot::Caller), (ai, pilot), (ae, Pilot::Caller), (ae, Pilot::Ai)];
    let shares = pairs.map(|(part, pilot)| part.share_with(pilot, from, to).unwrap_or_default());
    let least = shares.iter().copied().fold(1.0, f64::min);
    let says = format!(
        "for {:.1} s each of the three hears the two others, in {} of the packets at least",
        to.since(from).as_secs_f64(),
        percent(least)
    );
    Some(Finding::new("introduction", least >= SHARE_MIN, says))
}

/// Handed back, the caller hears music and then the AI, soon and without silence, and the AE hears nobody any more.
pub(super) fn hand_back(evidence: &Evidence) -> Option<Finding> {
    const BACK_WITHIN: Duration = Duration::from_millis(1_500);
    let again = evidence.ai_again()?;
    let (caller, (ae, pilot)) = (evidence.caller()?, evidence.taker()?);
    let Some(handed) = evidence.handed_back() else {
        return Some(Finding::new("hand-back", false, "the caller was never handed back"));
    };
    let parted = evidence.parted().unwrap_or(evidence.end());
    let Some(back) = caller.first_heard(Pilot::Ai, handed, parted) else {
        return Some(Finding::new("hand-back", false, "the caller never heard the AI again"));
    };
    let took = evidence.unstalled(handed, back);
    let (silence, _) = caller.longest_silence(handed, back);
    let shares =
        [caller.share_with(Pilot::Ai, back + EDGE, parted - EDGE), again.share_with(Pilot::Caller, back + EDGE, parted - EDGE)];
    let both = shares.iter().all(|share| share.is_some_and(|share| share >= SHARE_MIN));
    let leak = caller.first_heard(pilot, back + EDGE, parted).or(ae.first_heard(Pilot::Caller, back, parted)).is_some();
    let says = format!(
        "{} ms after the key the caller hears the AI again; silence before it {} ms; they hear each other: {}; the AE is out of it: {}",
        took.as_millis(),
        silence.as_millis(),
        if both { "yes" } else { "no" },
        if leak { "no" } else { "yes" }
    );
    Some(Finding::new("hand-back", took <= BACK_WITHIN && silence <= SILENCE_MAX && both && !leak, says))
}

fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}
