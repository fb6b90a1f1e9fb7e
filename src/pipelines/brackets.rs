//! Which brackets of a script are subshells: behind a pattern of `case`, one stands alone.

/// Words behind which a command may begin.
const BEFORE_A_COMMAND: [&str; 7] = ["then", "do", "else", "elif", "if", "{", "!"];

/// What is open, the innermost last.
#[derive(Default)]
pub(super) struct Brackets(Vec<Open>);

#[derive(PartialEq, Eq)]
enum Open {
    Subshell,
    Case,
}

impl Brackets {
    /// Notices in the words of a command where a `case` begins and ends.
    pub(super) fn command<'a>(&mut self, mut words: impl Iterator<Item = &'a str>) {
        let mut next =
            || words.find(|text| !BEFORE_A_COMMAND.contains(text) && !text.ends_with("()"));
        let first = match next() {
            Some("function") => next().and_then(|_name| next()),
            first => first,
        };
        match first {
            Some("case") => self.0.push(Open::Case),
            Some("esac") if self.0.last() == Some(&Open::Case) => {
                self.0.pop();
            }
            _ => {}
        }
    }

    /// A subshell begins. A pattern that has a bracket before it, too, reads like one.
    pub(super) fn begin(&mut self) {
        self.0.push(Open::Subshell);
    }

    /// Whether a subshell ends, and not a pattern.
    pub(super) fn end(&mut self) -> bool {
        let is_subshell = self.0.last() == Some(&Open::Subshell);
        if is_subshell {
            self.0.pop();
        }
        is_subshell
    }
}
