//! The OpenAPI document says what is true.

use std::collections::BTreeSet;

use baton_contract::{
    AddressView, AttemptOutcome, AttemptView, DrainView, LegId, LegRole, LegState, LegView, PeerState, RegistrationStage,
    RegistrationView, ReleaseMemory, TrunkView,
};
use serde::Serialize;

use super::*;
use crate::api::operations;
use crate::openapi::document;

#[tokio::test]
async fn every_route_is_in_the_document_and_answers() {
    let served = Stage::new().get("/openapi.json").await.json();
    assert_eq!(served["openapi"], "3.1.0");
    let stage = Stage::new();
    for operation in operations() {
        let described = &served["paths"][operation.path][operation.method];
        assert_eq!(described["operationId"], operation.name, "{} {}", operation.method, operation.path);
        let path = operation.path.replace("{id}", "x");
        let status = stage.ask(&operation.method.to_uppercase(), &path, "").await.status;
        assert_ne!(status, 405, "{} {path}", operation.method);
    }
    let names: BTreeSet<_> = operations().iter().map(|operation| operation.name).collect();
    assert_eq!(names.len(), operations().len(), "each operation has a name of its own");
}

#[test]
fn every_reference_leads_somewhere() {
    let document = document();
    let mut references = Vec::new();
    collect(&document, &mut references);
    assert!(references.len() > 30);
    for reference in references {
        assert!(document.pointer(&reference[1..]).is_some(), "{reference}");
    }
}

fn collect(value: &Value, references: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            if let Some(Value::String(reference)) = members.get("$ref") {
                references.push(reference.clone());
            }
            members.values().for_each(|member| collect(member, references));
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, references)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[test]
fn the_shapes_that_are_sent_are_the_ones_that_are_described() {
    let leg = LegId::new(&mut IdSource::seeded(4), NOW);
    let leg_view = LegView {
        id: leg,
        role: LegRole::Ae,
        state: LegState::Ringing,
        sip_call_id: "x".to_owned(),
        codec: Some("PCMU/8000".to_owned()),
    };
    let attempt = AttemptView {
        ae: AeId::from("michael"),
        leg,
        outcome: Some(AttemptOutcome::NoAnswer),
        sip_status: Some(487),
        reason: None,
        ring_ms: Some(1),
        briefing_ms: Some(1),
        accept_ms: Some(1),
    };
    agrees("Call", &call());
    agrees("Leg", &leg_view);
    agrees("SipMessage", &message());
    let message = baton_contract::MessageView { file: "x".to_owned(), duration_ms: 2, speech_ms: 1, transcript: None };
    agrees("Transfer", &TransferView { message: Some(message), ..transfer() });
    agrees("Attempt", &attempt);
    agrees("Ae", &ae());
    agrees("Slot", &slot());
    let registration = RegistrationView { state: RegistrationStage::Failed, at: Some(slot().at), sip_status: Some(403) };
    let address = AddressView { address: "udp:192.0.2.1:5060".to_owned(), state: PeerState::Up, answered_ms: Some(12) };
    agrees("Registration", &registration);
    agrees("Address", &address);
    let trunk = TrunkView {
        name: "carrier".to_owned(),
        state: PeerState::Up,
        registration: Some(registration),
        addresses: vec![address],
        calls: 1,
        channels: Some(10),
        release: ReleaseMemory::Untried,
    };
    agrees("Trunk", &trunk);
    agrees("Callback", &callback());
    agrees("Event", &Event { transfer: Some(ids().1), ..event(1) });
    agrees("Drain", &DrainView { draining: true, calls: 2 });
    let state = baton_contract::RecordingState::On;
    agrees("Recording", &baton_contract::RecordingView { call: ids().0, state });
    agrees("SetRecording", &baton_contract::SetRecording { state });
    agrees("Problem", &Problem::unknown_target("x"));
    agrees("NewCallback", &serde_json::json!({"call": null, "ae": "", "caller": "", "at": "", "timezone": null, "context": {}}));
    agrees("UpdateCallback", &baton_contract::UpdateCallback::default());
    agrees("TransferRequest", &baton_contract::TransferRequest::default());
}

fn message() -> baton_contract::SipMessageView {
    baton_contract::SipMessageView {
        at: NOW.into(),
        leg: LegId::new(&mut IdSource::seeded(4), NOW),
        role: LegRole::Caller,
        way: baton_contract::Way::In,
        transport: "UDP".to_owned(),
        peer: "192.0.2.1:5060".to_owned(),
        title: "200 INVITE".to_owned(),
        bytes: 7,
    }
}

fn agrees(schema: &str, sample: &impl Serialize) {
    let document = document();
    let schema_value = &document["components"]["schemas"][schema];
    let sample = serde_json::to_value(sample).unwrap();
    let sent: BTreeSet<_> = sample.as_object().unwrap().keys().collect();
    let described: BTreeSet<_> = schema_value["properties"].as_object().unwrap().keys().collect();
    assert_eq!(sent, described, "{schema}");
    for (name, value) in sample.as_object().unwrap() {
        if let Some(names) = schema_value["properties"][name]["enum"].as_array() {
            assert!(names.contains(value), "{schema}.{name}: {value}");
        }
    }
    for required in schema_value["required"].as_array().into_iter().flatten() {
        assert!(sample.get(required.as_str().unwrap()).is_some(), "{schema}.{required}");
    }
}
