//! Where conditions, loops and functions of a script begin and end.

use std::collections::HashSet;
use std::mem;

use super::shell::Word;
use super::surroundings::Surroundings;

/// What a command stands in.
#[derive(Default)]
pub(crate) struct Structure {
    /// How many conditions and loops it is in.
    blocks: usize,
    /// The braces that are open; the name of the function whose body they hold.
    braces: Vec<Option<String>>,
    /// Functions that set something where they are called.
    functions: HashSet<String>,
    /// The function whose body comes next.
    function: Option<String>,
}

impl Structure {
    /// Begins a script within this one, which knows its functions.
    pub(crate) fn inside(&mut self) -> Self {
        let inside = Self {
            functions: mem::take(&mut self.functions),
            ..Self::default()
        };
        mem::replace(self, inside)
    }

    /// Goes on with the script around.
    pub(crate) fn outside(&mut self, outer: Self) {
        let functions = mem::take(&mut self.functions);
        *self = Self { functions, ..outer };
    }

    /// Whether a command may not be reached.
    pub(crate) fn is_in_block(&self) -> bool {
        self.blocks > 0
    }

    pub(crate) fn is_in_braces(&self) -> bool {
        !self.braces.is_empty()
    }

    /// The body of a function is a shell of its own.
    pub(crate) fn subshell(&mut self) {
        self.function = None;
    }

    /// Notices where conditions, loops and functions begin and end, and
    /// says how many words that takes.
    pub(crate) fn take(&mut self, words: &[Word], shell: &mut Surroundings) -> usize {
        let text = |index: usize| words.get(index).map(|word| word.text.as_str());
        let mut start = 0;
        match text(0) {
            Some("if" | "while" | "until" | "for" | "case" | "select") => self.blocks += 1,
            Some("fi" | "done" | "esac") => self.blocks = self.blocks.saturating_sub(1),
            Some("}") => {
                if let Some(Some(function)) = self.braces.pop()
                    && shell.end_shell()
                {
                    self.functions.insert(function);
                }
            }
            Some("function") => {
                let name = text(1).unwrap_or_default().trim_end_matches("()");
                self.function = Some(name.to_owned());
                start = words.len().min(2);
            }
            Some(word) => {
                if let Some(name) = word.strip_suffix("()") {
                    self.function = Some(name.to_owned());
                    start = 1;
                } else if self.functions.contains(word) {
                    shell.doubt();
                }
            }
            None => {}
        }
        if text(start) == Some("{") {
            let function = self.function.take();
            if function.is_some() {
                shell.begin_shell();
            }
            self.braces.push(function);
            start += 1;
        }
        start
    }
}
