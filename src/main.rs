//! softstop makes the Stop button safe for deploys that hold a lock.

mod bitbucket;
mod check;
mod cli;
mod console;
mod credentials;
mod docker;
mod environment;
mod exit_code;
mod http_client;
mod identity;
mod inquiry;
mod journal;
mod lock;
#[cfg(test)]
mod mutation;
mod pipe;
mod pipelines;
mod printable;
mod private;
mod recovery;
mod report;
mod start;
mod story;
mod supervisor;
mod surroundings;
mod tools;
mod work;

use dlmalloc::GlobalDlmalloc;

use exit_code::Exit;
use supervisor::hold_signals;
use tools::stand_in;

/// The allocator of musl asks the kernel so often that a start takes a quarter of a millisecond more.
#[global_allocator]
static ALLOCATOR: GlobalDlmalloc = GlobalDlmalloc;

fn main() -> Exit {
    // Where the kernel does not do it, a signal may be lost, and nothing else.
    let before = hold_signals();
    let restore = || {
        let _ = before.and_then(|mask| mask.thread_set_mask());
    };
    if let Some(exit) = stand_in(restore) {
        return exit;
    }
    match start::what_is_asked() {
        Ok((plan, image)) => start::guard(plan, image),
        Err(exit) => exit,
    }
}
