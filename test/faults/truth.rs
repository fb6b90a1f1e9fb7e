//! What the campaign knows by itself: who is alive, who is proved to be over, and what happened.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::proxy::{Passing, Proxy};
use crate::support::run::{arguments_of, marked};
use crate::support::{Journal, Kind, Project, Step};

/// What a person does where a deploy stops.
const PERSON: &str = "a person has looked at what was left";

/// The record of one round.
#[derive(Clone)]
pub(super) struct Truth(Arc<Mutex<Record>>);

struct Record {
    began: Instant,
    events: Vec<(Duration, String)>,
    runs: Vec<KnownRun>,
    violations: Vec<String>,
    has_landed: bool,
    has_left_lock: bool,
    state: Option<(String, u64)>,
    journal: Option<Journal>,
    /// Whether a Terraform that was killed has emptied the file of its local state.
    has_lost_state: bool,
}

/// A run of softstop's that may hold a lock.
struct KnownRun {
    stamp: String,
    mark: String,
    /// Whether anybody can prove that it is over.
    is_proved_over: bool,
}

impl Truth {
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(Record {
            began: Instant::now(),
            events: Vec::new(),
            runs: Vec::new(),
            violations: Vec::new(),
            has_landed: false,
            has_left_lock: false,
            state: None,
            journal: None,
            has_lost_state: false,
        })))
    }

    /// Notes what happened, for whoever has to find out why a round has failed.
    pub(super) fn note(&self, event: impl fmt::Display) {
        let mut record = self.0.lock().unwrap();
        let at = record.began.elapsed();
        record.events.push((at, event.to_string()));
    }

    /// Whether there was somebody to hit.
    pub(super) fn blow_falls(&self, has_landed: bool) {
        self.0.lock().unwrap().has_landed = has_landed;
    }

    pub(super) fn has_landed(&self) -> bool {
        self.0.lock().unwrap().has_landed
    }

    /// What the journal of the broken deploy said when that was over.
    pub(super) fn remember(&self, journal: Journal) {
        self.note(format_args!("the journal is {journal:?}"));
        self.0.lock().unwrap().journal = Some(journal);
    }

    pub(super) fn journal(&self) -> Option<Journal> {
        self.0.lock().unwrap().journal.clone()
    }

    /// Whether a softstop has warned of this resource.
    pub(super) fn has_warned_of(&self, address: &str) -> bool {
        let record = self.0.lock().unwrap();
        let mut lines = record.events.iter().flat_map(|(_, event)| event.lines());
        lines.any(|line| line.starts_with("WARNING: ") && line.contains(address))
    }

    /// A person has looked at what stood in the way of a deploy, and goes on without an import.
    pub(super) fn person_has_looked(&self) {
        self.note(PERSON);
    }

    pub(super) fn has_seen_a_person(&self) -> bool {
        let record = self.0.lock().unwrap();
        record.events.iter().any(|(_, event)| event == PERSON)
    }

    /// The broken deploy has left its lock.
    pub(super) fn lock_is_left(&self) {
        self.0.lock().unwrap().has_left_lock = true;
    }

    pub(super) fn has_left_lock(&self) -> bool {
        self.0.lock().unwrap().has_left_lock
    }

    pub(super) fn violated(&self, invariant: &str, what: impl fmt::Display) {
        self.note(format_args!("VIOLATION of {invariant}: {what}"));
        let violation = format!("{invariant}: {what}");
        self.0.lock().unwrap().violations.push(violation);
    }

    pub(super) fn violations(&self) -> Vec<String> {
        self.0.lock().unwrap().violations.clone()
    }

    /// Makes a run known by the mark of its processes.
    pub(super) fn meet(&self, step: &Step, mark: &str) {
        self.0.lock().unwrap().runs.push(KnownRun {
            stamp: step.stamp(),
            mark: mark.to_owned(),
            is_proved_over: false,
        });
    }

    /// From now on, anybody can prove that the runs of this step are over.
    pub(super) fn is_proved_over(&self, step: &Step) {
        let stamp = step.stamp();
        for run in &mut self.0.lock().unwrap().runs {
            run.is_proved_over |= run.stamp == stamp;
        }
    }

    /// Watches whose locks are removed through `proxy`, which only `remover` uses. As the `final:`
    /// step of the pipeline of `sibling`, it has the proof that this one is over.
    pub(super) fn watch(
        &self,
        proxy: &Proxy,
        project: &Arc<Project>,
        remover: &Step,
        sibling: Option<&Step>,
    ) {
        let (truth, project) = (self.clone(), Arc::clone(project));
        let (remover, sibling) = (remover.stamp(), sibling.map(Step::stamp));
        proxy.watch(move |passing| {
            if let Some(headline) = headline(passing) {
                truth.note(format_args!("{remover} {headline}"));
            }
            let Passing::Question(said) = passing else {
                return;
            };
            let said = String::from_utf8_lossy(said);
            if project.store.kind.outlives_its_holder()
                && let Some(lock) = project.store.lock_removed_by(&said)
                && !project.store.refuses_to_remove(&lock, &said)
            {
                truth.judge_removal(
                    &lock,
                    &said,
                    project.store.kind,
                    &remover,
                    sibling.as_deref(),
                );
            }
        });
    }

    /// Judges the removal of `lock` in the moment in which the backend is asked for it.
    fn judge_removal(
        &self,
        lock: &str,
        said: &str,
        kind: Kind,
        remover: &str,
        sibling: Option<&str>,
    ) {
        let lock: Value = serde_json::from_str(lock).unwrap_or_default();
        let (who, id) = (
            lock["Who"].as_str().unwrap_or_default(),
            lock["ID"].as_str().unwrap_or_default(),
        );
        let stamp = who.rsplit_once('@').map_or(who, |(stamp, _)| stamp);
        let holder = {
            let record = self.0.lock().unwrap();
            let holder = record.runs.iter().find(|run| run.stamp == stamp);
            holder.map(|run| (run.mark.clone(), run.is_proved_over))
        };
        if stamp == remover {
            if holder.is_some_and(|(mark, _)| is_taken_from_its_terraform(kind, said, &mark)) {
                self.violated("I2", format_args!("the Terraform of {who} loses its lock"));
            }
            return;
        }
        self.note(format_args!("{remover} removes lock {id} of {who}"));
        match holder {
            None => self.violated("I2", format_args!("{who} is nobody's to release")),
            Some((mark, _)) if !marked(&mark).is_empty() => {
                self.violated("I2", format_args!("{who} is alive, and loses its lock"));
            }
            Some((_, false)) if sibling != Some(stamp) => {
                self.violated("I2", format_args!("nobody has proved that {who} is over"));
            }
            Some(_) => {}
        }
    }

    /// Checks that the stored state is valid and not older than before.
    pub(super) fn check_state(&self, project: &Project) {
        let state = project.store.state();
        let known = state.as_deref().map(serde_json::from_str::<Value>);
        let before = self.0.lock().unwrap().state.clone();
        let now = match known {
            None => None,
            Some(Ok(state)) => {
                let lineage = state["lineage"].as_str().map(str::to_owned);
                lineage.zip(state["serial"].as_u64())
            }
            Some(Err(error)) => return self.violated("I3", format_args!("the state: {error}")),
        };
        match (&before, &now) {
            (Some(_), None) => self.violated("I3", "the state is gone"),
            (Some((lineage, serial)), Some((new_lineage, new_serial)))
                if lineage != new_lineage || new_serial < serial =>
            {
                let change = format!("{lineage} {serial} to {new_lineage} {new_serial}");
                self.violated("I3", format_args!("the state goes from {change}"));
            }
            _ => self.0.lock().unwrap().state = now,
        }
    }

    /// Forgets how the state was, where Terraform was made to lose it: it cuts the file of a local
    /// state off before it writes it again, the limit of docs/limits.md.
    pub(super) fn forget_state(&self, project: &Project) {
        let mut record = self.0.lock().unwrap();
        record.state = None;
        record.has_lost_state |= project.store.state().is_none();
    }

    /// Whether no state was left then.
    pub(super) fn has_lost_state(&self) -> bool {
        self.0.lock().unwrap().has_lost_state
    }
}

/// Whether softstop removes the lock of a deploy of its own that lives.
fn is_taken_from_its_terraform(kind: Kind, said: &str, mark: &str) -> bool {
    let runs = |command: &str| {
        let mut processes = marked(mark).into_iter();
        processes.any(|pid| arguments_of(pid).iter().any(|word| word == command))
    };
    let is_softstops = match kind {
        Kind::HttpStrict | Kind::HttpLax => !said.contains("User-Agent: Go-http-client"),
        _ => runs("force-unlock"),
    };
    is_softstops && runs("apply")
}

/// The first line of a question or an answer in HTTP; of anything else, there is none.
fn headline(passing: Passing<'_>) -> Option<String> {
    let (what, bytes) = match passing {
        Passing::Question(bytes) => ("asks", bytes),
        Passing::Refused(bytes) => ("asks in vain", bytes),
        Passing::Answer(bytes) => ("is answered", bytes),
        Passing::Lost(bytes) => ("loses the answer", bytes),
    };
    let text = String::from_utf8_lossy(bytes);
    let mut lines = text.lines();
    let first = lines.next().filter(|line| line.contains("HTTP/1"))?;
    let operation = lines.find_map(|line| line.strip_prefix("X-Amz-Target: "));
    Some(format!("{what}: {first} {}", operation.unwrap_or_default()))
}

impl fmt::Display for Truth {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, event) in &self.0.lock().unwrap().events {
            writeln!(formatter, "{:8.3} s  {event}", at.as_secs_f64())?;
        }
        Ok(())
    }
}
