//! Results as JUnit XML, which every CI can show.

use super::Played;

/// The report: one suite, one case for each story.
pub(super) fn report(played: &[Played]) -> String {
    let failures = played.iter().filter(|one| one.failure.is_some()).count();
    let skipped = played.iter().filter(|one| one.apart.is_some()).count();
    let time: f64 = played.iter().map(|one| one.took.as_secs_f64()).sum();
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    xml.push_str(&format!(
        "<testsuites>\n<testsuite name=\"baton replay\" tests=\"{}\" failures=\"{failures}\" skipped=\"{skipped}\" time=\"{time:.3}\">\n",
        played.len()
    ));
    for one in played {
        xml.push_str(&format!("<testcase name=\"{}\" time=\"{:.3}\"", escaped(&one.name), one.took.as_secs_f64()));
        match (&one.failure, &one.apart) {
            (None, None) => xml.push_str("/>\n"),
            (None, Some(why)) => xml.push_str(&format!("><skipped message=\"{}\"/></testcase>\n", escaped(why))),
            (Some(failure), _) => {
                let message = escaped(&failure.expected);
                xml.push_str(&format!(
                    "><failure message=\"{message}\">{}</failure></testcase>\n",
                    escaped(&failure.to_string())
                ));
            }
        }
    }
    xml.push_str("</testsuite>\n</testsuites>\n");
    xml
}

/// Text as XML may have it: five signs escaped, control characters left out.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for sign in text.chars() {
        match sign {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&apos;"),
            '\n' | '\t' => safe.push(sign),
            sign if sign.is_control() => {}
            sign => safe.push(sign),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_breaks_out_of_the_xml() {
        assert_eq!(escaped("a<b>&\"c'\u{1b}\n"), "a&lt;b&gt;&amp;&quot;c&apos;\n");
        assert!(report(&[]).contains("tests=\"0\""));
    }
}
