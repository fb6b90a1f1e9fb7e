//! What softstop costs and saves, side by side with the ways without it, as tables in Markdown.
//!
//! Arguments select tables by their names.
#![expect(
    clippy::cast_precision_loss,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a measurement that panics tells what went wrong"
)]

mod directories;
mod idle;
mod measure;
mod memory;
mod noticing;
mod orphans;
mod output;
mod release;
mod start;
mod stop;
mod strangers;
mod untaint;

use std::env;

use softstop_test_support as support;

/// In the order of a deploy's life.
const TABLES: [(&str, fn()); 11] = [
    ("start", start::table),
    ("noticing", noticing::table),
    ("idle", idle::table),
    ("memory", memory::table),
    ("output", output::table),
    ("orphans", orphans::table),
    ("stop", stop::table),
    ("strangers", strangers::table),
    ("untaint", untaint::table),
    ("release", release::table),
    ("directories", directories::table),
];

/// The binary that is measured: where cargo puts softstop, `bench/run` lets the static build be.
const SOFTSTOP: &str = env!("CARGO_BIN_EXE_softstop");

fn main() {
    let wanted: Vec<String> = env::args().skip(1).collect();
    for name in &wanted {
        let is_known = TABLES.iter().any(|(known, _)| known == name);
        assert!(is_known, "there is no table {name:?}");
    }
    for (name, table) in TABLES {
        if wanted.is_empty() || wanted.iter().any(|wanted| wanted == name) {
            eprintln!("Measuring: {name}.");
            println!();
            table();
        }
    }
}
