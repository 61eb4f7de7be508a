//! The root context: reads the plugin configuration, takes up its role, and hands each event to it.

use std::rc::Rc;
use std::time::Duration;

use dragoman_core::config::FilterConfig;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::ContextType;

use crate::params::Store;
use crate::push::Push;
use crate::recover::Recover;
use crate::stream::Stream;
use crate::worker::Worker;

/// One plugin of one worker.
#[derive(Default)]
pub(crate) struct Root {
    role: Role,
}

#[derive(Default)]
enum Role {
    /// Not configured, or configured in error: traffic passes untouched.
    #[default]
    None,
    Route(Rc<Worker>),
    Push(Box<Recover>),
}

impl Role {
    fn new(json: &[u8]) -> Result<Self, String> {
        let told = |why| {
            format!("the plugin configuration is not valid: {why}; write it with `dragoman render envoy`")
        };
        let json = std::str::from_utf8(json).map_err(|e| told(e.to_string()))?;
        let config = dragoman_core::json::from_str(json).map_err(|e| told(e.to_string()))?;
        Ok(match config {
            FilterConfig::Route(role) => Self::Route(Rc::new(Worker::new(role)?)),
            FilterConfig::Push { public_key, sidecar, sidecar_token } => {
                let store = Rc::new(Store::new(public_key));
                Self::Push(Box::new(Recover::new(store, sidecar, sidecar_token.as_deref())))
            }
        })
    }

    fn tick(&self) -> Option<Duration> {
        match self {
            Self::Route(worker) => Some(worker.flush_period()),
            Self::Push(_) => Some(Recover::PERIOD),
            _ => None,
        }
    }
}

impl RootContext for Root {
    fn on_configure(&mut self, _size: usize) -> bool {
        match Role::new(&self.get_plugin_configuration().unwrap_or_default()) {
            Ok(role) => self.role = role,
            Err(why) => {
                log::error!("dragoman cannot start: {why}");
                return false;
            }
        }
        if let Some(period) = self.role.tick() {
            self.set_tick_period(period);
        }
        true
    }

    fn on_tick(&mut self) {
        match &mut self.role {
            Role::Route(worker) => worker.on_tick(),
            Role::Push(recover) => recover.on_tick(),
            _ => {}
        }
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }

    fn create_http_context(&self, _id: u32) -> Option<Box<dyn HttpContext>> {
        Some(match &self.role {
            Role::Route(worker) => Box::new(Stream::new(Rc::clone(worker))),
            Role::Push(recover) => Box::new(Push::new(recover.store())),
            Role::None => Box::new(Untouched),
        })
    }
}

impl Context for Root {
    fn on_http_call_response(&mut self, token: u32, headers: usize, body: usize, _trailers: usize) {
        // A failed call has no headers at all, and asking for them would panic (FACTS.md).
        let status = if headers == 0 { None } else { crate::headers::call_status(self) };
        match &mut self.role {
            Role::Route(worker) => worker.on_reply(token, status),
            Role::Push(recover) => {
                let blob = (status == Some(200)).then(|| self_body(body)).flatten();
                recover.on_reply(status, blob);
            }
            _ => {}
        }
    }
}

fn self_body(size: usize) -> Option<Vec<u8>> {
    use proxy_wasm::hostcalls::get_buffer;
    get_buffer(proxy_wasm::types::BufferType::HttpCallResponseBody, 0, size).ok().flatten()
}

/// A stream of a plugin without a role.
struct Untouched;

impl Context for Untouched {}
impl HttpContext for Untouched {}
