//! Layouts whose command chooses directory or workspace, or whose files are no usual ones.

use super::layouts::{Layout, PLAIN, S3, Told, Variables};

const NOWHERE: Told = Told::Unknown("softstop cannot know where the state is");
const OUTSIDE: Variables = &[("SOFTSTOP_WORKSPACE", "prod")];
const TWO: Variables = &[
    ("WORKING_DIR_COUNT", "2"),
    ("WORKING_DIR_0", "network"),
    ("WORKING_DIR_1", "database"),
];

pub(super) static LAYOUTS: [Layout; 13] = [
    Layout {
        name: "the command writes the backend block",
        files: &[("main.tf", "RESOURCE"), ("backend.template", "BACKEND")],
        command: "cat backend.template >backend.tf && DEPLOY",
        elsewhere: &[(&[], NOWHERE)],
        ..PLAIN
    },
    Layout {
        name: "the command enters a directory",
        files: &[
            (
                "versions.tf",
                "terraform {\n  required_version = \">= 1.0\"\n}\n",
            ),
            ("infra/main.tf", "BACKEND RESOURCE"),
        ],
        command: "cd infra && DEPLOY",
        there: &[("WORKING_DIR", "infra")],
        elsewhere: &[
            (&[], NOWHERE),
            (&[("WORKING_DIRECTORY", "infra")], NOWHERE),
            (&[("WORKING_DIR", "infra")], Told::Found),
        ],
        ..PLAIN
    },
    Layout {
        name: "make names the directory by -chdir",
        files: &[
            (
                "Makefile",
                "deploy:\n\tterraform -chdir=live/prod init\n\tterraform -chdir=live/prod apply -auto-approve\n",
            ),
            ("live/prod/main.tf", "BACKEND RESOURCE"),
        ],
        command: "make deploy",
        code: 2,
        there: &[("WORKING_DIR", "live/prod")],
        elsewhere: &[(&[], Told::Refused("there is no configuration"))],
        ..PLAIN
    },
    Layout {
        name: "a Python program deploys",
        files: &[
            ("live/main.tf", "BACKEND RESOURCE"),
            (
                "deploy.py",
                "import subprocess, sys\nsys.exit(subprocess.call('DEPLOY', shell=True, cwd='live'))\n",
            ),
        ],
        command: "python3 deploy.py",
        there: &[("WORKING_DIR", "live")],
        elsewhere: &[
            (&[], Told::Refused("there is no configuration")),
            (&[("WORKING_DIR", "live")], Told::Found),
        ],
        ..PLAIN
    },
    Layout {
        name: "the command exports a workspace",
        kinds: S3,
        workspace: "prod",
        command: "terraform init; export TF_WORKSPACE=prod; APPLY",
        there: OUTSIDE,
        elsewhere: &[
            (OUTSIDE, Told::Found),
            (&[("TF_WORKSPACE", "prod")], Told::Found),
        ],
        ..PLAIN
    },
    Layout {
        name: "the command selects a workspace",
        kinds: S3,
        workspace: "prod",
        command: "terraform init && (terraform workspace select prod || terraform workspace new prod) && APPLY",
        elsewhere: &[
            (OUTSIDE, Told::Found),
            (&[], Told::AnotherFree("workspace default")),
        ],
        ..PLAIN
    },
    Layout {
        name: "the repository has a variable of its own for the workspace",
        kinds: S3,
        workspace: "prod",
        files: &[
            ("main.tf", "BACKEND RESOURCE"),
            (
                "Makefile",
                "deploy:\n\tterraform init\n\tterraform workspace select $(WORKSPACE) || terraform workspace new $(WORKSPACE)\n\tterraform apply -auto-approve\n",
            ),
        ],
        command: "make deploy",
        code: 2,
        variables: &[("WORKSPACE", "prod"), ("DEBUG", "app:*")],
        elsewhere: &[
            (
                &[("WORKSPACE", "prod")],
                Told::Refused("call it SOFTSTOP_WORKSPACE"),
            ),
            (OUTSIDE, Told::Found),
        ],
        ..PLAIN
    },
    Layout {
        name: "the command deploys two states",
        files: &[
            ("network/main.tf", "FREE_BACKEND"),
            ("database/main.tf", "BACKEND RESOURCE"),
            (
                "Makefile",
                "deploy:\n\tcd network && DEPLOY\n\tcd database && DEPLOY\n",
            ),
        ],
        command: "make deploy",
        code: 2,
        there: TWO,
        elsewhere: &[
            (TWO, Told::Found),
            (&[("WORKING_DIR", "network")], Told::AnotherFree("network")),
        ],
        ..PLAIN
    },
    Layout {
        name: "an override has a dot in its name",
        files: &[
            ("main.tf", "LAPTOPS_BACKEND RESOURCE"),
            ("backend.prod_override.tf", "BACKEND"),
            ("my.override.tf", "locals {\n  owner = \"platform\"\n}\n"),
        ],
        ..PLAIN
    },
    Layout {
        name: "a wrapper deploys from a directory that it makes",
        files: &[
            ("module/main.tf", "RESOURCE"),
            (
                "live/deploy.sh",
                "#!/bin/sh\nset -e\nmkdir -p .cache/prod\ncp ../module/*.tf .cache/prod/\n\
                 cat >.cache/prod/backend.tf <<'END'\nBACKEND\nEND\ncd .cache/prod\nDEPLOY\n",
            ),
        ],
        command: "./deploy.sh",
        variables: &[("WORKING_DIR", "live")],
        there: &[("WORKING_DIR", "live/.cache/prod")],
        elsewhere: &[(
            &[("WORKING_DIR", "live")],
            Told::Refused("there is no configuration"),
        )],
        ..PLAIN
    },
    Layout {
        name: "a wrapper removes the directory that it has made",
        files: &[("module/main.tf", "BACKEND RESOURCE")],
        command: "cp -r module .cache; trap 'rm -rf .cache' EXIT; (cd .cache && DEPLOY)",
        there: &[("WORKING_DIR", ".cache")],
        elsewhere: &[
            (
                &[("WORKING_DIR", ".cache")],
                Told::Refused("expected a directory that can be read"),
            ),
            (&[("WORKING_DIR", "module")], Told::Found),
        ],
        ..PLAIN
    },
    Layout {
        name: "files begin with a byte order mark",
        files: &[
            ("backend.tf", "\u{feff}PARTIAL"),
            ("names.tf", "\u{feff}locals {\n  name = \"service\"\n}\n"),
            ("main.tf", "RESOURCE"),
            ("prod.hcl", "\u{feff}SETTINGS"),
        ],
        variables: &[("BACKEND_CONFIG", "prod.hcl")],
        there: &[("BACKEND_CONFIG", "prod.hcl")],
        elsewhere: &[(&[("BACKEND_CONFIG", "prod.hcl")], Told::Found)],
        ..PLAIN
    },
    Layout {
        name: "files hold what only Terraform understands",
        files: &[
            ("main.tf", "BACKEND RESOURCE"),
            (
                "operator.tf",
                "locals {\n  kinds = { for name in [\"a\"] : name => name == \"a\" ? \"first\" :\n    \
                 \"other\"\n  }\n  sums = { for name in [\"a\"] : name => 1 +\n  2 }\n}\n",
            ),
            (
                "twice.tf",
                "locals {\n  tags = { Team = \"platform\", Team = \"network\" }\n}\n",
            ),
            (
                "words.tf",
                "# backend \"s3\" { is spoken of here, and so is cloud {\nlocals {\n  \
                 open = \"{ backend\"\n  text = <<-END\n    terraform {\n      backend \"s3\" {\n  END\n}\n",
            ),
            ("long.tf", "locals {\n  sum = LONG\n  deep = DEEP\n}\n"),
        ],
        ..PLAIN
    },
];
