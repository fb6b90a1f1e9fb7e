//! What the tests stand on: real backends whose truth can be asked, projects, and runs of softstop.

pub(crate) mod aws;
#[expect(
    dead_code,
    reason = "it is shared with the tests of the client, which use all of it"
)]
pub(crate) mod bitbucket;
pub(crate) mod container;
pub(crate) mod gcs;
pub(crate) mod http_server;
pub(crate) mod kind;
pub(crate) mod kubernetes;
pub(crate) mod pipelines;
pub(crate) mod postgres;
pub(crate) mod project;
pub(crate) mod proxy;
pub(crate) mod run;
pub(crate) mod softstop;
pub(crate) mod store;
pub(crate) mod tls;

use std::env;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

pub(crate) use bitbucket::{Answer, Bitbucket};
pub(crate) use container::Container;
pub(crate) use kind::{Kind, Program};
pub(crate) use pipelines::Step;
pub(crate) use project::Project;
pub(crate) use run::{Finished, Run};
pub(crate) use softstop::Softstop;
pub(crate) use store::{Store, lock_of};

/// How long anything may take before a test fails. Nothing waits for it to pass.
const PATIENCE: Duration = Duration::from_secs(60);

/// Does this for all of them, a few side by side: every one starts Terraform more than once, and
/// a machine that does too much at once makes all of them late.
pub(crate) fn each<T: Copy + Sync>(all: &[T], test: impl Fn(T) + Sync) {
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
pub(crate) fn until(event: &str, mut happened: impl FnMut() -> bool) {
    let began = Instant::now();
    while !happened() {
        assert!(began.elapsed() < PATIENCE, "waited in vain until {event}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// What `test/run` has prepared.
pub(crate) fn prepared(variable: &str) -> String {
    env::var(variable)
        .unwrap_or_else(|_| panic!("{variable} is not set: start the tests by test/run"))
}
