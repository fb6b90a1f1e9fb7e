//! Which versions a constraint allows, such as `~> 1.9, != 1.9.3`.

use semver::Version;

/// In the order in which they are told apart: `>=` begins like `>`.
const OPERATORS: [&str; 7] = ["~>", ">=", "<=", "!=", ">", "<", "="];

/// Whether a constraint allows a version; nothing where that is not known, as for what comes before
/// a release.
pub(super) fn allows(constraint: &str, version: &Version) -> Option<bool> {
    if !version.pre.is_empty() {
        return None;
    }
    let mut parts = constraint.split(',');
    parts.try_fold(true, |allowed, part| {
        Some(allowed && allows_part(part, version)?)
    })
}

fn allows_part(part: &str, version: &Version) -> Option<bool> {
    let part = part.trim();
    let operator = OPERATORS
        .iter()
        .find(|operator| part.starts_with(**operator));
    let operator = operator.copied().unwrap_or_default();
    let named = numbers(&part[operator.len()..])?;
    let ours = [version.major, version.minor, version.patch];
    let padded = |index| named.get(index).copied().unwrap_or_default();
    let bound = [padded(0), padded(1), padded(2)];
    Some(match operator {
        "~>" => {
            // The last number that is named may be larger, and those before it may not.
            let fixed = named.len() - 1;
            ours >= bound && ours[..fixed] == bound[..fixed]
        }
        ">=" => ours >= bound,
        "<=" => ours <= bound,
        "!=" => ours != bound,
        ">" => ours > bound,
        "<" => ours < bound,
        _ => ours == bound,
    })
}

/// One to three numbers.
fn numbers(text: &str) -> Option<Vec<u64>> {
    let text = text.trim().trim_start_matches('v');
    let numbers: Option<Vec<u64>> = text.split('.').map(|number| number.parse().ok()).collect();
    numbers.filter(|numbers| numbers.len() <= 3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_constraint_is_read_as_terraform_reads_it() {
        for (constraint, version, expected) in [
            ("1.11.4", "1.11.4", Some(true)),
            ("= 1.11", "1.11.0", Some(true)),
            ("=1.11", "1.11.4", Some(false)),
            (">= 1.5", "1.11.4", Some(true)),
            (">= 1.12", "1.11.4", Some(false)),
            (">= 1.5, < 1.11", "1.11.4", Some(false)),
            (">=1.5,<2.0.0", "1.11.4", Some(true)),
            ("~> 1.9", "1.11.4", Some(true)),
            ("~> 1.9", "2.0.0", Some(false)),
            ("~> 1.9", "1.8.5", Some(false)),
            ("~> 1.11.2", "1.11.4", Some(true)),
            ("~> 1.11.5", "1.11.4", Some(false)),
            ("~> 1.10.0", "1.11.4", Some(false)),
            ("~> 1", "2.3.0", Some(true)),
            ("!= 1.11.4", "1.11.4", Some(false)),
            ("> 1.11.3", "1.11.4", Some(true)),
            ("<= 1.11.4", "1.11.4", Some(true)),
            ("v1.11.4", "1.11.4", Some(true)),
            (">= 1.12.0", "1.12.0-beta1", None),
            (">= 1.12.0-beta1", "1.12.0", None),
            ("", "1.11.4", None),
            ("latest", "1.11.4", None),
            ("1.2.3.4", "1.11.4", None),
        ] {
            let version = version.parse().unwrap();
            assert_eq!(
                allows(constraint, &version),
                expected,
                "{constraint:?} {version}"
            );
        }
    }
}
