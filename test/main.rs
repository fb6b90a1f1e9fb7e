//! End-to-end tests: real Terraform, real backends, real signals.
#![expect(missing_docs, reason = "tests are named as sentences")]

mod guard;
mod interrupts;
mod own_lock;
mod support;
mod trees;
