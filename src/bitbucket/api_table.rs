//! The client against the emulator.

use std::fmt::Debug;
use std::time::Duration;

use serde_json::json;
use softstop_test_support::{Answer, Bitbucket};
use tokio::time::Instant;

use super::api::{ADDRESS, Api, Credentials, Limits, Question, RETRIES, pause};
use super::error::{ApiError, Said};
use crate::lock::StepReport;

const TOKEN: &str = "ATCTT3xFfGN0-secret=1B2C";
const BASIC: &str = "Basic bWVAZXhhbXBsZS5jb206QVRDVFQzeEZmR04wLXNlY3JldD0xQjJD";
pub(super) const PIPELINE: &str = "aaaaaaaa-0000-4000-8000-000000000001";
pub(super) const STEP: &str = "bbbbbbbb-0000-4000-8000-000000000002";
pub(super) const QUESTION: Question = Question {
    workspace: "acme",
    repository: "shop",
    pipeline: PIPELINE,
    step: STEP,
};
/// Nothing here ends by chance: no pause to speak of, and far more time than is needed.
const PATIENT: Limits = Limits {
    request: Duration::from_secs(60),
    question: Duration::from_secs(300),
    first_pause: Duration::from_millis(1),
};
const ALL_TRIES: usize = RETRIES + 1;

fn access_token() -> Credentials {
    Credentials::AccessToken(TOKEN.into())
}

fn api_token() -> Credentials {
    Credentials::ApiToken {
        email: "me@example.com".to_owned(),
        token: TOKEN.into(),
    }
}

fn knowing(answers: impl IntoIterator<Item = Answer>) -> Bitbucket {
    let bitbucket = Bitbucket::start();
    bitbucket.set_step("acme", "shop", PIPELINE, STEP, answers);
    bitbucket
}

fn patient(address: &str) -> Api {
    Api::limited(address, &access_token(), PATIENT).unwrap()
}

async fn ask(bitbucket: &Bitbucket) -> Result<StepReport, ApiError> {
    patient(&bitbucket.url()).step(QUESTION).await
}

fn stopped() -> StepReport {
    StepReport {
        state: "COMPLETED".to_owned(),
        stage: None,
        result: Some("STOPPED".to_owned()),
        run: Some(1),
        completed: Some("2026-11-23T00:10:00.123456Z".parse().unwrap()),
    }
}

fn hides_the_token(shown: &(impl Debug + ?Sized)) -> bool {
    let shown = format!("{shown:?}");
    let encoded = BASIC.trim_start_matches("Basic ");
    !shown.contains(TOKEN) && !shown.contains(encoded)
}

#[tokio::test]
async fn both_kinds_of_token_are_sent_the_way_bitbucket_wants() {
    for (credentials, header) in [
        (access_token(), format!("Bearer {TOKEN}")),
        (api_token(), BASIC.to_owned()),
    ] {
        let bitbucket = knowing([Answer::Completed("STOPPED")]);
        bitbucket.expect(&header);
        let api = Api::limited(&bitbucket.url(), &credentials, PATIENT).unwrap();
        assert_eq!(api.step(QUESTION).await, Ok(stopped()));
        assert_eq!(bitbucket.authorizations(), [Some(header)]);
    }
}

#[tokio::test]
async fn every_state_is_read_as_bitbucket_names_it_today_or_tomorrow() {
    for (answer, state, stage) in [
        (Answer::InProgress, "IN_PROGRESS", Some("RUNNING")),
        (Answer::Paused, "IN_PROGRESS", Some("PAUSED")),
        (Answer::Pending, "PENDING", None),
        (Answer::Named("HIBERNATED"), "HIBERNATED", None),
    ] {
        let bitbucket = knowing([answer]);
        bitbucket.set_run(Some(3), None);
        let expected = StepReport {
            state: state.to_owned(),
            stage: stage.map(str::to_owned),
            run: Some(3),
            ..StepReport::default()
        };
        assert_eq!(ask(&bitbucket).await, Ok(expected));
    }
}

#[tokio::test]
async fn a_clear_answer_is_taken_at_its_word_and_not_asked_for_again() {
    let other = r#"{"uuid": "{cc}", "state": {"name": "COMPLETED"}}"#;
    for (answer, expected) in [
        (Answer::Status(401), "Refused"),
        (Answer::Status(403), "Forbidden"),
        (Answer::Status(404), "NotFound"),
        (Answer::Raw(404, "<html>".to_owned()), "Unexpected"),
        (Answer::Status(400), "Unexpected"),
        (Answer::Status(304), "Unexpected"),
        (Answer::Html, "NotJson"),
        (Answer::Raw(200, "{}".to_owned()), "Malformed"),
        (Answer::Raw(200, other.to_owned()), "OtherStep"),
    ] {
        let bitbucket = knowing([answer.clone()]);
        let error = ask(&bitbucket).await.unwrap_err();
        assert!(format!("{error:?}").starts_with(expected), "{error:?}");
        assert_eq!(bitbucket.requests(), 1, "{answer:?}");
        assert_eq!(error.is_an_answer(), expected == "NotFound", "{answer:?}");
    }
}

#[tokio::test]
async fn what_may_pass_is_asked_again_a_few_times() {
    for answer in [
        Answer::Status(500),
        Answer::Status(503),
        Answer::Status(429),
        Answer::RetryAfter(0),
        Answer::Cut,
    ] {
        let bitbucket = knowing([answer.clone()]);
        let error = ask(&bitbucket).await.unwrap_err();
        assert!(error.may_pass() && !error.is_an_answer(), "{error:?}");
        assert_eq!(bitbucket.requests(), ALL_TRIES, "{answer:?}");
    }
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_no_silence() {
    let bitbucket = knowing([Answer::Half]);
    let error = ask(&bitbucket).await.unwrap_err();
    assert!(matches!(error, ApiError::BrokenOff { .. }), "{error:?}");
    assert!(!error.is_silence());
    assert_eq!(bitbucket.requests(), ALL_TRIES);
}

#[tokio::test]
async fn an_answer_that_has_broken_off_once_does_not_become_silence() {
    let (refusal, later) = (Answer::Status(500), Answer::RetryAfter(0));
    for answer in [refusal, Answer::Cut, later, Answer::Status(404)] {
        let bitbucket = knowing([Answer::Status(502), Answer::Half, answer.clone()]);
        let error = ask(&bitbucket).await.unwrap_err();
        assert!(!error.is_silence(), "{answer:?}: {error:?}");
    }
    let bitbucket = knowing([Answer::Half, Answer::Completed("STOPPED")]);
    assert_eq!(ask(&bitbucket).await, Ok(stopped()));
}

#[tokio::test]
async fn what_has_passed_leaves_no_trace() {
    let bitbucket = knowing([
        Answer::Cut,
        Answer::Status(502),
        Answer::Status(429),
        Answer::Completed("STOPPED"),
    ]);
    assert_eq!(ask(&bitbucket).await, Ok(stopped()));
    assert_eq!(bitbucket.requests(), 4);
}

#[tokio::test]
async fn bitbucket_is_left_alone_for_as_long_as_it_asks() {
    let bitbucket = knowing([Answer::RetryAfter(1), Answer::Completed("STOPPED")]);
    let began = Instant::now();
    assert_eq!(ask(&bitbucket).await, Ok(stopped()));
    assert!(began.elapsed() >= Duration::from_secs(1));
}

#[tokio::test]
async fn where_bitbucket_asks_for_more_time_than_there_is_the_question_is_given_up() {
    let bitbucket = knowing([Answer::RetryAfter(u64::MAX)]);
    let error = ask(&bitbucket).await.unwrap_err();
    assert!(
        matches!(error, ApiError::TooManyRequests { .. }),
        "{error:?}"
    );
    assert_eq!(bitbucket.requests(), 1);
}

#[tokio::test]
async fn a_request_that_is_not_answered_in_time_is_made_again() {
    let bitbucket = knowing([Answer::Slow, Answer::Completed("STOPPED")]);
    let limits = Limits {
        request: Duration::from_secs(1),
        ..PATIENT
    };
    let api = Api::limited(&bitbucket.url(), &access_token(), limits).unwrap();
    assert_eq!(api.step(QUESTION).await, Ok(stopped()));
}

#[tokio::test]
async fn a_question_has_an_end_however_slow_the_answer() {
    let bitbucket = knowing([Answer::Slow]);
    let limits = Limits {
        question: Duration::from_millis(50),
        ..PATIENT
    };
    let api = Api::limited(&bitbucket.url(), &access_token(), limits).unwrap();
    let began = Instant::now();
    let error = api.step(QUESTION).await.unwrap_err();
    assert!(matches!(error, ApiError::TimedOut { .. }), "{error:?}");
    assert!(began.elapsed() < PATIENT.request);
}

#[tokio::test]
async fn where_nobody_listens_the_reason_is_told() {
    let error = patient("http://127.0.0.1:1").step(QUESTION).await;
    assert_eq!(
        error.unwrap_err().to_string(),
        "http://127.0.0.1:1 cannot be reached: Connection refused (os error 111). Check BITBUCKET_API_URL, and the network"
    );
}

#[tokio::test]
async fn no_token_follows_a_redirect() {
    let elsewhere = knowing([Answer::Completed("STOPPED")]);
    let bitbucket = knowing([Answer::Redirect(elsewhere.url())]);
    let error = ask(&bitbucket).await.unwrap_err();
    assert!(matches!(error, ApiError::Unexpected { .. }), "{error:?}");
    assert_eq!(elsewhere.requests(), 0);
}

#[tokio::test]
async fn an_answer_without_an_end_does_not_fill_the_memory() {
    let body = format!(
        r#"{{"state":{{"name":"COMPLETED"}}}}{}"#,
        " ".repeat(8 << 20)
    );
    let bitbucket = knowing([Answer::Raw(200, body)]);
    let error = ask(&bitbucket).await.unwrap_err();
    assert!(matches!(error, ApiError::NotJson { .. }), "{error:?}");
}

#[tokio::test]
async fn a_step_that_bitbucket_does_not_know_is_not_found() {
    let bitbucket = knowing([Answer::InProgress]);
    let question = Question {
        step: PIPELINE,
        ..QUESTION
    };
    let error = patient(&bitbucket.url()).step(question).await.unwrap_err();
    assert!(error.is_an_answer(), "{error:?}");
}

#[tokio::test]
async fn a_wrong_token_is_refused_with_what_to_do_about_it() {
    let bitbucket = knowing([Answer::InProgress]);
    bitbucket.expect("Bearer another");
    assert_eq!(
        ask(&bitbucket).await.unwrap_err().to_string(),
        format!(
            "{} refused the token with 401 (it said: \"Token is invalid, expired, or not supported for this endpoint.\"): it is not valid, or it has expired. Set BITBUCKET_ACCESS_TOKEN, or ATLASSIAN_ACCOUNT_EMAIL and ATLASSIAN_API_TOKEN, anew",
            bitbucket.url()
        )
    );
}

#[tokio::test]
async fn no_token_is_ever_shown_not_even_when_the_server_shows_it() {
    let echo = format!("wrong token: {TOKEN}\u{7} ({BASIC}) {}", "!".repeat(500));
    for credentials in [access_token(), api_token()] {
        assert!(hides_the_token(&credentials));
        for status in [200, 302, 400, 401, 403, 404, 429, 500] {
            let body = json!({
                "error": {"message": echo},
                "state": {"name": echo, "type": TOKEN, "result": {"name": BASIC}},
            });
            let bitbucket = knowing([Answer::Raw(status, body.to_string())]);
            let api = Api::limited(&bitbucket.url(), &credentials, PATIENT).unwrap();
            let answer = api.step(QUESTION).await;
            let words = answer.as_ref().unwrap_err().to_string();
            // The access token is the only secret of a client that uses it.
            let words = match credentials {
                Credentials::AccessToken(_) => words.replace(BASIC, ""),
                Credentials::ApiToken { .. } => words,
            };
            assert!(hides_the_token(&api) && hides_the_token(&words), "{words}");
            assert!(words.contains("wrong token: …"), "{words}");
            assert!(!words.contains(char::is_control), "{words}");
            assert!(words.len() < 700, "{words}");
        }
    }
}

#[tokio::test]
async fn a_report_shows_no_token_and_no_strange_word_as_a_known_one() {
    let body = json!({"state": {"name": "COMPLETED\u{0}", "result": {"name": TOKEN}}});
    let bitbucket = knowing([Answer::Raw(200, body.to_string())]);
    let report = ask(&bitbucket).await.unwrap();
    assert_eq!(report.state, "COMPLETED ");
    assert_eq!(report.result.as_deref(), Some("…"));
}

#[test]
fn the_address_is_taken_in_every_usual_form_and_all_parts_of_a_question_are_encoded() {
    let question = Question {
        workspace: "{acme}",
        repository: "shop/../x?y#z",
        pipeline: "{aa}",
        step: "{bb}",
    };
    let path =
        "2.0/repositories/%7Bacme%7D/shop%2F..%2Fx%3Fy%23z/pipelines/%7Baa%7D/steps/%7Bbb%7D";
    for (address, base) in [
        ("https://api.bitbucket.org", ADDRESS),
        ("https://api.bitbucket.org/", ADDRESS),
        ("https://api.bitbucket.org/2.0", ADDRESS),
        (" https://api.bitbucket.org/2.0/ ", ADDRESS),
        (
            "http://proxy:29418/bitbucket/",
            "http://proxy:29418/bitbucket",
        ),
        (
            "http://proxy:29418/bitbucket/2.0",
            "http://proxy:29418/bitbucket",
        ),
    ] {
        let api = Api::new(address, &access_token()).unwrap();
        assert_eq!(api.place(), base);
        assert_eq!(api.address_of(question).as_str(), format!("{base}/{path}"));
    }
}

#[test]
fn an_address_that_is_none_or_holds_a_secret_is_refused_without_being_shown() {
    for (address, reason) in [
        ("", "expected an http or https address"),
        ("api.bitbucket.org", "expected an http or https address"),
        (
            "ftp://api.bitbucket.org",
            "expected an http or https address",
        ),
        ("https://me:hidden@api.bitbucket.org", "without a user"),
        ("https://hidden@api.bitbucket.org", "without a user"),
        (
            "https://api.bitbucket.org?token=hidden",
            "ends with its path",
        ),
        ("https://api.bitbucket.org#hidden", "ends with its path"),
    ] {
        let refusal = Api::new(address, &access_token()).unwrap_err();
        assert!(refusal.contains(reason), "{address}: {refusal}");
        assert!(!refusal.contains("hidden"), "{address}: {refusal}");
    }
}

#[test]
fn a_token_that_cannot_be_one_is_refused_without_being_shown() {
    for token in ["", "hidden\n", "hid den", "hiddén"] {
        let credentials = Credentials::AccessToken(token.into());
        let refusal = Api::new(ADDRESS, &credentials).unwrap_err();
        assert!(refusal.contains("the token"), "{refusal}");
        assert!(!refusal.contains("hid"), "{refusal}");
    }
}

#[test]
fn a_pause_is_as_long_as_planned_or_as_asked_for_but_never_longer_than_there_is_time() {
    let second = Duration::from_secs;
    let place = String::new;
    let busy = |wait| ApiError::TooManyRequests {
        place: place(),
        wait,
        said: Said(None),
    };
    let late = || ApiError::TimedOut { place: place() };
    for (error, planned, expected) in [
        (late(), Some(second(2)), Some(second(2))),
        (late(), Some(second(9)), None),
        (late(), None, None),
        (busy(None), Some(second(2)), Some(second(2))),
        (busy(Some(second(1))), Some(second(2)), Some(second(2))),
        (busy(Some(second(3))), Some(second(2)), Some(second(3))),
        (busy(Some(second(9))), Some(second(2)), None),
        (busy(Some(second(3))), None, None),
        (busy(Some(Duration::MAX)), Some(second(2)), None),
    ] {
        assert_eq!(pause(&error, planned, second(9)), expected, "{error:?}");
    }
}
