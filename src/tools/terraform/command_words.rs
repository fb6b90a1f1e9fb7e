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

/// Calls that a shell runs as one command.
struct List<'a> {
    calls: Vec<Vec<&'a str>>,
    links: Links,
}

/// What the calls of a list have to do with each other.
#[derive(PartialEq, Eq)]
enum Links {
    /// It is one call, or one workspace that is made where it cannot be selected.
    One,
    /// Each runs only where all before it have succeeded.
    Chain,
    /// Some may run beside others, or where others have failed.
    Loose,
}

/// Whether a command is seen to call Terraform, and only in ways that take no lock. What calls anything
/// else than the plainest programs is not seen through.
pub(super) fn takes_no_lock(words: &[String]) -> bool {
    let Some(lists) = lists(words) else {
        return false;
    };
    let calls: Vec<_> = lists.iter().flat_map(|list| &list.calls).collect();
    let takes_none = |call: &&Vec<&str>| {
        if is_terraform(call) {
            has_no_lock(&read(call))
        } else {
            is_plain(call)
        }
    };
    calls.iter().any(|call| is_terraform(call)) && calls.iter().all(takes_none)
}

/// Whether a command is seen to take locks in other directories or workspaces alone than in that of
/// this place, which it leaves before.
pub(super) fn leaves(named: &Terraform, words: &[String]) -> bool {
    let mut walk = Walk {
        named,
        directory: PathBuf::new(),
        workspace: named.workspace(),
        ends_on_failure: ends_on_failure(words),
        is_unsure: false,
        takes_any: false,
    };
    let lists = lists(words);
    let is_away = lists.is_some_and(|lists| lists.iter().all(|list| walk.goes(list).is_some()));
    is_away && walk.takes_any
}

/// Where a command has come to.
struct Walk<'a> {
    named: &'a Terraform,
    /// As seen from the place.
    directory: PathBuf,
    workspace: String,
    ends_on_failure: bool,
    /// Whether it may be elsewhere, because a call may have failed that was to lead here.
    is_unsure: bool,
    takes_any: bool,
}

impl Walk<'_> {
    /// Nothing where the list may take the lock of the place, or is not seen through.
    ///
    /// Even a shell with `-e` goes on where a call fails that is not the last of its list
    /// (`a_shell_goes_on_where_a_call_fails_that_is_not_the_last_of_its_list`).
    fn goes(&mut self, list: &List) -> Option<()> {
        if list.links == Links::Loose {
            return None;
        }
        let mut moves = false;
        for call in &list.calls {
            moves |= self.moves(call)?;
        }
        self.is_unsure |= moves && (list.links == Links::Chain || !self.ends_on_failure);
        Some(())
    }

    /// Whether this call leads elsewhere.
    fn moves(&mut self, call: &[&str]) -> Option<bool> {
        match call {
            ["cd", to] => {
                self.directory = below(&self.directory, Path::new(to))?;
                Some(true)
            }
            ["set", options @ ..] => {
                self.ends_on_failure &= !options.iter().any(|option| option.starts_with('+'));
                Some(false)
            }
            call if is_terraform(call) => self.moves_by(&read(call)),
            call if is_plain(call) && name(call) != "cd" => Some(false),
            _ => None,
        }
    }

    fn moves_by(&mut self, call: &Call) -> Option<bool> {
        let into = call.directory.clone().unwrap_or_default();
        let is_here = below(&self.directory, &into)?.as_os_str().is_empty();
        let operand = call.operands.first();
        // Terraform refuses to select a workspace where the variable names one.
        let is_fixed =
            self.named.workspace.is_some() || self.named.environment.get(WORKSPACE).is_some();
        let selected = operand.filter(|_| is_here && !is_fixed && selects(call));
        if let Some(selected) = selected {
            self.workspace.clone_from(selected);
        }
        if !has_no_lock(call) {
            let locked = match call.effect() {
                Effect::MakesWorkspace | Effect::RemovesWorkspace => operand,
                _ => Some(&self.workspace),
            };
            if self.is_unsure || is_here && locked == Some(&self.named.workspace()) {
                return None;
            }
            self.takes_any = true;
        }
        Some(selected.is_some())
    }
}

/// The lists of a command, or of the shell script in its words; nothing where a shell would make other
/// words of them.
fn lists(words: &[String]) -> Option<Vec<List<'_>>> {
    match words {
        [shell, _, script] if shell == "/bin/sh" => {
            if script.contains(['$', '`', '(', '{', '\\', '<', '"', '\'', '#']) {
                return None;
            }
            Some(script.split([';', '\n']).map(list).collect())
        }
        words => Some(vec![List {
            calls: vec![words.iter().map(String::as_str).collect()],
            links: Links::One,
        }]),
    }
}

fn list(text: &str) -> List<'_> {
    let calls = text.split(['&', '|']);
    let calls = calls.map(|call| without_exec(call.split_whitespace().collect()));
    let mut steps = text.split("&&");
    let first = steps.next().unwrap_or_default();
    let links = if !is_one(first) && !selects_or_makes(first) || !steps.clone().all(is_one) {
        Links::Loose
    } else if steps.next().is_some() {
        Links::Chain
    } else {
        Links::One
    };
    List {
        calls: calls.filter(|call| !call.is_empty()).collect(),
        links,
    }
}

/// A call that takes the shell's place is seen through like any other: what follows it does not run.
fn without_exec(mut call: Vec<&str>) -> Vec<&str> {
    if matches!(call[..], ["exec", program, ..] if !program.starts_with('-')) {
        call.remove(0);
    }
    call
}

fn is_one(step: &str) -> bool {
    !step.contains(['&', '|'])
}

/// Whether a step selects a workspace, and makes the same one where it is not there.
fn selects_or_makes(step: &str) -> bool {
    step.split_once("||").is_some_and(|(select, make)| {
        let made = select.replacen(" workspace select ", " workspace new ", 1);
        is_one(select) && made != select && made.trim() == make.trim()
    })
}

/// Whether a script ends where a call of it fails.
fn ends_on_failure(words: &[String]) -> bool {
    matches!(words, [_, options, _] if options.starts_with('-') && options.contains('e'))
}

fn name<'a>(call: &[&'a str]) -> &'a str {
    let program = call.first().copied().unwrap_or_default();
    program.rsplit('/').next().unwrap_or_default()
}

/// A script of the user's own may have the name of such a program.
fn is_plain(call: &[&str]) -> bool {
    let program = call.first().copied().unwrap_or_default();
    let place = program.rsplit_once('/').map(|(place, _)| place);
    let is_of_system = place.is_none_or(|place| matches!(place, "/bin" | "/usr/bin"));
    is_of_system && PLAIN.contains(&name(call))
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
        held: None,
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
    use std::process::Command;

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
            "/bin/echo x; terraform fmt",
            "exec terraform version",
            "cd infra && exec terraform output",
        ] {
            assert!(takes_no_lock(&script(text)), "{text}");
        }
        for text in [
            "make deploy",
            "true",
            "terraform plan",
            "terraform version; terraform apply",
            "terraform version; make deploy",
            "terraform init; ci/test",
            "terraform init; ./ls",
            "terraform version; $RUN",
            "terraform version; eval x",
            "exec terraform apply",
            "exec -c terraform version",
            "exec make deploy",
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
            held: None,
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
            "terraform workspace select pr-7 || terraform workspace new pr-7 && terraform apply",
            "set -eu; cd infra; terraform apply",
            "set +e; cd infra && terraform apply",
            "[ -d infra ] && ls; cd infra && terraform init && terraform apply",
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
            "[ -d infra ] && cd infra; terraform apply",
            "cd infra && terraform init; terraform apply",
            "terraform workspace select pr-7 || true; terraform apply",
            "terraform workspace select pr-7 || terraform workspace new pr-8; terraform apply",
            "terraform workspace select pr-7 | ls; terraform apply",
            "terraform workspace select pr-7 & terraform apply",
            "cd infra && terraform workspace select pr-7 || terraform workspace new pr-7; \
             terraform apply",
            "set +e; terraform workspace select pr-7; terraform apply",
            "set +o errexit; cd infra; terraform apply",
            "terraform init # then; cd infra\nterraform apply",
        ] {
            assert!(!leaves(&named, &script(text)), "{text}");
        }
        let text = "terraform workspace select pr-7; terraform apply";
        assert!(!leaves(&place(Some("default")), &script(text)));
        let words = ["terraform", "-chdir=infra", "apply"].map(str::to_owned);
        assert!(leaves(&named, &words));
        let without_e = |text: &str| ["/bin/sh", "-c", text].map(str::to_owned);
        assert!(!leaves(&named, &without_e(text)));
        assert!(leaves(&named, &without_e("cd infra && terraform apply")));
    }

    #[test]
    fn a_shell_goes_on_where_a_call_fails_that_is_not_the_last_of_its_list() {
        let code_of = |text: &str| {
            let [shell, words @ ..] = script(text);
            let status = Command::new(shell).args(words).status().unwrap();
            status.code()
        };
        assert_eq!(code_of("false && true; exit 7"), Some(7));
        assert_eq!(code_of("true && false; exit 7"), Some(1));
        assert_eq!(code_of("false || false; exit 7"), Some(1));
    }
}
