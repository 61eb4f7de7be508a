//! Buffers: bodies and configuration, each open in its own callback only.

use wasmtime::{Caller, Linker, Result};

use super::abi::status;
use super::memory::{give, read};
use super::state::{Callback, State, refused};

const REQUEST_BODY: i32 = 0;
const RESPONSE_BODY: i32 = 1;
const CALL_RESPONSE_BODY: i32 = 4;
const PLUGIN_CONFIGURATION: i32 = 7;

pub(super) fn link(linker: &mut Linker<State>) -> Result<()> {
    linker.func_wrap("env", "proxy_get_buffer_bytes", get)?;
    linker.func_wrap("env", "proxy_set_buffer_bytes", set)?;
    Ok(())
}

fn open(state: &mut State, buffer: i32) -> Result<(&'static str, &mut Vec<u8>)> {
    let (callback, context) = (state.callback, state.context);
    match (buffer, callback) {
        (REQUEST_BODY, Callback::RequestBody) => Ok(("request body", &mut state.flow()?.request_body)),
        // What is held stays open to an answer that the stream waits for.
        (REQUEST_BODY, Callback::CallResponse) if state.flow()?.request_held => {
            Ok(("request body", &mut state.flow()?.request_body))
        }
        (RESPONSE_BODY, Callback::ResponseBody) => Ok(("response body", &mut state.flow()?.response_body)),
        (CALL_RESPONSE_BODY, Callback::CallResponse) if state.answer.is_some() => {
            let answer = state.answer.as_mut().map(|a| &mut a.body);
            answer
                .map(|body| ("call response body", body))
                .ok_or_else(|| refused(callback, "reads an answer", "none"))
        }
        (PLUGIN_CONFIGURATION, Callback::Configure) => {
            let root = state.roots.get_mut(&context).map(|r| &mut r.configuration);
            root.map(|c| ("configuration", c))
                .ok_or_else(|| refused(callback, "reads its configuration", "no root"))
        }
        _ => Err(refused(callback, &format!("touches buffer {buffer}"), "it is not open in this callback")),
    }
}

fn get(mut c: Caller<State>, buffer: i32, start: u32, len: u32, at_ptr: u32, at_len: u32) -> Result<i32> {
    let (name, bytes) = open(c.data_mut(), buffer)?;
    let start = start as usize;
    // As Envoy: reading beyond the end reads up to it, and reading nothing writes nothing.
    let end = start.saturating_add(len as usize).min(bytes.len());
    let piece = bytes.get(start..end).map(<[u8]>::to_vec);
    c.data_mut().note(format!("get {name}"));
    let Some(piece) = piece else { return Ok(status::BAD_ARGUMENT) };
    if !piece.is_empty() {
        give(&mut c, &piece, at_ptr, at_len)?;
    }
    Ok(status::OK)
}

fn set(mut c: Caller<State>, buffer: i32, start: u32, len: u32, data: u32, data_len: u32) -> Result<i32> {
    let data = read(&c, data, data_len)?;
    let callback = c.data().callback;
    if buffer != REQUEST_BODY {
        return Err(refused(
            callback,
            "changes a buffer",
            "only the request's body is the filter's to change",
        ));
    }
    let (_, bytes) = open(c.data_mut(), buffer)?;
    let (start, end) = (start as usize, (start as usize).saturating_add(len as usize).min(bytes.len()));
    if start > end {
        return Err(refused(callback, "changes the request's body", "beyond its end"));
    }
    bytes.splice(start..end, data);
    c.data_mut().flow()?.request_body_set = true;
    c.data_mut().note("set request body");
    Ok(status::OK)
}
