//! RFC 3263 over a zone that is written out.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use super::order::{self, Naptr, Srv};
use super::{Names, NamesError, ResolveError, resolve};

/// What DNS says in a test: addresses, servers and services by name.
#[derive(Debug, Clone, Default)]
pub(crate) struct Zone {
    addresses: Arc<BTreeMap<&'static str, Vec<IpAddr>>>,
    srv: Arc<BTreeMap<&'static str, Vec<Srv>>>,
    naptr: Arc<BTreeMap<&'static str, Vec<Naptr>>>,
}

impl Zone {
    pub(crate) fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, NamesError> {
        match host {
            "broken.example" => Err(NamesError("no server answers".to_owned())),
            _ => Ok(self.addresses.get(host).cloned().unwrap_or_default()),
        }
    }

    pub(crate) fn srv(&self, name: &str) -> Vec<Srv> {
        self.srv.get(name).cloned().unwrap_or_default()
    }

    pub(crate) fn naptr(&self, name: &str) -> Vec<Naptr> {
        self.naptr.get(name).cloned().unwrap_or_default()
    }
}

fn srv(priority: u16, weight: u16, port: u16, target: &str) -> Srv {
    Srv { priority, weight, port, target: target.to_owned() }
}

fn naptr(order: u16, preference: u16, service: &str, replacement: &str) -> Naptr {
    let (service, replacement) = (service.to_owned(), replacement.to_owned());
    Naptr { order, preference, flags: "s".to_owned(), service, replacement }
}

fn zone() -> Names {
    let ip = |text: &str| vec![text.parse().expect("an address")];
    let addresses = [
        ("plain.example", vec!["192.0.2.1".parse().expect("v4"), "2001:db8::1".parse().expect("v6")]),
        ("a.example", ip("192.0.2.11")),
        ("b.example", ip("192.0.2.12")),
        ("gone.example", ip("192.0.2.99")),
    ];
    let srv = [
        ("_sip._udp.srv.example", vec![srv(20, 0, 5060, "b.example"), srv(10, 0, 5080, "a.example")]),
        ("_sip._tcp.srv.example", vec![srv(10, 0, 5082, "a.example")]),
        ("_sips._tcp.srv.example", vec![srv(10, 0, 5061, "b.example")]),
        ("tcp.naptr.example", vec![srv(1, 0, 5082, "a.example"), srv(2, 0, 5082, "nobody.example")]),
        ("udp.naptr.example", vec![srv(1, 0, 5060, "b.example")]),
        ("_sip._udp.gone.example", vec![srv(0, 0, 0, "")]),
    ];
    let naptr = [(
        "naptr.example",
        vec![
            naptr(20, 5, "SIP+D2U", "udp.naptr.example"),
            naptr(10, 5, "SIP+D2T", "tcp.naptr.example"),
            naptr(5, 5, "SIP+D2S", "sctp.naptr.example"),
            Naptr { flags: "u".to_owned(), ..naptr(1, 1, "SIP+D2U", "other.example") },
        ],
    )];
    Names::Zone(Zone {
        addresses: Arc::new(addresses.into_iter().collect()),
        srv: Arc::new(srv.into_iter().collect()),
        naptr: Arc::new(naptr.into_iter().collect()),
    })
}

fn found(uri: &str) -> Result<Vec<String>, ResolveError> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let uri = uri.parse().expect("a URI");
    let targets = runtime.block_on(resolve(&uri, &zone(), &mut |_| 0))?;
    Ok(targets.iter().map(|target| format!("{} {} {}", target.transport.name(), target.addr, target.server_name)).collect())
}

#[test]
fn a_uri_leads_to_what_dns_says_in_the_order_of_the_rfc() {
    for (uri, targets) in [
        ("sip:192.0.2.7", vec!["UDP 192.0.2.7:5060 192.0.2.7"]),
        ("sip:[2001:db8::7]:5070", vec!["UDP [2001:db8::7]:5070 2001:db8::7"]),
        ("sips:192.0.2.7", vec!["TLS 192.0.2.7:5061 192.0.2.7"]),
        ("sip:192.0.2.7;transport=tcp", vec!["TCP 192.0.2.7:5060 192.0.2.7"]),
        ("sip:plain.example:5090", vec!["UDP 192.0.2.1:5090 plain.example", "UDP [2001:db8::1]:5090 plain.example"]),
        ("sip:Plain.Example", vec!["UDP 192.0.2.1:5060 plain.example", "UDP [2001:db8::1]:5060 plain.example"]),
        (
            "sip:srv.example",
            vec!["UDP 192.0.2.11:5080 srv.example", "UDP 192.0.2.12:5060 srv.example", "TCP 192.0.2.11:5082 srv.example"],
        ),
        ("sip:srv.example;transport=tcp", vec!["TCP 192.0.2.11:5082 srv.example"]),
        ("sips:srv.example", vec!["TLS 192.0.2.12:5061 srv.example"]),
        ("sips:srv.example;transport=tcp", vec!["TLS 192.0.2.12:5061 srv.example"]),
        ("sip:naptr.example", vec!["TCP 192.0.2.11:5082 naptr.example", "UDP 192.0.2.12:5060 naptr.example"]),
        ("sip:gone.example", vec!["UDP 192.0.2.99:5060 gone.example"]),
    ] {
        assert_eq!(found(uri).expect(uri), targets, "{uri}");
    }
}

#[test]
fn who_cannot_be_found_is_told_apart() {
    assert_eq!(found("sip:nobody.example"), Err(ResolveError::NoAddress("nobody.example".to_owned())));
    assert_eq!(found("sip:plain.example;transport=sctp"), Err(ResolveError::NoTransport));
    assert_eq!(found("tel:+15550142"), Err(ResolveError::NoHost));
    let broken = NamesError("no server answers".to_owned());
    assert_eq!(found("sip:broken.example"), Err(ResolveError::Names("broken.example".to_owned(), broken)));
}

#[test]
fn servers_of_one_priority_come_first_as_often_as_they_weigh() {
    let records = || vec![srv(1, 10, 1, "light"), srv(1, 30, 2, "heavy"), srv(1, 0, 3, "none"), srv(0, 0, 4, "first")];
    let mut firsts = BTreeMap::new();
    for drawn in 0..=40 {
        let ordered = order::servers(records(), &mut |end| drawn.min(end - 1));
        assert_eq!(ordered.len(), 4);
        assert_eq!(ordered[0].target, "first");
        *firsts.entry(ordered[1].target.clone()).or_insert(0) += 1;
    }
    assert_eq!(firsts, BTreeMap::from([("none".to_owned(), 1), ("light".to_owned(), 10), ("heavy".to_owned(), 30)]));
    assert!(order::servers(vec![srv(0, 0, 0, ".")], &mut |_| 0).is_empty(), "a service that is said not to be there");
}
