//! Splits the lines of a script into commands, as far as a shell can be read without running it.

use std::collections::VecDeque;
use std::mem;
use std::str::Chars;

use super::brackets::Brackets;

/// A piece of a script.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Command(Command),
    SubshellBegins,
    SubshellEnds,
}

/// A command without what connects it to others.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Command {
    pub(crate) words: Vec<Word>,
    /// As it was written.
    pub(crate) text: String,
    /// The line of the script on which it begins, counted from zero.
    pub(crate) line: u32,
    /// Whether another command reads its output.
    pub(crate) is_piped: bool,
    /// Scripts whose output is a part of it, each with its first line.
    pub(crate) substitutions: Vec<(u32, String)>,
}

/// A word of a command.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Word {
    /// Quotes are removed, and nothing is expanded.
    pub(crate) text: String,
    /// Where it is in the text of its command, in bytes.
    pub(crate) begin: usize,
    pub(crate) end: usize,
}

/// Splits a script.
pub(crate) fn split(script: &str) -> impl Iterator<Item = Part> {
    Splitter {
        script,
        rest: script.chars(),
        at: 0,
        line: 0,
        begin: None,
        words: Vec::new(),
        word: None,
        substitutions: Vec::new(),
        here_document: HereDocument::None,
        brackets: Brackets::default(),
        parts: VecDeque::new(),
    }
}

struct Splitter<'a> {
    script: &'a str,
    rest: Chars<'a>,
    /// Where the character is that is being taken.
    at: usize,
    line: u32,
    /// Where the command begins: its byte and its line.
    begin: Option<(usize, u32)>,
    words: Vec<Word>,
    /// Where the word begins, which grows.
    word: Option<(usize, String)>,
    substitutions: Vec<(u32, String)>,
    here_document: HereDocument,
    brackets: Brackets,
    parts: VecDeque<Part>,
}

/// Lines that are no commands.
enum HereDocument {
    None,
    /// The next word says how they end.
    Announced,
    /// They begin on the next line.
    Until(String),
}

impl Iterator for Splitter<'_> {
    type Item = Part;

    fn next(&mut self) -> Option<Part> {
        while self.parts.is_empty() {
            let Some(character) = self.advance() else {
                self.end_command(false);
                break;
            };
            self.take(character);
            self.at = self.here();
        }
        self.parts.pop_front()
    }
}

impl Splitter<'_> {
    fn here(&self) -> usize {
        self.script.len() - self.rest.as_str().len()
    }

    fn advance(&mut self) -> Option<char> {
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
            self.advance();
        }
        follows
    }

    fn take(&mut self, character: char) {
        let ends_with =
            |ends: &[char]| matches!(&self.word, Some((_, word)) if word.ends_with(ends));
        let (is_redirected, is_list) = (ends_with(&['<', '>']), ends_with(&['(']));
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
            '(' if is_redirected => self.take_substitution(')'),
            '(' if self.word.is_none() && self.words.len() == 1 && self.follows(')') => {
                self.words[0].text.push_str("()");
            }
            '(' if self.word.is_none() => {
                self.end_command(false);
                self.brackets.begin();
                self.parts.push_back(Part::SubshellBegins);
            }
            ')' if !is_list => {
                self.end_command(false);
                let ends = self.brackets.end().then_some(Part::SubshellEnds);
                self.parts.extend(ends);
            }
            '<' if self.follows('<') => self.announce_here_document(),
            '\'' => self.copy_until('\''),
            '"' => self.copy_quoted(),
            '`' => self.take_substitution('`'),
            '$' => self.take_expansion(),
            '\\' => match self.advance() {
                Some('\n') | None => {}
                Some(escaped) => self.push(escaped),
            },
            other => self.push(other),
        }
    }

    /// The word that grows; where there is none yet, one begins.
    fn word(&mut self) -> &mut String {
        self.begin.get_or_insert((self.at, self.line));
        &mut self.word.get_or_insert_with(|| (self.at, String::new())).1
    }

    fn push(&mut self, character: char) {
        self.word().push(character);
    }

    fn copy_until(&mut self, end: char) {
        self.word();
        while let Some(character) = self.advance().filter(|character| *character != end) {
            self.push(character);
        }
    }

    fn copy_quoted(&mut self) {
        self.word();
        while let Some(character) = self.advance() {
            match character {
                '"' => return,
                '`' => self.take_substitution('`'),
                '$' => self.take_expansion(),
                '\\' => match self.advance() {
                    Some('\n') | None => {}
                    Some(escaped) => self.push(escaped),
                },
                other => self.push(other),
            }
        }
    }

    /// Of `$(…)` only the `$` stays in the word.
    fn take_expansion(&mut self) {
        self.push('$');
        if self.follows('(') {
            self.take_substitution(')');
        }
    }

    /// Keeps a script that stands in this one for itself.
    fn take_substitution(&mut self, end: char) {
        if end == '`' {
            self.push('`');
        }
        let (begin, line) = (self.here(), self.line);
        let (mut depth, mut last) = (1_usize, begin);
        while depth > 0 {
            last = self.here();
            match self.advance() {
                Some(character) if character == end => depth -= 1,
                Some('(') if end == ')' => depth += 1,
                Some('\\') => {
                    self.advance();
                }
                Some(_) => {}
                None => break,
            }
        }
        let script = &self.script[begin..last];
        // What begins with one more bracket is arithmetic.
        if !script.starts_with('(') {
            self.substitutions.push((line, script.to_owned()));
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
                self.advance();
                if is_end {
                    return;
                }
            }
        }
    }

    fn skip_line(&mut self) {
        while self.peek().is_some_and(|character| character != '\n') {
            self.advance();
        }
    }

    fn end_word(&mut self) {
        let Some((begin, text)) = self.word.take() else {
            return;
        };
        if matches!(self.here_document, HereDocument::Announced) {
            self.here_document = HereDocument::Until(text);
            return;
        }
        let before = self.begin.map_or(0, |(begin, _)| begin);
        self.words.push(Word {
            text,
            begin: begin - before,
            end: self.at - before,
        });
    }

    fn end_command(&mut self, is_piped: bool) {
        self.end_word();
        if let Some((begin, line)) = self.begin.take() {
            let words = self.words.iter();
            self.brackets.command(words.map(|word| word.text.as_str()));
            self.parts.push_back(Part::Command(Command {
                words: mem::take(&mut self.words),
                text: self.script[begin..self.at].trim_end().to_owned(),
                line,
                is_piped,
                substitutions: mem::take(&mut self.substitutions),
            }));
        }
    }
}

/// A text that YAML, JSON and a shell read alike.
pub(crate) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
