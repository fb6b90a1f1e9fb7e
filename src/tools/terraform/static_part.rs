//! The part of a configuration that OpenTofu evaluates before it opens a state: the backend block, the
//! `encryption` block, and the variables and locals that these may name.
//!
//! In a shadow it stands in files of the same names, so that overrides override there too.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::Path;

use serde_json::value::RawValue;

use super::backends::ALL;
use super::configuration::Configuration;
use super::files::{is_json, malformed, read};
use super::hcl_text::{Wanted, blocks};
use super::json_text::{each, members, place};
use crate::tools::error::ToolError;
use crate::tools::quoted::quoted;

const VARIABLES: &str = "variable";
const LOCALS: &str = "locals";
const TERRAFORM: &str = "terraform";
const BACKEND: &str = "backend";
const ENCRYPTION: &str = "encryption";
/// The variable whose text OpenTofu merges into the `encryption` block, and evaluates as that.
pub(super) const ENCRYPTION_VARIABLE: &str = "TF_ENCRYPTION";

/// Functions whose result depends on where they are called, or on what lies there.
const OF_A_PLACE: [&str; 15] = [
    "abspath",
    "file",
    "filebase64",
    "filebase64sha256",
    "filebase64sha512",
    "fileexists",
    "filemd5",
    "fileset",
    "filesha1",
    "filesha256",
    "filesha512",
    "path.cwd",
    "path.module",
    "path.root",
    "templatefile",
];
/// What only tells where OpenTofu was started: in a shadow all else is what it is beside it.
const OF_THE_WORKING_DIRECTORY: [&str; 2] = ["abspath", "path.cwd"];

/// A block, or a member of a JSON object.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Part {
    /// In which file it stands.
    file: String,
    kind: &'static str,
    text: String,
    lies: Lies,
}

/// Where it lies in its file, for whoever cuts it out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lies {
    /// From this line to that one.
    Lines(usize, usize),
    /// So many bytes before the end of a file of JSON, which may have one line only.
    BeforeEnd(usize),
}

/// What of a configuration is evaluated before its state is opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct StaticPart {
    parts: Vec<Part>,
    /// What TF_ENCRYPTION says. It reaches OpenTofu by itself, but what it names does not.
    encryption_of_environment: String,
}

impl StaticPart {
    pub(super) fn of(configuration: &Configuration) -> Result<Self, ToolError> {
        let mut parts = Vec::new();
        for file in configuration.files()? {
            let name = file.path.file_name().unwrap_or_default();
            let name = name.to_string_lossy().into_owned();
            let text = read(&file.path)?;
            let found = if is_json(&file.path) {
                json_parts(&text).map_err(|error| malformed(&file.path, place(&error)))?
            } else {
                hcl_parts(&text)
            };
            parts.extend(found.into_iter().map(|part| Part {
                file: name.clone(),
                ..part
            }));
        }
        let by_environment = configuration.environment.text(ENCRYPTION_VARIABLE);
        let is_read = |_: &String| configuration.is_tofu;
        Ok(Self {
            parts,
            encryption_of_environment: by_environment.filter(is_read).unwrap_or_default(),
        })
    }

    pub(super) fn has_encryption(&self) -> bool {
        !self.encryption_of_environment.is_empty()
            || self.parts.iter().any(|part| part.kind == ENCRYPTION)
    }

    /// Whether there is nothing that a file would have to say.
    pub(super) fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// The encryption, with what it may name: a variable that has no value is refused only where it
    /// is there.
    pub(super) fn of_encryption(mut self) -> Self {
        let names = self.names_from(ENCRYPTION);
        let names_any = |of: &str| names.iter().any(|name| name.starts_with(of));
        let (names_local, names_variable) = (names_any("local."), names_any("var."));
        self.parts.retain(|part| match part.kind {
            ENCRYPTION => true,
            LOCALS => names_local,
            VARIABLES => names_variable,
            _ => false,
        });
        self
    }

    /// What in the backend block depends on where it is evaluated, if anything does.
    pub(super) fn place_of_backend(&self) -> Option<String> {
        self.named_from(BACKEND, &OF_A_PLACE)
    }

    /// What in the encryption would differ in a shadow, if anything would.
    pub(super) fn place_of_encryption(&self) -> Option<String> {
        self.named_from(ENCRYPTION, &OF_THE_WORKING_DIRECTORY)
    }

    /// Whether the backend block depends on the workspace.
    pub(super) fn has_workspace_in_backend(&self) -> bool {
        self.named_from(BACKEND, &["terraform.workspace"]).is_some()
    }

    /// Whether it is of a backend where asking makes a state.
    pub(super) fn is_made_by_asking(&self) -> bool {
        let made = ALL.iter().filter(|known| known.is_made_by_asking);
        let kinds: Vec<&str> = made.map(|known| known.schema.kind).collect();
        self.named_from(BACKEND, &kinds).is_some()
    }

    /// The first of these words that stands in a block of this kind, or in locals where that names
    /// any. In doubt it is found: in a text between quotes too.
    fn named_from(&self, kind: &str, words: &[&str]) -> Option<String> {
        let names = self.names_from(kind);
        let mut words = words.iter();
        words
            .find(|word| names.contains(**word))
            .map(|word| (*word).to_owned())
    }

    fn names_from(&self, kind: &str) -> BTreeSet<String> {
        let of_kind = |kind: &str| -> BTreeSet<String> {
            let parts = self.parts.iter().filter(|part| part.kind == kind);
            parts.flat_map(|part| words_of(&part.text)).collect()
        };
        let mut names = of_kind(kind);
        if kind == ENCRYPTION {
            names.append(&mut words_of(&self.encryption_of_environment));
        }
        if names.iter().any(|name| name.starts_with("local.")) {
            names.append(&mut of_kind(LOCALS));
        }
        names
    }

    /// Writes it into a shadow of `directory`, with the files that give values to variables.
    pub(super) fn write(&self, directory: &Path, shadow: &Path) -> io::Result<()> {
        let names: BTreeSet<&str> = self.parts.iter().map(|part| part.file.as_str()).collect();
        for name in names {
            let parts = self.parts.iter().filter(|part| part.file == name);
            let texts: Vec<String> = parts.map(|part| part.in_file(name)).collect();
            let text = if is_json(Path::new(name)) {
                format!("[{}]", texts.join(","))
            } else {
                texts.join("\n")
            };
            fs::write(shadow.join(name), text)?;
        }
        for entry in fs::read_dir(directory)? {
            let name = entry?.file_name();
            let text = name.to_string_lossy();
            if text.ends_with(".tfvars") || text.ends_with(".tfvars.json") {
                symlink(directory.join(&name), shadow.join(&name))?;
            }
        }
        Ok(())
    }

    /// What cuts it out of its files in a shell, into files of the same names in `$private`: what it says
    /// may be a secret, and is not printed.
    pub(super) fn cut_out_by_hand(&self) -> String {
        let mut files: Vec<&str> = self.parts.iter().map(|part| part.file.as_str()).collect();
        files.dedup();
        let cut_out = |name: &str| {
            let parts = self.parts.iter().filter(|part| part.file == name);
            let cuts: Vec<String> = parts.map(Part::cut_out_by_hand).collect();
            let cuts = if is_json(Path::new(name)) {
                format!("printf '['; {}printf ']'; ", cuts.join("printf ','; "))
            } else {
                cuts.concat()
            };
            format!("{{ {cuts}}} >\"$private\"/{} && ", quoted(name))
        };
        files.into_iter().map(cut_out).collect()
    }
}

impl Part {
    /// Whether it stands in a `terraform` block.
    fn is_inside(&self) -> bool {
        [BACKEND, ENCRYPTION].contains(&self.kind)
    }

    /// What a shell shows it by, as it stands in a file.
    fn cut_out_by_hand(&self) -> String {
        let file = quoted(&self.file);
        let kind = self.kind;
        match (self.lies, self.is_inside()) {
            (Lies::Lines(first, last), false) => format!("sed -n {first},{last}p {file}; "),
            (Lies::Lines(first, last), true) => {
                format!("echo '{TERRAFORM} {{'; sed -n {first},{last}p {file}; echo '}}'; ")
            }
            (Lies::BeforeEnd(bytes), is_inside) => {
                let cut = format!("tail -c {bytes} {file} | head -c {}", self.text.len());
                let (begin, end) = if is_inside {
                    (format!("{{\"{TERRAFORM}\":{{\"{kind}\":"), "}}")
                } else {
                    (format!("{{\"{kind}\":"), "}")
                };
                format!("printf '{begin}'; {cut}; printf '{end}'; ")
            }
        }
    }

    /// As it stands in a file of this name.
    fn in_file(&self, name: &str) -> String {
        let Self { kind, text, .. } = self;
        match (is_json(Path::new(name)), self.is_inside()) {
            (false, false) => format!("{text}\n"),
            (false, true) => format!("{TERRAFORM} {{\n{text}\n}}\n"),
            (true, false) => format!("{{\"{kind}\":{text}}}"),
            (true, true) => format!("{{\"{TERRAFORM}\":{{\"{kind}\":{text}}}}}"),
        }
    }
}

fn hcl_parts(text: &str) -> Vec<Part> {
    let outside = [(VARIABLES, &[VARIABLES]), (LOCALS, &[LOCALS])];
    let inside = [(BACKEND, &[BACKEND]), (ENCRYPTION, &[ENCRYPTION])];
    let outside = outside.map(|(kind, names)| {
        (
            kind,
            Wanted {
                outside: names,
                inside: &[],
            },
        )
    });
    let inside = inside.map(|(kind, names)| {
        (
            kind,
            Wanted {
                outside: &[],
                inside: names,
            },
        )
    });
    let of_kind = |(kind, wanted)| {
        let found = blocks(text, wanted).into_iter();
        found.map(move |block| {
            let first = block.lines_before + 1;
            let breaks = block.text.matches('\n').count();
            Part {
                file: String::new(),
                kind,
                text: block.text.to_owned(),
                lies: Lies::Lines(first, first + breaks),
            }
        })
    };
    outside
        .into_iter()
        .chain(inside)
        .flat_map(of_kind)
        .collect()
}

fn json_parts(text: &str) -> serde_json::Result<Vec<Part>> {
    let document: &RawValue = serde_json::from_str(text)?;
    let end = text.as_ptr().addr() + text.len();
    let part = |kind, value: &RawValue| Part {
        file: String::new(),
        kind,
        text: value.get().to_owned(),
        lies: Lies::BeforeEnd(end - value.get().as_ptr().addr()),
    };
    let mut parts = Vec::new();
    for kind in [VARIABLES, LOCALS] {
        let found = members(document, kind)?.into_iter();
        parts.extend(found.map(|value| part(kind, value)));
    }
    for terraform in members(document, TERRAFORM)? {
        for (name, value) in each(terraform)? {
            let kinds = [BACKEND, ENCRYPTION];
            let kind = kinds.into_iter().find(|kind| name == *kind);
            parts.extend(kind.map(|kind| part(kind, value)));
        }
    }
    Ok(parts)
}

/// The names in a text, with what they are names in, as far as they can be read without knowing the
/// language.
fn words_of(text: &str) -> BTreeSet<String> {
    let is_part = |letter: char| letter.is_alphanumeric() || letter == '_' || letter == '.';
    let words: Vec<&str> = text.split_whitespace().collect();
    let text = words.join(" ").replace(" .", ".").replace(". ", ".");
    text.split(|letter| !is_part(letter))
        .map(str::to_owned)
        .collect()
}
