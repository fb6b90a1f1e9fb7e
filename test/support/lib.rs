//! What the tests stand on: real backends whose truth can be asked, projects, and runs of softstop.
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "a test that panics tells what went wrong"
)]

pub mod aws;
pub mod azure;
pub mod bitbucket;
pub mod container;
pub mod gcs;
pub mod http_server;
pub mod insights;
pub mod kind;
pub mod kubernetes;
mod listening;
pub mod pipelines;
pub mod postgres;
pub mod project;
pub mod proxy;
pub mod run;
pub mod softstop;
pub mod store;
pub mod tls;
pub mod witness;
pub mod world;

use std::env;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

pub use bitbucket::{Answer, Bitbucket};
pub use container::Container;
pub use insights::{CodeInsights, InsightsFault, InsightsRequest, Journal};
pub use kind::{Kind, Program};
pub use pipelines::Step;
pub use project::Project;
pub use run::{Finished, Run};
pub use softstop::Softstop;
pub use store::{Store, lock_of};
pub use witness::Witness;

/// How long anything may take before a test fails. Nothing waits for it to pass.
const PATIENCE: Duration = Duration::from_secs(60);

/// Does this for all of them, a few side by side: every one starts Terraform more than once, and
/// a machine that does too much at once makes all of them late.
pub fn each<T: Copy + Sync>(all: &[T], test: impl Fn(T) + Sync) {
    const SIDE_BY_SIDE: usize = 6;
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..SIDE_BY_SIDE.min(all.len()) {
            scope.spawn(|| {
                while let Some(one) = all.get(next.fetch_add(1, Ordering::Relaxed)) {
                    test(*one);
                }
            });
        }
    });
}

/// Waits for an event.
pub fn until(event: &str, mut happened: impl FnMut() -> bool) {
    let began = Instant::now();
    while !happened() {
        assert!(began.elapsed() < PATIENCE, "waited in vain until {event}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// The softstop that is tested: cargo puts it where it puts the directory of its tests and examples,
/// but only tells tests of its own package.
#[must_use]
pub fn program() -> PathBuf {
    let test = env::current_exe().unwrap();
    test.ancestors().nth(2).unwrap().join("softstop")
}

/// What `test/run` has prepared.
pub fn prepared(variable: &str) -> String {
    env::var(variable)
        .unwrap_or_else(|_| panic!("{variable} is not set: start the tests by test/run"))
}
