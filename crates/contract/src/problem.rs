//! Errors as the API tells them (RFC 9457).

use serde::{Deserialize, Serialize};

/// An `application/problem+json` body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// `urn:baton:problem:…`: the stable name of the problem.
    #[serde(rename = "type")]
    pub kind: String,
    /// The same for every problem of this type.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What is wrong here, and what would be right.
    pub detail: String,
    /// The member of the body that is wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
}

impl Problem {
    /// 404: nothing has this id.
    pub fn not_found(what: &str, id: &str) -> Problem {
        Problem::new("not-found", "No such thing", 404, format!("there is no {what} \"{id}\""))
    }

    /// 422: `field` of the body is wrong.
    pub fn invalid(field: &str, detail: impl Into<String>) -> Problem {
        Problem { field: Some(field.to_owned()), ..Problem::new("invalid", "The body is not valid", 422, detail.into()) }
    }

    /// 422: `to` names nobody.
    pub fn unknown_target(to: &str) -> Problem {
        let detail = format!("\"{to}\" is neither an AE, a group, a number nor a SIP URI");
        Problem { field: Some("to".to_owned()), ..Problem::new("unknown-target", "No such target", 422, detail) }
    }

    /// 409: it does not fit the state that the thing is in.
    pub fn conflict(detail: impl Into<String>) -> Problem {
        Problem::new("conflict", "Not in this state", 409, detail.into())
    }

    /// 503: refused for now.
    pub fn unavailable(detail: impl Into<String>) -> Problem {
        Problem::new("unavailable", "Not now", 503, detail.into())
    }

    /// A problem of any other type.
    pub fn new(name: &str, title: &str, status: u16, detail: String) -> Problem {
        Problem { kind: format!("urn:baton:problem:{name}"), title: title.to_owned(), status, detail, field: None }
    }
}
