//! Which repository of Bitbucket's a clone is of.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::story::places::enter;
use crate::tools::Host;
use crate::tools::clone::repository_around;

/// What a clone of Bitbucket's has in its address.
const SERVER: &str = "bitbucket.org";
/// How long git may take.
const LIMIT_OF_GIT: Duration = Duration::from_secs(1);

/// A repository, in its workspace.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Repository {
    pub(super) workspace: String,
    pub(super) name: String,
}

/// Nothing where the clone's `origin` is elsewhere.
pub(super) async fn repository<H: Host>(host: &H, directory: &Path) -> Option<Repository> {
    let mut command = Command::new("git");
    command.args(["remote", "get-url", "origin"]);
    enter(&mut command, &repository_around(directory));
    let helped = host.run_helper(command, LIMIT_OF_GIT).await.ok()?;
    let url = helped.status.success().then_some(helped.stdout)?;
    read(url.trim())
}

/// Reads what git clones from: an address, or the short form of ssh.
fn read(url: &str) -> Option<Repository> {
    let (before, path) = url.split_once(SERVER)?;
    let is_server = before.is_empty() || before.ends_with(['@', '/']);
    let path = path.strip_prefix([':', '/']).filter(|_| is_server)?;
    let path = path.trim_end_matches('/').trim_end_matches(".git");
    let (workspace, name) = path.split_once('/')?;
    let is_name = |name: &str| !name.is_empty() && !name.contains('/');
    (is_name(workspace) && is_name(name)).then(|| Repository {
        workspace: workspace.to_owned(),
        name: name.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_of_a_clone_names_its_repository() {
        for url in [
            "git@bitbucket.org:acme/infra.git",
            "ssh://git@bitbucket.org/acme/infra.git",
            "https://anna@bitbucket.org/acme/infra.git",
            "https://bitbucket.org/acme/infra/",
        ] {
            let expected = Repository {
                workspace: "acme".to_owned(),
                name: "infra".to_owned(),
            };
            assert_eq!(read(url), Some(expected), "{url}");
        }
        for url in [
            "git@github.com:acme/infra.git",
            "https://notbitbucket.org/acme/infra",
            "https://bitbucket.org.example/acme/infra",
            "https://bitbucket.org/acme",
            "/srv/git/infra",
        ] {
            assert_eq!(read(url), None, "{url}");
        }
    }
}
