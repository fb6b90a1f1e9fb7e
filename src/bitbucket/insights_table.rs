//! The client of Code Insights against their emulator.

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::{Value, json};
use softstop_test_support::{CodeInsights, InsightsFault};

use super::error::Said;
use super::insights::Insights;
use super::insights_error::InsightsError;

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

fn insights(server: &CodeInsights) -> Insights {
    Insights::new(&[&server.proxy()], "acme", "infra").unwrap()
}

#[tokio::test]
async fn all_pages_are_read_and_no_more_than_there_may_be() {
    let server = CodeInsights::start();
    let annotations: Vec<Value> = (0..1_050)
        .map(|number| json!({"external_id": format!("{number:04}")}))
        .collect();
    for (count, expected, requests) in [(0, 0, 1), (100, 100, 1), (101, 101, 2), (1_050, 1_000, 10)]
    {
        let report = json!({"external_id": "r"});
        server.forge("acme", "infra", COMMIT, &report, &annotations[..count]);
        let before = server.requests().len();
        let read = insights(&server).annotations(COMMIT, "r").await.unwrap();
        assert_eq!(read.len(), expected);
        assert_eq!(server.requests().len() - before, requests);
        let ids = read.iter().zip(&annotations);
        assert!(
            ids.into_iter()
                .all(|(read, wrote)| read["external_id"] == wrote["external_id"])
        );
    }
}

#[tokio::test]
async fn what_goes_wrong_is_told_apart() {
    let server = CodeInsights::start();
    let wait = Some(Duration::from_secs(7));
    let refused = |status: u16| InsightsError::Refused {
        status: StatusCode::from_u16(status).unwrap(),
        said: Said(Some("Something went wrong".to_owned())),
    };
    for (fault, expected) in [
        (
            InsightsFault::TooManyRequests(Some(7)),
            InsightsError::TooManyRequests { wait },
        ),
        (
            InsightsFault::TooManyRequests(None),
            InsightsError::TooManyRequests { wait: None },
        ),
        (InsightsFault::Refuse(503), refused(503)),
        (InsightsFault::Refuse(401), refused(401)),
        (InsightsFault::Refuse(302), refused(302)),
        (InsightsFault::Refuse(404), InsightsError::NotFound),
        (InsightsFault::Hang, InsightsError::TimedOut),
    ] {
        server.fail([fault]);
        assert_eq!(insights(&server).reports(COMMIT).await, Err(expected));
    }
    server.fail([InsightsFault::LoseAnswer]);
    let lost = insights(&server).reports(COMMIT).await;
    assert!(matches!(lost, Err(InsightsError::BrokenOff(_))), "{lost:?}");
    assert_eq!(server.requests().len(), 8, "nothing was asked twice");
    assert_eq!(insights(&server).reports(COMMIT).await, Ok(Vec::new()));
}

#[tokio::test]
async fn a_report_that_is_not_there_is_none() {
    let server = CodeInsights::start();
    assert_eq!(insights(&server).report(COMMIT, "r").await, Ok(None));
    let annotations = insights(&server).annotations(COMMIT, "r").await;
    assert_eq!(annotations, Err(InsightsError::NotFound));
}
