//! Terraform has failed in a script that ends well.

use std::fs;

use crate::journal_of_deploys::{deploy, result};
use crate::support::world::{in_the_world, object, world_of};
use crate::support::{CodeInsights, Kind, Program, Step, each};

#[test]
fn what_a_script_that_ends_well_could_not_store_is_said_and_comes_back() {
    each(&["| tee log", "|| true"], |end| {
        let project = world_of(Program::Terraform, Kind::HttpStrict, &[object("a", "")]);
        let insights = CodeInsights::start();
        let step = Step::of_a_new_pipeline();
        let http = project.store.http.as_ref().unwrap();
        http.refuse_posts(100);
        let script = format!("terraform init -input=false && terraform apply -auto-approve {end}");
        let finished = deploy(&project, &step, &insights).script(&script).finish();
        let made = in_the_world(&project, "a");
        finished
            .expect_code(0)
            .expect_said("It is not stored now")
            .expect_said(&format!(
                "Complete, and NOT in the state: slow_object.a (id {})",
                made[0]
            ));
        assert_eq!(result(&insights, &step), "FAILED", "{finished}");

        http.refuse_posts(0);
        // It is gone with its container.
        fs::remove_file(project.directory.join("errored.tfstate")).unwrap();
        let next = deploy(&project, &step.sibling(), &insights);
        let finished = next.env("ON_UNFINISHED", "import").finish();
        finished.expect_code(0);
        assert_eq!(in_the_world(&project, "a"), made, "{finished}");
    });
}
