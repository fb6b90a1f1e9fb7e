//! Splits the lines of a script into commands, as far as a shell can be read without running it.

use std::mem;
use std::str::Chars;

/// A piece of a script.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Part {
    Command(Command),
    SubshellBegins,
    SubshellEnds,
}

/// A command without what connects it to others.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Command {
    /// Quotes are removed, and nothing is expanded.
    pub(super) words: Vec<String>,
    /// As it was written.
    pub(super) text: String,
    /// The line of the script on which it begins, counted from zero.
    pub(super) line: usize,
    /// Whether another command reads its output.
    pub(super) is_piped: bool,
}

/// Splits a script.
pub(super) fn split(script: &str) -> Vec<Part> {
    let mut splitter = Splitter {
        script,
        rest: script.chars(),
        at: 0,
        line: 0,
        begin: None,
        words: Vec::new(),
        word: None,
        here_document: HereDocument::None,
        parts: Vec::new(),
    };
    while let Some(character) = splitter.next() {
        splitter.take(character);
        splitter.at = splitter.here();
    }
    splitter.end_command(false);
    splitter.parts
}

struct Splitter<'a> {
    script: &'a str,
    rest: Chars<'a>,
    /// Where the character is that is being taken.
    at: usize,
    line: usize,
    /// Where the command begins: its byte and its line.
    begin: Option<(usize, usize)>,
    words: Vec<String>,
    word: Option<String>,
    here_document: HereDocument,
    parts: Vec<Part>,
}

/// Lines that are no commands.
enum HereDocument {
    None,
    /// The next word says how they end.
    Announced,
    /// They begin on the next line.
    Until(String),
}

impl Splitter<'_> {
    fn here(&self) -> usize {
        self.script.len() - self.rest.as_str().len()
    }

    fn next(&mut self) -> Option<char> {
        let character = self.rest.next()?;
        if character == '\n' {
            self.line += 1;
        }
        Some(character)
    }

    fn peek(&self) -> Option<char> {
        self.rest.clone().next()
    }

    /// Takes the next character if it is this one.
    fn follows(&mut self, wanted: char) -> bool {
        let follows = self.peek() == Some(wanted);
        if follows {
            self.next();
        }
        follows
    }

    fn take(&mut self, character: char) {
        let is_redirected = self
            .word
            .as_ref()
            .is_some_and(|word| word.ends_with(['<', '>']));
        match character {
            ' ' | '\t' | '\r' => self.end_word(),
            '\n' => {
                self.end_command(false);
                self.skip_here_document();
            }
            '#' if self.word.is_none() => self.skip_line(),
            '&' if is_redirected || self.peek() == Some('>') => self.push('&'),
            '&' | ';' => {
                self.follows(character);
                self.end_command(false);
            }
            '|' => {
                let is_piped = !self.follows('|');
                self.end_command(is_piped);
            }
            '(' if self.word.is_none() => {
                self.end_command(false);
                self.parts.push(Part::SubshellBegins);
            }
            ')' if self.word.as_ref().is_none_or(|word| !word.ends_with('(')) => {
                self.end_command(false);
                self.parts.push(Part::SubshellEnds);
            }
            '<' if self.follows('<') => self.announce_here_document(),
            '\'' => self.copy_until('\''),
            '"' => self.copy_quoted(),
            '`' => {
                self.push('`');
                self.copy_until('`');
            }
            '$' => self.take_expansion(),
            '\\' => match self.next() {
                Some('\n') | None => {}
                Some(escaped) => self.push(escaped),
            },
            other => self.push(other),
        }
    }

    /// The word that grows; where there is none yet, one begins.
    fn word(&mut self) -> &mut String {
        self.begin.get_or_insert((self.at, self.line));
        self.word.get_or_insert_default()
    }

    fn push(&mut self, character: char) {
        self.word().push(character);
    }

    fn copy_until(&mut self, end: char) {
        self.word();
        while let Some(character) = self.next().filter(|character| *character != end) {
            self.push(character);
        }
    }

    fn copy_quoted(&mut self) {
        self.word();
        while let Some(character) = self.next() {
            match character {
                '"' => return,
                '$' => self.take_expansion(),
                '\\' => match self.next() {
                    Some('\n') | None => {}
                    Some(escaped) => self.push(escaped),
                },
                other => self.push(other),
            }
        }
    }

    /// Leaves nothing but the `$` of `$(…)`: what is in there is not looked into.
    fn take_expansion(&mut self) {
        self.push('$');
        let mut depth = 0_usize;
        while depth > 0 || self.peek() == Some('(') {
            match self.next() {
                Some('(') => depth += 1,
                Some(')') => depth -= 1,
                Some(_) => {}
                None => return,
            }
        }
    }

    fn announce_here_document(&mut self) {
        self.end_word();
        if !self.follows('<') {
            self.follows('-');
            self.here_document = HereDocument::Announced;
        }
    }

    fn skip_here_document(&mut self) {
        let awaited = mem::replace(&mut self.here_document, HereDocument::None);
        if let HereDocument::Until(end) = awaited {
            while !self.rest.as_str().is_empty() {
                let line = self.rest.as_str().lines().next().unwrap_or_default();
                let is_end = line.trim() == end;
                self.skip_line();
                self.next();
                if is_end {
                    return;
                }
            }
        }
    }

    fn skip_line(&mut self) {
        while self.peek().is_some_and(|character| character != '\n') {
            self.next();
        }
    }

    fn end_word(&mut self) {
        if let Some(word) = self.word.take() {
            if matches!(self.here_document, HereDocument::Announced) {
                self.here_document = HereDocument::Until(word);
            } else {
                self.words.push(word);
            }
        }
    }

    fn end_command(&mut self, is_piped: bool) {
        self.end_word();
        if let Some((begin, line)) = self.begin.take() {
            self.parts.push(Part::Command(Command {
                words: mem::take(&mut self.words),
                text: self.script[begin..self.at].trim_end().to_owned(),
                line,
                is_piped,
            }));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commands(script: &str) -> Vec<Command> {
        let commands = split(script).into_iter().filter_map(|part| match part {
            Part::Command(command) => Some(command),
            _ => None,
        });
        commands.collect()
    }

    fn words(script: &str) -> Vec<String> {
        commands(script)
            .iter()
            .map(|command| command.words.join("_"))
            .collect()
    }

    #[test]
    fn operators_and_lines_end_commands() {
        let script = "a b && c || d; e & f | g\nh;;i";
        assert_eq!(words(script), ["a_b", "c", "d", "e", "f", "g", "h", "i"]);
        let piped: Vec<bool> = commands(script).iter().map(|c| c.is_piped).collect();
        let mut expected = [false; 8];
        expected[4] = true;
        assert_eq!(piped, expected);
    }

    #[test]
    fn quotes_hold_words_together_and_comments_are_none() {
        assert_eq!(
            words("a 'b; c' \"d && \\\"e\" f\\ g # h; i"),
            ["a_b; c_d && \"e_f g"]
        );
        assert_eq!(words("a=$(b; c) \"$(d | e)\" `f; g`"), ["a=$_$_`f; g"]);
        assert_eq!(words("a#b ''"), ["a#b_"]);
    }

    #[test]
    fn redirections_are_part_of_their_command() {
        assert_eq!(words("a > b 2>&1 &> c <<< d"), ["a_>_b_2>&1_&>_c_d"]);
    }

    #[test]
    fn a_here_document_holds_no_commands() {
        assert_eq!(words("cat <<-'END' > a\nb; c\n\tEND\nd"), ["cat_>_a", "d"]);
        assert_eq!(words("cat << END"), ["cat"]);
    }

    #[test]
    fn subshells_begin_and_end() {
        let parts = split("(a; b) && c");
        assert_eq!(parts[0], Part::SubshellBegins);
        assert_eq!(parts[3], Part::SubshellEnds);
        assert_eq!(words("f() { a; }"), ["f()_{_a", "}"]);
    }

    #[test]
    fn a_command_knows_its_line_and_how_it_was_written() {
        let commands = commands("a\n\nb \\\n  'c d' | e\nf");
        let lines: Vec<usize> = commands.iter().map(|command| command.line).collect();
        assert_eq!(lines, [0, 2, 3, 4]);
        assert_eq!(commands[1].text, "b \\\n  'c d'");
        assert_eq!(commands[3].text, "f");
        assert_eq!(self::commands("a $(b); c")[0].text, "a $(b)");
    }
}
