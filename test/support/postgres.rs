//! What a PostgreSQL knows.

use std::net::SocketAddr;
use std::process::Command;

use super::prepared;

pub fn address() -> SocketAddr {
    prepared("SOFTSTOP_TEST_POSTGRES").parse().unwrap()
}

pub fn sql(database: &str, query: &str) -> String {
    let output = Command::new("psql")
        .args(["--no-psqlrc", "--tuples-only", "--no-align", "--quiet"])
        .arg(format!("postgres://postgres@{}/{database}", address()))
        .args(["--command", query])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}
