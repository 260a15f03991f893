//! SIP on the wire: messages read and printed, byte for byte.
//!
//! A [`Message`] keeps the bytes it came as, an index of its headers, and where everything that routing needs stands in them: it is read once, and
//! seen by views, which cost nothing. Everything else is read when asked for. Values that are to be kept share the message's bytes.

mod alphabet;
mod builder;
mod fault;
mod framer;
mod head;
mod host;
pub mod limits;
mod message;
mod method;
mod name;
mod name_addr;
mod params;
mod parse;
mod quick;
mod scan;
mod shape;
mod tel;
#[cfg(test)]
mod tests;
mod text;
mod typed;
mod uri;
mod values;
mod via;
mod view;

pub use builder::{Builder, Header};
pub use fault::{Fault, Rule};
pub use framer::{Frame, Framer};
pub use host::{Host, HostPort};
pub use message::Message;
pub use method::Method;
pub use name::{Name, Sought};
pub use name_addr::NameAddr;
pub use params::Params;
pub use parse::parse_datagram;
pub use scan::Items;
pub use tel::Tel;
pub use text::Text;
pub use uri::{Scheme, Uri};
pub use values::{CSeq, ContentType, Event, Reason, ReferTo, Replaces, RetryAfter, SubscriptionState};
pub use via::{COOKIE, Via};
pub use view::{AddrRef, HostRef, UriRef, ViaRef};

pub(crate) use scan::pairs;
pub(crate) use text::serde_as_written;
