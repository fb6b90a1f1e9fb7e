//! Notices that Terraform says Stop: the library takes that for the end of its server, which waits for
//! what is being made, and tells nobody but its trace.

use std::fmt::Debug;
use std::sync::atomic::{AtomicBool, Ordering};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// How the address of that request ends.
const STOP: &str = "StopProvider";
/// Whether Terraform has said it.
static STOPPED: AtomicBool = AtomicBool::new(false);

/// Listens from now on.
pub(crate) fn listen() {
    // Only a second listener could be refused, and there is one.
    let _ = tracing::subscriber::set_global_default(Trace);
}

/// Returns when Terraform says Stop.
pub(crate) async fn is_stopped() {
    while !STOPPED.load(Ordering::SeqCst) {
        tokio::time::sleep(crate::MOMENT).await;
    }
}

struct Trace;

impl Subscriber for Trace {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_span()
    }

    fn new_span(&self, attributes: &Attributes<'_>) -> Id {
        attributes.record(&mut Request);
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, _: &Event<'_>) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// The fields of a request.
struct Request;

impl Visit for Request {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "uri" && format!("{value:?}").contains(STOP) {
            STOPPED.store(true, Ordering::SeqCst);
        }
    }
}
