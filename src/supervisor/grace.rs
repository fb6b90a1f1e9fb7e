//! How long softstop may take from the first signal to its exit.

use std::time::Duration;

use tokio::time::Instant;

/// The time that is left once somebody has asked us to stop.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Grace {
    /// When the first signal came.
    pub(crate) began: Instant,
    /// The whole time from the first signal to the exit.
    pub(crate) period: Duration,
    /// The part at its end in which no deploy runs any more: for ending what is left of the tree,
    /// and for asking about the lock and releasing it.
    pub(crate) reserve: Duration,
}

impl Grace {
    /// When a deploy that has not stopped by itself is killed.
    pub(crate) fn reserve_begins(self) -> Instant {
        // Half is the deploy's in any case: a reserve that eats it all would kill at once.
        self.ends() - self.reserve.min(self.period / 2)
    }

    /// When softstop must have ended.
    pub(crate) fn ends(self) -> Instant {
        self.began + self.period
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deploy_time(period: u64, reserve: u64) -> Duration {
        let began = Instant::now();
        let grace = Grace {
            began,
            period: Duration::from_secs(period),
            reserve: Duration::from_secs(reserve),
        };
        assert_eq!(grace.ends() - began, Duration::from_secs(period));
        grace.reserve_begins() - began
    }

    #[test]
    fn the_reserve_is_kept_at_the_end_of_the_period() {
        assert_eq!(deploy_time(9, 2), Duration::from_secs(7));
    }

    #[test]
    fn the_deploy_gets_half_of_the_period_at_the_least() {
        assert_eq!(deploy_time(4, 60), Duration::from_secs(2));
    }
}
