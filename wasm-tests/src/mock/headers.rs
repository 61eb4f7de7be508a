//! Header maps: which callback may read or change which map.

use wasmtime::{Caller, Linker, Result};

use super::abi::status;
use super::memory::{give, pack, read, text};
use super::state::{Callback, Headers, State, refused};

/// The ABI's header maps that the filter may touch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Map {
    Request,
    Response,
    CallResponse,
}

impl Map {
    fn new(number: i32) -> Option<Self> {
        match number {
            0 => Some(Self::Request),
            2 => Some(Self::Response),
            6 => Some(Self::CallResponse),
            _ => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Response => "response",
            Self::CallResponse => "call response",
        }
    }
}

/// The map, if it may be touched now; `write` says whether it is to be changed.
fn open(state: &mut State, number: i32, write: bool) -> Result<(&'static str, &mut Headers)> {
    let callback = state.callback;
    let map = Map::new(number)
        .ok_or_else(|| refused(callback, "asks for a header map", "the mock has no such map"))?;
    let name = map.name();
    if map == Map::CallResponse {
        let answer = state.answer.as_mut().filter(|a| !write && !a.headers.is_empty());
        let why = "there are none, or they may not be changed";
        return Ok((
            name,
            &mut answer.ok_or_else(|| refused(callback, "touches call response headers", why))?.headers,
        ));
    }
    let flow = state.flow()?;
    let reading_for_log = callback == Callback::Log && !write;
    let held = match map {
        Map::Request => {
            let during = [
                Callback::RequestHeaders,
                Callback::RequestBody,
                Callback::RequestTrailers,
                Callback::CallResponse,
            ];
            flow.request_held && during.contains(&callback)
        }
        // The filter never holds response headers back: they leave with their callback.
        _ => callback == Callback::ResponseHeaders,
    };
    if !held && !reading_for_log {
        let verb = if write { "changes" } else { "reads" };
        return Err(refused(
            callback,
            &format!("{verb} {name} headers"),
            "they have left already or are not here yet",
        ));
    }
    Ok((name, if map == Map::Request { &mut flow.request_headers } else { &mut flow.response_headers }))
}

pub(super) fn link(linker: &mut Linker<State>) -> Result<()> {
    linker.func_wrap("env", "proxy_get_header_map_pairs", pairs)?;
    linker.func_wrap("env", "proxy_get_header_map_value", value)?;
    linker.func_wrap("env", "proxy_replace_header_map_value", replace)?;
    linker.func_wrap("env", "proxy_add_header_map_value", add)?;
    linker.func_wrap("env", "proxy_remove_header_map_value", remove)?;
    Ok(())
}

fn pairs(mut c: Caller<State>, map: i32, at_ptr: u32, at_len: u32) -> Result<i32> {
    let (name, headers) = open(c.data_mut(), map, false)?;
    let packed = pack(headers);
    c.data_mut().note(format!("{name} headers"));
    give(&mut c, &packed, at_ptr, at_len)?;
    Ok(status::OK)
}

fn value(mut c: Caller<State>, map: i32, key: u32, key_len: u32, at_ptr: u32, at_len: u32) -> Result<i32> {
    let key = text(&c, key, key_len)?;
    let (name, headers) = open(c.data_mut(), map, false)?;
    let found: Vec<&[u8]> = headers.iter().filter(|(n, _)| *n == key).map(|(_, v)| v.as_slice()).collect();
    // As Envoy: the values of a repeated header are one list.
    let joined = (!found.is_empty()).then(|| found.join(&b','));
    c.data_mut().note(format!("get {name} {key}"));
    let Some(joined) = joined else { return Ok(status::NOT_FOUND) };
    give(&mut c, &joined, at_ptr, at_len)?;
    Ok(status::OK)
}

/// Key and value of a change; Envoy would send broken headers, or none, if they were not clean.
fn clean(c: &Caller<State>, key: (u32, u32), value: (u32, u32)) -> Result<(String, Vec<u8>)> {
    let (key, value) = (text(c, key.0, key.1)?, read(c, value.0, value.1)?);
    let callback = c.data().callback;
    if key.is_empty() || key != key.to_ascii_lowercase() {
        return Err(refused(callback, &format!("sets a header {key:?}"), "names are lower case"));
    }
    if value.iter().any(|b| matches!(b, 0 | b'\r' | b'\n')) {
        return Err(refused(callback, &format!("sets {key}"), "its value would break the message"));
    }
    Ok((key, value))
}

fn replace(
    mut c: Caller<State>,
    map: i32,
    key: u32,
    key_len: u32,
    value: u32,
    value_len: u32,
) -> Result<i32> {
    let (key, value) = clean(&c, (key, key_len), (value, value_len))?;
    let (name, headers) = open(c.data_mut(), map, true)?;
    let shown = String::from_utf8_lossy(&value).into_owned();
    headers.retain(|(n, _)| *n != key);
    headers.push((key.clone(), value));
    c.data_mut().note(format!("set {name} {key}={shown}"));
    Ok(status::OK)
}

fn add(mut c: Caller<State>, map: i32, key: u32, key_len: u32, value: u32, value_len: u32) -> Result<i32> {
    let (key, value) = clean(&c, (key, key_len), (value, value_len))?;
    let (name, headers) = open(c.data_mut(), map, true)?;
    let shown = String::from_utf8_lossy(&value).into_owned();
    headers.push((key.clone(), value));
    c.data_mut().note(format!("add {name} {key}={shown}"));
    Ok(status::OK)
}

fn remove(mut c: Caller<State>, map: i32, key: u32, key_len: u32) -> Result<i32> {
    let key = text(&c, key, key_len)?;
    let (name, headers) = open(c.data_mut(), map, true)?;
    headers.retain(|(n, _)| *n != key);
    c.data_mut().note(format!("remove {name} {key}"));
    Ok(status::OK)
}
