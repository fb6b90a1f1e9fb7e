//! What a deploy was doing, kept where a kill does not reach.

mod record;

pub(crate) use record::{Entry, Past, PlaceName, Record, Stand};
