//! Whether a journal is kept, and by which way it gets to Bitbucket.

use std::env;
use std::ffi::OsString;

use reqwest::Url;

use crate::journal::Masks;
use crate::pipe::Image;
use crate::pipe::variables;
use crate::story::journal::Way;

/// Where Bitbucket's proxy is for a step's own script.
const FOR_A_SCRIPT: &str = "http://localhost:29418";
/// Where it is for a pipe, whose container has a host of its own.
const FOR_A_PIPE: &str = "http://host.docker.internal:29418";

/// What is wished of a journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    None,
    /// By the proxy that Bitbucket has in a step.
    Kept,
    /// By this proxy.
    Through(String),
}

/// Reads a switch, or the address of a proxy.
pub(super) fn wish(text: &str) -> Result<Wish, String> {
    match variables::switch(text) {
        Ok(true) => Ok(Wish::Kept),
        Ok(false) => Ok(Wish::None),
        Err(_) => match proxy(text.trim()) {
            Some(proxy) => Ok(Wish::Through(proxy)),
            None => Err(
                "expected true, false, or the address of a proxy such as http://localhost:29418"
                    .to_owned(),
            ),
        },
    }
}

/// An address that names a host, and nothing behind it.
fn proxy(text: &str) -> Option<String> {
    let address = Url::parse(text).ok()?;
    let origin = address.origin().ascii_serialization();
    let is_plain = address.scheme() == "http" && address.has_host();
    (is_plain && address.as_str() == format!("{origin}/")).then_some(origin)
}

impl Wish {
    /// Nothing where none is to be kept.
    pub(super) fn way(&self, image: Image) -> Option<Way> {
        let proxy = match (self, image) {
            (Self::None, _) => return None,
            (Self::Through(proxy), _) => proxy,
            (Self::Kept, Image::Own) => FOR_A_SCRIPT,
            (Self::Kept, Image::Pipe) => FOR_A_PIPE,
        };
        let text = |text: OsString| text.to_string_lossy().into_owned();
        let variables: Vec<(String, String)> = env::vars_os()
            .map(|(name, value)| (text(name), text(value)))
            .collect();
        let variables = variables
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()));
        let words: Vec<String> = env::args_os().map(text).collect();
        Some(Way {
            proxy: proxy.to_owned(),
            masks: Masks::new(variables, words.iter().map(String::as_str)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_journal_is_a_switch_or_the_address_of_a_proxy() {
        for (text, expected) in [
            ("true", Some(Wish::Kept)),
            ("False", Some(Wish::None)),
            ("", Some(Wish::None)),
            (
                " http://proxy:8080 ",
                Some(Wish::Through("http://proxy:8080".to_owned())),
            ),
            (
                "http://proxy",
                Some(Wish::Through("http://proxy".to_owned())),
            ),
            ("https://proxy:8080", None),
            ("http://proxy:8080/2.0", None),
            ("http://user:secret@proxy:8080", None),
            ("http://proxy:8080?x", None),
            ("proxy:8080", None),
            ("maybe", None),
        ] {
            assert_eq!(wish(text).ok(), expected, "{text:?}");
        }
    }
}
