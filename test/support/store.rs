//! Backends, and the truth about their locks and states, asked from the backend itself.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use uuid::Uuid;

use super::aws;
use super::http_server::HttpServer;
use super::prepared;
use super::proxy::Proxy;

/// The backends that can be had for real.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    HttpStrict,
    HttpLax,
    S3Lockfile,
    S3DynamoDb,
    S3Both,
    Postgres,
    Local,
}

/// One backend with one state.
pub(crate) struct Store {
    pub(crate) kind: Kind,
    /// Stands before every backend but the local one.
    pub(crate) proxy: Option<Proxy>,
    pub(crate) http: Option<HttpServer>,
    /// The name of the bucket, the table or the database.
    name: String,
    /// Where the state is in a bucket.
    key: String,
    directory: PathBuf,
}

const KEY: &str = "deploy/state.tfstate";

/// A lock of `who`, as a Terraform leaves it.
pub(crate) fn lock_of(who: &str) -> Value {
    json!({
        "ID": Uuid::new_v4().to_string(), "Operation": "OperationTypeApply", "Info": "",
        "Who": who, "Version": "1.11.4", "Created": "2026-11-22T21:56:25.422332792Z", "Path": "",
    })
}

impl Kind {
    pub(crate) const ALL: [Self; 7] = [
        Self::HttpStrict,
        Self::HttpLax,
        Self::S3Lockfile,
        Self::S3DynamoDb,
        Self::S3Both,
        Self::Postgres,
        Self::Local,
    ];

    /// Those where a lock outlives its holder.
    pub(crate) const LASTING: [Self; 5] = [
        Self::HttpStrict,
        Self::HttpLax,
        Self::S3Lockfile,
        Self::S3DynamoDb,
        Self::S3Both,
    ];

    /// Whether a lock outlives its holder.
    pub(crate) fn outlives_its_holder(self) -> bool {
        Self::LASTING.contains(&self)
    }

    fn has_lockfile(self) -> bool {
        matches!(self, Self::S3Lockfile | Self::S3Both)
    }

    fn has_table(self) -> bool {
        matches!(self, Self::S3DynamoDb | Self::S3Both)
    }
}

impl Store {
    /// Sets up a new, empty backend for the configuration in `directory`.
    pub(crate) fn new(kind: Kind, directory: &Path) -> Self {
        let name = format!("test-{}", Uuid::new_v4());
        let mut store = Self {
            kind,
            proxy: None,
            http: None,
            name,
            key: KEY.to_owned(),
            directory: directory.to_owned(),
        };
        match kind {
            Kind::HttpStrict | Kind::HttpLax => {
                let server = HttpServer::start(kind == Kind::HttpStrict);
                store.proxy = Some(Proxy::to(server.address));
                store.http = Some(server);
            }
            Kind::S3Lockfile | Kind::S3DynamoDb | Kind::S3Both => {
                store.proxy = Some(Proxy::to(aws::address()));
                aws::put_object(&store.name, "", "");
                if kind.has_table() {
                    aws::dynamodb(
                        "CreateTable",
                        &json!({
                            "TableName": store.name,
                            "AttributeDefinitions": [{"AttributeName": "LockID", "AttributeType": "S"}],
                            "KeySchema": [{"AttributeName": "LockID", "KeyType": "HASH"}],
                            "BillingMode": "PAY_PER_REQUEST",
                        }),
                    );
                }
            }
            Kind::Postgres => {
                store.proxy = Some(Proxy::to(postgres()));
                sql("postgres", &format!("create database \"{}\"", store.name));
            }
            Kind::Local => {}
        }
        store
    }

    /// Lock and state of a workspace that has a name, on S3.
    pub(crate) fn of_workspace(&self, workspace: &str) -> Self {
        Self {
            kind: self.kind,
            proxy: None,
            http: None,
            name: self.name.clone(),
            key: format!("env:/{workspace}/{KEY}"),
            directory: self.directory.clone(),
        }
    }

    /// The backend block.
    pub(crate) fn block(&self) -> String {
        let settings = match self.kind {
            Kind::HttpStrict | Kind::HttpLax => {
                let address = format!("http://{}/state", self.address());
                format!(
                    "address = \"{address}\"\nlock_address = \"{address}\"\n\
                     unlock_address = \"{address}\"\nretry_max = 0\n"
                )
            }
            Kind::S3Lockfile | Kind::S3DynamoDb | Kind::S3Both => self.s3_settings(),
            Kind::Postgres => format!(
                "conn_str = \"postgres://postgres@{}/{}?sslmode=disable\"\n",
                self.address(),
                self.name
            ),
            Kind::Local => String::new(),
        };
        format!("backend \"{}\" {{\n{settings}}}\n", self.backend())
    }

    pub(crate) fn backend(&self) -> &'static str {
        match self.kind {
            Kind::HttpStrict | Kind::HttpLax => "http",
            Kind::S3Lockfile | Kind::S3DynamoDb | Kind::S3Both => "s3",
            Kind::Postgres => "pg",
            Kind::Local => "local",
        }
    }

    fn s3_settings(&self) -> String {
        let endpoint = format!("http://{}", self.address());
        let mut settings = format!(
            "bucket = \"{}\"\nkey = \"{KEY}\"\nregion = \"us-east-1\"\naccess_key = \"test\"\n\
             secret_key = \"test\"\nskip_credentials_validation = true\n\
             skip_metadata_api_check = true\nskip_requesting_account_id = true\n\
             use_path_style = true\nmax_retries = 3\n\
             endpoints = {{ s3 = \"{endpoint}\", dynamodb = \"{endpoint}\" }}\n",
            self.name
        );
        if self.kind.has_lockfile() {
            settings.push_str("use_lockfile = true\n");
        }
        if self.kind.has_table() {
            settings = format!("{settings}dynamodb_table = \"{}\"\n", self.name);
        }
        settings
    }

    fn address(&self) -> SocketAddr {
        self.proxy.as_ref().unwrap().address
    }

    /// What a client says when it writes the state.
    pub(crate) fn state_write(&self) -> String {
        match self.kind {
            Kind::HttpStrict | Kind::HttpLax => "POST /state".to_owned(),
            Kind::Postgres => "INSERT INTO".to_owned(),
            _ => format!("PUT /{}/{KEY}?", self.name),
        }
    }

    /// What a client says when it takes the lock for a deploy.
    pub(crate) fn lock_request(&self) -> &'static str {
        match self.kind {
            Kind::Postgres => "pg_try_advisory_lock",
            _ => "OperationTypeApply",
        }
    }

    /// What softstop says when it looks at the lock.
    pub(crate) fn look_request(&self) -> String {
        match self.kind {
            Kind::HttpStrict | Kind::HttpLax => "softstop-look".to_owned(),
            Kind::S3Lockfile | Kind::S3Both => format!("GET /{}/{KEY}.tflock", self.name),
            Kind::S3DynamoDb => "GetItem".to_owned(),
            Kind::Postgres | Kind::Local => self.lock_request().to_owned(),
        }
    }

    /// What a client says when it gives the lock back, or takes it away from somebody.
    pub(crate) fn unlock_requests(&self) -> Vec<String> {
        match self.kind {
            Kind::HttpStrict | Kind::HttpLax => vec!["UNLOCK /state".to_owned()],
            Kind::S3Lockfile => vec![self.lockfile_delete()],
            Kind::S3DynamoDb => vec!["DeleteItem".to_owned()],
            Kind::S3Both => vec![self.lockfile_delete(), "DeleteItem".to_owned()],
            Kind::Postgres => vec!["pg_advisory_unlock".to_owned()],
            Kind::Local => Vec::new(),
        }
    }

    fn lockfile_delete(&self) -> String {
        format!("DELETE /{}/{KEY}.tflock", self.name)
    }

    /// The lock, where there is one: its lock info, or what else the backend keeps.
    pub(crate) fn lock(&self) -> Option<String> {
        match self.kind {
            Kind::HttpStrict | Kind::HttpLax => self.http.as_ref().unwrap().lock(),
            Kind::S3Lockfile => self.lockfile(),
            Kind::S3DynamoDb => self.table_lock(),
            Kind::S3Both => self.lockfile().or_else(|| self.table_lock()),
            Kind::Postgres => {
                let locks = "select string_agg(objid::text, ',') from pg_locks \
                     where locktype = 'advisory' \
                     and database = (select oid from pg_database where datname = current_database())";
                Some(sql(&self.name, locks)).filter(|locks| !locks.is_empty())
            }
            Kind::Local => local_lock(&self.directory.join("terraform.tfstate")),
        }
    }

    /// The lock that this request gives back or takes away.
    pub(crate) fn lock_removed_by(&self, request: &str) -> Option<String> {
        let unlocks = self.unlock_requests();
        let is_meant = unlocks.iter().any(|unlock| request.contains(unlock));
        match self.kind {
            _ if !is_meant => None,
            Kind::S3Both if request.contains("DeleteItem") => self.table_lock(),
            Kind::S3Both => self.lockfile(),
            _ => self.lock(),
        }
    }

    /// The ID of the lock, where the backend keeps one.
    pub(crate) fn lock_id(&self) -> Option<String> {
        self.lock_field("ID")
    }

    /// Who holds the lock, where the backend says so.
    pub(crate) fn lock_who(&self) -> Option<String> {
        self.lock_field("Who")
    }

    fn lock_field(&self, name: &str) -> Option<String> {
        let lock: Value = serde_json::from_str(&self.lock()?).ok()?;
        lock[name].as_str().map(str::to_owned)
    }

    /// Puts this lock in the place of whatever is there.
    pub(crate) fn set_lock(&self, lock: &Value) {
        let text = lock.to_string();
        if let Some(http) = &self.http {
            http.set_lock(&text);
        }
        if self.kind.has_lockfile() {
            self.set_lockfile(lock);
        }
        if self.kind.has_table() {
            let item = json!({"LockID": {"S": self.lock_path()}, "Info": {"S": text}});
            aws::dynamodb("PutItem", &json!({"TableName": self.name, "Item": item}));
        }
    }

    /// Puts this lock in the place of the lock file, and leaves the item of the table as it is.
    pub(crate) fn set_lockfile(&self, lock: &Value) {
        let key = format!("{}.tflock", self.key);
        aws::put_object(&self.name, &key, &lock.to_string());
    }

    /// Takes the lock away, as its holder does when it has finished.
    pub(crate) fn remove_lock(&self) {
        if let Some(http) = &self.http {
            http.remove_lock();
        }
        if self.kind.has_lockfile() {
            aws::delete_object(&self.name, &format!("{}.tflock", self.key));
        }
        if self.kind.has_table() {
            let key = json!({"LockID": {"S": self.lock_path()}});
            aws::dynamodb("DeleteItem", &json!({"TableName": self.name, "Key": key}));
        }
    }

    /// The names of the resources that exist by the stored state, in order.
    ///
    /// Terraform lists a resource that an interrupt has kept it from making, without any instance.
    pub(crate) fn resources(&self) -> Vec<String> {
        let Some(state) = self.state() else {
            return Vec::new();
        };
        let state: Value = serde_json::from_str(&state).expect("the stored state is valid");
        let mut names: Vec<String> = state["resources"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|resource| {
                let instances = resource["instances"].as_array();
                instances.is_some_and(|instances| !instances.is_empty())
            })
            .map(|resource| resource["name"].as_str().unwrap().to_owned())
            .collect();
        names.sort();
        names
    }

    /// The stored state, as Terraform wrote it.
    pub(crate) fn state(&self) -> Option<String> {
        match self.kind {
            Kind::HttpStrict | Kind::HttpLax => self.http.as_ref().unwrap().state(),
            Kind::S3Lockfile | Kind::S3DynamoDb | Kind::S3Both => {
                aws::object(&self.name, &self.key)
            }
            Kind::Postgres => {
                let table = sql(
                    &self.name,
                    "select to_regclass('terraform_remote_state.states')",
                );
                let state = "select data from terraform_remote_state.states where name = 'default'";
                (!table.is_empty())
                    .then(|| sql(&self.name, state))
                    .filter(|state| !state.is_empty())
            }
            Kind::Local => fs::read_to_string(self.directory.join("terraform.tfstate"))
                .ok()
                .filter(|state| !state.is_empty()),
        }
    }

    /// The names of all objects in the bucket.
    pub(crate) fn objects(&self) -> String {
        aws::object(&self.name, "?list-type=2").unwrap_or_default()
    }

    pub(crate) fn lockfile(&self) -> Option<String> {
        aws::object(&self.name, &format!("{}.tflock", self.key))
    }

    pub(crate) fn table_lock(&self) -> Option<String> {
        let key = json!({"LockID": {"S": self.lock_path()}});
        let answer = aws::dynamodb("GetItem", &json!({"TableName": self.name, "Key": key}));
        answer["Item"]["Info"]["S"].as_str().map(str::to_owned)
    }

    fn lock_path(&self) -> String {
        format!("{}/{}", self.name, self.key)
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        if self.kind == Kind::Postgres {
            let drop = format!("drop database \"{}\" with (force)", self.name);
            sql("postgres", &drop);
        }
    }
}

fn postgres() -> SocketAddr {
    prepared("SOFTSTOP_TEST_POSTGRES").parse().unwrap()
}

fn sql(database: &str, query: &str) -> String {
    let server = postgres();
    let output = Command::new("psql")
        .args(["--no-psqlrc", "--tuples-only", "--no-align", "--quiet"])
        .arg(format!("postgres://postgres@{server}/{database}"))
        .args(["--command", query])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// What /proc/locks says of this file, without the number of the line.
fn local_lock(state: &Path) -> Option<String> {
    let inode = fs::metadata(state).ok()?.ino();
    fs::read_to_string("/proc/locks")
        .unwrap()
        .lines()
        .find(|line| line.contains(&format!(":{inode} ")))
        .and_then(|line| line.split_once(": "))
        .map(|(_, lock)| lock.to_owned())
}
