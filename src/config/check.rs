//! Faults that only show when several values are looked at together.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use baton_contract::{AeId, Mode};
use baton_sip::Transport;
use baton_switchboard::normalised;
use baton_transfer::plan::{self, PlanFault};
use baton_transfer::{AeSettings, ConfirmBy, Language, Roster};

use super::fault::{Findings, hint};
use super::read::Draft;
use super::settings::{Listen, Route};
use super::walk::{Found, Places};
use super::{tls, uri};

/// Looks at everything together.
pub(super) fn together(findings: &mut Findings<'_>, draft: &Draft) {
    sockets(findings, draft);
    tls::together(findings, draft);
    reachable(findings, draft);
    http(findings, draft);
    budget(findings, draft);
    keys(findings, draft);
    names(findings, draft);
    references(findings, draft);
    members(findings, draft);
    numbers(findings, draft);
    backups(findings, draft);
    callback_room(findings, draft);
    dialled_numbers(findings, draft);
    webhooks(findings, draft);
    voices(findings, draft);
    languages(findings, draft);
    confirmation(findings, draft);
    modes(findings, draft);
    accounts(findings, draft);
}

/// One password for each user name: a digest names nobody but the user.
fn accounts(findings: &mut Findings<'_>, draft: &Draft) {
    let phones = draft.phones().map(|(places, phone)| (places, "password", phone.account.as_ref()));
    let callers = draft.trunks.iter().map(|trunk| (&trunk.places, "inbound_password", trunk.value.line.inbound.as_ref()));
    let mut seen: BTreeSet<&str> = BTreeSet::new();
    for (places, key, account) in callers.chain(phones).filter_map(|(places, key, account)| Some((places, key, account?))) {
        if !seen.insert(&account.username) {
            let what =
                format!("belongs to `{}`, a user name that somebody else has too, write another `username`", account.username);
            findings.add(places.of(key), places.key(key), what);
        }
    }
}

/// One webhook for each URL: its events wait under it.
fn webhooks(findings: &mut Findings<'_>, draft: &Draft) {
    for (at, one) in draft.webhooks.iter().enumerate() {
        let same = |other: &Found<Option<crate::webhook::Hook>>| match (&one.value, &other.value) {
            (Some(one), Some(other)) => one.target == other.target,
            (None, _) | (_, None) => false,
        };
        if draft.webhooks[..at].iter().any(same) {
            let what = "is the URL of another [[webhook]] too, write its events into one of them";
            findings.add(one.places.of("url"), one.places.key("url"), what);
        }
    }
}

/// Voices over HTTP have names of their own, and `http:NAME` is one of them.
fn voices(findings: &mut Findings<'_>, draft: &Draft) {
    let names: Vec<&str> =
        draft.http_voices.iter().filter_map(|voice| voice.value.as_ref()).map(|voice| voice.name.as_str()).collect();
    for (at, name) in names.iter().enumerate().filter(|(at, name)| names[..*at].contains(name)) {
        let places = &draft.http_voices[at].places;
        findings.add(
            places.of("name"),
            places.key("name"),
            format!("`{name}` is the name of another [[voice]], write another one"),
        );
    }
    for (at, spec) in draft.voices.value.iter().enumerate() {
        if let super::VoiceSpec::Http(name) = spec
            && !names.contains(&name.as_str())
        {
            let what = format!("`{name}` is no [[voice]], {}", hint(name, &names));
            findings.add(draft.voices.places.nth("voices", at), draft.voices.places.key("voices"), what);
        }
    }
}

/// A language in which there are no words, or one that is configured twice.
fn languages(findings: &mut Findings<'_>, draft: &Draft) {
    let known: Vec<Language> =
        draft.languages.iter().filter_map(|found| found.value.as_ref()).map(|tongue| tongue.language).collect();
    for (at, found) in draft.languages.iter().enumerate() {
        let Some(tongue) = found.value.as_ref() else { continue };
        if draft.languages[..at].iter().filter_map(|earlier| earlier.value.as_ref()).any(|one| one.language == tongue.language) {
            let what = format!("`{}` has a [[language]] already, write one for each", tongue.language);
            findings.add(found.places.of("tag"), found.places.key("tag"), what);
        }
    }
    let mut wordless = |language: Option<Language>, places: &Places| {
        if let Some(language) = language.filter(|one| !Language::BUILT_IN.contains(one) && !known.contains(one)) {
            let what = format!(
                "`{language}` is none of `en`, `de`, `es`, `fr`, write its words: `[[language]]`, `tag = \"{language}\"`"
            );
            findings.add(places.of("language"), places.key("language"), what);
        }
    };
    wordless(Some(draft.transfer.value.language), &draft.voices.places);
    draft.aes.iter().for_each(|ae| wordless(ae.value.language, &ae.places));
    for route in &draft.routes {
        if let Route::In(route_in) = &route.value {
            wordless(route_in.language, &route.places);
        }
    }
}

/// A caller can say yes only to somebody who writes it down.
fn confirmation(findings: &mut Findings<'_>, draft: &Draft) {
    let callback = &draft.callback;
    if callback.value.confirm == ConfirmBy::Speech && (draft.transcriber.value.is_none() || draft.recording.value.dir.is_none()) {
        let what = "needs somebody who writes down what callers say, and a folder: write `[transcribe]` with `url` and `model`, and \
                    `recording.dir`";
        findings.add(callback.places.of("confirm"), callback.places.key("confirm"), what);
    }
}

/// A row without conditions is the last one, and messages need a place where they are kept.
fn modes(findings: &mut Findings<'_>, draft: &Draft) {
    let rows: Vec<_> = draft.modes.iter().filter_map(|found| Some((&found.places, found.value?))).collect();
    for (at, (places, row)) in rows.iter().enumerate() {
        if row.mode == Mode::Voicemail && draft.recording.value.dir.is_none() {
            findings.add(places.of("mode"), places.key("mode"), "needs a folder for messages, write `recording.dir`");
        }
        if row.is_always() && at + 1 < rows.len() {
            let what = "comes before other rows and asks for nothing, write it as the last [[mode]]";
            findings.add(places.of("mode"), places.key("mode"), what);
        }
    }
}

/// Two sockets on the same port, or one in the range of RTP.
fn sockets(findings: &mut Findings<'_>, draft: &Draft) {
    let sip = &draft.sip;
    if sip.value.listen.is_empty() {
        findings.add(sip.places.of("listen"), sip.places.key("listen"), "is empty, write `[\"udp:127.0.0.1:5060\"]`");
    }
    for (at, listen) in sip.value.listen.iter().enumerate() {
        if let Some(earlier) = sip.value.listen[..at].iter().find(|earlier| overlap(earlier, listen)) {
            let what = format!("`{listen}` is already listened on by `{earlier}`, write another port or leave one of them out");
            findings.add(sip.places.nth("listen", at), sip.places.key("listen"), what);
        }
        let (low, high) = draft.media.value.ports;
        let same = same_address(listen.address.ip(), draft.media_address());
        if listen.transport == Transport::Udp && same && (low..=high).contains(&listen.address.port()) {
            let what = format!("holds {}, which `{listen}` of sip.listen needs, write a range without it", listen.address.port());
            findings.add(draft.media.places.of("ports"), draft.media.places.key("ports"), what);
        }
    }
    let http = Listen { transport: Transport::Tcp, address: draft.http.value.listen };
    if let Some(listen) = sip.value.listen.iter().find(|listen| overlap(listen, &http)) {
        let what = format!("`{}` is already listened on by `{listen}` of sip.listen, write another port", http.address);
        findings.add(draft.http.places.of("listen"), draft.http.places.key("listen"), what);
    }
}

fn overlap(one: &Listen, other: &Listen) -> bool {
    is_datagram(one) == is_datagram(other)
        && one.address.port() == other.address.port()
        && one.address.port() != 0
        && same_address(one.address.ip(), other.address.ip())
}

/// All but UDP share the ports of TCP.
fn is_datagram(listen: &Listen) -> bool {
    !listen.transport.is_reliable()
}

/// All addresses of one family are none of the other.
fn same_address(one: IpAddr, other: IpAddr) -> bool {
    one == other || (one.is_ipv4() == other.is_ipv4() && (one.is_unspecified() || other.is_unspecified()))
}

/// An address that stands for all of this machine's is none that others can send to.
fn reachable(findings: &mut Findings<'_>, draft: &Draft) {
    let sip = &draft.sip;
    for (at, listen) in sip.value.listen.iter().enumerate() {
        let has_outer = sip.value.advertised(listen.transport, listen.address.ip()).is_some();
        if listen.address.ip().is_unspecified() && !has_outer {
            let what =
                format!("`{listen}` says nothing that others could send to, write the address of one interface, or `advertise`");
            findings.add(sip.places.nth("listen", at), sip.places.key("listen"), what);
        }
    }
    if draft.media_advertise().is_none() {
        let what = "stands for all addresses of this machine, write the address of one interface, or `advertise`";
        findings.add(draft.media.places.of("address"), draft.media.places.key("address"), what);
    }
}

/// Without a token, whoever reaches the API may move calls about.
fn http(findings: &mut Findings<'_>, draft: &Draft) {
    let listen = draft.http.value.listen;
    let token_written = draft.http.places.has("token");
    if !listen.ip().is_loopback() && !token_written {
        let what = format!(
            "is missing while `{listen}` is listened on, write `token = \"${{file:/etc/baton/token}}\"` or listen on 127.0.0.1"
        );
        findings.add(draft.http.places.of("listen"), draft.http.places.key("token"), what);
    }
}

/// If the targets do not fit into the worst case of the whole, no AE would ever be dialled.
fn budget(findings: &mut Findings<'_>, draft: &Draft) {
    let budget = &draft.budget.value;
    let needed = budget.start.target + budget.ringing.target + budget.accept.target;
    if needed > budget.total.worst {
        let what = format!(
            "the targets of start, ringing and accept need {needed:?}, but the worst case of the whole is {:?}: \
             nobody would ever be dialled, write a longer total or shorter targets",
            budget.total.worst
        );
        findings.add(draft.budget.places.of("total"), draft.budget.places.key("total"), what);
    }
}

/// One key, one meaning.
fn keys(findings: &mut Findings<'_>, draft: &Draft) {
    let (keys, places) = (&draft.transfer.value.keys, &draft.transfer.places);
    let all = [
        ("accept_key", keys.accept),
        ("decline_key", keys.decline),
        ("repeat_key", keys.repeat),
        ("skip_key", keys.skip),
        ("later_key", keys.later),
    ];
    for (at, (name, key)) in all.iter().enumerate() {
        for (earlier, _) in all[..at].iter().filter(|(_, earlier)| earlier == key) {
            // The fault stands where a key was written; a default has no place of its own.
            let (shown, other) = if places.has(name) { (name, earlier) } else { (earlier, name) };
            let free: Vec<String> = baton_transfer::Key::ALL
                .iter()
                .filter(|key| all.iter().all(|(_, used)| used != *key))
                .map(ToString::to_string)
                .collect();
            let what = format!("`{key}` is {other} too, write one that is free: {}", free.join(" "));
            findings.add(places.of(shown), places.key(shown), what);
        }
    }
}

/// Names that are given twice.
fn names(findings: &mut Findings<'_>, draft: &Draft) {
    unique(findings, "name", draft.trunks.iter().map(|found| (found.value.name.as_str(), &found.places)));
    unique(findings, "name", draft.ais.iter().map(|found| (found.value.name.as_str(), &found.places)));
    let aes = draft.aes.iter().map(|found| (found.value.id.as_str(), &found.places, "id"));
    let groups = draft.groups.iter().map(|found| (found.value.name.as_str(), &found.places, "name"));
    let mut seen = BTreeSet::new();
    for (name, places, key) in aes.chain(groups).filter(|(name, ..)| !name.is_empty()) {
        if !seen.insert(name) {
            let what =
                format!("`{name}` names an AE or a group already, write a name of its own: a transfer to it would be ambiguous");
            findings.add(places.of(key), places.key(key), what);
        }
    }
}

fn unique<'d>(findings: &mut Findings<'_>, key: &str, named: impl Iterator<Item = (&'d str, &'d Places)>) {
    let mut seen = BTreeSet::new();
    for (name, places) in named.filter(|(name, _)| !name.is_empty()) {
        if !seen.insert(name) {
            findings.add(places.of(key), places.key(key), format!("`{name}` is given twice, write a name of its own"));
        }
    }
}

/// Names that nobody has.
fn references(findings: &mut Findings<'_>, draft: &Draft) {
    let trunks: Vec<&str> = draft.trunks.iter().map(|found| found.value.name.as_str()).filter(|name| !name.is_empty()).collect();
    let ais: Vec<&str> = draft.ais.iter().map(|found| found.value.name.as_str()).filter(|name| !name.is_empty()).collect();
    let aes: Vec<&str> = draft.aes.iter().map(|found| found.value.id.as_str()).filter(|id| !id.is_empty()).collect();
    let mut refer = |places: &Places, key: &str, at: usize, name: &str, known: &[&str], what: &str| {
        if !known.contains(&name) {
            findings.add(places.nth(key, at), places.key(key), format!("`{name}` is no {what}, {}", hint(name, known)));
        }
    };
    let groups: Vec<&str> = draft.groups.iter().map(|found| found.value.name.as_str()).collect();
    let people: Vec<&str> = aes.iter().chain(&groups).copied().collect();
    for route in &draft.routes {
        match &route.value {
            Route::In(inbound) => {
                for (at, ai) in inbound.ais.iter().enumerate() {
                    refer(&route.places, "ai", at, ai, &ais, "[[ai]]");
                }
                if let Some(trunk) = &inbound.trunk {
                    refer(&route.places, "trunk", 0, trunk, &trunks, "[[trunk]]");
                }
                if let Some(to) = &inbound.rescue.to {
                    refer(&route.places, "rescue_to", 0, to, &people, "[[ae]] or [[group]]");
                }
            }
            Route::FromAi(placed) => {
                for (key, name, known, what) in
                    [("from", &placed.ai, &ais, "[[ai]]"), ("trunk", &placed.trunk, &trunks, "[[trunk]]")]
                {
                    if !name.is_empty() {
                        refer(&route.places, key, 0, name, known, what);
                    }
                }
            }
        }
    }
    if let Some(trunk) = &draft.callback.value.trunk {
        refer(&draft.callback.places, "trunk", 0, trunk, &trunks, "[[trunk]]");
    }
    for ae in &draft.aes {
        if let Some(backup) = &ae.value.backup {
            refer(&ae.places, "backup", 0, backup.as_str(), &aes, "[[ae]]");
        }
        if let Some(trunk) = &ae.value.trunk {
            refer(&ae.places, "trunk", 0, trunk, &trunks, "[[trunk]]");
        }
    }
    for group in &draft.groups {
        for (at, ae) in group.value.aes.iter().enumerate() {
            refer(&group.places, "aes", at, ae.as_str(), &aes, "[[ae]]");
        }
    }
}

/// Members that a group has twice.
fn members(findings: &mut Findings<'_>, draft: &Draft) {
    for group in &draft.groups {
        let mut seen = BTreeSet::new();
        for (at, ae) in group.value.aes.iter().enumerate().filter(|(_, ae)| !seen.insert(*ae)) {
            findings.add(
                group.places.nth("aes", at),
                group.places.key("aes"),
                format!("`{ae}` is a member twice, name them once"),
            );
        }
    }
}

/// Numbers that mean two different targets.
fn numbers(findings: &mut Findings<'_>, draft: &Draft) {
    let aes = draft.aes.iter().map(|found| (found.value.id.as_str(), &found.value.numbers, &found.places));
    let groups = draft.groups.iter().map(|found| (found.value.name.as_str(), &found.value.numbers, &found.places));
    let mut owners: BTreeMap<&str, &str> = BTreeMap::new();
    for (name, numbers, places) in aes.chain(groups) {
        for (at, number) in numbers.iter().enumerate() {
            if let Some(owner) = owners.insert(number, name) {
                let what = format!("`{number}` is a number of `{owner}` already, write each number once");
                findings.add(places.nth("numbers", at), places.key("numbers"), what);
            }
        }
    }
}

/// Hours without room for a callback: a failed transfer to such an AE would have no way out.
fn callback_room(findings: &mut Findings<'_>, draft: &Draft) {
    for found in &draft.aes {
        let alone = Roster::new(vec![AeSettings { backup: None, ..found.value.clone() }], Vec::new());
        for fault in plan::check(&alone) {
            if matches!(fault, PlanFault::NoSlot { .. }) {
                let what = "leave no room for a callback of half an hour in any week, make them longer";
                findings.add(found.places.of("hours"), found.places.key("hours"), what);
            }
        }
    }
}

/// Backups that lead back to where they began: a transfer would never come to its end.
fn backups(findings: &mut Findings<'_>, draft: &Draft) {
    let by_id: BTreeMap<&AeId, &Found<_>> = draft.aes.iter().map(|found| (&found.value.id, found)).collect();
    let mut told: BTreeSet<&AeId> = BTreeSet::new();
    for ae in &draft.aes {
        let mut path = vec![&ae.value.id];
        let mut next = ae.value.backup.as_ref();
        while let Some(id) = next {
            if let Some(at) = path.iter().position(|earlier| *earlier == id) {
                let cycle = &path[at..];
                if cycle.iter().all(|id| told.insert(id)) {
                    close(findings, by_id.get(path[path.len() - 1]), cycle);
                }
                break;
            }
            path.push(id);
            next = by_id.get(id).and_then(|found| found.value.backup.as_ref());
        }
    }
}

fn close(findings: &mut Findings<'_>, last: Option<&&Found<baton_transfer::AeSettings>>, cycle: &[&AeId]) {
    let Some(last) = last else { return };
    let mut names: Vec<&str> = cycle.iter().map(|id| id.as_str()).collect();
    names.extend(cycle.first().map(|id| id.as_str()));
    let what = match cycle {
        [own] => format!("`{own}` is their own backup, name somebody else or leave it out"),
        _ => format!("leads in a circle ({}), leave one backup out so that it ends", names.join(" → ")),
    };
    findings.add(last.places.of("backup"), last.places.key("backup"), what);
}

/// Numbers of AEs that their trunk may not dial.
fn dialled_numbers(findings: &mut Findings<'_>, draft: &Draft) {
    for ae in &draft.aes {
        let Some(name) = &ae.value.trunk else {
            if ae.value.uri.starts_with("tel:") {
                let what = format!("`{}` needs a trunk that dials it, write `trunk = \"…\"`, or a `sip:` URI", ae.value.uri);
                findings.add(ae.places.of("uri"), ae.places.key("uri"), what);
            }
            continue;
        };
        let trunk = draft.trunks.iter().find(|found| found.value.name == *name);
        let (Some(trunk), Some(user)) = (trunk, uri::user(&ae.value.uri)) else { continue };
        let number = normalised(&ae.value.uri).unwrap_or_else(|| user.to_owned());
        if trunk.value.allow.check(&number).is_err() {
            let what = format!(
                "`{user}` is not among what trunk `{name}` may dial, name it in the trunk's `allow`, or write another number"
            );
            findings.add(ae.places.of("uri"), ae.places.key("uri"), what);
        }
    }
}
