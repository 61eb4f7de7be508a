//! `dragoman-convert FOLDER`: makes `FOLDER/model.fused` of `FOLDER/model.onnx`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use dragoman_encoder::{Precision, convert};

const USAGE: &str = "usage: dragoman-convert [--float] FOLDER
  makes FOLDER/model.fused of FOLDER/model.onnx, which must be a ModernBERT (models/README.md)
  --float   keep matrices in float32: exact, four times as large, several times as slow";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (folder, precision) = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--float", folder] | [folder, "--float"] => (PathBuf::from(folder), Precision::Float),
        [folder] if !folder.starts_with('-') => (PathBuf::from(folder), Precision::Int8),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match make(&folder, precision) {
        Ok(said) => {
            println!("{said}");
            ExitCode::SUCCESS
        }
        Err(why) => {
            eprintln!("{}: {why}", folder.display());
            ExitCode::FAILURE
        }
    }
}

fn make(folder: &Path, precision: Precision) -> Result<String, String> {
    let (from, to) = (folder.join("model.onnx"), folder.join("model.fused"));
    let onnx = std::fs::read(&from).map_err(|e| format!("model.onnx cannot be read: {e}"))?;
    let fused = convert(&onnx, precision).map_err(|e| e.to_string())?;
    // Whole or not at all: whoever reads the file may be running.
    let part = folder.join("model.fused.part");
    std::fs::write(&part, &fused)
        .and_then(|()| std::fs::rename(&part, &to))
        .map_err(|e| format!("model.fused cannot be written: {e}"))?;
    Ok(format!("{}: {} bytes, from {} bytes of ONNX; tract agrees", to.display(), fused.len(), onnx.len()))
}
