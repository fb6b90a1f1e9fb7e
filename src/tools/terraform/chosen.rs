//! The version that TERRAFORM_VERSION chooses, found by its name before anything else of that name.

use std::env;
use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};

use nix::unistd::geteuid;
use semver::Version;
use tempfile::TempDir;
use tracing::info;

use super::program::{Program, find, is_version_manager};
use super::published::{Publisher, Unavailable};
use super::sign::VERSION_FILES;
use super::version::version_of;
use crate::environment::Environment;
use crate::private;
use crate::tools::host::Host;
use crate::tools::real::real;

/// What no program is, in a file that tells a version manager which one is wished for.
const NOBODYS: &str = "0.0.0\n";

/// What is chosen, for as long as this lives.
pub(crate) struct Chosen {
    pub(crate) version: Version,
    mirror: Option<String>,
    /// Stands first in PATH. Nothing is in it before it is provided.
    directory: TempDir,
    /// The names that are chosen, and what else has them.
    programs: Vec<(String, Option<PathBuf>)>,
}

impl Chosen {
    /// Reads what TERRAFORM_VERSION and TERRAFORM_MIRROR say.
    pub(crate) fn read(version: &str, mirror: Option<String>) -> Result<Self, String> {
        let Ok(parsed) = version.trim().parse() else {
            return Err(format!(
                "TERRAFORM_VERSION is {version:?}: expected a version, such as 1.11.4"
            ));
        };
        if let Some(mirror) = mirror.as_ref().filter(|mirror| !mirror.contains("://")) {
            return Err(format!(
                "TERRAFORM_MIRROR is {mirror:?}: expected an address, such as \
                 https://mirror.example/hashicorp"
            ));
        }
        let directory = private::directory().map_err(|problem| {
            format!("TERRAFORM_VERSION needs a directory for temporary files: {problem}; point TMPDIR at a writable directory")
        })?;
        Ok(Self {
            version: parsed,
            mirror,
            directory,
            programs: Vec::new(),
        })
    }

    /// Chooses the version for the program that a directory is of.
    pub(crate) fn choose(&mut self, program: &Program) -> Program {
        let name = program.name();
        if self.programs.iter().all(|(known, _)| known != name) {
            self.programs.push((name.to_owned(), find(name)));
        }
        program.at(self.directory.path().join(name))
    }

    /// PATH, with what is chosen before all else.
    pub(crate) fn path(&self) -> io::Result<std::ffi::OsString> {
        let path = env::var_os("PATH").unwrap_or_default();
        let places = [self.directory.path().to_owned()].into_iter();
        env::join_paths(places.chain(env::split_paths(&path))).map_err(io::Error::other)
    }

    /// Puts every program that is chosen in its place: what is installed, where it is of this version,
    /// or what an earlier run has fetched, or what is fetched now.
    pub(crate) async fn provide(&self, host: &impl Host) -> Result<(), Unavailable> {
        for (name, installed) in &self.programs {
            let place = self.directory.path().join(name);
            if let Some(installed) = installed
                && self.is_of_this_version(host, installed).await
            {
                symlink(installed, place)?;
                continue;
            }
            symlink(self.kept(host, name).await?, place)?;
        }
        Ok(())
    }

    /// What was fetched, now or by an earlier run.
    async fn kept(&self, host: &impl Host, name: &str) -> Result<PathBuf, Unavailable> {
        let cache = cache().unwrap_or_else(|| self.directory.path().join("kept"));
        let directory = cache.join(format!("{name}-{}", self.version));
        let program = directory.join(name);
        if !is_ours(&program) {
            self.fetch(host, name, &cache, &directory).await?;
        }
        Ok(program)
    }

    /// Whether a program is of this version wherever it runs. A version manager goes by the directory, and
    /// what it is here by default it may not be there. One that does not look like a version manager is
    /// asked where a file wishes for a version that nobody has.
    async fn is_of_this_version(&self, host: &impl Host, program: &Path) -> bool {
        let Ok(directory) = private::directory() else {
            return false;
        };
        let wish = |file: &str| fs::write(directory.path().join(file), NOBODYS).is_ok();
        if is_version_manager(&real(program)) || !VERSION_FILES.iter().all(|(file, _)| wish(file)) {
            return false;
        }
        let version = version_of(host, program, &Environment::own(), directory.path()).await;
        version.is_ok_and(|version| version == self.version.to_string())
    }

    /// Fetches a program beside its place and moves it there as a whole, so that nobody finds half of
    /// it.
    async fn fetch(
        &self,
        host: &impl Host,
        name: &str,
        beside: &Path,
        directory: &Path,
    ) -> Result<(), Unavailable> {
        info!(
            "Fetching {name} {}, as TERRAFORM_VERSION says.",
            self.version
        );
        fs::create_dir_all(beside)?;
        let arriving = tempfile::Builder::new()
            .prefix(".new-")
            .tempdir_in(beside)?;
        Publisher::of(name)
            .fetch(host, &self.version, self.mirror.as_deref(), arriving.path())
            .await?;
        Ok(arrive(arriving.path(), directory, name)?)
    }
}

/// Moves what was fetched to its place. What another run has put there meanwhile stays: a deploy may be
/// running it.
fn arrive(arriving: &Path, directory: &Path, name: &str) -> io::Result<()> {
    let is_there = || is_ours(&directory.join(name));
    if fs::rename(arriving, directory).is_ok() || is_there() {
        return Ok(());
    }
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    match fs::rename(arriving, directory) {
        Err(_) if is_there() => Ok(()),
        moved => moved,
    }
}

/// Where what was fetched is kept for later runs: never in the clone.
fn cache() -> Option<PathBuf> {
    let given = |name| {
        env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    let cache = given("XDG_CACHE_HOME").or_else(|| Some(given("HOME")?.join(".cache")))?;
    let clone = given("BITBUCKET_CLONE_DIR");
    let is_in_clone = clone.is_some_and(|clone| cache.starts_with(clone));
    let cache = cache.join("softstop");
    (cache.is_absolute() && !is_in_clone && fs::create_dir_all(&cache).is_ok()).then_some(cache)
}

/// Whether nobody else can have put it there.
fn is_ours(program: &Path) -> bool {
    let is_ours = |path: &Path| {
        let found = fs::symlink_metadata(path);
        found.is_ok_and(|found| found.uid() == geteuid().as_raw() && found.mode() & 0o022 == 0)
    };
    program.is_file() && program.parent().is_some_and(is_ours) && is_ours(program)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn what_another_run_has_put_there_meanwhile_stays_and_nothing_else_does() {
        let scratch = tempfile::tempdir().unwrap();
        let place = scratch.path().join("terraform-1.9.8");
        let found_after = |text: &str| {
            let arriving = scratch.path().join(text);
            fs::create_dir(&arriving).unwrap();
            let program = arriving.join("terraform");
            fs::write(&program, text).unwrap();
            for path in [arriving.as_path(), &program] {
                fs::set_permissions(path, fs::Permissions::from_mode(0o700)).unwrap();
            }
            arrive(&arriving, &place, "terraform").unwrap();
            fs::read_to_string(place.join("terraform")).unwrap()
        };
        assert_eq!(found_after("first"), "first");
        assert_eq!(found_after("second"), "first");
        fs::remove_file(place.join("terraform")).unwrap();
        fs::write(place.join("LICENSE.txt"), "").unwrap();
        assert_eq!(found_after("third"), "third");
        let open_to_all = fs::Permissions::from_mode(0o777);
        fs::set_permissions(place.join("terraform"), open_to_all).unwrap();
        assert_eq!(found_after("fourth"), "fourth");
    }
}
