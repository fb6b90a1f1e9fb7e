//! What clients say to a backend, so that a proxy knows it when it passes by.

use super::{Kind, PREFIX, Store, azure, field, kubernetes};

/// How the body of a DeleteItem begins.
const DELETED_ITEM: &str = "{\"Key\":{\"LockID\"";

impl Store {
    /// What a client says when it writes the state.
    pub fn state_write(&self) -> String {
        match self.kind {
            Kind::HttpStrict | Kind::HttpLax => "POST /state".to_owned(),
            Kind::Gcs => format!("name={PREFIX}%2F{}.tfstate", self.workspace),
            Kind::Kubernetes => format!(
                "PUT /api/v1/namespaces/{}/secrets/tfstate-{}",
                self.space,
                self.secret()
            ),
            Kind::Postgres => "INSERT INTO".to_owned(),
            Kind::Azurerm => format!("PUT {} HTTP", self.blob()),
            _ => format!("PUT /{}/{}?", self.name, self.key_in_requests()),
        }
    }

    /// The key as a client says it.
    fn key_in_requests(&self) -> String {
        self.key().replace(':', "%3A")
    }

    /// What a client says when it takes the lock for a deploy.
    pub fn lock_request(&self) -> &'static str {
        match self.kind {
            Kind::Postgres => "pg_try_advisory_lock",
            // The lock info goes in a header, in base64.
            Kind::Azurerm => "Ik9wZXJhdGlvblR5cGVBcHBs",
            _ => "OperationTypeApply",
        }
    }

    /// What softstop says when it looks at the lock.
    pub fn look_request(&self) -> String {
        match self.kind {
            Kind::HttpStrict | Kind::HttpLax => "softstop-look".to_owned(),
            Kind::S3Lockfile | Kind::S3Both => {
                format!("GET /{}/{}.tflock", self.name, self.key_in_requests())
            }
            Kind::S3DynamoDb => "GetItem".to_owned(),
            Kind::Gcs => format!("GET /{}/{}", self.name, self.object("tflock")),
            Kind::Azurerm => format!("HEAD {} HTTP", self.blob()),
            Kind::Kubernetes => format!("GET {}", self.lease()),
            Kind::Postgres | Kind::Local => self.lock_request().to_owned(),
        }
    }

    /// What a client says when it gives the lock back, or takes it away from somebody.
    pub fn unlock_requests(&self) -> Vec<String> {
        match self.kind {
            Kind::HttpStrict | Kind::HttpLax => vec!["UNLOCK /state".to_owned()],
            Kind::S3Lockfile => vec![self.lockfile_delete()],
            Kind::S3DynamoDb => vec!["DeleteItem".to_owned()],
            Kind::S3Both => vec![self.lockfile_delete(), "DeleteItem".to_owned()],
            Kind::Gcs => vec![format!("{PREFIX}%2F{}.tflock?alt=json&if", self.workspace)],
            // So begins taking the lock, too.
            Kind::Azurerm => vec![format!("PUT {}?comp=metadata", self.blob())],
            // So begins taking a lease that is there, too: Terraform's words are JSON, and OpenTofu's
            // are not.
            Kind::Kubernetes => vec![format!("PUT {}", self.lease())],
            Kind::Postgres => vec!["pg_advisory_unlock".to_owned()],
            Kind::Local => Vec::new(),
        }
    }

    fn lockfile_delete(&self) -> String {
        format!("DELETE /{}/{}.tflock", self.name, self.key_in_requests())
    }

    fn blob(&self) -> String {
        format!("/{}/{}/{}", azure::ACCOUNT, self.name, self.key())
    }

    fn lease(&self) -> String {
        let (space, secret) = (self.space, self.secret());
        format!("/apis/coordination.k8s.io/v1/namespaces/{space}/leases/lock-tfstate-{secret}")
    }

    /// The lock that this request gives back or takes away.
    pub fn lock_removed_by(&self, request: &str) -> Option<String> {
        // Head and body of a request may come one after the other, and only the body of a DeleteItem
        // says which lock is meant: the table has those of all states.
        let is_of_table = request.contains("DeleteItem") || request.starts_with(DELETED_ITEM);
        let is_meant = if is_of_table {
            matches!(self.kind, Kind::S3DynamoDb | Kind::S3Both)
                && request.contains(&format!("\"{}\"", self.lock_path()))
        } else {
            let unlocks = self.unlock_requests();
            unlocks.iter().any(|unlock| request.contains(unlock))
        };
        match self.kind {
            _ if !is_meant => None,
            Kind::Kubernetes if request.contains("OperationType") => None,
            Kind::S3Both if is_of_table => self.table_lock(),
            Kind::S3Both => self.lockfile(),
            _ => self.lock(),
        }
    }

    /// Whether the backend refuses that, because another lock is there than the one that is meant.
    pub fn refuses_to_remove(&self, lock: &str, request: &str) -> bool {
        let meant = match self.kind {
            Kind::HttpStrict | Kind::Gcs => field(lock, "ID"),
            // Whatever has changed a lease, the change of an older version is refused.
            Kind::Kubernetes => kubernetes::lock_version(self.space, &self.secret()),
            _ => None,
        };
        meant.is_some_and(|meant| !request.contains(&meant))
    }
}
