//! Text from outside, made fit for a page.

/// `text` without control characters and without characters that turn the reading direction, cut to `chars_max` characters.
///
/// Line ends and tabs become spaces. What HTML itself gives a meaning to is escaped later, where the page is written.
pub(crate) fn clean(text: &str, chars_max: usize) -> String {
    let mut cleaned: String =
        text.chars().filter(|c| !is_steering(*c)).take(chars_max).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().nth(chars_max).is_some() {
        cleaned.push('…');
    }
    cleaned
}

/// Invisible characters that reorder what stands around them (Unicode Bidirectional Algorithm, explicit formatting), and the
/// byte order mark.
fn is_steering(c: char) -> bool {
    matches!(c, '\u{200E}' | '\u{200F}' | '\u{061C}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' | '\u{FEFF}')
}

/// A number as people write it: `120,000`, `0.62`.
pub(crate) fn number(value: f64) -> String {
    let text = value.to_string();
    let (sign, digits) = text.strip_prefix('-').map_or(("", text.as_str()), |rest| ("-", rest));
    let (whole, fraction) = digits.split_once('.').map_or((digits, None), |(whole, fraction)| (whole, Some(fraction)));
    let mut grouped = sign.to_owned();
    for (at, digit) in whole.char_indices() {
        if at > 0 && (whole.len() - at) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    if let Some(fraction) = fraction {
        grouped.push('.');
        grouped.push_str(fraction);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_and_steering_characters_are_taken_out_and_long_text_is_cut() {
        assert_eq!(clean("a\r\nb\u{0}c\u{1b}[31m\u{202E}txt", 100), "a  b c [31mtxt");
        assert_eq!(clean("ééé", 2), "éé…");
        assert_eq!(clean("ééé", 3), "ééé");
    }

    #[test]
    fn numbers_are_grouped() {
        assert_eq!([120_000.0, 500.0, 0.62, -1_234.5, 0.0].map(number), ["120,000", "500", "0.62", "-1,234.5", "0"]);
        assert_eq!(number(f64::NAN), "NaN");
    }
}
