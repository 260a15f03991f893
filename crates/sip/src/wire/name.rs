//! Names of headers.

use super::alphabet::before_zero;

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

/// A name as words that begin with their lowest byte, with colons behind it: names are compared by three of them.
type Key = [u64; KEY_BYTES / 8];

/// Bytes of a key; no name that is known is longer.
pub(super) const KEY_BYTES: usize = 24;
const COLONS: u64 = u64::from_ne_bytes([b':'; 8]);

const fn key(text: &[u8]) -> Key {
    let mut key = [COLONS; 3];
    let mut place = 0;
    while place < text.len() {
        let shift = place % 8 * 8;
        key[place / 8] ^= ((b':' ^ text[place]) as u64) << shift;
        place += 1;
    }
    key
}

/// Names by their keys: where each is to be looked for, by its hash, and all of them.
struct Index<const LENGTH: usize> {
    places: [u8; 1024],
    names: [(Key, Name); LENGTH],
}

impl<const LENGTH: usize> Index<LENGTH> {
    const fn new(names: [(Key, Name); LENGTH]) -> Index<LENGTH> {
        let mut places = [LENGTH as u8; 1024];
        let mut at = 0;
        while at < LENGTH {
            let place = hash(&names[at].0);
            assert!(places[place] == LENGTH as u8, "two names have the same place: another factor is needed");
            places[place] = at as u8;
            at += 1;
        }
        Index { places, names }
    }

    #[inline(always)]
    fn find(&self, key: Key) -> Option<Name> {
        let (known, name) = self.names.get(usize::from(self.places[hash(&key) % self.places.len()]))?;
        // Word by word, in registers: a key that is written to memory to be compared as a whole has to be waited for.
        ((known[0] ^ key[0]) | (known[1] ^ key[1]) | (known[2] ^ key[2]) == 0).then_some(*name)
    }
}

/// The factor is one by which each name has a place of its own.
#[inline(always)]
const fn hash(key: &Key) -> usize {
    ((key[0] ^ key[1].rotate_left(31)).wrapping_mul(0xd265_42ee_46dc_1a27) >> 54) as usize
}

/// Long forms as they are printed.
static AS_PRINTED: Index<{ LONG.len() }> = {
    let mut names = [([COLONS; 3], Name::Other); LONG.len()];
    let mut at = 0;
    while at < LONG.len() {
        names[at] = (key(LONG[at].0.as_bytes()), LONG[at].1);
        at += 1;
    }
    Index::new(names)
};

/// All forms in small letters.
static IN_SMALL: Index<{ LONG.len() + COMPACT.len() }> = {
    let mut names = [([COLONS; 3], Name::Other); LONG.len() + COMPACT.len()];
    let mut at = 0;
    while at < LONG.len() {
        let [one, two, three] = AS_PRINTED.names[at].0;
        names[at] = ([small(one), small(two), small(three)], LONG[at].1);
        at += 1;
    }
    while at < names.len() {
        let (letter, name) = COMPACT[at - LONG.len()];
        names[at] = (key(&[letter]), name);
        at += 1;
    }
    Index::new(names)
};

/// How many bytes these bits are, from the lowest one on.
#[inline(always)]
fn bytes_in(bits: u64) -> usize {
    bits.trailing_ones() as usize / 8
}

/// Letters made small, and nothing else that could then be taken for a letter or a hyphen.
#[inline(always)]
const fn small(word: u64) -> u64 {
    word | word >> 1 & u64::from_ne_bytes([0x20; 8])
}

impl Name {
    /// The name written as `text`, in its long or compact form, in any case of letters.
    pub fn of(text: &str) -> Name {
        if text.len() > KEY_BYTES || text.contains(':') { Name::Other } else { Name::of_key(key(text.as_bytes())) }
    }

    #[inline(never)]
    fn of_key(key: Key) -> Name {
        IN_SMALL.find(key.map(small)).unwrap_or(Name::Other)
    }

    /// The name that ends with the first colon of `bytes`, how long it is, and whether it is written as we print it; [`Name::Other`] is any other
    /// text. None without a colon.
    #[inline(always)]
    pub(super) fn before_colon(bytes: &[u8; KEY_BYTES]) -> Option<(Name, usize, bool)> {
        let (words, _) = bytes.as_chunks();
        let [one, two, three] = [0, 1, 2].map(|place: usize| u64::from_le_bytes(words[place]));
        let cut = |word: u64| before_zero(word ^ COLONS).map(|before| (word & before | COLONS & !before, bytes_in(before)));
        if let Some((last, length)) = cut(one) {
            return Some(Name::found([last, COLONS, COLONS], length));
        }
        if let Some((last, length)) = cut(two) {
            return Some(Name::found([one, last, COLONS], 8 + length));
        }
        cut(three).map(|(last, length)| Name::found([one, two, last], 16 + length))
    }

    #[inline(always)]
    fn found(key: Key, length: usize) -> (Name, usize, bool) {
        match AS_PRINTED.find(key) {
            Some(name) => (name, length, true),
            None => (Name::of_key(key), length, false),
        }
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

    /// Whether routing needs its value.
    pub(super) const fn is_needed(self) -> bool {
        matches!(
            self,
            Name::Via
                | Name::From
                | Name::To
                | Name::CallId
                | Name::CSeq
                | Name::Contact
                | Name::MaxForwards
                | Name::ContentLength
                | Name::Route
                | Name::RecordRoute
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
        for strange in
            ["", "z", "@", "X-Baton-Summary", "Vi\u{e4}", "Max_Forwards", "ＶＩＡ", "Via:", "Vi:", "V\0", "Max\rForwards"]
        {
            assert_eq!(Name::of(strange), Name::Other, "{strange}");
        }
    }
}
