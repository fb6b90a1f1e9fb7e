//! How a record is to be taken once its deploy is over, where that has not told of its end.

use super::record::{Entry, Record, Stand};
use crate::tools::progress::{Action, Fate};

impl Record {
    /// Takes for what may exist what has failed to be made, because the tool has not stored its state
    /// after that. With `-json` Terraform tells of a failure at once, and what there is of the object is
    /// in the state that it stores up to 20 s later.
    fn doubt_failures(&mut self) {
        for entry in &mut self.entries {
            entry.resource.stage = entry.resource.doubted_stage();
        }
    }

    /// As it is to be taken once its deploy is over: who has not told of an end was killed.
    pub(crate) fn taken_as_over(mut self) -> Self {
        if self.stand == Stand::Running {
            self.doubt_failures();
            self.doubt_unbegun();
        }
        self
    }

    /// Takes for what may exist what was still to be made when the record fell behind. Where no plan was
    /// told, nobody can list that.
    fn doubt_unbegun(&mut self) {
        if !self.is_behind {
            return;
        }
        for entry in self.entries.iter_mut().filter(|one| one.is_to_be_made()) {
            entry.resource.stage = Fate::GivenUp;
        }
        if !self.has_plan {
            self.dropped = self.dropped.max(1);
        }
    }
}

impl Entry {
    fn is_to_be_made(&self) -> bool {
        let is_made = matches!(self.resource.action, Action::Create | Action::Replace);
        is_made && self.resource.stage == Fate::NotBegun
    }
}

#[cfg(test)]
mod tests {
    use super::super::past::tests::{entry, record, resource};
    use super::*;
    use crate::tools::progress::{Resource, Told};

    #[test]
    fn what_has_failed_to_be_made_may_exist_where_the_deploy_has_told_no_end() {
        use Action::{Create, Destroy, Replace, Update};
        for (action, stand, is_open) in [
            (Create, Stand::Running, true),
            (Replace, Stand::Running, true),
            (Update, Stand::Running, false),
            (Destroy, Stand::Running, false),
            // The tool has stored its state at its end.
            (Create, Stand::Unfinished, false),
        ] {
            let failed = entry(resource(action, Fate::Failed, None, None), None);
            let record = Record {
                stand,
                ..record(vec![failed])
            };
            let record = record.taken_as_over();
            assert_eq!(record.is_open(), is_open, "{action:?} {stand:?}");
        }
    }

    #[test]
    fn what_is_planned_may_exist_where_the_record_was_behind_when_the_deploy_was_killed() {
        use Action::{Create, Destroy, Replace, Update};
        for (action, stand, is_behind, is_open) in [
            (Create, Stand::Running, true, true),
            (Replace, Stand::Running, true, true),
            (Update, Stand::Running, true, false),
            (Destroy, Stand::Running, true, false),
            (Create, Stand::Running, false, false),
            (Create, Stand::Unfinished, true, false),
        ] {
            let planned = entry(resource(action, Fate::NotBegun, None, None), None);
            let record = Record {
                stand,
                is_behind,
                ..record(vec![planned])
            };
            let case = format!("{action:?} {stand:?} {is_behind}");
            let record = record.taken_as_over();
            assert_eq!(record.is_open(), is_open, "{case}");
            assert_eq!(record.dropped, 0, "{case}");
        }
    }

    #[test]
    fn of_what_may_have_been_begun_while_a_record_was_behind_the_log_knows_more() {
        let of = |name, stage, id| Resource::created(name, stage, id);
        let planned = |name| Entry::of(of(name, Fate::NotBegun, None));
        let record = Record {
            is_behind: true,
            ..record(vec![planned("a.b"), planned("a.c")])
        };
        let mut record = record.taken_as_over();
        assert!(record.may_be_behind());
        record.catch_up(Told {
            resources: vec![of("a.b", Fate::Complete, Some("1"))],
            ..Told::default()
        });
        let stages = record.entries.iter().map(|entry| entry.resource.stage);
        assert_eq!(stages.collect::<Vec<_>>(), [Fate::InDoubt, Fate::GivenUp]);
        assert_eq!(record.entries[0].resource.id.as_deref(), Some("1"));
    }

    #[test]
    fn where_no_plan_was_told_what_a_record_that_is_behind_may_lack_is_counted() {
        for (is_behind, dropped, expected) in [(true, 0, 1), (true, 7, 7), (false, 0, 0)] {
            let record = Record {
                has_plan: false,
                dropped,
                is_behind,
                ..record(Vec::new())
            };
            let record = record.taken_as_over();
            assert_eq!(record.dropped, expected, "{is_behind} {dropped}");
        }
    }
}
