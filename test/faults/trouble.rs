//! What is wrong with the backend.

use std::time::Duration;

use fastrand::Rng;

use super::drawn::one_of;
use crate::support::proxy::Fault;
use crate::support::{Kind, Store};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    None,
    /// Every answer is late.
    Slow,
    /// So many requests are answered with 500.
    ServerErrors(u32),
    /// So many connections are cut.
    Cuts(u32),
    /// A write of the state hangs until the run is over.
    HangingStateWrite,
    /// From the blow on, every connection is cut.
    Outage,
    /// The server takes a lock, and its answer is lost.
    LostLockAnswer,
    /// An http server does this, and a gateway says that it was too late for that.
    AnsweredByGateway(Asked),
    /// An http server takes the lock for a look once nobody waits for that any more.
    LateLook,
    /// It gives the lock of a look back once nobody waits for that, and somebody has taken another
    /// one, where that comes; perhaps it has done so at once too.
    LateUnlock {
        also_at_once: bool,
    },
    /// It does this twice.
    Twice {
        what: Asked,
        /// Whether the second answer is heard, and not the first one.
        hears_second: bool,
    },
}

/// What an http server is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    Look,
    Lock,
    Unlock,
}

impl Asked {
    const ALL: [Self; 3] = [Self::Look, Self::Lock, Self::Unlock];
}

impl Trouble {
    pub(super) fn drawn(rng: &mut Rng, kind: Kind) -> Self {
        let is_http = matches!(kind, Kind::HttpStrict | Kind::HttpLax);
        if is_http && rng.bool() {
            return match rng.u8(..10) {
                0..=4 => Self::LateUnlock {
                    also_at_once: rng.u8(..4) > 0,
                },
                5 => Self::LateLook,
                6 | 7 => Self::AnsweredByGateway(one_of(rng, &Asked::ALL)),
                _ => Self::Twice {
                    what: one_of(rng, &Asked::ALL),
                    hears_second: rng.bool(),
                },
            };
        }
        match rng.u8(..11) {
            0..=4 => Self::None,
            5 => Self::Slow,
            6 => Self::ServerErrors(rng.u32(1..4)),
            7 => Self::Cuts(rng.u32(1..4)),
            8 => Self::HangingStateWrite,
            9 => Self::Outage,
            _ => Self::LostLockAnswer,
        }
    }

    /// Whether a request is carried out at another time, or more often, than its client can know.
    pub(super) fn is_untimely(self) -> bool {
        matches!(
            self,
            Self::LateLook | Self::LateUnlock { .. } | Self::Twice { .. }
        )
    }

    /// Whether a look at such a lock may have had no answer, and nothing was deployed for that.
    pub(super) fn may_hide_a_look(self, kind: Kind) -> bool {
        let is_http = matches!(kind, Kind::HttpStrict | Kind::HttpLax);
        is_http && !matches!(self, Self::None | Self::Slow | Self::HangingStateWrite)
    }

    /// The fault of a proxy, in which messages, and how often it comes.
    pub(super) fn fault(self, store: &Store) -> Option<(String, Fault, u32)> {
        let asked = |what| match what {
            Asked::Look => store.look_request(),
            Asked::Lock => store.lock_request().to_owned(),
            Asked::Unlock => store.unlock_requests().concat(),
        };
        let late = |also_at_once| Fault::Late {
            worst: store.lock_request(),
            also_at_once,
        };
        Some(match self {
            Self::None | Self::HangingStateWrite | Self::Outage => return None,
            Self::Slow => {
                let delay = Fault::Delay(Duration::from_millis(60));
                (String::new(), delay, u32::MAX)
            }
            Self::ServerErrors(times) => (String::new(), Fault::Refuse, times),
            Self::Cuts(times) => (String::new(), Fault::Cut, times),
            Self::LostLockAnswer => (asked(Asked::Lock), Fault::LoseAnswer, 1),
            Self::AnsweredByGateway(what) => (asked(what), Fault::GiveUpOnAnswer, 1),
            Self::LateLook => (asked(Asked::Look), late(false), 1),
            Self::LateUnlock { also_at_once } => (asked(Asked::Unlock), late(also_at_once), 1),
            Self::Twice { what, hears_second } => (asked(what), Fault::Twice { hears_second }, 1),
        })
    }
}
