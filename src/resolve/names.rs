//! What is asked of DNS, and who answers.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{RData, RecordType};

use super::{Naptr, Srv};

/// How long one server may take; another one is asked then.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often a question is asked.
const TRIES: usize = 2;

/// Whoever knows names.
#[derive(Clone)]
pub(crate) enum Names {
    /// DNS and the hosts file of this machine.
    Dns(Arc<TokioResolver>),
    /// No DNS: names stand for nothing, addresses for themselves.
    None,
    /// A zone of a test's own.
    #[cfg(test)]
    Zone(super::tests::Zone),
}

/// Why DNS could not be asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct NamesError(pub(crate) String);

impl Names {
    /// DNS as `servers` or, where none is named, as this machine's resolv.conf says. Without either names stand for nothing.
    pub(crate) fn new(servers: &[SocketAddr]) -> Names {
        let builder = match servers {
            [] => TokioResolver::builder_tokio(),
            some => {
                let servers = some.iter().map(|server| name_server(*server)).collect();
                let config = ResolverConfig::from_parts(None, Vec::new(), servers);
                Ok(TokioResolver::builder_with_config(config, TokioRuntimeProvider::default()))
            }
        };
        let built = builder.and_then(|mut builder| {
            let options = builder.options_mut();
            (options.timeout, options.attempts) = (PATIENCE, TRIES);
            options.positive_max_ttl = Some(Duration::from_secs(3_600));
            options.negative_max_ttl = Some(Duration::from_secs(30));
            builder.build()
        });
        match built {
            Ok(resolver) => Names::Dns(Arc::new(resolver)),
            Err(fault) => {
                tracing::warn!(%fault, "DNS cannot be used");
                Names::None
            }
        }
    }

    /// The addresses of a name.
    pub(crate) async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, NamesError> {
        match self {
            Names::Dns(resolver) => match resolver.lookup_ip(whole(host)).await {
                Ok(found) => Ok(found.iter().collect()),
                Err(fault) => nothing(fault),
            },
            Names::None => Ok(Vec::new()),
            #[cfg(test)]
            Names::Zone(zone) => zone.addresses(host),
        }
    }

    /// The servers of a service.
    pub(crate) async fn srv(&self, name: &str) -> Result<Vec<Srv>, NamesError> {
        match self {
            Names::Dns(_) => self.records(name, RecordType::SRV, read_srv).await,
            Names::None => Ok(Vec::new()),
            #[cfg(test)]
            Names::Zone(zone) => Ok(zone.srv(name)),
        }
    }

    /// The services of a domain.
    pub(crate) async fn naptr(&self, name: &str) -> Result<Vec<Naptr>, NamesError> {
        match self {
            Names::Dns(_) => self.records(name, RecordType::NAPTR, read_naptr).await,
            Names::None => Ok(Vec::new()),
            #[cfg(test)]
            Names::Zone(zone) => Ok(zone.naptr(name)),
        }
    }

    async fn records<T>(&self, name: &str, kind: RecordType, read: fn(&RData) -> Option<T>) -> Result<Vec<T>, NamesError> {
        let Names::Dns(resolver) = self else { return Ok(Vec::new()) };
        match resolver.lookup(whole(name), kind).await {
            Ok(found) => Ok(found.answers().iter().filter_map(|record| read(&record.data)).collect()),
            // A name that only the hosts file knows has neither services nor servers; whether it has an address is asked next.
            Err(fault) if fault.is_nx_domain() || fault.is_no_records_found() => Ok(Vec::new()),
            Err(fault) => Err(NamesError(fault.to_string())),
        }
    }
}

fn nothing<T>(fault: NetError) -> Result<Vec<T>, NamesError> {
    if fault.is_nx_domain() || fault.is_no_records_found() { Ok(Vec::new()) } else { Err(NamesError(fault.to_string())) }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "only this kind was asked for")]
fn read_srv(data: &RData) -> Option<Srv> {
    match data {
        RData::SRV(srv) => {
            let target = srv.target.to_utf8();
            let target = target.trim_end_matches('.').to_owned();
            Some(Srv { priority: srv.priority, weight: srv.weight, port: srv.port, target })
        }
        _ => None,
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "only this kind was asked for")]
fn read_naptr(data: &RData) -> Option<Naptr> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    match data {
        RData::NAPTR(naptr) => Some(Naptr {
            order: naptr.order,
            preference: naptr.preference,
            flags: text(&naptr.flags),
            service: text(&naptr.services),
            replacement: naptr.replacement.to_utf8().trim_end_matches('.').to_owned(),
        }),
        _ => None,
    }
}

/// A name with dots in it is whole: the machine's search list is for names without.
fn whole(name: &str) -> String {
    if name.contains('.') && !name.ends_with('.') { format!("{name}.") } else { name.to_owned() }
}

fn name_server(at: SocketAddr) -> NameServerConfig {
    let with_port = |mut connection: ConnectionConfig| {
        connection.port = at.port();
        connection
    };
    let connections = vec![with_port(ConnectionConfig::udp()), with_port(ConnectionConfig::tcp())];
    NameServerConfig::new(at.ip(), true, connections)
}
