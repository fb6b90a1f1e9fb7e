//! End-to-end tests: real Terraform, real backends, real signals.
#![expect(missing_docs, reason = "tests are named as sentences")]

mod after_script;
mod exit_codes;
mod guard;
mod interrupts;
mod output;
mod own_lock;
mod support;
mod trees;
