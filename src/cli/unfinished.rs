//! What is to be done where earlier deploys have left something.

use crate::story::unfinished::OnUnfinished;

/// Reads it.
pub(super) fn wish(text: &str) -> Result<OnUnfinished, String> {
    let known = OnUnfinished::ALL.into_iter();
    let mut meant = known.filter(|(name, _)| text.trim().eq_ignore_ascii_case(name));
    let (_, wish) = meant
        .next()
        .ok_or("expected report, stop, ignore or import")?;
    Ok(wish)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wish_is_one_of_those_that_are_named() {
        assert_eq!(wish("Import "), Ok(OnUnfinished::Import));
        let error = wish("perhaps").unwrap_err();
        assert!(
            OnUnfinished::ALL
                .iter()
                .all(|(name, _)| error.contains(name))
        );
    }
}
