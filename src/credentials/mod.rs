//! Credentials for a cloud, in exchange for the token that Bitbucket signs for a step.
//!
//! The token lies in a file that only we can read, outside of the clone, and variables lead the clouds'
//! SDKs there. Each program exchanges it by itself when it is started, so a release that comes late
//! has fresh credentials for as long as the token is valid.

mod aws;
mod azure;
mod exchange;
mod federation;
mod google;

pub(crate) use exchange::Exchange;
pub(crate) use federation::Federation;
