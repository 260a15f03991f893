//! Bodies of several parts (RFC 2046 §5.1; RFC 5621): finds the one that we read.

use bytes::Bytes;

/// The first part of this type; none where there is none or the boundary is nonsense.
pub(crate) fn part(body: &Bytes, boundary: &str, content_type: &str) -> Option<Bytes> {
    if boundary.is_empty() || boundary.len() > 70 {
        return None;
    }
    let delimiter = format!("--{boundary}");
    let starts = find_all(body, delimiter.as_bytes());
    starts.windows(2).find_map(|pair| {
        let inner = body.get(pair[0] + delimiter.len()..pair[1])?;
        let inner = inner.strip_prefix(b"\r\n")?;
        let end = inner.windows(4).position(|four| four == b"\r\n\r\n")?;
        let head = std::str::from_utf8(&inner[..end]).ok()?;
        let is_sought = head.split("\r\n").filter_map(|line| line.split_once(':')).any(|(name, value)| {
            let value = value.split(';').next().unwrap_or_default().trim();
            name.trim().eq_ignore_ascii_case("Content-Type") && value.eq_ignore_ascii_case(content_type)
        });
        let content = &inner[end + 4..];
        // The line end before the next delimiter belongs to the delimiter.
        let content = content.strip_suffix(b"\r\n").unwrap_or(content);
        is_sought.then(|| body.slice_ref(content))
    })
}

/// Where `sought` stands at the beginning of a line.
fn find_all(body: &[u8], sought: &[u8]) -> Vec<usize> {
    let ends = body.windows(2).enumerate().filter(|(_, two)| two == b"\r\n").map(|(at, _)| at + 2);
    std::iter::once(0).chain(ends).filter(|at| body[*at..].starts_with(sought)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &[u8] = b"preamble\r\n--b\r\nContent-Type: application/pidf+xml\r\n\r\n<x/>\r\n--b\r\nContent-type : Application/SDP;a=b\r\n\r\nv=0\r\n\r\n--b--\r\n";

    #[test]
    fn the_description_is_found_among_the_parts() {
        assert_eq!(part(&Bytes::from_static(BODY), "b", "application/sdp").as_deref(), Some(&b"v=0\r\n"[..]));
    }

    #[test]
    fn nothing_is_found_where_nothing_is() {
        let body = Bytes::from_static(BODY);
        for boundary in ["", "c", "b--"] {
            assert_eq!(part(&body, boundary, "application/sdp"), None, "{boundary}");
        }
        assert_eq!(part(&body, "b", "text/plain"), None);
        for end in 0..BODY.len() {
            let _: Option<Bytes> = part(&body.slice(..end), "b", "application/sdp");
        }
    }
}
