//! Free ports on the loopback address.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, TcpListener};
use std::process;
use std::sync::atomic::{AtomicU16, Ordering};

use anyhow::{Result, bail};

/// Below the range from which Linux takes source ports, so that no outgoing connection of the
/// moment can take a port between our looking and the program's listening.
const FIRST: u16 = 20_000;
const COUNT: u16 = 12_000;
/// Two harnesses started side by side begin their search this far apart for each process id.
const STRIDE: u32 = 53;

static TRIED: AtomicU16 = AtomicU16::new(0);

/// A port nobody listens on now; never the same twice in one process.
pub fn free() -> Result<u16> {
    let start = process::id().wrapping_mul(STRIDE) % u32::from(COUNT);
    for _ in 0..COUNT {
        let tried = u32::from(TRIED.fetch_add(1, Ordering::Relaxed));
        let offset = u16::try_from((start + tried) % u32::from(COUNT))?;
        if is_free(FIRST + offset)? {
            return Ok(FIRST + offset);
        }
    }
    bail!(
        "no free port between {FIRST} and {} on 127.0.0.1: `ss -ltn` shows who listens there",
        FIRST + COUNT
    )
}

/// The port asked for, when it is free; otherwise an error that says what to do.
pub fn exactly(port: u16) -> Result<u16> {
    if !is_free(port)? {
        bail!(
            "port {port} on 127.0.0.1 is taken: `ss -ltnp 'sport = :{port}'` shows by whom. \
             Stop that program, or leave --port out and a free one is chosen."
        );
    }
    Ok(port)
}

fn is_free(port: u16) -> Result<bool> {
    match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == ErrorKind::AddrInUse => Ok(false),
        Err(error) => bail!("cannot listen on 127.0.0.1:{port}: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::{exactly, free};
    use std::net::TcpListener;

    #[test]
    fn two_free_ports_differ() {
        assert_ne!(free().unwrap(), free().unwrap());
    }

    #[test]
    fn a_taken_port_is_refused_with_what_to_do() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = taken.local_addr().unwrap().port();
        let message = exactly(port).unwrap_err().to_string();
        assert!(message.contains("is taken") && message.contains("ss -ltnp"), "{message}");
    }
}
