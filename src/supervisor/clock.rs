//! A clock that wakes softstop once each time. The timers of the event loop, whose wheels have steps,
//! wake it two or three times for one second, as `bench/run idle` shows.

use std::io;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use tokio::io::unix::AsyncFd;
use tokio::time::sleep;

use super::kernel::{Awaited, awaited};

/// Nothing, where the kernel gives none: then the event loop's own timers have to do.
pub(super) struct Clock(Option<AsyncFd<Awaited<TimerFd>>>);

impl Clock {
    pub(super) fn new() -> Self {
        let flags = TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC;
        let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, flags).map_err(io::Error::from);
        Self(timer.and_then(awaited).ok())
    }

    /// Waits for so long. Whoever stops waiting leaves nothing behind: each wait sets the clock anew.
    pub(super) async fn wait(&self, time: Duration) {
        let Some(timer) = &self.0 else {
            return sleep(time).await;
        };
        if wait_for(timer, time).await.is_err() {
            sleep(time).await;
        }
    }
}

async fn wait_for(timer: &AsyncFd<Awaited<TimerFd>>, time: Duration) -> io::Result<()> {
    let once = Expiration::OneShot(TimeSpec::from(time));
    timer.get_ref().0.set(once, TimerSetTimeFlags::empty())?;
    loop {
        let mut ready = timer.readable().await?;
        match timer.get_ref().0.wait() {
            Err(Errno::EAGAIN) => ready.clear_ready(),
            waited => return waited.map_err(io::Error::from),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[tokio::test]
    async fn each_wait_takes_its_own_time_whatever_became_of_the_one_before() {
        let clock = Clock::new();
        assert!(clock.0.is_some());
        let long = Duration::from_secs(60);
        let soon = Duration::from_millis(20);
        for _ in 0..3 {
            let began = Instant::now();
            tokio::select! {
                () = clock.wait(long) => panic!("it has waited"),
                () = sleep(soon) => {}
            }
            clock.wait(soon).await;
            assert!(began.elapsed() >= 2 * soon);
            assert!(began.elapsed() < long);
        }
    }
}
