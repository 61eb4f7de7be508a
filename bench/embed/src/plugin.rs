//! The plugin: takes a model, and answers questions about it while its worker waits.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Instant;

use dragoman_encoder::Encoder;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType, LogLevel};

use crate::{LOAD, MEASURE, Model, Question, measure};

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Info);
    proxy_wasm::set_root_context(|_| Box::new(Root::default()));
}}

/// The last one loaded.
type Loaded = Rc<RefCell<Option<Encoder>>>;

#[derive(Default)]
struct Root {
    loaded: Loaded,
}

impl Context for Root {}

impl RootContext for Root {
    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }

    fn create_http_context(&self, _id: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Request { loaded: Rc::clone(&self.loaded), path: String::new() }))
    }
}

struct Request {
    loaded: Loaded,
    path: String,
}

impl Context for Request {}

impl HttpContext for Request {
    fn on_http_request_headers(&mut self, _count: usize, _end: bool) -> Action {
        let path = self.get_http_request_header_bytes(":path").unwrap_or_default();
        self.path = String::from_utf8_lossy(&path).into_owned();
        Action::Pause
    }

    fn on_http_request_body(&mut self, size: usize, end: bool) -> Action {
        if end {
            let body = self.get_http_request_body(0, size).unwrap_or_default();
            match self.answer(&body) {
                Ok(answer) => self.send_http_response(200, vec![], Some(answer.as_bytes())),
                Err(why) => self.send_http_response(400, vec![], Some(why.as_bytes())),
            }
        }
        Action::Pause
    }
}

impl Request {
    fn answer(&self, body: &[u8]) -> Result<String, String> {
        match self.path.as_str() {
            LOAD => {
                let encoder = Model::from_bytes(body).ok_or("the model is cut short")?.load()?;
                *self.loaded.borrow_mut() = Some(encoder);
                Ok(String::new())
            }
            MEASURE => {
                let question: Question = serde_json::from_slice(body).map_err(|e| e.to_string())?;
                let loaded = self.loaded.borrow();
                let encoder = loaded.as_ref().ok_or("there is no model yet")?;
                let start = Instant::now();
                let clock = || start.elapsed().as_nanos() as u64;
                let answer = measure(encoder, &question, &clock)?;
                serde_json::to_string(&answer).map_err(|e| e.to_string())
            }
            other => Err(format!("there is nothing at {other}")),
        }
    }
}
