//! The streams of packets themselves.

use std::time::Duration;

use baton_party::RtpSeen;

use super::Finding;
use crate::demo::evidence::Evidence;

/// The AE's first packet after the key must come through: what is pressed and spoken takes no longer than this.
const THROUGH_WITHIN: Duration = Duration::from_millis(80);
/// The longest time without a packet that a caller may see: what the jitter buffer of a phone bridges.
const GAP_MAX: Duration = Duration::from_millis(100);

/// Nothing of the AE's voice is lost or doubled on its way to the caller, from the first packet after the bridge on.
pub(super) fn cut_over(evidence: &Evidence) -> Option<Finding> {
    let accepted = evidence.accepted();
    evidence.taker()?;
    let (there, back) = (evidence.to_caller(), evidence.to_ae());
    let (Some(first), Some(accepted)) = (there.first_sent_at, accepted) else {
        return Some(Finding::new("cut-over", false, "nothing of the AE reaches the caller"));
    };
    let late = evidence.unstalled(accepted, first);
    let whole = there.lost == 0 && there.repeated == 0 && back.lost == 0 && back.repeated == 0;
    let says = format!(
        "AE to caller: {} packets, {} lost, {} doubled, from {} ms after the key on; caller to AE: {} packets, {} lost, {} doubled",
        there.passed,
        there.lost,
        there.repeated,
        late.as_millis(),
        back.passed,
        back.lost,
        back.repeated
    );
    Some(Finding::new("cut-over", whole && late <= THROUGH_WITHIN, says))
}

/// Towards each party there is one SSRC with sequence numbers and timestamps that go on without a break.
pub(super) fn continuity(evidence: &Evidence) -> Option<Finding> {
    let breaks: Vec<String> = evidence
        .parts
        .iter()
        .filter_map(|part| Some(format!("{}: {}", part.role, first_break(evidence, &part.record.rtp_received)?)))
        .collect();
    let packets: usize = evidence.parts.iter().map(|part| part.record.rtp_received.len()).sum();
    let says = if breaks.is_empty() {
        format!("{packets} packets: one SSRC towards each, sequence and timestamp without a break")
    } else {
        breaks.join("; ")
    };
    Some(Finding::new("continuity", breaks.is_empty() && packets > 0, says))
}

fn first_break(evidence: &Evidence, packets: &[RtpSeen]) -> Option<String> {
    let at = |packet: &RtpSeen| format!("at {}", evidence.seconds(packet.at));
    for pair in packets.windows(2) {
        let (one, next) = (&pair[0], &pair[1]);
        if next.ssrc != one.ssrc {
            return Some(format!("another SSRC {}", at(next)));
        }
        let step = next.sequence.wrapping_sub(one.sequence);
        if step != 1 {
            return Some(format!("sequence {} follows {} {}", next.sequence, one.sequence, at(next)));
        }
    }
    let audio: Vec<&RtpSeen> = packets.iter().filter(|packet| packet.is_audio()).collect();
    let jump = audio.windows(2).find(|pair| !goes_on(evidence, pair[0], pair[1]))?;
    let step = jump[1].timestamp.wrapping_sub(jump[0].timestamp) as i32;
    Some(format!("the timestamp moves by {step} instead of {} {}", jump[0].payload().len(), at(jump[1])))
}

/// Whether the timestamp goes on where the packet before ended, or jumps over no more than a time in which the machine stood still.
fn goes_on(evidence: &Evidence, one: &RtpSeen, next: &RtpSeen) -> bool {
    const SLACK: Duration = Duration::from_millis(60);
    let step = next.timestamp.wrapping_sub(one.timestamp);
    let jump = Duration::from_micros(u64::from(step) * 125);
    let stalled = next.at.since(one.at).saturating_sub(evidence.unstalled(one.at, next.at));
    step as usize == one.payload().len() || (stalled > SLACK && jump <= stalled + SLACK)
}

/// The caller is never without packets.
pub(super) fn gap(evidence: &Evidence) -> Option<Finding> {
    let caller = evidence.caller()?;
    let (first, last) = (caller.record.rtp_received.first()?.at, caller.record.rtp_received.last()?.at);
    let (worst, at) = evidence.worst_gap(caller, first, last)?;
    let end = evidence.parted().map_or(Duration::ZERO, |parted| parted.since(last));
    let busy = evidence.raw_gap(caller, at).saturating_sub(worst).as_millis();
    let busy = if busy > 1 { format!(" ({busy} ms more, while the machine was busy with others)") } else { String::new() };
    let gap = worst.as_micros() as f64 / 1e3;
    let says = format!("the longest time between two packets at the caller is {gap:.1} ms{busy}, at {}", evidence.seconds(at));
    Some(Finding::new("gap-at-caller", worst <= GAP_MAX && end <= GAP_MAX * 2, says))
}
