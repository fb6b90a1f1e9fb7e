//! A step's log from the emulator.

use softstop_test_support::Bitbucket;

use super::api::{Api, Credentials};
use super::api_table::{PIPELINE, QUESTION, STEP};
use super::error::ApiError;
use super::log::LONGEST;

const BEARER: &str = "Bearer s3cret-token";

fn having_printed(log: &[u8], redirects: usize) -> Bitbucket {
    let bitbucket = Bitbucket::start();
    bitbucket.expect(BEARER);
    bitbucket.set_log("acme", "shop", PIPELINE, STEP, log, redirects);
    bitbucket
}

async fn log(bitbucket: &Bitbucket) -> Result<Vec<u8>, ApiError> {
    let credentials = Credentials::AccessToken("s3cret-token".into());
    let api = Api::new(&bitbucket.url(), &credentials).unwrap();
    api.log(QUESTION).await
}

#[tokio::test]
async fn a_log_is_read_where_bitbucket_has_it() {
    let bitbucket = having_printed(b"a.b: Creating...\n", 0);
    assert_eq!(log(&bitbucket).await.unwrap(), b"a.b: Creating...\n");
    assert_eq!(bitbucket.authorizations(), [Some(BEARER.to_owned())]);
}

#[tokio::test]
async fn where_bitbucket_sends_us_for_a_log_the_token_does_not_go() {
    let bitbucket = having_printed(b"a.b: Creat", 1);
    assert_eq!(log(&bitbucket).await.unwrap(), b"a.b: Creat");
    assert_eq!(bitbucket.authorizations(), [Some(BEARER.to_owned()), None]);
}

#[tokio::test]
async fn of_a_log_that_is_very_long_the_end_is_read() {
    for redirects in [0, 1] {
        let mut long = vec![b'.'; LONGEST];
        long.extend(b"\nthe end\n");
        let read = log(&having_printed(&long, redirects)).await.unwrap();
        assert_eq!(read.len(), LONGEST);
        assert!(read.ends_with(b"\nthe end\n"));
    }
}

#[tokio::test]
async fn a_log_that_is_empty_or_not_there_is_told_apart() {
    assert_eq!(log(&having_printed(b"", 0)).await, Ok(Vec::new()));
    let bitbucket = Bitbucket::start();
    let missing = log(&bitbucket).await;
    assert!(
        matches!(missing, Err(ApiError::NotFound { .. })),
        "{missing:?}"
    );
    bitbucket.expect("Bearer another");
    let refused = log(&bitbucket).await;
    assert!(
        matches!(refused, Err(ApiError::Refused { .. })),
        "{refused:?}"
    );
}

#[tokio::test]
async fn nobody_is_followed_twice() {
    let followed = log(&having_printed(b"a.b: Creating...\n", 2)).await;
    assert!(
        matches!(followed, Err(ApiError::Unexpected { .. })),
        "{followed:?}"
    );
}
