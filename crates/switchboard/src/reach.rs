//! By which way somebody is reached: the addresses of a peer, the route that a registrar has told, the phone that has registered.

use baton_contract::AeId;
use baton_sip::wire::Uri;
use baton_sip::{Beside, Binding, ConnectionId, Hop, Redirects, SessionId, Transport};
use baton_time::Now;

use crate::destinations::Over;
use crate::switchboard::Switchboard;

/// How often a call may be sent on by a 3xx.
const REDIRECTS_MAX: u8 = 3;

/// The way of an INVITE.
#[derive(Debug, Clone)]
pub(crate) struct Way {
    pub(crate) route: Hop,
    /// Further addresses of the same peer.
    pub(crate) others: Vec<Hop>,
    /// Elements that are passed first.
    pub(crate) routes: Vec<String>,
    /// Further phones of whoever is called, which ring at the same time.
    pub(crate) beside: Vec<Beside>,
    /// The stream of whoever has registered by it.
    pub(crate) flow: Option<ConnectionId>,
    pub(crate) redirects: Redirects,
}

impl Way {
    /// The way to the first of these addresses, the others in reserve; none if there is none.
    pub(crate) fn to(hops: &[Hop]) -> Option<Way> {
        let (first, others) = hops.split_first()?;
        let (route, others, routes, beside) = (first.clone(), others.to_vec(), Vec::new(), Vec::new());
        Some(Way { route, others, routes, beside, flow: None, redirects: Redirects::Usual })
    }
}

impl crate::Trunk {
    /// Where it is, the first to be tried first.
    pub(crate) fn places(&self) -> Vec<Hop> {
        if self.hops.is_empty() && self.address.port() != 0 {
            return vec![Hop::new(Transport::Udp, self.address)];
        }
        self.hops.clone()
    }
}

impl Switchboard {
    /// The way over a trunk; none while its name stands for no address.
    pub(crate) fn way_over(&self, place: usize) -> Option<Way> {
        let trunk = self.settings.trunks.get(place)?;
        let mut way = Way::to(&trunk.places())?;
        if let Some(registration) = self.watches.get(place).and_then(|watch| watch.registration) {
            way.routes = self.agent.service_route(registration).to_vec();
        }
        if trunk.follows_redirects {
            way.redirects = Redirects::Asked(REDIRECTS_MAX);
        }
        Some(way)
    }

    /// The way to an AI, and the URI of its phone where it has registered; none where it cannot be reached.
    pub(crate) fn way_to_ai(&self, place: usize) -> Option<(Way, Option<Uri>)> {
        let ai = self.settings.ais.get(place)?;
        if let Some(account) = &ai.account {
            let (way, uri) = self.way_to_account(account)?;
            return Some((way, Some(uri)));
        }
        let own = [Hop::new(Transport::Udp, ai.address)];
        let way = Way::to(if ai.hops.is_empty() && ai.address.port() != 0 { &own } else { &ai.hops })?;
        Some((way, None))
    }

    /// The way to an AE, and the URI that is dialled; none where they cannot be reached.
    pub(crate) fn way_to_ae(&self, ae: &AeId) -> Option<(Way, Uri)> {
        let line = self.settings.aes.get(ae)?;
        match (line.trunk, &line.account) {
            (Some(trunk), _) => {
                let way = self.way_over(trunk)?;
                let has_own =
                    self.settings.trunks.get(trunk).is_some_and(|trunk| trunk.hops.is_empty()) && line.address.port() != 0;
                let route = if has_own { Hop::new(Transport::Udp, line.address) } else { way.route.clone() };
                Some((Way { route, ..way }, line.uri.clone()))
            }
            (None, Some(account)) => self.way_to_account(account),
            (None, None) => {
                let own = [Hop::new(Transport::Udp, line.address)];
                let way = Way::to(if line.hops.is_empty() && line.address.port() != 0 { &own } else { &line.hops })?;
                Some((way, line.uri.clone()))
            }
        }
    }

    /// The way to the phones that have registered: those that want most to be the one (the highest `q`) ring at once, the others round after round
    /// when those before them have refused (RFC 3261 §16.6).
    fn way_to_account(&self, account: &str) -> Option<(Way, Uri)> {
        let (first, others) = self.agent.bindings(account).split_first()?;
        let beside = |(round, binding): (u8, &Binding)| Beside {
            target: binding.contact.clone(),
            route: binding.hop.clone(),
            flow: binding.connection,
            routes: binding.path.clone(),
            round,
        };
        let way = Way {
            route: first.hop.clone(),
            others: Vec::new(),
            beside: rounds(first, others).map(beside).collect(),
            routes: first.path.clone(),
            flow: first.connection,
            redirects: Redirects::Usual,
        };
        Some((way, first.contact.clone()))
    }

    /// A call over a trunk got a 3xx: it goes where the trunk may dial, and over the trunk.
    pub(crate) fn on_redirected(&mut self, now: Now, session: SessionId, contacts: &[Uri]) {
        let leg = self.call_of(session).and_then(|(call, leg)| self.calls.get(&call)?.leg(leg)?.trunk);
        let allowed = leg.and_then(|trunk| {
            let way = self.way_over(trunk)?;
            let to = contacts.iter().find_map(|contact| {
                match self.settings.destination(&contact.to_string(), Over::Trunk(trunk)) {
                    Ok(to) => Some(to),
                    Err(denied) => {
                        self.dial_reject("redirect", denied);
                        None
                    }
                }
            })?;
            Some((to.uri, way.route))
        });
        if let Err(fault) = self.agent.redirect(now.mono, session, allowed) {
            tracing::debug!(%fault, "cannot follow a 3xx");
        }
    }
}

/// In which round each phone rings: a new one begins wherever `q` falls. They come in its order.
fn rounds<'b>(first: &Binding, others: &'b [Binding]) -> impl Iterator<Item = (u8, &'b Binding)> {
    others.iter().scan((0_u8, first.q), |(round, q), other| {
        if other.q != *q {
            (*round, *q) = (round.saturating_add(1), other.q);
        }
        Some((*round, other))
    })
}
