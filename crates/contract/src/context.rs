//! The payload: what the AE should know about the caller. Everything is optional, and what Baton does not know it keeps and shows.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{AeId, At};

/// The context of a call, as the AI (or a CRM) hands it over.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Context {
    /// Who is calling.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub caller: Option<Caller>,
    /// The account they belong to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<Account>,
    /// What they want, in a word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub intent: Option<String>,
    /// Two or three sentences.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub summary: Option<String>,
    /// Why a human is needed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What was heard between the lines.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signals: Option<Signals>,
    /// What speaks against it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub objections: Vec<String>,
    /// Whether the caller decides.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decision_maker: Option<bool>,
    /// Sentiment turn by turn, each from -1 to 1.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sentiment: Vec<f64>,
    /// The AI's confidence, from 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confidence: Option<f64>,
    /// Documents that the AI used.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<SourceRef>,
    /// What the AI did, and with what result.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub actions: Vec<Done>,
    /// Writes already committed elsewhere.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub writes: Vec<String>,
    /// What the AI recommends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_step: Option<String>,
    /// What was agreed to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub consent: Option<Consent>,
    /// What was said.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub transcript: Vec<Utterance>,
    /// Everything else that was sent.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// The caller.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Caller {
    /// Their name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Their company.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub company: Option<String>,
    /// Their role in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// Their number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number: Option<String>,
    /// Whether the AI has verified who they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verified: Option<bool>,
    /// IANA name of the caller's time zone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
    /// The language that they speak (RFC 5646): they are told things in it, where Baton has words for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// Everything else that was sent.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// The caller's account.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Account {
    /// Its id in the CRM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Number of seats or employees.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<f64>,
    /// Annual recurring revenue.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arr: Option<f64>,
    /// The tier it is in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tier: Option<String>,
    /// The AE who looks after it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub assigned_ae: Option<AeId>,
    /// Everything else that was sent.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// Buying signals.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Signals {
    /// What hurts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pain: Option<String>,
    /// By when.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeline: Option<String>,
    /// With what money.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget: Option<String>,
    /// Everything else that was sent.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// A document that was used.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SourceRef {
    /// Its title.
    pub title: String,
    /// Where it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

/// Something that was tried.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Done {
    /// What.
    pub what: String,
    /// What came of it.
    pub result: String,
}

/// Disclosure and consent facts.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Consent {
    /// To be recorded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recording: Option<bool>,
    /// Whether the caller was told that an AI speaks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ai_disclosed: Option<bool>,
    /// To be called on this channel.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub call: Option<bool>,
    /// Everything else that was sent.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// One line of the transcript.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Utterance {
    /// When it was said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<At>,
    /// Who said it: `caller`, `ai` or a name.
    pub who: String,
    /// What was said.
    pub text: String,
}

impl Context {
    /// Lays `newer` over this context: what it states replaces what was there, the rest stays.
    pub fn merge(&mut self, newer: Context) {
        let (Ok(Value::Object(mut base)), Ok(over)) = (serde_json::to_value(&*self), serde_json::to_value(newer)) else {
            return;
        };
        lay_over(&mut base, over);
        if let Ok(merged) = serde_json::from_value(Value::Object(base)) {
            *self = merged;
        }
    }
}

fn lay_over(base: &mut Map<String, Value>, over: Value) {
    let Value::Object(over) = over else { return };
    for (key, value) in over {
        match (base.get_mut(&key), value) {
            (Some(Value::Object(inner)), value @ Value::Object(_)) => lay_over(inner, value),
            (_, value) => {
                base.insert(key, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_keys_are_kept_and_a_newer_context_is_laid_over() {
        let mut context: Context =
            serde_json::from_str(r#"{"caller":{"name":"Jamie","pet":"cat"},"summary":"Old.","mood":3}"#).unwrap();
        context.merge(serde_json::from_str(r#"{"caller":{"company":"NovaCorp"},"summary":"New."}"#).unwrap());
        let json = serde_json::to_value(&context).unwrap();
        assert_eq!(
            json,
            serde_json::json!({"caller": {"name": "Jamie", "pet": "cat", "company": "NovaCorp"}, "summary": "New.", "mood": 3})
        );
    }

    #[test]
    fn an_empty_context_is_an_empty_object() {
        assert_eq!(serde_json::to_string(&Context::default()).unwrap(), "{}");
    }
}
