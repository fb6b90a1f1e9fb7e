//! Bitbucket Pipelines: which build this is, and whether another build's step is over.

mod answer;
#[cfg(test)]
mod answer_properties;
pub(crate) mod api;
#[cfg(test)]
mod api_table;
pub(crate) mod build;
mod error;
pub(crate) mod insights;
mod insights_error;
#[cfg(test)]
mod insights_table;
pub(crate) mod log;
#[cfg(test)]
mod log_table;

pub(crate) use error::ApiError;
pub(crate) use insights_error::InsightsError;
