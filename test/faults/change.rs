//! What the deploys of a round change, and that nothing of what they have made is forgotten.

use fastrand::Rng;

use super::drawn::{Rival, one_of};
use super::journaling::Wish;
use super::layout::Layout;
use super::round::{RESOURCES, Round};
use crate::support::Project;
use crate::support::world::{in_the_world, object, write_objects};

/// What a plan has to change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// Nothing is there, and all is made.
    Creates,
    /// One is changed where it is, one is replaced, one is destroyed, and one is made.
    Replaces,
    /// The same, and what replaces is made before the old one is destroyed.
    ReplacesInAdvance,
}

/// What has an id, in the order in which it is made.
pub(super) const OBJECTS: [&str; 3] = ["a", "b", "c"];
/// What only an earlier configuration has.
const GONE: &str = "gone";

impl Change {
    /// The usual more than once.
    pub(super) fn drawn(rng: &mut Rng) -> Self {
        let all = [
            Self::Creates,
            Self::Creates,
            Self::Creates,
            Self::Creates,
            Self::Replaces,
            Self::ReplacesInAdvance,
        ];
        one_of(rng, &all)
    }

    /// Whether something is there before the deploy.
    pub(super) fn has_something_before(self) -> bool {
        self != Self::Creates
    }

    /// What was deployed before, where something was.
    pub(super) fn write_before(self, project: &Project) {
        let objects = [
            object("a", "label = \"old\""),
            object("b", &format!("kind = \"old\"\n  {}", self.end())),
            object(GONE, &self.end()),
        ];
        write_objects(project, &objects);
    }

    /// Three objects, one after the other, and something of a shell's beside them.
    pub(super) fn write(self, project: &Project, layout: Layout) {
        let shell = format!(
            "resource \"terraform_data\" \"shell\" {{\n  provisioner \"local-exec\" {{\n    \
             command = \"{}\"\n  }}\n}}\n",
            layout.shell()
        );
        let time = "create_time = \"80\"";
        let after = |name: &str| format!("depends_on = [slow_object.{name}]");
        let objects = [
            object("a", &format!("{time}\n  label = \"new\"")),
            object(
                "b",
                &[time, "kind = \"new\"", &after("a"), &self.end()].join("\n  "),
            ),
            object("c", &[time, &after("b")].join("\n  ")),
            shell,
        ];
        write_objects(project, &objects);
    }

    /// How an old object ends.
    fn end(self) -> String {
        let is_in_advance = self == Self::ReplacesInAdvance;
        format!("destroy_time = \"40\"\n  lifecycle {{ create_before_destroy = {is_in_advance} }}")
    }
}

impl Round<'_> {
    /// Each resource is there once, at the end of all, or it was said that there may be another one.
    pub(super) fn check_world(&self) {
        let made = self.project.store.resources();
        if made != RESOURCES {
            self.truth
                .violated("I5", format_args!("{made:?} are there, not {RESOURCES:?}"));
        }
        if !in_the_world(&self.project, GONE).is_empty() && !self.has_lost_what_was_before() {
            self.truth
                .violated("I5", "what was to be destroyed is there");
        }
        let state = self.project.store.state().unwrap_or_default();
        for name in OBJECTS {
            let ids = in_the_world(&self.project, name);
            if !ids.iter().any(|id| state.contains(id.as_str())) {
                self.truth
                    .violated("I5", format_args!("{name} is in the state alone: {ids:?}"));
            }
            if ids.len() > 1 && !self.may_be_twice(name) {
                self.truth
                    .violated("I5", format_args!("{name} is made twice: {ids:?}"));
            }
        }
    }

    /// Whether no state knows any more what was deployed before the round.
    fn has_lost_what_was_before(&self) -> bool {
        self.plan.change.has_something_before() && self.truth.has_lost_state()
    }

    /// Whether nobody could have known better, or a warning has named it.
    fn may_be_twice(&self, name: &str) -> bool {
        let address = format!("slow_object.{name}");
        let journal = self.truth.journal();
        let Some(journal) = journal.filter(|_| !self.has_lost_what_was_before()) else {
            return true;
        };
        match journal.get(&address) {
            None => false,
            // It was begun and killed before the journal could tell.
            Some((stage, _)) if stage == "not_begun" => true,
            Some((_, Some(_))) if self.must_be_imported() => false,
            Some(_) => self.truth.has_warned_of(&address),
        }
    }

    /// Whether the next deploy brings all into the state whose id is known.
    fn must_be_imported(&self) -> bool {
        // What a log tells may be about other states too.
        self.plan.wish == Wish::Import
            && !self.plan.has_log
            && !self.truth.has_seen_a_person()
            && !matches!(self.plan.rival, Rival::SecondDeploy(_))
    }

    /// Remembers what the journal says in the moment in which the deploy is over.
    pub(super) fn remember_journal(&self) {
        let insights = self.insights.as_ref();
        if let Some(insights) = insights.filter(|_| self.plan.has_whole_journal()) {
            self.truth.remember(insights.journal(self.step.commit()));
        }
    }
}
