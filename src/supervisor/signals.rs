//! The signals that ask softstop to stop.

use std::io;

use nix::sys::signal::Signal;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::time::Instant;

/// Every catchable signal by which somebody asks a program to end.
pub(super) const STOP_SIGNALS: [Signal; 4] = [
    Signal::SIGINT,
    Signal::SIGTERM,
    Signal::SIGHUP,
    Signal::SIGQUIT,
];

/// How often we were asked to stop, and when first.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Interrupts {
    pub(crate) count: u32,
    pub(crate) first: Option<Interrupt>,
}

/// The signal that began the end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Interrupt {
    pub(crate) signal: Signal,
    pub(crate) at: Instant,
}

impl Interrupts {
    /// The first signal asks to stop, the second changes nothing, the third means "now".
    pub(crate) fn want_it_now(self) -> bool {
        self.count >= 3
    }
}

/// Starts to listen, on the current thread.
pub(super) fn listen() -> io::Result<watch::Receiver<Interrupts>> {
    let (sender, receiver) = watch::channel(Interrupts::default());
    for number in STOP_SIGNALS {
        let mut stream = signal(SignalKind::from_raw(number as i32))?;
        let sender = sender.clone();
        tokio::task::spawn_local(async move {
            while stream.recv().await.is_some() {
                sender.send_modify(|interrupts| {
                    interrupts.count += 1;
                    interrupts.first.get_or_insert(Interrupt {
                        signal: number,
                        at: Instant::now(),
                    });
                });
            }
        });
    }
    Ok(receiver)
}
