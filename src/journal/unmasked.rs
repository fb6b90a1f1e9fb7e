//! Resources of which a journal hides a part of the address, found again among those that are known.

use super::masked::MASK;

/// Which one is meant by an address of a journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Meant {
    /// What is written: nothing of it is hidden, or none is known that is written like it.
    Written,
    /// This one is written like it.
    One(String),
    /// Several are.
    OneOf(usize),
}

/// Which of these addresses is meant by this one, as `hide` writes them into a journal.
pub(crate) fn meant<'a>(
    address: &str,
    known: impl IntoIterator<Item = &'a String>,
    hide: impl Fn(&str) -> String,
) -> Meant {
    if !address.contains(MASK) {
        return Meant::Written;
    }
    let known = known.into_iter();
    let alike: Vec<&String> = known.filter(|known| hide(known) == address).collect();
    match alike.as_slice() {
        [] => Meant::Written,
        [one] => Meant::One((*one).clone()),
        several => Meant::OneOf(several.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_with_a_secret_is_found_by_how_it_is_written() {
        let hide = |text: &str| text.replace("hunter2", MASK).replace("hunter3", MASK);
        for (address, known, expected) in [
            ("x.a", &["x.a"][..], Meant::Written),
            ("x.a[\"***\"]", &[], Meant::Written),
            ("x.a[\"***\"]", &["x.a[\"other\"]"], Meant::Written),
            (
                "x.a[\"***\"]",
                &["x.a[\"hunter2\"]", "x.b[\"hunter2\"]"],
                Meant::One("x.a[\"hunter2\"]".to_owned()),
            ),
            (
                "x.a[\"***\"]",
                &["x.a[\"hunter2\"]", "x.a[\"hunter3\"]"],
                Meant::OneOf(2),
            ),
        ] {
            let known: Vec<String> = known.iter().map(|one| (*one).to_owned()).collect();
            assert_eq!(
                meant(address, &known, hide),
                expected,
                "{address} {known:?}"
            );
        }
    }
}
