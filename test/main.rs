//! End-to-end tests: real Terraform, real backends, real signals.
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "a test that panics tells what went wrong"
)]

mod after_script;
mod backend_config;
mod backends;
mod broken_leases;
mod cached_hosts;
mod check;
mod check_bounds;
mod containers;
mod cost;
mod credentials;
mod disguised;
mod docker_host;
mod documents;
mod encryption;
mod examples;
mod exit_codes;
mod expired;
mod faults;
mod first_signals;
mod foreign_texts;
mod forgotten;
mod guard;
mod half_locks;
mod hidden_failures;
mod http_looks;
mod image;
mod image_contents;
mod imports;
mod interrupts;
mod journal;
mod journal_of_deploys;
mod journal_of_holders;
mod journal_secrets;
mod left_states;
mod lifecycle;
mod limits;
mod living_holders;
mod logged;
mod logs;
mod many_resources;
mod old_terraforms;
mod opentofu;
mod opentofu_headers;
mod opentofu_variables;
mod output;
mod own_lock;
mod pasted;
mod pasted_elsewhere;
mod plan;
mod progress;
mod proofs;
mod races;
mod recorded;
mod release;
mod remapped;
mod resolutions;
mod rooms;
mod secrets;
mod settings;
mod sighted_plans;
mod sightings;
mod stamp;
mod stamp_in_containers;
mod stateless_locks;
mod status;
mod stop;
mod strangers;
mod torn_down;
mod trees;
mod units;
mod unnamed_locks;
mod unsaved_state;
mod variables;
mod version_managers;
mod versions;
mod waiting;
mod which_state;

use softstop_test_support as support;
