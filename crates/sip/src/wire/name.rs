//! Names of headers.

/// Declares [`Name`] with the long and the compact form of each.
macro_rules! names {
    ($($(#[$doc:meta])* $variant:ident $text:literal $($compact:literal)?,)*) => {
        /// The name of a header that this crate knows, whatever its form or case on the wire.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum Name {
            $(#[doc = $text] $variant,)*
            /// Any other name; found by its text.
            Other,
        }

        impl Name {
            /// The long form as it is printed; empty for [`Name::Other`].
            pub const fn text(self) -> &'static str {
                match self {
                    $(Name::$variant => $text,)*
                    Name::Other => "",
                }
            }
        }

        const LONG: &[(&str, Name)] = &[$(($text, Name::$variant),)*];
        const COMPACT: &[(u8, Name)] = &[$($((compact($compact), Name::$variant),)?)*];
    };
}

const fn compact(text: &str) -> u8 {
    text.as_bytes()[0]
}

names! {
    Via "Via" "v",
    From "From" "f",
    To "To" "t",
    CallId "Call-ID" "i",
    CSeq "CSeq",
    Contact "Contact" "m",
    MaxForwards "Max-Forwards",
    ContentLength "Content-Length" "l",
    ContentType "Content-Type" "c",
    Route "Route",
    RecordRoute "Record-Route",
    Require "Require",
    Supported "Supported" "k",
    ProxyRequire "Proxy-Require",
    Unsupported "Unsupported",
    Allow "Allow",
    AllowEvents "Allow-Events" "u",
    Accept "Accept",
    AcceptContact "Accept-Contact" "a",
    AcceptEncoding "Accept-Encoding",
    AcceptLanguage "Accept-Language",
    AlertInfo "Alert-Info",
    AuthenticationInfo "Authentication-Info",
    Authorization "Authorization",
    CallInfo "Call-Info",
    ContentDisposition "Content-Disposition",
    ContentEncoding "Content-Encoding" "e",
    ContentLanguage "Content-Language",
    Date "Date",
    Diversion "Diversion",
    ErrorInfo "Error-Info",
    Event "Event" "o",
    Expires "Expires",
    HistoryInfo "History-Info",
    Identity "Identity" "y",
    InReplyTo "In-Reply-To",
    InfoPackage "Info-Package",
    Join "Join",
    MimeVersion "MIME-Version",
    MinExpires "Min-Expires",
    MinSe "Min-SE",
    Organization "Organization",
    PAssertedIdentity "P-Asserted-Identity",
    PPreferredIdentity "P-Preferred-Identity",
    Path "Path",
    Priority "Priority",
    Privacy "Privacy",
    ProxyAuthenticate "Proxy-Authenticate",
    ProxyAuthorization "Proxy-Authorization",
    RAck "RAck",
    RSeq "RSeq",
    Reason "Reason",
    RecvInfo "Recv-Info",
    ReferSub "Refer-Sub",
    ReferTo "Refer-To" "r",
    ReferredBy "Referred-By" "b",
    RejectContact "Reject-Contact" "j",
    Replaces "Replaces",
    ReplyTo "Reply-To",
    RequestDisposition "Request-Disposition" "d",
    RetryAfter "Retry-After",
    Server "Server",
    ServiceRoute "Service-Route",
    SessionExpires "Session-Expires" "x",
    SessionId "Session-ID",
    SipEtag "SIP-ETag",
    SipIfMatch "SIP-If-Match",
    Subject "Subject" "s",
    SubscriptionState "Subscription-State",
    TargetDialog "Target-Dialog",
    Timestamp "Timestamp",
    UserAgent "User-Agent",
    UserToUser "User-to-User",
    Warning "Warning",
    WwwAuthenticate "WWW-Authenticate",
}

const LONGEST: usize = 24;

/// Names by their length, so that a line is compared with a handful of candidates only.
static BY_LENGTH: [[(&[u8], Name); 12]; LONGEST] = by_length();

const fn by_length() -> [[(&'static [u8], Name); 12]; LONGEST] {
    const NONE: (&[u8], Name) = (b"", Name::Other);
    let mut table = [[NONE; 12]; LONGEST];
    let mut used = [0; LONGEST];
    let mut at = 0;
    while at < LONG.len() {
        let length = LONG[at].0.len();
        table[length][used[length]] = (LONG[at].0.as_bytes(), LONG[at].1);
        used[length] += 1;
        at += 1;
    }
    table
}

static BY_LETTER: [Name; 26] = by_letter();

const fn by_letter() -> [Name; 26] {
    let mut table = [Name::Other; 26];
    let mut at = 0;
    while at < COMPACT.len() {
        table[(COMPACT[at].0 - b'a') as usize] = COMPACT[at].1;
        at += 1;
    }
    table
}

impl Name {
    /// The name written as `text`, in its long or compact form, in any case of letters.
    pub fn of(text: &str) -> Name {
        // Among the bytes of tokens, one bit tells large letters from small ones, and nothing else from anything.
        if super::scan::is_token(text) { Name::of_token(text.as_bytes()) } else { Name::Other }
    }

    /// The same for bytes that may all stand in a token.
    #[inline]
    pub(super) fn of_token(bytes: &[u8]) -> Name {
        if let [letter] = bytes {
            let letter = letter.to_ascii_lowercase().wrapping_sub(b'a');
            return BY_LETTER.get(usize::from(letter)).copied().unwrap_or(Name::Other);
        }
        let Some(candidates) = BY_LENGTH.get(bytes.len()) else { return Name::Other };
        let is_it = |(known, _): &&(&[u8], Name)| is_alike(known, bytes);
        candidates.iter().take_while(|(_, name)| *name != Name::Other).find(is_it).map_or(Name::Other, |(_, name)| *name)
    }

    /// Whether one line may hold several values with commas between them (RFC 3261 §7.3.1).
    pub const fn is_list(self) -> bool {
        matches!(
            self,
            Name::Via
                | Name::Contact
                | Name::Route
                | Name::RecordRoute
                | Name::Require
                | Name::Supported
                | Name::ProxyRequire
                | Name::Unsupported
                | Name::Allow
                | Name::AllowEvents
                | Name::Accept
                | Name::AcceptContact
                | Name::AcceptEncoding
                | Name::AcceptLanguage
                | Name::AlertInfo
                | Name::CallInfo
                | Name::ContentEncoding
                | Name::Diversion
                | Name::ErrorInfo
                | Name::HistoryInfo
                | Name::InReplyTo
                | Name::PAssertedIdentity
                | Name::PPreferredIdentity
                | Name::Path
                | Name::Reason
                | Name::RecvInfo
                | Name::RejectContact
                | Name::ServiceRoute
                | Name::UserToUser
                | Name::Warning
        )
    }

    /// Whether a message has at most one of it.
    pub(crate) const fn is_single(self) -> bool {
        matches!(
            self,
            Name::From
                | Name::To
                | Name::CallId
                | Name::CSeq
                | Name::MaxForwards
                | Name::ContentType
                | Name::Expires
                | Name::Event
                | Name::ReferTo
                | Name::ReferredBy
                | Name::Replaces
                | Name::RAck
                | Name::RSeq
                | Name::SubscriptionState
        )
    }
}

/// Whether two names of the same length are the same but for the bit that tells large letters from small ones; eight bytes at a time.
#[inline]
fn is_alike(known: &[u8], bytes: &[u8]) -> bool {
    const SMALL: u64 = u64::from_ne_bytes([0x20; 8]);
    let word = |eight: &[u8; 8]| u64::from_ne_bytes(*eight) | SMALL;
    match (known.first_chunk(), bytes.first_chunk(), known.last_chunk(), bytes.last_chunk()) {
        (Some(one), Some(two), Some(end), Some(other)) if known.len() <= 16 => word(one) == word(two) && word(end) == word(other),
        _ => known.iter().zip(bytes).all(|(known, byte)| known | 0x20 == byte | 0x20),
    }
}

/// What a header is looked up by: a known [`Name`], or any text (`"X-Baton-Summary"`, `"v"`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sought<'a> {
    pub(crate) name: Name,
    pub(crate) text: &'a str,
}

impl From<Name> for Sought<'_> {
    fn from(name: Name) -> Self {
        Sought { name, text: name.text() }
    }
}

impl<'a> From<&'a str> for Sought<'a> {
    fn from(text: &'a str) -> Self {
        let name = Name::of(text);
        Sought { name, text: if name == Name::Other { text } else { name.text() } }
    }
}

impl<'a> From<&'a String> for Sought<'a> {
    fn from(text: &'a String) -> Self {
        Sought::from(text.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_found_in_any_case_and_in_its_compact_form() {
        for (text, name) in LONG {
            assert_eq!(Name::of(text), *name);
            assert_eq!(Name::of(&text.to_uppercase()), *name);
            assert_eq!(Name::of(&text.to_lowercase()), *name);
            assert_eq!(Name::of(&format!("{text}x")), Name::Other);
        }
        for (letter, name) in COMPACT {
            assert_eq!(Name::of(&char::from(*letter).to_string()), *name);
            assert_eq!(Name::of(&char::from(*letter).to_uppercase().to_string()), *name);
        }
        for strange in ["", "z", "@", "X-Baton-Summary", "Vi\u{e4}", "Max_Forwards", "ＶＩＡ"] {
            assert_eq!(Name::of(strange), Name::Other, "{strange}");
        }
    }
}
