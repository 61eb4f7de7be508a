//! WASI preview 1 as far as Envoy has it: clocks, randomness, a log behind `stdout` and `stderr`, nothing else.

use wasmtime::{Caller, Linker, Result};

use super::memory::{read, write_u32, write_u64};
use super::state::{State, refused};

const WASI: &str = "wasi_snapshot_preview1";
const SUCCESS: i32 = 0;
const BADF: i32 = 8;
const NOSYS: i32 = 52;

pub(super) fn link(linker: &mut Linker<State>) -> Result<()> {
    linker.func_wrap(WASI, "clock_time_get", clock)?;
    linker.func_wrap(WASI, "random_get", random)?;
    linker.func_wrap(WASI, "fd_write", fd_write)?;
    linker.func_wrap(WASI, "proc_exit", |c: Caller<State>, code: i32| -> Result<()> {
        Err(refused(c.data().callback, "exits", &format!("code {code}")))
    })?;
    for sizes in ["environ_sizes_get", "args_sizes_get"] {
        linker.func_wrap(WASI, sizes, |mut c: Caller<State>, count: u32, bytes: u32| -> Result<i32> {
            write_u32(&mut c, count, 0)?;
            write_u32(&mut c, bytes, 0)?;
            Ok(SUCCESS)
        })?;
    }
    for list in ["environ_get", "args_get"] {
        linker.func_wrap(WASI, list, |_: u32, _: u32| SUCCESS)?;
    }
    // There are no files: a program that looks for them is told so.
    linker.func_wrap(WASI, "fd_prestat_get", |_: i32, _: u32| BADF)?;
    linker.func_wrap(WASI, "fd_prestat_dir_name", |_: i32, _: u32, _: u32| BADF)?;
    linker.func_wrap(WASI, "fd_close", |_: i32| BADF)?;
    linker.func_wrap(WASI, "fd_fdstat_get", |_: i32, _: u32| NOSYS)?;
    linker.func_wrap(WASI, "fd_seek", |_: i32, _: i64, _: i32, _: u32| NOSYS)?;
    linker.func_wrap(WASI, "fd_read", |_: i32, _: u32, _: u32, _: u32| NOSYS)?;
    linker.func_wrap(WASI, "sched_yield", || SUCCESS)?;
    Ok(())
}

fn clock(mut c: Caller<State>, which: i32, _precision: i64, at: u32) -> Result<i32> {
    let now = c.data().shared.borrow_mut().clock.read(which == 1);
    write_u64(&mut c, at, now)?;
    Ok(SUCCESS)
}

fn random(mut c: Caller<State>, at: u32, len: u32) -> Result<i32> {
    for i in 0..len {
        let byte = c.data_mut().next_random() as u8;
        super::memory::write(&mut c, at + i, &[byte])?;
    }
    Ok(SUCCESS)
}

fn fd_write(mut c: Caller<State>, _fd: i32, pieces: u32, count: u32, at_written: u32) -> Result<i32> {
    let mut out = Vec::new();
    for i in 0..count {
        let piece = read(&c, pieces + i * 8, 8)?;
        let word = |at: usize| u32::from_le_bytes([piece[at], piece[at + 1], piece[at + 2], piece[at + 3]]);
        out.extend(read(&c, word(0), word(4))?);
    }
    write_u32(&mut c, at_written, out.len() as u32)?;
    c.data_mut().logs.push(("output".to_owned(), String::from_utf8_lossy(&out).trim_end().to_owned()));
    Ok(SUCCESS)
}
