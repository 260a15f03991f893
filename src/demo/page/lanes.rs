//! Who hears what, from the packets that each one received: the picture of what the checks prove.

use std::time::Duration;

use baton_party::Pilot;
use baton_time::Mono;
use maud::{Markup, html};

use super::{Span, figure, name};
use crate::demo::evidence::{Evidence, Heard, Part, SILENCE_DBFS};

const WIDTH: f64 = 960.0;
const LEFT: f64 = 110.0;
const RIGHT: f64 = 24.0;
const ROW: f64 = 30.0;
/// One block of a lane.
const BUCKET: Duration = Duration::from_millis(100);

pub(super) fn draw(evidence: &Evidence, span: Span) -> Markup {
    let height = evidence.parts.len() as f64 * ROW + 42.0;
    let scale = WIDTH - LEFT - RIGHT;
    let marks = marks(evidence);
    html! {
        div.scroll {
            svg.lanes viewBox={ "0 0 " (WIDTH) " " (height) } data-left=(LEFT) data-scale=(scale) data-length=(figure(span.length())) role="img" {
                title { "Who hears what, over time" }
                @for (row, part) in evidence.parts.iter().enumerate() {
                    @let top = row as f64 * ROW + 18.0;
                    text.label x="0" y=(figure(top + 17.0)) { (name(part)) }
                    rect.bed x=(LEFT) y=(figure(top)) width=(figure(scale)) height="24" rx="3" {}
                    @for (from, to, class) in blocks(part) {
                        @let x = LEFT + span.place(from, scale);
                        rect class=(class) x=(figure(x)) y=(figure(top)) width=(figure((LEFT + span.place(to, scale) - x).max(0.8))) height="24" {}
                    }
                }
                @for (at, word) in &marks {
                    @let x = figure(LEFT + span.place(*at, scale));
                    line.mark x1=(x) x2=(x) y1="12" y2=(figure(height - 22.0)) {}
                    text.tick x=(x) y="9" { (word) }
                }
                @for second in (0..=span.length() as u64).step_by(5) {
                    @let x = figure(LEFT + second as f64 / span.length() * scale);
                    text.tick x=(x) y=(figure(height - 8.0)) { (second) " s" }
                }
                line.cursor x1="-9" x2="-9" y1="12" y2=(figure(height - 22.0)) {}
            }
        }
        p.legend {
            @for (class, word) in [("caller", "the caller"), ("ai", "the AI"), ("ae", "Michael"), ("backup", "Sara"), ("baton", "music, prompts, briefing"), ("hush", "silence")] {
                span { i class=(class) {} (word) }
            }
        }
    }
}

/// The moments worth a line.
fn marks(evidence: &Evidence) -> Vec<(Mono, &'static str)> {
    let marks = [(evidence.asked(), "asked"), (evidence.accepted(), "accepted"), (evidence.parted(), "hung up")];
    marks.into_iter().filter_map(|(at, word)| Some((at?, word))).collect()
}

/// Stretches in which a party hears the same.
fn blocks(part: &Part) -> Vec<(Mono, Mono, &'static str)> {
    let mut blocks: Vec<(Mono, Mono, &'static str)> = Vec::new();
    let mut rest = part.heard.as_slice();
    while let Some(first) = rest.first() {
        let end = rest.iter().position(|heard| heard.at >= first.at + BUCKET).unwrap_or(rest.len());
        let (bucket, later) = rest.split_at(end.max(1));
        let (from, to) = (first.at, first.at + BUCKET);
        let class = sound(bucket);
        match blocks.last_mut().filter(|last| last.2 == class && last.1 + BUCKET >= from) {
            Some(last) => last.1 = to,
            None => blocks.push((from, to, class)),
        }
        rest = later;
    }
    blocks
}

fn sound(bucket: &[Heard]) -> &'static str {
    let has = |pilot: Pilot| bucket.iter().filter(|heard| heard.pilots.contains(&pilot)).count() * 2 >= bucket.len();
    let heard: Vec<&'static str> = [(Pilot::Caller, "caller"), (Pilot::Ai, "ai"), (Pilot::Ae, "ae"), (Pilot::Backup, "backup")]
        .into_iter()
        .filter(|(pilot, _)| has(*pilot))
        .map(|(_, class)| class)
        .collect();
    match heard.as_slice() {
        [one] => one,
        [] if bucket.iter().any(|heard| heard.loudness_dbfs > SILENCE_DBFS) => "baton",
        [] => "hush",
        _ => "several",
    }
}

#[cfg(test)]
mod tests {
    use super::super::colour;
    use super::*;
    use crate::demo::cast::Role;

    #[test]
    fn sounds_are_told_apart() {
        let heard = |pilots: &[Pilot], loudness_dbfs| Heard { at: Mono::ZERO, pilots: pilots.to_vec(), loudness_dbfs };
        assert_eq!(sound(&[heard(&[Pilot::Ai], -38.0)]), "ai");
        assert_eq!(sound(&[heard(&[], -20.0)]), "baton");
        assert_eq!(sound(&[heard(&[], -80.0)]), "hush");
        assert_eq!(sound(&[heard(&[Pilot::Ai, Pilot::Ae], -30.0)]), "several");
        let part = Part::new(Role::Ae("sara-backup".to_owned()), baton_party::Record::default());
        assert_eq!(colour(&part), "backup");
    }
}
