//! The screen-pop: readable, and harmless whatever was handed over.

use baton_contract::Outcome;
use std::time::Duration;

use super::*;

fn link(expires: Wall) -> String {
    format!("/pop/{}?sig={}", ids().1, links().sign(ids().1, expires))
}

fn stage(context: &str) -> Stage {
    let context = Box::new(serde_json::from_str(context).unwrap());
    Stage::new().will_answer(Reply::Pop { transfer: Box::new(transfer()), call: Box::new(call()), context })
}

async fn page(context: &str) -> Answer {
    let answer = stage(context).get(&link(NOW + Duration::from_secs(60))).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer
}

#[tokio::test]
async fn who_and_why_stand_above_everything_else_and_the_transcript_is_folded_away() {
    let answer = page(
        r#"{"caller":{"name":"Jamie","company":"NovaCorp","role":"VP Ops","pet":"cat"},"account":{"arr":120000},"intent":"pricing",
            "summary":"Wants a quote for 500 seats.","reason":"explicit_request","next_step":"Offer the annual plan.",
            "objections":["Too slow"],"actions":[{"what":"Looked up the account","result":"found"}],"sentiment":[0.4,-0.2,0.1],
            "sources":[{"title":"Price list","url":"https://docs.example/prices"}],"color":"blue",
            "transcript":[{"at":"2026-03-02T14:00:05Z","who":"caller","text":"Hello there."}]}"#,
    )
    .await;
    let at = |what: &str| answer.body.find(what).unwrap_or_else(|| panic!("{what} is missing: {}", answer.body));
    let order =
        ["Jamie", "VP Ops, NovaCorp", "ringing", "Wants a quote", "pricing · explicit request", "Offer the annual", "120,000"];
    assert!(order.map(at).is_sorted(), "{}", answer.body);
    assert!(at("<details>") < at("Hello there."));
    for shown in
        ["cat", "blue", "Too slow", "Looked up the account: found", "14:00:05", "href=\"https://docs.example/prices\"", "<svg"]
    {
        at(shown);
    }
}

#[tokio::test]
async fn the_page_loads_nothing_and_may_run_nothing() {
    let answer = page("{}").await;
    let policy = answer.header("content-security-policy");
    assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
    assert!(!policy.contains("unsafe"));
    assert_eq!(answer.header("content-type"), "text/html; charset=utf-8");
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!(answer.header("referrer-policy"), "no-referrer");
    for forbidden in ["<script", "<link", "<img", "@import", "url(", " style=", " onclick"] {
        assert!(!answer.body.contains(forbidden), "{forbidden}");
    }
}

#[tokio::test]
async fn the_style_on_the_page_is_the_one_that_the_policy_allows() {
    use base64::Engine as _;
    use sha2::Digest;
    let answer = page("{}").await;
    let style = answer.body.split_once("<style>").unwrap().1.split_once("</style>").unwrap().0;
    let digest = base64::engine::general_purpose::STANDARD.encode(sha2::Sha256::digest(style));
    assert!(answer.header("content-security-policy").contains(&digest));
}

#[tokio::test]
async fn hostile_text_is_shown_and_does_nothing() {
    let evil = r#"<script>alert(1)</script>\" onload=\"x\u0000\u001b[31m\u202Etxt</title></style><img src=x>"#;
    let context = format!(
        r#"{{"caller":{{"name":"{evil}","company":"{evil}","{evil}":"{evil}"}},"summary":"{evil}","reason":"{evil}","intent":"{evil}",
            "next_step":"{evil}","objections":["{evil}"],"writes":["{evil}"],"actions":[{{"what":"{evil}","result":"{evil}"}}],
            "sources":[{{"title":"{evil}","url":"javascript:alert(1)"}},{{"title":"x","url":"https://a\" onclick=\"b"}},
                       {{"title":"y","url":"https://a\u0000b"}},{{"title":"z","url":" data:text/html,x"}}],
            "account":{{"id":"{evil}","tier":"{evil}"}},"signals":{{"pain":"{evil}"}},"{evil}":{{"{evil}":["{evil}"]}},
            "transcript":[{{"who":"{evil}","text":"{evil}"}}]}}"#
    );
    let body = page(&context).await.body;
    for forbidden in
        ["<script", "<img", "href=\"javascript", "href=\" data", "\" onload=\"", "\" onclick=\"", "\u{0}", "\u{1b}", "\u{202e}"]
    {
        assert!(!body.contains(forbidden), "{forbidden:?}");
    }
    assert!(!body.chars().any(|c| c.is_control() && c != '\n'), "no control character is left");
    assert!(body.contains("&lt;script&gt;alert(1)&lt;/script&gt;"), "it is shown as the text that it is");
    assert_eq!(body.matches("</title>").count(), 1);
    assert_eq!(body.matches("</style>").count(), 1);
}

#[tokio::test]
async fn a_huge_or_empty_context_still_makes_a_page() {
    let long = "word ".repeat(50_000);
    let many: Vec<String> = (0..3_000).map(|at| format!(r#"{{"who":"ai","text":"line {at}"}}"#)).collect();
    let body = page(&format!(r#"{{"summary":"{long}","transcript":[{}]}}"#, many.join(","))).await.body;
    assert!(body.len() < 100_000, "{}", body.len());
    assert!(body.contains("Transcript (3000)") && body.contains("line 2999"), "the last lines are the ones that count");

    let body = page("{}").await.body;
    assert!(body.contains("+15550123") && body.contains("No summary was handed over."), "{body}");
    assert!(!body.contains("<details>"));
}

#[tokio::test]
async fn a_mood_that_makes_no_sense_draws_a_line_all_the_same() {
    assert!(page(r#"{"sentiment":[5,-7,0.5]}"#).await.body.contains("M0 4.0 L10 36.0 L20 12.0"));
    assert!(!page(r#"{"sentiment":[0.5]}"#).await.body.contains("<svg"));
}

#[tokio::test]
async fn a_transfer_that_is_over_says_how_it_came_out() {
    let over = TransferView { state: TransferState::Ended, outcome: Some(Outcome::CallbackScheduled), ..transfer() };
    let reply = Reply::Pop { transfer: Box::new(over), call: Box::new(call()), context: Box::default() };
    let answer = Stage::new().will_answer(reply).get(&link(NOW)).await;
    assert!(answer.body.contains("callback scheduled"));
}

#[tokio::test]
async fn a_link_that_is_forged_expired_or_for_another_transfer_opens_nothing() {
    let expired = link(Wall::from_seconds(1));
    let mut other = IdSource::seeded(99);
    let other = format!("/pop/{}?sig={}", TransferId::new(&mut other, NOW), links().sign(ids().1, NOW + Duration::from_secs(60)));
    let stage = stage("{}");
    for (path, status) in [
        (expired.as_str(), 410),
        (&other, 403),
        (&format!("/pop/{}", ids().1), 403),
        (&format!("/pop/{}?sig=", ids().1), 403),
        (&format!("/pop/{}?sig=9999999999.00&sig=1", ids().1), 403),
        ("/pop/t_1?sig=1.00", 404),
        ("/pop/%FF", 404),
    ] {
        stage.get(path).await.expect_problem(status, None);
        let request = Request::get(path).header("accept", "text/html,*/*").body(Body::empty()).unwrap();
        let answer = stage.send(request).await;
        assert_eq!((answer.status, answer.header("content-type")), (status, "text/html; charset=utf-8"), "a person reads a page");
    }
    assert_eq!(stage.asked(), [], "nothing is looked up for a link that is not ours");
}

#[tokio::test]
async fn a_transfer_that_has_gone_is_not_found() {
    Stage::new().get(&link(NOW)).await.expect_problem(404, None);
}
