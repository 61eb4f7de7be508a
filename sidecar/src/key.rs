//! The signing key of the snapshots: `<data_dir>/signing.key`, a 32-byte Ed25519 seed in base64, readable only by
//! its owner. Who holds it can steer the traffic; Envoy is given the public half only.

use std::fs;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dragoman_core::config::Routing;
use dragoman_core::request::ThreadKey;
use dragoman_core::snapshot::SigningKey;
use rand::TryRngCore;
use rand::rngs::OsRng;
use sha2::{Digest, Sha256};

/// Name of the key's file within the data directory.
pub const FILE: &str = "signing.key";

/// Reads the key of `data_dir`, made on first use together with the directory.
///
/// # Errors
///
/// A sentence with the path: it cannot be read or written, or holds something else than a key.
pub fn load_or_create(data_dir: &Path) -> Result<SigningKey, String> {
    create_private_dir(data_dir)
        .map_err(|e| format!("cannot make the data directory {}: {e}", data_dir.display()))?;
    let path = data_dir.join(FILE);
    if !path.exists() {
        create(&path).map_err(|e| format!("cannot write the signing key {}: {e}", path.display()))?;
    }
    let text = fs::read_to_string(&path)
        .map_err(|e| format!("cannot read the signing key {}: {e}", path.display()))?;
    let seed = STANDARD.decode(text.trim()).ok().and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
    let seed = seed.ok_or_else(|| {
        format!(
            "{} is not a signing key (32 bytes in base64): restore it, or delete it and render Envoy's \
             configuration anew",
            path.display()
        )
    })?;
    Ok(SigningKey::from_bytes(&seed))
}

/// What Envoy's filters are known by (`access.token`): whoever can read Envoy's configuration has it, and nothing more.
pub fn filter_token(key: &SigningKey) -> String {
    derive(key, "dragoman filter token").iter().map(|b| format!("{b:02x}")).collect()
}

/// What filters hash people's words with; travels in snapshots.
#[derive(Clone, Copy)]
pub struct Secrets {
    /// For conversations.
    thread: ThreadKey,
    /// For prompts (`privacy.store_prompts: hash`).
    pub(crate) hash: [u8; 16],
}

// === impl Secrets ===

impl Secrets {
    /// Those of the signing key, so that they outlive a restart.
    pub fn of(key: &SigningKey) -> Self {
        Self {
            thread: ThreadKey(half(derive(key, "dragoman thread key"))),
            hash: half(derive(key, "dragoman prompt hash")),
        }
    }

    /// The routing that filters get.
    pub fn put_into(self, routing: &Routing) -> Routing {
        let privacy = routing.privacy.keyed(self.hash);
        Routing { thread_key: Some(self.thread), privacy, ..routing.clone() }
    }
}

fn half(secret: [u8; 32]) -> [u8; 16] {
    let [first @ .., _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _] = secret;
    first
}

/// A secret for one purpose, which tells nothing of the key or of another: HMAC-SHA256 (RFC 2104) of the purpose.
fn derive(key: &SigningKey, purpose: &str) -> [u8; 32] {
    let seed = key.to_bytes();
    let block = |pad: u8| {
        let mut block = [pad; 64];
        block.iter_mut().zip(seed).for_each(|(b, k)| *b ^= k);
        block
    };
    let inner = Sha256::new().chain_update(block(0x36)).chain_update(purpose).finalize();
    Sha256::new().chain_update(block(0x5c)).chain_update(inner).finalize().into()
}

/// Writes a new key so that it is never seen half-written, and never over one that another process (`serve` and
/// `render` may run at once) made meanwhile.
fn create(path: &Path) -> std::io::Result<()> {
    let mut seed = [0; 32];
    OsRng.try_fill_bytes(&mut seed).map_err(|e| std::io::Error::other(e.to_string()))?;
    let temporary = PathBuf::from(format!("{}.{}", path.display(), std::process::id()));
    let mut file = private_file().open(&temporary)?;
    file.write_all(format!("{}\n", STANDARD.encode(seed)).as_bytes())?;
    file.sync_all()?;
    let linked = fs::hard_link(&temporary, path);
    fs::remove_file(&temporary)?;
    match linked {
        Err(e) if e.kind() != ErrorKind::AlreadyExists => Err(e),
        _ => Ok(()),
    }
}

fn private_file() -> fs::OpenOptions {
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// The replay log is about people: only its owner may look into a directory that we make.
fn create_private_dir(dir: &Path) -> std::io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_once_and_only_its_owner_may_read_it() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("a/b");
        let key = load_or_create(&data).unwrap();
        assert_eq!(load_or_create(&data).unwrap().to_bytes(), key.to_bytes());
        assert_eq!(fs::read_dir(&data).unwrap().count(), 1, "no temporary file is left");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(fs::metadata(data.join(FILE)).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }

    #[test]
    fn a_secret_is_the_hmac_of_its_purpose() {
        // Of Python's hmac.new(bytes([7] * 32), b"dragoman filter token", "sha256").
        let key = SigningKey::from_bytes(&[7; 32]);
        assert_eq!(filter_token(&key), "d59310dd88361b81b17ee792eb86a8b4682e24ac7eea4de32ea60225786d74dc");
        assert_ne!(derive(&key, "a"), derive(&key, "b"));
        assert_eq!(Secrets::of(&key).hash[..], derive(&key, "dragoman prompt hash")[..16]);
    }

    #[test]
    fn a_file_that_is_no_key_is_named_and_kept() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(FILE), "short").unwrap();
        let why = load_or_create(dir.path()).unwrap_err();
        assert!(why.contains("signing.key is not a signing key"), "{why}");
        assert_eq!(fs::read_to_string(dir.path().join(FILE)).unwrap(), "short");
    }
}
