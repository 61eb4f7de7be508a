//! Embeddings on disk, so that a simulation embeds each prompt once.
//!
//! One file per encoder and token cap, named by their hash: `magic | key (32) | D (u32) | n (u32) | n × (SHA-256 of
//! the text, D × f32) | SHA-256 of all before`. It is written whole beside itself and renamed, so readers never see
//! half a file and of two writers one wins; a file whose sum does not fit is not believed and made anew.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use log::warn;
use sha2::{Digest, Sha256};

const MAGIC: &[u8; 8] = b"DRGEMBD2";
const HASH: usize = 32;
const HEADER: usize = MAGIC.len() + HASH + 8;

type Hash = [u8; HASH];

/// The embeddings of one encoder, by the hash of the text.
pub(crate) struct Cache {
    path: PathBuf,
    key: Hash,
    entries: HashMap<Hash, Vec<f32>>,
}

/// SHA-256 over parts, each with its length, so that no two lists of parts collide.
pub(crate) fn hash(parts: &[&[u8]]) -> Hash {
    let mut sum = Sha256::new();
    for part in parts {
        sum.update((part.len() as u64).to_le_bytes());
        sum.update(part);
    }
    sum.finalize().into()
}

impl Cache {
    /// Opens the file of `key` within `folder`; one that is missing or cannot be believed counts as empty.
    pub(crate) fn open(folder: &Path, key: Hash) -> Self {
        let name: String = key.iter().take(12).map(|b| format!("{b:02x}")).collect();
        let path = folder.join(format!("{name}.embeddings"));
        let entries = read(&path, &key);
        Self { path, key, entries }
    }

    pub(crate) fn get(&self, text: &str) -> Option<&[f32]> {
        self.entries.get(&hash(&[text.as_bytes()])).map(Vec::as_slice)
    }

    /// Adds embeddings and writes the file, together with what others wrote meanwhile.
    ///
    /// # Errors
    ///
    /// A sentence: the folder or the file cannot be written.
    pub(crate) fn add(&mut self, new: Vec<(&str, Vec<f32>)>) -> Result<(), String> {
        if new.is_empty() {
            return Ok(());
        }
        let written = std::fs::read(&self.path).ok();
        self.entries.extend(written.and_then(|bytes| parse(&bytes, &self.key)).unwrap_or_default());
        self.entries.extend(new.into_iter().map(|(text, values)| (hash(&[text.as_bytes()]), values)));
        self.write().map_err(|e| {
            format!(
                "{}: cannot be written: {e}; name a writable folder with --cache DIR",
                self.path.display()
            )
        })
    }

    fn write(&self) -> std::io::Result<()> {
        let dimensions = self.entries.values().next().map_or(0, Vec::len);
        let mut bytes = Vec::with_capacity(HEADER + self.entries.len() * (HASH + 4 * dimensions) + HASH);
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&self.key);
        bytes.extend_from_slice(&(dimensions as u32).to_le_bytes());
        bytes.extend_from_slice(&(self.entries.len() as u32).to_le_bytes());
        for (text, values) in &self.entries {
            bytes.extend_from_slice(text);
            values.iter().for_each(|v| bytes.extend_from_slice(&v.to_le_bytes()));
        }
        let sum = Sha256::digest(&bytes);
        bytes.extend_from_slice(&sum);
        let folder = self.path.parent().unwrap_or(Path::new("."));
        std::fs::create_dir_all(folder)?;
        // A name of its own for each process and moment; renaming within one folder is atomic.
        let own = format!("tmp-{}-{:x}", std::process::id(), rand::random::<u64>());
        let temporary = self.path.with_extension(own);
        std::fs::write(&temporary, bytes)?;
        std::fs::rename(&temporary, &self.path)
    }
}

fn read(path: &Path, key: &Hash) -> HashMap<Hash, Vec<f32>> {
    let Ok(bytes) = std::fs::read(path) else { return HashMap::new() };
    parse(&bytes, key).unwrap_or_else(|| {
        warn!("{}: is damaged; its embeddings are made anew", path.display());
        HashMap::new()
    })
}

/// `None` if anything about the file does not fit.
fn parse(bytes: &[u8], key: &Hash) -> Option<HashMap<Hash, Vec<f32>>> {
    let (body, sum) = bytes.split_last_chunk::<HASH>()?;
    if *sum != <[u8; HASH]>::from(Sha256::digest(body)) {
        return None;
    }
    let rest = body.strip_prefix(MAGIC)?.strip_prefix(key)?;
    let (dimensions, rest) = rest.split_first_chunk::<4>()?;
    let (count, records) = rest.split_first_chunk::<4>()?;
    let width = HASH + 4 * u32::from_le_bytes(*dimensions) as usize;
    if records.len() != width.checked_mul(u32::from_le_bytes(*count) as usize)? {
        return None;
    }
    let record = |bytes: &[u8]| {
        let (text, values) = bytes.split_first_chunk::<HASH>()?;
        let (values, _) = values.as_chunks::<4>();
        Some((*text, values.iter().map(|v| f32::from_le_bytes(*v)).collect()))
    };
    records.chunks_exact(width).map(record).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: Hash = [7; HASH];

    fn filled(folder: &Path, text: &str, value: f32) -> Cache {
        let mut cache = Cache::open(folder, KEY);
        cache.add(vec![(text, vec![value, 2.0])]).unwrap();
        cache
    }

    #[test]
    fn what_was_added_is_there_the_next_time_and_only_for_this_encoder() {
        let dir = tempfile::tempdir().unwrap();
        filled(dir.path(), "a", 1.0);
        let again = Cache::open(dir.path(), KEY);
        assert_eq!((again.get("a"), again.get("b")), (Some([1.0, 2.0].as_slice()), None));
        assert!(Cache::open(dir.path(), [8; HASH]).get("a").is_none());
    }

    #[test]
    fn two_writers_keep_each_others_entries() {
        let dir = tempfile::tempdir().unwrap();
        let mut early = Cache::open(dir.path(), KEY);
        filled(dir.path(), "a", 1.0);
        early.add(vec![("b", vec![3.0, 4.0])]).unwrap();
        let again = Cache::open(dir.path(), KEY);
        assert!(again.get("a").is_some() && again.get("b").is_some());
    }

    #[test]
    fn a_file_changed_or_cut_anywhere_is_not_believed() {
        let dir = tempfile::tempdir().unwrap();
        let cache = filled(dir.path(), "a", 1.0);
        let good = std::fs::read(&cache.path).unwrap();
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1;
            assert_eq!(parse(&bad, &KEY), None, "byte {at}");
            assert_eq!(parse(&good[..at], &KEY), None, "cut at {at}");
        }
        std::fs::write(&cache.path, &good[..20]).unwrap();
        filled(dir.path(), "b", 5.0);
        assert!(Cache::open(dir.path(), KEY).get("b").is_some(), "made anew");
    }
}
