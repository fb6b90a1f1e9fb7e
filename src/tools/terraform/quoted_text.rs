//! A text between quotes, as HCL has it.

use crate::printable::is_unprintable;

/// A text as HCL has it between quotes, and as Terraform prints a key.
pub(crate) fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '\n' => escaped.push_str("\\n"),
            '\r' => escaped.push_str("\\r"),
            '\t' => escaped.push_str("\\t"),
            '"' | '\\' => escaped.extend(['\\', letter]),
            '$' | '%' if letters.peek() == Some(&'{') => escaped.extend([letter, letter]),
            _ if is_unprintable(letter) => escaped.push_str(&escape_of(letter)),
            _ => escaped.push(letter),
        }
    }
    escaped
}

fn escape_of(letter: char) -> String {
    format!("\\u{:04x}", u32::from(letter))
}

/// Whether a text between quotes, as it stands in HCL, stands for itself: nothing in it is evaluated.
pub(super) fn is_literal(text: &str) -> bool {
    ["${", "%{"].iter().all(|sign| {
        text.match_indices(sign)
            .all(|(place, sign)| text[..place].ends_with(&sign[..1]))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Reads what stands between quotes, as HCL does.
    fn read(text: &str) -> Option<String> {
        let mut read = String::new();
        let mut rest = text;
        while let Some(letter) = rest.chars().next() {
            rest = &rest[letter.len_utf8()..];
            match letter {
                '"' | '\n' => return None,
                '$' | '%' if rest.starts_with('{') => return None,
                '$' | '%' if rest.starts_with(&format!("{letter}{{")) => {
                    rest = &rest[2..];
                    read.extend([letter, '{']);
                }
                '\\' => {
                    let escape = rest.chars().next()?;
                    rest = &rest[1..];
                    read.push(match escape {
                        'n' => '\n',
                        'r' => '\r',
                        't' => '\t',
                        'u' => {
                            let (digits, behind) = rest.split_at_checked(4)?;
                            rest = behind;
                            char::from_u32(u32::from_str_radix(digits, 16).ok()?)?
                        }
                        '"' | '\\' => escape,
                        _ => return None,
                    });
                }
                letter => read.push(letter),
            }
        }
        Some(read)
    }

    proptest! {
        #[test]
        fn a_text_is_read_back_as_it_was(text in r#"([${%"\\\n\r\tx]|\PC|\p{Cc})*"#) {
            let quoted = escaped(&text);
            prop_assert!(is_literal(&quoted));
            prop_assert_eq!(read(&quoted), Some(text));
        }
    }

    #[test]
    fn what_is_evaluated_is_no_literal() {
        for text in ["${x}", "a%{if x}", "$${x}${y}"] {
            assert!(!is_literal(text), "{text}");
        }
    }
}
