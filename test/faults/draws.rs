//! Which rounds a campaign plays.

use std::{fs, iter};

use super::plan::Plan;

/// Among how many plans there has to be one for each round.
const RARITY: usize = 10_000;

/// What some dimensions of a plan have to be: of each, one of these values, as the report names them.
struct Draws<'a>(Vec<(&'a str, Vec<&'a str>)>);

/// The seeds of so many rounds: the first ones that `seed` leads to, or of those the ones whose plans
/// are as `draws` says, in lines like `layout: Chdir, Nested`.
pub(super) fn seeds(seed: u64, rounds: usize, draws: &str) -> Vec<u64> {
    let wanted = Draws::read(draws);
    let mut rng = fastrand::Rng::with_seed(seed);
    let seeds: Vec<u64> = iter::repeat_with(|| rng.u64(..))
        .take(rounds * RARITY)
        .filter(|seed| wanted.include(&Plan::of(*seed)))
        .take(rounds)
        .collect();
    assert_eq!(seeds.len(), rounds, "hardly any plan has {draws}");
    seeds
}

impl<'a> Draws<'a> {
    fn read(text: &'a str) -> Self {
        let lines = text.lines().map(|line| {
            let (dimension, values) = line.split_once(": ").unwrap_or((line, ""));
            (dimension, values.split(", ").collect())
        });
        Self(lines.collect())
    }

    fn include(&self, plan: &Plan) -> bool {
        let dimensions = plan.dimensions();
        self.0.iter().all(|(dimension, values)| {
            let mut drawn = dimensions.iter();
            drawn.any(|(name, value)| name == dimension && values.contains(&value.as_str()))
        })
    }
}

#[test]
fn every_mutant_says_what_it_breaks_and_asks_for_rounds_that_are_drawn() {
    for mutant in fs::read_dir("test/mutants").unwrap() {
        let path = mutant.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        let (head, _) = text.split_once("\n\n").unwrap();
        let mut lines = head.lines();
        let breaks = lines.next().unwrap();
        assert!(breaks.starts_with("Breaks I"), "{}", path.display());
        let draws: Vec<&str> = lines
            .map(|line| line.strip_prefix("Draws: ").unwrap())
            .collect();
        assert_eq!(seeds(1, 5, &draws.join("\n")).len(), 5);
    }
}
