//! Spans as OTLP in JSON: `POST …/v1/traces`, as every OpenTelemetry collector takes them.

use baton_time::Wall;
use serde_json::{Value, json};

use super::spans::{Ending, Span};

/// SPAN_KIND_INTERNAL
const KIND_INTERNAL: u8 = 1;

/// STATUS_CODE_UNSET and STATUS_CODE_ERROR
const STATUS: [u8; 2] = [0, 2];

/// The body of one request.
pub(super) fn body(spans: &[Span], node: &str) -> Value {
    let resource = attributes(&[
        ("service.name", "baton".to_owned()),
        ("service.version", env!("CARGO_PKG_VERSION").to_owned()),
        ("service.instance.id", node.to_owned()),
    ]);
    let spans: Vec<Value> = spans.iter().map(span).collect();
    json!({"resourceSpans": [{
        "resource": {"attributes": resource},
        "scopeSpans": [{"scope": {"name": "baton"}, "spans": spans}],
    }]})
}

fn span(span: &Span) -> Value {
    let events: Vec<Value> = span
        .missed
        .iter()
        .map(|(at, which)| {
            json!({"timeUnixNano": nanos(*at), "name": "budget.missed", "attributes": attributes(&[("baton.limit", which.clone())])})
        })
        .collect();
    let status = match span.ending {
        Ending::Well => STATUS[0],
        Ending::Badly => STATUS[1],
    };
    json!({
        "traceId": span.trace,
        "spanId": span.id,
        "parentSpanId": span.parent.as_deref().unwrap_or_default(),
        "name": span.name,
        "kind": KIND_INTERNAL,
        "startTimeUnixNano": nanos(span.from),
        "endTimeUnixNano": nanos(span.to.max(span.from)),
        "attributes": attributes(&span.attributes),
        "events": events,
        "status": {"code": status},
    })
}

fn attributes(known: &[(&'static str, String)]) -> Vec<Value> {
    known.iter().map(|(key, value)| json!({"key": key, "value": {"stringValue": value}})).collect()
}

/// Sixty-four bits are a text in the JSON of protocol buffers.
fn nanos(at: Wall) -> String {
    (i128::from(at.as_micros()) * 1_000).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_written_as_collectors_read_it() {
        let one = Span {
            trace: "a".repeat(32),
            id: "b".repeat(16),
            parent: None,
            name: "call".to_owned(),
            from: Wall::from_micros(1_000_001),
            to: Wall::from_micros(2_000_000),
            attributes: vec![("baton.call", "c_1".to_owned())],
            missed: vec![(Wall::from_micros(1_500_000), "accept worst".to_owned())],
            ending: Ending::Badly,
        };
        let body = body(&[one], "baton-1");
        let written = &body["resourceSpans"][0]["scopeSpans"][0]["spans"][0];
        assert_eq!((&written["startTimeUnixNano"], &written["endTimeUnixNano"]), (&json!("1000001000"), &json!("2000000000")));
        assert_eq!((&written["parentSpanId"], &written["status"]["code"]), (&json!(""), &json!(2)));
        assert_eq!(written["attributes"][0]["value"]["stringValue"], "c_1");
        assert_eq!(written["events"][0]["name"], "budget.missed");
        assert_eq!(body["resourceSpans"][0]["resource"]["attributes"][0]["value"]["stringValue"], "baton");
    }
}
