//! Reading and writing the module's memory.

use wasmtime::{Caller, Error, Memory, Result};

use super::state::State;

fn memory(caller: &Caller<State>) -> Result<Memory> {
    caller.data().memory.ok_or_else(|| Error::msg("a host call before the module has its memory"))
}

/// A copy of `len` bytes at `at`.
pub(super) fn read(caller: &Caller<State>, at: u32, len: u32) -> Result<Vec<u8>> {
    let bytes = memory(caller)?.data(caller);
    let (at, len) = (at as usize, len as usize);
    let piece = bytes.get(at..at + len);
    piece.map(<[u8]>::to_vec).ok_or_else(|| Error::msg(format!("{len} bytes at {at} lie outside of memory")))
}

/// Text of `len` bytes at `at`.
pub(super) fn text(caller: &Caller<State>, at: u32, len: u32) -> Result<String> {
    String::from_utf8(read(caller, at, len)?).map_err(|_| Error::msg("a name that is not UTF-8"))
}

pub(super) fn write(caller: &mut Caller<State>, at: u32, bytes: &[u8]) -> Result<()> {
    memory(caller)?.write(caller, at as usize, bytes)?;
    Ok(())
}

pub(super) fn write_u32(caller: &mut Caller<State>, at: u32, value: u32) -> Result<()> {
    write(caller, at, &value.to_le_bytes())
}

pub(super) fn write_u64(caller: &mut Caller<State>, at: u32, value: u64) -> Result<()> {
    write(caller, at, &value.to_le_bytes())
}

/// Hands bytes over as Envoy does: in memory that the module allocates; nothing at all when there are none.
pub(super) fn give(caller: &mut Caller<State>, bytes: &[u8], at_ptr: u32, at_len: u32) -> Result<()> {
    let len = u32::try_from(bytes.len())?;
    let mut at = 0;
    if len > 0 {
        let allocate =
            caller.data().allocate.clone().ok_or_else(|| Error::msg("no allocator is exported"))?;
        at = allocate.call(&mut *caller, len)?;
        write(caller, at, bytes)?;
    }
    write_u32(caller, at_ptr, at)?;
    write_u32(caller, at_len, len)
}

/// Header pairs as the ABI lays them out: count, lengths, then names and values, each with a zero behind it.
pub(super) fn pack(pairs: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut out = (pairs.len() as u32).to_le_bytes().to_vec();
    for (name, value) in pairs {
        out.extend((name.len() as u32).to_le_bytes());
        out.extend((value.len() as u32).to_le_bytes());
    }
    for (name, value) in pairs {
        for bytes in [name.as_bytes(), value] {
            out.extend(bytes);
            out.push(0);
        }
    }
    out
}

/// The inverse of [`pack`].
pub(super) fn unpack(bytes: &[u8]) -> Result<Vec<(String, Vec<u8>)>> {
    let broken = || Error::msg("a header list that is cut short");
    let number = |at: usize| {
        let word = bytes.get(at..at + 4).and_then(|w| <[u8; 4]>::try_from(w).ok());
        word.map(|w| u32::from_le_bytes(w) as usize).ok_or_else(broken)
    };
    if bytes.is_empty() {
        return Ok(Vec::new());
    }
    let count = number(0)?;
    let mut at = 4 + count * 8;
    let mut piece = |len: usize| {
        let piece = bytes.get(at..at + len).ok_or_else(broken)?;
        at += len + 1;
        Ok::<_, Error>(piece.to_vec())
    };
    let pair = |i: usize| {
        let name = String::from_utf8(piece(number(4 + i * 8)?)?).map_err(|_| broken())?;
        Ok((name, piece(number(8 + i * 8)?)?))
    };
    (0..count).map(pair).collect()
}
