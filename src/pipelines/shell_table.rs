//! Texts that a shell would split in unlike ways.

use super::shell::{Command, Part, split};

fn commands(script: &str) -> Vec<Command> {
    let commands = split(script).filter_map(|part| match part {
        Part::Command(command) => Some(command),
        _ => None,
    });
    commands.collect()
}

fn words(script: &str) -> Vec<String> {
    commands(script)
        .iter()
        .map(|command| {
            let words = command.words.iter().map(|word| word.text.as_str());
            words.collect::<Vec<_>>().join("_")
        })
        .collect()
}

#[test]
fn operators_and_lines_end_commands() {
    let script = "a b && c || d; e & f | g\nh;;i";
    assert_eq!(words(script), ["a_b", "c", "d", "e", "f", "g", "h", "i"]);
    let piped: Vec<bool> = commands(script).iter().map(|c| c.is_piped).collect();
    let mut expected = [false; 8];
    expected[4] = true;
    assert_eq!(piped, expected);
}

#[test]
fn quotes_hold_words_together_and_comments_are_none() {
    assert_eq!(
        words("a 'b; c' \"d && \\\"e\" f\\ g # h; i"),
        ["a_b; c_d && \"e_f g"]
    );
    assert_eq!(words("a=$(b; c) \"$(d | e)\" `f; g`"), ["a=$_$_`"]);
    assert_eq!(words("a#b ''"), ["a#b_"]);
}

#[test]
fn redirections_are_part_of_their_command() {
    assert_eq!(words("a > b 2>&1 &> c <<< d"), ["a_>_b_2>&1_&>_c_d"]);
}

#[test]
fn a_here_document_holds_no_commands() {
    assert_eq!(words("cat <<-'END' > a\nb; c\n\tEND\nd"), ["cat_>_a", "d"]);
    assert_eq!(words("cat << END"), ["cat"]);
}

#[test]
fn subshells_begin_and_end() {
    let parts: Vec<Part> = split("(a; b) && c").collect();
    assert_eq!(parts[0], Part::SubshellBegins);
    assert_eq!(parts[3], Part::SubshellEnds);
    assert_eq!(words("f() { a; }"), ["f()_{_a", "}"]);
}

#[test]
fn a_pattern_ends_no_subshell() {
    use Part::{SubshellBegins, SubshellEnds};

    let script = "(if a; then case $b in c) d;; (e|f) g;; *) h; esac; fi; i)";
    let is_subshell = |part: &Part| !matches!(part, Part::Command(_));
    for function in ["f()", "function f"] {
        let script = format!("({function} {{ case $1 in a) b ;; esac; }}; c)");
        let parts: Vec<Part> = split(&script).filter(is_subshell).collect();
        assert_eq!(parts, [SubshellBegins, SubshellEnds], "{function}");
    }
    let parts: Vec<Part> = split(script).filter(is_subshell).collect();
    assert_eq!(
        parts,
        [SubshellBegins, SubshellBegins, SubshellEnds, SubshellEnds]
    );
    assert!(split("a) b").all(|part| !is_subshell(&part)));
}

#[test]
fn a_script_within_a_command_is_kept_for_itself() {
    let script = "a=$(b; c $(d))\n  \"x `e | f`\" <(g) $((1 + 2)) '$(h)' `i";
    let found: Vec<(u32, String)> = commands(script)
        .into_iter()
        .flat_map(|command| command.substitutions)
        .collect();
    let expected = [(0, "b; c $(d)"), (1, "e | f"), (1, "g"), (1, "i")];
    assert_eq!(
        found,
        expected.map(|(line, script)| (line, script.to_owned()))
    );
}

#[test]
fn a_function_is_named_with_or_without_a_blank() {
    assert_eq!(
        words("f() {\n a\n}\nf () { b; }"),
        ["f()_{", "a", "}", "f()_{_b", "}"]
    );
}

#[test]
fn a_word_knows_where_it_was_written() {
    let command = commands("x; a  'b c'd e").remove(1);
    let written = command
        .words
        .iter()
        .map(|word| &command.text[word.begin..word.end]);
    assert_eq!(written.collect::<Vec<_>>(), ["a", "'b c'd", "e"]);
}

#[test]
fn a_command_knows_its_line_and_how_it_was_written() {
    let commands = commands("a\n\nb \\\n  'c d' | e\nf");
    let lines: Vec<u32> = commands.iter().map(|command| command.line).collect();
    assert_eq!(lines, [0, 2, 3, 4]);
    assert_eq!(commands[1].text, "b \\\n  'c d'");
    assert_eq!(commands[3].text, "f");
    assert_eq!(self::commands("a $(b); c")[0].text, "a $(b)");
}
