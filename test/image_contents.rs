//! What is in the images.

use serde_yaml::Value;

use crate::image::{BARE, BINARY, OPENTOFU, PIPE, shell, shell_in};
use crate::support::container::{inspect, run};

fn size(image: &str) -> u64 {
    inspect(image, "{{.Size}}").parse().unwrap()
}

fn label(image: &str, name: &str) -> String {
    inspect(image, &format!("{{{{index .Config.Labels \"{name}\"}}}}"))
}

#[test]
fn the_binary_is_small_and_needs_nothing_else() {
    let size = size(BINARY);
    assert!(size <= 6_200_000, "{size} bytes");
    let version = run(&["--network", "none", BINARY, "--version"]);
    assert_eq!(
        version,
        concat!("softstop ", env!("CARGO_PKG_VERSION"), "\n")
    );
}

#[test]
fn the_pipe_is_small_beside_terraform_and_debian() {
    let added = size(PIPE) - size("softstop-test/terraform") - size("softstop-test/slim");
    assert!(added <= 44_000_000, "{added} bytes");
}

#[test]
fn the_pipe_has_what_terraform_needs_to_fetch_modules_and_no_tools_to_build() {
    let said = shell(
        "terraform version | head -n 1; git --version; ssh -V 2>&1
         git submodule status 2>&1 | head -n 1; ls /usr/lib/git-core/git-remote-https
         test -s /etc/ssl/certs/ca-certificates.crt
         ! command -v cc gcc cargo rustc make
         ls -A /var/lib/apt/lists /var/cache/apt/archives/*.deb /softstop /program /began 2>/dev/null || true",
    );
    let lines: Vec<&str> = said.lines().collect();
    assert!(lines[0].starts_with("Terraform v"), "{said}");
    assert!(lines[1].starts_with("git version"), "{said}");
    assert!(lines[2].starts_with("OpenSSH"), "{said}");
    assert!(
        lines[3].starts_with("fatal: not a git repository"),
        "{said}"
    );
    assert_eq!(lines[4], "/usr/lib/git-core/git-remote-https", "{said}");
    assert_eq!(lines.get(5..), Some(&["/var/lib/apt/lists:"][..]), "{said}");
}

#[test]
fn every_image_in_which_a_version_can_be_chosen_can_check_its_signature() {
    for image in [PIPE, BARE, OPENTOFU] {
        let said = shell_in(
            image,
            "gpgv --version | head -n 1
             cd /usr/share/keyrings; stat --format '%n %a' hashicorp.gpg opentofu.gpg
             cd /tmp; echo 'terraform {}' >main.tf
             TERRAFORM_VERSION=9.8.7 TERRAFORM_MIRROR=http://127.0.0.1:1 \\
               softstop --pipe status 2>&1 || echo \"code $?\"",
        );
        let lines: Vec<&str> = said.lines().collect();
        assert!(lines[0].starts_with("gpgv (GnuPG)"), "{image}: {said}");
        assert_eq!(lines[1..3], ["hashicorp.gpg 644", "opentofu.gpg 644"]);
        assert!(said.contains("could not be reached"), "{image}: {said}");
        assert_eq!(lines.last(), Some(&"code 2"), "{image}: {said}");
    }
}

#[test]
fn every_image_says_what_it_is_in_the_words_of_the_package_and_under_which_licences() {
    let pipe: Value = serde_yaml::from_str(include_str!("../pipe.yml")).unwrap();
    for (image, others) in [
        (BINARY, ""),
        (BARE, ""),
        (PIPE, " AND BUSL-1.1"),
        (OPENTOFU, " AND MPL-2.0"),
    ] {
        let label = |name: &str| label(image, &format!("org.opencontainers.image.{name}"));
        assert_eq!(label("version"), env!("CARGO_PKG_VERSION"));
        let licence = env!("CARGO_PKG_LICENSE");
        assert_eq!(label("licenses"), format!("{licence}{others}"));
        for name in [
            "title",
            "description",
            "revision",
            "created",
            "url",
            "documentation",
            "authors",
        ] {
            assert!(!label(name).is_empty(), "{image}: {name}");
        }
        assert_eq!(Some(label("source").as_str()), pipe["repository"].as_str());
        assert_eq!(
            Some(label("vendor").as_str()),
            pipe["vendor"]["name"].as_str()
        );
    }
    // An image that is built from the pipe and has an ENTRYPOINT of its own is no pipe any more.
    let entry_point = |image| inspect(image, "{{.Config.Entrypoint}}");
    assert_eq!(entry_point(BINARY), "[/usr/local/bin/softstop]");
    for image in [PIPE, BARE, OPENTOFU] {
        assert_eq!(entry_point(image), "[/usr/local/bin/softstop --pipe]");
    }
    let version = concat!(":", env!("CARGO_PKG_VERSION"));
    assert!(pipe["image"].as_str().unwrap().ends_with(version));
}

#[test]
fn each_image_has_the_one_program_that_it_names_with_its_licence() {
    const PROGRAMS: &str = "for name in terraform tofu; do command -v $name || true; done; ls /usr/share/doc/terraform \
        /usr/share/doc/opentofu 2>/dev/null || true";
    assert_eq!(shell_in(BARE, PROGRAMS), "");
    assert_eq!(
        shell_in(PIPE, PROGRAMS),
        "/usr/local/bin/terraform\n/usr/share/doc/terraform:\nLICENSE.txt\n"
    );
    assert_eq!(
        shell_in(OPENTOFU, PROGRAMS),
        "/usr/local/bin/tofu\n/usr/share/doc/opentofu:\nLICENSE\n"
    );
    for (image, name, program) in [
        (PIPE, "com.hashicorp.terraform.version", "terraform"),
        (OPENTOFU, "org.opentofu.version", "tofu"),
    ] {
        let version = shell_in(image, &format!("{program} version | head -n 1"));
        let (_, version) = version.trim().rsplit_once(" v").unwrap();
        assert_eq!(label(image, name), version);
    }
}

#[test]
fn what_is_in_the_pipe_is_listed_in_it() {
    let listed = shell("cat /usr/share/doc/softstop/softstop.cdx.json");
    let listed: Value = serde_yaml::from_str(&listed).unwrap();
    assert_eq!(listed["bomFormat"], "CycloneDX");
    assert!(listed["serialNumber"].is_null() && listed["metadata"]["timestamp"].is_null());
    assert_eq!(
        listed["metadata"]["component"]["version"],
        env!("CARGO_PKG_VERSION")
    );
    let components = listed["components"].as_sequence().unwrap();
    for name in ["rustls", "tokio"] {
        let component = components
            .iter()
            .find(|component| component["name"] == name);
        assert!(component.unwrap()["licenses"].is_sequence(), "{name}");
    }
    assert!(
        components
            .iter()
            .all(|component| component["name"] != "proptest")
    );
    let packages = shell(
        "cat /usr/share/doc/softstop/debian-packages.tsv
         ls /usr/share/doc/git/copyright /usr/share/doc/softstop/LICENSE",
    );
    for package in ["git\t", "openssh-client\t", "libc6"] {
        assert!(
            packages.lines().any(|line| line.starts_with(package)),
            "{packages}"
        );
    }
}

#[test]
fn the_pipe_has_what_debian_has_mended_and_gives_nobody_more_rights_than_he_has() {
    let version = "dpkg-query --show --showformat '${Version}' softstop-test-upgrade";
    assert_eq!(shell_in("softstop-test/slim", version), "1");
    assert_eq!(shell(version), "2");
    let with_rights = "find / -xdev -type f -perm /6000";
    assert_ne!(shell_in("softstop-test/slim", with_rights), "");
    assert_eq!(shell(with_rights), "");
}
