//! Finds the blocks that say where the state is, in HCL of which nothing else is understood.
//!
//! What Terraform reads is more than any other reader of HCL does: an operator at a line's end
//! inside `{ for … }`, the same key twice in an object, expressions of any length and depth. So
//! only the nesting is followed here, and what is in strings, templates, heredocs and comments is
//! passed over, once and without recursion.

/// A block of a file, as it stands there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BlockText<'a> {
    /// From its first word to its closing brace, or to the end of the file where it has none.
    pub(super) text: &'a str,
    /// How many lines stand before it.
    pub(super) lines_before: usize,
}

/// What is looked for in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    /// Blocks that stand by themselves.
    pub(super) outside: &'static [&'static str],
    /// Blocks inside of `terraform { … }`.
    pub(super) inside: &'static [&'static str],
}

/// The `backend` and `cloud` blocks of a file, in their order.
pub(super) fn state_blocks(text: &str) -> Vec<BlockText<'_>> {
    let wanted = Wanted {
        outside: &[],
        inside: &["backend", "cloud"],
    };
    blocks(text, wanted)
}

/// The blocks of a file that are wanted, in their order.
pub(super) fn blocks(text: &str, wanted: Wanted) -> Vec<BlockText<'_>> {
    let mut reader = Reader::new(text, wanted);
    reader.read();
    reader.end_block();
    reader.found
}

/// What the reader is inside of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Nesting {
    Brace,
    Bracket,
    Parenthesis,
    Quotes,
    /// Its end is kept apart, see [`Reader::heredoc_ends`].
    Heredoc,
}

/// What has been read of a line that may begin a block.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Header {
    Nothing,
    Name {
        begin: usize,
        end: usize,
        labels: usize,
    },
    /// Something that begins no block.
    Other,
}

struct Reader<'a> {
    wanted: Wanted,
    text: &'a str,
    bytes: &'a [u8],
    position: usize,
    nesting: Vec<Nesting>,
    /// The words that end the heredocs which the reader is inside of.
    heredoc_ends: Vec<&'a str>,
    header: Header,
    /// Whether the outermost brace is that of a `terraform` block.
    is_in_terraform: bool,
    /// Where the block begins that the reader is inside of, and how much is around it.
    open: Option<(usize, usize)>,
    found: Vec<BlockText<'a>>,
    /// How many lines end before the place up to which they are counted.
    counted: (usize, usize),
}

impl<'a> Reader<'a> {
    fn new(text: &'a str, wanted: Wanted) -> Self {
        Self {
            wanted,
            text,
            bytes: text.as_bytes(),
            position: 0,
            nesting: Vec::new(),
            heredoc_ends: Vec::new(),
            header: Header::Nothing,
            is_in_terraform: false,
            open: None,
            found: Vec::new(),
            counted: (0, 0),
        }
    }

    fn read(&mut self) {
        while let Some(byte) = self.peek(0) {
            match self.nesting.last() {
                Some(Nesting::Quotes) => self.read_quotes(byte),
                Some(Nesting::Heredoc) => self.read_heredoc(byte),
                _ => self.read_code(byte),
            }
        }
    }

    fn read_code(&mut self, byte: u8) {
        match byte {
            b'\n' => {
                self.position += 1;
                self.header = Header::Nothing;
            }
            b' ' | b'\t' | b'\r' => self.position += 1,
            b'#' => self.skip_line(),
            b'/' if self.peek(1) == Some(b'/') => self.skip_line(),
            b'/' if self.peek(1) == Some(b'*') => self.skip_past("*/"),
            b'<' if self.begins("<<") => self.begin_heredoc(),
            b'"' => {
                self.label();
                self.enter(Nesting::Quotes, 1);
            }
            b'{' => self.open_brace(),
            b'[' => self.enter_code(Nesting::Bracket),
            b'(' => self.enter_code(Nesting::Parenthesis),
            b'}' => self.close_brace(),
            b']' => self.leave(Nesting::Bracket),
            b')' => self.leave(Nesting::Parenthesis),
            byte if is_word(byte) => self.read_word(),
            _ => {
                self.position += 1;
                self.header = Header::Other;
            }
        }
    }

    fn read_word(&mut self) {
        let begin = self.position;
        let rest = &self.bytes[begin..];
        let length = rest.iter().take_while(|byte| is_word(**byte)).count();
        self.position += length;
        if self.header == Header::Nothing {
            self.header = Header::Name {
                begin,
                end: self.position,
                labels: 0,
            };
        } else {
            self.label();
        }
    }

    /// Counts one more label of the block that may begin here.
    fn label(&mut self) {
        self.header = match self.header {
            Header::Name { begin, end, labels } => Header::Name {
                begin,
                end,
                labels: labels + 1,
            },
            _ => Header::Other,
        };
    }

    fn open_brace(&mut self) {
        if let Header::Name { begin, end, labels } = self.header {
            let name = &self.text[begin..end];
            if self.nesting.is_empty() {
                self.is_in_terraform = name == "terraform" && labels == 0;
                if self.wanted.outside.contains(&name) {
                    self.open = Some((begin, 0));
                }
            } else if self.nesting == [Nesting::Brace]
                && self.is_in_terraform
                && self.wanted.inside.contains(&name)
            {
                self.open = Some((begin, 1));
            }
        } else if self.nesting.is_empty() {
            self.is_in_terraform = false;
        }
        self.enter(Nesting::Brace, 1);
        self.header = Header::Nothing;
    }

    fn close_brace(&mut self) {
        self.leave(Nesting::Brace);
        let depth = self.nesting.len();
        if self.open.is_some_and(|(_, around)| depth == around) {
            self.end_block();
        }
    }

    fn end_block(&mut self) {
        if let Some((begin, _)) = self.open.take() {
            let lines_before = self.count_lines(begin);
            self.found.push(BlockText {
                text: &self.text[begin..self.position],
                lines_before,
            });
        }
    }

    /// The lines before a place that lies behind all that were asked for before.
    fn count_lines(&mut self, place: usize) -> usize {
        let (until, lines) = self.counted;
        let lines = lines + lines_before(&self.text[until..], place - until);
        self.counted = (place, lines);
        lines
    }

    fn read_quotes(&mut self, byte: u8) {
        match byte {
            b'\\' => self.position = self.bytes.len().min(self.position + 2),
            b'"' => self.leave(Nesting::Quotes),
            b'$' | b'%' => self.read_template_sign(byte),
            _ => self.position += 1,
        }
    }

    fn read_heredoc(&mut self, byte: u8) {
        match byte {
            b'\n' => {
                self.position += 1;
                self.end_heredoc_here();
            }
            b'$' | b'%' => self.read_template_sign(byte),
            _ => self.position += 1,
        }
    }

    /// `${` and `%{` begin a template; after one more of the same sign they are text.
    fn read_template_sign(&mut self, sign: u8) {
        let rest = &self.bytes[self.position..];
        let signs = rest.iter().take_while(|byte| **byte == sign).count();
        self.position += signs;
        if self.peek(0) != Some(b'{') {
            return;
        }
        if signs == 1 {
            self.enter_code(Nesting::Brace);
        } else {
            self.position += 1;
        }
    }

    /// Two angle brackets, perhaps a dash, a word and the end of the line.
    fn begin_heredoc(&mut self) {
        let begin = self.position + if self.begins("<<-") { 3 } else { 2 };
        let rest = &self.bytes[begin..];
        let length = rest.iter().take_while(|byte| is_word(**byte)).count();
        let end = begin + length;
        self.header = Header::Other;
        self.position = end;
        if self.peek(0) == Some(b'\r') {
            self.position += 1;
        }
        if length == 0 || self.peek(0) != Some(b'\n') {
            return;
        }
        self.heredoc_ends.push(&self.text[begin..end]);
        self.enter(Nesting::Heredoc, 1);
        self.end_heredoc_here();
    }

    /// A heredoc ends with a line that holds nothing but its word, wherever that stands in it.
    fn end_heredoc_here(&mut self) {
        let line = self.text[self.position..].split('\n').next();
        let line = line.unwrap_or_default();
        if self.heredoc_ends.last() == Some(&line.trim()) {
            self.position += line.len();
            self.heredoc_ends.pop();
            self.nesting.pop();
        }
    }

    fn enter(&mut self, nesting: Nesting, length: usize) {
        self.nesting.push(nesting);
        self.position += length;
    }

    /// Enters something in which no block can begin.
    fn enter_code(&mut self, nesting: Nesting) {
        self.enter(nesting, 1);
        self.header = Header::Other;
    }

    /// Terraform refuses a file whose brackets do not match, so it need not be understood.
    fn leave(&mut self, nesting: Nesting) {
        self.position += 1;
        if self.nesting.last() == Some(&nesting) {
            self.nesting.pop();
        }
        if nesting != Nesting::Quotes {
            self.header = Header::Other;
        }
    }

    fn skip_line(&mut self) {
        let rest = &self.bytes[self.position..];
        let length = rest.iter().position(|byte| *byte == b'\n');
        self.position += length.unwrap_or(rest.len());
    }

    fn skip_past(&mut self, end: &str) {
        let from = self.position + end.len();
        let rest = self.text.get(from..).unwrap_or_default();
        self.position = match rest.find(end) {
            Some(begin) => from + begin + end.len(),
            None => self.bytes.len(),
        };
    }

    fn begins(&self, with: &str) -> bool {
        self.bytes[self.position..].starts_with(with.as_bytes())
    }

    fn peek(&self, ahead: usize) -> Option<u8> {
        self.bytes.get(self.position + ahead).copied()
    }
}

/// Whether a byte is a part of a name. All of a letter beyond ASCII is.
fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-' || !byte.is_ascii()
}

fn lines_before(text: &str, place: usize) -> usize {
    text[..place].matches('\n').count()
}
