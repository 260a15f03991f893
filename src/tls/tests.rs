//! Handshakes with ourselves over the loopback, and what certificates say.

use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use baton_switchboard::Network;
use rcgen::string::Ia5String;
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, SanType,
};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;

use super::certificate::{self, Subject};
use super::identity::{self, Wanted};
use super::*;
use tokio_rustls::rustls::pki_types::pem::PemObject;

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const PATIENCE: Duration = Duration::from_secs(30);

/// A folder of its own, gone with the test.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Folder {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("baton-tls-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).expect("a folder for certificates");
        Folder(path)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, text).expect("the folder can be written to");
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).ok();
    }
}

/// Somebody who signs.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new(name: &str) -> Authority {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().expect("a key");
        Authority(CertifiedIssuer::self_signed(params, key).expect("a root"))
    }

    fn sign(&self, common: &str, names: Vec<SanType>) -> (Certificate, KeyPair) {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, common);
        params.subject_alt_names = names;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate().expect("a key");
        (params.signed_by(&key, &self.0).expect("signed"), key)
    }

    /// Writes what is signed for these names; all that is before the dot of `file` is in the names of both files.
    fn write(&self, folder: &Folder, file: &str, names: Vec<SanType>) -> Identity {
        let (certificate, key) = self.sign("somebody", names);
        Identity {
            certificate: folder.write(&format!("{file}.pem"), &certificate.pem()),
            key: folder.write(&format!("{file}.key"), &key.serialize_pem()),
        }
    }

    fn roots(&self, folder: &Folder, file: &str) -> PathBuf {
        folder.write(file, &self.0.as_ref().pem())
    }
}

fn dns(name: &str) -> SanType {
    SanType::DnsName(Ia5String::try_from(name).expect("ASCII"))
}

fn sip(uri: &str) -> SanType {
    SanType::URI(Ia5String::try_from(uri).expect("ASCII"))
}

fn name(host: &str) -> ServerName {
    ServerName::new(host)
}

/// What came of a call: the name in the certificate that we were shown, or none.
fn call(runtime: &Runtime, server: &Tls, client: &Tls, host: &str) -> Result<Vec<String>, String> {
    call_by(runtime, server, client, Some(&name(host)))
}

fn call_by(runtime: &Runtime, server: &Tls, client: &Tls, host: Option<&ServerName>) -> Result<Vec<String>, String> {
    runtime.block_on(async {
        let listener = TcpListener::bind((HERE, 0)).await.expect("a port");
        let at = listener.local_addr().expect("it is bound");
        let both = async {
            let (accepted, called) = tokio::join!(
                async {
                    let (stream, _) = listener.accept().await.expect("somebody comes");
                    let mut stream = server.accept(stream).await.map_err(|fault| fault.to_string())?;
                    stream.write_all(b"hello").await.map_err(|fault| fault.to_string())?;
                    stream.flush().await.map_err(|fault| fault.to_string())
                },
                async {
                    let stream = TcpStream::connect(at).await.expect("somebody listens");
                    let mut stream = client.connect(host, HERE, stream).await.map_err(|fault| fault.to_string())?;
                    // TLS 1.3: whether our own certificate was good shows with what is read first.
                    stream.read_exact(&mut [0; 5]).await.map_err(|fault| fault.to_string())?;
                    let shown = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first()).expect("a certificate");
                    Ok::<_, String>(certificate::read(shown).expect("it can be read").names)
                }
            );
            called.and_then(|shown| accepted.map(|()| shown))
        };
        tokio::time::timeout(PATIENCE, both).await.expect("no handshake hangs")
    })
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

fn trusting(roots: &Path) -> TlsSettings {
    TlsSettings { roots: Roots::File(roots.to_owned()), ..TlsSettings::default() }
}

fn showing(identities: &[&Identity]) -> TlsSettings {
    let identities = identities.iter().map(|identity| (*identity).clone()).collect();
    TlsSettings { identities, ..TlsSettings::default() }
}

fn peer(host: &str) -> Peer {
    Peer { host: name(host), name: None, identity: None, roots: None, pin: None, sources: Vec::new() }
}

fn open(settings: TlsSettings) -> Tls {
    Tls::open(settings).expect("every file is right")
}

#[test]
fn whoever_is_called_must_be_who_was_meant() {
    let (folder, runtime, ca) = (Folder::new(), runtime(), Authority::new("Root"));
    let roots = ca.roots(&folder, "roots.pem");
    let server = open(showing(&[&ca.write(&folder, "sip", vec![dns("sip.carrier.example"), dns("*.edge.example")])]));
    let client = open(trusting(&roots));
    assert!(call(&runtime, &server, &client, "sip.carrier.example").is_ok());
    assert!(call(&runtime, &server, &client, "SIP.Carrier.example").is_ok());
    for other in ["carrier.example", "a.sip.carrier.example", "evil.example", "a.edge.example", "127.0.0.1"] {
        let refused = call(&runtime, &server, &client, other).expect_err(other);
        assert!(refused.contains("certificate"), "{other}: {refused}");
    }
    let lenient = open(TlsSettings { wildcards: Wildcards::Taken, ..trusting(&roots) });
    assert!(call(&runtime, &server, &lenient, "a.edge.example").is_ok());
    assert!(call(&runtime, &server, &lenient, "a.b.edge.example").is_err());
    let stranger = open(trusting(&Authority::new("Other").roots(&folder, "other.pem")));
    assert!(call(&runtime, &server, &stranger, "sip.carrier.example").is_err(), "signed by nobody whom we trust");
}

#[test]
fn a_peer_may_have_roots_a_name_or_one_certificate_of_its_own() {
    let (folder, runtime, ca) = (Folder::new(), runtime(), Authority::new("Root"));
    let roots = ca.roots(&folder, "roots.pem");
    let identity = ca.write(&folder, "pbx", vec![dns("pbx.internal")]);
    let server = open(showing(&[&identity]));
    let nobody = Authority::new("Nobody").roots(&folder, "nobody.pem");
    let with = |peer: Peer| open(TlsSettings { peers: vec![peer], ..trusting(&nobody) });
    let renamed = with(Peer { roots: Some(roots.clone()), name: Some(name("pbx.internal")), ..peer("10.0.0.7") });
    assert!(call(&runtime, &server, &renamed, "10.0.0.7").is_ok());
    assert!(call(&runtime, &server, &renamed, "pbx.internal").is_err(), "others have the usual roots");
    let pem = std::fs::read_to_string(&identity.certificate).expect("it was written");
    let der = pki_types::CertificateDer::from_pem_slice(pem.as_bytes()).expect("PEM");
    let pin = |octets: [u8; 32]| with(Peer { pin: Some(Pin(octets)), ..peer("10.0.0.7") });
    assert!(call(&runtime, &server, &pin(Sha256::digest(&der).into()), "10.0.0.7").is_ok());
    assert!(call(&runtime, &server, &pin([7; 32]), "10.0.0.7").is_err());
}

#[test]
fn a_peer_that_is_called_by_its_address_is_still_known_by_its_name() {
    let (folder, runtime, ca) = (Folder::new(), runtime(), Authority::new("Root"));
    let server = open(showing(&[&ca.write(&folder, "sip", vec![dns("sip.carrier.example")])]));
    let roots = ca.roots(&folder, "roots.pem");
    let trunk = Peer { sources: vec![Network::only(HERE)], ..peer("sip.carrier.example") };
    let client = open(TlsSettings { peers: vec![trunk], ..trusting(&roots) });
    assert!(call_by(&runtime, &server, &client, None).is_ok(), "a call of theirs goes on by a new connection");
    assert!(call_by(&runtime, &server, &open(trusting(&roots)), None).is_err(), "nobody knows whose address that is");
}

#[test]
fn a_client_without_a_certificate_stays_outside_where_one_is_required() {
    let (folder, runtime, ca) = (Folder::new(), runtime(), Authority::new("Root"));
    let roots = ca.roots(&folder, "roots.pem");
    let identity = ca.write(&folder, "sip", vec![dns("sip.baton.example")]);
    let server = |clients| open(TlsSettings { clients, ..showing(&[&identity]) });
    let bare = open(trusting(&roots));
    let known = open(TlsSettings { identities: vec![ca.write(&folder, "us", vec![dns("us.example")])], ..trusting(&roots) });
    let forged = Authority::new("Root").write(&folder, "forged", vec![dns("us.example")]);
    let forger = open(TlsSettings { identities: vec![forged], ..trusting(&roots) });
    let required = server(Clients::Required(roots.clone()));
    let asked = server(Clients::Asked(roots.clone()));
    let results = [&bare, &known, &forger]
        .map(|client| [&required, &asked].map(|server| call(&runtime, server, client, "sip.baton.example").is_ok()));
    assert_eq!(results, [[false, true], [true, true], [false, false]]);
}

#[test]
fn each_name_has_its_certificate_and_whoever_asks_for_none_gets_the_first() {
    let (folder, runtime, ca) = (Folder::new(), runtime(), Authority::new("Root"));
    let (one, two) = (
        ca.write(&folder, "one", vec![dns("one.example")]),
        ca.write(&folder, "two", vec![dns("*.two.example"), dns("two.example")]),
    );
    let server = open(showing(&[&one, &two]));
    let client = open(TlsSettings { wildcards: Wildcards::Taken, ..trusting(&ca.roots(&folder, "roots.pem")) });
    assert_eq!(call(&runtime, &server, &client, "one.example").expect("good"), ["one.example"]);
    assert_eq!(call(&runtime, &server, &client, "two.example").expect("good"), ["*.two.example", "two.example"]);
    assert_eq!(call(&runtime, &server, &client, "a.two.example").expect("good"), ["*.two.example", "two.example"]);
    let refused = call(&runtime, &server, &client, "three.example").expect_err("it is shown the first");
    assert!(refused.contains("certificate"), "{refused}");
}

#[test]
fn a_renewed_certificate_is_shown_to_the_next_and_those_who_are_in_stay() {
    let (folder, runtime, ca) = (Folder::new(), runtime(), Authority::new("Root"));
    let client = open(trusting(&ca.roots(&folder, "roots.pem")));
    let server = open(showing(&[&ca.write(&folder, "sip", vec![dns("sip.example")])]));
    runtime.block_on(async {
        let listener = TcpListener::bind((HERE, 0)).await.expect("a port");
        let at = listener.local_addr().expect("it is bound");
        let (ours, theirs) =
            tokio::join!(async { server.accept(listener.accept().await.expect("somebody comes").0).await }, async {
                client.connect(Some(&name("sip.example")), HERE, TcpStream::connect(at).await.expect("a listener")).await
            });
        let (mut ours, mut theirs) = (ours.expect("a handshake"), theirs.expect("a handshake"));
        assert_eq!((server.look(), server.ends().len()), (Ok(Look::Same), 1));
        ca.write(&folder, "sip", vec![dns("sip.example"), dns("a-name-that-makes-the-file-longer.example")]);
        assert_eq!(server.look(), Ok(Look::Renewed));
        ours.write_all(b"still here").await.expect("the old connection goes on");
        ours.flush().await.expect("it goes on");
        let mut heard = [0; 10];
        tokio::time::timeout(PATIENCE, theirs.read_exact(&mut heard)).await.expect("in time").expect("it goes on");
        assert_eq!(&heard, b"still here");
    });
    assert_eq!(call(&runtime, &server, &client, "sip.example").expect("good").len(), 2, "the new one");
    folder.write("sip.pem", "half a certif");
    assert!(matches!(server.look(), Err(LoadFault::NoCertificate(_))));
    assert_eq!(server.look(), Ok(Look::Same), "it is said once");
    assert_eq!(call(&runtime, &server, &client, "sip.example").expect("the one before goes on").len(), 2);
}

#[test]
fn files_that_are_of_no_use_are_named() {
    let (folder, ca) = (Folder::new(), Authority::new("Root"));
    let one = ca.write(&folder, "one", vec![dns("one.example")]);
    let two = ca.write(&folder, "two", vec![dns("two.example")]);
    let fault = |certificate: &Path, key: &Path| {
        let identity = Identity { certificate: certificate.to_owned(), key: key.to_owned() };
        Tls::open(showing(&[&identity])).err().map(|fault| fault.to_string()).unwrap_or_default()
    };
    let empty = folder.write("empty.pem", "");
    for (certificate, key, words) in [
        (&one.certificate, &two.key, "two.key does not belong to the certificate in"),
        (&empty, &one.key, "empty.pem holds no certificate in PEM"),
        (&one.certificate, &empty, "empty.pem holds no private key in PEM"),
        (&folder.0.join("missing.pem"), &one.key, "missing.pem cannot be read"),
        (&one.certificate, &folder.0.join("missing.key"), "missing.key cannot be read"),
    ] {
        let said = fault(certificate, key);
        assert!(said.contains(words), "{said}");
    }
    let nobody = TlsSettings { roots: Roots::File(empty), ..TlsSettings::default() };
    assert!(matches!(Tls::open(nobody), Err(LoadFault::NoCertificate(_))));
}

#[test]
fn a_certificate_is_for_the_domains_of_rfc_5922() {
    let subject = |uris: &[&str], names: &[&str], common: Option<&str>| Subject {
        uris: uris.iter().map(ToString::to_string).collect(),
        names: names.iter().map(ToString::to_string).collect(),
        common: common.map(str::to_owned),
        ..Subject::default()
    };
    let is = |subject: &Subject, domain| identity::is(subject, Wanted::Domain(domain), Wildcards::Refused);
    let both = subject(&["SIP:example.com", "sip:jamie@other.com", "https://web.example"], &["sip.example.com"], None);
    assert_eq!(identity::domains(&both), ["example.com"], "a URI of sip without a user; names then do not count");
    assert!(is(&both, "Example.COM") && !is(&both, "sip.example.com") && !is(&both, "other.com") && !is(&both, "web.example"));
    let user_only = subject(&["sip:jamie@example.com"], &["sip.example.com"], None);
    assert!(is(&user_only, "sip.example.com") && !is(&user_only, "example.com"));
    let with_port = subject(&["sip:example.com:5061;transport=tls"], &[], None);
    assert!(is(&with_port, "example.com"));
    assert!(is(&subject(&[], &[], Some("example.com")), "example.com"), "an old one");
    assert!(!is(&subject(&[], &["*.example.com"], None), "sip.example.com"), "RFC 5922 §7.2 knows no wildcards");
    let six = subject(&["sip:[2001:db8::1]:5061"], &[], None);
    let address =
        |subject, text: &str| identity::is(subject, Wanted::Address(text.parse().expect("an address")), Wildcards::Refused);
    assert!(address(&six, "2001:db8::1") && !address(&six, "2001:db8::2"));
}

#[test]
fn what_a_certificate_says_is_read_and_damaged_ones_do_no_harm() {
    let ca = Authority::new("Root");
    let names = vec![
        dns("sip.example"),
        sip("sip:example.com"),
        SanType::IpAddress(HERE),
        SanType::IpAddress("2001:db8::1".parse().expect("an address")),
    ];
    let whole = certificate::read(ca.sign("common", names).0.der()).expect("it is one");
    assert_eq!(
        (whole.names.as_slice(), whole.uris.as_slice()),
        (&["sip.example".to_owned()][..], &["sip:example.com".to_owned()][..])
    );
    assert_eq!((whole.addresses.len(), whole.common.as_deref()), (2, None));
    assert!(whole.good_until().is_some_and(|end| end > Timestamp::UNIX_EPOCH));
    let (bare, _) = ca.sign("old.example", Vec::new());
    assert_eq!(certificate::read(bare.der()).expect("it is one").common.as_deref(), Some("old.example"));
    let der = bare.der().to_vec();
    for at in 0..der.len() {
        assert_eq!(certificate::read(&der[..at]), None, "cut off");
        for octet in [0, 0x7f, 0x80, 0x84, 0xff] {
            let mut other = der.clone();
            other[at] = octet;
            certificate::read(&other);
        }
    }
}
