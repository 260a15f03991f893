//! From the configuration to what the switchboard is told: names are resolved, routes and peers put together.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use baton_contract::AeId;
use baton_media::{Clip, Sources};
use baton_sip::digest::Algorithms;
use baton_sip::wire::{HostPort, Uri};
use baton_sip::{Account, AccountUse, Accounts, Hop};
use baton_switchboard::{AeLine, Ai, Credentials, Named, Registering, Route, Sabotage, Settings, Trunk};
use baton_transfer::{AeSettings, Line};

use crate::config::{self, Config};
use crate::resolve::{Names, ResolveError, Target, resolve};

/// How long a screen-pop link is good.
const POP_LINK_TTL: Duration = Duration::from_secs(24 * 3_600);

/// An AI that has not answered by then is replaced by the next one.
const AI_ANSWER_MAX: Duration = Duration::from_secs(4);

/// What the voice tells about itself and about the lines.
pub(super) struct Spoken {
    pub(super) prompts: BTreeMap<Line, Arc<Clip>>,
    pub(super) words_per_second: f64,
}

/// The settings of the switchboard; resolves every name once.
pub(super) async fn settings(
    config: &Config,
    names: &Names,
    spoken: Spoken,
    sabotage: Option<Sabotage>,
) -> anyhow::Result<Settings> {
    let mut trunks = Vec::new();
    for trunk in &config.trunks {
        trunks.push(trunk_of(trunk, names, &config.sip.domain).await.with_context(|| format!("trunk \"{}\"", trunk.name))?);
    }
    let mut ais = Vec::new();
    for ai in &config.ais {
        ais.push(ai_of(ai, names).await.with_context(|| format!("AI \"{}\"", ai.name))?);
    }
    let mut aes = BTreeMap::new();
    for ae in &config.aes {
        let mut line =
            line_of(ae, config.phones.get(&ae.id), &trunks, names).await.with_context(|| format!("AE \"{}\"", ae.id))?;
        let shown = config.shown.get(&ae.id).copied().unwrap_or_default();
        (line.caller_id, line.uui) = (shown.caller_id, shown.uui);
        aes.insert(ae.id.clone(), line);
    }
    let (mut routes, mut ai_routes) = (Vec::new(), Vec::new());
    for route in &config.routes {
        match route.clone() {
            config::Route::In(config::RouteIn { to, ais, trunk, answer, language, rescue }) => {
                routes.push(Route { to, trunk, ais, answer, language, rescue });
            }
            config::Route::FromAi(route) => ai_routes.push(route),
        }
    }
    Ok(Settings {
        domain: config.sip.domain.clone(),
        media_address: config.media.advertise,
        trunks,
        ais,
        routes,
        ai_routes,
        aes: aes.into_iter().collect::<BTreeMap<AeId, AeLine>>(),
        transfer: config.transfer.clone(),
        prompts: Arc::new(spoken.prompts),
        tongues: BTreeMap::new(),
        public_url: config.http.public_url.clone(),
        pop_link_ttl: POP_LINK_TTL,
        words_per_second: spoken.words_per_second,
        ai_answer_max: AI_ANSWER_MAX,
        recording: config.recording.settings,
        strangers: config.sip.strangers,
        sabotage,
    })
}

async fn trunk_of(trunk: &config::Trunk, names: &Names, domain: &str) -> anyhow::Result<Trunk> {
    let uri = uri(&trunk.uri)?;
    let hops = found(&trunk.name, hops_of(&uri, names).await);
    let credentials = trunk
        .credentials
        .as_ref()
        .map(|own| Credentials { username: own.username.clone(), password: own.password.expose().to_owned() });
    let rtp = match trunk.rtp {
        config::RtpPath::Symmetric => Sources::Symmetric,
        config::RtpPath::Signalled => Sources::Signalled,
    };
    let line = &trunk.line;
    Ok(Trunk {
        sources: trunk.sources.clone(),
        registration: registering(trunk, &uri, domain)?,
        credentials,
        rtp,
        allow: trunk.allow.clone(),
        ring_max: trunk.ring_max,
        caller_id: trunk.caller_id,
        number: trunk.number.clone(),
        capacity: trunk.capacity,
        cold_by: trunk.cold_by,
        caller_account: line.inbound.as_ref().map(|account| account.username.clone()),
        options: line.options,
        numbers: line.numbers.clone(),
        follows_redirects: line.follows_redirects,
        releases: line.releases,
        ..Trunk::new(&trunk.name, uri, first(&hops))
    }
    .at(hops))
}

/// With whom a trunk wants us to register: at its own host, if nothing else is said.
fn registering(trunk: &config::Trunk, at: &Uri, domain: &str) -> anyhow::Result<Option<Registering>> {
    let Some(account) = trunk.credentials.as_ref().filter(|_| trunk.line.registers) else { return Ok(None) };
    let host = at.host_port().map_or_else(|| domain.to_owned(), |at| at.to_string());
    let realm = trunk.line.registrar.clone().unwrap_or(host);
    let (scheme, transport) = (at.scheme_text(), at.param("transport").flatten());
    let mut registrar = uri(&format!("{scheme}:{realm}"))?;
    if let Some(transport) = transport {
        registrar = registrar.with_param("transport", Some(transport));
    }
    let account_uri = uri(&format!("{scheme}:{}@{}", account.username, realm.split(':').next().unwrap_or(&realm)))?;
    let user = account.username.clone();
    Ok(Some(Registering { registrar, account: account_uri, user, expires: trunk.line.expires }))
}

async fn ai_of(ai: &config::Ai, names: &Names) -> anyhow::Result<Ai> {
    let account = ai.phone.account.as_ref().map(|account| account.username.clone());
    let hops = match account {
        Some(_) => Vec::new(),
        None => found(&ai.name, hops_of(&uri(&ai.uri.replace("{to}", "0"))?, names).await),
    };
    Ok(Ai {
        trust_context: ai.trust_context,
        outsiders: ai.outsiders,
        bye: ai.bye,
        silence: ai.silence,
        account,
        ..Ai::new(&ai.name, &ai.uri, first(&hops))
    }
    .at(hops))
}

/// An AE behind a trunk is dialled at the trunk's host, whatever host their URI has.
async fn line_of(ae: &AeSettings, phone: Option<&config::Phone>, trunks: &[Trunk], names: &Names) -> anyhow::Result<AeLine> {
    let own = uri(&ae.uri)?;
    let account = phone.and_then(|phone| phone.account.as_ref()).map(|account| account.username.clone());
    let watches_dialogs = phone.is_some_and(|phone| phone.watches_dialogs);
    let place = ae.trunk.as_ref().and_then(|name| trunks.iter().position(|trunk| trunk.name == *name));
    match place.map(|place| (place, &trunks[place])) {
        Some((place, trunk)) => {
            let user = own.user().map(str::to_owned).unwrap_or_else(|| ae.uri.trim_start_matches("tel:").to_owned());
            let user = trunk.numbers.dialled(&trunk.numbers.full(&user));
            let host = trunk.uri.host_port().unwrap_or_else(|| HostPort::from(trunk.address)).to_string();
            let mut uri = uri(&format!("{}:{user}@{host}", trunk.uri.scheme_text()))?;
            if let Some(transport) = trunk.uri.param("transport").flatten() {
                uri = uri.with_param("transport", Some(transport));
            }
            let line = AeLine::new(uri, trunk.address);
            Ok(AeLine { trunk: Some(place), trusted: ae.trusted, watches_dialogs, ..line })
        }
        None => {
            let hops = match account {
                Some(_) => Vec::new(),
                None => found(ae.id.as_str(), hops_of(&own, names).await),
            };
            let line = AeLine::new(own, first(&hops));
            Ok(AeLine { trusted: ae.trusted, account, watches_dialogs, hops, ..line })
        }
    }
}

fn uri(text: &str) -> anyhow::Result<Uri> {
    Uri::from_str(text).map_err(|fault| anyhow!("\"{text}\" is no SIP URI: {fault}"))
}

/// Every address behind a URI, in the order in which they are tried.
///
/// # Errors
/// When the name cannot be looked up, or stands for nothing.
pub(crate) async fn hops_of(uri: &Uri, names: &Names) -> Result<Vec<Hop>, ResolveError> {
    let draw = || super::open::random_seed().unwrap_or(0);
    let targets = resolve(uri, names, &mut |end| draw() % end).await?;
    Ok(targets.iter().map(Target::hop).collect())
}

/// A peer that cannot be found does not keep the others from being served: it is looked up again.
fn found(who: &str, hops: Result<Vec<Hop>, ResolveError>) -> Vec<Hop> {
    hops.unwrap_or_else(|fault| {
        tracing::warn!(peer = who, %fault, "cannot be found for now");
        Vec::new()
    })
}

/// The first address; one that leads nowhere where there is none.
fn first(hops: &[Hop]) -> SocketAddr {
    hops.first().map_or_else(|| ([0, 0, 0, 0], 0).into(), |hop| hop.addr)
}

/// Whoever is known by a name, to be looked up again now and then.
pub(crate) fn named(config: &Config, settings: &Settings) -> Vec<(Named, Uri)> {
    let by_name = |uri: &Uri| uri.host().is_some() && uri.ip().is_none();
    let trunks = settings.trunks.iter().enumerate().map(|(place, trunk)| (Named::Trunk(place), trunk.uri.clone()));
    let ais = settings.ais.iter().enumerate().filter(|(_, ai)| ai.account.is_none());
    let ais = ais.filter_map(|(place, ai)| Some((Named::Ai(place), uri(&ai.uri.replace("{to}", "0")).ok()?)));
    let aes = config.aes.iter().filter_map(|ae| {
        let line = settings.aes.get(&ae.id).filter(|line| line.account.is_none() && line.trunk.is_none())?;
        Some((Named::Ae(ae.id.clone()), line.uri.clone()))
    });
    trunks.chain(ais).chain(aes).filter(|(_, uri)| by_name(uri)).collect()
}

/// Who may register, and prove whose calls are theirs.
pub(crate) fn accounts(config: &Config) -> Accounts {
    let phones = config.phones.values().chain(config.ais.iter().map(|ai| &ai.phone));
    let phones = phones.filter_map(|phone| Some((phone.account.as_ref()?, AccountUse::Phone, phone.digest)));
    let lines = config.trunks.iter().map(|trunk| &trunk.line);
    let callers = lines.filter_map(|line| Some((line.inbound.as_ref()?, AccountUse::Calls, line.inbound_digest)));
    let one = |(account, use_for, algorithms): (&config::Credentials, AccountUse, Algorithms)| {
        (account.username.clone(), Account { password: account.password.expose().to_owned(), use_for, algorithms })
    };
    Accounts { realm: config.sip.domain.clone(), users: callers.chain(phones).map(one).collect() }
}
