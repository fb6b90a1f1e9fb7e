//! The places that a deploy was seen to use.

use crate::supervisor::Seen;
use crate::tools::{Locking, Processes, Purpose, Sighting, Tool};

/// What the tools of one deploy were seen to do.
#[derive(Debug, Default)]
pub(crate) struct Used {
    places: Vec<Tool>,
    /// Places that were set up, and perhaps not used.
    initialised: Vec<Tool>,
    /// Places that were perhaps used, and that nothing here has set up.
    perhaps: Vec<Tool>,
    removed: Vec<Tool>,
    pub(crate) unclear: Vec<Unclear>,
    /// Whether any tool was seen that uses a state, or may use one.
    pub(crate) is_any: bool,
    has_planned: bool,
    has_changed: bool,
}

/// Which state was used is not known.
#[derive(Debug)]
pub(crate) struct Unclear {
    pub(crate) reason: String,
    /// Whose it was perhaps.
    pub(crate) perhaps: Option<Tool>,
}

impl Used {
    /// Takes in what was seen, and says which place that is. What a place uses is read now, because its
    /// directory may be gone when the deploy has ended.
    pub(crate) fn note(&mut self, tool: &Tool, seen: &Seen) -> Option<&Tool> {
        let sighting = match seen {
            Seen::Tool(seen) => {
                let purpose = tool.purpose(seen);
                self.has_planned |= purpose == Purpose::Plan;
                self.has_changed |= matches!(purpose, Purpose::Change | Purpose::Tend);
                // One that is told to take no lock uses a state all the same.
                self.is_any |= purpose != Purpose::Other;
                tool.sight(seen)
            }
            Seen::Hidden(name) => Sighting::Unclear(format!(
                "the process {name} is another user's and does not let softstop see what it uses"
            )),
        };
        self.take(sighting)
    }

    fn take(&mut self, sighting: Sighting<Tool>) -> Option<&Tool> {
        self.is_any |= !matches!(sighting, Sighting::Nothing);
        match sighting {
            Sighting::Place(place) => remember(&mut self.places, place),
            Sighting::Initialising(place) => remember(&mut self.initialised, place),
            Sighting::Removing(place) => {
                self.removed.push(place.clone());
                remember(&mut self.places, place)
            }
            Sighting::Moving(from, to) => {
                remember(&mut self.perhaps, from);
                remember(&mut self.initialised, to)
            }
            // One lock that was this run's does not tell of the other one.
            Sighting::Beside(place, reason) => {
                self.doubt(reason, None);
                remember(&mut self.perhaps, place)
            }
            Sighting::Doubtful(place, reason) => {
                self.doubt(reason, Some(place.clone()));
                remember(&mut self.perhaps, place)
            }
            Sighting::Unproved(seen, perhaps, reason) => {
                let mut set_up = self.initialised.iter();
                if set_up.any(|place| place.is_set_up_for(&perhaps)) {
                    self.take(*seen)
                } else {
                    self.take(Sighting::Doubtful(perhaps, reason))
                }
            }
            Sighting::Unclear(reason) => {
                self.doubt(reason, None);
                None
            }
            Sighting::Nothing => None,
        }
    }

    fn doubt(&mut self, reason: String, perhaps: Option<Tool>) {
        if self.unclear.iter().all(|known| known.reason != reason) {
            self.unclear.push(Unclear { reason, perhaps });
        }
    }

    /// Every place once. One that was only set up counts where nothing else was done there.
    pub(crate) fn places(&self) -> Vec<&Tool> {
        let is_used = |set_up: &Tool| {
            let mut places = self.places.iter();
            places.any(|place| set_up.is_set_up_for(place))
        };
        let others = self.initialised.iter().chain(&self.perhaps);
        let others = others.filter(|place| !is_used(place));
        let mut places: Vec<&Tool> = Vec::new();
        for place in self.places.iter().chain(others) {
            if !places.iter().any(|known| known.is_same_place(place)) {
                places.push(place);
            }
        }
        places
    }

    /// Whether other states were used in the directory of this place, or may have been.
    pub(crate) fn shares_directory(&self, place: &Tool) -> bool {
        let here = |other: &&Tool| other.directory() == place.directory();
        let mut doubtful = self.unclear.iter().filter_map(|one| one.perhaps.as_ref());
        self.places.iter().filter(here).count() > 1 || doubtful.any(|other| here(&other))
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
    pub(crate) fn has_removed(&self, place: &Tool) -> bool {
        self.removed
            .iter()
            .any(|removed| removed.is_same_place(place))
    }
}

/// The one that was seen last has the credentials that are valid longest.
fn remember(places: &mut Vec<Tool>, place: Tool) -> Option<&Tool> {
    places.retain(|known| !known.is_same_place(&place));
    places.push(place);
    places.last()
}
