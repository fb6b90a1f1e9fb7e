//! What a person has to do about what a deploy has left, before the next one.

use crate::story::remains::{Kind, Left};
use crate::tools::Tool;
use crate::tools::telling::Telling;

/// How many commands for a person are made.
const COMMANDS: usize = 20;

/// One line each.
pub(super) fn next_steps<'a>(
    left: impl Iterator<Item = Left<'a>> + Clone,
    place: &Tool,
) -> Vec<String> {
    let not_stored = left.clone().filter(|left| left.kind() == Kind::NotStored);
    let imports = not_stored.filter_map(|left| {
        let id = left.resource.id.as_deref()?;
        let command = place.teller()?.import_by_hand(&left.resource.address, id);
        Some(format!(
            "Before the next deploy, which would make it again, bring it into the state: {command}"
        ))
    });
    let mut steps: Vec<String> = imports.take(COMMANDS).collect();
    let mut unknown = left.filter(Left::may_be_made_again);
    match (unknown.next(), unknown.count()) {
        (None, _) => {}
        (Some(only), 0) => steps.push(format!(
            "Before the next deploy, which may make it again, look whether {} is there.",
            only.name()
        )),
        (Some(_), more) => steps.push(format!(
            "Before the next deploy, which may make them again, look which of these {} are there.",
            more + 1
        )),
    }
    steps
}
