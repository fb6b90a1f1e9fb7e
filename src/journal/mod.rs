//! What a deploy was doing, kept where a kill does not reach.

mod form;
#[cfg(test)]
mod form_properties;
mod keeper;
#[cfg(test)]
mod keeper_table;
mod masked;
mod record;
mod store;
#[cfg(test)]
mod store_table;
mod words;

pub(crate) use keeper::Keeper;
pub(crate) use masked::Masks;
pub(crate) use record::{Entry, Past, PlaceName, Record, Stand};
pub(crate) use store::Store;
