//! What is loaded without anybody's calls: sounds, voices, certificates, and the names of peers. It is done beside everything else, for callers of an
//! earlier process wait; a worker that follows one that still has its calls does it before it takes them over.

use std::sync::Arc;

use anyhow::Context as _;
use baton_media::Clip;
use baton_switchboard::{Sabotage, Settings};
use baton_transfer::briefing::WORDS_PER_SECOND;
use tokio::runtime::Handle;
use tokio::task::{JoinHandle, spawn_blocking};

use super::plan;
use crate::config::Config;
use crate::fetch::Fetch;
use crate::keeper::{Keeper, LOADED};
use crate::resolve::Names;
use crate::tls::Tls;
use crate::voice::{self, Voices};

/// Everything that was loaded.
pub(super) struct Loaded {
    pub(super) music: Arc<Clip>,
    pub(super) fetch: Arc<Fetch>,
    pub(super) voices: Arc<Voices>,
    pub(super) names: Names,
    /// Certificates, where anything is spoken under TLS.
    pub(super) tls: Option<Arc<Tls>>,
    /// With the usual speed of a voice.
    pub(super) settings: Settings,
}

/// How far it is.
pub(super) enum Loading {
    /// Others work at it.
    Begun {
        /// The longest part of it.
        music: JoinHandle<Arc<Clip>>,
        /// All else, where the music is still missing.
        rest: JoinHandle<anyhow::Result<Rest>>,
    },
    /// It is there.
    Done(Box<Loaded>),
}

/// What needs no music.
pub(super) struct Rest {
    fetch: Arc<Fetch>,
    voices: Arc<Voices>,
    names: Names,
    tls: Option<Arc<Tls>>,
    settings: Settings,
}

impl Loading {
    /// Begins, on threads of its own.
    pub(super) fn begin(config: &Arc<Config>, sabotage: Option<Sabotage>) -> Loading {
        let (config, runtime) = (Arc::clone(config), Handle::current());
        let rest = spawn_blocking(move || runtime.block_on(Rest::load(&config, sabotage)));
        Loading::Begun { music: spawn_blocking(voice::music), rest }
    }

    /// Waits for all of it.
    ///
    /// # Errors
    /// What cannot be had: a certificate, a peer whose URI is none.
    pub(super) async fn end(self) -> anyhow::Result<Loaded> {
        let (music, rest) = match self {
            Loading::Done(loaded) => return Ok(*loaded),
            Loading::Begun { music, rest } => (music, rest),
        };
        let Rest { fetch, voices, names, tls, settings } = rest.await.context("what is loaded")??;
        Ok(Loaded { music: music.await.context("the music")?, fetch, voices, names, tls, settings })
    }

    /// Where another worker has the calls it waits for all of it, and for the voice to be measured, and says so; else callers wait.
    ///
    /// # Errors
    /// As [`Loading::end`].
    pub(super) async fn before(self, keeper: &Keeper) -> anyhow::Result<Loading> {
        if !keeper.has_another_worker() {
            return Ok(self);
        }
        let loaded = self.end().await?;
        let words_per_second = loaded.voices.words_per_second().await;
        tracing::debug!(words_per_second, "loaded");
        keeper.say(LOADED);
        Ok(Loading::Done(Box::new(loaded)))
    }
}

impl Rest {
    async fn load(config: &Config, sabotage: Option<Sabotage>) -> anyhow::Result<Rest> {
        let fetch = Arc::new(Fetch::new());
        let voices = Arc::new(Voices::new(config.transfer.language, &config.voices, &config.http_voices, &fetch));
        let names = Names::new(&config.sip.nameservers);
        let spoken = plan::Spoken { prompts: voice::prompts(), words_per_second: WORDS_PER_SECOND };
        let settings = plan::settings(config, &names, spoken, sabotage).await?;
        Ok(Rest { fetch, voices, names, tls: open_tls(config)?, settings })
    }
}

/// Reads the certificates, where anything is listened on under TLS: whom we call by it answers there.
fn open_tls(config: &Config) -> anyhow::Result<Option<Arc<Tls>>> {
    match config.sip.listen.iter().any(|listen| listen.transport.is_secure()) {
        true => Ok(Some(Arc::new(Tls::open(config.tls.clone())?))),
        false => Ok(None),
    }
}
