//! Hands on a copy of those lines of the output in which a tool tells what it does.
//!
//! The bytes themselves pass by untouched, and first. A tool names markers, and a line that holds none
//! of them costs no more than the search for them.

use std::sync::{Arc, Mutex, PoisonError};

use memchr::memmem::Finder;
use memchr::{memchr, memrchr};

/// How long a line may be that is handed on.
const LONGEST: usize = 64 * 1024;

/// Hears the lines that hold a marker, without their line break.
pub(crate) trait Listener: Send + 'static {
    /// One line. It may be anybody's, and look like a tool's.
    fn hear(&mut self, line: &[u8]);
}

/// What lines are listened for, and by whom.
#[derive(Clone)]
pub(crate) struct Audience {
    markers: &'static [&'static str],
    listener: Arc<Mutex<dyn Listener>>,
}

/// Finds the lines of one stream.
pub(super) struct Lines {
    markers: Vec<Finder<'static>>,
    listener: Option<Arc<Mutex<dyn Listener>>>,
    /// The begin of a line whose end has not come yet.
    begun: Vec<u8>,
    /// Whether that line has become too long.
    is_too_long: bool,
    /// Lines that were found and not handed on yet, each with its line break.
    found: Vec<u8>,
}

impl Audience {
    /// A listener for lines that hold one of these markers.
    pub(crate) fn new(
        markers: &'static [&'static str],
        listener: Arc<Mutex<dyn Listener>>,
    ) -> Self {
        Self { markers, listener }
    }
}

impl Lines {
    /// Nobody listens where there is no audience.
    pub(super) fn new(audience: Option<Audience>) -> Self {
        let (markers, listener) = match audience {
            Some(audience) => (audience.markers, Some(audience.listener)),
            None => (&[][..], None),
        };
        Self {
            markers: markers.iter().map(|marker| Finder::new(*marker)).collect(),
            listener,
            begun: Vec::new(),
            is_too_long: false,
            found: Vec::new(),
        }
    }

    /// Finds the lines that end in these bytes.
    pub(super) fn find(&mut self, bytes: &[u8]) {
        if self.markers.is_empty() {
            return;
        }
        let Some(last) = memrchr(b'\n', bytes) else {
            self.go_on(bytes);
            return;
        };
        let (mut whole, rest) = bytes.split_at(last + 1);
        if self.is_too_long || !self.begun.is_empty() {
            let end = memchr(b'\n', whole).map_or(whole.len(), |place| place + 1);
            let (line, others) = whole.split_at(end);
            self.go_on(line);
            self.end_line();
            whole = others;
        }
        self.find_whole(whole);
        self.go_on(rest);
    }

    /// Hands on what was found.
    pub(super) fn tell(&mut self) {
        if self.found.is_empty() {
            return;
        }
        if let Some(listener) = &self.listener {
            let mut listener = listener.lock().unwrap_or_else(PoisonError::into_inner);
            for line in self.found.split_inclusive(|byte| *byte == b'\n') {
                listener.hear(line.strip_suffix(b"\n").unwrap_or(line));
            }
        }
        self.found.clear();
    }

    /// More of a line whose end has not come yet.
    fn go_on(&mut self, bytes: &[u8]) {
        self.is_too_long |= self.begun.len() + bytes.len() > LONGEST;
        if self.is_too_long {
            self.begun = Vec::new();
        } else {
            self.begun.extend_from_slice(bytes);
        }
    }

    /// The line that was begun has ended.
    fn end_line(&mut self) {
        let line = std::mem::take(&mut self.begun);
        let is_too_long = std::mem::take(&mut self.is_too_long);
        if !is_too_long
            && self
                .markers
                .iter()
                .any(|marker| marker.find(&line).is_some())
        {
            self.found.extend_from_slice(&line);
        }
    }

    /// Finds the lines in bytes that hold whole lines alone, in their order.
    fn find_whole(&mut self, bytes: &[u8]) {
        let mut lines = Vec::new();
        for marker in &self.markers {
            let mut place = 0;
            while let Some(found) = marker.find(&bytes[place..]).map(|found| place + found) {
                let begin = memrchr(b'\n', &bytes[..found]).map_or(0, |before| before + 1);
                let end = memchr(b'\n', &bytes[found..]).map_or(bytes.len(), |end| found + end + 1);
                lines.push((begin, end));
                place = end;
            }
        }
        lines.sort_unstable();
        lines.dedup();
        for (begin, end) in lines {
            if end - begin <= LONGEST {
                self.found.extend_from_slice(&bytes[begin..end]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    const MARKERS: &[&str] = &["ing...", " complete"];

    #[derive(Default)]
    struct Heard(Vec<Vec<u8>>);

    impl Listener for Heard {
        fn hear(&mut self, line: &[u8]) {
            self.0.push(line.to_owned());
        }
    }

    fn heard<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Vec<Vec<u8>> {
        let heard = Arc::new(Mutex::new(Heard::default()));
        let listener = Arc::clone(&heard) as Arc<Mutex<dyn Listener>>;
        let mut lines = Lines::new(Some(Audience::new(MARKERS, listener)));
        for part in parts {
            lines.find(part);
            lines.tell();
        }
        std::mem::take(&mut heard.lock().unwrap().0)
    }

    #[test]
    fn lines_with_a_marker_are_heard_once_and_in_their_order() {
        let text =
            b"a: Creating... is complete\nnothing\n\nb complete\nc: Creating...\nd: Creating...";
        let expected: Vec<&[u8]> = vec![
            b"a: Creating... is complete",
            b"b complete",
            b"c: Creating...",
        ];
        for size in 1..=text.len() {
            assert_eq!(heard(text.chunks(size)), expected, "in parts of {size}");
        }
    }

    #[test]
    fn a_line_that_is_too_long_is_not_heard_and_the_next_one_is() {
        let mut text = b"x: Creating...".repeat(LONGEST / 10);
        text.extend_from_slice(b"\ny: Creating...\n");
        for size in [1, 4096, text.len()] {
            assert_eq!(heard(text.chunks(size)), [b"y: Creating..."], "{size}");
        }
    }

    #[test]
    fn where_nobody_listens_nothing_is_kept() {
        let mut lines = Lines::new(None);
        lines.find(b"x: Creating...");
        assert!(lines.begun.is_empty());
    }

    proptest! {
        #[test]
        fn however_bytes_are_cut_the_same_lines_are_heard(
            parts in vec(
                prop_oneof![
                    Just(b"a: Creating...".to_vec()), Just(b"\n".to_vec()),
                    Just(b" complete".to_vec()), Just(b"ing".to_vec()), Just(b"...".to_vec()),
                    vec(any::<u8>(), 0..20),
                ],
                0..30,
            ),
        ) {
            let whole = parts.concat();
            let at_once = heard([whole.as_slice()]);
            prop_assert_eq!(&heard(parts.iter().map(Vec::as_slice)), &at_once);
            let holds = |line: &&[u8]| {
                let text = String::from_utf8_lossy(line);
                MARKERS.iter().any(|marker| text.contains(marker))
            };
            let ended = whole.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
            let lines = whole[..ended].split(|byte| *byte == b'\n');
            let expected: Vec<&[u8]> = lines.filter(holds).collect();
            prop_assert_eq!(at_once, expected);
        }
    }
}
