//! Modules, compiled: the one under test once per process and kept on disk between processes; others as they come.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;
use std::sync::OnceLock;

use wasmtime::{Config, Engine, Module, OptLevel};

/// A module, compiled.
#[derive(Clone)]
pub struct Code {
    pub(super) engine: Engine,
    pub(super) module: Module,
}

// === impl Code ===

impl Code {
    /// The shipped filter. Takes `DRAGOMAN_WASM` or the workspace's build.
    pub(super) fn shipped() -> Self {
        static SHIPPED: OnceLock<Code> = OnceLock::new();
        let compile = || {
            let engine = engine(true);
            Self { module: load(&engine, &read(&crate::wasm_path())), engine }
        };
        SHIPPED.get_or_init(compile).clone()
    }

    /// Any plugin, for timing: its relaxed SIMD is the CPU's, as in V8.
    pub fn fast(path: &Path) -> Self {
        let engine = engine(false);
        Self { module: Module::new(&engine, read(path)).expect("the plugin is a valid module"), engine }
    }
}

fn read(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn engine(deterministic: bool) -> Engine {
    let mut config = Config::new();
    config.wasm_simd(true).wasm_relaxed_simd(true).relaxed_simd_deterministic(deterministic);
    // No optimisation compiles no faster (20 s both on two busy cores) and runs the encoder slower.
    config.cranelift_opt_level(OptLevel::Speed);
    Engine::new(&config).expect("the engine's settings fit together")
}

/// From the disk if these very bytes were compiled by this very engine before, else compiled and put there.
fn load(engine: &Engine, wasm: &[u8]) -> Module {
    let mut hasher = DefaultHasher::new();
    (wasm, env!("CARGO_PKG_VERSION")).hash(&mut hasher);
    engine.precompile_compatibility_hash().hash(&mut hasher);
    let folder = crate::system::workspace("target/mock-cache");
    let file = folder.join(format!("dragoman-{:016x}.cwasm", hasher.finish()));
    if file.exists() {
        // SAFETY: only this function writes this folder, and a file appears there whole or not at all.
        if let Ok(module) = unsafe { Module::deserialize_file(engine, &file) } {
            return module;
        }
    }
    let module = Module::new(engine, wasm).expect("the filter is a valid module");
    // The cache is a convenience: without it the next run compiles again.
    let _ = keep(&module, &folder, &file);
    module
}

fn keep(module: &Module, folder: &Path, file: &Path) -> Result<(), Box<dyn std::error::Error>> {
    std::fs::create_dir_all(folder)?;
    // One build is under test at a time; those before it are 45 MB each.
    let compiled = |path: &Path| path.extension().is_some_and(|e| e == "cwasm");
    for old in std::fs::read_dir(folder)?.flatten().filter(|f| compiled(&f.path())) {
        std::fs::remove_file(old.path())?;
    }
    let partial = file.with_extension(format!("{}.partial", std::process::id()));
    std::fs::write(&partial, module.serialize()?)?;
    Ok(std::fs::rename(partial, file)?)
}
