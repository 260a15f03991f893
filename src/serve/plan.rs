//! From the configuration to what the switchboard is told: names are resolved, routes and peers put together.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use baton_contract::AeId;
use baton_media::{Clip, Sources};
use baton_sip::wire::{HostPort, Uri};
use baton_switchboard::{AeLine, Ai, Credentials, Route, Sabotage, Settings, Trunk};
use baton_transfer::{AeSettings, Line};

use crate::config::{self, Config};

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
pub(super) async fn settings(config: &Config, spoken: Spoken, sabotage: Option<Sabotage>) -> anyhow::Result<Settings> {
    let mut trunks = Vec::new();
    for trunk in &config.trunks {
        trunks.push(trunk_of(trunk).await.with_context(|| format!("trunk \"{}\"", trunk.name))?);
    }
    let mut ais = Vec::new();
    for ai in &config.ais {
        ais.push(ai_of(ai).await.with_context(|| format!("AI \"{}\"", ai.name))?);
    }
    let mut aes = BTreeMap::new();
    for ae in &config.aes {
        let mut line = line_of(ae, &trunks).await.with_context(|| format!("AE \"{}\"", ae.id))?;
        line.caller_id = config.caller_ids.get(&ae.id).copied().flatten();
        aes.insert(ae.id.clone(), line);
    }
    let (mut routes, mut ai_routes) = (Vec::new(), Vec::new());
    for route in &config.routes {
        match route.clone() {
            config::Route::In(config::RouteIn { to, ais, trunk, answer, rescue }) => {
                routes.push(Route { to, trunk, ais, answer, rescue });
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
        public_url: config.http.public_url.clone(),
        pop_link_ttl: POP_LINK_TTL,
        words_per_second: spoken.words_per_second,
        ai_answer_max: AI_ANSWER_MAX,
        recording: config.recording.settings,
        sabotage,
    })
}

async fn trunk_of(trunk: &config::Trunk) -> anyhow::Result<Trunk> {
    let uri = uri(&trunk.uri)?;
    let address = address_of(&uri).await?;
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

async fn ai_of(ai: &config::Ai) -> anyhow::Result<Ai> {
    let address = address_of(&uri(&ai.uri.replace("{to}", "0"))?).await?;
    Ok(Ai {
        trust_context: ai.trust_context,
        outsiders: ai.outsiders,
        bye: ai.bye,
        silence: ai.silence,
        ..Ai::new(&ai.name, &ai.uri, address)
    })
}

/// An AE behind a trunk is dialled at the trunk's host, whatever host their URI has.
async fn line_of(ae: &AeSettings, trunks: &[Trunk]) -> anyhow::Result<AeLine> {
    let own = uri(&ae.uri)?;
    let place = ae.trunk.as_ref().and_then(|name| trunks.iter().position(|trunk| trunk.name == *name));
    match place.map(|place| (place, &trunks[place])) {
        Some((place, trunk)) => {
            let user = own.user().map(str::to_owned).unwrap_or_else(|| ae.uri.trim_start_matches("tel:").to_owned());
            let host = HostPort::from(trunk.address).to_string();
            let mut uri = uri(&format!("sip:{user}@{host}"))?;
            if let Some(transport) = trunk.uri.param("transport").flatten() {
                uri = uri.with_param("transport", Some(transport));
            }
            Ok(AeLine { uri, address: trunk.address, trunk: Some(place), trusted: ae.trusted, caller_id: None })
        }
        None => Ok(AeLine { address: address_of(&own).await?, uri: own, trunk: None, trusted: ae.trusted, caller_id: None }),
    }
}

fn uri(text: &str) -> anyhow::Result<Uri> {
    Uri::from_str(text).map_err(|fault| anyhow!("\"{text}\" is no SIP URI: {fault}"))
}

/// The address behind a URI: its own, or what its host name stands for now.
async fn address_of(uri: &Uri) -> anyhow::Result<SocketAddr> {
    let host = uri.host().ok_or_else(|| anyhow!("{uri} names no host"))?.to_string();
    let port = uri.port().unwrap_or(5060);
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    if let Ok(ip) = bare.parse::<IpAddr>() {
        return Ok(SocketAddr::new(ip, port));
    }
    let mut found =
        tokio::net::lookup_host((bare, port)).await.with_context(|| format!("the name \"{bare}\" cannot be resolved"))?;
    found.next().ok_or_else(|| anyhow!("the name \"{bare}\" stands for no address"))
}
