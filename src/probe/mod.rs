//! `baton probe TRUNK`: asks a trunk what it can do, and learns the rest by a call to a number that the operator names.

mod line;
mod profile;
mod wire;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use baton_sip::digest::Credentials;
use baton_sip::wire::{NameAddr, Uri};
use baton_sip::{Event, Hop, Ping, Transport};
use baton_switchboard::normalised;

use crate::config::{Config, Trunk};
use crate::resolve::{Names, resolve};
use line::Line;
use profile::{Abilities, Call, Profile, Reply};

/// How long OPTIONS may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long the number that is called may ring.
const RING_MAX: Duration = Duration::from_secs(30);
/// How long the call stays up, so that sound can be heard.
const LISTEN: Duration = Duration::from_secs(2);
/// How long a REFER may take to be answered.
const REFER_MAX: Duration = Duration::from_secs(10);

/// `baton probe`
#[derive(Debug, clap::Args)]
pub(crate) struct ProbeArgs {
    /// The name of the trunk in the configuration.
    trunk: String,
    /// The configuration; without it /etc/baton/baton.toml.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// A number to call: somebody or something that answers. Without it the trunk is only asked.
    #[arg(long, value_name = "NUMBER")]
    to: Option<String>,
    /// Asks the trunk, within that call, to pass it on to this number: tells whether it takes REFER.
    #[arg(long, value_name = "NUMBER", requires = "to")]
    refer_to: Option<String>,
    /// Keeps what was learnt in this file.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// One JSON object.
    #[arg(long)]
    json: bool,
}

/// Runs the probe: exit code 0 if the trunk is there, 1 if it is not, 2 if the configuration is wrong.
pub(crate) fn run(args: &ProbeArgs) -> ExitCode {
    let config = match crate::cli::config(args.config.as_deref()) {
        Ok(config) => config,
        Err(code) => return code,
    };
    match probe(&config, args).and_then(|profile| show(&profile, args).map(|()| profile)) {
        Ok(profile) if profile.is_there() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(fault) => {
            eprintln!("baton: {fault:#}");
            ExitCode::FAILURE
        }
    }
}

fn show(profile: &Profile, args: &ProbeArgs) -> anyhow::Result<()> {
    let json = serde_json::to_string_pretty(profile).context("the profile")?;
    if let Some(file) = &args.out {
        std::fs::write(file, format!("{json}\n")).with_context(|| format!("{} cannot be written", file.display()))?;
    }
    println!("{}", if args.json { json } else { profile.words() });
    Ok(())
}

fn probe(config: &Config, args: &ProbeArgs) -> anyhow::Result<Profile> {
    let trunk = config.trunks.iter().find(|trunk| trunk.name == args.trunk);
    let trunk = trunk.ok_or_else(|| anyhow!("there is no [[trunk]] `{}`", args.trunk))?;
    let uri: Uri = trunk.uri.parse().map_err(|_| anyhow!("`{}` is no SIP URI", trunk.uri))?;
    let hops = addresses(config, &uri)?;
    let is_spoken = |hop: &&Hop| matches!(hop.transport, Transport::Udp | Transport::Tcp | Transport::Tls);
    let hop = hops.iter().find(is_spoken).cloned();
    let hop = hop.ok_or_else(|| anyhow!("`{}` is reached by a WebSocket only, by which nobody is probed", trunk.uri))?;
    let mut profile = Profile::new(&trunk.name, &hops);
    let mut line = match Line::open(config, &hop) {
        Ok(line) => line,
        Err(fault) => {
            profile.fault = Some(format!("{fault:#}"));
            return Ok(profile);
        }
    };
    profile.options = ask(&mut line, config, trunk, &uri, &hop)?;
    if let Some(number) = &args.to {
        let refer_to = args.refer_to.as_deref();
        profile.call = Some(call(&mut line, config, trunk, &uri, &hop, number, refer_to)?);
    }
    Ok(profile)
}

fn addresses(config: &Config, uri: &Uri) -> anyhow::Result<Vec<Hop>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("the runtime")?;
    let found = runtime.block_on(async { resolve(uri, &Names::new(&config.sip.nameservers), &mut |_| 0).await })?;
    Ok(found.iter().map(crate::resolve::Target::hop).collect())
}

fn credentials(trunk: &Trunk) -> Option<Credentials> {
    trunk.credentials.as_ref().map(|own| Credentials::new(&own.username, own.password.expose()))
}

/// Who we say we are: the trunk's own number or user name.
fn ourselves(config: &Config, trunk: &Trunk) -> anyhow::Result<NameAddr> {
    let user = trunk.number.as_deref().or(trunk.credentials.as_ref().map(|own| own.username.as_str())).unwrap_or("baton");
    let uri: Uri = format!("sip:{user}@{}", config.sip.domain).parse().map_err(|_| anyhow!("`{user}` cannot stand in a URI"))?;
    Ok(NameAddr::new(None, uri))
}

fn ask(line: &mut Line, config: &Config, trunk: &Trunk, uri: &Uri, hop: &Hop) -> anyhow::Result<Option<Reply>> {
    let from = ourselves(config, trunk)?;
    let ping = Ping { target: uri.clone(), route: hop.clone(), from, credentials: credentials(trunk), patience: PATIENCE };
    line.agent.ping(line.now(), ping)?;
    let mut reply = None;
    line.until(PATIENCE + Duration::from_secs(1), |event, _| {
        let Event::Pong { status, took, message, .. } = event else { return false };
        reply = message.as_ref().map(|message| Reply {
            status: *status,
            took_ms: profile::millis(*took),
            abilities: Abilities::read(message),
        });
        true
    })?;
    Ok(reply)
}

fn call(
    line: &mut Line,
    config: &Config,
    trunk: &Trunk,
    uri: &Uri,
    hop: &Hop,
    number: &str,
    refer_to: Option<&str>,
) -> anyhow::Result<Call> {
    let target = |number: &str| -> anyhow::Result<Uri> {
        let full = normalised(number).map(|number| trunk.line.numbers.full(&number));
        let full = full.ok_or_else(|| anyhow!("`{number}` is no number"))?;
        trunk.allow.check(&full).with_context(|| format!("`{number}` is not called"))?;
        let host = uri.host_port().ok_or_else(|| anyhow!("the trunk has no host"))?;
        Ok(Uri::sip(&trunk.line.numbers.dialled(&full), &host))
    };
    let (to, onward) = (target(number)?, refer_to.map(target).transpose()?);
    let from = ourselves(config, trunk)?;
    let session = line.dial(to, hop.clone(), from, credentials(trunk))?;
    let begun = line.now();
    let mut call = Call::default();
    let ended = line.until(RING_MAX, |event, at| call.hear(event, profile::millis(at.since(begun))))?;
    if !ended {
        line.hang_up(session)?;
        bail!("nobody answers `{number}` within {} s; call one that does", RING_MAX.as_secs());
    }
    if call.status < 300 {
        call.sound = line.listen(LISTEN, call.media)?;
        if let Some(onward) = onward {
            call.refer = Some(line.refer(session, onward, REFER_MAX)?);
        }
        line.hang_up(session)?;
    }
    Ok(call)
}
