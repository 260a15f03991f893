//! How a trunk writes numbers, and how we do: `+` and the country in front, everywhere inside.

/// The least digits of a number that has an area code: shorter ones are dialled as they are.
const DIGITS_MIN: usize = 7;

/// How a trunk writes numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NumberPlan {
    /// The country that the trunk is in: `+49`. Without it numbers stay as they are.
    pub country: Option<String>,
    /// What is dialled before a number of the same country: `0`, `1`, or nothing.
    pub national_prefix: String,
    /// What is dialled before a number of another country, instead of `+`.
    pub international_prefix: String,
    /// How numbers are written towards the trunk.
    pub dial: DialForm,
}

/// How numbers are written towards a trunk.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum DialForm {
    /// As they are: `+4930123456` stays that.
    #[default]
    AsIs,
    /// Without the plus: `4930123456`.
    Plain,
    /// As they are dialled there: `030123456`, and `00…` for other countries.
    National,
}

impl NumberPlan {
    /// A number as the trunk wrote it, in full: `030 123456` becomes `+4930123456`. What is no such number, or too short, stays as it is.
    pub fn full(&self, number: &str) -> String {
        let Some(country) = &self.country else { return number.to_owned() };
        let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
        if !is_number || number.len() < DIGITS_MIN {
            return number.to_owned();
        }
        let international = number.strip_prefix(&self.international_prefix).filter(|_| !self.international_prefix.is_empty());
        if let Some(rest) = international.filter(|rest| rest.len() > DIGITS_MIN && !rest.starts_with('0')) {
            return format!("+{rest}");
        }
        let bare = country.trim_start_matches('+');
        match number.strip_prefix(&self.national_prefix).filter(|_| !self.national_prefix.is_empty()) {
            Some(rest) if rest.len() >= DIGITS_MIN - 1 => format!("{country}{rest}"),
            _ if number.starts_with(bare) && number.len() > bare.len() + DIGITS_MIN => format!("+{number}"),
            None if self.national_prefix.is_empty() || is_ten_digits_of_america(bare, number) => format!("{country}{number}"),
            Some(_) | None => number.to_owned(),
        }
    }

    /// A full number as the trunk wants it dialled.
    pub fn dialled(&self, number: &str) -> String {
        let Some(digits) = number.strip_prefix('+') else { return number.to_owned() };
        match self.dial {
            DialForm::AsIs => number.to_owned(),
            DialForm::Plain => digits.to_owned(),
            DialForm::National => {
                let own = self.country.as_deref().and_then(|country| number.strip_prefix(country));
                match own {
                    Some(rest) => format!("{}{rest}", self.national_prefix),
                    None => format!("{}{digits}", self.international_prefix),
                }
            }
        }
    }
}

/// North America: ten digits are whole, with or without the 1.
fn is_ten_digits_of_america(country: &str, number: &str) -> bool {
    country == "1" && number.len() == 10 && !number.starts_with(['0', '1'])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(country: &str, national: &str, international: &str, dial: DialForm) -> NumberPlan {
        NumberPlan {
            country: Some(country.to_owned()),
            national_prefix: national.to_owned(),
            international_prefix: international.to_owned(),
            dial,
        }
    }

    #[test]
    fn what_a_trunk_writes_is_read_in_full() {
        let germany = plan("+49", "0", "00", DialForm::AsIs);
        let america = plan("+1", "1", "011", DialForm::AsIs);
        let italy = plan("+39", "", "00", DialForm::AsIs);
        for (plan, written, full) in [
            (&germany, "030123456", "+4930123456"),
            (&germany, "004930123456", "+4930123456"),
            (&germany, "0044207946000", "+44207946000"),
            (&germany, "4930123456", "+4930123456"),
            (&germany, "+4930123456", "+4930123456"),
            (&germany, "110", "110"),
            (&germany, "123456", "123456"),
            (&germany, "anonymous", "anonymous"),
            (&germany, "", ""),
            (&america, "5555550142", "+15555550142"),
            (&america, "15555550142", "+15555550142"),
            (&america, "0114930123456", "+4930123456"),
            (&america, "911", "911"),
            (&italy, "0612345678", "+390612345678"),
            (&NumberPlan::default(), "030123456", "030123456"),
        ] {
            assert_eq!(plan.full(written), full, "{written}");
        }
    }

    #[test]
    fn what_is_dialled_is_written_as_the_trunk_wants_it() {
        let by = |dial| plan("+49", "0", "00", dial);
        for (plan, number, dialled) in [
            (by(DialForm::AsIs), "+4930123456", "+4930123456"),
            (by(DialForm::Plain), "+4930123456", "4930123456"),
            (by(DialForm::National), "+4930123456", "030123456"),
            (by(DialForm::National), "+15550142", "0015550142"),
            (by(DialForm::National), "110", "110"),
            (by(DialForm::National), "queue-7", "queue-7"),
        ] {
            assert_eq!(plan.dialled(number), dialled, "{number}");
        }
    }
}
