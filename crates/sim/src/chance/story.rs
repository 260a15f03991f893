//! A random world in the words of a fixture.

use std::time::Duration;

use baton_time::Mono;
use baton_transfer::{AcceptBy, AfterAe};

use super::plan::Plan;
use crate::Fate;
use crate::world::BEGINNING;

/// The text of a fixture in which the same is done at the same times.
pub(super) fn write(plan: &Plan, violation: &str, acts: &[(Mono, String)]) -> String {
    let rules = &plan.rules;
    let mut text = format!("# Seed {}: {violation}\n", plan.seed);
    for ae in 0..rules.aes {
        let backup = if ae + 1 < rules.aes { format!(" backup ae{}", ae + 1) } else { String::new() };
        text.push_str(&format!("ae ae{ae}{backup}\n"));
    }
    text.push_str(&format!("set ring_max {}\nset attempts {}\nset seed {}\n", span(rules.ring_max), rules.attempts, plan.seed));
    if rules.accept == AcceptBy::Answer {
        text.push_str("set accept answer\n");
    }
    if rules.after_ae == AfterAe::Ai {
        text.push_str("set after_ae ai\n");
    }
    if rules.wrap_up > Duration::ZERO {
        text.push_str(&format!("set wrap_up {}\n", span(rules.wrap_up)));
    }
    text.push_str(&format!("set ports {}\n\n", rules.ports));
    for (number, fate) in &plan.fates {
        text.push_str(&match fate {
            Fate::Lost => format!("lose datagram {number}\n"),
            Fate::Twice => format!("double datagram {number}\n"),
            Fate::Late(late) => format!("delay datagram {number} by {}\n", span(*late)),
            Fate::Arrives => String::new(),
        });
    }
    let mut now = BEGINNING;
    for (at, act) in acts {
        if at.since(now) > Duration::ZERO {
            text.push_str(&format!("wait {}\n", span(at.since(now))));
        }
        now = *at;
        text.push_str(&format!("{act}\n"));
    }
    text
}

fn span(span: Duration) -> String {
    format!("{}ms", span.as_micros() as f64 / 1e3)
}
