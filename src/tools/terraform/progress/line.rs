//! One line that Terraform has printed for people.
//!
//! The words are the same from Terraform 0.12 to 1.15 and in OpenTofu. Before them may stand what a
//! wrapper puts there: Terragrunt the time and the name of a unit in brackets, others whatever they
//! like. What a provisioner prints has `ADDRESS (NAME): ` before it, and is never taken for
//! Terraform's own words.

use std::borrow::Cow;

use super::address::{address, is_address};
use crate::tools::progress::Action;

/// What a line tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// A new plan is told, and an older one means nothing any more.
    Plan,
    /// A run has ended well, after so many changes. Terraform says so once it has stored its state.
    Ended {
        changes: u32,
    },
    Planned(Action),
    Begun(Action, Id),
    GoesOn(Action),
    Complete(Action, Id),
    Failed {
        is_canceled: bool,
    },
    /// An error, or a warning, is told from here on.
    Diagnostic {
        is_error: bool,
        is_canceled: bool,
    },
    /// Which resource it is about.
    About,
    /// The same before Terraform 0.15, which names neither module nor key.
    AboutOneOf {
        kind: String,
        name: String,
    },
    /// Whatever it was about was given up by its provider.
    Canceled,
}

/// The id of a resource in a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Id {
    None,
    Whole(String),
    /// It goes on in the next line: from there on any line may be a part of it.
    Cut,
}

/// An event, and what it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) unit: Option<String>,
    pub(super) address: String,
    pub(super) event: Event,
}

/// How an action begins, goes on, and is complete.
const WORDS: [(Action, &str, &str, &str); 5] = [
    (
        Action::Create,
        "Creating...",
        "Still creating...",
        "Creation complete after ",
    ),
    (
        Action::Update,
        "Modifying...",
        "Still modifying...",
        "Modifications complete after ",
    ),
    (
        Action::Destroy,
        "Destroying...",
        "Still destroying...",
        "Destruction complete after ",
    ),
    (
        Action::Import,
        "Importing...",
        "Still importing...",
        "Import complete",
    ),
    (
        Action::Read,
        "Reading...",
        "Still reading...",
        "Read complete after ",
    ),
];

/// What a plan says behind an address.
const PLANS: [(Action, &str); 9] = [
    (Action::Create, " will be created"),
    (Action::Update, " will be updated in-place"),
    (Action::Destroy, " will be destroyed"),
    (Action::Replace, " must be replaced"),
    (Action::Replace, " will be replaced"),
    (Action::Replace, " is tainted, so must be replaced"),
    (Action::Replace, " is tainted, so it must be replaced"),
    (Action::Import, " will be imported"),
    (Action::Read, " will be read during apply"),
];

/// What a run says at its end, where nothing of it has failed.
const ENDS: [&str; 2] = [
    "Apply complete! Resources: ",
    "Destroy complete! Resources: ",
];

/// What a provider answers when it was told to stop, also where the line is wrapped before the last
/// word.
const CANCELED: [&str; 2] = ["context canceled", "context cancelled"];

/// What this line tells, if anything.
pub(super) fn read(line: &str) -> Option<Said> {
    let line = without_colours(line);
    let line = line.trim_end_matches(['\r', '\n']);
    hook(line)
        .or_else(|| planned(line))
        .or_else(|| ended(line))
        .or_else(|| diagnostic(line))
}

/// `PREFIX ADDRESS: Creating...`, and the like.
fn hook(line: &str) -> Option<Said> {
    // A key may hold any words, so the first place that does not fit is not the end of it.
    for (place, _) in line.match_indices(": ") {
        let Some(event) = hook_event(&line[place + 2..]) else {
            continue;
        };
        if let Some((prefix, address)) = split_prefix(without_deposed(&line[..place])) {
            return Some(Said {
                unit: unit(prefix),
                address: address.to_owned(),
                event,
            });
        }
    }
    None
}

fn hook_event(words: &str) -> Option<Event> {
    for (action, begins, goes_on, complete) in WORDS {
        if let Some(rest) = words.strip_prefix(begins) {
            return id(rest).map(|id| Event::Begun(action, id));
        }
        if words.starts_with(goes_on) {
            return Some(Event::GoesOn(action));
        }
        if let Some(rest) = words.strip_prefix(complete) {
            // Behind `after ` stands a time such as `1m10s`.
            let rest = rest.trim_start_matches(|letter: char| letter.is_ascii_alphanumeric());
            return id(rest).map(|id| Event::Complete(action, id));
        }
    }
    None
}

/// ` [id=…]` at the end of a line. Where there is no id, Terraform shows a name or a tag instead.
fn id(rest: &str) -> Option<Id> {
    let Some(inner) = rest.strip_prefix(" [") else {
        return rest.trim_end().is_empty().then_some(Id::None);
    };
    match (inner.strip_prefix("id="), inner.strip_suffix(']')) {
        (Some(_), Some(inner)) => Some(Id::Whole(inner["id=".len()..].to_owned())),
        (Some(_), None) => Some(Id::Cut),
        (None, Some(_)) => Some(Id::None),
        (None, None) => inner.contains('=').then_some(Id::Cut),
    }
}

/// `  # ADDRESS will be created`, and the like. The lines of a value stand further to the right.
fn planned(line: &str) -> Option<Said> {
    if line.ends_with(" will perform the following actions:") {
        return Some(Said {
            unit: unit(line),
            address: String::new(),
            event: Event::Plan,
        });
    }
    let (prefix, text) = line.split_once("  # ")?;
    let margin = prefix.len() - prefix.trim_end().len();
    let is_further_right = margin > 1 || margin == prefix.len() && margin > 0;
    // Who hears of a plan and not of what comes of it takes all of it for not begun.
    if is_further_right || !is_margin(prefix) {
        return None;
    }
    let (address, rest) = address(text)?;
    let rest = match rest.strip_prefix(" (deposed object ") {
        Some(deposed) => deposed.split_once(')')?.1,
        None => rest,
    };
    let (action, _) = PLANS.iter().find(|(_, words)| rest.starts_with(words))?;
    Some(Said {
        unit: unit(prefix),
        address: address.to_owned(),
        event: Event::Planned(*action),
    })
}

/// `Apply complete! Resources: …`, and the like.
fn ended(line: &str) -> Option<Said> {
    let mut heads = ENDS.iter().filter_map(|words| line.split_once(words));
    let (prefix, counts) = heads.next()?;
    // What is told as a provisioner's words is not Terraform's.
    (is_margin(prefix) && !prefix.contains("): ")).then(|| Said {
        unit: unit(prefix),
        address: String::new(),
        event: Event::Ended {
            changes: changes(counts),
        },
    })
}

/// How much was changed, as in `1 imported, 2 added, 0 changed, 1 destroyed.`
fn changes(counts: &str) -> u32 {
    let words: Vec<&str> = counts.split([' ', ',', '.']).collect();
    let counted = words.windows(2).filter_map(|pair| match pair {
        [number, "added" | "changed" | "destroyed"] => number.parse::<u32>().ok(),
        _ => None,
    });
    counted.fold(0, u32::saturating_add)
}

/// The parts of `Error: …` that tell which resource has failed.
fn diagnostic(line: &str) -> Option<Said> {
    let said = |unit: Option<String>, address: &str, event| Said {
        unit,
        address: address.to_owned(),
        event,
    };
    for (heading, is_error) in [("Error: ", true), ("Warning: ", false)] {
        let (prefix, text) = line.split_once(heading).unwrap_or_default();
        if !text.is_empty() && is_margin(prefix) {
            let event = Event::Diagnostic {
                is_error,
                is_canceled: is_canceled(text),
            };
            return Some(said(unit(prefix), "", event));
        }
    }
    if let Some((prefix, text)) = line.split_once("  with ") {
        let (address, rest) = address(text)?;
        return (is_margin(prefix) && rest.starts_with(','))
            .then(|| said(unit(prefix), address, Event::About));
    }
    if let Some((prefix, text)) = line.split_once(", in resource \"") {
        let mut parts = text.split('"');
        let (kind, name) = (parts.next()?, parts.nth(1)?);
        let event = Event::AboutOneOf {
            kind: kind.to_owned(),
            name: name.to_owned(),
        };
        return Some(said(unit(prefix), "", event));
    }
    let text = line.trim_start_matches(['│', ' ']);
    let is_rest = text.starts_with("canceled") || text.starts_with("cancelled");
    (is_rest || is_canceled(line)).then(|| said(None, "", Event::Canceled))
}

/// Whether this is the answer of a provider that gave up.
pub(super) fn is_canceled(text: &str) -> bool {
    CANCELED.iter().any(|words| text.contains(words))
}

/// Whether this may stand before a diagnostic: the frame that Terraform draws, and what a wrapper
/// puts there.
fn is_margin(prefix: &str) -> bool {
    prefix.is_empty() || prefix.ends_with([' ', '│', ':', ']', '|'])
}

/// The words of a wrapper, and the address behind them.
fn split_prefix(head: &str) -> Option<(&str, &str)> {
    // Whoever shows that he is still there prints dots.
    let dots = head.len() - head.trim_start_matches('.').len();
    let starts = head.match_indices(' ').map(|(place, _)| place + 1);
    for start in [dots].into_iter().chain(starts) {
        let (prefix, address) = head.split_at(start);
        if is_address(address) {
            // A provisioner's words, whatever they are, and the lines of a value.
            let is_foreign = prefix.contains("): ") || prefix.ends_with("  ") || prefix == " ";
            return (!is_foreign).then_some((prefix, address));
        }
    }
    None
}

/// The text without ` (deposed object 1a2b3c4d)`, or ` (1a2b3c4d)`, at its end. That such an object is
/// destroyed is told with it, and that it is gone without.
fn without_deposed(head: &str) -> &str {
    let deposed = head
        .strip_suffix(')')
        .and_then(|head| head.rsplit_once(" ("));
    match deposed {
        Some((before, inside)) => {
            let key = inside.strip_prefix("deposed object ").unwrap_or(inside);
            let is_key = key.len() == 8 && key.bytes().all(|byte| byte.is_ascii_hexdigit());
            if is_key { before } else { head }
        }
        None => head,
    }
}

/// What stands last in brackets before a line, where that is no time and no level of a log.
pub(super) fn unit(prefix: &str) -> Option<String> {
    const LEVELS: [&str; 6] = ["trace", "debug", "info", "warn", "warning", "error"];
    let (before, _) = prefix.rsplit_once(']')?;
    let (_, inside) = before.rsplit_once('[')?;
    let is_level = LEVELS.contains(&inside.trim().to_ascii_lowercase().as_str());
    let is_time =
        inside.contains(':') && inside.starts_with(|letter: char| letter.is_ascii_digit());
    (!inside.is_empty() && !is_time && !is_level).then(|| inside.to_owned())
}

/// Terraform colours its words also where nobody asks for colours.
fn without_colours(line: &str) -> Cow<'_, str> {
    if !line.contains('\u{1b}') {
        return Cow::Borrowed(line);
    }
    let mut plain = String::with_capacity(line.len());
    let mut rest = line;
    while let Some((before, sequence)) = rest.split_once('\u{1b}') {
        plain.push_str(before);
        rest = match sequence.strip_prefix('[') {
            Some(inner) => inner
                .split_once(|letter: char| letter.is_ascii_alphabetic())
                .map_or("", |(_, rest)| rest),
            None => sequence,
        };
    }
    plain.push_str(rest);
    Cow::Owned(plain)
}
