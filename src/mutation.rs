//! Texts that something has happened to, for the tests of what reads them.

use std::env;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

/// What is put into a text: what terminals, editors, other systems and attackers put there.
const FOREIGN: &[&str] = &[
    "\u{1b}[31m",
    "\u{1b}[0m",
    "│ ",
    "╷",
    "\r\n",
    "\n",
    "\r",
    "\t",
    "\0",
    "\u{feff}",
    "\u{202e}",
    "Lock Info:\n",
    "  ID:        0\n",
    "  Who:       root@vm\n",
    "\"",
    "'",
    "\\",
    "${",
    "%{",
    "<<E\n",
    "{",
    "}",
    "[",
    "]",
    "(",
    ")",
    ":",
    "=",
    ",",
    "#",
    "/*",
    "*/",
    "- ",
    "&a ",
    "*a",
    "<<: *a",
    "null",
    "true",
    "1e999",
    "99999999999999999999",
    "\"COMPLETED\"",
    "\\ud800",
];

#[derive(Clone, Debug)]
enum Change {
    Flip(Index, u8),
    CutFrom(Index),
    CutUntil(Index),
    Remove(Index, Index),
    Repeat(Index, Index),
    Insert(Index, String),
    DropLine(Index),
    DoubleLine(Index),
    SwapLines(Index, Index),
    /// Goes on with the rest of another text.
    GoOn(Index, Index, Index),
    Wrap(usize),
    CarriageReturns,
}

fn any_change() -> impl Strategy<Value = Change> {
    let place = any::<Index>;
    prop_oneof![
        (place(), any::<u8>()).prop_map(|(at, byte)| Change::Flip(at, byte)),
        place().prop_map(Change::CutFrom),
        place().prop_map(Change::CutUntil),
        (place(), place()).prop_map(|(from, to)| Change::Remove(from, to)),
        (place(), place()).prop_map(|(from, to)| Change::Repeat(from, to)),
        (place(), select(FOREIGN)).prop_map(|(at, text)| Change::Insert(at, text.to_owned())),
        (place(), "\\PC{0,8}").prop_map(|(at, text)| Change::Insert(at, text)),
        place().prop_map(Change::DropLine),
        place().prop_map(Change::DoubleLine),
        (place(), place()).prop_map(|(one, other)| Change::SwapLines(one, other)),
        (place(), place(), place()).prop_map(|(at, text, from)| Change::GoOn(at, text, from)),
        (1..90_usize).prop_map(Change::Wrap),
        Just(Change::CarriageReturns),
    ]
}

/// One of these texts, whole, or with a few changes.
pub(crate) fn mutated(texts: &'static [&'static str]) -> impl Strategy<Value = String> {
    (select(texts), vec(any_change(), 0..5)).prop_map(|(text, changes)| {
        let bytes = changes
            .iter()
            .fold(text.as_bytes().to_vec(), |bytes, change| {
                change.apply(bytes, texts)
            });
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// The usual settings, with so many cases, or as many as PROPTEST_CASES asks for where these are more.
pub(crate) fn at_least(cases: u32) -> ProptestConfig {
    let usual = ProptestConfig::default();
    // Where nobody asks, the usual number is no wish: a costly case is tried less often.
    let asked = env::var_os("PROPTEST_CASES").map_or(0, |_| usual.cases);
    ProptestConfig {
        cases: asked.max(cases),
        ..usual
    }
}

impl Change {
    fn apply(&self, mut bytes: Vec<u8>, texts: &[&str]) -> Vec<u8> {
        let size = bytes.len() + 1;
        match self {
            Self::Flip(at, byte) => {
                let at = at.index(size);
                if let Some(place) = bytes.get_mut(at) {
                    *place = *byte;
                }
            }
            Self::CutFrom(at) => bytes.truncate(at.index(size)),
            Self::CutUntil(at) => drop(bytes.drain(..at.index(size))),
            Self::Remove(from, to) => drop(bytes.drain(range(*from, *to, size))),
            Self::Repeat(from, to) => {
                let range = range(*from, *to, size);
                let (end, part) = (range.end, bytes[range].to_vec());
                bytes.splice(end..end, part);
            }
            Self::Insert(at, text) => {
                let at = at.index(size);
                bytes.splice(at..at, text.bytes());
            }
            Self::GoOn(at, text, from) => {
                bytes.truncate(at.index(size));
                let other = text.get(texts).as_bytes();
                bytes.extend_from_slice(&other[from.index(other.len() + 1)..]);
            }
            Self::Wrap(column) => bytes = bytes.chunks(*column).collect::<Vec<_>>().join(&b'\n'),
            Self::CarriageReturns => bytes = lines(&bytes).join(&b"\r\n"[..]),
            Self::DropLine(_) | Self::DoubleLine(_) | Self::SwapLines(..) => {
                let mut lines = lines(&bytes);
                self.change_lines(&mut lines);
                bytes = lines.join(&b'\n');
            }
        }
        bytes
    }

    fn change_lines(&self, lines: &mut Vec<&[u8]>) {
        let count = lines.len();
        match self {
            Self::DropLine(at) => drop(lines.remove(at.index(count))),
            Self::DoubleLine(at) => lines.insert(at.index(count), lines[at.index(count)]),
            Self::SwapLines(one, other) => lines.swap(one.index(count), other.index(count)),
            _ => {}
        }
    }
}

/// At least one, however empty.
fn lines(bytes: &[u8]) -> Vec<&[u8]> {
    bytes.split(|byte| *byte == b'\n').collect()
}

fn range(one: Index, other: Index, size: usize) -> std::ops::Range<usize> {
    let (one, other) = (one.index(size), other.index(size));
    one.min(other)..one.max(other)
}
