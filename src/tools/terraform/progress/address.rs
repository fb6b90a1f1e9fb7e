//! Addresses of resources, as Terraform prints them: `module.a["x"].data.kind.name[0]`.

/// The address at the begin of a text, and what follows it.
pub(super) fn address(text: &str) -> Option<(&str, &str)> {
    let mut rest = text;
    while let Some(inner) = rest.strip_prefix("module.") {
        rest = key(name(inner)?)?.strip_prefix('.')?;
    }
    for mode in ["data.", "ephemeral."] {
        if let Some(inner) = rest.strip_prefix(mode) {
            rest = inner;
            break;
        }
    }
    let rest = key(name(name(rest)?.strip_prefix('.')?)?)?;
    Some((&text[..text.len() - rest.len()], rest))
}

/// Whether the whole text is an address.
pub(in crate::tools::terraform) fn is_address(text: &str) -> bool {
    address(text).is_some_and(|(_, rest)| rest.is_empty())
}

/// The type of the resource that has this address.
pub(in crate::tools::terraform) fn type_of(address: &str) -> Option<&str> {
    let (kind, _) = in_module(address).split_once('.')?;
    (!kind.is_empty()).then_some(kind)
}

/// Whether this is the address of a resource of this type and name, whatever its module and key.
pub(super) fn is_of(address: &str, kind: &str, name: &str) -> bool {
    let resource = in_module(address)
        .strip_prefix(kind)
        .and_then(|rest| rest.strip_prefix('.'))
        .and_then(|rest| rest.strip_prefix(name));
    resource.is_some_and(|rest| rest.is_empty() || rest.starts_with('['))
}

/// An address without the modules that it is in.
fn in_module(address: &str) -> &str {
    let mut rest = address;
    while let Some(behind) = rest
        .strip_prefix("module.")
        .and_then(|inner| key(name(inner)?)?.strip_prefix('.'))
    {
        rest = behind;
    }
    rest
}

/// What follows a name, where there is one.
fn name(text: &str) -> Option<&str> {
    let is_part = |letter: char| letter.is_alphanumeric() || letter == '_' || letter == '-';
    let rest = text.trim_start_matches(is_part);
    let begins_well = text
        .chars()
        .next()
        .is_some_and(|letter| letter.is_alphabetic() || letter == '_');
    begins_well.then_some(rest)
}

/// What follows a key in brackets, or the whole text where there is none. A quote or a line break in
/// a key is printed with a backslash before it.
fn key(text: &str) -> Option<&str> {
    let Some(inner) = text.strip_prefix('[') else {
        return Some(text);
    };
    let Some(quoted) = inner.strip_prefix('"') else {
        let digits = inner.trim_start_matches(|letter: char| letter.is_ascii_digit());
        return digits
            .strip_prefix(']')
            .filter(|_| digits.len() < inner.len());
    };
    let mut is_escaped = false;
    for (place, letter) in quoted.char_indices() {
        match letter {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            '"' => return quoted[place + 1..].strip_prefix(']'),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_ends_where_terraform_ends_it() {
        for (text, expected) in [
            ("aws_vpc.main: Creating", Some("aws_vpc.main")),
            ("aws_vpc.main[0] will", Some("aws_vpc.main[0]")),
            ("module.a.b_c.d", Some("module.a.b_c.d")),
            (
                r#"module.a["x y"].slow_object.b[0]: "#,
                Some(r#"module.a["x y"].slow_object.b[0]"#),
            ),
            (
                r#"slow_object.keyed["it's \"q\"]: Creating..."]: Creating..."#,
                Some(r#"slow_object.keyed["it's \"q\"]: Creating..."]"#),
            ),
            (
                "module.a[0].module.b.data.x.y,",
                Some("module.a[0].module.b.data.x.y"),
            ),
            ("data.slow_fact.late", Some("data.slow_fact.late")),
            (
                "ephemeral.random_password.x",
                Some("ephemeral.random_password.x"),
            ),
            ("größe.maß-2", Some("größe.maß-2")),
            ("aws_vpc", None),
            ("aws_vpc.", None),
            ("2x.y", None),
            ("a.b[x]", None),
            ("a.b[]", None),
            (r#"a.b["x"#, None),
            (r#"a.b["x\"]"#, None),
            ("module.a", None),
            ("", None),
        ] {
            let found = address(text).map(|(address, _)| address);
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn a_resource_is_known_by_its_type_and_name() {
        assert!(is_of(r#"module.a["x.y"].b.c[0]"#, "b", "c"));
        assert!(is_of("b.c", "b", "c"));
        assert!(!is_of("b.cd", "b", "c"));
        assert!(!is_of("module.b.c.d", "b", "c"));
        assert_eq!(type_of(r#"module.a["x.y"].b.c[0]"#), Some("b"));
        assert_eq!(type_of("b.c"), Some("b"));
        assert_eq!(type_of("b"), None);
    }
}
