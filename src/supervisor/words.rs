//! Hears, in the output that passes by, that a tool was asked to stop.
//!
//! Linux keeps no trace of a signal that a process has handled, so where somebody else has sent one
//! to a tool, nothing but the tool's own words tell.

use memchr::memmem::Finder;

/// Listens to one stream.
pub(super) struct Ear {
    words: Finder<'static>,
    /// The end of what was heard so far: the words may come in parts.
    tail: Vec<u8>,
}

impl Ear {
    /// An ear for these words.
    pub(super) fn new(words: &'static str) -> Self {
        Self {
            words: Finder::new(words),
            tail: Vec::new(),
        }
    }

    /// How often the words are said by the end of `bytes` that were not said before.
    pub(super) fn hear(&mut self, bytes: &[u8]) -> usize {
        let Some(kept) = self.words.needle().len().checked_sub(1) else {
            return 0;
        };
        let across = bytes.len().min(kept);
        self.tail.extend_from_slice(&bytes[..across]);
        let count = self.words.find_iter(&self.tail).count() + self.words.find_iter(bytes).count();
        if across < bytes.len() {
            self.tail.clear();
            self.tail.extend_from_slice(&bytes[bytes.len() - kept..]);
        } else {
            let superfluous = self.tail.len().saturating_sub(kept);
            self.tail.drain(..superfluous);
        }
        count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORDS: &str = "was asked to stop";

    #[test]
    fn words_are_heard_once_however_they_are_cut() {
        let text = format!("a line\nit {WORDS}, {WORDS}\nand goes on");
        for size in 1..=text.len() {
            let mut ear = Ear::new(WORDS);
            let parts = text.as_bytes().chunks(size);
            let heard: usize = parts.map(|part| ear.hear(part)).sum();
            assert_eq!(heard, 2, "in parts of {size}");
        }
    }

    #[test]
    fn other_words_are_not_heard() {
        let mut ear = Ear::new(WORDS);
        assert_eq!(ear.hear(b"it was asked to go on"), 0);
        assert_eq!(ear.hear(b"was asked"), 0);
        assert_eq!(ear.hear(b"to stop"), 0);
        assert_eq!(Ear::new("").hear(b"anything"), 0);
    }
}
