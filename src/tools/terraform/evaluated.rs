//! Asks OpenTofu for the values of a backend block that holds variables.
//!
//! `init` evaluates it in a shadow that holds what it can name, and keeps the values.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use super::arguments::joined;
use super::backend::Backend;
use super::backends::ALL;
use super::initialise::initialise;
use super::place::Terraform;
use super::resolved::Resolved;
use super::shadow::Shadow;
use super::static_part::StaticPart;
use crate::environment::Environment;
use crate::tools::error::ToolError;
use crate::tools::host::Host;

/// How long `init` may take.
const LIMIT_OF_INIT: Duration = Duration::from_secs(20);

/// The backend of a place that is to be asked, whether its block is literal or not.
pub(super) async fn resolved(host: &impl Host, place: &Terraform) -> Result<Resolved, ToolError> {
    if let Some(obstacle) = &place.obstacle {
        return Err(ToolError::NoProgram(obstacle.clone()));
    }
    match place.resolved() {
        // OpenTofu takes variables in a backend block.
        Err(ToolError::NoLiteral { .. }) if place.is_opentofu => resolve(host, place).await,
        resolved => resolved,
    }
}

/// The backend of a place whose block is not literal.
async fn resolve(host: &impl Host, place: &Terraform) -> Result<Resolved, ToolError> {
    let configuration = place.configuration();
    let part = StaticPart::of(&configuration)?;
    if let Some(word) = part.place_of_backend() {
        let why = format!("it depends on where it is evaluated ({word})");
        return Err(unknown(&place.directory, &why));
    }
    // Here too, `init` may make the first state, encrypted by what is said there.
    if part.is_made_by_asking()
        && let Some(word) = part.place_of_encryption()
    {
        let why = format!(
            "asking for them may make a state, and its encryption depends on where it is evaluated \
             ({word})"
        );
        return Err(unknown(&place.directory, &why));
    }
    if part.has_workspace_in_backend() && place.workspace() != "default" {
        let why = "it depends on the workspace, which `init` does not know yet";
        return Err(unknown(&place.directory, why));
    }
    let mut words = place.values()?;
    let given = configuration.given()?.into_iter();
    words.extend(given.map(|given| format!("-backend-config={}", given.text)));
    let backend = evaluate(host, place, &part, &words).await?;
    configuration.resolve_evaluated(backend)
}

async fn evaluate(
    host: &impl Host,
    place: &Terraform,
    part: &StaticPart,
    words: &[String],
) -> Result<Backend, ToolError> {
    let shadow = Shadow::of(&place.directory).map_err(ToolError::Scratch)?;
    part.write(&place.directory, &shadow.directory)
        .map_err(ToolError::Scratch)?;
    let mut command = place.helper_command();
    // Asking makes nothing; and values do not stand on the command line, which
    // everybody can see.
    let variables = ALL.iter().flat_map(|known| known.without_making);
    for (_, variable) in variables {
        command.env(variable, "true");
    }
    command
        .env("TF_CLI_ARGS_init", joined(words))
        .current_dir(&shadow.directory)
        .env("PWD", &shadow.directory);
    // `init` opens the state of the workspace, and makes the one that is not there.
    if place.is_seen {
        command.env("TF_WORKSPACE", place.workspace());
    }
    let shadow = &shadow.directory;
    let secrets = place.secrets().and(values(&place.environment, words));
    match initialise(host, command, shadow, LIMIT_OF_INIT, &secrets).await {
        Err(ToolError::Failed { output, .. }) => Err(unknown(&place.directory, &problem(&output))),
        Err(ToolError::Helper(error)) => {
            Err(ToolError::unanswered(error, part.is_made_by_asking()))
        }
        backend => backend,
    }
}

/// The values of variables, and of options.
fn values(environment: &Environment, words: &[String]) -> Vec<String> {
    let variables = environment.beginning_with(&["TF_VAR_"]).into_iter();
    let variables = variables.map(|(_, value)| value.to_string_lossy().into_owned());
    // A value is what stands behind the name, and that may stand behind the name of an option.
    let parts = |word: &String| {
        let behind_option = word.split_once('=').map(|(_, value)| value.to_owned());
        let behind_name = behind_option.as_ref().and_then(|text| text.split_once('='));
        let behind_name = behind_name.map(|(_, value)| value.to_owned());
        [behind_option, behind_name].into_iter().flatten()
    };
    variables.chain(words.iter().flat_map(parts)).collect()
}

/// What is missing, where OpenTofu asks for the values of variables; else what it said.
fn problem(output: &str) -> String {
    const ASKED_FOR: &str = "input from user for variable var.";
    let asked_for = output.split(ASKED_FOR).skip(1);
    let names: BTreeSet<&str> = asked_for
        .filter_map(|rest| rest.split_whitespace().next())
        .collect();
    if names.is_empty() {
        return format!("OpenTofu said: {}", without_values(output));
    }
    let given: Vec<String> = names.iter().map(|name| format!("TF_VAR_{name}")).collect();
    format!(
        "no value is given for {}. Give it by {}",
        names.into_iter().collect::<Vec<_>>().join(", "),
        given.join(" and ")
    )
}

/// What was said, without what stands between quotes, which may be a value, unless it is the name of a
/// setting.
fn without_values(output: &str) -> String {
    let is_setting = |text: &str| ALL.iter().any(|known| known.schema.knows(text));
    let pieces = output.split('"').enumerate();
    let pieces = pieces.map(|(number, piece)| match piece {
        piece if number % 2 == 0 || is_setting(piece) => piece,
        _ => "…",
    });
    pieces.collect::<Vec<_>>().join("\"")
}

fn unknown(directory: &Path, why: &str) -> ToolError {
    ToolError::Unknown {
        reason: format!(
            "the backend block in {} is not literal, and softstop cannot know its values: {why}",
            directory.display()
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_variable_without_a_value_is_named_once() {
        let asked = "Error: Failed to request input from user for variable var.b Error: Failed to \
                     request input from user for variable var.a Error: Failed to request input from \
                     user for variable var.b";
        assert_eq!(
            problem(asked),
            "no value is given for a, b. Give it by TF_VAR_a and TF_VAR_b"
        );
    }

    #[test]
    fn what_may_be_a_value_is_left_out_of_what_was_said() {
        assert_eq!(
            problem("Error: parse \"postgres://u:p%zz@h\" of \"conn_str\""),
            "OpenTofu said: Error: parse \"…\" of \"conn_str\""
        );
    }

    #[test]
    fn whatever_is_given_as_a_value_is_one() {
        let environment = Environment::from([("TF_VAR_a", "1"), ("OTHER", "2")]);
        let words = ["-var=b=3=4", "c=5", "-var"].map(str::to_owned);
        assert_eq!(values(&environment, &words), ["1", "b=3=4", "3=4", "5"]);
    }
}
