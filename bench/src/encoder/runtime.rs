//! What can embed: one interface before every runtime, and those that run in this process.

use std::path::Path;
use std::time::Instant;

use dragoman_bench_embed::{Answer, LOAD, MEASURE, Model, Question, measure};
use dragoman_encoder::Encoder;
use dragoman_wasm_tests::mock::{Code, Host};

use crate::Outcome;

/// What embeds, on one thread.
pub(super) trait Runtime {
    /// Answers; `ids` are those of the question's texts, for who has no tokenizer.
    fn ask(&mut self, question: &Question, ids: &[Vec<u32>]) -> Outcome<Answer>;
}

/// This process, on a thread of its own: tract's kernels can leave the upper halves of a thread's vector registers in
/// use, and what wasmtime compiles, which mixes old and new instructions, then runs a hundred times slower on it.
impl Runtime for Encoder {
    fn ask(&mut self, question: &Question, _ids: &[Vec<u32>]) -> Outcome<Answer> {
        let start = Instant::now();
        let work = || measure(self, question, &|| start.elapsed().as_nanos() as u64);
        std::thread::scope(|scope| scope.spawn(work).join())
            .map_err(|_| "an encoder's thread ended early".to_owned())?
    }
}

/// The plugin in wasmtime, in this process.
pub(super) struct Wasmtime {
    host: Host,
}

impl Wasmtime {
    pub(super) fn start(plugin: &Path, model: &Model) -> Outcome<Self> {
        let started = Self { host: Host::new().code(Code::fast(plugin)).real_clock().configured() };
        started.post(LOAD, &model.to_bytes())?;
        Ok(started)
    }

    fn post(&self, path: &str, body: &[u8]) -> Outcome<Vec<u8>> {
        let mut stream = self.host.stream();
        stream.request_headers(&[(":method", "POST"), (":path", path)], false);
        stream.request_body(body, true);
        match stream.local_reply() {
            Some(reply) if reply.status == 200 => Ok(reply.body),
            Some(reply) => Err(format!("the plugin in wasmtime: {}", String::from_utf8_lossy(&reply.body))),
            None => Err("the plugin in wasmtime gives no answer".into()),
        }
    }
}

impl Runtime for Wasmtime {
    fn ask(&mut self, question: &Question, _ids: &[Vec<u32>]) -> Outcome<Answer> {
        answer(&self.post(MEASURE, &json(question)?)?)
    }
}

/// A question on its way to the plugin.
pub(super) fn json(question: &Question) -> Outcome<Vec<u8>> {
    serde_json::to_vec(question).map_err(|e| format!("a question has no JSON form: {e}"))
}

/// The plugin's answer.
pub(super) fn answer(body: &[u8]) -> Outcome<Answer> {
    serde_json::from_slice(body).map_err(|e| {
        format!("an answer of the plugin cannot be read: {e}; `make bench-encoder` builds it again")
    })
}
