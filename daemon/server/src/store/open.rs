//! From the settings to a store.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{EmbeddedStore, EtcdOptions, EtcdStore, EtcdTls, Result, Store, StoreError};
use crate::settings;

/// The file of the embedded store in the data folder.
const FILE: &str = "store.redb";

/// Opens the store that the settings name. An etcd is not asked yet whether it is there.
///
/// # Errors
/// What is wrong with the file, a certificate or an endpoint.
pub async fn open(store: &settings::Store, data_dir: &Path) -> Result<Arc<dyn Store>> {
    Ok(match store {
        settings::Store::Embedded => Arc::new(EmbeddedStore::open(data_dir.join(FILE)).await?),
        settings::Store::Etcd(etcd) => Arc::new(EtcdStore::connect(options(etcd)?).await?),
    })
}

fn options(etcd: &settings::Etcd) -> Result<EtcdOptions> {
    let mut options = EtcdOptions::new(&etcd.endpoints, &etcd.prefix);
    options.request_timeout = etcd.request_timeout;
    options.tls = match &etcd.ca {
        Some(ca) => {
            let identity = match &etcd.identity {
                Some((certificate, key)) => {
                    let key = String::from_utf8(read(key)?)
                        .map_err(|_| StoreError::Invalid(format!("{} is no PEM file", key.display())))?;
                    Some((read(certificate)?, key.into()))
                }
                None => None,
            };
            Some(EtcdTls { ca: read(ca)?, identity })
        }
        None => None,
    };
    Ok(options)
}

fn read(path: &PathBuf) -> Result<Vec<u8>> {
    std::fs::read(path)
        .map_err(|error| StoreError::Invalid(format!("reading {} for etcd: {error}", path.display())))
}
