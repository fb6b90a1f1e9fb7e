//! What is left where somebody is killed who was about to store the first, empty state: no
//! `force-unlock` gets past its lock.

use crate::support::project::thing;
use crate::support::{Kind, Program, Project, Softstop, Step, each};

#[test]
fn the_lock_of_an_init_that_has_stored_nothing_is_named_and_how_it_is_deleted() {
    let kinds = [Kind::Gcs, Kind::Kubernetes];
    let cells = kinds.map(|kind| Program::ALL.map(|program| (kind, program)));
    each(cells.as_flattened(), |(kind, program)| {
        let project = Project::of(program, kind, &thing("a", ""));
        let step = Step::of_a_new_pipeline();
        let proxy = project.store.proxy.as_ref().unwrap();
        proxy.hold(&project.store.state_write());
        let run = Softstop::deploy(&project).in_step(&step).start();
        run.kill_all_while_held(proxy);
        assert_eq!(project.store.lock_operation().as_deref(), Some("init"));

        // Whoever reads this goes by it, and nobody else can.
        let kept = match kind {
            Kind::Gcs => format!(
                "the object gs://{}/deploy/default.tflock",
                project.store.name
            ),
            _ => format!(
                "the lease lock-tfstate-default-{}-state in the namespace default",
                project.store.name
            ),
        };
        let release = || Softstop::release(&project).in_step(&step.sibling());
        let told = format!("delete {kept}: under it the first state was to be stored");
        let released = release().finish();
        released.expect_code(3).expect_said(&told);
        assert!(!released.stderr.contains("-force"), "{released}");
        project.store.remove_lock();
        release().finish().expect_code(0);
        let deployed = Softstop::deploy(&project).in_step(&step.sibling()).finish();
        deployed.expect_code(0);
        assert_eq!(project.store.resources(), ["a"]);
    });
}
