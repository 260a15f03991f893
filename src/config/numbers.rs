//! Which numbers a trunk may dial.

/// Emergency numbers of the world, dialled as they are.
const EMERGENCY: &[&str] = &[
    "000", "08", "100", "101", "102", "103", "104", "105", "106", "108", "110", "111", "112", "113", "115", "117", "118", "119",
    "122", "123", "128", "131", "132", "133", "144", "15", "150", "155", "158", "16", "17", "18", "190", "191", "192", "193",
    "194", "199", "911", "995", "997", "998", "999",
];

/// What numbers that cost extra begin with.
const PREMIUM: &[&str] = &[
    "+1900", "+1976", "+3390", "+3389", "+3481", "+3480", "+3490", "+3989", "+4190", "+4487", "+449", "+4590", "+4682", "+46900",
    "+46939", "+46944", "+49137", "+49180", "+49190", "+49900", "+43900", "+43930", "+43931", "+61190", "+81990", "+979", "+881",
    "+882", "+883",
];

/// Whether `number` may be dialled: by a trunk's `allow` where it has one, else everything but emergency and premium numbers.
pub(crate) fn allowed(allow: Option<&[String]>, number: &str) -> bool {
    match allow {
        Some(patterns) => patterns.iter().any(|pattern| glob(pattern, number)),
        None => !EMERGENCY.contains(&number.trim_start_matches('+')) && !PREMIUM.iter().any(|prefix| number.starts_with(prefix)),
    }
}

/// Whether `pattern`, in which `*` stands for any run of characters, describes all of `text`.
fn glob(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((head, tail)) => text
            .strip_prefix(head)
            .is_some_and(|rest| (0..=rest.len()).any(|at| rest.is_char_boundary(at) && glob(tail, &rest[at..]))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn emergency_and_premium_numbers_need_to_be_allowed_by_name() {
        for (allow, number, fits) in [
            (None, "+15550142", true),
            (None, "911", false),
            (None, "112", false),
            (None, "+19005550100", false),
            (Some("+1*"), "+15550142", true),
            (Some("+1*"), "+4930123", false),
            (Some("911"), "911", true),
            (Some("*42"), "+15550142", true),
            (Some("+1*0*2"), "+15550142", true),
            (Some("+1*3"), "+15550142", false),
        ] {
            let allow = allow.map(|pattern: &str| vec![pattern.to_owned()]);
            assert_eq!(allowed(allow.as_deref(), number), fits, "{allow:?} {number}");
        }
    }
}
