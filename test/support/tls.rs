//! TLS before a server, with an authority of its own.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use super::Project;

/// What speaks TLS before a server that does not.
pub struct Tls {
    process: Child,
    pub port: String,
    /// Where certificates and keys are.
    pub directory: PathBuf,
}

impl Tls {
    /// An authority, a certificate for this machine, and one for a client, which the server wants.
    pub fn before(project: &Project) -> Self {
        const CERTIFICATES: &str = "
            make() {
                name=$1; shift
                openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes \
                    -days 2 -subj /CN=$name -keyout $name.key -out $name.pem \"$@\"
            }
            sign() {
                make \"$@\" -CA authority.pem -CAkey authority.key \
                    -addext basicConstraints=critical,CA:FALSE
            }
            make authority -addext keyUsage=keyCertSign
            sign server -addext subjectAltName=IP:127.0.0.1
            sign client";
        const PROXY: &str = "
import socket, ssl, sys, threading
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain('server.pem', 'server.key')
context.verify_mode = ssl.CERT_REQUIRED
context.load_verify_locations('authority.pem')
listener = socket.create_server(('127.0.0.1', 0))
print(listener.getsockname()[1], flush=True)
def copy(source, target):
    try:
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass
def serve(client):
    try:
        client = context.wrap_socket(client, server_side=True)
    except OSError:
        return
    server = socket.create_connection(('127.0.0.1', int(sys.argv[1])))
    threading.Thread(target=copy, args=(server, client), daemon=True).start()
    copy(client, server)
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
";
        let directory = project.scratch().join("tls");
        fs::create_dir(&directory).unwrap();
        let mut openssl = Command::new("sh");
        openssl.args(["-ec", CERTIFICATES]).current_dir(&directory);
        let output = openssl.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let port = project.store.http.as_ref().unwrap().address.port();
        let mut process = Command::new("python3")
            .args(["-c", PROXY, &port.to_string()])
            .current_dir(&directory)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut port = String::new();
        let stdout = process.stdout.take().unwrap();
        BufReader::new(stdout).read_line(&mut port).unwrap();
        let port = port.trim().to_owned();
        Self {
            process,
            port,
            directory,
        }
    }

    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.directory.join(name)).unwrap()
    }
}

impl Drop for Tls {
    fn drop(&mut self) {
        // It may have failed by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
