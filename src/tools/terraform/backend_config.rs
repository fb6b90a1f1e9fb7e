//! How what BACKEND_CONFIG gives comes to an `init`: never by a value on a command line.

use std::io;
use std::path::Path;

use super::backends::ALL;
use super::plain::is_plain_path;
use crate::private;

/// Whether each setting is a pair, or a file as seen from this directory.
pub(super) fn check_files(backend_config: &[String], directory: &Path) -> Result<(), String> {
    let unusable = backend_config
        .iter()
        .find(|setting| !setting.contains('=') && !directory.join(setting).is_file());
    match unusable {
        Some(setting) => Err(format!("BACKEND_CONFIG has {}", no_setting(setting))),
        None => Ok(()),
    }
}

/// What is wrong with what is neither a pair nor a file.
pub(super) fn no_setting(given: &str) -> String {
    let told = if is_plain_path(given) { given } else { "…" };
    format!("{told:?}: expected NAME=VALUE, or a file as seen from WORKING_DIR")
}

/// The options of `init`: files are named as they were, and values are written to files of their own
/// in `place`.
pub(super) fn options(backend_config: &[String], place: &Path) -> io::Result<Vec<String>> {
    let numbered = backend_config.iter().enumerate();
    let option = |(number, given): (usize, &String)| {
        let Some((name, value)) = given.split_once('=') else {
            return Ok(format!("-backend-config={given}"));
        };
        let file = place.join(format!("{number}.hcl"));
        write_setting(&file, name.trim(), value)?;
        Ok(format!("-backend-config={}", file.display()))
    };
    numbered.map(option).collect()
}

/// Writes a setting where only we can read it: a command line can be seen by everybody.
///
/// In such a file, `${` and `%{` begin a template; with NAME=VALUE on a command line they do not. The
/// value stands on a line of its own, because Terraform quotes the line of a name that it does
/// not know.
fn write_setting(file: &Path, name: &str, value: &str) -> io::Result<()> {
    let value = if is_expression(name, value) {
        value.to_owned()
    } else {
        let escaped: String = value
            .replace('\\', r"\\")
            .replace('"', "\\\"")
            .replace('\n', "\\n")
            .replace("${", "$${")
            .replace("%{", "%%{");
        format!("\"{escaped}\"")
    };
    private::write(file, format!("{name} = (\n{value}\n)\n"))
}

/// Whether Terraform takes NAME=VALUE of this setting for an expression, whichever backend is meant.
fn is_expression(name: &str, value: &str) -> bool {
    let mut known = ALL
        .iter()
        .map(|known| &known.schema)
        .filter(|schema| schema.knows(name))
        .peekable();
    match known.peek() {
        Some(_) => known.any(|schema| schema.is_structured(name)),
        None => value.starts_with(['{', '[']),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_setting_is_told_only_where_it_looks_like_a_path() {
        let refused = |given: &str| check_files(&[given.to_owned()], Path::new("/")).unwrap_err();
        assert!(refused("env/missing.hcl").contains("\"env/missing.hcl\""));
        assert!(refused("env/$STAGE.hcl").contains("\"env/$STAGE.hcl\""));
        for given in [
            "s3cret",
            "password s3cret",
            "password:s3cret",
            "postgres://user:s3cret@host/database",
        ] {
            let said = refused(given);
            assert!(said.contains("\"…\"") && !said.contains("s3cret"), "{said}");
        }
    }
}
