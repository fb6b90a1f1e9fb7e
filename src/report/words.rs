//! What a run has found, and how it ended, for people.

use jiff::Timestamp;
use tracing::{error, info, warn};

use crate::console::{FAILURE, SUCCESS};
use crate::exit_code::Exit;
use crate::journal::{Entry, Record};
use crate::recovery::Finding;
use crate::story::conclusion::Conclusion;
use crate::story::locks::unknown;
use crate::story::remains::listed;
use crate::story::status::Looked;
use crate::tools::progress::Fate;

/// Says how a run of softstop ended, as its last line.
pub(crate) fn conclude(conclusion: &Conclusion) {
    if conclusion.exit == Exit::Done {
        info!(target: SUCCESS, "{conclusion}");
    } else {
        error!(target: FAILURE, "{conclusion}");
    }
}

/// Says what was found of a lock, and what `release` would do.
pub(crate) fn tell(looked: &Looked) {
    let place = &looked.place;
    match &looked.found {
        Ok(finding) => info!("{place}: {finding}{}", forecast(finding)),
        Err(error) => warn!("{place}: {}", unknown(error)),
    }
    if let Some(record) = &looked.record {
        info!("{place}: {}.", doing(record, Timestamp::now()));
    }
}

/// What the holder of a lock is doing, or was when it was killed.
fn doing(record: &Record, now: Timestamp) -> String {
    let in_flight = record.entries.iter().filter(|entry| is_in_flight(entry));
    let named: Vec<String> = in_flight.map(|entry| since(entry, now)).collect();
    if named.is_empty() {
        return "Nothing was heard to be in flight".to_owned();
    }
    format!("In flight: {}", listed(named.into_iter()))
}

fn is_in_flight(entry: &Entry) -> bool {
    entry.resource.stage == Fate::InFlight
}

fn since(entry: &Entry, now: Timestamp) -> String {
    let address = &entry.resource.address;
    let Some(begun) = entry.resource.begun.map(Timestamp::from) else {
        return address.to_string();
    };
    let seconds = now.duration_since(begun).as_secs().max(0);
    match seconds / 60 {
        0 => format!("{address} for {seconds} s"),
        minutes => format!("{address} for {minutes} min"),
    }
}

/// What follows on a line of its own where the finding has several.
fn forecast(finding: &Finding) -> &'static str {
    match finding {
        Finding::Free | Finding::NeverLocked => " There is nothing to release.",
        Finding::Over(..) => "\n  `softstop release` would release it.",
        Finding::Alive(..) => "\n  `softstop release` would leave it, and wait for LOCK_TIMEOUT.",
        Finding::Doubtful(..) => "\n  (`softstop release` would not do it.)",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::{PlaceName, Stand};
    use crate::lock::Owner;
    use crate::tools::progress::Resource;

    #[test]
    fn what_is_in_flight_is_named_with_the_time_that_it_takes() {
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let at = |seconds| Timestamp::from_second(1_800_000_000 - seconds).unwrap();
        let entry = |address: &str, stage, seconds: Option<i64>| {
            Entry::of(Resource {
                begun: seconds.map(|seconds| at(seconds).into()),
                ..Resource::created(address, stage, None)
            })
        };
        let stamp = "acme/infra#42/11111111-1111-4111-8111-111111111111/\
            22222222-2222-4222-8222-222222222222/1";
        let mut record = Record {
            owner: Owner::parse(stamp).unwrap(),
            commit: "0123456789ab".to_owned(),
            place: PlaceName::on_s3("."),
            stand: Stand::Running,
            entries: vec![
                entry("a", Fate::InFlight, Some(200)),
                entry("b", Fate::Complete, Some(300)),
                entry("c", Fate::InFlight, Some(59)),
                entry("d", Fate::InFlight, None),
            ],
            dropped: 0,
            has_plan: true,
            is_behind: false,
        };
        let words = doing(&record, now);
        assert_eq!(words, "In flight: a for 3 min, c for 59 s, d");
        record.entries.clear();
        assert_eq!(doing(&record, now), "Nothing was heard to be in flight");
        let many = (0..7).map(|number| entry(&number.to_string(), Fate::InFlight, Some(-1)));
        record.entries.extend(many);
        assert!(doing(&record, now).ends_with("4 for 0 s, and 2 more"));
    }
}
