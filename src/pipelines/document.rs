//! YAML with positions. An alias shares what it stands for, and merge keys are resolved.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use granit_parser::{Event, Marker, Parser, ScalarStyle, ScanError};
use serde::Serialize;
use thiserror::Error;

/// How much a file may hold, in characters and values, once every alias is replaced by what it
/// stands for. A few lines of aliases of aliases can stand for more than any machine can read.
pub(crate) const LARGEST: usize = 1 << 20;
/// How many values it may hold: each takes some hundred bytes, however short it is.
const MOST_VALUES: u32 = 1 << 17;
/// How many words it may hold: each takes some eighty bytes in a command, however short it is.
const MOST_WORDS: usize = 1 << 18;
/// How deep values may be nested: they are dropped by recursion.
const DEEPEST: u16 = 256;
/// The last column to which anybody indents.
const FARTHEST: usize = 256;

/// Where something is in the file, counted from one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) struct Position {
    pub(crate) line: u32,
    pub(crate) column: u32,
}

/// Why a text is no document.
#[derive(Debug, Error, PartialEq, Eq)]
pub(crate) enum Unreadable {
    #[error("line {}, column {}: {reason}", position.line, position.column)]
    Syntax { position: Position, reason: String },
    #[error("it holds more, or its aliases stand for more, than can be read; split it")]
    TooLarge,
    #[error("its aliases are nested too deep")]
    TooDeep,
    #[error("it is empty")]
    Empty,
}

/// A value.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) position: Position,
    content: Content,
    /// How much it holds, with all that is below it.
    size: Size,
    depth: u16,
}

/// An amount of characters and values.
#[derive(Clone, Copy, Debug, Default)]
struct Size {
    characters: u32,
    values: u32,
}

#[derive(Debug)]
enum Content {
    Text { text: Box<str>, is_literal: bool },
    Sequence(Box<[Rc<Node>]>),
    Mapping(Box<[Entry]>),
}

/// A key of a mapping, and what it leads to.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) key: Box<str>,
    pub(crate) position: Position,
    pub(crate) value: Rc<Node>,
}

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A number, a switch and nothing at all are texts too.
    Text,
    Sequence,
    Mapping,
}

impl Node {
    pub(crate) fn kind(&self) -> Kind {
        match &self.content {
            Content::Text { .. } => Kind::Text,
            Content::Sequence(_) => Kind::Sequence,
            Content::Mapping(_) => Kind::Mapping,
        }
    }

    pub(crate) fn text(&self) -> Option<&str> {
        match &self.content {
            Content::Text { text, .. } => Some(text),
            _ => None,
        }
    }

    /// How many characters it holds, with all that is below it.
    pub(crate) fn length(&self) -> usize {
        usize::try_from(self.size.characters).unwrap_or(LARGEST)
    }

    /// The items of a sequence; none where this is something else.
    pub(crate) fn items(&self) -> &[Rc<Node>] {
        match &self.content {
            Content::Sequence(items) => items,
            _ => &[],
        }
    }

    /// The entries of a mapping; none where this is something else.
    pub(crate) fn entries(&self) -> &[Entry] {
        match &self.content {
            Content::Mapping(entries) => entries,
            _ => &[],
        }
    }

    pub(crate) fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries().iter().find(|entry| &*entry.key == key)
    }

    pub(crate) fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|entry| &*entry.value)
    }

    /// Where the lines of a text are. Only a literal text has the lines that the file has.
    pub(crate) fn lines(&self) -> Lines {
        let Content::Text {
            text,
            is_literal: true,
        } = &self.content
        else {
            return self.position.into();
        };
        // The parser points at the first line that is not empty.
        let empty = text.chars().take_while(|c| *c == '\n').count();
        let Position { line, column } = self.position;
        Lines {
            first: Position {
                line: line.saturating_sub(number(empty)),
                column,
            },
            are_counted: true,
        }
    }
}

/// Where the lines of a text are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lines {
    first: Position,
    are_counted: bool,
}

impl Lines {
    /// Where this line is, counted from zero.
    pub(crate) fn at(&self, index: u32) -> Position {
        let Position { line, column } = self.first;
        Position {
            line: if self.are_counted { line + index } else { line },
            column,
        }
    }

    /// The lines of a part of the text, which begins in this one.
    pub(crate) fn from(self, index: u32) -> Self {
        Self {
            first: self.at(index),
            ..self
        }
    }
}

/// What stands in one place counts as one line.
impl From<Position> for Lines {
    fn from(first: Position) -> Self {
        Self {
            first,
            are_counted: false,
        }
    }
}

/// Reads the first document of a text.
pub(crate) fn read(text: &str) -> Result<Rc<Node>, Unreadable> {
    if text.split_ascii_whitespace().count() > MOST_WORDS {
        return Err(Unreadable::TooLarge);
    }
    let mut reader = Reader::default();
    for event in Parser::new_from_str(text) {
        let (event, span) = event?;
        let position = match event {
            Event::SequenceStart(..) => first_dash(text, span.start),
            _ => span.start.into(),
        };
        reader.take(event, position)?;
        if let Some(root) = reader.root {
            return Ok(root);
        }
    }
    Err(Unreadable::Empty)
}

/// Where a sequence begins: the parser points behind the first dash where it is not indented more
/// than the key.
fn first_dash(text: &str, marker: Marker) -> Position {
    let mut position = Position::from(marker);
    if marker.col() > FARTHEST {
        return position;
    }
    let (before, after) = text.split_at(marker.byte_offset().unwrap_or_default());
    let line = before.rsplit('\n').next().unwrap_or_default();
    let indent = line.len() - line.trim_start_matches(' ').len();
    if line[indent..].starts_with('-') && !after.starts_with(['-', '[']) {
        position.column = number(indent + 1);
    }
    position
}

/// What is known in the midst of a document.
#[derive(Default)]
struct Reader {
    open: Vec<Open>,
    anchors: HashMap<usize, Rc<Node>>,
    /// The size of all that was read so far.
    size: Size,
    root: Option<Rc<Node>>,
}

/// A sequence or mapping whose end is not read yet.
struct Open {
    anchor: usize,
    position: Position,
    size_before: Size,
    children: Vec<Rc<Node>>,
}

impl Reader {
    fn take(&mut self, event: Event<'_>, position: Position) -> Result<(), Unreadable> {
        match event {
            Event::Scalar(text, style, anchor, _) => {
                let size_before = self.size;
                self.grow(Size {
                    characters: number(text.len()),
                    values: 1,
                })?;
                let content = Content::Text {
                    text: text.into(),
                    is_literal: style == ScalarStyle::Literal,
                };
                self.close(anchor, position, size_before, content)
            }
            Event::SequenceStart(_, anchor, _) | Event::MappingStart(_, anchor, _) => {
                self.open.push(Open {
                    anchor,
                    position,
                    size_before: self.size,
                    children: Vec::new(),
                });
                self.grow(Size {
                    characters: 0,
                    values: 1,
                })
            }
            Event::SequenceEnd => self.end(|children| Content::Sequence(children.into())),
            Event::MappingEnd => self.end(|children| Content::Mapping(entries(&children))),
            Event::Alias(anchor) => {
                let Some(node) = self.anchors.get(&anchor).cloned() else {
                    let reason = "an alias stands for what it is a part of".to_owned();
                    return Err(Unreadable::Syntax { position, reason });
                };
                self.grow(node.size)?;
                self.add(node);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn grow(&mut self, size: Size) -> Result<(), Unreadable> {
        self.size.characters = self.size.characters.saturating_add(size.characters);
        self.size.values = self.size.values.saturating_add(size.values);
        if self.size.characters > number(LARGEST) || self.size.values > MOST_VALUES {
            return Err(Unreadable::TooLarge);
        }
        Ok(())
    }

    fn end(&mut self, content: impl FnOnce(Vec<Rc<Node>>) -> Content) -> Result<(), Unreadable> {
        match self.open.pop() {
            Some(open) => self.close(
                open.anchor,
                open.position,
                open.size_before,
                content(open.children),
            ),
            None => Ok(()),
        }
    }

    fn close(
        &mut self,
        anchor: usize,
        position: Position,
        size_before: Size,
        content: Content,
    ) -> Result<(), Unreadable> {
        let below = match &content {
            Content::Text { .. } => None,
            Content::Sequence(items) => items.iter().map(|item| item.depth).max(),
            Content::Mapping(entries) => entries.iter().map(|entry| entry.value.depth).max(),
        };
        let node = Rc::new(Node {
            position,
            content,
            size: Size {
                characters: self.size.characters - size_before.characters,
                values: self.size.values - size_before.values,
            },
            depth: below.map_or(0, |depth| depth + 1),
        });
        if node.depth > DEEPEST {
            return Err(Unreadable::TooDeep);
        }
        self.anchors.insert(anchor, Rc::clone(&node));
        self.add(node);
        Ok(())
    }

    fn add(&mut self, node: Rc<Node>) {
        match self.open.last_mut() {
            Some(open) => open.children.push(node),
            None => self.root = Some(node),
        }
    }
}

/// Pairs keys and values, and takes in what merge keys lead to: a key that the mapping has itself
/// goes before, and so does a mapping that is named earlier.
fn entries(children: &[Rc<Node>]) -> Box<[Entry]> {
    let entries = children.chunks_exact(2).map(|pair| Entry {
        key: pair[0].text().unwrap_or_default().into(),
        position: pair[0].position,
        value: Rc::clone(&pair[1]),
    });
    let (merges, mut entries): (Vec<Entry>, Vec<Entry>) =
        entries.partition(|entry| &*entry.key == "<<");
    if merges.is_empty() {
        return entries.into();
    }
    let mut known: HashSet<Box<str>> = entries.iter().map(|entry| entry.key.clone()).collect();
    let merged = merges.iter().flat_map(|merge| {
        let listed = merge.value.items().iter().flat_map(|item| item.entries());
        merge.value.entries().iter().chain(listed)
    });
    for entry in merged {
        if known.insert(entry.key.clone()) {
            entries.push(entry.clone());
        }
    }
    entries.into()
}

/// A number that the limit of a file keeps small.
pub(crate) fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

impl From<Marker> for Position {
    fn from(marker: Marker) -> Self {
        Self {
            line: number(marker.line()),
            column: number(marker.col() + 1),
        }
    }
}

impl From<ScanError> for Unreadable {
    fn from(error: ScanError) -> Self {
        Self::Syntax {
            position: (*error.marker()).into(),
            reason: error.info(),
        }
    }
}
