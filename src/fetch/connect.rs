//! Connections: the name is resolved here, and the address that was checked is the one that is connected to.

use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::target::{Scheme, Target};
use super::{FetchError, Reach};

/// Addresses of one name that are tried at most.
const ADDRESSES_MAX: usize = 4;

/// A connection, with TLS or without.
pub(super) enum Wire {
    /// In the clear.
    Plain(TcpStream),
    /// Over TLS.
    Tls(Box<TlsStream<TcpStream>>),
}

/// Trusts whom this machine trusts.
pub(super) fn tls() -> TlsConnector {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    let (_, ignored) = roots.add_parsable_certificates(found.certs);
    if roots.is_empty() || ignored > 0 {
        tracing::info!(roots = roots.len(), ignored, "certificates that this machine trusts");
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring does both TLS 1.2 and 1.3")
        .with_root_certificates(roots)
        .with_no_client_auth();
    TlsConnector::from(Arc::new(config))
}

/// Connects to the first address of the target that may be reached and answers.
pub(super) async fn connect<'tls>(
    tls: impl FnOnce() -> &'tls TlsConnector,
    target: &Target,
    reach: Reach,
) -> Result<Wire, FetchError> {
    let stream = open(target, reach).await?;
    // A small request must not wait for more to come.
    stream.set_nodelay(true).map_err(|error| FetchError::Unreachable(error.kind()))?;
    match target.scheme() {
        Scheme::Http => Ok(Wire::Plain(stream)),
        Scheme::Https => {
            let name =
                ServerName::try_from(target.host().to_owned()).map_err(|_| FetchError::Untrusted("no host name".to_owned()))?;
            let stream = tls().connect(name, stream).await.map_err(|error| FetchError::Untrusted(error.to_string()))?;
            Ok(Wire::Tls(Box::new(stream)))
        }
    }
}

async fn open(target: &Target, reach: Reach) -> Result<TcpStream, FetchError> {
    let unreachable = |error: io::Error| FetchError::Unreachable(error.kind());
    let found = tokio::net::lookup_host((target.host(), target.port())).await.map_err(|_| FetchError::NoSuchHost)?;
    let (mut refused, mut last): (Option<IpAddr>, _) = (None, None);
    for address in found.take(ADDRESSES_MAX) {
        if !reach.allows(address.ip()) {
            refused = Some(address.ip());
            continue;
        }
        match TcpStream::connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(error) => last = Some(unreachable(error)),
        }
    }
    Err(last.or(refused.map(FetchError::Forbidden)).unwrap_or(FetchError::NoSuchHost))
}

impl AsyncRead for Wire {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Wire::Plain(stream) => Pin::new(stream).poll_read(cx, into),
            Wire::Tls(stream) => Pin::new(stream).poll_read(cx, into),
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Wire::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Wire::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Wire::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Wire::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Wire::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Wire::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
