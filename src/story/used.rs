//! The places that a deploy was seen to use.

use crate::supervisor::Seen;
use crate::tools::{DeployTool, Purpose, Sighting};

/// What the tools of one deploy were seen to do.
#[derive(Debug)]
pub(crate) struct Used<T> {
    places: Vec<T>,
    /// Places that were set up, and perhaps not used.
    initialised: Vec<T>,
    removed: Vec<T>,
    /// Why which state was used is not known.
    pub(crate) unclear: Vec<String>,
    /// Whether any tool was seen, whatever it did.
    pub(crate) is_any: bool,
    has_planned: bool,
    has_changed: bool,
}

impl<T> Default for Used<T> {
    fn default() -> Self {
        Self {
            places: Vec::new(),
            initialised: Vec::new(),
            removed: Vec::new(),
            unclear: Vec::new(),
            is_any: false,
            has_planned: false,
            has_changed: false,
        }
    }
}

impl<T: DeployTool> Used<T> {
    /// Takes in what was seen. What a place uses is read now, because its directory may be gone when
    /// the deploy has ended.
    pub(crate) fn note(&mut self, seen: &Seen) {
        self.is_any = true;
        let sighting = match seen {
            Seen::Tool(tool) => {
                let purpose = T::purpose(tool);
                self.has_planned |= purpose == Purpose::Plan;
                self.has_changed |= purpose == Purpose::Change;
                T::sight(tool)
            }
            Seen::Hidden(name) => Sighting::Unclear(format!(
                "the process {name} is another user's and does not let softstop see what it uses"
            )),
        };
        match sighting {
            Sighting::Place(place) => remember(&mut self.places, place),
            Sighting::Initialising(place) => remember(&mut self.initialised, place),
            Sighting::Removing(place) => {
                remember(&mut self.places, place.clone());
                self.removed.push(place);
            }
            Sighting::Unclear(reason) if !self.unclear.contains(&reason) => {
                self.unclear.push(reason);
            }
            Sighting::Nothing | Sighting::Unclear(_) => {}
        }
    }

    /// Every place once. One that was only set up counts where nothing else was done there.
    pub(crate) fn places(&self) -> Vec<&T> {
        let is_used = |set_up: &T| {
            let mut places = self.places.iter();
            places.any(|place| place.directory() == set_up.directory())
        };
        let set_up = self.initialised.iter().filter(|place| !is_used(place));
        let mut places: Vec<&T> = Vec::new();
        for place in self.places.iter().chain(set_up) {
            if !places.iter().any(|known| known.is_same_place(place)) {
                places.push(place);
            }
        }
        places
    }

    /// Whether it was seen to plan, and nothing that may change something.
    pub(crate) fn is_plan(&self) -> bool {
        self.has_planned && !self.has_changed
    }

    /// Whether it was seen to run something that may change something.
    pub(crate) fn may_have_changed(&self) -> bool {
        self.has_changed
    }

    /// Whether the deploy was seen to remove the state of this place.
    pub(crate) fn has_removed(&self, place: &T) -> bool {
        self.removed
            .iter()
            .any(|removed| removed.is_same_place(place))
    }
}

/// The one that was seen last has the credentials that are valid longest.
fn remember<T: DeployTool>(places: &mut Vec<T>, place: T) {
    places.retain(|known| !known.is_same_place(&place));
    places.push(place);
}
