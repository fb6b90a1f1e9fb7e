//! `pg`: PostgreSQL.

use crate::tools::terraform::backend::Backend;
use crate::tools::terraform::known::Known;
use crate::tools::terraform::schema::Schema;
use crate::tools::terraform::strategy::{ByTerraform, Strategy};

pub(super) const PG: Known = Known {
    is_flat: true,
    without_making: &[
        ("skip_schema_creation", "PG_SKIP_SCHEMA_CREATION"),
        ("skip_table_creation", "PG_SKIP_TABLE_CREATION"),
        ("skip_index_creation", "PG_SKIP_INDEX_CREATION"),
    ],
    leading: &["PG"],
    renewed: &["PGPASSWORD"],
    credentials: &["PGSERVICE"],
    ..Known::new(SCHEMA, strategy)
};

/// A lock of the database session, where force-unlock says "successfully unlocked" and unlocks
/// nothing.
fn strategy(_: &Backend) -> Strategy {
    Strategy::ByTerraform(ByTerraform::Watch)
}

const SCHEMA: Schema = Schema {
    kind: "pg",
    plain: &[
        "conn_str",
        "index_name",
        "schema_name",
        "skip_index_creation",
        "skip_schema_creation",
        "skip_table_creation",
        "table_name",
    ],
    structured: &[],
    printable: &["schema_name", "table_name"],
    required: &["conn_str"],
    own_variables: &[
        ("conn_str", &["PG_CONN_STR"]),
        ("schema_name", &["PG_SCHEMA_NAME"]),
        // OpenTofu's alone.
        ("table_name", &["PG_TABLE_NAME"]),
    ],
    // Without a conn_str, the database is the one that the variables of PostgreSQL name.
    shared_variables: &[(
        "conn_str",
        &["PGHOST", "PGHOSTADDR", "PGPORT", "PGSERVICE", "PGDATABASE"],
    )],
    hosts: &["conn_str"],
};
