//! The blocks by which a plan imports, and the file in which they lie while softstop plans.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use semver::Version;

use super::progress::is_address;
use super::quoted_text::{escaped, is_literal};
use crate::tools::recovering::{LaidOut, Made};

/// The file beside the configuration. Terraform and OpenTofu both read it: OpenTofu passes over a
/// `.tf` only where a `.tofu` of the same name stands beside it.
const FILE: &str = "softstop.imports.tf";
/// Its first line, without which it is not softstop's.
const MARK: &str = "# Written by softstop for one plan, and removed after it.\n";

/// Whether a program of this version knows such blocks.
pub(super) fn are_known_to(version: &str) -> bool {
    Version::parse(version).is_ok_and(|version| (version.major, version.minor) >= (1, 5))
}

/// Whether a block can name this address, and nothing in it is evaluated.
pub(super) fn can_name(address: &str) -> bool {
    is_address(address) && is_literal(address)
}

/// A block for each that can be named.
pub(super) fn blocks(made: &[Made]) -> String {
    let block = |Made { address, id }: &Made| {
        let id = escaped(id);
        format!("import {{\n  to = {address}\n  id = \"{id}\"\n}}\n")
    };
    let named = made.iter().filter(|made| can_name(&made.address));
    named.map(block).collect()
}

/// Puts them into this directory.
pub(super) fn lay_out(directory: &Path, made: &[Made]) -> io::Result<LaidOut> {
    let path = directory.join(FILE);
    let text = format!("{MARK}{}", blocks(made));
    let mut file = fs::OpenOptions::new();
    let file = file.write(true).create_new(true).open(&path)?;
    // From here on whatever was written is removed.
    let laid_out = LaidOut(path);
    io::Write::write_all(&mut &file, text.as_bytes())?;
    Ok(laid_out)
}

/// Removes what a killed run has left of them in this directory: they break every plan once the
/// configuration no longer has the address.
pub(super) fn clear_away(directory: &Path) -> io::Result<Option<PathBuf>> {
    let path = directory.join(FILE);
    let text = match fs::read(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        text => text?,
    };
    // A run may have been killed before it had written all of it.
    let is_ours = text.starts_with(MARK.as_bytes()) || MARK.as_bytes().starts_with(&text);
    if !is_ours {
        return Ok(None);
    }
    fs::remove_file(&path)?;
    Ok(Some(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(address: &str, id: &str) -> Made {
        Made {
            address: address.to_owned(),
            id: id.to_owned(),
        }
    }

    #[test]
    fn a_block_says_address_and_id_as_hcl_has_them() {
        let made = [
            made("a.b", "one"),
            made(r#"module.m["x y"].a.b["$${k}"]"#, "\"${x}\\%{y}\n"),
        ];
        assert_eq!(
            blocks(&made),
            r#"import {
  to = a.b
  id = "one"
}
import {
  to = module.m["x y"].a.b["$${k}"]
  id = "\"$${x}\\%%{y}\n"
}
"#
        );
    }

    #[test]
    fn an_address_in_which_something_is_evaluated_is_none() {
        for address in ["a.b", "module.m[0].a.b", r#"a.b["$${x} %%{y} $x"]"#] {
            assert!(can_name(address), "{address}");
        }
        for text in [
            "a.b\n}",
            "a",
            r#"a.b["${path.cwd}"]"#,
            r#"a.b["%{if true}"]"#,
            r#"a.b["x"] }"#,
        ] {
            assert!(!can_name(text), "{text}");
        }
    }

    #[test]
    fn blocks_are_known_from_1_5_on() {
        for (version, known) in [
            ("1.5.0", true),
            ("1.11.4", true),
            ("2.0.0", true),
            ("1.4.7", false),
            ("0.15.5", false),
            ("", false),
        ] {
            assert_eq!(are_known_to(version), known, "{version}");
        }
    }

    #[test]
    fn the_file_is_gone_with_what_it_is_kept_by_and_after_a_kill_at_the_next_start() {
        let directory = tempfile::tempdir().unwrap();
        let made = [made("a.b", "one")];
        let laid_out = lay_out(directory.path(), &made).unwrap();
        let path = directory.path().join(FILE);
        assert!(fs::read_to_string(&path).unwrap().starts_with(MARK));
        assert!(lay_out(directory.path(), &made).is_err(), "it is in use");
        drop(laid_out);
        assert!(!path.exists());

        std::mem::forget(lay_out(directory.path(), &made).unwrap());
        assert_eq!(clear_away(directory.path()).unwrap(), Some(path.clone()));
        assert_eq!(clear_away(directory.path()).unwrap(), None);
        for (text, is_ours) in [("", true), (&MARK[..9], true), ("import {}\n", false)] {
            fs::write(&path, text).unwrap();
            assert_eq!(clear_away(directory.path()).unwrap().is_some(), is_ours);
        }
        assert!(path.exists(), "it is somebody else's");
    }
}
