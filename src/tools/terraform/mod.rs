//! Terraform and OpenTofu.

mod access;
mod arguments;
mod backend;
mod backend_config;
mod backends;
mod block;
mod by_hand;
#[cfg(test)]
mod by_hand_table;
mod call;
pub(super) mod chosen;
mod command_words;
mod configuration;
#[cfg(test)]
mod configuration_properties;
#[cfg(test)]
mod configuration_table;
mod constraint;
mod decrypted;
mod default_command;
mod desk;
mod diagnostics;
#[cfg(test)]
mod diagnostics_properties;
mod document;
mod encryption;
mod essence;
mod evaluated;
mod expired;
mod files;
mod halves;
mod hcl_text;
#[cfg(test)]
mod hcl_text_properties;
#[cfg(test)]
mod hcl_text_table;
mod helper;
mod http_backend;
mod import_blocks;
mod initialise;
mod json_text;
mod known;
mod left;
mod lock;
mod lock_view;
mod looks;
#[cfg(test)]
mod merge_cases_table;
#[cfg(test)]
mod merge_properties;
mod opentofu;
mod operations;
mod own_look;
mod place;
mod place_name;
mod plain;
mod plan_file;
mod planned;
mod precedence;
mod program;
mod progress;
mod published;
mod quoted_text;
mod resolved;
#[cfg(test)]
mod same_place_table;
mod schema;
#[cfg(test)]
mod schema_table;
mod settings;
mod shadow;
mod shown_state;
mod sighting;
mod sign;
mod stand_in;
mod state_file;
mod static_part;
#[cfg(test)]
mod static_part_table;
mod strategy;
mod tool;
mod unsaved;
mod version;
mod wishes;
mod written;

pub(crate) use chosen::Chosen;
pub(super) use lock::TerraformLock;
pub(super) use place::Terraform;
pub(crate) use program::say_installed;
pub(crate) use quoted_text::escaped;
pub(crate) use stand_in::stand_in;
