//! How the broken deploy says that it has ended, held against what is true.

use nix::sys::signal::Signal;

use super::change::OBJECTS;
use super::drawn::{Blow, Moment, Rival, Target};
use super::layout::Layout;
use super::outsider;
use super::plan::Plan;
use super::reader::Habit;
use super::round::Round;
use super::trouble::Trouble;
use super::truth::Truth;
use crate::support::world::in_the_world;
use crate::support::{Finished, Kind, Store};

/// What a last line claims.
struct Claim<'a> {
    outcome: &'static str,
    code: i32,
    lock: Lock,
    line: &'a str,
}

#[derive(PartialEq, Eq)]
enum Lock {
    Free,
    Released,
    Held,
    Unknown,
    /// There is none, which is true of no backend here.
    None,
}

impl Lock {
    /// What AFTER_SCRIPT is told then.
    fn word(&self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Free => "free",
            Self::Released => "released",
            Self::Held => "held",
            Self::Unknown => "unknown",
        }
    }
}

/// Checks what the deploy that was hit has said and left.
pub(super) fn check(round: &Round, finished: &Finished, is_hit: bool) {
    let plan = round.plan;
    let line = last_line(finished);
    let was_killed = is_hit && round.kills_softstop();
    match claim(line) {
        Some(claim) => {
            check_claim(round, finished, is_hit, &claim);
            check_after_script(round, finished, &claim, was_killed);
        }
        None if was_killed => {}
        None => check_no_deploy(round, finished, line, is_hit),
    }
    // What is still there can do something, so it takes a softstop that lives to end it.
    let is_graceful = !(is_hit && round.kills_supervisor());
    let is_well = matches!(plan.trouble, Trouble::None | Trouble::Slow);
    if is_graceful && is_well && round.holds_lock(&round.step) {
        round
            .truth
            .violated("I1", "a deploy that was not killed leaves its lock");
    }
    if let Some(other) = plan.layout.other_environment(&round.project) {
        check_other_environment(&round.truth, &other, is_graceful && is_well);
    }
    if may_lose_state(plan, is_hit) {
        round.truth.forget_state(&round.project);
    } else {
        round.truth.check_state(&round.project);
    }
    if is_graceful && !may_lose_resources(plan, is_hit) && !has_killed_terraform(finished) {
        check_resources(round, finished);
    }
}

/// Nothing was made there, and its lock is nobody else's.
fn check_other_environment(truth: &Truth, other: &Store, is_free: bool) {
    let made = other.resources();
    if !made.is_empty() {
        truth.violated("I3", format_args!("the other environment has {made:?}"));
    }
    if is_free && other.kind.outlives_its_holder() && other.lock().is_some() {
        truth.violated("I1", "a deploy that was not killed leaves its second lock");
    }
}

fn check_claim(round: &Round, finished: &Finished, is_hit: bool, claim: &Claim) {
    let lie = |what: String| {
        round
            .truth
            .violated("I6", format!("{:?}: {what}", claim.line));
    };
    // Of a guard that was killed, nobody learns the code of what it has guarded.
    let code = finished
        .code
        .filter(|_| !(is_hit && round.kills_softstop()));
    let asked = round.asked().filter(|_| is_hit);
    let is_true = match (claim.outcome, code) {
        (_, None) => true,
        ("succeeded", Some(code)) => code == 0,
        ("failed", Some(code)) => code != 0,
        // By whatever signal: Terraform has no handler yet when it begins.
        ("killed", Some(code)) => code > 128,
        (_, Some(code)) => asked.is_some_and(|signal| code == 128 + signal as i32),
    };
    if !is_true {
        lie(format!("the exit code is {code:?}, the signal {asked:?}"));
    }
    if claim.outcome == "interrupted" && asked.is_none() {
        lie("nobody has asked softstop to stop".to_owned());
    }
    if code.is_some_and(|code| code != claim.code) {
        lie(format!("the exit code is {code:?}"));
    }
    let is_read = round.plan.reader == Habit::Reads;
    let is_removed = round.plan.layout == Layout::RemovedWorkspace;
    if claim.outcome == "succeeded" && is_read && !finished.stdout.contains("Apply complete!") {
        lie("Terraform does not say so".to_owned());
    }
    match claim.lock {
        // What a look has asked for may be done after the last words.
        Lock::Free | Lock::Released
            if round.holds_lock(&round.step) && round.plan.trouble != Trouble::LateLook =>
        {
            lie("it is held".to_owned());
        }
        // Of a workspace that it was seen to remove, nothing is left to look after.
        Lock::None if !is_removed || round.project.store.lock().is_some() => {
            lie("there is a lock".to_owned());
        }
        Lock::Held if round.plan.rival == Rival::None && round.project.store.lock().is_none() => {
            lie("it is free".to_owned());
        }
        Lock::Unknown
            if round.plan.trouble == Trouble::None
                && !round.is_stuck_in_its_first_init()
                && !has_lost_a_look(round, finished)
                && !has_run_nothing(finished) =>
        {
            lie("the backend is well".to_owned());
        }
        _ => {}
    }
}

/// Checks what a release has said.
pub(super) fn check_release(
    truth: &Truth,
    finished: &Finished,
    asked: Option<Signal>,
    was_killed: bool,
) {
    let (line, code) = (last_line(finished), finished.code);
    let is_true = if line.starts_with("✔ Locks: ") {
        code == Some(0)
    } else if line.starts_with("✖ Locks: ") {
        let told = code.map(|code| format!("(exit code {code})"));
        matches!(code, Some(3 | 4)) && told.is_some_and(|told| line.contains(&told))
    } else {
        let expected = asked.map(|signal| 128 + signal as i32);
        line.starts_with("✖ Stopped by ") && code == expected
    };
    if !is_true && !was_killed && !was_too_early(finished, asked) {
        truth.violated("I6", format_args!("{line:?} with the exit code {code:?}"));
    }
}

/// Whether the signal came before softstop could hear it, and nothing had begun.
fn was_too_early(finished: &Finished, asked: Option<Signal>) -> bool {
    let signal = asked.map(|signal| signal as i32);
    signal.is_some() && finished.signal == signal && finished.stderr.is_empty()
}

/// A deploy that was not begun has told why.
fn check_no_deploy(round: &Round, finished: &Finished, line: &str, is_hit: bool) {
    let asked = round.asked().filter(|_| is_hit);
    let is_true = if line.starts_with("✖ Stopped by ") {
        asked.is_some_and(|signal| finished.code == Some(128 + signal as i32))
    } else if line.starts_with("✖ Nothing was deployed. ") {
        let may_be_ours = round.plan.trouble.may_hide_a_look(round.plan.kind);
        (round.plan.rival != Rival::None || may_be_ours) && matches!(finished.code, Some(3 | 4))
    } else if line.starts_with("✖ Nothing was deployed, because a look at the lock, ") {
        let is_look_killed = is_hit && round.plan.blow.kills();
        is_look_killed && round.plan.target == Target::Terraform && finished.code == Some(4)
    } else if line.starts_with("✖ Nothing was deployed, because ") {
        round.plan.trouble.may_hide_a_look(round.plan.kind) && finished.code == Some(4)
    } else {
        was_too_early(finished, asked)
    };
    if !is_true {
        let code = finished.code;
        round.truth.violated(
            "I6",
            format_args!("the last words are {line:?}, the code {code:?}"),
        );
    }
}

/// It runs once after every deploy, and is told the same as everybody.
fn check_after_script(round: &Round, finished: &Finished, claim: &Claim, was_killed: bool) {
    let told = round.project.scratch().join("told");
    let told = std::fs::read_to_string(told).unwrap_or_default();
    let may_be_cut_short = round.plan.moment == Moment::InAfterScript
        || finished.stderr.contains("AFTER_SCRIPT failed")
        || finished.stderr.contains("AFTER_SCRIPT could not be run");
    let lines: Vec<&str> = told.lines().collect();
    let is_true = match lines[..] {
        [] => may_be_cut_short || was_killed,
        [line] => line == format!("{} {} {}", claim.outcome, claim.code, claim.lock.word()),
        _ => false,
    };
    if !is_true {
        round
            .truth
            .violated("I6", format_args!("AFTER_SCRIPT was told {told:?}"));
    }
}

/// What was made, and what Terraform has called complete, is stored, or kept with the words that it
/// is not.
fn check_resources(round: &Round, finished: &Finished) {
    // The file is the record then, and a person is told so.
    let is_kept_aside = finished.stderr.contains("it is the only record");
    if !is_kept_aside {
        check_stored(round, finished);
    }
    if round.plan.layout.has_lost_inner(&round.project) {
        round
            .truth
            .violated("I3", "the inner Terraform has made what it has not stored");
    }
    let outputs = [&finished.stdout, &finished.stderr];
    if outputs
        .iter()
        .any(|output| output.contains("Two interrupts received"))
    {
        round
            .truth
            .violated("I3", "Terraform was interrupted a second time");
    }
}

fn check_stored(round: &Round, finished: &Finished) {
    let stored = round.project.store.resources();
    let complete = finished.stdout.lines().filter_map(|line| {
        let (address, rest) = line.split_once(": ")?;
        let is_complete = rest.starts_with("Creation complete");
        is_complete.then(|| address.rsplit('.').next().unwrap_or(address))
    });
    for name in complete {
        if !stored.iter().any(|stored| stored == name) {
            round
                .truth
                .violated("I3", format_args!("{name} is complete, and is not stored"));
        }
    }
    // A plugin that is hit cannot tell what it has made, and another deploy is still telling.
    let is_told =
        round.plan.target != Target::Plugin && !matches!(round.plan.rival, Rival::SecondDeploy(_));
    let state = round.project.store.state().unwrap_or_default();
    for name in OBJECTS.into_iter().filter(|_| is_told) {
        for id in in_the_world(&round.project, name) {
            if !state.contains(&id) {
                round.truth.violated(
                    "I3",
                    format_args!("{id} was made for {name}, and is not stored"),
                );
            }
        }
    }
}

/// Whether Terraform was made to drop what it has: by a kill, or by a second signal.
fn may_lose_resources(plan: &Plan, is_hit: bool) -> bool {
    let is_terraform_hurt = plan.target == Target::Terraform
        && !matches!(plan.blow, Blow::Once(signal) if is_gentle(signal));
    is_hit && (is_terraform_hurt || plan.target == Target::Tree)
}

/// Whether Terraform may have cut off the file of a local state, as it does at a second signal.
fn may_lose_state(plan: &Plan, is_hit: bool) -> bool {
    let is_local = plan.kind == Kind::Local;
    is_local && may_lose_resources(plan, is_hit)
}

fn is_gentle(signal: Signal) -> bool {
    matches!(signal, Signal::SIGINT | Signal::SIGTERM)
}

fn has_killed_terraform(finished: &Finished) -> bool {
    finished.stderr.contains("out of time: killing")
}

/// Whether the Terraform that was killed is the one that softstop has started to look at the lock.
fn has_lost_a_look(round: &Round, finished: &Finished) -> bool {
    let is_hit = matches!(round.plan.target, Target::Terraform | Target::Tree);
    is_hit && finished.stderr.contains("was killed by signal")
}

/// Whether the deploy was over before any Terraform began, so that nobody knows what it would have used.
fn has_run_nothing(finished: &Finished) -> bool {
    let mut lines = finished.stdout.lines();
    finished
        .stderr
        .contains("No Terraform or OpenTofu was seen to use a state")
        && lines.all(|line| line == outsider::WORDS)
}

pub(super) fn last_line(finished: &Finished) -> &str {
    let lines = finished.stderr.lines();
    lines
        .rev()
        .find(|line| !line.is_empty())
        .unwrap_or_default()
}

fn claim(line: &str) -> Option<Claim<'_>> {
    let outcomes = [
        ("✔ Deploy succeeded", "succeeded"),
        ("✖ Deploy failed", "failed"),
        ("✖ Deploy was killed", "killed"),
        ("✖ Deploy was interrupted", "interrupted"),
    ];
    let (_, outcome) = outcomes.iter().find(|(begin, _)| line.starts_with(begin))?;
    let locks = [
        ("the lock is held", Lock::Held),
        ("could not be asked about", Lock::Unknown),
        ("its lock was released", Lock::Released),
        ("there is no lock", Lock::None),
    ];
    let mut locks = locks.into_iter();
    let lock = locks.find_map(|(words, lock)| line.contains(words).then_some(lock));
    let code = line.split_once("exit code ").map(|(_, code)| {
        let mut digits = code.split(|character: char| !character.is_ascii_digit());
        digits.next().unwrap_or_default()
    });
    Some(Claim {
        outcome,
        code: code.map_or(0, |code| code.parse().unwrap()),
        lock: lock.unwrap_or(Lock::Free),
        line,
    })
}
