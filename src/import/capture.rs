//! Packets of a capture file: pcap of either byte order and precision, and pcapng.

/// Why a file cannot be imported.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unreadable {
    /// Another kind of file.
    #[error("is no pcap and no pcapng file")]
    Unknown,
    /// It ends in the middle, or contradicts itself.
    #[error("is damaged at byte {0}")]
    Damaged(usize),
    /// Its packets are not of a network that is known here.
    #[error("has packets of link type {0}, which is not known here; Ethernet, Linux cooked, loopback and raw IP are")]
    Link(u32),
}

/// A packet, with the headers of its link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Packet<'a> {
    /// Microseconds since 1970.
    pub(super) at: i64,
    /// LINKTYPE_…
    pub(super) link: u32,
    pub(super) bytes: &'a [u8],
}

/// Every packet of a file, in its order.
pub(super) fn packets(file: &[u8]) -> Result<Vec<Packet<'_>>, Unreadable> {
    let magic: [u8; 4] = file.get(..4).and_then(|magic| magic.try_into().ok()).ok_or(Unreadable::Unknown)?;
    match magic {
        [0x0a, 0x0d, 0x0d, 0x0a] => pcapng(file),
        [0xd4, 0xc3, 0xb2, 0xa1] => pcap(file, Order::Little, 1),
        [0xa1, 0xb2, 0xc3, 0xd4] => pcap(file, Order::Big, 1),
        [0x4d, 0x3c, 0xb2, 0xa1] => pcap(file, Order::Little, 1_000),
        [0xa1, 0xb2, 0x3c, 0x4d] => pcap(file, Order::Big, 1_000),
        _ => Err(Unreadable::Unknown),
    }
}

/// The order of the bytes of a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Little,
    Big,
}

impl Order {
    fn long(self, file: &[u8], at: usize) -> Result<u32, Unreadable> {
        let bytes = file.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).ok_or(Unreadable::Damaged(at))?;
        Ok(match self {
            Order::Little => u32::from_le_bytes(bytes),
            Order::Big => u32::from_be_bytes(bytes),
        })
    }

    fn short(self, file: &[u8], at: usize) -> Result<u16, Unreadable> {
        let bytes = file.get(at..at + 2).and_then(|bytes| bytes.try_into().ok()).ok_or(Unreadable::Damaged(at))?;
        Ok(match self {
            Order::Little => u16::from_le_bytes(bytes),
            Order::Big => u16::from_be_bytes(bytes),
        })
    }
}

/// `per_micro`: how many units of a fraction are a microsecond.
fn pcap(file: &[u8], order: Order, per_micro: i64) -> Result<Vec<Packet<'_>>, Unreadable> {
    let link = order.long(file, 20)? & 0x0fff_ffff;
    let (mut at, mut packets) = (24, Vec::new());
    while at < file.len() {
        let (seconds, fraction) = (order.long(file, at)?, order.long(file, at + 4)?);
        let length = order.long(file, at + 8)? as usize;
        let bytes = piece(file, at + 16, length)?;
        let micros = i64::from(seconds) * 1_000_000 + i64::from(fraction) / per_micro;
        packets.push(Packet { at: micros, link, bytes });
        at += 16 + length;
    }
    Ok(packets)
}

fn piece(file: &[u8], at: usize, length: usize) -> Result<&[u8], Unreadable> {
    at.checked_add(length).and_then(|end| file.get(at..end)).ok_or(Unreadable::Damaged(at))
}

/// What an interface block says.
#[derive(Debug, Clone, Copy)]
struct Interface {
    link: u32,
    /// Units of a timestamp in a second.
    per_second: u64,
}

fn pcapng(file: &[u8]) -> Result<Vec<Packet<'_>>, Unreadable> {
    let (mut at, mut packets) = (0, Vec::new());
    let (mut order, mut interfaces): (Order, Vec<Interface>) = (Order::Little, Vec::new());
    while at < file.len() {
        if file[at..].starts_with(&[0x0a, 0x0d, 0x0d, 0x0a]) {
            order = match file.get(at + 8..at + 12) {
                Some([0x4d, 0x3c, 0x2b, 0x1a]) => Order::Little,
                Some([0x1a, 0x2b, 0x3c, 0x4d]) => Order::Big,
                Some(_) | None => return Err(Unreadable::Damaged(at)),
            };
            interfaces.clear();
        }
        let (kind, length) = (order.long(file, at)?, order.long(file, at + 4)? as usize);
        if length < 12 || length % 4 != 0 {
            return Err(Unreadable::Damaged(at));
        }
        let block = piece(file, at, length)?;
        match kind {
            1 => interfaces.push(interface(block, order)?),
            6 => packets.extend(enhanced(block, order, &interfaces).map_err(|_| Unreadable::Damaged(at))?),
            _ => {} // statistics, names, and packets without a time
        }
        at += length;
    }
    Ok(packets)
}

fn interface(block: &[u8], order: Order) -> Result<Interface, Unreadable> {
    let mut interface = Interface { link: u32::from(order.short(block, 8)?), per_second: 1_000_000 };
    let mut at = 16;
    while at + 4 <= block.len() - 4 {
        let (code, length) = (order.short(block, at)?, usize::from(order.short(block, at + 2)?));
        if code == 0 {
            break;
        }
        // if_tsresol: a power of ten, or of two where the highest bit is set.
        if let (9, Some(unit)) = (code, block.get(at + 4)) {
            let power = u32::from(unit & 0x7f);
            let base: u64 = if unit & 0x80 == 0 { 10 } else { 2 };
            interface.per_second = base.checked_pow(power).filter(|units| *units > 0).unwrap_or(1_000_000);
        }
        at += 4 + length.next_multiple_of(4);
    }
    Ok(interface)
}

fn enhanced<'a>(block: &'a [u8], order: Order, interfaces: &[Interface]) -> Result<Option<Packet<'a>>, Unreadable> {
    let Some(interface) = interfaces.get(order.long(block, 8)? as usize) else { return Ok(None) };
    let units = u64::from(order.long(block, 12)?) << 32 | u64::from(order.long(block, 16)?);
    let micros = u128::from(units) * 1_000_000 / u128::from(interface.per_second);
    let bytes = piece(&block[..block.len() - 4], 28, order.long(block, 20)? as usize)?;
    Ok(Some(Packet { at: i64::try_from(micros).unwrap_or(i64::MAX), link: interface.link, bytes }))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A classic file of one packet.
    fn classic(order: Order, magic: [u8; 4], fraction: u32) -> Vec<u8> {
        let long = |value: u32| match order {
            Order::Little => value.to_le_bytes(),
            Order::Big => value.to_be_bytes(),
        };
        let mut file = magic.to_vec();
        file.extend([[2, 0, 4, 0], [0; 4], [0; 4], long(65_535), long(101), long(7), long(fraction), long(3), long(3)].concat());
        file.extend(b"abc");
        file
    }

    #[test]
    fn classic_files_of_both_orders_and_both_precisions_are_read() {
        for (order, magic, fraction) in [
            (Order::Little, [0xd4, 0xc3, 0xb2, 0xa1], 5),
            (Order::Big, [0xa1, 0xb2, 0xc3, 0xd4], 5),
            (Order::Little, [0x4d, 0x3c, 0xb2, 0xa1], 5_000),
            (Order::Big, [0xa1, 0xb2, 0x3c, 0x4d], 5_999),
        ] {
            let file = classic(order, magic, fraction);
            assert_eq!(packets(&file), Ok(vec![Packet { at: 7_000_005, link: 101, bytes: b"abc" }]), "{magic:?}");
        }
    }

    #[test]
    fn a_file_that_ends_in_the_middle_says_where() {
        let file = classic(Order::Little, [0xd4, 0xc3, 0xb2, 0xa1], 5);
        assert_eq!(packets(&file[..file.len() - 1]), Err(Unreadable::Damaged(40)));
        assert_eq!(packets(b"GIF89a"), Err(Unreadable::Unknown));
        assert_eq!(packets(b""), Err(Unreadable::Unknown));
        for end in 1..60 {
            drop(packets(&crate::capture::pcapng::beginning("x")[..end.min(40)]));
        }
    }
}
