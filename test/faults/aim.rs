//! When a blow falls, and whom it hits.

use std::thread;
use std::time::Duration;

use nix::sys::signal::Signal;

use super::drawn::{Moment, Place, Target, Victim};
use super::round::{Clone, Round};
use super::subject::Subject;
use super::trouble::Trouble;
use crate::support::proxy::Fault;

/// How long to wait for the aimed moment; where it does not come, the blow falls all the same.
const TO_AIM: Duration = Duration::from_secs(4);
/// How much less time a release takes than a deploy.
const SHORTER: f64 = 0.3;

impl Round<'_> {
    /// Waits for the moment of the blow. Where the backend can be held there, it is.
    pub(super) fn aim(&self, subject: &mut Subject, clone: &Clone, moment: Moment) -> bool {
        let store = &self.project.store;
        let hold = |needle: &str| {
            if let Some(proxy) = &clone.proxy {
                proxy.hold(needle);
            }
        };
        match moment {
            Moment::AtLook => hold(&store.look_request()),
            Moment::AtLock => hold(store.lock_request()),
            Moment::AtStateWrite => hold(&store.state_write()),
            Moment::AtUnlock => {
                if self.plan.victim == Victim::Deploy {
                    // On http, softstop's own look before the deploy ends with an unlock too.
                    subject.wait_for(TO_AIM, |subject| {
                        subject.run().has_printed("Creation complete")
                    });
                }
                if let Some(unlock) = store.unlock_requests().last() {
                    hold(unlock);
                }
            }
            Moment::AtStart(pause) => thread::sleep(pause),
            Moment::After(_) | Moment::AtConfiguration | Moment::InAfterScript => {}
        }
        let lock_file = self.project.directory.join(".terraform.tfstate.lock.info");
        let after_script = self.project.scratch().join("after.reached");
        let is_there = |subject: &mut Subject| match (moment, &clone.proxy) {
            (Moment::After(_), _) => false,
            (Moment::AtStart(_), _) => true,
            (Moment::AtConfiguration, _) => subject.reads(&clone.directory),
            (Moment::InAfterScript, _) => after_script.exists(),
            (_, Some(proxy)) => proxy.has_held(),
            (Moment::AtLook | Moment::AtLock, None) => lock_file.exists(),
            (Moment::AtStateWrite, None) => subject.run().has_printed("Creation complete"),
            (Moment::AtUnlock, None) => subject.run().has_printed("Apply complete"),
        };
        let at_most = match (moment, self.plan.victim) {
            (Moment::After(part), Victim::Deploy) => self.life.mul_f64(part),
            (Moment::After(part), Victim::Release) => self.life.mul_f64(part * SHORTER),
            _ => TO_AIM,
        };
        let is_aimed = subject.wait_for(at_most, is_there);
        let aim = if is_aimed {
            "reached"
        } else {
            "no longer waited for"
        };
        self.truth.note(format_args!("{moment:?} is {aim}"));
        is_aimed
    }

    pub(super) fn begin_trouble(&self, clone: &Clone) {
        let Some(proxy) = &clone.proxy else { return };
        let store = &self.project.store;
        if let Some((needle, fault, times)) = self.plan.trouble.fault(store) {
            proxy.fail(&needle, fault, times);
        }
        if self.plan.trouble == Trouble::HangingStateWrite {
            proxy.hold(&store.state_write());
        }
    }

    pub(super) fn begin_outage(&self, clone: &Clone) {
        if let Some(proxy) = clone
            .proxy
            .as_ref()
            .filter(|_| self.plan.trouble == Trouble::Outage)
        {
            proxy.fail("", Fault::Cut, u32::MAX);
            self.truth.note("the backend is gone");
        }
    }

    pub(super) fn end_trouble(&self, clone: &Clone) {
        if let Some(proxy) = &clone.proxy {
            proxy.recover();
        }
        self.truth.note("the backend is well again");
    }

    /// Whether the blow kills the process that supervises, or the one that was started.
    pub(super) fn kills_softstop(&self) -> bool {
        let is_softstop = matches!(
            self.plan.target,
            Target::Softstop | Target::Supervisor | Target::Tree
        );
        is_softstop && self.plan.blow.kills()
    }

    /// Whether the process that supervises is killed, so that the deploy must die with it.
    pub(super) fn kills_supervisor(&self) -> bool {
        self.kills_softstop() && !self.hits_guard()
    }

    /// Whether the process that was started may end before the others do. A guard whose supervisor
    /// is killed never does.
    pub(super) fn may_leave_others(&self) -> bool {
        let is_guarded = self.plan.target == Target::Supervisor && self.plan.place == Place::Host;
        self.kills_softstop() && !is_guarded
    }

    pub(super) fn hits_guard(&self) -> bool {
        self.plan.target == Target::Softstop && self.plan.place == Place::Host
    }

    /// Whether the blow ends the run, one way or the other.
    pub(super) fn stops_softstop(&self) -> bool {
        self.asked().is_some() || self.kills_softstop()
    }

    /// The signal by which softstop is asked to stop.
    pub(super) fn asked(&self) -> Option<Signal> {
        match self.plan.target {
            Target::Softstop | Target::Supervisor | Target::Tree => {
                // A supervisor whose guard is killed is asked by the kernel.
                let by_the_kernel = self.hits_guard().then_some(Signal::SIGTERM);
                self.plan.blow.asks().or(by_the_kernel)
            }
            Target::Terraform | Target::Plugin | Target::Shell => None,
        }
    }
}
