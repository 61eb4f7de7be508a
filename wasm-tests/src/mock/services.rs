//! Everything that is not headers or bodies: log, ticks, shared data, metrics, HTTP calls, local responses.

use wasmtime::{Caller, Linker, Result};

use super::abi::status;
use super::memory::{give, read, text, unpack, write_u32, write_u64};
use super::shared::Kind;
use super::state::{Call, Callback, LocalReply, State, refused};

const LEVELS: [&str; 6] = ["trace", "debug", "info", "warn", "error", "critical"];

pub(super) fn link(linker: &mut Linker<State>) -> Result<()> {
    linker.func_wrap("env", "proxy_log", log)?;
    linker.func_wrap("env", "proxy_set_tick_period_milliseconds", set_tick_period)?;
    linker.func_wrap("env", "proxy_set_effective_context", set_effective_context)?;
    linker.func_wrap("env", "proxy_get_shared_data", get_shared)?;
    linker.func_wrap("env", "proxy_set_shared_data", set_shared)?;
    linker.func_wrap("env", "proxy_define_metric", define_metric)?;
    linker.func_wrap("env", "proxy_increment_metric", increment_metric)?;
    linker.func_wrap("env", "proxy_record_metric", record_metric)?;
    linker.func_wrap("env", "proxy_get_metric", get_metric)?;
    linker.func_wrap("env", "proxy_http_call", http_call)?;
    linker.func_wrap("env", "proxy_continue_stream", continue_stream)?;
    linker.func_wrap("env", "proxy_send_local_response", send_local_response)?;
    Ok(())
}

fn log(mut c: Caller<State>, level: u32, message: u32, len: u32) -> Result<i32> {
    let message = String::from_utf8_lossy(&read(&c, message, len)?).into_owned();
    let level = LEVELS.get(level as usize).copied().unwrap_or("unknown");
    c.data_mut().logs.push((level.to_owned(), message));
    Ok(status::OK)
}

fn set_tick_period(mut c: Caller<State>, period: u32) -> Result<i32> {
    let state = c.data_mut();
    let (callback, context) = (state.callback, state.context);
    let root = state.roots.get_mut(&context);
    root.ok_or_else(|| refused(callback, "sets a tick", "only a root context ticks"))?.tick_ms = Some(period);
    state.note(format!("tick every {period} ms"));
    Ok(status::OK)
}

fn set_effective_context(mut c: Caller<State>, context: u32) -> Result<i32> {
    let state = c.data_mut();
    let known = state.roots.contains_key(&context) || state.flows.contains_key(&context);
    if known {
        state.context = context;
    }
    Ok(if known { status::OK } else { status::BAD_ARGUMENT })
}

fn get_shared(
    mut c: Caller<State>,
    key: u32,
    key_len: u32,
    at_ptr: u32,
    at_len: u32,
    at_cas: u32,
) -> Result<i32> {
    let key = text(&c, key, key_len)?;
    c.data_mut().note(format!("get shared {key}"));
    let found = c.data().shared.borrow().get(&key).map(|(value, cas)| (value.to_vec(), cas));
    let Some((value, cas)) = found else { return Ok(status::NOT_FOUND) };
    give(&mut c, &value, at_ptr, at_len)?;
    write_u32(&mut c, at_cas, cas)?;
    Ok(status::OK)
}

fn set_shared(
    mut c: Caller<State>,
    key: u32,
    key_len: u32,
    value: u32,
    value_len: u32,
    cas: u32,
) -> Result<i32> {
    let (key, value) = (text(&c, key, key_len)?, read(&c, value, value_len)?);
    c.data_mut().note(format!("set shared {key}"));
    let done = c.data().shared.borrow_mut().set(&key, value, cas);
    Ok(if done { status::OK } else { status::CAS_MISMATCH })
}

fn define_metric(mut c: Caller<State>, kind: u32, name: u32, len: u32, at_id: u32) -> Result<i32> {
    let name = text(&c, name, len)?;
    let callback = c.data().callback;
    let kinds = [Kind::Counter, Kind::Gauge, Kind::Histogram];
    let kind =
        *kinds.get(kind as usize).ok_or_else(|| refused(callback, "defines a metric", "of no known kind"))?;
    let id = c.data().shared.borrow_mut().define(kind, &name);
    let id = id.map_err(|why| refused(callback, "defines a metric", &why))?;
    write_u32(&mut c, at_id, id as u32)?;
    Ok(status::OK)
}

/// Changes the metric `id`, which must be of a kind that takes such a change.
fn with_metric(c: &mut Caller<State>, id: u32, takes: &[Kind], change: impl FnOnce(&mut u64)) -> Result<i32> {
    let callback = c.data().callback;
    let mut shared = c.data().shared.borrow_mut();
    let Some(metric) = shared.metrics.get_mut(id as usize) else { return Ok(status::NOT_FOUND) };
    if !takes.contains(&metric.kind) {
        return Err(refused(
            callback,
            &format!("changes {}", metric.name),
            "a metric of its kind has no such change",
        ));
    }
    change(&mut metric.value);
    metric.count += 1;
    Ok(status::OK)
}

fn increment_metric(mut c: Caller<State>, id: u32, offset: i64) -> Result<i32> {
    // As Envoy: a counter only rises.
    if offset < 0 {
        return Ok(status::BAD_ARGUMENT);
    }
    with_metric(&mut c, id, &[Kind::Counter, Kind::Gauge], |v| *v += offset.unsigned_abs())
}

fn record_metric(mut c: Caller<State>, id: u32, value: u64) -> Result<i32> {
    with_metric(&mut c, id, &[Kind::Gauge, Kind::Histogram], |v| *v = value)
}

fn get_metric(mut c: Caller<State>, id: u32, at: u32) -> Result<i32> {
    let value = c.data().shared.borrow().metrics.get(id as usize).map(|m| m.value);
    let Some(value) = value else { return Ok(status::NOT_FOUND) };
    write_u64(&mut c, at, value)?;
    Ok(status::OK)
}

#[expect(clippy::too_many_arguments)] // the ABI's own
fn http_call(
    mut c: Caller<State>,
    cluster: u32,
    cluster_len: u32,
    headers: u32,
    headers_len: u32,
    body: u32,
    body_len: u32,
    trailers: u32,
    trailers_len: u32,
    timeout_ms: u32,
    at_token: u32,
) -> Result<i32> {
    let cluster = text(&c, cluster, cluster_len)?;
    let headers = unpack(&read(&c, headers, headers_len)?)?;
    let trailers = unpack(&read(&c, trailers, trailers_len)?)?;
    let body = read(&c, body, body_len)?;
    let (callback, context) = (c.data().callback, c.data().context);
    let missing =
        [":method", ":path", ":authority"].iter().any(|name| !headers.iter().any(|(n, _)| n == name));
    if missing || timeout_ms == 0 || !trailers.is_empty() {
        return Err(refused(callback, "makes a call", "without method, path, authority or timeout"));
    }
    let token = c.data().calls.len() as u32 + 1;
    let call = Call { token, cluster, headers, body, timeout_ms, context, answered: false };
    let note = format!("call {} {} {}", call.cluster, call.header(":method"), call.header(":path"));
    c.data_mut().note(note);
    if let Some(status) = c.data().refuse_calls {
        return Ok(status);
    }
    c.data_mut().calls.push(call);
    write_u32(&mut c, at_token, token)?;
    Ok(status::OK)
}

/// As Envoy: the stream goes on when the module has returned.
fn continue_stream(mut c: Caller<State>, direction: i32) -> Result<i32> {
    let callback = c.data().callback;
    let flow = c.data_mut().flow()?;
    if direction != 0 || callback != Callback::CallResponse || !flow.request_held || flow.resumed {
        return Err(refused(callback, "lets a stream go on", "it is not a request that is held"));
    }
    flow.resumed = true;
    c.data_mut().note("continue request");
    Ok(status::OK)
}

#[expect(clippy::too_many_arguments)] // the ABI's own
fn send_local_response(
    mut c: Caller<State>,
    code: u32,
    _details: u32,
    _details_len: u32,
    body: u32,
    body_len: u32,
    headers: u32,
    headers_len: u32,
    _grpc_status: i32,
) -> Result<i32> {
    let headers = unpack(&read(&c, headers, headers_len)?)?;
    let body = read(&c, body, body_len)?;
    let callback = c.data().callback;
    let in_request =
        [Callback::RequestHeaders, Callback::RequestBody, Callback::RequestTrailers].contains(&callback);
    let flow = c.data_mut().flow()?;
    if !in_request || flow.local_reply.is_some() || !(200..600).contains(&code) {
        return Err(refused(callback, &format!("answers {code} itself"), "too late, twice, or not a status"));
    }
    flow.local_reply = Some(LocalReply { status: code, headers, body });
    c.data_mut().note(format!("answer {code}"));
    Ok(status::OK)
}
