//! What a person has to do about what a deploy has left, before the next one.

use crate::story::remains::{Kind, Left};
use crate::tools::Tool;
use crate::tools::telling::Telling;

/// How many commands for a person are made.
const COMMANDS: usize = 20;

/// One line each.
pub(super) fn next_steps(left: &[Left], place: &Tool) -> Vec<String> {
    let not_stored = left.iter().filter(|left| left.kind() == Kind::NotStored);
    let imports = not_stored.filter_map(|left| {
        let id = left.resource.id.as_deref()?;
        let command = place.teller()?.import_by_hand(&left.resource.address, id);
        Some(format!(
            "Before the next deploy, which would make it again, bring it into the state: {command}"
        ))
    });
    let mut steps: Vec<String> = imports.take(COMMANDS).collect();
    let unknown = left.iter().filter(|left| left.may_be_made_again());
    let names: Vec<String> = unknown.map(Left::name).collect();
    match names.as_slice() {
        [] => {}
        [name] => steps.push(format!(
            "Before the next deploy, which may make it again, look whether {name} is there."
        )),
        names => steps.push(format!(
            "Before the next deploy, which may make them again, look which of these {} are there.",
            names.len()
        )),
    }
    steps
}
