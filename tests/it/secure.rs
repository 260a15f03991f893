//! SIP under TLS and over WebSockets, with peers that share no code of SIP with Baton.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, SanType};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{
    ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection, StreamOwned, crypto::ring,
};

use crate::scratch::{Ports, Scratch};
use crate::streams::{Daemon, Stream, header};

const PATIENCE: Duration = Duration::from_secs(30);
const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Somebody who signs.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Authority {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Authority(CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("a root"))
    }

    /// Certificate and key in PEM, for this machine.
    fn sign(&self, address: IpAddr) -> (String, String) {
        let mut params = CertificateParams::default();
        params.subject_alt_names = vec![SanType::IpAddress(address)];
        let key = KeyPair::generate().expect("a key");
        (params.signed_by(&key, &self.0).expect("signed").pem(), key.serialize_pem())
    }

    fn pem(&self) -> String {
        self.0.as_ref().pem()
    }

    fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.pem().as_bytes()).expect("PEM")).expect("a root");
        roots
    }
}

/// A daemon that listens by TLS and WSS with a certificate of `ca`, and trusts that.
fn daemon(ca: &Authority, ai: &str) -> (Daemon, SocketAddr, SocketAddr) {
    let scratch = Scratch::new();
    let (certificate, key) = ca.sign(HERE);
    for (file, text) in [("baton.pem", certificate), ("baton.key", key), ("roots.pem", ca.pem())] {
        scratch.write(file, &text);
    }
    let daemon = Daemon::with(scratch, ai, |Ports { sip, .. }, text| {
        let (tls, wss) = (sip + 2, sip + 3);
        let text =
            text.replacen("[sip]\nlisten = [", &format!("[sip]\nlisten = [\"tls:{HERE}:{tls}\", \"wss:{HERE}:{wss}\", "), 1);
        format!("{text}[tls]\ncertificate = \"baton.pem\"\nkey = \"baton.key\"\nroots = \"roots.pem\"\n")
    });
    let at = |above: u16| SocketAddr::from((HERE, daemon.sip.port() + above));
    let (tls, wss) = (at(2), at(3));
    (daemon, tls, wss)
}

/// Waits for somebody to connect, but not for ever.
fn accept(listener: &TcpListener) -> TcpStream {
    let until = crate::scratch::now() + PATIENCE;
    listener.set_nonblocking(true).expect("a listener can be asked");
    loop {
        if let Ok((stream, _)) = listener.accept() {
            stream.set_nonblocking(false).expect("a stream can wait");
            stream.set_read_timeout(Some(PATIENCE)).expect("a stream has a timeout");
            return stream;
        }
        assert!(crate::scratch::now() < until, "nobody connects");
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

/// The AI's end of a connection under TLS, with a certificate of `ca`.
fn serve(listener: &TcpListener, ca: &Authority) -> StreamOwned<ServerConnection, TcpStream> {
    let (certificate, key) = ca.sign(HERE);
    let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes()).expect("PEM")];
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("PEM");
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring does them")
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .expect("they are a pair");
    StreamOwned::new(ServerConnection::new(Arc::new(config)).expect("a side of TLS"), accept(listener))
}

/// Our end of a connection under TLS to the daemon, whose certificate must be of `ca`.
fn connect(at: SocketAddr, ca: &Authority) -> StreamOwned<ClientConnection, TcpStream> {
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring does them")
        .with_root_certificates(ca.roots())
        .with_no_client_auth();
    let stream = TcpStream::connect(at).expect("Baton listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a stream has a timeout");
    let side = ClientConnection::new(Arc::new(config), ServerName::from(at.ip())).expect("a side of TLS");
    StreamOwned::new(side, stream)
}

fn options(transport: &str) -> String {
    format!(
        "OPTIONS sip:baton@baton.example SIP/2.0\r\nVia: SIP/2.0/{transport} a7.invalid;branch=z9hG4bKo\r\nMax-Forwards: 70\r\n\
         From: <sip:jamie@a7.invalid>;tag=o\r\nTo: <sip:baton@baton.example>\r\nCall-ID: o@a7\r\nCSeq: 1 OPTIONS\r\n\
         Content-Length: 0\r\n\r\n"
    )
}

#[test]
fn a_call_goes_out_by_tls_to_whoever_shows_the_right_certificate() {
    let (ca, listener) = (Authority::new(), TcpListener::bind((HERE, 0)).expect("a port for the AI"));
    let here = listener.local_addr().expect("it is bound");
    let (daemon, ..) = daemon(&ca, &format!("sips:ai@{here}"));
    daemon.call(1);
    let mut ai = Stream::new(Box::new(serve(&listener, &ca)), here, "tls");
    let invite = ai.takes_a_call();
    assert!(header(&invite, "Via").starts_with("SIP/2.0/TLS ") && header(&invite, "Contact").starts_with("<sips:"), "{invite}");
    assert!(daemon.answered().starts_with("SIP/2.0 200"));
}

#[test]
fn a_call_does_not_go_out_to_whoever_shows_a_wrong_certificate() {
    let (ca, listener) = (Authority::new(), TcpListener::bind((HERE, 0)).expect("a port for the AI"));
    let here = listener.local_addr().expect("it is bound");
    let (daemon, ..) = daemon(&ca, &format!("sip:ai@{here};transport=tls"));
    daemon.call(1);
    let mut impostor = serve(&listener, &Authority::new());
    let mut heard = Vec::new();
    assert!(impostor.read_to_end(&mut heard).is_err() && heard.is_empty(), "not a byte of SIP: {heard:?}");
    assert!(daemon.answered().starts_with("SIP/2.0 503"));
    // Lines are written by a thread of their own, a moment later.
    let is_said = |_| {
        std::thread::park_timeout(Duration::from_millis(20));
        daemon.log().contains("no TLS with a peer")
    };
    assert!((0..1_000).any(is_said), "{}", daemon.log());
}

#[test]
fn whoever_comes_by_tls_is_answered_by_it() {
    let ca = Authority::new();
    let (_daemon, tls, _) = daemon(&ca, "sip:ai@127.0.0.1:9");
    let mut stream = connect(tls, &ca);
    stream.write_all(b"\r\n\r\n").expect("it is read");
    let mut pong = [0; 2];
    stream.read_exact(&mut pong).expect("a pong comes");
    assert_eq!(&pong, b"\r\n");
    stream.write_all(options("TLS").as_bytes()).expect("it is read");
    let mut answer = [0; 15];
    stream.read_exact(&mut answer).expect("an answer comes");
    assert_eq!(&answer, b"SIP/2.0 200 OK\r");
    let mut clear = TcpStream::connect(tls).expect("Baton listens");
    clear.set_read_timeout(Some(PATIENCE)).expect("a stream has a timeout");
    clear.write_all(options("TCP").as_bytes()).expect("it is read");
    let mut heard = Vec::new();
    clear.read_to_end(&mut heard).ok();
    assert!(!heard.starts_with(b"SIP"), "nothing is said in the clear where TLS is spoken");
}

#[test]
fn a_browser_calls_by_websocket_and_is_reached_by_it() {
    let (ca, listener) = (Authority::new(), TcpListener::bind((HERE, 0)).expect("a port for the AI"));
    let here = listener.local_addr().expect("it is bound");
    let (_daemon, _, wss) = daemon(&ca, &format!("sips:ai@{here}"));
    let url = format!("wss://{wss}/sip");
    let mut request = tungstenite::client::IntoClientRequest::into_client_request(url).expect("a request");
    request.headers_mut().insert("Sec-WebSocket-Protocol", "sip".parse().expect("a value"));
    let (mut socket, _) = tungstenite::client(request, connect(wss, &ca)).expect("it becomes a WebSocket");
    socket.send(tungstenite::Message::text(options("WSS"))).expect("it is read");
    assert!(socket.read().expect("an answer comes").to_text().expect("a text").starts_with("SIP/2.0 200 "));
    let sdp = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n";
    // RFC 7118 §5: a WebSocket frames its messages, so that none needs a Content-Length.
    let invite = format!(
        "INVITE sip:100@baton.example SIP/2.0\r\nVia: SIP/2.0/WSS a7.invalid;branch=z9hG4bKi\r\nMax-Forwards: 70\r\n\
         From: <sip:jamie@a7.invalid>;tag=i\r\nTo: <sip:100@baton.example>\r\nCall-ID: i@a7\r\nCSeq: 1 INVITE\r\n\
         Contact: <sip:jamie@a7.invalid;transport=ws>\r\nContent-Type: application/sdp\r\n\r\n{sdp}"
    );
    socket.send(tungstenite::Message::text(invite)).expect("it is read");
    let mut ai = Stream::new(Box::new(serve(&listener, &ca)), here, "tls");
    let invite_to_ai = ai.takes_a_call();
    let answer = loop {
        let message = socket.read().expect("an answer comes").to_text().expect("a text").to_owned();
        if message.starts_with("SIP/2.0 200") {
            break message;
        }
    };
    assert!(header(&answer, "Contact").contains(";transport=ws"), "{answer}");
    let target = header(&answer, "Contact").trim_matches(['<', '>']);
    let ack = format!(
        "ACK {target} SIP/2.0\r\nVia: SIP/2.0/WSS a7.invalid;branch=z9hG4bKa\r\nMax-Forwards: 70\r\nFrom: {}\r\nTo: {}\r\n\
         Call-ID: i@a7\r\nCSeq: 1 ACK\r\n\r\n",
        header(&answer, "From"),
        header(&answer, "To"),
    );
    socket.send(tungstenite::Message::text(ack)).expect("it is read");
    ai.says_bye(&invite_to_ai);
    // The host of the browser's Contact is no host at all: the WebSocket is the only way to it.
    let bye = loop {
        let message = socket.read().expect("Baton hangs up").to_text().expect("a text").to_owned();
        if message.starts_with("BYE ") {
            break message;
        }
    };
    assert!(bye.starts_with("BYE sip:jamie@a7.invalid;transport=ws SIP/2.0\r\nVia: SIP/2.0/WSS "), "{bye}");
}

#[test]
fn ipv6_is_spoken_beside_ipv4_on_one_port() {
    if UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)).is_err() {
        return;
    }
    let daemon = Daemon::with(Scratch::new(), "sip:ai@127.0.0.1:9", |Ports { sip, .. }, text| {
        let both = format!("[sip]\nadvertise = [\"127.0.0.1\", \"::1\"]\nlisten = [\"udp:[::]:{sip}\", \"tcp:[::]:{sip}\", ");
        text.replacen("[sip]\nlisten = [", &both, 1)
    });
    let (four, six) = (UdpSocket::bind((HERE, 0)), UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)));
    for (socket, to) in [(four, HERE), (six, IpAddr::V6(Ipv6Addr::LOCALHOST))] {
        let socket = socket.expect("a port");
        socket.set_read_timeout(Some(PATIENCE)).expect("a socket has a timeout");
        let from = socket.local_addr().expect("it is bound");
        // RFC 3261 §8.2.2.2: the same request by two ways would be a merged one.
        let text = options("UDP").replacen("a7.invalid;", &format!("{from};rport;"), 1).replace("o@a7", &from.to_string());
        socket.send_to(text.as_bytes(), (to, daemon.sip.port())).expect("a datagram leaves");
        let mut buffer = [0; 4_096];
        let (length, back) = socket.recv_from(&mut buffer).expect("an answer comes");
        let answer = String::from_utf8_lossy(&buffer[..length]);
        assert!(answer.starts_with("SIP/2.0 200 ") && back.ip() == to, "{back}: {answer}");
    }
}
