//! What a deploy was doing, kept where a kill does not reach.

mod behind;
mod carried;
#[cfg(test)]
pub(crate) mod fake;
mod form;
#[cfg(test)]
mod form_properties;
mod keeper;
#[cfg(test)]
mod keeper_table;
#[cfg(test)]
mod lag_table;
mod masked;
mod over;
mod past;
#[cfg(test)]
mod published_types_table;
mod record;
mod room;
mod shares;
mod shelf;
mod store;
#[cfg(test)]
mod store_table;
mod unmasked;
mod words;

pub(crate) use keeper::{Keeper, Page, SharedPace};
pub(crate) use masked::Masks;
pub(crate) use record::{Claim, Entry, Gap, Past, PlaceName, Record, Stand};
pub(crate) use room::Listed;
pub(crate) use shares::Shares;
pub(crate) use shelf::Shelf;
pub(crate) use store::Store;
pub(crate) use unmasked::{Meant, meant};
