//! What a deploy has left, for the screen: a few lines, however much it is.

use tracing::{info, warn};

use crate::story::remains::{Heard, Kind, Remains, listed};

/// How many next steps are printed.
const STEPS: usize = 5;

/// A line, and whether somebody has to do something about it.
struct Line {
    text: String,
    is_warning: bool,
}

/// Each kind, how it is told, and whether it asks for something.
const KINDS: [(Kind, &str, bool); 8] = [
    (Kind::Complete, "Complete, and in the state", false),
    (
        Kind::PerhapsStored,
        "Complete, and whether the state has it is not known",
        false,
    ),
    (Kind::NotStored, "Complete, and NOT in the state", true),
    (Kind::InFlight, "In flight, so it may exist", true),
    (Kind::MayExist, "Failed or given up, so it may exist", true),
    (
        Kind::InDoubt,
        "In doubt, because what was told of it contradicts itself",
        true,
    ),
    (Kind::Failed, "Failed", false),
    (Kind::NotBegun, "Not begun", false),
];

/// Says what the deploy has left, where it did not end plainly well.
pub(crate) fn tell(remains: &Remains<'_>) {
    if remains.is_plain {
        return;
    }
    for Line { text, is_warning } in lines(remains) {
        if is_warning {
            warn!("{text}");
        } else {
            info!("{text}");
        }
    }
}

fn lines(remains: &Remains<'_>) -> Vec<Line> {
    let line = |text, is_warning| Line { text, is_warning };
    if remains.heard == Heard::Nothing && remains.left().next().is_none() {
        let text = "What the deploy has made is not known, because nothing of it was heard.";
        return vec![line(text.to_owned(), true)];
    }
    let mut lines = Vec::new();
    for (kind, words, is_warning) in KINDS {
        let named = listed(remains.of(kind));
        if !named.is_empty() {
            lines.push(line(format!("{words}: {named}."), is_warning));
        }
    }
    if lines.is_empty() {
        return lines;
    }
    match remains.heard {
        Heard::Nothing => {
            let text = "What else the deploy has made is not known, because it was not heard.";
            lines.push(line(text.to_owned(), true));
        }
        Heard::NoPlan => {
            let text = "What was not begun is not known, because no plan was printed.";
            lines.push(line(text.to_owned(), false));
        }
        Heard::Plan => {}
    }
    if remains.told.dropped > 0 {
        lines.push(line(
            format!("And {} more, which are not listed.", remains.told.dropped),
            false,
        ));
    }
    for step in remains.next_steps.iter().take(STEPS) {
        lines.push(line(step.clone(), true));
    }
    lines
}
