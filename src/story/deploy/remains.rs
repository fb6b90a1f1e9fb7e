//! What the deploy has made, and what of it the state has.

use std::iter;

use tracing::debug;

use super::steps::Went;
use super::{Story, Watch};
use crate::story::conclusion::Conclusion;
use crate::story::next_steps::next_steps;
use crate::story::past::name_of;
use crate::story::remains::{Ended, Heard, Kind, Left, Remains};
use crate::story::stage::Stage;
use crate::tools::Tool;
use crate::tools::progress::{PlaceName, Resource};
use crate::tools::recovering::Made;
use crate::tools::stored::Comparison;
use crate::tools::telling::Telling;

impl<S: Stage> Story<'_, S> {
    /// What a deploy has left that has ended well, or not.
    pub(super) async fn remains(
        &self,
        went: &Went,
        watch: &Watch<'_>,
        places: &[&Tool],
        conclusion: &Conclusion,
    ) -> Remains {
        let Watch {
            began,
            used,
            hearing,
            keeping,
            ..
        } = watch;
        let Ended {
            is_success,
            state_is_kept,
        } = self.ended(&went.ending, conclusion, places, began.file_time);
        let told = if keeping.is_any() {
            hearing.told()
        } else {
            hearing.take_told()
        };
        let is_of_one_unit = told.is_of_one_unit();
        let names: Vec<PlaceName> = places.iter().copied().filter_map(name_of).collect();
        // Only one state is read, and a wrapper may tell of others.
        let is_here = |resource: &Resource| match &resource.unit {
            Some(unit) if !is_of_one_unit => names.iter().any(|name| name.may_be_called(unit)),
            _ => true,
        };
        let is_unheard = hearing.misses_some(&told);
        let heard = if is_unheard {
            Heard::Nothing
        } else if told.has_plan {
            Heard::Plan
        } else if !told.is_nothing() || !used.may_have_changed() {
            Heard::NoPlan
        } else {
            Heard::Nothing
        };
        let mut resources = told.resources;
        // A plan that nobody applies has begun nothing, and was not to begin anything. What becomes of one
        // that somebody applies who is not heard is not known.
        let is_applied = !used.is_plan() && !is_unheard;
        resources.retain(|one| one.leaves_something() && (one.is_begun() || is_applied));
        if !state_is_kept {
            resources.iter_mut().for_each(Resource::doubt_failure);
        }
        let is_plain = is_success && resources.iter().all(Resource::goes_without_saying);
        let is_begun = resources.iter().any(Resource::is_begun);
        // In `apply | tee log`, nobody learns by the exit code that the tool was killed.
        let is_told_stored = is_plain && !told.is_unended;
        // What was made may be in the state that nobody knows.
        let is_clear = used.unclear.is_empty();
        let stored = if is_told_stored || !is_begun || !is_clear {
            None
        } else {
            self.known(places, &resources, told.has_plan).await
        };
        let known = stored.iter().flatten().copied().chain(iter::repeat(None));
        let left = |(resource, known): (Resource, Option<bool>)| Left {
            is_stored: known.filter(|_| is_here(&resource)),
            resource,
        };
        let resources: Vec<Left> = resources.into_iter().zip(known).map(left).collect();
        let is_seen_stored = || {
            let mut left = resources.iter();
            stored.is_some() && left.all(|left| left.is_stored != Some(false))
        };
        let mut remains = Remains {
            heard,
            is_plain: is_told_stored || is_plain && (!is_begun || is_seen_stored()),
            state_is_kept,
            state_was_read: stored.is_some(),
            resources,
            dropped: told.dropped,
            next_steps: Vec::new(),
            imports: None,
        };
        let place = places.first().copied().unwrap_or(self.tool);
        remains.next_steps = next_steps(&remains.resources, place);
        let mut imports = String::new();
        let of_others = went.lacking.iter().cloned();
        self.add_way_back(&mut imports, self.tool, of_others).await;
        let not_stored = remains.of(Kind::NotStored).filter_map(Left::made);
        self.add_way_back(&mut imports, place, not_stored).await;
        // Whoever has changed nothing has looked at nothing, and what an earlier deploy has written may be all that tells of it.
        let is_known = !imports.is_empty() || used.may_have_changed();
        remains.imports = is_known.then_some(imports);
        remains
    }

    /// What earlier deploys have left, where this one has not begun, and that was looked at.
    pub(super) async fn remains_of_others(&self, lacking: Option<&[Made]>) -> Remains {
        let mut remains = Remains::of_nothing();
        if let Some(lacking) = lacking {
            remains.state_was_read = true;
            let imports = remains.imports.insert(String::new());
            let lacking = lacking.iter().cloned();
            self.add_way_back(imports, self.tool, lacking).await;
        }
        remains
    }

    /// What the state that the deploy has used knows of each of these; nothing where it used several,
    /// which may have the same addresses, or where it cannot be read in time.
    async fn known(
        &self,
        places: &[&Tool],
        resources: &[Resource],
        is_planned: bool,
    ) -> Option<Vec<Option<bool>>> {
        let [place] = places else {
            return None;
        };
        let mut comparison = Comparison::of(resources.iter());
        let mut tell =
            |address: String, id: Option<String>| comparison.take_in(&address, id.as_deref());
        match place.teller()?.tell_stored(self.stage, &mut tell).await {
            Ok(()) => Some(comparison.known(is_planned)),
            Err(error) => {
                debug!("What the state has is not known: {error}.");
                None
            }
        }
    }
}
