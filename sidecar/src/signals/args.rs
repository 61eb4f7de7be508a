//! The command line of `dragoman signals`.

use std::path::PathBuf;

/// Options of `dragoman signals`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// The texts, each taken as the reply to an answer; `-` reads one from each line of the input
    #[arg(value_name = "TEXT", required = true)]
    pub(super) texts: Vec<String>,
    /// A configuration with rules and an encoder [default: none, and the shipped encoder]
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// Folder of another encoder: model.fused or model.onnx, tokenizer.json, heads.safetensors
    #[arg(long, value_name = "FOLDER")]
    pub(super) encoder: Option<PathBuf>,
    /// Print one JSON object a line instead of tables
    #[arg(long)]
    pub(super) json: bool,
    /// Show the texts too
    #[arg(long)]
    pub(super) echo: bool,
}
