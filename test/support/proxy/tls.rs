//! TLS between a client and a proxy, which can read only what is not encrypted.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::thread;

use rustix::event::{PollFd, PollFlags, poll};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection};

use crate::prepared;

/// With the certificate that the tests have made for the addresses of proxies.
pub(super) fn config() -> Arc<ServerConfig> {
    let certificate = prepared("SOFTSTOP_TEST_CERTIFICATE");
    let key = Path::new(&certificate).with_extension("key");
    let certificate = CertificateDer::from_pem_file(&certificate).unwrap();
    let key = PrivateKeyDer::from_pem_file(key).unwrap();
    let config =
        ServerConfig::builder_with_provider(rustls::crypto::ring::default_provider().into())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .unwrap();
    Arc::new(config)
}

/// A connection on which what the client says can be read, and which ends when the client goes.
pub(super) fn unwrapped(client: TcpStream, config: &Arc<ServerConfig>) -> TcpStream {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let plain = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (inner, _) = listener.accept().unwrap();
    let tls = ServerConnection::new(Arc::clone(config)).unwrap();
    // Either side may break off whenever it likes, and then the other one is told by the end.
    thread::spawn(move || relay(tls, client, inner));
    plain
}

/// Passes on what both say, until either has ended.
fn relay(mut tls: ServerConnection, mut client: TcpStream, mut proxy: TcpStream) -> io::Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let mut sides = [&client, &proxy].map(|side| PollFd::new(side, PollFlags::IN));
        poll(&mut sides, None)?;
        let [client_is_ready, proxy_is_ready] = sides.map(|side| !side.revents().is_empty());
        if client_is_ready {
            let length = tls.read_tls(&mut client)?;
            let state = tls.process_new_packets().map_err(io::Error::other)?;
            let mut said = vec![0; state.plaintext_bytes_to_read()];
            tls.reader().read_exact(&mut said)?;
            proxy.write_all(&said)?;
            if length == 0 || state.peer_has_closed() {
                return Ok(());
            }
        }
        if proxy_is_ready {
            let length = proxy.read(&mut buffer)?;
            tls.writer().write_all(&buffer[..length])?;
            if length == 0 {
                tls.send_close_notify();
                tls.write_tls(&mut client)?;
                return Ok(());
            }
        }
        while tls.wants_write() {
            tls.write_tls(&mut client)?;
        }
    }
}
