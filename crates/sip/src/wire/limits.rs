//! Ends of everything that is read. What is longer is refused.

/// Bytes of a whole message: what one UDP datagram can hold.
pub const MESSAGE_MAX: usize = 65_535;
/// Bytes of the start line and all headers together.
pub const HEAD_MAX: usize = 32 * 1024;
/// Headers of one message.
pub const HEADERS_MAX: usize = 256;
/// Bytes of one header with its name and all its continuation lines.
pub const HEADER_MAX: usize = 8 * 1024;
/// Bytes of the name of a header.
pub const NAME_MAX: usize = 128;
/// Bytes of a method.
pub const METHOD_MAX: usize = 64;
/// Bytes of a URI with its embedded headers.
pub const URI_MAX: usize = 4 * 1024;
/// Bytes of a host.
pub const HOST_MAX: usize = 255;
/// Vias, contacts, routes of one message, each.
pub const LIST_MAX: usize = 70;
/// The highest number of a CSeq: below 2^31 (RFC 3261 §8.1.1.5).
pub const CSEQ_MAX: u64 = (1 << 31) - 1;
