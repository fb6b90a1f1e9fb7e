//! What the words of a command of the user's own show before it runs.

use std::path::{Component, Path, PathBuf};

use super::call::{Call, Effect};
use super::place::Terraform;
use crate::environment::Environment;
use crate::supervisor::SeenTool;

/// What a Terraform is started with to use another workspace than the one that is selected.
const WORKSPACE: &str = "TF_WORKSPACE";
/// Programs that start no others.
const PLAIN: [&str; 10] = [
    ":", "[", "cd", "echo", "ls", "mkdir", "printf", "set", "test", "true",
];

/// Whether a command is seen to call Terraform, and only in ways that take no lock. What calls anything
/// else than the plainest programs is not seen through.
pub(super) fn takes_no_lock(words: &[String]) -> bool {
    let Some(calls) = calls(words) else {
        return false;
    };
    let takes_none = |call: &Vec<&str>| {
        if is_terraform(call) {
            has_no_lock(&read(call))
        } else {
            PLAIN.contains(&name(call))
        }
    };
    calls.iter().any(|call| is_terraform(call)) && calls.iter().all(takes_none)
}

/// Whether a command is seen to take locks in other directories or workspaces alone than in that of
/// this place, which it leaves before.
pub(super) fn leaves(named: &Terraform, words: &[String]) -> bool {
    let Some(calls) = calls(words) else {
        return false;
    };
    // Terraform refuses to select a workspace where the variable names one.
    let is_fixed = named.workspace.is_some() || named.environment.get(WORKSPACE).is_some();
    let here = named.workspace();
    let mut directory = PathBuf::new();
    let mut workspace = here.clone();
    let mut takes_any = false;
    for call in calls {
        match call.as_slice() {
            ["cd", to] => match below(&directory, Path::new(to)) {
                Some(entered) => directory = entered,
                None => return false,
            },
            call if is_terraform(call) => {
                let call = read(call);
                let into = call.directory.clone().unwrap_or_default();
                let Some(used) = below(&directory, &into) else {
                    return false;
                };
                let is_here = used.as_os_str().is_empty();
                let operand = call.operands.first();
                if let Some(selected) = operand.filter(|_| is_here && !is_fixed && selects(&call)) {
                    workspace.clone_from(selected);
                }
                if has_no_lock(&call) {
                    continue;
                }
                let locked = match call.effect() {
                    Effect::MakesWorkspace | Effect::RemovesWorkspace => operand,
                    _ => Some(&workspace),
                };
                if is_here && locked == Some(&here) {
                    return false;
                }
                takes_any = true;
            }
            call if PLAIN.contains(&name(call)) && name(call) != "cd" => {}
            _ => return false,
        }
    }
    takes_any
}

/// The calls in a command, or in the shell script in its words; nothing where a shell would make other
/// words of them.
fn calls(words: &[String]) -> Option<Vec<Vec<&str>>> {
    match words {
        [shell, _, script] if shell == "/bin/sh" => {
            if script.contains(['$', '`', '(', '{', '\\', '<', '"', '\'']) {
                return None;
            }
            let calls = script.split([';', '\n', '&', '|']);
            let calls = calls.map(|call| call.split_whitespace().collect::<Vec<_>>());
            Some(calls.filter(|call| !call.is_empty()).collect())
        }
        words => Some(vec![words.iter().map(String::as_str).collect()]),
    }
}

fn name<'a>(call: &[&'a str]) -> &'a str {
    let program = call.first().copied().unwrap_or_default();
    program.rsplit('/').next().unwrap_or_default()
}

fn is_terraform(call: &[&str]) -> bool {
    matches!(name(call), "terraform" | "tofu")
}

fn read(call: &[&str]) -> Call {
    Call::read(&SeenTool {
        program: PathBuf::new(),
        arguments: call.iter().map(|word| (*word).to_owned()).collect(),
        directory: PathBuf::new(),
        environment: Environment::own(),
        is_heard: true,
    })
}

fn has_no_lock(call: &Call) -> bool {
    matches!(call.effect(), Effect::None | Effect::Initialises) || call.takes_no_lock()
}

fn selects(call: &Call) -> bool {
    call.words == ["workspace", "select"] || call.words == ["workspace", "new"]
}

/// Where a path leads from this directory, both as seen from the place; nothing where words do not show
/// whether that is another directory.
fn below(directory: &Path, path: &Path) -> Option<PathBuf> {
    let mut entered = directory.to_path_buf();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::Normal(name)
                if !name.as_encoded_bytes().starts_with(b"~") && name != "-" =>
            {
                entered.push(name);
            }
            Component::ParentDir if entered.pop() => {}
            _ => return None,
        }
    }
    Some(entered)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script(text: &str) -> [String; 3] {
        ["/bin/sh", "-ec", text].map(str::to_owned)
    }

    #[test]
    fn a_command_that_is_seen_to_take_no_lock_is_known() {
        for text in [
            "terraform version",
            "terraform init; terraform validate",
            "cd infra && terraform plan -lock=false",
            "echo x | terraform fmt",
        ] {
            assert!(takes_no_lock(&script(text)), "{text}");
        }
        for text in [
            "make deploy",
            "true",
            "terraform plan",
            "terraform version; terraform apply",
            "terraform version; make deploy",
            "terraform version; $RUN",
            "terraform version; eval x",
            "exec terraform version",
        ] {
            assert!(!takes_no_lock(&script(text)), "{text}");
        }
        assert!(takes_no_lock(&["terraform", "output"].map(str::to_owned)));
        assert!(!takes_no_lock(&[]));
    }

    #[test]
    fn a_command_that_leaves_the_place_before_it_takes_a_lock_is_known() {
        let place = |workspace: Option<&str>| Terraform {
            binary: PathBuf::from("terraform"),
            is_opentofu: false,
            obstacle: None,
            directory: PathBuf::from("/nowhere"),
            backend_config: Vec::new(),
            workspace: workspace.map(str::to_owned),
            environment: Environment::default(),
            is_seen: false,
            is_removed: false,
            seen_values: None,
            backend: None,
        };
        let named = place(None);
        for text in [
            "terraform init; terraform workspace select pr-7; terraform apply",
            "terraform workspace select pr-7 || terraform workspace new pr-7; tofu apply plan",
            "terraform workspace select pr-7; terraform destroy\nterraform workspace select default\n\
             terraform workspace delete pr-7",
            "terraform workspace select -or-create pr-7 && terraform apply",
            "cd infra && terraform apply",
            "cd infra; terraform apply; cd ../network; terraform apply",
            "terraform -chdir=infra apply",
        ] {
            assert!(leaves(&named, &script(text)), "{text}");
        }
        for text in [
            "terraform apply",
            "make deploy",
            "cd infra && make deploy",
            "terraform init; terraform version",
            "terraform apply; terraform workspace select pr-7; terraform apply",
            "terraform workspace select default; terraform apply",
            "terraform workspace select pr-7; terraform apply; terraform workspace select default; \
             terraform apply",
            "terraform workspace select pr-7; ./deploy",
            "terraform workspace select $NAME; terraform apply",
            "terraform -chdir=infra workspace select pr-7; terraform apply",
            "cd infra; terraform apply; cd ..; terraform apply",
            "cd ..; terraform apply",
            "cd -; terraform apply",
            "cd; terraform apply",
            "cd /infra && terraform apply",
            "cd . && terraform apply",
            "terraform -chdir=. apply",
            "cd infra; terraform -chdir=.. apply",
        ] {
            assert!(!leaves(&named, &script(text)), "{text}");
        }
        let text = "terraform workspace select pr-7; terraform apply";
        assert!(!leaves(&place(Some("default")), &script(text)));
        let words = ["terraform", "-chdir=infra", "apply"].map(str::to_owned);
        assert!(leaves(&named, &words));
    }
}
