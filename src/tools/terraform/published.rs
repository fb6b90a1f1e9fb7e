//! A published version of Terraform or OpenTofu: where it is, and whether it is what was published.
//!
//! Its checksums are signed, and the key is one that the image holds, so it does not matter through
//! whose hands it went.

use std::fs::{self, File, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use reqwest::{Client, StatusCode};
use ring::digest::{Context, SHA256};
use semver::Version;
use thiserror::Error;
use zip::ZipArchive;

use crate::http_client::{self, innermost};
use crate::supervisor::HelperError;
use crate::tools::host::Host;

/// How long a server may take until it answers, and a whole file until it is here.
const TO_CONNECT: Duration = Duration::from_secs(20);
const TO_DOWNLOAD: Duration = Duration::from_secs(600);
/// How long it may take to check a signature.
const TO_CHECK: Duration = Duration::from_secs(20);
/// No version is larger.
const LARGEST: usize = 400 * 1024 * 1024;

/// Who publishes a program, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Publisher {
    HashiCorp,
    OpenTofu,
}

/// Why a version cannot be had.
#[derive(Debug, Error)]
pub(crate) enum Unavailable {
    #[error("there is no such version at {address} (HTTP 404)")]
    NoSuchVersion { address: String },
    #[error("{address} answered with HTTP {status}")]
    Refused { address: String, status: StatusCode },
    #[error(
        "{address} could not be reached: {reason}. Where the network does not allow it, name a server that holds a copy by TERRAFORM_MIRROR, or take an image that has this version"
    )]
    Unreachable { address: String, reason: String },
    #[error("{address} is larger than any version can be")]
    TooLarge { address: String },
    #[error("{address} names no checksum of {file}")]
    NoChecksum { address: String, file: String },
    #[error("{address} is not what its checksum says, so it is not used")]
    Changed { address: String },
    #[error("{address} is not signed by {keyring}, so nothing of it is used. gpgv said: {output}")]
    NotSigned {
        address: String,
        keyring: &'static str,
        output: String,
    },
    #[error(
        "its signature cannot be checked without {missing}. The pipe's image has it; in one of your own, install gpgv, and copy {keyring} from the pipe's image"
    )]
    NoMeans {
        missing: String,
        keyring: &'static str,
    },
    #[error("its signature could not be checked: {0}")]
    Unchecked(HelperError),
    #[error("{address} cannot be unpacked: {reason}")]
    NoArchive { address: String, reason: String },
    #[error("it cannot be kept: {0}")]
    NotKept(#[from] io::Error),
}

impl Publisher {
    pub(super) fn of(program: &str) -> Self {
        if program == "tofu" {
            Self::OpenTofu
        } else {
            Self::HashiCorp
        }
    }

    fn program(self) -> &'static str {
        match self {
            Self::HashiCorp => "terraform",
            Self::OpenTofu => "tofu",
        }
    }

    /// The directory of a version, below a mirror where one is given.
    fn directory(self, version: &Version, mirror: Option<&str>) -> String {
        match self {
            Self::HashiCorp => {
                let base = mirror.unwrap_or("https://releases.hashicorp.com");
                format!("{}/terraform/{version}", base.trim_end_matches('/'))
            }
            Self::OpenTofu => {
                let base = "https://github.com/opentofu/opentofu/releases/download";
                let base = mirror.unwrap_or(base);
                format!("{}/v{version}", base.trim_end_matches('/'))
            }
        }
    }

    /// What the name of the signature adds to that of the checksums.
    fn signature(self) -> &'static str {
        match self {
            Self::HashiCorp => ".sig",
            Self::OpenTofu => ".gpgsig",
        }
    }

    /// The keys that may sign.
    fn keyring(self) -> &'static str {
        match self {
            Self::HashiCorp => "/usr/share/keyrings/hashicorp.gpg",
            Self::OpenTofu => "/usr/share/keyrings/opentofu.gpg",
        }
    }

    /// Brings this version of the program into `place`, if it is what was published.
    pub(super) async fn fetch(
        self,
        host: &impl Host,
        version: &Version,
        mirror: Option<&str>,
        place: &Path,
    ) -> Result<(), Unavailable> {
        self.expect_keyring()?;
        let base = self.directory(version, mirror);
        let stem = format!("{}_{version}", self.program());
        let (sums, archive) = (
            format!("{stem}_SHA256SUMS"),
            format!("{stem}_linux_{}.zip", architecture()),
        );
        let signature = format!("{sums}{}", self.signature());
        let client = client().map_err(|error| Unavailable::Unreachable {
            address: shown(&base),
            reason: innermost(&error),
        })?;
        for name in [&sums, &signature] {
            download(&client, &format!("{base}/{name}"), &place.join(name)).await?;
        }
        let signed = shown(&format!("{base}/{sums}"));
        self.expect_signature(host, &signed, place, &signature, &sums)
            .await?;
        let checksums = fs::read_to_string(place.join(&sums))?;
        let expected = checksum(&checksums, &archive).ok_or(Unavailable::NoChecksum {
            address: signed,
            file: archive.clone(),
        })?;
        let address = format!("{base}/{archive}");
        let found = download(&client, &address, &place.join(&archive)).await?;
        let address = shown(&address);
        if found != expected.to_ascii_lowercase() {
            return Err(Unavailable::Changed { address });
        }
        unpack(&place.join(&archive), self.program(), place).map_err(|error| {
            let reason = error.to_string();
            Unavailable::NoArchive { address, reason }
        })?;
        Ok(fs::remove_file(place.join(&archive))?)
    }

    fn expect_keyring(self) -> Result<(), Unavailable> {
        let keyring = self.keyring();
        File::open(keyring)
            .map(drop)
            .map_err(|_| Unavailable::NoMeans {
                missing: keyring.to_owned(),
                keyring,
            })
    }

    /// gpgv succeeds only where each signature is a good one by a key of the keyring.
    async fn expect_signature(
        self,
        host: &impl Host,
        address: &str,
        place: &Path,
        signature: &str,
        signed: &str,
    ) -> Result<(), Unavailable> {
        let keyring = self.keyring();
        let mut command = Command::new("gpgv");
        command
            .arg("--homedir")
            .arg(place)
            .args(["--keyring", keyring, signature, signed])
            .env("LC_ALL", "C")
            .current_dir(place);
        match host.run_helper(command, TO_CHECK).await {
            Ok(helped) if helped.status.success() => Ok(()),
            Ok(helped) => Err(Unavailable::NotSigned {
                address: address.to_owned(),
                keyring,
                output: helped.stderr.lines().collect::<Vec<_>>().join(" "),
            }),
            Err(HelperError::Start { source, .. }) if source.kind() == ErrorKind::NotFound => {
                Err(Unavailable::NoMeans {
                    missing: "gpgv".to_owned(),
                    keyring,
                })
            }
            Err(error) => Err(Unavailable::Unchecked(error)),
        }
    }
}

/// As those who publish call it.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

fn client() -> reqwest::Result<Client> {
    http_client::builder()?
        .connect_timeout(TO_CONNECT)
        .read_timeout(TO_CONNECT)
        .timeout(TO_DOWNLOAD)
        .build()
}

/// An address without the user and the password that may stand in it.
fn shown(address: &str) -> String {
    let Some((scheme, rest)) = address.split_once("://") else {
        return address.to_owned();
    };
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = host.rsplit('@').next().unwrap_or(host);
    format!("{scheme}://{host}{path}")
}

/// Writes a file of a server's to `path`, and returns its checksum.
async fn download(client: &Client, address: &str, path: &Path) -> Result<String, Unavailable> {
    let unreachable = |error: reqwest::Error| Unavailable::Unreachable {
        address: shown(address),
        reason: innermost(&error),
    };
    let mut response = client.get(address).send().await.map_err(unreachable)?;
    let address = || shown(address);
    match response.status() {
        StatusCode::NOT_FOUND => return Err(Unavailable::NoSuchVersion { address: address() }),
        status if !status.is_success() => {
            let address = address();
            return Err(Unavailable::Refused { address, status });
        }
        _ => {}
    }
    let mut file = File::create(path)?;
    let mut digest = Context::new(&SHA256);
    let mut length = 0;
    while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
        length += chunk.len();
        if length > LARGEST {
            return Err(Unavailable::TooLarge { address: address() });
        }
        digest.update(&chunk);
        file.write_all(&chunk)?;
    }
    Ok(hexadecimal(digest.finish().as_ref()))
}

fn hexadecimal(bytes: &[u8]) -> String {
    let digits = |byte: &u8| [byte >> 4, byte & 15].map(|digit| char::from_digit(digit.into(), 16));
    bytes.iter().flat_map(digits).flatten().collect()
}

/// The checksum of a file, in a list as sha256sum writes it.
fn checksum<'a>(sums: &'a str, file: &str) -> Option<&'a str> {
    sums.lines().find_map(|line| {
        let (sum, name) = line.split_once(char::is_whitespace)?;
        (name.trim_start().trim_start_matches('*') == file).then_some(sum)
    })
}

fn unpack(archive: &Path, program: &str, place: &Path) -> zip::result::ZipResult<()> {
    let mut archive = ZipArchive::new(File::open(archive)?)?;
    let path = place.join(program);
    let mut file = File::create(&path)?;
    io::copy(&mut archive.by_name(program)?, &mut file)?;
    fs::set_permissions(&path, Permissions::from_mode(0o755))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_publisher_has_its_own_addresses_and_a_mirror_is_laid_out_like_them() {
        let version: Version = "1.9.8".parse().unwrap();
        let terraform = Publisher::of("terraform");
        let tofu = Publisher::of("tofu");
        for (publisher, mirror, expected) in [
            (
                terraform,
                None,
                "https://releases.hashicorp.com/terraform/1.9.8",
            ),
            (
                terraform,
                Some("http://mirror/hashicorp/"),
                "http://mirror/hashicorp/terraform/1.9.8",
            ),
            (
                tofu,
                None,
                "https://github.com/opentofu/opentofu/releases/download/v1.9.8",
            ),
            (
                tofu,
                Some("http://mirror/tofu"),
                "http://mirror/tofu/v1.9.8",
            ),
        ] {
            assert_eq!(publisher.directory(&version, mirror), expected);
        }
    }

    #[test]
    fn nobody_is_told_the_password_of_a_mirror() {
        for (address, expected) in [
            (
                "https://anna:s3cret@mirror.example/x@y",
                "https://mirror.example/x@y",
            ),
            ("https://mirror.example", "https://mirror.example"),
        ] {
            assert_eq!(shown(address), expected);
        }
    }

    #[test]
    fn a_checksum_is_that_of_the_file_of_this_very_name() {
        let sums = "aa  terraform_1_linux_amd64.zip\nbb *terraform_1_linux_arm64.zip\ncc  x\n";
        assert_eq!(checksum(sums, "terraform_1_linux_amd64.zip"), Some("aa"));
        assert_eq!(checksum(sums, "terraform_1_linux_arm64.zip"), Some("bb"));
        assert_eq!(checksum(sums, "linux_amd64.zip"), None);
    }
}
