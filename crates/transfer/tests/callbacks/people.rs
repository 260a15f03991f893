//! What AEs and callers do when their phones ring.

use crate::dice::Dice;

/// What somebody does, in milliseconds after the INVITE and after the answer.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Deed {
    /// No response at all.
    Nothing,
    /// Rings on and on.
    Rings,
    Refuses {
        after: u64,
        status: u16,
    },
    /// Answers, and presses this key after a while.
    Presses {
        after: u64,
        key: char,
        then: u64,
    },
    /// Answers, and hangs up after a while.
    HangsUp {
        after: u64,
        then: u64,
    },
    /// Answers, and that is all: a mailbox.
    Listens {
        after: u64,
    },
}

pub(crate) fn ae(dice: &mut Dice) -> Deed {
    let (after, then) = (dice.between(300, 9_000), dice.between(500, 25_000));
    match dice.below(100) {
        0..72 => Deed::Presses { after, key: '1', then },
        72..80 => Deed::Rings,
        80..86 => Deed::Refuses { after, status: 486 },
        86..91 => Deed::Presses { after, key: '2', then },
        91..94 => Deed::HangsUp { after, then },
        94..97 => Deed::Listens { after },
        _ => Deed::Nothing,
    }
}

pub(crate) fn caller(dice: &mut Dice) -> Deed {
    let (after, then) = (dice.between(300, 20_000), dice.between(500, 15_000));
    match dice.below(100) {
        0..70 => Deed::Presses { after, key: '1', then },
        70..78 => Deed::Rings,
        78..84 => Deed::Refuses { after, status: 486 },
        84..90 => Deed::Listens { after },
        90..95 => Deed::HangsUp { after, then },
        95..98 => Deed::Refuses { after, status: 503 },
        _ => Deed::Nothing,
    }
}

/// The zones, each with a day on which its clocks change, or any day where they never do.
pub(crate) const ZONES: [(&str, [i8; 3]); 10] = [
    ("America/New_York", [26, 3, 8]),
    ("America/St_Johns", [26, 11, 1]),
    ("America/Santiago", [26, 4, 4]),
    ("Europe/London", [26, 10, 25]),
    ("Europe/Berlin", [26, 3, 29]),
    ("Africa/Cairo", [26, 4, 24]),
    ("Asia/Beirut", [26, 3, 29]),
    ("Asia/Kolkata", [26, 6, 15]),
    ("Australia/Lord_Howe", [26, 10, 4]),
    ("Australia/Sydney", [26, 4, 5]),
];
