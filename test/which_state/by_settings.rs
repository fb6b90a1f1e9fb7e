//! Layouts whose settings and credentials stand in more than one place.

use super::layouts::{Layout, PLAIN, S3, Told, Variables};
use crate::support::Kind;

const INCOMPLETE: Told = Told::Unknown("incomplete");
const CACHED: &str = "`.terraform` is of another backend than the one that is named";

/// Two environments of one configuration.
const ENVIRONMENTS: &[(&str, &str)] = &[
    ("main.tf", "PARTIAL RESOURCE"),
    ("env/prod.hcl", "SETTINGS"),
    ("env/staging.hcl", "LAPTOPS_SETTINGS"),
    ("env/test.hcl", "FREE_SETTINGS"),
];
const PROGRAM: &[(&str, &str)] = &[
    (
        "infra/main.tf",
        "terraform {\n  backend \"s3\" {\nKEYLESS  profile = \"ci\"\n  }\n}\nRESOURCE",
    ),
    (
        "infra/aws.ini",
        "[profile ci]\nregion = us-east-1\ncredential_process = ./keys\n",
    ),
    (
        "infra/keys",
        "#!/bin/sh\necho '{\"Version\": 1, \"AccessKeyId\": \"test\", \"SecretAccessKey\": \"s3cret\"}'\n",
    ),
];
const BY_PROGRAM: Variables = &[("WORKING_DIR", "infra"), ("AWS_CONFIG_FILE", "aws.ini")];
const BY_TOKEN: Variables = &[
    ("WORKING_DIR", "infra"),
    ("AWS_ENDPOINT_URL_STS", "ADDRESS"),
];
const PROD: Variables = &[("BACKEND_CONFIG", "env/prod.hcl")];
const BY_ARGUMENTS: Variables = &[("TF_CLI_ARGS_init", "-backend-config=env/prod.hcl")];
const BY_MORE_ARGUMENTS: Variables = &[
    (
        "TF_CLI_ARGS_init",
        "-upgrade -backend-config env/staging.hcl --backend-config 'env/prod.hcl'",
    ),
    ("TF_CLI_ARGS", "-no-color"),
];
const BY_ADDRESSES: Variables = &[
    ("TF_HTTP_ADDRESS", "ADDRESS"),
    ("TF_HTTP_LOCK_ADDRESS", "ADDRESS"),
    ("TF_HTTP_UNLOCK_ADDRESS", "ADDRESS"),
];
const KEYS: Variables = &[
    ("AWS_ACCESS_KEY_ID", "only-here"),
    ("AWS_SECRET_ACCESS_KEY", "s3cret"),
];

pub(super) static LAYOUTS: [Layout; 13] = [
    Layout {
        name: "a cached .terraform is of another environment",
        files: ENVIRONMENTS,
        prepared: "terraform init -lock=false -backend-config=env/staging.hcl",
        command: "terraform init -reconfigure -backend-config=env/prod.hcl && APPLY",
        variables: PROD,
        warned: CACHED,
        there: PROD,
        elsewhere: &[(PROD, Told::Found), (BY_ARGUMENTS, Told::Found)],
        ..PLAIN
    },
    Layout {
        name: "a cached .terraform is of a backend block that was changed",
        files: &[
            ("main.tf", "RESOURCE"),
            ("backend.tf", "BACKEND"),
            ("old", "LAPTOPS_BACKEND"),
        ],
        prepared: "cp backend.tf new; cp old backend.tf; terraform init -lock=false; mv new backend.tf",
        command: "terraform init -reconfigure && APPLY",
        warned: CACHED,
        ..PLAIN
    },
    Layout {
        name: "a cached .terraform completes a partial block",
        files: ENVIRONMENTS,
        command: "terraform init -backend-config=env/prod.hcl && APPLY",
        elsewhere: &[(&[], INCOMPLETE)],
        ..PLAIN
    },
    Layout {
        name: "TF_CLI_ARGS_init names the settings",
        files: ENVIRONMENTS,
        variables: BY_ARGUMENTS,
        there: BY_ARGUMENTS,
        elsewhere: &[(BY_ARGUMENTS, Told::Found), (&[], INCOMPLETE)],
        ..PLAIN
    },
    Layout {
        name: "TF_CLI_ARGS_init names the settings among others",
        files: ENVIRONMENTS,
        variables: BY_MORE_ARGUMENTS,
        there: BY_MORE_ARGUMENTS,
        elsewhere: &[(BY_MORE_ARGUMENTS, Told::Found)],
        ..PLAIN
    },
    Layout {
        name: "TF_CLI_ARGS_init names the table of locks",
        kinds: &[Kind::S3DynamoDb],
        files: &[
            (
                "main.tf",
                "terraform {\n  backend \"s3\" {\nTABLELESS  }\n}\nRESOURCE",
            ),
            ("table.hcl", "TABLE"),
        ],
        variables: &[("TF_CLI_ARGS_init", "-backend-config=table.hcl")],
        there: &[("TF_CLI_ARGS_init", "-backend-config=table.hcl")],
        elsewhere: &[(
            &[("TF_CLI_ARGS_init", "-backend-config=table.hcl")],
            Told::Found,
        )],
        ..PLAIN
    },
    Layout {
        name: "the environment names the addresses",
        kinds: &[Kind::HttpStrict],
        files: ENVIRONMENTS,
        variables: BY_ADDRESSES,
        there: BY_ADDRESSES,
        elsewhere: &[(BY_ADDRESSES, Told::Found), (&[], INCOMPLETE)],
        ..PLAIN
    },
    Layout {
        name: "the command exports the credentials",
        kinds: S3,
        files: &[(
            "main.tf",
            "terraform {\n  backend \"s3\" {\nKEYLESS  }\n}\nRESOURCE",
        )],
        command: "export AWS_ACCESS_KEY_ID=only-here AWS_SECRET_ACCESS_KEY=s3cret; DEPLOY",
        warned: "The lock cannot be looked after yet",
        there: KEYS,
        elsewhere: &[
            (&[], Told::Unknown("No valid credential sources found")),
            (KEYS, Told::Found),
        ],
        ..PLAIN
    },
    Layout {
        name: "a program beside the configuration gives the credentials",
        kinds: S3,
        files: PROGRAM,
        variables: BY_PROGRAM,
        there: BY_PROGRAM,
        elsewhere: &[(BY_PROGRAM, Told::Found)],
        ..PLAIN
    },
    Layout {
        name: "a token beside the configuration gives the credentials",
        kinds: S3,
        files: &[
            (
                "infra/main.tf",
                "terraform {\n  backend \"s3\" {\nKEYLESS  assume_role_with_web_identity = {\n    \
                 role_arn = \"arn:aws:iam::123456789012:role/deploy\"\n    session_name = \"deploy\"\n    \
                 web_identity_token_file = \"./token\"\n  }\n  }\n}\nRESOURCE",
            ),
            ("infra/token", "s3cret-token"),
        ],
        variables: BY_TOKEN,
        there: BY_TOKEN,
        elsewhere: &[(BY_TOKEN, Told::Found)],
        ..PLAIN
    },
    Layout {
        name: "BACKEND_CONFIG names what the command leaves open",
        files: ENVIRONMENTS,
        variables: PROD,
        there: PROD,
        elsewhere: &[(PROD, Told::Found), (&[], INCOMPLETE)],
        ..PLAIN
    },
    Layout {
        name: "BACKEND_CONFIG stands beside other arguments of init",
        files: ENVIRONMENTS,
        variables: &[
            ("BACKEND_CONFIG", "env/prod.hcl"),
            ("TF_CLI_ARGS_init", "-upgrade"),
        ],
        there: PROD,
        elsewhere: &[(PROD, Told::Found)],
        ..PLAIN
    },
    Layout {
        name: "the command names other settings than BACKEND_CONFIG",
        files: ENVIRONMENTS,
        command: "terraform init -backend-config=env/prod.hcl && APPLY",
        variables: &[("BACKEND_CONFIG", "env/test.hcl")],
        elsewhere: &[
            (
                &[("BACKEND_CONFIG", "env/test.hcl")],
                Told::AnotherFree("The lock is free"),
            ),
            (PROD, Told::Found),
        ],
        ..PLAIN
    },
];
