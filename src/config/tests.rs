//! Every fault at its line and column, and what a configuration means.

use std::io;
use std::time::Duration;

use baton_sip::digest::Algorithms;
use baton_sip::{ServerName, Transport};
use baton_switchboard::CallerId;
use baton_transfer::{AfterAe, BriefingBy, WhileDialing};

use super::settings::{RtpPath, Secret};
use super::*;
use crate::tls::{Clients, Oldest, Pin, Wildcards};

const WHOLE: &str = include_str!("whole.toml");

fn parse(text: &str) -> Result<Config, Vec<String>> {
    let variable = |name: &str| match name {
        "TOKEN" => Some("t0p-s3cret".to_owned()),
        "BAD_URI" => Some("http://s3cret".to_owned()),
        "CREDENTIALS_DIRECTORY" => Some("/run/credentials".to_owned()),
        _ => None,
    };
    let file = |path: &Path| match path.to_str() {
        Some("/etc/baton/token") => Ok("from-the-file\n".to_owned()),
        Some("/run/credentials/carrier") => Ok("from-the-credential".to_owned()),
        _ => Err(io::ErrorKind::NotFound.into()),
    };
    let surroundings = Surroundings { variable: &variable, file: &file };
    Config::parse("f", text, &surroundings).map_err(|faults| faults.0.iter().map(ToString::to_string).collect())
}

/// Asserts that each text has exactly the given faults, each by its beginning.
fn expect(table: &[(&str, &[&str])]) {
    for (text, wanted) in table {
        let found = parse(text).expect_err(text);
        assert_eq!(found.len(), wanted.len(), "{text}\n{found:#?}");
        for (found, wanted) in found.iter().zip(*wanted) {
            assert!(found.starts_with(wanted), "{text}\nfound  {found}\nwanted {wanted}");
        }
    }
}

#[test]
fn callbacks_have_their_own_table() {
    let rules = parse(WHOLE).unwrap().transfer.callback;
    assert_eq!((rules.attempts, rules.retry_after, rules.grace), (5, Duration::from_secs(1_200), Duration::from_secs(7_200)));
    assert_eq!((rules.reminder, rules.confirm_max), (Duration::from_secs(600), Duration::from_secs(15)));
    assert_eq!((rules.confirm_key.sign(), rules.trunk.as_deref(), rules.node.as_str()), ('9', Some("pbx"), "baton-7"));
    assert_eq!(rules.window.to_string(), "Mon-Fri 09:00-18:00, Sat 10:00-14:00");
    assert!(rules.greeting.is_some() && rules.message.is_some());
    let daily = parse("[callback]\nwindow = \"00:00-24:00\"\n").unwrap().transfer.callback;
    assert_eq!(daily.window, "Mon-Sun 00:00-24:00".parse().unwrap());
    expect(&[
        ("[callback]\nattempts = 0\n", &["f:2:12: callback.attempts: "]),
        ("[callback]\nattempts = 11\n", &["f:2:12: callback.attempts: "]),
        ("[callback]\nretry_after = \"0s\"\n", &["f:2:15: callback.retry_after: "]),
        ("[callback]\nwindow = \"21:00-08:00\"\n", &["f:2:10: callback.window: "]),
        ("[callback]\nconfirm_key = \"one\"\n", &["f:2:15: callback.confirm_key: "]),
        ("[callback]\nmessage = \" \"\n", &["f:2:11: callback.message: "]),
        ("[callback]\ntrunk = \"nobody\"\n", &["f:2:9: callback.trunk: "]),
        ("[callback]\nretries = 3\n", &["f:2:1: callback.retries: "]),
    ]);
}

#[test]
fn an_empty_file_is_loopback_only() {
    let config = parse("").unwrap();
    assert_eq!(config.node.name, "baton-1");
    assert_eq!(
        config.sip.listen.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["udp:127.0.0.1:5060", "tcp:127.0.0.1:5060"]
    );
    assert_eq!(config.sip.domain, "127.0.0.1");
    assert_eq!(config.media.address, config.media.advertise);
    assert_eq!(config.media.ports, (20_000, 29_999));
    assert_eq!(config.http.public_url, "http://127.0.0.1:8080");
    assert_eq!(config.http.token, None);
    assert_eq!(config.store.url, "sqlite:baton.db");
    assert_eq!(config.transfer, baton_transfer::Settings::default());
    assert_eq!(config.voices, [VoiceSpec::Flite("slt".to_owned()), VoiceSpec::EspeakNg("en-us".to_owned())]);
    assert_eq!(config.summary(), "0 trunks, 0 AIs, 0 routes, 0 AEs, 0 groups");
    assert_eq!(Config::built_in().summary(), config.summary());
}

#[test]
fn certificates_are_read_and_the_outer_address_fits_family_and_transport() {
    let config = parse(WHOLE).unwrap();
    let said = |transport, bound: &str| config.sip.advertised(transport, bound.parse().unwrap()).map(|outer| outer.host.as_str());
    assert_eq!(said(Transport::Udp, "0.0.0.0"), Some("203.0.113.9"));
    assert_eq!(said(Transport::Tls, "0.0.0.0"), Some("sip.baton.example"));
    assert_eq!(said(Transport::Udp, "2001:db8::9"), None, "an address of the other family is not for it");
    let tls = &config.tls;
    let files: Vec<_> = tls.files().iter().filter_map(|path| path.to_str()?.strip_prefix("/etc/baton/")).collect();
    assert_eq!(
        files,
        [
            "baton.pem",
            "baton.key",
            "other.pem",
            "other.key",
            "pbx-client.pem",
            "pbx-client.key",
            "roots.pem",
            "clients.pem",
            "pbx-roots.pem",
        ]
    );
    assert_eq!((&tls.clients, tls.oldest), (&Clients::Asked("/etc/baton/clients.pem".into()), Oldest::Tls13));
    assert_eq!(tls.wildcards, Wildcards::Taken);
    let [pbx, second] = tls.peers.as_slice() else { panic!("two peers: {:?}", tls.peers) };
    assert_eq!((pbx.host.as_str(), pbx.name.as_ref().map(ServerName::as_str)), ("192.0.2.20", Some("pbx.internal")));
    assert_eq!(second.pin, Some(Pin(std::array::from_fn(|at| at as u8))));
}

#[test]
fn languages_are_read() {
    let config = parse(WHOLE).unwrap();
    assert_eq!(config.transfer.language, baton_transfer::Language::GERMAN);
    assert_eq!(config.transfer.callback.confirm, baton_transfer::ConfirmBy::Speech);
    let dutch: baton_transfer::Language = "nl".parse().unwrap();
    assert_eq!(config.aes[0].language, Some(dutch));
    assert_eq!(config.languages.get(&dutch), Some(&Some("prompts/nl".into())));
    assert_eq!(format!("{:?}", config.transfer.phrases).matches(" belt over {}").count(), 1);
}

#[test]
fn the_table_of_modes_is_read() {
    use baton_contract::Mode;
    use baton_transfer::{Choice, Choices, Preference, Urgency};
    let rows = [
        Choice {
            urgency: Some(Urgency::Low),
            preference: Some(Preference::Callback),
            available: Some(false),
            open: Some(false),
            mode: Mode::Scheduled,
        },
        Choice { urgency: None, preference: Some(Preference::Message), available: None, open: None, mode: Mode::Voicemail },
    ];
    assert_eq!(parse(WHOLE).unwrap().transfer.choices, Choices::new(rows.to_vec()));
    expect(&[
        ("[[mode]]\nurgency = \"low\"\n", &["f:1:1: mode.mode: "]),
        ("[[mode]]\nmode = \"hot\"\n", &["f:2:8: mode.mode: `hot` is not known"]),
        ("[[mode]]\nmode = \"warm\"\nurgency = \"asap\"\n", &["f:3:11: mode.urgency: "]),
        ("[[mode]]\nmode = \"warm\"\nopen = \"no\"\n", &["f:3:8: mode.open: "]),
        ("[[mode]]\nmode = \"voicemail\"\n", &["f:2:8: mode.mode: needs a folder for messages"]),
        ("[[mode]]\nmode = \"warm\"\n[[mode]]\nmode = \"cold\"\n", &["f:2:8: mode.mode: comes before other rows"]),
    ]);
}

#[test]
fn every_key_is_read() {
    let config = parse(WHOLE).unwrap();
    assert_eq!(config.summary(), "2 trunks, 2 AIs, 2 routes, 4 AEs, 1 group");
    assert_eq!(config.media.advertise.to_string(), "203.0.113.9");
    assert_eq!(config.http.token.as_ref().map(Secret::expose), Some("from-the-file"));
    assert_eq!(config.transfer.budget.accept.worst, Duration::from_secs(45));
    assert_eq!(config.transfer.ring_max, Duration::from_secs(20));
    assert_eq!(config.transfer.keys.later.sign(), '7');
    assert_eq!(config.transfer.attempts, 3);
    assert_eq!(config.transfer.wrap_up, Duration::from_secs(90));
    assert_eq!(config.transfer.briefing_max, Duration::from_secs(25));
    let transfer = &config.transfer;
    assert_eq!(
        (transfer.while_dialing, transfer.after_ae, transfer.briefing),
        (WhileDialing::Ringback, AfterAe::Ai, BriefingBy::Ai)
    );
    assert_eq!((transfer.introduce, transfer.introduce_max), (true, Duration::from_secs(15)));
    assert_eq!((transfer.handback_key.first.sign(), transfer.handback_key.then.sign()), ('*', '8'));
    assert_eq!((transfer.message_max, transfer.message_silence_max), (Duration::from_secs(90), Duration::from_secs(4)));
    assert_eq!(config.voices[0], VoiceSpec::Files("briefings".into()));
    let carrier = &config.trunks[0];
    assert_eq!(carrier.credentials.as_ref().map(|it| it.password.expose()), Some("from-the-credential"));
    assert_eq!(carrier.ringing.map(|limits| limits.worst), Some(Duration::from_secs(12)));
    assert_eq!(config.trunks[1].sources, ["192.0.2.20".parse().unwrap()]);
    assert_eq!(carrier.rtp, RtpPath::Signalled);
    assert!(carrier.line.registers && carrier.line.follows_redirects && carrier.line.releases);
    assert_eq!((carrier.line.expires, carrier.line.options), (Duration::from_secs(300), Some(Duration::from_secs(30))));
    assert_eq!(carrier.line.inbound_digest, Algorithms::Sha256);
    assert_eq!(carrier.line.numbers.dialled("+4930123456"), "030123456");
    assert_eq!(config.sip.nameservers, ["192.0.2.53:53".parse().unwrap(), "127.0.0.1:5353".parse().unwrap()]);
    let kim = config.aes.last().expect("an AE");
    assert_eq!(kim.uri, "sip:kim-desk@baton.example");
    let phone = &config.phones[&kim.id];
    assert_eq!((phone.account.as_ref().map(|own| own.username.as_str()), phone.watches_dialogs), (Some("kim-desk"), true));
    assert_eq!(phone.digest, Algorithms::Md5);
    let Route::In(route) = &config.routes[0] else { panic!("{:?}", config.routes) };
    assert_eq!(route.ais, ["agent", "second"]);
    assert!(!config.ais[1].trust_context);
    let [michael, sara, anna, _] = config.aes.as_slice() else { panic!("four AEs") };
    assert_eq!((michael.name.as_str(), michael.timezone.name(), michael.trusted), ("Michael", "America/New_York", true));
    assert_eq!((sara.name.as_str(), sara.hours.to_string().as_str()), ("sara", "Mon-Sun 00:00-24:00"));
    assert_eq!((anna.uri.as_str(), anna.trusted, anna.ring_max), ("tel:+15550144", false, Some(Duration::from_secs(25))));
    assert_eq!(config.groups[0].aes.iter().map(|id| id.as_str()).collect::<Vec<_>>(), ["michael", "sara"]);
}

#[test]
fn the_documented_example_is_right() {
    let text = include_str!("example.toml");
    assert_eq!(parse(text).unwrap().summary(), "1 trunk, 1 AI, 1 route, 2 AEs, 1 group");
}

#[test]
fn secrets_are_never_shown() {
    let text = "[[trunk]]\nname = \"a\"\nuri = \"${BAD_URI}\"\n[http]\ntoken = \"${TOKEN} x\"\n";
    let faults = parse(text).unwrap_err().join("\n");
    assert!(!faults.contains("s3cret"), "{faults}");
    assert!(faults.starts_with("f:3:7: trunk.uri: `${BAD_URI}`: only SIP"), "{faults}");
    let config = parse("[http]\ntoken = \"${TOKEN}\"").unwrap();
    assert!(!format!("{config:?}").contains("s3cret"));
}

#[test]
fn all_faults_of_a_file_come_in_one_go_and_in_its_order() {
    let text = "[sip]\nlisten = [\"udp:nowhere\", \"tcp:127.0.0.1:5060\", \"sctp:127.0.0.1:5060\"]\ndomian = \"x\"\n\
                [media]\nports = \"30000-20000\"\n[trnsfer]\nattempts = 2\n[[ae]]\nid = \"michael\"\nbackup = \"sarah\"\n[[ae]]\nid = \"sara\"\nuri = \"sip:s@h\"\n";
    expect(&[(
        text,
        &[
            "f:2:11: sip.listen: `udp:nowhere` is nothing to listen on, write `udp:127.0.0.1:5060`",
            "f:2:48: sip.listen: `sctp:127.0.0.1:5060` is nothing to listen on",
            "f:3:1: sip.domian: is not known, did you mean `domain`?",
            "f:5:9: media.ports: `30000-20000` ends before it begins, write `20000-30000`",
            "f:6:2: trnsfer: is not known, did you mean `transfer`?",
            "f:8:1: ae.uri: is missing, write `uri = \"sip:michael@192.0.2.5:5060\"`",
            "f:10:10: ae.backup: `sarah` is no [[ae]], did you mean `sara`?",
        ],
    )]);
}

#[test]
fn what_is_no_toml_is_named_with_its_place() {
    expect(&[
        ("[sip\n", &["f:1:5: is no TOML: "]),
        ("a = \"x\nb = 1", &["f:1:7: is no TOML: "]),
        ("[sip]\ndomain = \"a\"\ndomain = \"b\"\n", &["f:3:1: is no TOML: duplicate key"]),
    ]);
}

#[test]
fn tables_and_keys_are_known_or_refused() {
    expect(&[
        ("[policy]\nfile = \"x\"", &["f:1:2: policy: is not built yet in this version, leave it out"]),
        ("sip = 3", &["f:1:7: sip: is a number, write a table: `[sip]`"]),
        ("[[sip]]\n", &["f:1:1: sip: is written `[[sip]]`, but there is only one: write `[sip]`"]),
        ("[ae]\nid = \"x\"", &["f:1:1: ae: is written `[ae]`, but there may be several: write `[[ae]]`"]),
        ("ae = 1", &["f:1:6: ae: is a number, write tables: `[[ae]]`"]),
        ("[transfer]\nzebra = true", &["f:2:1: transfer.zebra: is not known, there are `accept`,"]),
        ("[node]\nid = \"x\"", &["f:2:1: node.id: is not known, there is only `name`"]),
        ("sip.lisen = [\"udp:127.0.0.1:5060\"]", &["f:1:5: sip.lisen: is not known, did you mean `listen`?"]),
        ("sip = { domain = \"-x\", foo = 1 }", &["f:1:18: sip.domain: `-x` is no domain", "f:1:24: sip.foo: is not known"]),
    ]);
}

#[test]
fn values_have_the_right_kind() {
    expect(&[
        ("[node]\nname = 7", &["f:2:8: node.name: is a number, write a text in quotes"]),
        ("[node]\nname = \"\"", &["f:2:8: node.name: is empty"]),
        ("[node]\nname = \"a\\nb\"", &["f:2:8: node.name: holds a control character"]),
        ("[node]\nname = \"a b\"", &["f:2:8: node.name: `a b` is no id"]),
        (
            "[transfer]\nattempts = \"2\"",
            &["f:2:12: transfer.attempts: is a text, write a whole number from 1 to 10 without quotes"],
        ),
        ("[transfer]\nattempts = 0", &["f:2:12: transfer.attempts: 0 is out of range, write a whole number from 1 to 10"]),
        ("[transfer]\nattempts = -1", &["f:2:12: transfer.attempts: -1 is out of range"]),
        ("[sip]\nlisten = [1, \"tcp:127.0.0.1:1\"]", &["f:2:11: sip.listen: is a number, write a text in quotes"]),
        ("[sip]\nlisten = 5060", &["f:2:10: sip.listen: is a number, write a list of texts"]),
        (
            "[[ai]]\nname=\"a\"\nuri=\"sip:a@h\"\ntrust_context = \"yes\"",
            &["f:4:17: ai.trust_context: is a text, write `true` or `false`"],
        ),
    ]);
}

#[test]
fn variables_that_are_not_there_name_their_line() {
    expect(&[
        ("[node]\nname = \"${NOBODY}\"", &["f:2:8: node.name: the variable NOBODY is not set"]),
        ("[http]\ntoken = \"${file:/etc/nothing}\"", &["f:2:9: http.token: /etc/nothing cannot be read"]),
        ("[http]\ntoken = \"${cred:nothing}\"", &["f:2:9: http.token: /run/credentials/nothing cannot be read"]),
        ("[sip]\nlisten = [\"udp:127.0.0.1:5060\",\n  \"${HOST}:5060\"]", &["f:3:3: sip.listen: the variable HOST is not set"]),
    ]);
}

#[test]
fn sockets_must_not_meet_and_must_be_reachable() {
    expect(&[
        ("[sip]\nlisten = []", &["f:2:10: sip.listen: is empty, write"]),
        ("[sip]\nlisten = [\"tls:127.0.0.1:5061\"]", &["f:2:11: sip.listen: `tls:127.0.0.1:5061` needs a certificate"]),
        ("[sip]\nlisten = [\"wss:127.0.0.1:443\"]", &["f:2:11: sip.listen: `wss:127.0.0.1:443` needs a certificate"]),
        ("[sip]\nlisten = [\"sctp:127.0.0.1:5060\"]", &["f:2:11: sip.listen: `sctp:127.0.0.1:5060` is nothing to listen on"]),
        (
            "[sip]\nlisten = [\"ws:127.0.0.1:5060\", \"tcp:127.0.0.1:5060\"]",
            &["f:2:32: sip.listen: `tcp:127.0.0.1:5060` is already listened on by `ws:127.0.0.1:5060`"],
        ),
        (
            "[sip]\nlisten = \"udp:[::]:5060\"\nadvertise = \"192.0.2.1\"\n[media]\naddress = \"192.0.2.1\"",
            &["f:2:10: sip.listen: `udp:[::]:5060` says nothing"],
        ),
        ("[sip]\nadvertise = [\"tls:\"]", &["f:2:14: sip.advertise: `` is no host"]),
        ("[tls]\ncertificate = \"a.pem\"", &["f:2:15: tls.certificate: stands without `key`"]),
        ("[tls]\nclients = \"require\"", &["f:2:11: tls.clients: says that clients need a certificate"]),
        ("[tls]\nclient_roots = \"a.pem\"", &["f:2:16: tls.client_roots: says whose signature is good, but nobody"]),
        ("[tls]\noldest = \"1.1\"", &["f:2:10: tls.oldest: `1.1` is not known"]),
        ("[tls]\nkey = \"-----BEGIN PRIVATE KEY-----\"", &["f:2:7: tls.key: is the content of a file"]),
        ("[[certificate]]\nkey = \"a.key\"", &["f:1:1: certificate.certificate: is missing"]),
        ("[sip]\nlisten = [\"udp:127.0.0.1:0\"]", &["f:2:11: sip.listen: `udp:127.0.0.1:0` has no port"]),
        (
            "[sip]\nadvertise = \"192.0.2.1\"\nlisten = [\"udp:127.0.0.1:5060\", \"udp:0.0.0.0:5060\"]",
            &["f:3:33: sip.listen: `udp:0.0.0.0:5060` is already listened on by `udp:127.0.0.1:5060`"],
        ),
        (
            "[sip]\nlisten = [\"tcp:127.0.0.1:8080\"]",
            &["f:1:1: http.listen: `127.0.0.1:8080` is already listened on by `tcp:127.0.0.1:8080`"],
        ),
        (
            "[sip]\nlisten = [\"udp:127.0.0.1:5060\"]\n[media]\nports = \"5000-5999\"",
            &["f:4:9: media.ports: holds 5060, which `udp:127.0.0.1:5060` of sip.listen needs"],
        ),
        (
            "[sip]\nlisten = [\"udp:0.0.0.0:5060\"]",
            &[
                "f:1:1: media.address: stands for all addresses",
                "f:2:11: sip.listen: `udp:0.0.0.0:5060` says nothing that others could send to",
            ],
        ),
        ("[media]\naddress = \"0.0.0.0\"", &["f:2:11: media.address: stands for all addresses"]),
        ("[media]\naddress = \"localhost\"", &["f:2:11: media.address: `localhost` is no address"]),
        ("[media]\nadvertise = \"0.0.0.0\"", &["f:2:13: media.advertise: `0.0.0.0` is an address that nobody can send to"]),
        ("[sip]\nadvertise = \"a b\"", &["f:2:13: sip.advertise: `a b` is no host"]),
        ("[media]\nports = \"20000\"", &["f:2:9: media.ports: `20000` is no range of ports, write `20000-29999`"]),
        ("[media]\nports = \"20001-20006\"", &["f:2:9: media.ports: `20001-20006` holds no 3 pairs"]),
        ("[media]\nports = \"80-20000\"", &["f:2:9: media.ports: `80-20000` begins below 1024"]),
    ]);
    assert!(parse("[media]\nports = \"20000-20005\"").is_ok());
    assert!(parse("[sip]\nlisten = [\"udp:[::1]:5060\"]").is_ok());
}

#[test]
fn the_api_is_open_on_loopback_only() {
    expect(&[
        ("[http]\nlisten = \"192.0.2.1:8080\"", &["f:2:10: http.token: is missing while `192.0.2.1:8080` is listened on"]),
        ("[http]\nlisten = \"[::]:8080\"", &["f:2:10: http.token: is missing"]),
        ("[http]\nlisten = \"8080\"", &["f:2:10: http.listen: `8080` is no address with a port"]),
        ("[http]\npublic_url = \"ftp://x\"", &["f:2:14: http.public_url: `ftp://x` is no address of a site"]),
        ("[http]\npublic_url = \"http://x/path\"", &["f:2:14: http.public_url: `http://x/path` is no address of a site"]),
        ("[http]\ntoken = \"a b\"", &["f:2:9: http.token: cannot stand in a header"]),
    ]);
    for right in [
        "listen = \"[::1]:0\"",
        "listen = \"127.9.0.1:80\"",
        "listen = \"0.0.0.0:80\"\ntoken = \"${TOKEN}\"",
        "public_url = \"https://a.example/\"",
    ] {
        assert!(parse(&format!("[http]\n{right}")).is_ok(), "{right}");
    }
}

#[test]
fn a_store_is_a_sqlite_file() {
    expect(&[
        ("[store]\nurl = \"postgres://x\"", &["f:2:7: store.url: PostgreSQL is not built yet"]),
        ("[store]\nurl = \"baton.db\"", &["f:2:7: store.url: `baton.db` is no store, write `sqlite:baton.db`"]),
        ("[store]\nurl = \"sqlite:\"", &["f:2:7: store.url: `sqlite:` is no store"]),
    ]);
}

#[test]
fn durations_and_budgets_make_sense() {
    expect(&[
        ("[transfer]\nring_max = \"18\"", &["f:2:12: transfer.ring_max: `18` is no duration, write `500ms`, `18s` or `1m`"]),
        ("[transfer]\nring_max = \"18 s\"", &["f:2:12: transfer.ring_max: `18 s` is no duration"]),
        ("[transfer]\nring_max = 18", &["f:2:12: transfer.ring_max: is a number, write a text in quotes"]),
        ("[transfer]\nring_max = \"0s\"", &["f:2:12: transfer.ring_max: `0s` is no time at all"]),
        (
            "[transfer]\nring_max = \"99999999999999999999s\"",
            &["f:2:12: transfer.ring_max: `99999999999999999999s` is no duration"],
        ),
        ("[transfer]\nring_max = \"25h\"", &["f:2:12: transfer.ring_max: `25h` is longer than a day"]),
        ("[budget]\nstart = [\"2s\", \"1s\"]", &["f:2:10: budget.start: has a target above its worst case"]),
        ("[budget]\nstart = [\"2s\"]", &["f:2:10: budget.start: has 1 durations, write two"]),
        ("[budget]\nstart = [\"2s\", \"soon\"]", &["f:2:16: budget.start: `soon` is no duration"]),
        ("[budget]\ntotal = [\"10s\", \"20s\"]", &["f:2:10: budget.total: the targets of start, ringing and accept need 22.5s"]),
        ("[briefing]\nmax = \"0ms\"", &["f:2:7: briefing.max: `0ms` is no time at all"]),
    ]);
    let config = parse("[transfer]\nring_max = \"1m30s\"\nwrap_up = \"0s\"").unwrap();
    assert_eq!(config.transfer.ring_max, Duration::from_secs(90));
}

#[test]
fn a_key_has_one_meaning() {
    expect(&[
        ("[transfer]\naccept_key = \"12\"", &["f:2:14: transfer.accept_key: `12` is no key"]),
        (
            "[transfer]\naccept_key = \"2\"",
            &["f:2:14: transfer.accept_key: `2` is decline_key too, write one that is free: 0 1 4"],
        ),
        ("[transfer]\nlater_key = \"#\"", &["f:2:13: transfer.later_key: `#` is skip_key too"]),
        ("[transfer]\naccept_key = \"5\"\nskip_key = \"5\"", &["f:3:12: transfer.skip_key: `5` is accept_key too"]),
        (
            "[transfer]\nhandback_key = \"9\"",
            &["f:2:16: transfer.handback_key: `9` is no pair of keys, write a star or a pound and another key: `*9`"],
        ),
        ("[transfer]\nhandback_key = \"##\"", &["f:2:16: transfer.handback_key: `##` is no pair of keys"]),
        ("[transfer]\nhandback_key = \"**\"", &["f:2:16: transfer.handback_key: `**` is no pair of keys"]),
        ("[transfer]\nintroduce = \"yes\"", &["f:2:13: transfer.introduce: "]),
        ("[transfer]\nmessage_max = \"0s\"", &["f:2:15: transfer.message_max: `0s` is no time at all"]),
        ("[briefing]\nby = \"robot\"", &["f:2:6: briefing.by: `robot` is not known, write `voice` or `ai`"]),
        ("[transfer]\naccept = \"anser\"", &["f:2:10: transfer.accept: `anser` is not known, write `answer`"]),
        (
            "[transfer]\nwhile_dialing = \"jazz\"",
            &["f:2:17: transfer.while_dialing: `jazz` is not known, write `music` or `ai` or `ringback`"],
        ),
        ("[transfer]\nafter_ae = \"bye\"", &["f:2:12: transfer.after_ae: `bye` is not known, write `end` or `ai`"]),
    ]);
}

#[test]
fn voices_are_known() {
    expect(&[
        ("[briefing]\nvoices = [\"siri\"]", &["f:2:11: briefing.voices: `siri` is no voice"]),
        ("[briefing]\nlanguage = \"german\"", &["f:2:12: briefing.language: `german`: a language is named by two letters"]),
        (
            "[briefing]\nlanguage = \"nl\"",
            &["f:2:12: briefing.language: `nl` is none of `en`, `de`, `es`, `fr`, write its words"],
        ),
        ("[callback]\nconfirm = \"speech\"", &["f:2:11: callback.confirm: needs somebody who writes down"]),
        ("[callback]\nconfirm = \"nod\"", &["f:2:11: callback.confirm: `nod` is not known"]),
        ("[[language]]\nprompts = \"x\"", &["f:1:1: language.tag: is missing"]),
        ("[[language]]\ntag = \"nl\"\nabout = \"belt\"", &["f:3:9: language.about: has to have exactly one `{}`"]),
        ("[[language]]\ntag = \"nl\"\nvip = \"VIP\"", &["f:3:7: language.vip: has to be a sentence"]),
        ("[[language]]\ntag = \"nl\"\n[[language]]\ntag = \"nl\"", &["f:4:7: language.tag: `nl` has a [[language]] already"]),
        ("[briefing]\nvoices = [\"files:\"]", &["f:2:11: briefing.voices: `files:` names no directory"]),
        ("[briefing]\nvoices = [\"flite:../x.flitevox\"]", &["f:2:11: briefing.voices: `flite:../x.flitevox` names no voice"]),
    ]);
}

#[test]
fn whoever_is_called_by_tls_has_somewhere_to_answer() {
    expect(&[
        (
            "[[trunk]]\nname = \"a\"\nuri = \"sips:h\"",
            &["f:3:7: trunk.uri: is called by TLS, but their answers have nowhere to go"],
        ),
        ("[[trunk]]\nname = \"a\"\nuri = \"sips:h;transport=udp\"", &["f:3:7: trunk.uri: `sips:h;transport=udp` is no SIP URI"]),
        (
            "[[trunk]]\nname = \"a\"\nuri = \"sip:h;transport=ws\"",
            &["f:3:7: trunk.uri: is called by WebSocket, but Baton has none, write `ws:` into sip.listen"],
        ),
        (
            "[[ai]]\nname = \"a\"\nuri = \"sips:h;transport=ws\"",
            &["f:3:7: ai.uri: is called by WebSocket under TLS, but Baton has none, write `wss:` into sip.listen"],
        ),
        (
            "[[trunk]]\nname = \"a\"\nuri = \"sip:h\"\ntls_name = \"n\"",
            &["f:4:12: trunk.tls_name: is for peers that are called by TLS"],
        ),
        ("[[trunk]]\nname = \"a\"\nuri = \"sip:h\"\ntls_pin = \"abc\"", &["f:4:11: trunk.tls_pin: `abc` is no fingerprint"]),
    ]);
}

#[test]
fn trunks_are_whole() {
    expect(&[
        ("[[trunk]]\n", &["f:1:1: trunk.name: is missing, write `name = \"carrier\"`", "f:1:1: trunk.uri: is missing"]),
        ("[[trunk]]\nname = \"a\"\nuri = \"sip:h:99999\"", &["f:3:7: trunk.uri: `sip:h:99999` is no SIP URI (its port"]),
        (
            "[[trunk]]\nname = \"a\"\nuri = \"192.0.2.1\"",
            &["f:3:7: trunk.uri: `192.0.2.1` is no SIP URI (it does not begin with `sip:` or `sips:`)"],
        ),
        (
            "[[trunk]]\nname = \"a\"\nuri = \"sip:h\"\nsources = [\"127.0.0.1/33\"]",
            &["f:4:12: trunk.sources: `127.0.0.1/33` is no range"],
        ),
        ("[[trunk]]\nname = \"a\"\nuri = \"sip:h\"\nusername = \"u\"", &["f:4:12: trunk.username: stands without `password`"]),
        ("[[trunk]]\nname = \"a\"\nuri = \"sip:h\"\npassword = \"u\"", &["f:4:12: trunk.password: stands without `username`"]),
        (
            "[[trunk]]\nname = \"a\"\nuri = \"sip:h\"\nregister = true",
            &["f:4:12: trunk.register: needs `username` and `password`"],
        ),
        ("[[trunk]]\nname = \"a\"\nuri = \"sip:h\"\nregistrar = \"r\"", &["f:4:13: trunk.registrar: is for a registration"]),
        (
            "[[trunk]]\nname = \"a\"\nuri = \"sip:h\"\noptions = \"1s\"",
            &["f:4:11: trunk.options: `1s` is too often, write at least `5s`"],
        ),
        ("[[trunk]]\nname = \"a\"\nuri = \"sip:h\"\ndial = \"national\"", &["f:4:8: trunk.dial: needs `country`"]),
        ("[[trunk]]\nname = \"a\"\nuri = \"sip:h\"\ncountry = \"49\"", &["f:4:11: trunk.country: `49` is no code of a country"]),
        (
            "[[trunk]]\nname = \"a\"\nuri = \"sip:h\"\ninbound_username = \"u\"",
            &["f:4:20: trunk.inbound_username: stands without"],
        ),
        (
            "[[trunk]]\nname = \"a\"\nuri = \"sip:h\"\ninbound_digest = \"md5\"",
            &["f:4:18: trunk.inbound_digest: is how `inbound_password` is proved, write that too"],
        ),
        (
            "[[ae]]\nid = \"a\"\npassword = \"p\"\ndigest = \"sha\"",
            &["f:4:10: ae.digest: `sha` is not known, write `any` or `sha-256` or `md5`"],
        ),
        ("[[trunk]]\nname = \"a\"\nuri = \"sip:h\"\nredirect = \"on\"", &["f:4:12: trunk.redirect: `on`"]),
        ("[sip]\nstrangers = \"angry\"", &["f:2:13: sip.strangers: `angry`"]),
        ("[sip]\nsession_id = \"echo\"", &["f:2:14: sip.session_id: `echo` is not known, write `answer` or `always`"]),
        ("[sip]\nnameservers = \"dns\"", &["f:2:15: sip.nameservers: `dns` is no name server"]),
        ("[[ae]]\nid = \"a\"\nusername = \"u\"\nuri = \"sip:a@192.0.2.1\"", &["f:3:12: ae.username: stands without `password`"]),
        (
            "[[ae]]\nid = \"a\"\npassword = \"p\"\n[[ai]]\nname = \"a\"\nuri = \"sip:a@192.0.2.1\"\npassword = \"q\"",
            &["f:7:12: ai.password: belongs to `a`, a user name that somebody else has too"],
        ),
        (
            "[[trunk]]\nname = \"a\"\nuri = \"sip:h\"\nrtp = \"odd\"",
            &["f:4:7: trunk.rtp: `odd` is not known, write `symmetric` or `signalled`"],
        ),
        ("[[trunk]]\nname = \"a\"\nuri = \"sip:h\"\nallow = [\"+1[0-9]\"]", &["f:4:10: trunk.allow: `+1[0-9]` is no pattern"]),
        (
            "[[trunk]]\nname = \"a\"\nuri = \"sip:h\"\n[[trunk]]\nname = \"a\"\nuri = \"sip:i\"",
            &["f:5:8: trunk.name: `a` is given twice"],
        ),
    ]);
}

#[test]
fn ais_are_whole() {
    expect(&[
        ("[[ai]]\nname = \"a\"\nuri = \"sip:{from}@h\"", &["f:3:7: ai.uri: `sip:{from}@h` holds `{`, only `{to}` is known"]),
        (
            "[[ai]]\nname = \"a\"\nuri = \"sip:a<b@h\"",
            &["f:3:7: ai.uri: `sip:a<b@h` is no SIP URI (a sign in it has no place there)"],
        ),
        ("[[ai]]\nname = \"a\"\nuri = \"wss://h/x\"", &["f:3:7: ai.uri: `wss://h/x`: only SIP is built yet"]),
        (
            "[[ai]]\nname = \"a\"\nuri = \"sip:a@h\"\nrefer = \"warm\"",
            &["f:4:9: ai.refer: `warm` is not known, write `cold` or `deny`"],
        ),
        ("[[ai]]\nname = \"a\"\nuri = \"sip:a@h\"\nbye = \"rescu\"", &["f:4:7: ai.bye: `rescu` is not known, write `rescue`"]),
        ("[[ai]]\nname = \"a\"\nuri = \"sip:a@h\"\nsilence = 5", &["f:4:11: ai.silence: is "]),
        ("[[ai]]\nname = \"a\"\nuri = \"sip:a@h\"\ndoor = \"websocket\"", &["f:4:1: ai.door: is not built yet"]),
        (
            "[[ai]]\nname = \"a\"\nuri = \"sip:a@h\"\n[[ai]]\nname = \"a\"\nuri = \"sip:a@h\"",
            &["f:5:8: ai.name: `a` is given twice"],
        ),
    ]);
    for right in ["sip:{to}@127.0.0.1:5080", "sip:ai@[::1]:5080;transport=udp", "sip:ai@ai.example"] {
        assert!(parse(&format!("[[ai]]\nname = \"a\"\nuri = \"{right}\"")).is_ok(), "{right}");
    }
}

#[test]
fn a_trunk_carries_what_it_says() {
    let trunk = "[[trunk]]\nname = \"a\"\nuri = \"sip:h\"\n";
    let config = parse(&format!("{trunk}channels = 100\ncps = 10\ncaller_id = \"caller\"\nnumber = \"+1 555 0100\"")).unwrap();
    let one = &config.trunks[0];
    assert_eq!((one.capacity.channels, one.capacity.reserve, one.capacity.cps), (Some(100), 10, Some(10)));
    assert_eq!((one.caller_id, one.number.as_deref()), (CallerId::Caller, Some("+15550100")));
    expect(&[
        (&format!("{trunk}reserve = 2"), &["f:4:11: trunk.reserve: stands without `channels`"]),
        (
            &format!("{trunk}channels = 2\nreserve = 2"),
            &["f:5:11: trunk.reserve: keeps all 2 channels, no call would ever come in"],
        ),
        (&format!("{trunk}channels = 0"), &["f:4:12: trunk.channels: 0 is out of range, write a whole number from 1 to 100000"]),
        (&format!("{trunk}cps = \"10\""), &["f:4:7: trunk.cps: is "]),
        (&format!("{trunk}caller_id = \"me\""), &["f:4:13: trunk.caller_id: `me` is not known, write `own` or `caller`"]),
        (&format!("{trunk}cold = \"transfer\""), &["f:4:8: trunk.cold: `transfer` is not known, write `bridge` or `refer`"]),
        (&format!("{trunk}number = \"none\""), &["f:4:10: trunk.number: `none` is no number"]),
        (&format!("{trunk}ring_max = \"0s\""), &["f:4:12: trunk.ring_max: `0s` is no time at all"]),
        (&aes(&[("m", "caller_id = \"x\"")]), &["f:4:13: ae.caller_id: `x` is not known"]),
    ]);
}

#[test]
fn routes_and_groups_name_somebody() {
    let ai = "[[ai]]\nname = \"agent\"\nuri = \"sip:a@h\"\n";
    expect(&[
        ("[[route]]\nto = \"*\"", &["f:1:1: route.ai: is missing, write `ai = \"agent\"`"]),
        ("[[route]]\nai = []", &["f:2:6: route.ai: is empty, write `ai = \"agent\"`"]),
        ("[[route]]\nai = \"agent\"", &["f:2:6: route.ai: `agent` is no [[ai]], there is none"]),
        (
            &format!("{ai}[[route]]\nai = [\"agent\", \"agnt\"]"),
            &["f:5:16: route.ai: `agnt` is no [[ai]], did you mean `agent`?"],
        ),
        (&format!("{ai}[[route]]\nai = \"agent\"\ntrunk = \"x\""), &["f:6:9: route.trunk: `x` is no [[trunk]], there is none"]),
        (&format!("{ai}[[route]]\nfrom = \"ai:agent\""), &["f:4:1: route.trunk: is missing, write `trunk = \"carrier\"`"]),
        (
            &format!("{ai}[[route]]\nfrom = \"agent\"\ntrunk = \"c\""),
            &[
                "f:5:8: route.from: `agent` names no AI, write `ai:agent`",
                "f:6:9: route.trunk: `c` is no [[trunk]], there is none",
            ],
        ),
        (
            &format!("{ai}[[route]]\nfrom = \"ai:agnt\"\nai = \"agent\"\ntrunk = \"c\""),
            &[
                "f:5:8: route.from: `agnt` is no [[ai]], did you mean `agent`?",
                "f:6:6: route.ai: is for calls that come in",
                "f:7:9: route.trunk: `c` is no [[trunk]]",
            ],
        ),
        (
            &format!("{ai}[[route]]\nai = \"agent\"\nanswer = \"now\""),
            &["f:6:10: route.answer: `now` is not known, write `on_ai` or `immediate`"],
        ),
        (
            &format!("{ai}[[route]]\nai = \"agent\"\nrescue = \"humn\"\nrescue_to = \"sales\""),
            &[
                "f:6:10: route.rescue: `humn` is not known, write `human`",
                "f:7:13: route.rescue_to: `sales` is no [[ae]] or [[group]]",
            ],
        ),
        ("[[group]]\nname = \"sales\"", &["f:1:1: group.aes: is missing, write `aes = [\"michael\"]`"]),
        ("[[group]]\nname = \"sales\"\naes = [\"x\"]", &["f:3:8: group.aes: `x` is no [[ae]], there is none"]),
        (
            "[[ae]]\nid = \"m\"\nuri = \"sip:m@h\"\n[[group]]\nname = \"m\"\naes = [\"m\", \"m\"]",
            &["f:5:8: group.name: `m` names an AE or a group already", "f:6:13: group.aes: `m` is a member twice"],
        ),
    ]);
}

/// An AE per item: `(id, further lines)`; each begins three lines below the one before plus its further lines.
fn aes(items: &[(&str, &str)]) -> String {
    items.iter().map(|(id, more)| format!("[[ae]]\nid = \"{id}\"\nuri = \"sip:{id}@h\"\n{more}")).collect()
}

#[test]
fn aes_are_whole_and_unlike() {
    expect(&[
        ("[[ae]]\nid = \"a/b\"\nuri = \"sip:m@h\"", &["f:2:6: ae.id: `a/b` is no id"]),
        (
            &aes(&[("m", "timezone = \"America/New_Yrok\"")]),
            &["f:4:12: ae.timezone: `America/New_Yrok` is no time zone, did you mean `America/New_York`?"],
        ),
        (&aes(&[("m", "timezone = \"here\"")]), &["f:4:12: ae.timezone: `here` is no time zone, write an IANA name"]),
        (&aes(&[("m", "hours = \"Mon-Fry 09:00-17:00\"")]), &["f:4:9: ae.hours: "]),
        (&aes(&[("m", "hours = \"Mon-Fri 9 to 5\"")]), &["f:4:9: ae.hours: "]),
        (&aes(&[("m", "numbers = [\"+1555 0142\", \"12x\"]")]), &["f:4:26: ae.numbers: `12x` is no number"]),
        (&aes(&[("m", ""), ("m", "")]), &["f:5:6: ae.id: `m` names an AE or a group already"]),
        (
            &aes(&[("m", "numbers = [\"+1555\"]\n"), ("s", "numbers = \"+1-555\"\n")]),
            &["f:8:11: ae.numbers: `+1555` is a number of `m` already"],
        ),
        (&aes(&[("m", "trunk = \"carrier\"")]), &["f:4:9: ae.trunk: `carrier` is no [[trunk]], there is none"]),
        ("[[ae]]\nid = \"m\"\nuri = \"tel:+1555\"", &["f:3:7: ae.uri: `tel:+1555` needs a trunk that dials it"]),
        ("[[ae]]\nid = \"m\"\nuri = \"tel:me\"", &["f:3:7: ae.uri: `tel:me` is no URI of a phone"]),
        (
            "[[trunk]]\nname = \"c\"\nuri = \"sip:h\"\n[[ae]]\nid = \"m\"\nuri = \"tel:911\"\ntrunk = \"c\"",
            &["f:6:7: ae.uri: `911` is not among what trunk `c` may dial"],
        ),
        (
            "[[trunk]]\nname = \"c\"\nuri = \"sip:h\"\nallow = [\"+1*\"]\n[[ae]]\nid = \"m\"\nuri = \"sip:+49301@h\"\ntrunk = \"c\"",
            &["f:7:7: ae.uri: `+49301` is not among what trunk `c` may dial"],
        ),
    ]);
}

#[test]
fn backups_come_to_an_end() {
    expect(&[
        (&aes(&[("m", "backup = \"m\"\n")]), &["f:4:10: ae.backup: `m` is their own backup"]),
        (
            &aes(&[("m", "backup = \"s\"\n"), ("s", "backup = \"m\"\n")]),
            &["f:8:10: ae.backup: leads in a circle (m → s → m), leave one backup out"],
        ),
        (
            &aes(&[("a", "backup = \"b\"\n"), ("b", "backup = \"c\"\n"), ("c", "backup = \"b\"\n")]),
            &["f:12:10: ae.backup: leads in a circle (b → c → b)"],
        ),
        (&aes(&[("m", "backup = \"nobody\"\n")]), &["f:4:10: ae.backup: `nobody` is no [[ae]], there is only `m`"]),
    ]);
    assert!(parse(&aes(&[("m", "backup = \"s\"\n"), ("s", "")])).is_ok());
}

#[test]
fn hours_without_room_for_a_callback_are_a_fault() {
    expect(&[(
        &aes(&[("m", "hours = \"Mon 09:00-09:20\"\n")]),
        &["f:4:9: ae.hours: leave no room for a callback of half an hour in any week, make them longer"],
    )]);
    assert!(parse(&aes(&[("m", "hours = \"Mon 09:00-10:00\"\n")])).is_ok());
}

#[test]
fn a_file_that_cannot_be_read_is_a_fault_too() {
    let faults = Config::load(Path::new("no/such/baton.toml")).unwrap_err();
    assert!(faults.to_string().starts_with("no/such/baton.toml:1:1: cannot be read ("), "{faults}");
}

#[test]
fn webhooks_say_where_what_and_with_which_secret() {
    let config = parse(WHOLE).unwrap();
    let [crm, desk] = config.webhooks.as_slice() else { panic!("two webhooks") };
    assert_eq!((crm.target.place().as_str(), crm.reach), ("https://crm.example", crate::fetch::Reach::Public));
    assert!(crm.events.iter().any(|pattern| pattern.fits("transfer.bridged")));
    assert!(!crm.events.iter().any(|pattern| pattern.fits("call.started")));
    assert_eq!(desk.reach, crate::fetch::Reach::Anywhere);
    assert!(desk.events.iter().all(|pattern| pattern.fits("call.started")));
    expect(&[
        (
            "[[webhook]]",
            &["f:1:1: webhook.secret: is missing, write `secret = ", "f:1:1: webhook.url: is missing, write `url = "],
        ),
        ("[[webhook]]\nurl = \"crm\"\nsecret = \"x\"", &["f:2:7: webhook.url: `crm` is no URL, write `https://host/path`"]),
        ("[[webhook]]\nurl = \"http://a:b@c/\"\nsecret = \"x\"", &["f:2:7: webhook.url: `http://a:b@c/` has credentials"]),
        ("[[webhook]]\nurl = \"http://a/\"\nsecret = \"whsec_*\"", &["f:3:10: webhook.secret: has something else than base64"]),
        (
            "[[webhook]]\nurl = \"http://a/\"\nsecret = \"x\"\nevents = [\"calls.*\"]",
            &["f:4:11: webhook.events: `calls.*` describes no"],
        ),
        ("[[webhook]]\nurl = \"http://a/\"\nsecret = \"x\"\nevents = []", &["f:4:10: webhook.events: is empty"]),
        (
            "[[webhook]]\nurl = \"http://a/\"\nsecret = \"x\"\n[[webhook]]\nurl = \"http://a/\"\nsecret = \"x\"",
            &["f:5:7: webhook.url: is the URL of another [[webhook]] too"],
        ),
    ]);
}

#[test]
fn what_is_over_is_kept_for_ever_or_for_so_many_days() {
    let config = parse(WHOLE).unwrap();
    let days = |count: u64| Some(Duration::from_secs(count * 86_400));
    assert_eq!((config.store.keep, config.recording.keep), (days(90), days(30)));
    let config = parse("").unwrap();
    assert_eq!((config.store.keep, config.recording.keep), (None, None));
    expect(&[
        ("[store]\nkeep = \"0d\"", &["f:2:8: store.keep: `0d` is no number of days, write `90d`"]),
        ("[recording]\ndir = \"r\"\nkeep = \"3 weeks\"", &["f:3:8: recording.keep: `3 weeks` is no number of days"]),
    ]);
}

#[test]
fn recordings_need_a_folder() {
    use baton_switchboard::{RecordCalls, RecordConsult};
    let config = parse(WHOLE).unwrap();
    assert_eq!(config.recording.dir, Some("recordings".into()));
    assert_eq!((config.recording.settings.calls, config.recording.settings.consult), (RecordCalls::All, RecordConsult::Yes));
    assert_eq!(parse("").unwrap().recording.settings.calls, RecordCalls::Never);
    assert_eq!(parse("[recording]\ndir = \"r\"").unwrap().recording.settings.calls, RecordCalls::OnRequest);
    expect(&[
        ("[recording]\ncalls = \"on\"", &["f:2:9: recording.calls: is \"on\" without a folder"]),
        ("[recording]\ndir = \"r\"\ncalls = \"always\"", &["f:3:9: recording.calls: `always` is not known, write"]),
    ]);
}

#[test]
fn voices_and_transcripts_over_http_are_read() {
    let config = parse(WHOLE).unwrap();
    let [studio] = config.http_voices.as_slice() else { panic!("one voice") };
    assert_eq!(
        (studio.name.as_str(), studio.language.as_deref(), studio.within),
        ("studio", Some("de"), Duration::from_millis(900))
    );
    assert_eq!(config.voices[1], VoiceSpec::Http("studio".to_owned()));
    assert_eq!(config.transcriber.as_ref().map(|it| it.model.as_str()), Some("whisper-1"));
    assert!(parse("").unwrap().transcriber.is_none());
    let voice = "[[voice]]\nname = \"a\"\nurl = \"http://a/v1\"\nmodel = \"m\"\nvoice = \"v\"\n";
    assert_eq!(parse(voice).unwrap().voices[0], VoiceSpec::Http("a".to_owned()), "without being named");
    expect(&[
        (&format!("{voice}[briefing]\nvoices = [\"http:b\"]"), &["f:7:11: briefing.voices: `b` is no [[voice]]"]),
        (&format!("{voice}{voice}"), &["f:7:8: voice.name: `a` is the name of another [[voice]]"]),
        (&format!("{voice}language = \"german\""), &["f:6:12: voice.language: `german` is no language"]),
        ("[transcribe]\nurl = \"http://a/v1\"", &["f:2:7: transcribe.url: stands without `model`"]),
    ]);
}
