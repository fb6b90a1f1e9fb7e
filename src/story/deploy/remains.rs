//! What the deploy has made, and what of it the state has.

use tracing::debug;

use super::steps::Went;
use super::{Story, Watch};
use crate::story::conclusion::Conclusion;
use crate::story::next_steps::next_steps;
use crate::story::past::name_of;
use crate::story::remains::{Ended, Heard, Left, Remains};
use crate::story::stage::Stage;
use crate::story::way_back::Imports;
use crate::tools::Tool;
use crate::tools::progress::{PlaceName, Resource, Told};
use crate::tools::recovering::Made;
use crate::tools::stored::Comparison;
use crate::tools::telling::Telling;

impl<S: Stage> Story<'_, S> {
    /// What a deploy has left that has ended well, or not.
    pub(super) async fn remains<'a>(
        &'a self,
        went: &'a Went,
        watch: &Watch<'_>,
        places: &[&'a Tool],
        conclusion: &Conclusion,
    ) -> Remains<'a> {
        let Watch {
            began,
            used,
            hearing,
            ..
        } = watch;
        let Ended {
            is_success,
            state_is_kept,
        } = self.ended(&went.ending, conclusion, places, began.file_time);
        let told = hearing.take_told();
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
        let mut remains = Remains {
            heard,
            state_is_kept,
            told,
            // A plan that nobody applies has begun nothing, and was not to begin anything. What becomes of
            // one that somebody applies who is not heard is not known.
            is_applied: !used.is_plan() && !is_unheard,
            ..Remains::of_nothing()
        };
        let goes_without_saying = |left: Left<'_>| left.resource.goes_without_saying();
        let is_plain = is_success && remains.left().all(goes_without_saying);
        let is_begun = remains.left().any(|left| left.resource.is_begun());
        // In `apply | tee log`, nobody learns by the exit code that the tool was killed.
        let is_told_stored = is_plain && !remains.told.is_unended;
        // What was made may be in the state that nobody knows.
        let is_clear = used.unclear.is_empty();
        let stored = if is_told_stored || !is_begun || !is_clear {
            None
        } else {
            self.known(places, &remains.told).await
        };
        let resources = remains.told.resources.iter();
        remains.known = stored.map(|stored| {
            let known = resources.zip(stored).map(|(resource, known)| {
                known.filter(|_| remains.counts(resource) && is_here(resource))
            });
            known.collect()
        });
        let is_seen_stored = || {
            let mut left = remains.left();
            remains.known.is_some() && left.all(|left| left.is_stored != Some(false))
        };
        remains.is_plain = is_told_stored || is_plain && (!is_begun || is_seen_stored());
        let place = places.first().copied().unwrap_or(self.tool);
        remains.next_steps = next_steps(remains.left(), place);
        let of_others = (self.tool, went.lacking.as_slice());
        let lacks_some = remains.lacking().next().is_some();
        let place = lacks_some.then_some(place);
        let imports = Imports::find(self.stage, of_others, place).await;
        // Whoever has changed nothing has looked at nothing, and what an earlier deploy has written may be
        // all that tells of it.
        let is_known = used.may_have_changed() || imports.texts(remains.lacking()).next().is_some();
        remains.imports = is_known.then_some(imports);
        remains
    }

    /// What earlier deploys have left, where this one has not begun, and that was looked at.
    pub(super) async fn remains_of_others<'a>(
        &'a self,
        lacking: Option<&'a [Made]>,
    ) -> Remains<'a> {
        let mut remains = Remains::of_nothing();
        if let Some(lacking) = lacking {
            remains.known = Some(Vec::new());
            let lacking = (self.tool, lacking);
            remains.imports = Some(Imports::find(self.stage, lacking, None).await);
        }
        remains
    }

    /// What the state that the deploy has used knows of each of these; nothing where it used several,
    /// which may have the same addresses, or where it cannot be read in time.
    async fn known(&self, places: &[&Tool], told: &Told) -> Option<Vec<Option<bool>>> {
        let [place] = places else {
            return None;
        };
        let mut comparison = Comparison::of(&told.resources);
        let mut tell =
            |address: String, id: Option<String>| comparison.take_in(&address, id.as_deref());
        match place.teller()?.tell_stored(self.stage, &mut tell).await {
            Ok(()) => Some(comparison.known(told.has_plan)),
            Err(error) => {
                debug!("What the state has is not known: {error}.");
                None
            }
        }
    }
}
