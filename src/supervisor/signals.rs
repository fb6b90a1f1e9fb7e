//! The signals that ask softstop to stop.

use std::io;
use std::time::Duration;

use nix::sys::signal::{SigSet, SigmaskHow, Signal};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::time::Instant;

use super::kernel;

/// Every catchable signal by which somebody asks a program to end.
const STOP_SIGNALS: [Signal; 4] = [
    Signal::SIGINT,
    Signal::SIGTERM,
    Signal::SIGHUP,
    Signal::SIGQUIT,
];

/// Signals that come closer together than this are one request: some senders signal every process
/// there is, the guard and the supervisor, and with more than one signal.
const ONE_REQUEST: Duration = Duration::from_millis(200);

/// The signals that are heeded: all, but for a hangup that whoever started us wants to be ignored.
///
/// A shell ignores SIGINT and SIGQUIT for what it starts in the background; as Terraform does, we
/// heed them even so.
pub(super) fn heeded() -> impl Iterator<Item = Signal> {
    let is_unwanted = |signal| signal == Signal::SIGHUP && kernel::is_ignored(signal);
    STOP_SIGNALS
        .into_iter()
        .filter(move |signal| !is_unwanted(*signal))
}

/// Holds signals back until somebody is there to hear them, so that none is lost.
///
/// The kernel drops a signal for the first process of a container that has no handler for it and does
/// not hold it back, so this comes first of all. Returns what was held back before.
pub(crate) fn hold_signals() -> nix::Result<SigSet> {
    let heeded = heeded().collect::<SigSet>();
    heeded.thread_swap_mask(SigmaskHow::SIG_BLOCK)
}

/// Lets signals through, also those that were held back.
pub(crate) fn let_signals_through() -> nix::Result<()> {
    SigSet::empty().thread_set_mask()
}

/// How often we were asked to stop, and when first.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Interrupts {
    pub(crate) count: u32,
    pub(crate) first: Option<Interrupt>,
    last: Option<Instant>,
}

/// The signal that began the end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Interrupt {
    pub(crate) signal: Signal,
    pub(crate) at: Instant,
}

impl Interrupts {
    fn add(&mut self, signal: Signal, at: Instant) {
        if self.last.is_some_and(|last| at < last + ONE_REQUEST) {
            return;
        }
        self.count += 1;
        self.last = Some(at);
        self.first.get_or_insert(Interrupt { signal, at });
    }

    /// The first signal asks to stop, the second changes nothing, the third means "now".
    pub(crate) fn want_it_now(self) -> bool {
        self.count >= 3
    }
}

/// Starts to listen, on the current thread.
pub(super) fn listen() -> io::Result<watch::Receiver<Interrupts>> {
    let (sender, receiver) = watch::channel(Interrupts::default());
    for number in heeded() {
        let mut stream = signal(SignalKind::from_raw(number as i32))?;
        let sender = sender.clone();
        tokio::task::spawn_local(async move {
            while stream.recv().await.is_some() {
                sender.send_modify(|interrupts| interrupts.add(number, Instant::now()));
            }
        });
    }
    Ok(receiver)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_in_quick_succession_are_one_request() {
        let (mut interrupts, now) = (Interrupts::default(), Instant::now());
        for signal in STOP_SIGNALS {
            interrupts.add(signal, now);
        }
        assert_eq!(interrupts.count, 1);
        assert_eq!(interrupts.first.unwrap().signal, Signal::SIGINT);
    }

    #[test]
    fn the_third_request_wants_it_now() {
        let (mut interrupts, now) = (Interrupts::default(), Instant::now());
        for request in 0..3 {
            assert!(!interrupts.want_it_now());
            interrupts.add(Signal::SIGTERM, now + ONE_REQUEST * request);
        }
        assert!(interrupts.want_it_now());
    }
}
