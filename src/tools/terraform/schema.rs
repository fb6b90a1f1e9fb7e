//! What is known of the settings of a backend.

use serde_json::Value;

use super::backend::Backend;
use crate::environment::Environment;

/// What is known of the settings of one backend.
#[derive(Debug)]
pub(super) struct Schema {
    pub(super) kind: &'static str,
    /// Those that hold one value each.
    pub(super) plain: &'static [&'static str],
    /// Those that hold a list or an object.
    pub(super) structured: &'static [&'static str],
    /// Those that name the place, and hold no secret unless an address in them does.
    pub(super) printable: &'static [&'static str],
    /// Those without which nobody knows which state is meant.
    pub(super) required: &'static [&'static str],
    /// The settings that name the place, or a setting within one (`endpoints.s3`), with the variables
    /// by which the backend takes them where they are left open, of which the first that is set counts.
    /// Terraform does not keep in `.terraform` what a variable gives.
    pub(super) own_variables: &'static [(&'static str, &'static [&'static str])],
    /// The same of settings that name no place by themselves, or by variables that are there for others
    /// too.
    pub(super) shared_variables: &'static [(&'static str, &'static [&'static str])],
    /// Those that say which host is asked, or how credentials for it are had.
    pub(super) hosts: &'static [&'static str],
}

impl Schema {
    pub(super) fn knows(&self, setting: &str) -> bool {
        self.plain.contains(&setting) || self.is_structured(setting)
    }

    /// Whether Terraform takes NAME=VALUE of this setting for an expression.
    pub(super) fn is_structured(&self, setting: &str) -> bool {
        self.structured.contains(&setting)
    }

    /// Whether this setting says which state is meant.
    pub(super) fn names_place(&self, setting: &str) -> bool {
        [self.printable, self.required, self.hosts]
            .iter()
            .any(|names| names.contains(&setting))
    }

    pub(super) fn names_host(&self, setting: &str) -> bool {
        self.hosts.contains(&setting)
    }

    /// The settings that variables of the backend's own give, with what they give.
    pub(super) fn by_variables(
        &self,
        environment: &Environment,
    ) -> impl Iterator<Item = (&'static str, String)> {
        let rows = self.own_variables.iter();
        rows.filter_map(|(setting, variables)| {
            let given = variables.iter().find_map(|name| environment.text(name));
            Some((*setting, given?))
        })
    }

    /// What variables give of what names the place, where the settings leave it open. One of them may
    /// stand for several settings, of which the first is named.
    pub(super) fn left_to_variables(
        &self,
        backend: &Backend,
        environment: &Environment,
    ) -> Vec<(&'static str, String)> {
        let rows = || self.own_variables.iter().chain(self.shared_variables);
        let is_open = |setting: &str| {
            let given = backend.given(setting);
            given.is_none_or(|given| given.as_str().is_some_and(str::is_empty))
        };
        let mut left: Vec<(&'static str, String)> = Vec::new();
        let mut counted: Vec<&[&str]> = Vec::new();
        for (setting, variables) in rows() {
            let mut same = rows().filter(|(_, other)| other == variables);
            let is_left = same.all(|(setting, _)| is_open(setting))
                && !counted.contains(variables)
                && !left.iter().any(|(known, _)| known == setting);
            let given = variables.iter().find_map(|name| environment.text(name));
            if let Some(given) = given.filter(|_| is_left && self.names_place(setting)) {
                left.push((setting, given));
                counted.push(variables);
            }
        }
        left
    }

    /// The variables without which another place might be meant.
    pub(super) fn naming_variables(&self) -> impl Iterator<Item = &'static str> {
        let rows = self.own_variables.iter().chain(self.shared_variables);
        rows.flat_map(|(_, variables)| variables.iter().copied())
    }

    /// The required settings that neither a setting nor a variable gives.
    pub(super) fn missing(
        &self,
        backend: &Backend,
        environment: &Environment,
    ) -> Vec<&'static str> {
        let is_set = |variable: &&str| environment.get(variable).is_some();
        let is_open = |setting: &&str| {
            !is_given(backend, setting) && !self.variables_for(setting).any(|name| is_set(&name))
        };
        self.required.iter().copied().filter(is_open).collect()
    }

    /// Whether a block leaves to others which state is meant: to variables, or to whoever runs `init`.
    /// A region only says where a bucket is, of which there is no other one by that name.
    pub(super) fn is_left_open(&self, block: &Backend, environment: &Environment) -> bool {
        let mut required = self.required.iter();
        let mut rows = self.own_variables.iter();
        let is_set =
            |variables: &[&str]| variables.iter().any(|name| environment.get(name).is_some());
        // One variable may stand for several settings, of which the block has one.
        let has_one_for = |variables: &[&str]| {
            let mut rows = self.own_variables.iter();
            rows.any(|(setting, other)| *other == variables && block.given(setting).is_some())
        };
        // The part of one within another counts as what it is within.
        let names_place =
            |setting: &str| self.names_place(setting.split('.').next().unwrap_or(setting));
        required.any(|setting| *setting != "region" && !is_given(block, setting))
            || rows.any(|(setting, variables)| {
                names_place(setting) && is_set(variables) && !has_one_for(variables)
            })
    }

    /// The variables by which this setting can be given.
    pub(super) fn variables_for(&self, setting: &str) -> impl Iterator<Item = &'static str> {
        let rows = self.own_variables.iter().chain(self.shared_variables);
        rows.filter(move |(name, _)| *name == setting)
            .flat_map(|(_, variables)| variables.iter().copied())
    }
}

/// An empty text gives nothing.
pub(super) fn is_given(backend: &Backend, setting: &str) -> bool {
    match backend.settings.get(setting) {
        None | Some(Value::Null) => false,
        Some(Value::String(text)) => !text.is_empty(),
        Some(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::backend::tests::backend;
    use super::super::backends::ALL;
    use super::*;

    #[test]
    fn every_setting_that_a_schema_speaks_of_is_one_that_it_knows_once() {
        for schema in ALL.iter().map(|known| &known.schema) {
            let named = [schema.printable, schema.required, schema.hosts].concat();
            let own = schema.own_variables.iter().map(|(setting, _)| *setting);
            let shared = schema.shared_variables.iter().map(|(setting, _)| *setting);
            for setting in named.into_iter().chain(own).chain(shared) {
                let outer = setting.split('.').next().unwrap();
                assert!(schema.knows(outer), "{} {setting}", schema.kind);
            }
            let mut all = [schema.plain, schema.structured].concat();
            all.sort_unstable();
            let count = all.len();
            all.dedup();
            assert_eq!(all.len(), count, "{}", schema.kind);
            assert!(backend(schema.kind, &json!({})).strategy().is_ok());
        }
    }

    #[test]
    fn what_is_missing_is_what_neither_a_setting_nor_a_variable_gives() {
        let missing = |kind, settings: &Value, variables: [(&str, &str); 1]| {
            let schema = Schema::of(kind).unwrap();
            schema.missing(&backend(kind, settings), &Environment::from(variables))
        };
        let none = [("X", "")];
        assert_eq!(missing("http", &json!({}), none), ["address"]);
        assert_eq!(missing("http", &json!({"address": ""}), none), ["address"]);
        assert!(missing("http", &json!({}), [("TF_HTTP_ADDRESS", "x")]).is_empty());
        assert_eq!(
            missing("s3", &json!({"key": null}), [("AWS_REGION", "x")]),
            ["bucket", "key"]
        );
        assert_eq!(missing("pg", &json!({}), none), ["conn_str"]);
        assert!(missing("pg", &json!({}), [("PGHOST", "x")]).is_empty());
        assert!(missing("local", &json!({}), none).is_empty());
    }

    #[test]
    fn whether_a_lock_is_taken_is_known_of_http_too() {
        let takes = |settings: &Value, variables: [(&str, &str); 1]| {
            backend("http", settings).takes_locks(&Environment::from(variables))
        };
        assert!(!takes(&json!({"address": "x"}), [("X", "")]));
        assert!(!takes(&json!({"lock_address": ""}), [("X", "")]));
        assert!(takes(&json!({"lock_address": "x"}), [("X", "")]));
        assert!(takes(&json!({}), [("TF_HTTP_LOCK_ADDRESS", "x")]));
    }
}
