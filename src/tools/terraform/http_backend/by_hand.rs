//! The request by which a person releases a lock, for the curl of whoever pastes it.

use reqwest::{Method, Url};
use serde_json::{Map, Value, json};

use super::exchange::skips_verification;
use crate::environment::Environment;
use crate::printable::escaped;
use crate::tools::quoted::quoted;
use crate::tools::terraform::backend::Backend;
use crate::tools::terraform::by_hand::SECRET;
use crate::tools::terraform::plain::{is_plain_in_a_query, name_in_a_query};

/// Functions of the shell: a certificate, or a key, as a file that is removed at the end. What no
/// variable has is in a file somewhere.
const PEM: &str = r#"dir=$(mktemp -d) && trap 'rm -r "$dir"' EXIT; pem() { if [ -n "$2" ]; then printf '%s\n' "$2"; else printf 'file of %s: ' "$1" >&2; IFS= read -r file; cat -- "$file"; fi >"$dir/$1"; }; "#;

/// What it takes to be let in, and where that stands.
pub(super) struct ByHand {
    username: Option<Source>,
    password: Option<Source>,
    /// The names of OpenTofu's `headers`.
    headers: Vec<String>,
    authority: Option<Source>,
    identity: Option<(Source, Source)>,
    skips_verification: bool,
}

/// A setting, and the variable that gives it, where one does.
struct Source {
    name: &'static str,
    variable: Option<&'static str>,
}

/// An address, as pieces that may be printed and names of what is between them.
struct Address {
    pieces: Vec<String>,
    asked: Vec<String>,
    names_user: bool,
}

impl ByHand {
    pub(super) fn of(backend: &Backend, environment: &Environment) -> Self {
        let source = |name, variable| Source::of(backend, environment, name, variable);
        let certificate = source("client_certificate_pem", "TF_HTTP_CLIENT_CERTIFICATE_PEM");
        let key = source("client_private_key_pem", "TF_HTTP_CLIENT_PRIVATE_KEY_PEM");
        let headers = backend.settings.get("headers").and_then(Value::as_object);
        let headers = headers.into_iter().flat_map(Map::keys);
        Self {
            headers: headers.cloned().collect(),
            username: source("username", "TF_HTTP_USERNAME"),
            password: source("password", "TF_HTTP_PASSWORD"),
            authority: source(
                "client_ca_certificate_pem",
                "TF_HTTP_CLIENT_CA_CERTIFICATE_PEM",
            ),
            identity: certificate.zip(key),
            skips_verification: skips_verification(backend, environment),
        }
    }

    /// Secrets reach curl by its standard input, because a command line can be seen by everybody.
    pub(super) fn request(&self, method: &Method, address: &str, id: &str) -> String {
        let address = Address::read(address);
        let (formats, values) = self.secret_options(&address);
        let (files, mut options) = self.files();
        if self.skips_verification {
            options.push("--insecure".to_owned());
        }
        if address
            .pieces
            .iter()
            .any(|piece| piece.contains(['[', ']', '{', '}']))
        {
            options.push("--globoff".to_owned());
        }
        let body = json!({"ID": id}).to_string();
        let body = escaped(&body);
        options.extend([
            "--header 'Content-Type: application/json'".to_owned(),
            format!("--data {}", quoted(&body)),
        ]);
        if let [whole] = address.pieces.as_slice() {
            options.push(quoted(whole));
        }
        let (method, options) = (quoted(method.as_str()), options.join(" "));
        let request = format!("--fail --location --request {method} {options}");
        match (formats.is_empty(), files.is_empty()) {
            (true, true) => format!("curl {request}"),
            (true, false) => format!("({PEM}{files}curl {request})"),
            (false, no_files) => {
                let pem = if no_files { "" } else { PEM };
                format!(
                    "({SECRET}{pem}{files}printf '{formats}' {} | curl --config - {request})",
                    values.join(" ")
                )
            }
        }
    }

    /// Lines of curl's options for `printf`, and what stands in them.
    fn secret_options(&self, address: &Address) -> (String, Vec<String>) {
        let mut formats = Vec::new();
        let mut values = Vec::new();
        if self.username.is_some() || address.names_user {
            formats.push(r#"user = "%s:%s"\n"#.to_owned());
            for (name, source) in [("username", &self.username), ("password", &self.password)] {
                let variable = source.as_ref().and_then(|source| source.variable);
                values.push(secret(name, variable));
            }
        }
        for name in &self.headers {
            formats.push(r#"header = "%s: %s"\n"#.to_owned());
            values.extend([quoted(name), secret(name, None)]);
        }
        if !address.asked.is_empty() {
            let places = "%s".repeat(address.pieces.len() + address.asked.len());
            formats.push(format!(r#"url = "{places}"\n"#));
            let mut asked = address.asked.iter();
            for piece in &address.pieces {
                let piece = piece.replace('\\', r"\\").replace('"', r#"\""#);
                values.push(quoted(&piece));
                values.extend(asked.next().map(|name| secret(name, None)));
            }
        }
        (formats.concat(), values)
    }

    /// What writes the files, and the options that name them.
    fn files(&self) -> (String, Vec<String>) {
        let (certificate, key) = match &self.identity {
            Some((certificate, key)) => (Some(certificate), Some(key)),
            None => (None, None),
        };
        let all = [
            ("--cacert", self.authority.as_ref()),
            ("--cert", certificate),
            ("--key", key),
        ];
        let mut written = Vec::new();
        let mut options = Vec::new();
        for (option, source) in all {
            if let Some(Source { name, variable }) = source {
                let variable = variable.map(|variable| format!(" \"${variable}\""));
                written.push(format!("pem {name}{} && ", variable.unwrap_or_default()));
                options.push(format!("{option} \"$dir/{name}\""));
            }
        }
        (written.concat(), options)
    }
}

impl Source {
    /// The configuration goes before the variable.
    fn of(
        backend: &Backend,
        environment: &Environment,
        name: &'static str,
        variable: &'static str,
    ) -> Option<Self> {
        let is_written = backend.text(name).is_some();
        let variable = environment.get(variable).map(|_| variable);
        (is_written || variable.is_some()).then_some(Self {
            name,
            variable: variable.filter(|_| !is_written),
        })
    }
}

impl Address {
    fn read(address: &str) -> Self {
        let Ok(mut url) = Url::parse(address) else {
            let pieces = vec![String::new(); 2];
            let (asked, names_user) = (vec!["unlock_address".to_owned()], false);
            return Self {
                pieces,
                asked,
                names_user,
            };
        };
        let names_user = !url.username().is_empty() || url.password().is_some();
        // An address that can hold no user has none to hide.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        url.set_fragment(None);
        let query = url.query().map(str::to_owned);
        url.set_query(None);
        let mut pieces = vec![url.to_string()];
        let mut asked = Vec::new();
        let pairs = query.iter().flat_map(|query| query.split('&'));
        for (number, pair) in pairs.enumerate() {
            let mark = if number == 0 { '?' } else { '&' };
            let is_printed = is_plain_in_a_query(pair);
            let name = name_in_a_query(pair);
            let text = match name {
                _ if is_printed => format!("{mark}{pair}"),
                Some(name) => format!("{mark}{name}="),
                None => mark.to_string(),
            };
            if let Some(piece) = pieces.last_mut() {
                piece.push_str(&text);
            }
            if !is_printed {
                asked.push(name.unwrap_or("query").to_owned());
                pieces.push(String::new());
            }
        }
        Self {
            pieces,
            asked,
            names_user,
        }
    }
}

/// The word of a shell that becomes a secret.
fn secret(name: &str, variable: Option<&str>) -> String {
    let name = quoted(name);
    match variable {
        Some(variable) => format!("\"$(secret {name} \"${variable}\")\""),
        None => format!("\"$(secret {name})\""),
    }
}
