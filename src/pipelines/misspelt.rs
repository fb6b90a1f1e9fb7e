//! Variables that look like misspelt ones of ours, where a file sets them.

use super::document::{Node, Position};
use super::surroundings::assignment;
use crate::pipe::{Image, Misspelt};

/// A misspelt variable, and where it is set.
#[derive(Clone, Debug)]
pub(crate) struct Mistake {
    pub(crate) position: Position,
    pub(crate) misspelt: Misspelt,
}

/// Those among the variables of a pipe.
pub(crate) fn of_pipe(pipe: &Node) -> Vec<Mistake> {
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
pub(crate) fn of_words<'a>(
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
