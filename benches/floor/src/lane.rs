//! `true` behind a socket: each byte that comes asks for one, each byte that goes says that one has ended.
//! No keys, no protocol, no output carried.

use std::io::{Read, Write};
use std::os::fd::AsFd;

use anyhow::Context;

use crate::crew::Crew;
use crate::direct::Direct;

/// At once, of one lane.
pub const AT_ONCE: usize = 64;

/// Serves one until its other end is closed.
///
/// # Errors
/// Something could not be started, failed, or wrote something.
pub fn serve<S>(stream: S) -> anyhow::Result<()>
where
    S: AsFd,
    for<'s> &'s S: Read + Write,
{
    let mut crew = Crew::new(Direct::new()?, AT_ONCE)?;
    crew.watch(&stream)?;
    let (mut asked, mut buffer) = (0, [0; AT_ONCE]);
    loop {
        let woken = crew.wait()?;
        if woken.ended > 0 {
            (&stream)
                .write_all(&buffer[..woken.ended])
                .context("write")?;
        }
        if woken.other {
            match (&stream).read(&mut buffer).context("read")? {
                0 => return Ok(()),
                more => asked += more,
            }
        }
        while asked > 0 && crew.has_room() {
            crew.start()?;
            asked -= 1;
        }
    }
}
