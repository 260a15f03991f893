//! From the configuration to what the switchboard is told: names are resolved, routes and peers put together.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use baton_contract::AeId;
use baton_media::{Clip, Sources};
use baton_sip::wire::{HostPort, Uri};
use baton_sip::{Transport, Wanted};
use baton_switchboard::{AeLine, Ai, Credentials, Route, Sabotage, Settings, Trunk, UserToUser};
use baton_transfer::{AeSettings, Line};

use crate::config::{self, Config};
use crate::resolve::{Names, Target, resolve};

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
        trunks.push(trunk_of(trunk, names).await.with_context(|| format!("trunk \"{}\"", trunk.name))?);
    }
    let mut ais = Vec::new();
    for ai in &config.ais {
        ais.push(ai_of(ai, names).await.with_context(|| format!("AI \"{}\"", ai.name))?);
    }
    let mut aes = BTreeMap::new();
    for ae in &config.aes {
        let mut line = line_of(ae, &trunks, names).await.with_context(|| format!("AE \"{}\"", ae.id))?;
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
        prompts: spoken.prompts,
        tongues: BTreeMap::new(),
        public_url: config.http.public_url.clone(),
        pop_link_ttl: POP_LINK_TTL,
        words_per_second: spoken.words_per_second,
        ai_answer_max: AI_ANSWER_MAX,
        recording: config.recording.settings,
        sabotage,
    })
}

async fn trunk_of(trunk: &config::Trunk, names: &Names) -> anyhow::Result<Trunk> {
    let uri = uri(&trunk.uri)?;
    let address = address_of(&uri, names).await?;
    let credentials = trunk
        .credentials
        .as_ref()
        .map(|own| Credentials { username: own.username.clone(), password: own.password.expose().to_owned() });
    let rtp = match trunk.rtp {
        config::RtpPath::Symmetric => Sources::Symmetric,
        config::RtpPath::Signalled => Sources::Signalled,
    };
    Ok(Trunk {
        sources: trunk.sources.clone(),
        credentials,
        rtp,
        allow: trunk.allow.clone(),
        ring_max: trunk.ring_max,
        caller_id: trunk.caller_id,
        number: trunk.number.clone(),
        capacity: trunk.capacity,
        cold_by: trunk.cold_by,
        ..Trunk::new(&trunk.name, uri, address)
    })
}

async fn ai_of(ai: &config::Ai, names: &Names) -> anyhow::Result<Ai> {
    let address = address_of(&uri(&ai.uri.replace("{to}", "0"))?, names).await?;
    Ok(Ai {
        trust_context: ai.trust_context,
        outsiders: ai.outsiders,
        bye: ai.bye,
        silence: ai.silence,
        ..Ai::new(&ai.name, &ai.uri, address)
    })
}

/// An AE behind a trunk is dialled at the trunk's host, whatever host their URI has.
async fn line_of(ae: &AeSettings, trunks: &[Trunk], names: &Names) -> anyhow::Result<AeLine> {
    let own = uri(&ae.uri)?;
    let place = ae.trunk.as_ref().and_then(|name| trunks.iter().position(|trunk| trunk.name == *name));
    match place.map(|place| (place, &trunks[place])) {
        Some((place, trunk)) => {
            let user = own.user().map(str::to_owned).unwrap_or_else(|| ae.uri.trim_start_matches("tel:").to_owned());
            let by_tls = match Transport::of_uri(&trunk.uri) {
                Wanted::Only(transport) => transport.is_secure(),
                Wanted::Any | Wanted::Unknown => false,
            };
            // The certificate of a trunk is for its name.
            let host = trunk.uri.host_port().filter(|_| by_tls).unwrap_or_else(|| HostPort::from(trunk.address));
            let mut uri = uri(&format!("{}:{user}@{host}", if by_tls { trunk.uri.scheme_text() } else { "sip" }))?;
            if let Some(transport) = trunk.uri.param("transport").flatten() {
                uri = uri.with_param("transport", Some(transport));
            }
            Ok(AeLine {
                uri,
                address: trunk.address,
                trunk: Some(place),
                trusted: ae.trusted,
                caller_id: None,
                uui: UserToUser::Hex,
            })
        }
        None => Ok(AeLine {
            address: address_of(&own, names).await?,
            uri: own,
            trunk: None,
            trusted: ae.trusted,
            caller_id: None,
            uui: UserToUser::Hex,
        }),
    }
}

fn uri(text: &str) -> anyhow::Result<Uri> {
    Uri::from_str(text).map_err(|fault| anyhow!("\"{text}\" is no SIP URI: {fault}"))
}

/// Every address behind a URI, in the order in which they are tried.
async fn targets_of(uri: &Uri, names: &Names) -> anyhow::Result<Vec<Target>> {
    let draw = || super::open::random_seed().unwrap_or(0);
    Ok(resolve(uri, names, &mut |end| draw() % end).await?)
}

/// The first address behind a URI.
async fn address_of(uri: &Uri, names: &Names) -> anyhow::Result<SocketAddr> {
    let targets = targets_of(uri, names).await?;
    targets.first().map(|target| target.addr).ok_or_else(|| anyhow!("{uri} leads nowhere"))
}
