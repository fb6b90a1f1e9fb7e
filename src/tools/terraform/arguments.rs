//! The words of a command line of Terraform's, and what it gets by TF_CLI_ARGS and its kind.

use crate::environment::Environment;
use crate::tools::error::ToolError;

/// The variables whose words Terraform puts before those of an `init`'s own command line, in the
/// order in which they stand there: the later ones win.
const VARIABLES: [&str; 2] = ["TF_CLI_ARGS_init", "TF_CLI_ARGS"];
/// The options that take the word after them where they have no `=`, of any subcommand that may open a
/// state, of Terraform up to 1.14 and OpenTofu up to 1.12: what is one of these for one subcommand is a
/// switch for no other.
const OPTIONS_WITH_A_VALUE: [&str; 27] = [
    "backend-config",
    "backup",
    "backup-out",
    "cloud-run",
    "config",
    "deprecation",
    "exclude",
    "exclude-file",
    "filter",
    "from-module",
    "generate-config-out",
    "invoke",
    "json-into",
    "junit-xml",
    "lock-timeout",
    "lockfile",
    "out",
    "parallelism",
    "plugin-dir",
    "replace",
    "state",
    "state-out",
    "target",
    "target-file",
    "test-directory",
    "var",
    "var-file",
];

/// One `-backend-config`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Given {
    /// The variable that gives it.
    pub(super) by: &'static str,
    /// A file, or NAME=VALUE.
    pub(super) text: String,
}

/// What the variables give, in the order in which Terraform takes it.
pub(super) fn given_by(environment: &Environment) -> Result<Vec<Given>, ToolError> {
    let mut all = Vec::new();
    for by in VARIABLES {
        let options = options_of(environment, by)?.into_iter();
        let configs = options.filter(|option| option.name == "backend-config");
        let texts = configs.filter_map(|option| option.value);
        all.extend(texts.map(|text| Given { by, text }));
    }
    Ok(all)
}

/// The `-var` and `-var-file` that the variables give, as words of a command line.
pub(super) fn values_by(environment: &Environment) -> Result<Vec<String>, ToolError> {
    let mut all = Vec::new();
    for by in VARIABLES {
        all.extend(values_of(&options_of(environment, by)?));
    }
    Ok(all)
}

/// The words that a run was given after this subcommand: by TF_CLI_ARGS_apply and its kind, by
/// TF_CLI_ARGS, and by its own command line, of which the later ones count.
pub(super) fn words_given(
    environment: &Environment,
    subcommand: &[String],
    command_line: &[String],
) -> Vec<String> {
    let own = format!("TF_CLI_ARGS_{}", subcommand.join("_").replace('-', "_"));
    // Where one cannot be read, the program has refused it.
    let added = [own.as_str(), "TF_CLI_ARGS"]
        .map(|name| environment.text(name).and_then(|text| words(&text)));
    let all = added.into_iter().flatten().chain([command_line.to_vec()]);
    all.flatten().collect()
}

/// The `-var` and `-var-file` among these, as words of a command line.
pub(super) fn values_of(options: &[CallOption]) -> impl Iterator<Item = String> {
    let is_one = |option: &&CallOption| option.name == "var" || option.name == "var-file";
    options.iter().filter(is_one).filter_map(|option| {
        let value = option.value.as_ref()?;
        Some(format!("-{}={value}", option.name))
    })
}

/// Words as a text that Terraform splits into just these.
pub(super) fn joined(words: &[String]) -> String {
    let quoted = words
        .iter()
        .map(|word| format!("'{}'", word.replace('\'', r"'\''")));
    quoted.collect::<Vec<_>>().join(" ")
}

/// The options that a variable gives.
pub(super) fn options_of(
    environment: &Environment,
    by: &'static str,
) -> Result<Vec<CallOption>, ToolError> {
    let text = environment.text(by).unwrap_or_default();
    let words = words(&text).ok_or(ToolError::BadArguments { variable: by })?;
    Ok(told_apart(words).0)
}

/// One option of a call, without its dashes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct CallOption {
    pub(super) name: String,
    pub(super) value: Option<String>,
    /// As it stands there.
    pub(super) words: Vec<String>,
}

/// Tells the options of a call from its operands.
pub(super) fn told_apart(words: Vec<String>) -> (Vec<CallOption>, Vec<String>) {
    let mut options = Vec::new();
    let mut words = words.into_iter();
    // Terraform takes no option after a word that is none.
    while let Some(word) = words.next() {
        let Some(option) = option(&word) else {
            let operand = (word != "--").then_some(word);
            return (options, operand.into_iter().chain(words).collect());
        };
        let (name, value) = match option.split_once('=') {
            Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
            None => (option.to_owned(), None),
        };
        let follows = value.is_none() && OPTIONS_WITH_A_VALUE.contains(&name.as_str());
        let following = follows.then(|| words.next()).flatten();
        options.push(CallOption {
            name,
            value: value.or_else(|| following.clone()),
            words: [word].into_iter().chain(following).collect(),
        });
    }
    (options, Vec::new())
}

/// Whether a word is this option, wherever it stands and whatever may be wrong with it.
pub(super) fn is_backend_config(word: &str) -> bool {
    option(word).is_some_and(|option| option.split('=').next() == Some("backend-config"))
}

/// An option without its dashes, of which there are one or two.
pub(super) fn option(word: &str) -> Option<&str> {
    let option = word.strip_prefix('-')?;
    let option = option.strip_prefix('-').unwrap_or(option);
    (!option.is_empty()).then_some(option)
}

/// How what stands around a character changes what it means.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Quoting {
    None,
    Single,
    Double,
    Backtick,
    /// Inside of `$(…)`.
    Substitution,
}

/// Splits a text into words as Terraform does: quotes and backslashes count, variables and
/// commands are left as they are, and what follows one of `;&|<>` is dropped. None where Terraform
/// refuses the text.
pub(super) fn words(text: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quoting = Quoting::None;
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        let quoting_after = match (quoting, character) {
            (Quoting::None, ';' | '&' | '|' | '<' | '>') => break,
            (Quoting::None, character) if is_space(character) => {
                words.extend(word.take());
                continue;
            }
            (quoting, '\\') if quoting != Quoting::Single => {
                word.get_or_insert_default().push(characters.next()?);
                continue;
            }
            (Quoting::None, '\'') => Some(Quoting::Single),
            (Quoting::None, '"') => Some(Quoting::Double),
            (Quoting::Single, '\'') | (Quoting::Double, '"') => Some(Quoting::None),
            _ => None,
        };
        let word = word.get_or_insert_default();
        if let Some(after) = quoting_after {
            quoting = after;
            continue;
        }
        quoting = match (quoting, character) {
            (Quoting::None, '`') => Quoting::Backtick,
            (Quoting::None, '(') if word.ends_with('$') => Quoting::Substitution,
            (Quoting::None, '(' | ')') => return None,
            (Quoting::Backtick, '`') | (Quoting::Substitution, ')') => Quoting::None,
            (quoting, _) => quoting,
        };
        word.push(character);
    }
    words.extend(word);
    (quoting == Quoting::None).then_some(words)
}

fn is_space(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\r' | '\n')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(variables: [(&str, &str); 2]) -> Vec<String> {
        let given = given_by(&Environment::from(variables)).unwrap();
        given.into_iter().map(|given| given.text).collect()
    }

    /// Each row was tried with the real Terraform.
    #[test]
    fn every_form_of_the_option_is_read_as_terraform_reads_it() {
        let rows: [(&str, &[&str]); 29] = [
            ("", &[]),
            ("-backend-config=path=x", &["path=x"]),
            ("-backend-config path=x", &["path=x"]),
            ("--backend-config path=x", &["path=x"]),
            ("--backend-config=path=x", &["path=x"]),
            ("-backend-config='path=a b'", &["path=a b"]),
            (r#"-backend-config="path=a b""#, &["path=a b"]),
            (r"-backend-config=path=a\ b", &["path=a b"]),
            ("-backend-config=path=$HOME/x", &["path=$HOME/x"]),
            ("-backend-config=path=`echo hi`", &["path=`echo hi`"]),
            ("-backend-config=path=$(echo hi)", &["path=$(echo hi)"]),
            (r#"-backend-config=path="a'b""#, &["path=a'b"]),
            (r#"-backend-config="path=a\"b""#, &["path=a\"b"]),
            (r#"-backend-config="path=a\nb""#, &["path=anb"]),
            (r"-backend-config='path=a\nb'", &[r"path=a\nb"]),
            (r"-backend-config=path=a\\b", &[r"path=a\b"]),
            ("-backend-config=path=a''b", &["path=ab"]),
            ("-backend-config=path=a;b", &["path=a"]),
            ("-backend-config=path=a|-backend-config=b", &["path=a"]),
            ("-backend-config=path=a>b", &["path=a"]),
            ("-backend-config ''", &[""]),
            ("-backend-config=", &[""]),
            ("-upgrade -backend-config=a", &["a"]),
            ("-lock-timeout 0s -backend-config=a", &["a"]),
            ("-plugin-dir -backend-config=a", &[]),
            (
                "-lock-timeout=0s\t-backend-config=a\n-backend-config b",
                &["a", "b"],
            ),
            ("-- -backend-config=a", &[]),
            ("directory -backend-config=a", &[]),
            ("-backend-config=a -- -backend-config=b", &["a"]),
        ];
        for (text, expected) in rows {
            assert_eq!(
                given([("TF_CLI_ARGS_init", text), ("X", "")]),
                expected,
                "{text}"
            );
        }
    }

    #[test]
    fn the_values_of_variables_are_given_on_as_they_are() {
        let environment = Environment::from([
            ("TF_CLI_ARGS", "-var 'a=it is' -no-color"),
            ("TF_CLI_ARGS_init", r#"-var-file=x.tfvars -var "b=it's""#),
        ]);
        let values = values_by(&environment).unwrap();
        assert_eq!(
            values,
            ["-var-file=x.tfvars", "-var=b=it's", "-var=a=it is"]
        );
        assert_eq!(words(&joined(&values)), Some(values));
    }

    #[test]
    fn a_word_after_an_option_is_its_value_whatever_the_subcommand() {
        for option in OPTIONS_WITH_A_VALUE {
            let line = format!("-no-color -{option} x --{option}=y -var=a=1 plan -late");
            let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
            let (options, operands) = told_apart(words);
            let value = |place: usize| options[place].value.as_deref();
            assert_eq!((value(0), value(1), value(2)), (None, Some("x"), Some("y")));
            assert_eq!(operands, ["plan", "-late"], "{option}");
        }
        let (options, operands) =
            told_apart(["-auto-approve", "--", "-x"].map(str::to_owned).into());
        assert_eq!((options.len(), operands), (1, vec!["-x".to_owned()]));
    }

    #[test]
    fn the_general_variable_stands_after_the_one_of_init() {
        let variables = [
            ("TF_CLI_ARGS", "-backend-config=general"),
            ("TF_CLI_ARGS_init", "-backend-config=init"),
        ];
        assert_eq!(given(variables), ["init", "general"]);
    }

    #[test]
    fn what_terraform_refuses_is_an_error_that_names_the_variable_and_not_its_value() {
        for text in [
            "a \"s3cret",
            "a 's3cret",
            "s3cret\\",
            "(s3cret)",
            "`s3cret",
            "$(s3cret",
            "s3cret)",
        ] {
            let error = given_by(&Environment::from([("TF_CLI_ARGS", text)])).unwrap_err();
            let words = error.to_string();
            assert!(
                words.contains("TF_CLI_ARGS") && !words.contains("s3cret"),
                "{words}"
            );
        }
    }
}
