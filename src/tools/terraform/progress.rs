//! Reads in Terraform's output what becomes of each resource.
//!
//! Terraform records nothing before it makes something, and a remote state lacks what was made in the
//! last twenty seconds before a kill. But it prints a line before and after each change.

mod address;
#[cfg(test)]
mod again_table;
mod json;
mod ledger;
mod line;
#[cfg(test)]
mod log_table;
#[cfg(test)]
mod progress_properties;
#[cfg(test)]
mod progress_table;
#[cfg(test)]
mod recorded_table;

use std::mem;

use crate::supervisor::Listener;
use crate::tools::progress::{Reader, Told};
use address::is_of;
pub(super) use address::{is_address, type_of};
use ledger::Ledger;
use line::{Event, Said};

/// What the lines hold that are read, and as few others as possible.
pub(super) const MARKERS: [&str; 10] = [
    "ing...",
    " complete",
    "  # ",
    "following actions:",
    "{\"@level\":\"",
    "  with ",
    "Error: ",
    "Warning: ",
    ", in resource \"",
    "cancel",
];

/// The reader of one deploy's output.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    ledger: Ledger,
    /// What is being told of something that went wrong.
    diagnostic: Option<Diagnostic>,
    /// Whether what has ended well is forgotten.
    is_of_log: bool,
}

#[derive(Debug)]
struct Diagnostic {
    /// Units may speak at once, and each line says which one does.
    unit: Option<String>,
    is_error: bool,
    is_canceled: bool,
    about: About,
}

/// Which resource a diagnostic is about. It names it after its first line, and before its details.
#[derive(Debug)]
enum About {
    Nobody,
    One(String),
    OneOf(String, String),
}

impl Listener for Progress {
    fn hear(&mut self, line: &[u8]) {
        let text = String::from_utf8_lossy(line);
        let said = match json::split(&text) {
            Some((prefix, json)) => json::read(prefix, json),
            None => line::read(&text),
        };
        if let Some(said) = said {
            self.note(said);
        }
    }
}

impl Reader for Progress {
    fn told(&self) -> Told {
        self.ledger.told()
    }

    fn told_in_short(&self, most: usize) -> Told {
        self.ledger.told_in_short(most)
    }

    fn take_told(&mut self) -> Told {
        mem::take(&mut self.ledger).into_told()
    }

    fn forget(&mut self) {
        *self = Self {
            is_of_log: self.is_of_log,
            ..Self::default()
        };
    }
}

impl Progress {
    /// The reader of a log, in which deploys may follow each other.
    pub(super) fn of_log() -> Self {
        Self {
            is_of_log: true,
            ..Self::default()
        }
    }

    fn note(&mut self, said: Said) {
        let (unit, address) = (said.unit.as_deref(), said.address.as_str());
        match said.event {
            Event::Plan => self.ledger.begin_plan(unit),
            Event::Ended { changes } => {
                if self.ledger.end(unit, changes) && self.is_of_log {
                    self.ledger.forget(unit);
                }
            }
            Event::Planned(action) => self.ledger.plan(unit, address, action),
            Event::Begun(action, id) => self.ledger.begin(unit, address, action, &id),
            Event::GoesOn(action) => self.ledger.go_on(unit, address, action),
            Event::Complete(action, id) => self.ledger.complete(unit, address, action, &id),
            Event::Failed { is_canceled } => self.ledger.fail(unit, address, is_canceled),
            Event::Diagnostic {
                is_error,
                is_canceled,
            } => {
                self.diagnostic = Some(Diagnostic {
                    unit: said.unit,
                    is_error,
                    is_canceled,
                    about: About::Nobody,
                });
            }
            Event::About => {
                self.tell_about(said.unit.as_ref(), About::One(said.address));
            }
            Event::AboutOneOf { kind, name } => {
                self.tell_about(said.unit.as_ref(), About::OneOf(kind, name));
            }
            Event::Canceled => {
                if let Some(diagnostic) = &mut self.diagnostic {
                    diagnostic.is_canceled = true;
                }
                self.fail();
            }
        }
    }

    /// A diagnostic names what it is about. Of the two ways in which one does, the first says more.
    fn tell_about(&mut self, unit: Option<&String>, about: About) {
        if let Some(diagnostic) = &mut self.diagnostic
            && diagnostic.unit.as_ref() == unit
            && matches!(diagnostic.about, About::Nobody)
        {
            diagnostic.about = about;
            self.fail();
        }
    }

    fn fail(&mut self) {
        let Some(diagnostic) = self.diagnostic.as_ref().filter(|told| told.is_error) else {
            return;
        };
        let (unit, is_canceled) = (diagnostic.unit.as_deref(), diagnostic.is_canceled);
        match &diagnostic.about {
            About::Nobody => {}
            About::One(address) => self.ledger.fail(unit, address, is_canceled),
            About::OneOf(kind, name) => {
                let is_meant = |address: &str| is_of(address, kind, name);
                self.ledger.fail_each(unit, is_meant, is_canceled);
            }
        }
    }
}
