//! Who we say is calling: From, P-Asserted-Identity, Diversion, History-Info.

use baton_sip::wire::{Header, HostPort, NameAddr, Uri};

use crate::beginning::Beginning;
use crate::call::Call;
use crate::settings::CallerId;
use crate::switchboard::Switchboard;

/// Who has no number to show.
const ANONYMOUS: &str = "anonymous";

/// What an INVITE of ours says about who calls.
#[derive(Debug)]
pub(crate) struct Identity {
    pub(crate) from: NameAddr,
    pub(crate) headers: Vec<Header>,
}

impl Call {
    /// The number of the human whom this call is for, whoever dialled.
    pub(crate) fn human(&self) -> &str {
        match &self.beginning {
            Beginning::Inbound => &self.from,
            Beginning::Outbound(_) | Beginning::Callback(_) => &self.to,
        }
    }

    /// The number of ours that was dialled, or that is shown.
    pub(crate) fn ours(&self) -> &str {
        match &self.beginning {
            Beginning::Inbound => &self.to,
            Beginning::Outbound(_) | Beginning::Callback(_) => &self.from,
        }
    }
}

impl Switchboard {
    /// Who calls, as an AI or a phone of our own is told: the human.
    pub(crate) fn caller_address(&self, call: &Call, display: Option<String>) -> Option<NameAddr> {
        Some(NameAddr::new(display.as_deref(), self.address_of(call.human())?))
    }

    /// Who calls, as an AE is told.
    pub(crate) fn consult_identity(&self, call: &Call, ae: &baton_contract::AeId, display: Option<String>) -> Option<Identity> {
        let line = self.settings.aes.get(ae)?;
        match (line.trunk, line.caller_id) {
            (Some(trunk), caller_id) => self.identity_over(call, trunk, caller_id, display, &line.uri),
            (None, Some(CallerId::Own)) => {
                let from = NameAddr::new(display.as_deref(), self.address_of(call.ours())?);
                Some(Identity { from, headers: Vec::new() })
            }
            (None, Some(CallerId::Caller) | None) => {
                Some(Identity { from: self.caller_address(call, display)?, headers: Vec::new() })
            }
        }
    }

    /// Who calls, as somebody behind a trunk is told. The trunk itself is told which number of ours it is to be charged to
    /// (P-Asserted-Identity, RFC 3325); where the caller's number is shown, also by which number of ours the call came here
    /// (Diversion, RFC 5806; History-Info, RFC 7044).
    pub(crate) fn identity_over(
        &self,
        call: &Call,
        trunk: usize,
        caller_id: Option<CallerId>,
        display: Option<String>,
        target: &Uri,
    ) -> Option<Identity> {
        let trunk = self.settings.trunks.get(trunk)?;
        let own = self.address_of(self.own_number(call, trunk))?;
        let asserted = Header::new("P-Asserted-Identity", format!("<{own}>"));
        let is_inbound = matches!(call.beginning, Beginning::Inbound);
        match caller_id.unwrap_or(trunk.caller_id) {
            CallerId::Caller if is_inbound => {
                let mut headers = vec![asserted];
                headers.push(Header::new("Diversion", format!("<{own}>;reason=deflection;counter=1")));
                headers.push(Header::new("History-Info", format!("<{own}>;index=1, <{target}>;index=1.1;mp=1")));
                if call.human() == ANONYMOUS {
                    headers.push(Header::new("Privacy", "id"));
                    let nobody: Uri = "sip:anonymous@anonymous.invalid".parse().ok()?;
                    return Some(Identity { from: NameAddr::new(Some("Anonymous"), nobody), headers });
                }
                Some(Identity { from: NameAddr::new(display.as_deref(), self.address_of(call.human())?), headers })
            }
            CallerId::Caller | CallerId::Own => {
                Some(Identity { from: NameAddr::new(display.as_deref(), own), headers: vec![asserted] })
            }
        }
    }

    /// The number of ours that a call over `trunk` shows: the one that was asked for, the trunk's, the one that was dialled, the user name.
    fn own_number<'a>(&self, call: &'a Call, trunk: &'a crate::Trunk) -> &'a str {
        let asked = match &call.beginning {
            Beginning::Outbound(outbound) => outbound.shown.as_deref(),
            Beginning::Inbound | Beginning::Callback(_) => None,
        };
        let dialled = Some(call.ours()).filter(|number| number.chars().any(|sign| sign.is_ascii_digit()));
        let username = || trunk.credentials.as_ref().map(|own| own.username.as_str());
        asked.or(trunk.number.as_deref()).or(dialled).or_else(username).unwrap_or(ANONYMOUS)
    }

    fn address_of(&self, user: &str) -> Option<Uri> {
        let host: HostPort = self.settings.domain.parse().ok()?;
        Some(Uri::sip(user, &host))
    }
}

/// `user` with everything escaped that may not stand in the user part of a SIP URI (RFC 3261 §25.1).
pub(crate) fn escaped_user(user: &str) -> String {
    let mut text = String::with_capacity(user.len());
    for byte in user.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.!~*'()&=+$,;?/".contains(&byte) {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    text
}
