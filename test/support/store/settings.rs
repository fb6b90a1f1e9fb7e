//! How a configuration says which backend it means.

use std::net::SocketAddr;

use super::{BLOB, KEY, Kind, PREFIX, Store, azure};

impl Store {
    /// The backend block.
    pub fn block(&self) -> String {
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
            Kind::Gcs => format!(
                "bucket = \"{}\"\nprefix = \"{PREFIX}\"\naccess_token = \"test\"\n\
                 storage_custom_endpoint = \"http://{}/storage/v1/b\"\n",
                self.name,
                self.address()
            ),
            Kind::Azurerm => format!(
                "storage_account_name = \"{}\"\ncontainer_name = \"{}\"\nkey = \"{BLOB}\"\n\
                 access_key = \"{}\"\nmetadata_host = \"{}\"\n",
                azure::ACCOUNT,
                self.name,
                azure::access_key(),
                self.address()
            ),
            Kind::Kubernetes => format!(
                "secret_suffix = \"{}\"\nhost = \"http://{}\"\nconfig_path = \"{}\"\n",
                self.suffix(),
                self.address(),
                self.kubernetes_config().display()
            ),
            Kind::Local => String::new(),
        };
        format!("backend \"{}\" {{\n{settings}}}\n", self.backend())
    }

    pub fn backend(&self) -> &'static str {
        match self.kind {
            Kind::HttpStrict | Kind::HttpLax => "http",
            Kind::S3Lockfile | Kind::S3DynamoDb | Kind::S3Both => "s3",
            Kind::Gcs => "gcs",
            Kind::Azurerm => "azurerm",
            Kind::Kubernetes => "kubernetes",
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
}
