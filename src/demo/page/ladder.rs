//! The SIP of a story as a ladder: each party has a post, Baton stands in the middle.

use maud::{Markup, html};

use super::{Span, clock, figure, name};
use crate::demo::cast::Role;
use crate::demo::evidence::Evidence;

const TIME: f64 = 70.0;
const POST: f64 = 190.0;
const STEP: f64 = 19.0;
const HEAD: f64 = 34.0;
/// More arrows than this are left out.
const ARROWS_MAX: usize = 400;

/// One message.
struct Arrow<'a> {
    at: f64,
    from: usize,
    to: usize,
    title: &'a str,
    again: bool,
}

pub(super) fn draw(evidence: &Evidence, span: Span) -> Markup {
    // The caller's post, Baton's, then the AI's and the AEs'.
    let post = |index: usize| if index == 0 { 0 } else { index + 1 };
    let mut arrows: Vec<Arrow<'_>> = Vec::new();
    for (index, part) in evidence.parts.iter().enumerate() {
        for seen in &part.record.sip {
            let (from, to) = if seen.sent { (post(index), 1) } else { (1, post(index)) };
            arrows.push(Arrow { at: span.seconds(seen.at), from, to, title: &seen.title, again: seen.again });
        }
    }
    arrows.sort_by(|a, b| a.at.total_cmp(&b.at));
    arrows.truncate(ARROWS_MAX);
    let names: Vec<String> = std::iter::once("caller".to_owned())
        .chain(std::iter::once("Baton".to_owned()))
        .chain(evidence.parts.iter().filter(|part| part.role != Role::Caller).map(name))
        .collect();
    let width = TIME + names.len() as f64 * POST;
    let height = HEAD + arrows.len() as f64 * STEP + 16.0;
    let x = |post: usize| TIME + POST * (post as f64 + 0.5);
    html! {
        div.scroll {
            svg.ladder viewBox={ "0 0 " (width) " " (height) } style={ "min-width:" (width * 0.8) "px" } role="img" {
                title { "The SIP messages of this story" }
                defs { marker id={ "tip-" (evidence.story.name) } markerWidth="8" markerHeight="8" refX="7" refY="3" orient="auto" { path d="M0,0 L7,3 L0,6 z" {} } }
                @for (index, name) in names.iter().enumerate() {
                    text.post x=(figure(x(index))) y="16" { (name) }
                    line.pole x1=(figure(x(index))) x2=(figure(x(index))) y1="24" y2=(figure(height - 6.0)) {}
                }
                @for (row, arrow) in arrows.iter().enumerate() {
                    @let y = HEAD + (row as f64 + 0.8) * STEP;
                    @let (from, to) = (x(arrow.from), x(arrow.to));
                    text.tick x="4" y=(figure(y)) style="text-anchor:start" { (clock(arrow.at)) }
                    line.arrow.again[arrow.again] x1=(figure(from)) x2=(figure(to)) y1=(figure(y)) y2=(figure(y)) marker-end={ "url(#tip-" (evidence.story.name) ")" } {}
                    text.title x=(figure((from.min(to) + from.min(to) + POST) / 2.0)) y=(figure(y - 3.0)) { (arrow.title) }
                }
            }
        }
    }
}
