//! Backends, and the truth about their locks and states, asked from the backend itself.

mod requests;
mod settings;

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use uuid::Uuid;

use super::http_server::HttpServer;
use super::postgres::{self, sql};
use super::proxy::Proxy;
use super::{Kind, aws, azure, gcs, kubernetes};

/// One backend with one state.
pub struct Store {
    pub kind: Kind,
    /// Stands before every backend but the local one.
    pub proxy: Option<Proxy>,
    pub http: Option<HttpServer>,
    /// The name of the bucket, the table, the container, the database, or what secrets are named after.
    pub name: String,
    /// Whose state and lock is meant.
    pub workspace: &'static str,
    /// The namespace, or the schema, in which they are.
    space: &'static str,
    directory: PathBuf,
}

const KEY: &str = "deploy/state.tfstate";
const PREFIX: &str = "deploy";
/// Of a slash, Terraform and OpenTofu make different requests.
const BLOB: &str = "state.tfstate";

/// A lock of `who`, as a Terraform leaves it.
pub fn lock_of(who: &str) -> Value {
    json!({
        "ID": Uuid::new_v4().to_string(), "Operation": "OperationTypeApply", "Info": "",
        "Who": who, "Version": "1.11.4", "Created": "2026-11-22T21:56:25.422332792Z", "Path": "",
    })
}

/// A lock in Terraform's own order: from a table, OpenTofu takes only what it would have written.
fn text_of(lock: &Value) -> String {
    let fields = [
        "ID",
        "Operation",
        "Info",
        "Who",
        "Version",
        "Created",
        "Path",
    ];
    let fields: Vec<String> = fields
        .iter()
        .filter_map(|name| Some(format!("\"{name}\":{}", lock.get(name)?)))
        .collect();
    format!("{{{}}}", fields.join(","))
}

/// What a lock says.
fn field(lock: &str, name: &str) -> Option<String> {
    let lock: Value = serde_json::from_str(lock).ok()?;
    lock[name].as_str().map(str::to_owned)
}

impl Store {
    /// Sets up a new, empty backend for the configuration in `directory`.
    pub fn new(kind: Kind, directory: &Path) -> Self {
        let name = format!("test-{}", Uuid::new_v4());
        let mut store = Self {
            kind,
            proxy: None,
            http: None,
            name,
            workspace: "default",
            space: match kind {
                Kind::Postgres => "terraform_remote_state",
                _ => "default",
            },
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
                store.proxy = Some(Proxy::to(postgres::address()));
                sql("postgres", &format!("create database \"{}\"", store.name));
            }
            Kind::Gcs => {
                store.proxy = Some(store.way_to(gcs::address()));
                gcs::make_bucket(&store.name);
            }
            Kind::Azurerm => {
                store.proxy = Some(store.way_to(azure::address()));
                azure::make_container(&store.name);
            }
            Kind::Kubernetes => {
                store.proxy = Some(Proxy::to(kubernetes::address()));
                fs::write(store.kubernetes_config(), kubernetes::CONFIG).unwrap();
            }
            Kind::Local => {}
        }
        store
    }

    /// Another way to the backend, where there is one in between.
    pub fn another_way(&self) -> Option<Proxy> {
        let usual = self.proxy.as_ref()?;
        Some(self.way_to(usual.target))
    }

    fn way_to(&self, target: SocketAddr) -> Proxy {
        match self.kind {
            Kind::Azurerm => {
                let proxy = Proxy::with_tls_to(target);
                proxy.object(azure::metadata);
                proxy
            }
            Kind::Gcs => {
                let proxy = Proxy::to(target);
                proxy.object(gcs::objection);
                proxy
            }
            _ => Proxy::to(target),
        }
    }

    /// Lock and state of a workspace that has a name.
    pub fn of_workspace(&self, workspace: &'static str) -> Self {
        self.of(workspace, self.space)
    }

    /// Lock and state of another namespace or schema, which is there then.
    pub fn of_space(&self, space: &'static str) -> Self {
        if self.kind == Kind::Kubernetes {
            kubernetes::make_namespace(space);
        }
        self.of(self.workspace, space)
    }

    fn of(&self, workspace: &'static str, space: &'static str) -> Self {
        Self {
            kind: self.kind,
            proxy: None,
            http: None,
            name: self.name.clone(),
            workspace,
            space,
            directory: self.directory.clone(),
        }
    }

    /// The lock, where there is one: its lock info, or what else the backend keeps.
    pub fn lock(&self) -> Option<String> {
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
            Kind::Gcs => self.gcs_lock(),
            Kind::Azurerm => azure::lock(&self.name, &self.key()),
            Kind::Kubernetes => kubernetes::lock(self.space, &self.secret()),
            Kind::Local => local_lock(&self.local_state()),
        }
    }

    /// The ID of the lock, where the backend keeps one.
    pub fn lock_id(&self) -> Option<String> {
        self.lock_field("ID")
    }

    /// Who holds the lock, where the backend says so.
    pub fn lock_who(&self) -> Option<String> {
        self.lock_field("Who")
    }

    /// What the lock was taken for, where the backend says so.
    pub fn lock_operation(&self) -> Option<String> {
        self.lock_field("Operation")
    }

    fn lock_field(&self, name: &str) -> Option<String> {
        field(&self.lock()?, name)
    }

    /// Puts this lock in the place of whatever is there.
    pub fn set_lock(&self, lock: &Value) {
        let text = text_of(lock);
        if let Some(http) = &self.http {
            http.set_lock(&text);
        }
        if self.kind.has_lockfile() {
            self.set_lockfile(lock);
        }
        if self.kind.has_table() {
            self.set_item(Some(&text));
        }
        match self.kind {
            Kind::Gcs => gcs::put_object(&self.name, &self.object("tflock"), &text),
            Kind::Azurerm => {
                let id = lock["ID"].as_str().unwrap();
                azure::set_lock(&self.name, &self.key(), id, Some(&text));
            }
            Kind::Kubernetes => {
                kubernetes::set_lock(self.space, &self.secret(), &lock["ID"], &text);
            }
            _ => {}
        }
    }

    /// The lock with the ID that Terraform tells, which the stored one does not have.
    fn gcs_lock(&self) -> Option<String> {
        let name = self.object("tflock");
        let lock = gcs::object(&self.name, &name)?;
        let mut lock: Value = serde_json::from_str(&lock).unwrap();
        lock["ID"] = gcs::generation(&self.name, &name)?.into();
        Some(lock.to_string())
    }

    /// Puts this lock in the place of the lock file, and leaves the item of the table as it is.
    pub fn set_lockfile(&self, lock: &Value) {
        self.set_lockfile_text(&text_of(lock));
    }

    /// Puts a lock file that may be no lock's.
    pub fn set_lockfile_text(&self, text: &str) {
        aws::put_object(&self.name, &format!("{}.tflock", self.key()), text);
    }

    /// Puts an item with such an `Info`, or with none, into the table.
    pub fn set_item(&self, info: Option<&str>) {
        let mut item = json!({"LockID": {"S": self.lock_path()}});
        if let Some(info) = info {
            item["Info"] = json!({"S": info});
        }
        aws::dynamodb("PutItem", &json!({"TableName": self.name, "Item": item}));
    }

    /// Lets the table speak of another content of the state than it has, or of none.
    pub fn set_digest(&self, digest: Option<&str>) {
        let mut item = json!({"LockID": {"S": format!("{}-md5", self.lock_path())}});
        if let Some(digest) = digest {
            item["Digest"] = json!({"S": digest});
            aws::dynamodb("PutItem", &json!({"TableName": self.name, "Item": item}));
        } else {
            aws::dynamodb("DeleteItem", &json!({"TableName": self.name, "Key": item}));
        }
    }

    /// Whether the table has a lock, whatever is kept of it.
    pub fn has_item(&self) -> bool {
        self.item()["Item"].is_object()
    }

    /// Takes the lock away, as its holder does when it has finished.
    pub fn remove_lock(&self) {
        if let Some(http) = &self.http {
            http.remove_lock();
        }
        if self.kind.has_lockfile() {
            aws::delete_object(&self.name, &format!("{}.tflock", self.key()));
        }
        if self.kind.has_table() {
            let key = json!({"LockID": {"S": self.lock_path()}});
            aws::dynamodb("DeleteItem", &json!({"TableName": self.name, "Key": key}));
        }
        match self.kind {
            Kind::Gcs => gcs::delete_object(&self.name, &self.object("tflock")),
            Kind::Azurerm => azure::remove_lock(&self.name, &self.key()),
            Kind::Kubernetes => kubernetes::remove_lock(self.space, &self.secret()),
            _ => {}
        }
    }

    /// The names of the resources that exist by the stored state, in order.
    ///
    /// Terraform lists a resource that an interrupt has kept it from making, without any instance.
    pub fn resources(&self) -> Vec<String> {
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
    pub fn state(&self) -> Option<String> {
        match self.kind {
            Kind::HttpStrict | Kind::HttpLax => self.http.as_ref().unwrap().state(),
            Kind::S3Lockfile | Kind::S3DynamoDb | Kind::S3Both => {
                aws::object(&self.name, &self.key())
            }
            Kind::Gcs => gcs::object(&self.name, &self.object("tfstate")),
            Kind::Azurerm => azure::state(&self.name, &self.key()),
            Kind::Kubernetes => kubernetes::state(self.space, &self.secret()),
            Kind::Postgres => {
                let table = format!("{}.states", self.space);
                let is_there = format!("select to_regclass('{table}')");
                let state = format!("select data from {table} where name = '{}'", self.workspace);
                let table = sql(&self.name, &is_there);
                (!table.is_empty())
                    .then(|| sql(&self.name, &state))
                    .filter(|state| !state.is_empty())
            }
            Kind::Local => fs::read_to_string(self.local_state())
                .ok()
                .filter(|state| !state.is_empty()),
        }
    }

    /// The names of the schemas in the database.
    pub fn schemas(&self) -> String {
        let schemas = "select string_agg(nspname, ' ' order by nspname) from pg_namespace \
             where nspname !~ '^pg_' and nspname <> 'information_schema'";
        sql(&self.name, schemas)
    }

    /// The names of all objects in the bucket.
    pub fn objects(&self) -> String {
        aws::object(&self.name, "?list-type=2").unwrap_or_default()
    }

    pub fn lockfile(&self) -> Option<String> {
        aws::object(&self.name, &format!("{}.tflock", self.key()))
    }

    pub fn table_lock(&self) -> Option<String> {
        self.item()["Item"]["Info"]["S"].as_str().map(str::to_owned)
    }

    fn item(&self) -> Value {
        let key = json!({"LockID": {"S": self.lock_path()}});
        aws::dynamodb("GetItem", &json!({"TableName": self.name, "Key": key}))
    }

    pub fn lock_path(&self) -> String {
        format!("{}/{}", self.name, self.key())
    }

    pub fn key(&self) -> String {
        match (self.kind, self.workspace) {
            (Kind::Azurerm, "default") => BLOB.to_owned(),
            (Kind::Azurerm, workspace) => format!("{BLOB}env:{workspace}"),
            (_, "default") => KEY.to_owned(),
            (_, workspace) => format!("env:/{workspace}/{KEY}"),
        }
    }

    fn object(&self, extension: &str) -> String {
        format!("{PREFIX}/{}.{extension}", self.workspace)
    }

    fn secret(&self) -> String {
        format!("{}-{}", self.workspace, self.suffix())
    }

    /// A number at its end would be that of a part.
    fn suffix(&self) -> String {
        format!("{}-state", self.name)
    }

    fn kubernetes_config(&self) -> PathBuf {
        self.directory.join("kubernetes.yaml")
    }

    fn local_state(&self) -> PathBuf {
        let directory = match self.workspace {
            "default" => self.directory.clone(),
            workspace => self.directory.join("terraform.tfstate.d").join(workspace),
        };
        directory.join("terraform.tfstate")
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        // Whoever has made the database has the way to it.
        if self.kind == Kind::Postgres && self.proxy.is_some() {
            let drop = format!("drop database \"{}\" with (force)", self.name);
            sql("postgres", &drop);
        }
    }
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
