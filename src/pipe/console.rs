//! softstop's own words, in the style of Bitbucket's pipes: `INFO: …`, and last `✔ …` or `✖ …`.

use std::fmt;
use std::io::{self, Write};

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// The target of an event that is the last line of a run that went well.
pub(crate) const SUCCESS: &str = "softstop::success";
/// The target of an event that is the last line of a run that did not.
pub(crate) const FAILURE: &str = "softstop::failure";

const BLUE: u8 = 34;
const GREEN: u8 = 32;
const GREY: u8 = 90;
const RED: u8 = 31;
const YELLOW: u8 = 33;

/// Sends softstop's words through `write`, one whole message at a time.
pub(crate) fn start(debug: bool, write: impl Fn(&[u8]) + Clone + Send + Sync + 'static) {
    let level = if debug { Level::DEBUG } else { Level::INFO };
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(level)
        .event_format(PipeStyle {
            colour: wants_colour(),
        })
        .with_writer(move || Through(write.clone()))
        .finish();
    // Only a second console could be refused, and there is one.
    let _ = tracing::subscriber::set_global_default(subscriber);
}

/// Says why nothing was run, where no console is open yet.
pub(crate) fn refuse(reasons: &[String]) {
    let title = paint(RED, "✖ Validation errors:".to_owned(), wants_colour());
    let text = format!("{title}\n  {}\n", reasons.join("\n  "));
    // There is nobody left to tell where this fails.
    let _ = io::stderr().write_all(text.as_bytes());
}

/// Says a last line where no console is open.
pub(crate) fn fail(message: &str) {
    let text = paint(RED, format!("✖ {message}"), wants_colour());
    // There is nobody left to tell where this fails.
    let _ = writeln!(io::stderr(), "{text}");
}

/// Bitbucket shows colours although a pipe has no terminal, so only NO_COLOR turns them off.
fn wants_colour() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

fn paint(colour: u8, text: String, wanted: bool) -> String {
    if wanted {
        format!("\x1b[{colour}m{text}\x1b[0m")
    } else {
        text
    }
}

struct PipeStyle {
    colour: bool,
}

impl<S, N> FormatEvent<S, N> for PipeStyle
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    N: for<'writer> FormatFields<'writer> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let metadata = event.metadata();
        // What the libraries say is not ours to show: it may hold what nobody has looked over.
        if !metadata.target().starts_with(env!("CARGO_PKG_NAME")) {
            return Ok(());
        }
        let mut message = Message::default();
        event.record(&mut message);
        let (colour, prefix) = match (metadata.target(), *metadata.level()) {
            (SUCCESS, _) => (GREEN, "✔ "),
            (FAILURE, _) => (RED, "✖ "),
            (_, Level::ERROR) => (RED, "ERROR: "),
            (_, Level::WARN) => (YELLOW, "WARNING: "),
            (_, Level::INFO) => (BLUE, "INFO: "),
            _ => (GREY, "DEBUG: "),
        };
        let text = format!("{prefix}{}", message.0);
        writeln!(writer, "{}", paint(colour, text, self.colour))
    }
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

/// Hands on what is written, message by message.
struct Through<W>(W);

impl<W: Fn(&[u8])> Write for Through<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (self.0)(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
