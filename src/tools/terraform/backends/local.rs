//! `local`: A state in a file of this machine: its lock is one of the operating system on the open file.

use crate::tools::terraform::backend::{Backend, DEFAULT_BACKEND};
use crate::tools::terraform::known::Known;
use crate::tools::terraform::schema::Schema;
use crate::tools::terraform::strategy::{ByTerraform, Strategy};

pub(super) const LOCAL: Known = Known {
    is_flat: true,
    ..Known::new(SCHEMA, strategy)
};

fn strategy(_: &Backend) -> Strategy {
    Strategy::ByTerraform(ByTerraform::Watch)
}

const SCHEMA: Schema = Schema {
    kind: DEFAULT_BACKEND,
    plain: &["path", "workspace_dir"],
    structured: &[],
    printable: &["path", "workspace_dir"],
    required: &[],
    own_variables: &[],
    shared_variables: &[],
    hosts: &[],
};
