//! The order in which servers are tried: RFC 2915 for NAPTR, RFC 2782 for SRV.

use baton_sip::Transport;

/// One NAPTR record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Naptr {
    /// Lower comes first.
    pub(crate) order: u16,
    /// Lower comes first among equal orders.
    pub(crate) preference: u16,
    /// `s` where the replacement is the name of SRV records.
    pub(crate) flags: String,
    /// `SIP+D2U`, `SIP+D2T`, `SIPS+D2T` …
    pub(crate) service: String,
    /// The name that comes next.
    pub(crate) replacement: String,
}

/// One SRV record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Srv {
    /// Lower comes first.
    pub(crate) priority: u16,
    /// The share among equal priorities.
    pub(crate) weight: u16,
    /// The port.
    pub(crate) port: u16,
    /// The name of the server.
    pub(crate) target: String,
}

/// The SIP services among the records, the one that is preferred first, each with the name of its SRV records.
pub(crate) fn services(mut records: Vec<Naptr>) -> Vec<(Transport, String)> {
    records.sort_by_key(|record| (record.order, record.preference));
    let service = |record: &Naptr| match record.service.to_ascii_uppercase().as_str() {
        "SIP+D2U" => Some(Transport::Udp),
        "SIP+D2T" => Some(Transport::Tcp),
        "SIPS+D2T" => Some(Transport::Tls),
        "SIP+D2W" => Some(Transport::Ws),
        "SIPS+D2W" => Some(Transport::Wss),
        _ => None,
    };
    let plain = records.iter().filter(|record| record.flags.eq_ignore_ascii_case("s") && !record.replacement.is_empty());
    plain.filter_map(|record| Some((service(record)?, record.replacement.clone()))).collect()
}

/// The servers in the order in which they are tried: by priority, and by lot among equals, so that each comes first as often as its weight says.
pub(crate) fn servers(mut records: Vec<Srv>, chance: &mut dyn FnMut(u64) -> u64) -> Vec<Srv> {
    // RFC 2782: a single record whose target is the root says that the service is not there.
    records.retain(|record| !record.target.trim_end_matches('.').is_empty());
    records.sort_by_key(|record| (record.priority, record.weight));
    let mut ordered = Vec::with_capacity(records.len());
    while let Some(priority) = records.first().map(|record| record.priority) {
        let equals = records.iter().take_while(|record| record.priority == priority);
        let total: u64 = equals.clone().map(|record| u64::from(record.weight)).sum();
        let drawn = chance(total + 1);
        let mut sum = 0;
        let place = equals.clone().position(|record| {
            sum += u64::from(record.weight);
            sum >= drawn
        });
        ordered.push(records.remove(place.unwrap_or(0)));
    }
    ordered
}
