//! The variables of ours, as `pipe.yml` lists them, and under which names each of them counts.

/// What makes a name nobody else's.
pub(super) const PREFIX: &str = "SOFTSTOP_";

/// In whose image softstop runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Image {
    /// Ours, where only variables are set that were meant for the pipe.
    Pipe,
    /// The user's, where all variables of the repository are set.
    Own,
}

/// What a variable can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Holds {
    One,
    Many,
    /// The lines of a script.
    Lines,
}

/// A variable of ours.
#[derive(Debug)]
pub(crate) struct Variable {
    /// The name in full, which counts everywhere.
    pub(crate) full: &'static str,
    pub(super) holds: Holds,
    /// Whether repositories use the short name for something of their own.
    pub(super) is_common: bool,
}

/// All of them.
pub(super) static VARIABLES: [Variable; 27] = [
    common("SOFTSTOP_MODE", Holds::One),
    common("SOFTSTOP_COMMAND", Holds::Lines),
    plain("SOFTSTOP_WORKING_DIR", Holds::Many),
    plain("SOFTSTOP_AFTER_SCRIPT", Holds::Lines),
    common("SOFTSTOP_REPORT_FILE", Holds::One),
    plain("SOFTSTOP_ON_UNFINISHED", Holds::One),
    plain("SOFTSTOP_JOURNAL", Holds::One),
    common("SOFTSTOP_ADDRESS", Holds::Many),
    plain("SOFTSTOP_GRACE_PERIOD", Holds::One),
    plain("SOFTSTOP_LOCK_TIMEOUT", Holds::One),
    plain("SOFTSTOP_BACKEND_CONFIG", Holds::Many),
    common("SOFTSTOP_WORKSPACE", Holds::One),
    common("SOFTSTOP_PLAN_FILE", Holds::One),
    plain("SOFTSTOP_BITBUCKET_ACCESS_TOKEN", Holds::One),
    plain("SOFTSTOP_ATLASSIAN_ACCOUNT_EMAIL", Holds::One),
    plain("SOFTSTOP_ATLASSIAN_API_TOKEN", Holds::One),
    plain("SOFTSTOP_BITBUCKET_API_URL", Holds::One),
    plain("SOFTSTOP_SIGN_LOCKS", Holds::One),
    plain("SOFTSTOP_PASS_TOKENS", Holds::One),
    plain("SOFTSTOP_TERRAFORM_BIN", Holds::One),
    common("SOFTSTOP_TERRAFORM_VERSION", Holds::One),
    plain("SOFTSTOP_TERRAFORM_MIRROR", Holds::One),
    common("SOFTSTOP_AWS_OIDC_ROLE_ARN", Holds::One),
    common("SOFTSTOP_GOOGLE_OIDC_CONFIG_FILE", Holds::One),
    common("SOFTSTOP_AZURE_APP_ID", Holds::One),
    common("SOFTSTOP_AZURE_TENANT_ID", Holds::One),
    common("SOFTSTOP_DEBUG", Holds::One),
];

/// Those that count as not given where they hold the name of a variable that is not set: a pipeline
/// names them for a day on which they are.
pub(super) const CREDENTIALS: [&str; 7] = [
    "BITBUCKET_ACCESS_TOKEN",
    "ATLASSIAN_ACCOUNT_EMAIL",
    "ATLASSIAN_API_TOKEN",
    "AWS_OIDC_ROLE_ARN",
    "GOOGLE_OIDC_CONFIG_FILE",
    "AZURE_APP_ID",
    "AZURE_TENANT_ID",
];

const fn plain(full: &'static str, holds: Holds) -> Variable {
    Variable {
        full,
        holds,
        is_common: false,
    }
}

const fn common(full: &'static str, holds: Holds) -> Variable {
    Variable {
        full,
        holds,
        is_common: true,
    }
}

impl Variable {
    /// The variable of this short name.
    pub(crate) fn named(short: &str) -> Option<&'static Self> {
        VARIABLES.iter().find(|variable| variable.short() == short)
    }

    /// The name as `pipe.yml` has it.
    pub(crate) fn short(&self) -> &'static str {
        self.full.trim_start_matches(PREFIX)
    }

    /// Whether the short name counts in this image.
    pub(super) fn is_short_in(&self, image: Image) -> bool {
        image == Image::Pipe || !self.is_common
    }

    /// The names under which it counts in this image; the first one goes before the second.
    pub(super) fn names(&self, image: Image) -> impl DoubleEndedIterator<Item = &'static str> {
        let short = self.is_short_in(image).then(|| self.short());
        [Some(self.full), short].into_iter().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_variables_are_those_of_the_pipe_in_their_order() {
        let listed: Vec<&str> = include_str!("../../pipe.yml")
            .lines()
            .filter_map(|line| line.trim_start().strip_prefix("- name: "))
            .collect();
        let known: Vec<&str> = VARIABLES.iter().map(Variable::short).collect();
        assert_eq!(known, listed);
    }

    #[test]
    fn a_name_that_repositories_use_counts_alone_only_in_the_pipe() {
        let names = |short, image| {
            let variable = Variable::named(short).unwrap();
            variable.names(image).collect::<Vec<_>>()
        };
        assert_eq!(names("DEBUG", Image::Own), ["SOFTSTOP_DEBUG"]);
        assert_eq!(names("DEBUG", Image::Pipe), ["SOFTSTOP_DEBUG", "DEBUG"]);
        assert_eq!(
            names("SIGN_LOCKS", Image::Own),
            ["SOFTSTOP_SIGN_LOCKS", "SIGN_LOCKS"]
        );
    }
}
