//! Variables that nobody reads, because their names are not quite those of ours.

use std::collections::BTreeSet;
use std::env;
use std::fmt;

use super::known::{Image, PREFIX, VARIABLES, Variable};

/// Names with our prefix that are no settings: softstop gives them to what it starts, or its
/// documents use them for a variable of the repository.
const NO_SETTINGS: [&str; 7] = [
    "SOFTSTOP_EXIT_CODE",
    "SOFTSTOP_LOCK",
    "SOFTSTOP_LOCK_ID",
    "SOFTSTOP_OUTCOME",
    "SOFTSTOP_OWNER",
    "SOFTSTOP_STAMP",
    "SOFTSTOP_TOKEN",
];
/// What the names begin with by which softstop's own tests are told where things are.
const OF_TESTS: &str = "SOFTSTOP_TEST_";
/// How long a name is at least, without its underscores, that bears two mistakes.
const LONG: usize = 8;

/// A name that looks like one of ours.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Misspelt {
    pub(crate) name: String,
    /// The name that is probably meant.
    pub(crate) meant: Option<&'static str>,
}

impl Misspelt {
    /// All that softstop was started with. A variable that is left empty counts as not given.
    pub(crate) fn in_environment(image: Image) -> BTreeSet<Self> {
        env::vars_os()
            .filter(|(_, value)| !value.is_empty())
            .filter_map(|(name, _)| Self::find(&name.to_string_lossy(), image))
            .collect()
    }

    /// Judges a name. In the user's image most variables have nothing to do with us, so there a
    /// name must be very like one of ours.
    pub(crate) fn find(name: &str, image: Image) -> Option<Self> {
        let is_known = |name| {
            let mut known = VARIABLES.iter();
            known.any(|variable| variable.full == name || variable.short() == name)
        };
        let base = without_index(name);
        let is_ours = [name, base].iter().any(|name| NO_SETTINGS.contains(name));
        if is_known(base) || is_ours || name.starts_with(OF_TESTS) {
            return None;
        }
        let (meant, is_claimed) = if let Some(rest) = base.strip_prefix(PREFIX) {
            let mut known = VARIABLES.iter();
            let meant = known.find(|variable| is_like(rest, variable.short(), 2));
            (meant.map(|variable| variable.full), true)
        } else {
            let mistakes = if image == Image::Pipe { 2 } else { 1 };
            let mut known = VARIABLES.iter().filter(|known| known.is_short_in(image));
            let meant = known.find(|variable| is_like(base, variable.short(), mistakes));
            (meant.map(Variable::short), false)
        };
        (is_claimed || meant.is_some()).then(|| Self {
            name: base.to_owned(),
            meant,
        })
    }
}

impl fmt::Display for Misspelt {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} is not known", self.name)?;
        match self.meant {
            Some(meant) => write!(formatter, ", is {meant} meant?"),
            None => write!(formatter, ", and nothing comes of it."),
        }
    }
}

/// The name of a list of which this is a part.
fn without_index(name: &str) -> &str {
    match name.rsplit_once('_') {
        Some((base, "COUNT")) => base,
        Some((base, index)) if index.bytes().all(|byte| byte.is_ascii_digit()) => base,
        _ => name,
    }
}

/// Whether `name` may be meant for `ours`. People seldom miss the first letter, and NODE is no MODE.
fn is_like(name: &str, ours: &str, mistakes: usize) -> bool {
    let letters = |name: &str| {
        let letters = name.chars().filter(char::is_ascii_alphanumeric);
        letters.collect::<String>().to_ascii_uppercase()
    };
    let (name_letters, our_letters) = (letters(name), letters(ours));
    let mistakes = if our_letters.len() < LONG {
        1
    } else {
        mistakes
    };
    let first = |text: &str| text.chars().next();
    first(&name_letters) == first(&our_letters)
        && (is_longer_by_words(name, ours)
            || name_letters.len().abs_diff(our_letters.len()) <= mistakes
                && strsim::osa_distance(&name_letters, &our_letters) <= mistakes)
}

/// Whether `name` spells out what `ours` shortens, as WORKING_DIRECTORY does.
fn is_longer_by_words(name: &str, ours: &str) -> bool {
    let (words, our_words) = (name.split('_'), ours.split('_'));
    ours.contains('_')
        && words.clone().count() == our_words.clone().count()
        && words
            .zip(our_words)
            .all(|(word, our)| word.starts_with(our))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is said of a name in the user's image and in the pipe's.
    fn said(name: &str) -> [Option<String>; 2] {
        [Image::Own, Image::Pipe]
            .map(|image| Misspelt::find(name, image).map(|misspelt| misspelt.to_string()))
    }

    #[test]
    fn a_name_that_is_almost_one_of_ours_is_found() {
        for (name, meant) in [
            ("WORKING_DIRECTORY", "WORKING_DIR"),
            ("WORKING_DIRS", "WORKING_DIR"),
            ("WORKNIG_DIR", "WORKING_DIR"),
            ("working_dir", "WORKING_DIR"),
            ("BACKEND_CONFIGS", "BACKEND_CONFIG"),
            ("LOCK_TIME_OUT", "LOCK_TIMEOUT"),
            ("GRACE_PERIODS", "GRACE_PERIOD"),
            ("AFTERSCRIPT", "AFTER_SCRIPT"),
            ("PASS_TOKEN", "PASS_TOKENS"),
            ("TERRAFORM_BINARY", "TERRAFORM_BIN"),
            ("BITBUCKET_ACESS_TOKEN", "BITBUCKET_ACCESS_TOKEN"),
            ("SOFTSTOP_WORK_SPACE", "SOFTSTOP_WORKSPACE"),
            ("SOFTSTOP_COMMANDS", "SOFTSTOP_COMMAND"),
        ] {
            let expected = Some(format!("{name} is not known, is {meant} meant?"));
            assert_eq!(said(name), [expected.clone(), expected]);
        }
    }

    #[test]
    fn names_that_repositories_use_are_compared_in_the_pipe_alone() {
        for (name, meant) in [
            ("COMMANDS", "COMMAND"),
            ("MDOE", "MODE"),
            ("DEBUGS", "DEBUG"),
            ("WORKSPACES", "WORKSPACE"),
            ("WORKIGN_DRI", "WORKING_DIR"),
        ] {
            let expected = format!("{name} is not known, is {meant} meant?");
            assert_eq!(said(name), [None, Some(expected)]);
        }
    }

    #[test]
    fn a_list_is_said_once_by_its_own_name() {
        for name in ["BACKEND_CONFIGS_COUNT", "BACKEND_CONFIGS_0"] {
            let misspelt = Misspelt::find(name, Image::Own).unwrap();
            assert_eq!(misspelt.name, "BACKEND_CONFIGS");
        }
    }

    #[test]
    fn our_prefix_on_anything_else_is_told_of() {
        let expected = Some("SOFTSTOP_SPEED is not known, and nothing comes of it.".to_owned());
        assert_eq!(said("SOFTSTOP_SPEED"), [expected.clone(), expected]);
    }

    #[test]
    fn names_that_have_nothing_of_ours_are_left_alone() {
        for name in [
            "TF_VAR_seconds",
            "TF_WORKSPACE",
            "TF_CLI_ARGS_init",
            "TF_LOG",
            "TF_DATA_DIR",
            "WORKDIR",
            "WORKDIR_OF_SOMETHING_ELSE",
            "WORK_DIR",
            "BUILD_DIR",
            "DIR",
            "SOCK_TIMEOUT",
            "TIMEOUT",
            "BEFORE_SCRIPT",
            "NODE",
            "NODE_DEBUG",
            "NODE_ENV",
            "CODE",
            "npm_config_debug",
            "npm_lifecycle_script",
            "PATH",
            "PWD",
            "OLDPWD",
            "HOME",
            "HOSTNAME",
            "LS_COLORS",
            "SHLVL",
            "TERM",
            "LANG",
            "CI",
            "DOCKER_HOST",
            "_",
            "AWS_ACCESS_KEY_ID",
            "AWS_SESSION_TOKEN",
            "GOOGLE_BACKEND_CREDENTIALS",
            "",
            "BITBUCKET_BUILD_NUMBER",
            "BITBUCKET_CLONE_DIR",
            "BITBUCKET_COMMIT",
            "BITBUCKET_WORKSPACE",
            "BITBUCKET_PIPELINE_UUID",
            "BITBUCKET_PIPE_STORAGE_DIR",
            "BITBUCKET_PROJECT_KEY",
            "BITBUCKET_REPO_FULL_NAME",
            "BITBUCKET_STEP_OIDC_TOKEN",
            "BITBUCKET_STEP_TRIGGERER_UUID",
            "PIPELINES_JWT_TOKEN",
            "SOFTSTOP_LOCK_ID",
            "SOFTSTOP_OUTCOME",
            "SOFTSTOP_STAMP",
            "SOFTSTOP_TEST_RUN",
            "SOFTSTOP_TOKEN",
            // Names of ours are no mistakes of one another.
            "MODE",
            "DEBUG_COUNT",
            "WORKING_DIR_0",
            "SOFTSTOP_COMMAND_1",
            "GRACE_PERIOD_COUNT",
        ] {
            assert_eq!(said(name), [None, None], "{name}");
        }
    }

    #[test]
    fn a_repository_may_have_names_that_are_a_little_like_ours() {
        for name in ["LOG_TIMEOUT", "LOCAL_TIMEOUT", "COMMANDS", "WORKSPACES"] {
            assert_eq!(Misspelt::find(name, Image::Own), None, "{name}");
        }
    }
}
