//! End-to-end tests: real Terraform, real backends, real signals.
#![expect(missing_docs, reason = "tests are named as sentences")]

mod interrupts;
mod support;
