use super::document;
use super::findings::find;
use super::pipelines::Pipelines;
use super::remedy::quoted;
use proptest::prelude::*;

fn check(text: &str) {
    let root = document::read(text).ok();
    let pipelines = root.and_then(|root| Pipelines::read(&root));
    pipelines.map(|pipelines| find(&pipelines));
}

proptest! {
    #[test]
    fn no_text_makes_the_check_panic(text in "\\PC*") {
        check(&text);
    }

    #[test]
    fn no_script_makes_the_check_panic(
        pieces in prop::collection::vec(
            prop::sample::select(vec![
                "softstop", "deploy", "release", "terraform", "apply", "-chdir=", "--", "--working-dir",
                "cd", "export", "A=", "WORKING_DIR_COUNT=9", " ", " ", "\n", "'", "\"", "$(", "(", ")",
                "<<", "|", "&", ";", "\\", "#", "`", "é",
            ]),
            0..40,
        )
    ) {
        let script = quoted(&pieces.concat());
        check(&format!("pipelines: {{default: [{{step: {{script: [{script}]}}}}]}}"));
    }

    #[test]
    fn no_lines_of_yaml_make_the_check_panic(
        lines in prop::collection::vec(
            (0..6_usize, prop::sample::select(vec![
                "pipelines:", "default:", "- step:", "step: &a", "- *a", "<<: *a", "script:", "- final:",
                "- parallel:", "steps:", "- pipe: softstop", "variables:", "MODE: release", "- |",
                "softstop deploy", "- terraform apply", "custom: &b", "x: *b", "import: y", "- [", "]}",
            ])),
            0..30,
        )
    ) {
        let indented = lines.iter().map(|(depth, line)| "  ".repeat(*depth) + line);
        check(&indented.collect::<Vec<_>>().join("\n"));
    }
}
