//! What a Terraform that was seen to run says of the state that it used.

use std::fs;
use std::path::{Component, Path, PathBuf};

use super::backend::{Backend, DEFAULT_BACKEND};
use super::call::{Call, Effect};
use super::configuration::Configuration;
use super::place::{Terraform, selected_workspace};
use super::plan_file;
use super::settings::leads_elsewhere;
use crate::supervisor::SeenTool;
use crate::tools::processes::{Purpose, Sighting};

/// Which state a Terraform that was seen uses, beside the one that is named.
pub(super) fn sight(named: &Terraform, seen: &SeenTool) -> Sighting<Terraform> {
    let call = Call::read(seen);
    let effect = call.effect();
    if effect == Effect::None || call.takes_no_lock() {
        return Sighting::Nothing;
    }
    let directory = match &call.directory {
        Some(into) => led_into(seen, into),
        None => entered(seen),
    };
    let directory = without_steps_back(directory);
    let mut terraform = Terraform {
        binary: seen.program.clone(),
        held: seen.held.clone(),
        is_opentofu: named.is_opentofu_as(&seen.program),
        obstacle: None,
        directory,
        backend_config: Vec::new(),
        workspace: None,
        environment: seen.environment.clone(),
        is_seen: true,
        is_removed: false,
        seen_values: Some(call.values()),
        backend: None,
    };
    terraform.workspace = Some(selected_workspace(&terraform));
    if effect == Effect::Initialises {
        return initialising(named, terraform, &call);
    }
    terraform.backend = in_use(&terraform);
    match effect {
        Effect::RemovesWorkspace => {
            terraform.workspace = call.operands.first().cloned();
            terraform.is_removed = true;
            return proved(named, terraform, Sighting::Removing);
        }
        Effect::MakesWorkspace => terraform.workspace = call.operands.first().cloned(),
        _ => {}
    }
    match planned(effect, &call, &terraform.directory) {
        Some(Ok((backend, workspace))) => {
            terraform.backend = Some(backend);
            terraform.workspace = Some(workspace);
            Sighting::Place(terraform)
        }
        Some(Err(reason)) => Sighting::Doubtful(terraform, reason),
        None => match other_file(&call, &terraform) {
            Some(reason) => Sighting::Doubtful(terraform, reason),
            None => proved(named, terraform, Sighting::Place),
        },
    }
}

/// Why the state of a local backend is perhaps not where the backend says: options name another file, or
/// two, of which Terraform reads one, and locks and writes the other.
fn other_file(call: &Call, terraform: &Terraform) -> Option<String> {
    let backend = terraform.backend.as_ref();
    let is_local = backend.is_none_or(|backend| backend.kind == DEFAULT_BACKEND);
    let mut options = ["state", "state-out"].into_iter();
    let option = options.find(|option| call.given(option).next().is_some());
    let option = option.filter(|_| is_local)?;
    Some(format!(
        "`-{option}` names another file than the backend of {}. Name that file by `path` in a backend \
         block",
        terraform.directory.display()
    ))
}

/// What was seen where `.terraform` says which state is used. Terraform refuses to start where that is of
/// another backend than the configuration names, and asks nobody, unless an `init` was given that other
/// one.
fn proved(
    named: &Terraform,
    terraform: Terraform,
    seen: fn(Terraform) -> Sighting<Terraform>,
) -> Sighting<Terraform> {
    let mut configuration = terraform.configuration();
    if is_here(named, &terraform) {
        configuration
            .backend_config
            .clone_from(&named.backend_config);
    }
    let (Some(kept), Some(contradicting)) = (&terraform.backend, configuration.contradicting())
    else {
        return seen(terraform);
    };
    let perhaps = trusted_as(&contradicting, kept, &terraform);
    let reason = format!(
        "{} was set up for another backend than its configuration names, and no `init` of this deploy \
         was seen to do that. Run `init`",
        terraform.directory.display()
    );
    Sighting::Unproved(Box::new(seen(terraform)), perhaps, reason)
}

/// Whether `init` was given nothing of what is named for it, and that would have made a difference.
fn has_missed(named: &[String], configuration: &Configuration) -> bool {
    let is_given_nothing = configuration.given().is_ok_and(|given| given.is_empty());
    let Ok(Some(block)) = configuration.block() else {
        return false;
    };
    let with_all = Configuration {
        backend_config: named.to_vec(),
        ..configuration.clone()
    };
    let settings = |configuration: &Configuration| {
        let merged = configuration.merged(block.clone());
        merged.ok().map(|(settings, _)| settings)
    };
    is_given_nothing && !named.is_empty() && settings(&with_all) != settings(configuration)
}

/// Whether both are in one directory, whatever it is called.
fn is_here(named: &Terraform, seen: &Terraform) -> bool {
    let real = |place: &Terraform| fs::canonicalize(&place.directory).ok();
    named.directory == seen.directory || real(named).is_some_and(|here| real(seen) == Some(here))
}

/// A host that nobody has named, and that Terraform perhaps never asked, gets no credentials.
fn trusted_as(named: &Backend, kept: &Backend, terraform: &Terraform) -> Terraform {
    if leads_elsewhere(named, kept) {
        terraform.without_credentials()
    } else {
        terraform.clone()
    }
}

/// What an `init` sets up. One that brings a state from one backend to another holds the locks of both,
/// and writes down the new one last.
///
/// Terraform up to 0.15.3 brings it without being told to, and every later one refuses that and asks
/// nobody. Which of them this is, nothing says: so both states count, as they stay where it has refused.
fn initialising(named: &Terraform, mut terraform: Terraform, call: &Call) -> Sighting<Terraform> {
    let configuration = Configuration {
        backend_config: call.given("backend-config").map(str::to_owned).collect(),
        ..terraform.configuration()
    };
    if has_missed(&named.backend_config, &configuration) && is_here(named, &terraform) {
        let reason = format!(
            "`init` in {} did not get what BACKEND_CONFIG names, because its program is not the one \
             that PATH named when the deploy began. Give it `-backend-config`",
            terraform.directory.display()
        );
        return Sighting::Beside(terraform, reason);
    }
    let is_first = matches!(configuration.initialised(), Ok(None));
    let is_on = |switch| call.switch(switch) == Some(true);
    let may_move = !is_first && (is_on("migrate-state") || is_on("force-copy"));
    let (from, to) = match configuration.moves() {
        Ok(Some(moved)) => moved,
        // OpenTofu takes variables in a backend block, and says their values to nobody.
        Err(error) if may_move => {
            terraform.backend = configuration.initialised().ok().flatten();
            return Sighting::Beside(
                terraform,
                format!("where `init` may bring it cannot be read: {error}"),
            );
        }
        Ok(None) | Err(_) => {
            terraform.backend = if is_first {
                // It may be killed before it has written down what it was given.
                configuration.resolve_used().ok().map(|used| used.backend)
            } else if is_on("reconfigure") {
                // What is kept may have more than what is named has, and that is given up.
                None
            } else {
                configuration.initialised().ok().flatten()
            };
            return Sighting::Initialising(terraform);
        }
    };
    if is_on("reconfigure") {
        terraform.backend = Some(to);
        return Sighting::Initialising(terraform);
    }
    let mut left = if is_first || may_move {
        terraform.clone()
    } else {
        trusted_as(&to, &from, &terraform)
    };
    left.backend = Some(from);
    terraform.backend = Some(to);
    Sighting::Moving(left, terraform)
}

/// What a Terraform that was seen is there for.
pub(super) fn purpose(seen: &SeenTool) -> Purpose {
    let call = Call::read(seen);
    match call.effect() {
        Effect::Locks if call.words == ["plan"] => Purpose::Plan,
        Effect::Locks if call.words == ["destroy"] || call.words == ["test"] => Purpose::Change,
        Effect::Applies => Purpose::Change,
        Effect::Locks | Effect::MakesWorkspace | Effect::RemovesWorkspace => Purpose::Tend,
        Effect::None | Effect::Initialises => Purpose::Other,
    }
}

/// Where it was started, as whoever started it calls that place.
fn entered(seen: &SeenTool) -> PathBuf {
    let named = seen.environment.get("PWD").map(PathBuf::from);
    named
        .filter(|named| fs::canonicalize(named).is_ok_and(|named| named == seen.directory))
        .unwrap_or_else(|| seen.directory.clone())
}

/// Where `-chdir` leads it. Terraform goes there itself, right after it was started, and whoever looks a
/// moment later sees it there already: the word must not lead further on then.
fn led_into(seen: &SeenTool, into: &Path) -> PathBuf {
    let named = seen.environment.get("PWD").map(Path::new);
    let from_named = named
        .filter(|named| named.is_absolute())
        .map(|named| named.join(into));
    let is_there = |path: &PathBuf| fs::canonicalize(path).is_ok_and(|path| path == seen.directory);
    if let Some(arrived) = from_named.filter(is_there) {
        return arrived;
    }
    let further = entered(seen).join(into);
    if further.is_dir() {
        further
    } else {
        seen.directory.clone()
    }
}

/// The same directory without `..`, by which its parents are not those that its path names. Behind a
/// symbolic link, a step back leads elsewhere than the path says.
fn without_steps_back(directory: PathBuf) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in directory.components() {
        match part {
            Component::ParentDir => {
                plain.pop();
            }
            part => plain.push(part),
        }
    }
    match (fs::canonicalize(&plain), fs::canonicalize(&directory)) {
        (Ok(one), Ok(other)) if one != other => other,
        (Err(_), Ok(other)) => other,
        (_, Ok(_)) => plain,
        (_, Err(_)) => directory,
    }
}

/// What the saved plan says that is applied, where one is.
fn planned(
    effect: Effect,
    call: &Call,
    directory: &Path,
) -> Option<Result<(Backend, String), String>> {
    let file = call
        .operands
        .first()
        .filter(|_| effect == Effect::Applies)?;
    let path = directory.join(file);
    // Up to 0.13, this may be the directory of the configuration.
    if path.is_dir() {
        return None;
    }
    let read = plan_file::backend(&path, directory);
    Some(read.map_err(|reason| {
        format!(
            "it applied the plan {}, whose backend cannot be read: {reason}",
            path.display()
        )
    }))
}

/// A directory that is made for one deploy may be gone when it has ended, or set up anew by then.
fn in_use(terraform: &Terraform) -> Option<Backend> {
    let configuration = terraform.configuration();
    let kept = configuration.initialised().ok()?;
    // A backend block counts only once it is initialised; where there is none, nothing needs to be.
    let is_local = kept.is_none() && !configuration.has_backend_block().ok()?;
    let local = is_local.then(|| configuration.resolve_used());
    kept.or_else(|| Some(local?.ok()?.backend))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment::Environment;

    fn seen(line: &str) -> SeenTool {
        let words = ["terraform"].into_iter().chain(line.split(' '));
        SeenTool {
            program: PathBuf::new(),
            arguments: words.map(str::to_owned).collect(),
            directory: PathBuf::new(),
            environment: Environment::default(),
            held: None,
            is_heard: true,
        }
    }

    #[test]
    fn a_plan_is_told_from_what_may_make_or_change_something() {
        for (line, expected) in [
            ("plan -out=plan", Purpose::Plan),
            ("-chdir=infra plan", Purpose::Plan),
            ("init", Purpose::Other),
            ("version", Purpose::Other),
            ("apply plan", Purpose::Change),
            ("destroy -auto-approve", Purpose::Change),
            ("test", Purpose::Change),
            ("state rm a.b", Purpose::Tend),
            ("import a.b 1", Purpose::Tend),
            ("workspace new prod", Purpose::Tend),
            ("workspace delete prod", Purpose::Tend),
        ] {
            assert_eq!(purpose(&seen(line)), expected, "{line}");
        }
    }

    #[test]
    fn a_directory_is_named_without_steps_back_and_stays_the_same_behind_a_link() {
        let scratch = tempfile::tempdir().unwrap();
        let root = fs::canonicalize(scratch.path()).unwrap();
        for name in ["live/app", "live/network", "far/below", "far/network"] {
            fs::create_dir_all(root.join(name)).unwrap();
        }
        std::os::unix::fs::symlink(root.join("far/below"), root.join("live/link")).unwrap();
        for (directory, expected) in [
            ("live/app/../network", "live/network"),
            ("live/link", "live/link"),
            ("live/link/../network", "far/network"),
            ("live/app/../../far/below/..", "far"),
            ("live/none/../network", "live/none/../network"),
        ] {
            let found = without_steps_back(root.join(directory));
            assert_eq!(found, root.join(expected), "{directory}");
        }
    }

    #[test]
    fn chdir_leads_to_the_same_place_before_and_after_terraform_has_gone_there() {
        let scratch = tempfile::tempdir().unwrap();
        let root = fs::canonicalize(scratch.path()).unwrap();
        let infra = root.join("infra");
        fs::create_dir_all(infra.join("live")).unwrap();
        let link = root.join("link");
        std::os::unix::fs::symlink(&infra, &link).unwrap();
        let text = |path: &Path| path.display().to_string();
        for (directory, named, into, expected) in [
            (&root, text(&root), "infra", &infra),
            (&infra, text(&root), "infra", &infra),
            (&infra, text(&root), "link", &link),
            (&root, String::new(), "infra", &infra),
            // Whoever has started it has not said where, and it is there.
            (&infra, String::new(), "infra", &infra),
            (&infra, text(&root), "live", &infra.join("live")),
            (&infra, text(&infra), "live", &infra.join("live")),
            (&root, text(&infra), "..", &infra.join("..")),
        ] {
            let mut seen = seen("apply");
            seen.directory = directory.clone();
            seen.environment = Environment::parse(format!("PWD={named}\0").as_bytes());
            assert_eq!(
                led_into(&seen, Path::new(into)).components().as_path(),
                expected.as_path().components().as_path(),
                "{} {named} {into}",
                directory.display()
            );
        }
    }
}
