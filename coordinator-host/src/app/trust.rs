//! Which plugin files may be loaded, as `[trust]` says it and as the loader takes it.

use coordinator_config::{Config, TrustKey, TrustPolicy};
use coordinator_loader::{Floors, KeyError, Keyring, Loader, LockFile, Trust, TrustedKey};

use super::error::AppError;

/// The loader's policy.
///
/// # Errors
///
/// If the lock file cannot be read: now, rather than with the first plugin.
pub(crate) fn trust(config: &Config) -> Result<Trust, AppError> {
    match config.trust.policy {
        TrustPolicy::Any => Ok(Trust::Any),
        TrustPolicy::Locked => {
            let path = &config.trust.lock_file;
            LockFile::read(path).map_err(AppError::Lock)?;
            Ok(Trust::Locked(path.clone()))
        }
        TrustPolicy::Signed => keys(config).map(Trust::Signed).map_err(AppError::Key),
    }
}

/// A loader with this policy, which knows what has run here.
pub(super) fn loader(config: &Config) -> Result<Loader, AppError> {
    let floors = Floors::read(&config.server.data_dir).map_err(AppError::Floors)?;
    Ok(Loader::new(trust(config)?).with_floors(floors))
}

/// The keys whose signatures count.
pub(crate) fn keys(config: &Config) -> Result<Keyring, KeyError> {
    config.trust.keys.iter().map(trusted).collect()
}

fn trusted(configured: &TrustKey) -> Result<TrustedKey, KeyError> {
    let mut key = TrustedKey::new(&configured.key)?;
    if let Some(name) = &configured.name {
        key = key.named(name);
    }
    if let Some(at) = configured.expires {
        key = key.expires(at);
    }
    Ok(if configured.revoked {
        key.revoked()
    } else {
        key
    })
}
