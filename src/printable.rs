//! Texts from outside, as they may be printed: without what changes a screen, or the order of what is
//! read there.

use std::borrow::Cow;

/// How many characters of an answer are quoted.
const MOST_QUOTED: usize = 200;

/// Whether a terminal does something else with this letter than to show it.
pub(crate) fn is_unprintable(letter: char) -> bool {
    letter.is_control()
        || matches!(
            letter,
            '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
        )
}

/// Whether a text is printed as it is.
pub(crate) fn is_printable(text: &str) -> bool {
    !text.contains(is_unprintable)
}

/// A text in one line.
pub(crate) fn one_line(text: &str) -> String {
    let is_blank = |letter: char| matches!(letter, '\t' | '\n' | '\r' | '\u{2028}' | '\u{2029}');
    let letters = text.chars().filter_map(|letter| match letter {
        letter if is_blank(letter) => Some(' '),
        letter => (!is_unprintable(letter)).then_some(letter),
    });
    letters.collect()
}

/// As much of a text as this, in characters.
pub(crate) fn shortened(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// What another system has said, in one line, and short. A blank stands for what is left out, so that
/// nothing reads as a word that was not there.
pub(crate) fn quoted(text: &str) -> String {
    shortened(&text.replace(is_unprintable, " "), MOST_QUOTED)
}

/// A text in the lines that this breaks it into, and in no more.
pub(crate) fn lines(text: &str, line_break: &str) -> String {
    let lines: Vec<String> = text.split(line_break).map(one_line).collect();
    lines.join(line_break)
}

/// A text of JSON, in which whatever changes a screen is escaped.
pub(crate) fn escaped(text: &str) -> Cow<'_, str> {
    let is_harmful = |letter: char| letter != '\n' && is_unprintable(letter);
    if !text.contains(is_harmful) {
        return Cow::Borrowed(text);
    }
    let letters = text.chars().map(|letter| {
        if is_harmful(letter) {
            format!("\\u{:04x}", u32::from(letter))
        } else {
            letter.to_string()
        }
    });
    Cow::Owned(letters.collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_changes_a_screen_is_left_out() {
        let text = "a\u{1b}[2K\r\n✔ b\u{7f}\u{9b}c\u{202e}\td\u{2028}ü";
        assert_eq!(one_line(text), "a[2K  ✔ bc d ü");
        assert_eq!(lines("INFO: a\n  b\n✔ c\r", "\n  "), "INFO: a\n  b ✔ c ");
    }

    proptest! {
        #[test]
        fn a_message_has_the_lines_that_it_was_given(text in "(\\PC|\\p{C}|\n  |\n){0,40}") {
            let shown = lines(&text, "\n  ");
            prop_assert!(shown.split("\n  ").all(is_printable), "{:?}", shown);
            prop_assert_eq!(shown.matches('\n').count(), text.matches("\n  ").count());
        }

        #[test]
        fn json_is_the_same_when_it_is_escaped(text in "(\\PC|\\p{C}){0,40}") {
            let json = serde_json::to_string(&text).unwrap();
            let shown = escaped(&json);
            prop_assert!(is_printable(&shown), "{:?}", shown);
            prop_assert_eq!(serde_json::from_str::<String>(&shown).unwrap(), text);
        }
    }
}
