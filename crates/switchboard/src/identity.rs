//! Who we say is calling: From, P-Asserted-Identity, Diversion.

/// `user` with everything escaped that may not stand in the user part of a SIP URI (RFC 3261 §25.1).
pub(crate) fn escaped_user(user: &str) -> String {
    let mut text = String::with_capacity(user.len());
    for byte in user.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.!~*'()&=+$,;?/".contains(&byte) {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    text
}
