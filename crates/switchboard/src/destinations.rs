//! What may be dialled outside: by the API, by a REFER, by an AI's INVITE, for a callback. Everything that leads to a number goes through
//! [`Settings::destination`].

use baton_sip::wire::{HostPort, Scheme, Uri};

use crate::Settings;
use crate::settings::glob;

/// Emergency numbers of the world, dialled as they are.
const EMERGENCY: &[&str] = &[
    "000", "08", "100", "101", "102", "103", "104", "105", "106", "108", "110", "111", "112", "113", "115", "117", "118", "119",
    "122", "123", "128", "131", "132", "133", "144", "15", "150", "155", "158", "16", "17", "18", "190", "191", "192", "193",
    "194", "199", "911", "995", "997", "998", "999", "1122", "0911", "9911", "9112", "9999",
];

/// What numbers that cost extra begin with, in full.
const PREMIUM: &[&str] = &[
    "+1900", "+1976", "+3390", "+3389", "+3481", "+3480", "+3490", "+3989", "+4190", "+4487", "+449", "+4590", "+4682", "+46900",
    "+46939", "+46944", "+49137", "+49180", "+49190", "+49900", "+43900", "+43930", "+43931", "+61190", "+81990", "+979", "+870",
    "+881", "+882", "+883",
];

/// What they begin with as they are dialled at home.
const PREMIUM_AT_HOME: &[&str] = &["0900", "0190", "0137", "0180", "09", "1900", "1976", "900", "0870", "0871"];

/// The longest number there is (E.164), and room for a prefix.
const DIGITS_MAX: usize = 20;

/// What a trunk may dial.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Allowed {
    /// Everything but emergency and premium numbers.
    #[default]
    Usual,
    /// What one of these patterns describes. An emergency number needs to be written out, a premium one at least as far as its prefix goes.
    Patterns(Vec<String>),
}

/// Why something is not dialled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// It is neither a number nor a SIP URI.
    #[error("this is neither a number nor a SIP URI with a user")]
    NotANumber,
    /// An emergency number.
    #[error("emergency numbers are not dialled unless a trunk's `allow` names them in full")]
    Emergency,
    /// A number that costs extra.
    #[error("premium numbers are not dialled unless a trunk's `allow` names their prefix")]
    Premium,
    /// Nothing in `allow` describes it.
    #[error("it is not among what the trunk's `allow` permits")]
    NotAllowed,
    /// There is no trunk, or none of this name.
    #[error("there is no trunk that could carry it")]
    NoTrunk,
}

impl Denied {
    /// The stable name, for the log line and for problems.
    pub fn name(self) -> &'static str {
        match self {
            Denied::NotANumber => "not-a-number",
            Denied::Emergency => "emergency",
            Denied::Premium => "premium",
            Denied::NotAllowed => "not-allowed",
            Denied::NoTrunk => "no-trunk",
        }
    }
}

/// Which trunks come into question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Over {
    /// The first that may dial it.
    Any,
    /// This one, by its place in the settings.
    Trunk(usize),
}

/// Somebody outside who may be dialled.
#[derive(Debug, Clone)]
pub(crate) struct Destination {
    /// The number, as it is shown: separators are gone.
    pub(crate) number: String,
    /// The trunk that carries it, by its place in the settings.
    pub(crate) trunk: usize,
    /// The Request-URI.
    pub(crate) uri: Uri,
}

impl Allowed {
    /// Whether `number`, as [`normalised`] writes it, may be dialled.
    ///
    /// # Errors
    /// Why not.
    pub fn check(&self, number: &str) -> Result<(), Denied> {
        let patterns = match self {
            Allowed::Usual => [].as_slice(),
            Allowed::Patterns(patterns) => patterns,
        };
        let fitting: Vec<&String> = patterns.iter().filter(|pattern| glob(pattern, number)).collect();
        if is_emergency(number) {
            let named = fitting.iter().any(|pattern| !pattern.contains('*'));
            return if named { Ok(()) } else { Err(Denied::Emergency) };
        }
        if is_premium(number) {
            let named = fitting.iter().any(|pattern| is_premium(pattern.split('*').next().unwrap_or_default()));
            return if named { Ok(()) } else { Err(Denied::Premium) };
        }
        match self {
            Allowed::Usual => Ok(()),
            Allowed::Patterns(_) if fitting.is_empty() => Err(Denied::NotAllowed),
            Allowed::Patterns(_) => Ok(()),
        }
    }
}

impl Allowed {
    /// Whether a pattern names this number, not only permits everything usual.
    fn names(&self, number: &str) -> bool {
        match self {
            Allowed::Usual => false,
            Allowed::Patterns(patterns) => patterns.iter().any(|pattern| glob(pattern, number)),
        }
    }
}

impl Settings {
    /// Where a number, a `tel:` or a SIP URI leads, if it may be dialled. Of a SIP URI the user part counts, its host only where it is a
    /// trunk's: nobody has us send an INVITE to an address of their choice.
    ///
    /// # Errors
    /// Why it is not dialled.
    pub(crate) fn destination(&self, to: &str, over: Over) -> Result<Destination, Denied> {
        let number = normalised(to).ok_or(Denied::NotANumber)?;
        let named = host_of(to).and_then(|host| self.trunks.iter().position(|trunk| trunk.is_at(&host)));
        let places: Vec<usize> = match (over, named) {
            (Over::Trunk(place), _) => vec![place],
            (Over::Any, Some(place)) => vec![place],
            (Over::Any, None) => (0..self.trunks.len()).collect(),
        };
        let mut denied = Denied::NoTrunk;
        for (place, trunk) in places.into_iter().filter_map(|place| Some((place, self.trunks.get(place)?))) {
            // As it is dialled at home it may be a number that costs extra, which it is no longer in full; and the other way round.
            let full = trunk.numbers.full(&number);
            let at_home = if trunk.numbers.country.is_some() { Allowed::Usual.check(&number) } else { Ok(()) };
            let number = full;
            match trunk
                .allow
                .check(&number)
                .and_then(|()| at_home.or_else(|why| trunk.allow.names(&number).then_some(()).ok_or(why)))
            {
                Ok(()) => {
                    let host = trunk.uri.host_port().unwrap_or_else(|| HostPort::from(trunk.address));
                    let plain = Uri::sip(&trunk.numbers.dialled(&number), &host);
                    let by_tls = (trunk.uri.scheme() == Scheme::Sips).then_some("tls");
                    let transport = trunk.uri.param("transport").flatten().filter(|_| by_tls.is_none()).or(by_tls);
                    let uri = transport.map_or_else(|| plain.clone(), |transport| plain.with_param("transport", Some(transport)));
                    return Ok(Destination { number, trunk: place, uri });
                }
                Err(why) => denied = why,
            }
        }
        Err(denied)
    }

    /// The place of the trunk with this name.
    pub(crate) fn trunk_named(&self, name: &str) -> Option<usize> {
        self.trunks.iter().position(|trunk| trunk.name == name)
    }
}

/// A number without separators, `00` at its beginning written as `+`; of a SIP URI its user. None where that is nothing one could dial.
pub fn normalised(to: &str) -> Option<String> {
    let text = to.trim();
    let uri =
        text.split_once(':').filter(|(scheme, _)| ["sip", "sips", "tel"].iter().any(|one| scheme.eq_ignore_ascii_case(one)));
    let (user, context) = match uri {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("tel") => {
            let mut parts = rest.split(';');
            let number = parts.next().unwrap_or_default();
            let context = parts.find_map(|part| part.strip_prefix("phone-context="));
            (number.to_owned(), context.filter(|context| context.starts_with('+')).map(str::to_owned))
        }
        Some(_) => {
            let uri: Uri = text.parse().ok()?;
            (uri.user_plain()?.into_owned(), None)
        }
        None => (text.to_owned(), None),
    };
    let user = user.split(';').next().unwrap_or_default();
    let looks_dialled = user.chars().all(|sign| sign.is_ascii_digit() || "+-.() *#".contains(sign));
    if !looks_dialled {
        let is_name = user.len() <= 128 && user.chars().all(|sign| sign.is_ascii_alphanumeric() || "-_.+".contains(sign));
        return (uri.is_some() && is_name && !user.is_empty()).then(|| user.to_owned());
    }
    let bare: String = user.chars().filter(|sign| !"-.() ".contains(*sign)).collect();
    let digits = bare.chars().filter(char::is_ascii_digit).count();
    if digits == 0 || bare.len() > DIGITS_MAX || bare.rfind('+').is_some_and(|at| at > 0) {
        return None;
    }
    Some(match (context, bare.strip_prefix("00")) {
        (Some(context), _) if !bare.starts_with('+') => format!("{context}{bare}"),
        (_, Some(rest)) if digits >= 9 && !rest.starts_with('0') => format!("+{rest}"),
        (_, _) => bare,
    })
}

fn host_of(to: &str) -> Option<HostPort> {
    to.trim().parse::<Uri>().ok().filter(Uri::is_sip)?.host_port()
}

fn is_emergency(number: &str) -> bool {
    let bare = number.trim_start_matches(['+', '*', '#']);
    EMERGENCY.contains(&bare)
}

fn is_premium(number: &str) -> bool {
    if PREMIUM.iter().any(|prefix| number.starts_with(prefix)) {
        return true;
    }
    let out = number.strip_prefix("011").or_else(|| number.strip_prefix("00")).unwrap_or(number);
    let as_international =
        !number.starts_with('+') && out.len() > 10 && PREMIUM.iter().any(|prefix| out.starts_with(&prefix[1..]));
    as_international || PREMIUM_AT_HOME.iter().any(|prefix| number.starts_with(prefix) && number.len() >= 8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn emergency_and_premium_numbers_need_to_be_allowed_by_name() {
        for (allow, number, result) in [
            (None, "+15550142", Ok(())),
            (None, "911", Err(Denied::Emergency)),
            (None, "+112", Err(Denied::Emergency)),
            (None, "*911", Err(Denied::Emergency)),
            (None, "+19005550100", Err(Denied::Premium)),
            (None, "19005550100", Err(Denied::Premium)),
            (None, "01119005550100", Err(Denied::Premium)),
            (None, "9005550100", Err(Denied::Premium)),
            (None, "+881612345678", Err(Denied::Premium)),
            (None, "queue-7", Ok(())),
            (Some("+1*"), "+15550142", Ok(())),
            (Some("+1*"), "+19005550100", Err(Denied::Premium)),
            (Some("+1900*"), "+19005550100", Ok(())),
            (Some("+1*"), "+4930123", Err(Denied::NotAllowed)),
            (Some("*"), "911", Err(Denied::Emergency)),
            (Some("911"), "911", Ok(())),
            (Some("*42"), "+15550142", Ok(())),
            (Some("+1*3"), "+15550142", Err(Denied::NotAllowed)),
        ] {
            let allowed = allow.map_or(Allowed::Usual, |pattern: &str| Allowed::Patterns(vec![pattern.to_owned()]));
            assert_eq!(allowed.check(number), result, "{allow:?} {number}");
        }
    }

    #[test]
    fn a_number_is_written_in_one_way_only() {
        for (to, number) in [
            ("+1 (555) 01-00", Some("+15550100")),
            ("tel:+1-555-0100", Some("+15550100")),
            ("tel:0100;phone-context=+1555", Some("+15550100")),
            ("tel:911;phone-context=example.com", Some("911")),
            ("sip:+15550100@pbx.example;user=phone", Some("+15550100")),
            ("SIP:%2B15550100@pbx.example", Some("+15550100")),
            ("0049 30 123456", Some("+4930123456")),
            ("000", Some("000")),
            ("sip:queue-7@pbx.example", Some("queue-7")),
            ("queue-7", None),
            ("sip:pbx.example", None),
            ("sip:a%0d%0ab@pbx.example", None),
            ("1+2", None),
            ("+", None),
            ("", None),
            ("123456789012345678901", None),
        ] {
            assert_eq!(normalised(to).as_deref(), number, "{to}");
        }
    }
}
