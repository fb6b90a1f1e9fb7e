//! Who hears, while a deploy runs, what it makes.

use std::sync::{Arc, Mutex, PoisonError};

use crate::supervisor::Audience;
use crate::tools::Tool;
use crate::tools::progress::{Reader, Telling, Told};

/// Who hears what the deploy makes. Nobody, where its tool does not tell.
pub(crate) struct Hearing {
    reader: Option<Arc<Mutex<dyn Reader>>>,
    pub(crate) audience: Option<Audience>,
}

impl Hearing {
    pub(crate) fn of(tool: &Tool) -> Self {
        let teller = tool.teller();
        let reader = teller.map(|teller| teller.reader());
        let audience = teller
            .zip(reader.clone())
            .map(|(teller, reader)| Audience::new(teller.markers(), reader));
        Self { reader, audience }
    }

    pub(crate) fn told(&self) -> Told {
        let reader = self.reader.as_ref();
        let reader = reader.map(|reader| reader.lock().unwrap_or_else(PoisonError::into_inner));
        reader.map_or_else(Told::default, |reader| reader.told())
    }
}
