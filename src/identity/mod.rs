//! Who this run is to others: the name that its locks carry, and who else could sign like that.

mod mounts;
mod naming;
mod neighbours;
mod passwd;
mod user_name;

pub(crate) use naming::Naming;
pub(crate) use neighbours::{Left, Mark, Neighbours, left_of, neighbours};
pub(crate) use user_name::user_name;
