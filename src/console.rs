//! softstop's own words, in the style of Bitbucket's pipes: `INFO: …`, and last `✔ …` or `✖ …`.

use std::fmt;
use std::io::{self, Write};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber, info};

use crate::printable;

/// The target of an event that is the last line of a run that went well.
pub(crate) const SUCCESS: &str = "softstop::success";
/// The target of an event that is the last line of a run that did not.
pub(crate) const FAILURE: &str = "softstop::failure";

/// The target of an event whose lines are to be pasted into a file, and so may begin anywhere.
pub(crate) const PASTED: &str = "softstop::pasted";

/// How softstop begins a further line of a message. What begins a line otherwise, a text from outside
/// has brought along, which may look like a message.
const LINE_BREAK: &str = "\n  ";

const BLUE: u8 = 34;
const GREEN: u8 = 32;
const GREY: u8 = 90;
const RED: u8 = 31;
const YELLOW: u8 = 33;

/// Sends softstop's words through `write`, one whole message at a time.
pub(crate) fn start(debug: bool, write: impl Fn(&[u8]) + Send + Sync + 'static) {
    let console = Console {
        level: if debug { Level::DEBUG } else { Level::INFO },
        colour: wants_colour(),
        write,
    };
    // Only a second console could be refused, and there is one.
    let _ = tracing::subscriber::set_global_default(console);
}

/// Says which softstop this is, and what it works with.
pub(crate) fn introduce(what: &str) {
    info!(
        concat!("softstop ", env!("CARGO_PKG_VERSION"), ": {}."),
        what
    );
}

/// Says why nothing was run, where no console is open yet.
pub(crate) fn refuse(reasons: &[String]) {
    let title = paint(RED, "✖ Validation errors:", wants_colour());
    let reasons = printable::lines(&reasons.join(LINE_BREAK), LINE_BREAK);
    let text = format!("{title}{LINE_BREAK}{reasons}\n");
    // There is nobody left to tell where this fails.
    let _ = io::stderr().write_all(text.as_bytes());
}

/// Says a last line where no console is open.
pub(crate) fn fail(message: &str) {
    let message = printable::lines(message, LINE_BREAK);
    let text = paint(RED, &format!("✖ {message}"), wants_colour());
    // There is nobody left to tell where this fails.
    let _ = writeln!(io::stderr(), "{text}");
}

/// Bitbucket shows colours although a pipe has no terminal, so only NO_COLOR turns them off.
fn wants_colour() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Whoever shows a log may do so line by line, so each line has its colour.
fn paint(colour: u8, text: &str, wanted: bool) -> String {
    if !wanted {
        return text.to_owned();
    }
    let lines: Vec<String> = text
        .split('\n')
        .map(|line| format!("\x1b[{colour}m{line}\x1b[0m"))
        .collect();
    lines.join("\n")
}

/// Turns each event into a line. There are no spans here: what happens is told when it happens.
struct Console<W> {
    level: Level,
    colour: bool,
    write: W,
}

impl<W: Fn(&[u8]) + 'static> Subscriber for Console<W> {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        // What the libraries say is not ours to show: it may hold what nobody has looked over.
        metadata.target().starts_with(env!("CARGO_PKG_NAME")) && *metadata.level() <= self.level
    }

    fn event(&self, event: &Event<'_>) {
        let mut message = Message::default();
        event.record(&mut message);
        let metadata = event.metadata();
        let (colour, prefix) = match (metadata.target(), *metadata.level()) {
            (SUCCESS, _) => (GREEN, "✔ "),
            (FAILURE, _) => (RED, "✖ "),
            (_, Level::ERROR) => (RED, "ERROR: "),
            (_, Level::WARN) => (YELLOW, "WARNING: "),
            (_, Level::INFO) => (BLUE, "INFO: "),
            _ => (GREY, "DEBUG: "),
        };
        let line_break = match metadata.target() {
            PASTED => "\n",
            _ => LINE_BREAK,
        };
        let message = printable::lines(&message.0, line_break);
        let text = paint(colour, &format!("{prefix}{message}"), self.colour);
        (self.write)(format!("{text}\n").as_bytes());
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// The words of an event.
#[derive(Default)]
struct Message(String);

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.0 = format!("{value:?}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_has_its_colour_and_none_where_nobody_wants_it() {
        let coloured = paint(RED, "one\n  two", true);
        assert_eq!(coloured, "\x1b[31mone\x1b[0m\n\x1b[31m  two\x1b[0m");
        assert_eq!(paint(RED, "one\n  two", false), "one\n  two");
    }
}
