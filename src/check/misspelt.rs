//! Variables that look like misspelt ones of ours, where a file sets them.

use super::document::{Node, Position};
use super::findings::{Finding, Severity};
use super::surroundings::assignment;
use crate::pipe::{Image, Misspelt};

/// A misspelt variable, and where it is set.
#[derive(Clone, Debug)]
pub(super) struct Mistake {
    position: Position,
    misspelt: Misspelt,
}

/// Those among the variables of a pipe.
pub(super) fn of_pipe(pipe: &Node) -> Vec<Mistake> {
    let variables = pipe.get("variables").map(Node::entries).unwrap_or_default();
    let mistakes = variables.iter().filter_map(|entry| {
        Some(Mistake {
            position: entry.position,
            misspelt: Misspelt::find(&entry.key, Image::Pipe)?,
        })
    });
    mistakes.collect()
}

/// Those among words of a command such as `NAME=value`.
pub(super) fn of_words<'a>(
    position: Position,
    words: impl IntoIterator<Item = &'a str>,
) -> impl Iterator<Item = Mistake> {
    words.into_iter().filter_map(move |word| {
        let (name, _) = assignment(word)?;
        Some(Mistake {
            position,
            misspelt: Misspelt::find(name, Image::Own)?,
        })
    })
}

/// A variable that nobody reads changes nothing, and the deploy goes where it was not meant to go.
pub(super) fn finding(mistake: &Mistake) -> Finding {
    let Mistake { position, misspelt } = mistake;
    let name = &misspelt.name;
    let (reason, fix) = match misspelt.meant {
        Some(meant) => (
            format!("softstop knows no variable {name}; write instead:"),
            meant.to_owned(),
        ),
        None => (
            format!("softstop knows no variable {name}, and nothing comes of it"),
            format!("delete `{name}`"),
        ),
    };
    Finding {
        position: *position,
        severity: Severity::Warning,
        reason: reason.into(),
        fix,
    }
}
