//! Telephone numbers: RFC 3966.

use super::{Rule, scan};

/// A telephone number without its visual separators; equal numbers compare equal however they were written.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tel {
    /// Digits, `*`, `#`, and letters A to F (in capitals), with `+` in front of a global number.
    pub number: String,
    /// Where a local number is valid; without separators if it is a global prefix, in small letters if it is a domain.
    pub context: Option<String>,
}

impl Tel {
    /// Reads a number, global (`+1-212-555-0101`) or local; none if something else than digits and separators is in it, or no digit at all.
    pub fn read(text: &str, context: Option<&str>) -> Option<Tel> {
        let (plus, digits) = text.strip_prefix('+').map_or(("", text), |digits| ("+", digits));
        let mut number = plus.to_owned();
        for char in digits.chars() {
            match char {
                '0'..='9' => number.push(char),
                '*' | '#' | 'a'..='f' | 'A'..='F' if plus.is_empty() => number.push(char.to_ascii_uppercase()),
                '-' | '.' | '(' | ')' => {}
                _ => return None,
            }
        }
        let context = context.map(|context| match Tel::read(context, None) {
            Some(prefix) if context.starts_with('+') => prefix.number,
            _ => context.to_ascii_lowercase(),
        });
        number.bytes().any(|byte| byte != b'+').then_some(Tel { number, context })
    }

    /// Whether it is valid everywhere.
    pub fn is_global(&self) -> bool {
        self.number.starts_with('+')
    }

    /// Checks what follows `tel:`. A local number must say where it is valid (RFC 3966 §5.1.5); many do not, and are let in.
    pub(crate) fn check(text: &str) -> Result<(), Rule> {
        let mut parts = text.split(';');
        let number = scan::unescape(parts.next().unwrap_or_default());
        let is_param = |param: &str| {
            let (name, value) = param.split_once('=').unwrap_or((param, "-"));
            !name.is_empty() && !value.is_empty() && scan::is_uri_param(name) && scan::is_uri_param(value)
        };
        if Tel::read(&number, None).is_none() || !parts.all(is_param) {
            return Err(Rule::Uri);
        }
        Ok(())
    }
}
