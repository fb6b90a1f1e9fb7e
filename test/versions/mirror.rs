//! A server with what is published, and the key that signs it.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Cursor, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread;

use tiny_http::{Request, Response, Server};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use crate::support::{Program, Project, prepared, until};

/// A version that nobody has published.
pub(super) const VERSION: &str = "9.8.7";

/// A key of the test's own, in the place of those who publish.
pub(super) struct Key(PathBuf);

impl Key {
    pub(super) fn new(project: &Project, name: &str) -> Self {
        let home = project.scratch().join(name);
        fs::create_dir(&home).unwrap();
        let key = Self(home);
        key.gpg(&[
            "--passphrase",
            "",
            "--quick-gen-key",
            "test",
            "ed25519",
            "sign",
            "never",
        ]);
        key
    }

    pub(super) fn gpg(&self, arguments: &[&str]) -> Vec<u8> {
        let output = Command::new("gpg")
            .arg("--homedir")
            .arg(&self.0)
            .args(["--batch", "--quiet", "--no-permission-warning"])
            .args(arguments)
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        output.stdout
    }

    /// The keyring that holds this key alone.
    pub(super) fn keyring(&self) -> PathBuf {
        let keyring = self.0.join("keyring");
        fs::write(&keyring, self.gpg(&["--export"])).unwrap();
        keyring
    }

    pub(super) fn sign(&self, text: &str) -> Vec<u8> {
        let file = self.0.join("signed");
        fs::write(&file, text).unwrap();
        self.gpg(&["--output", "-", "--detach-sign", file.to_str().unwrap()])
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        let mut kill = Command::new("gpgconf");
        // An agent that has not begun is not there to be ended.
        let _ = kill
            .arg("--homedir")
            .arg(&self.0)
            .args(["--kill", "all"])
            .status();
    }
}

/// A server that holds copies of what is published.
pub(super) struct Mirror {
    pub(super) address: SocketAddr,
    files: Arc<Mutex<BTreeMap<String, Vec<u8>>>>,
    asked: Arc<Mutex<Vec<String>>>,
    /// Those of which the answer is held back, where any is.
    held: Arc<Mutex<Option<Vec<Request>>>>,
}

impl Mirror {
    pub(super) fn start() -> Self {
        let server = Server::http("127.0.0.1:0").unwrap();
        let mirror = Self {
            address: server.server_addr().to_ip().unwrap(),
            files: Arc::default(),
            asked: Arc::default(),
            held: Arc::default(),
        };
        let (files, asked) = (Arc::clone(&mirror.files), Arc::clone(&mirror.asked));
        let held = Arc::clone(&mirror.held);
        thread::spawn(move || {
            for request in server.incoming_requests() {
                asked.lock().unwrap().push(request.url().to_owned());
                match &mut *held.lock().unwrap() {
                    Some(held) if request.url().contains(".zip") => held.push(request),
                    _ => answer(request, &files),
                }
            }
        });
        mirror
    }

    /// Holds the answers back to all who ask for an archive from now on.
    pub(super) fn hold(&self) {
        *self.held.lock().unwrap() = Some(Vec::new());
    }

    pub(super) fn wait_until_held(&self, count: usize) {
        until("enough of them have asked for the archive", || {
            self.held.lock().unwrap().as_ref().unwrap().len() == count
        });
    }

    /// Gives one of them its answer.
    pub(super) fn answer_one(&self) {
        let request = self.held.lock().unwrap().as_mut().unwrap().pop().unwrap();
        answer(request, &self.files);
    }

    /// Holds a version of a program that notes how it is called, and then does what the real one does.
    pub(super) fn publish(&self, project: &Project, program: Program, key: &Key) {
        let (name, directory, signature, real) = match program {
            Program::Terraform => {
                let real = prepared("SOFTSTOP_TEST_TERRAFORM");
                ("terraform", format!("terraform/{VERSION}"), ".sig", real)
            }
            Program::OpenTofu => ("tofu", format!("v{VERSION}"), ".gpgsig", program.path()),
        };
        let notes = project.scratch().join("notes");
        let script = format!(
            "#!/bin/sh\necho {name} $1 >> {}\n[ $1 != version ] || {{ \
             echo '{{\"terraform_version\": \"{VERSION}\"}}'; exit; }}\nexec {real} \"$@\"\n",
            notes.display()
        );
        let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
        let options = SimpleFileOptions::default();
        archive.start_file("LICENSE.txt", options).unwrap();
        archive.start_file(name, options).unwrap();
        archive.write_all(script.as_bytes()).unwrap();
        let archive = archive.finish().unwrap().into_inner();
        let zip = format!("{name}_{VERSION}_linux_{}.zip", architecture());
        let path = project.scratch().join(&zip);
        fs::write(&path, &archive).unwrap();
        let sum = Command::new("sha256sum").arg(&path).output().unwrap();
        let sum = String::from_utf8(sum.stdout).unwrap();
        let sum = sum.split(' ').next().unwrap();
        let sums = format!("{}  another.zip\n{sum}  {zip}\n", "0".repeat(64));
        let list = format!("{name}_{VERSION}_SHA256SUMS");
        let mut files = self.files.lock().unwrap();
        let mut hold =
            |name: &str, text: Vec<u8>| files.insert(format!("/{directory}/{name}"), text);
        hold(&format!("{list}{signature}"), key.sign(&sums));
        hold(&list, sums.into_bytes());
        hold(&zip, archive);
    }

    /// Changes a file whose name ends so.
    pub(super) fn change(&self, end: &str, text: Vec<u8>) {
        let mut files = self.files.lock().unwrap();
        let file = files.iter_mut().find(|(name, _)| name.ends_with(end));
        *file.unwrap().1 = text;
    }

    pub(super) fn requests(&self) -> usize {
        self.asked.lock().unwrap().len()
    }
}

fn answer(request: Request, files: &Mutex<BTreeMap<String, Vec<u8>>>) {
    let file = files.lock().unwrap().get(request.url()).cloned();
    let status = if file.is_some() { 200 } else { 404 };
    let answer = Response::from_data(file.unwrap_or_default());
    // Whoever asked may be gone.
    let _ = request.respond(answer.with_status_code(status));
}

fn architecture() -> &'static str {
    if cfg!(target_arch = "aarch64") {
        "arm64"
    } else {
        "amd64"
    }
}
