//! A client of ssh-agent (draft-ietf-sshm-ssh-agent): which keys it has, and signatures.

use std::io;
use std::path::Path;
use std::time::Duration;

use redial_net::auth::{Algorithm, PublicKey};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::time::timeout;

/// The longest message of an agent that is read; OpenSSH's own bound. Stops what answers on
/// that socket from taking our memory.
const MESSAGE_BYTES: usize = 262_144;
/// For an agent to list its keys. One that only lists needs nobody's touch.
const LIST_TIMEOUT: Duration = Duration::from_secs(5);

/// SSH_AGENT_FAILURE.
const FAILURE: u8 = 5;
/// SSH_AGENTC_REQUEST_IDENTITIES and its answer.
const REQUEST_IDENTITIES: u8 = 11;
const IDENTITIES_ANSWER: u8 = 12;
/// SSH_AGENTC_SIGN_REQUEST and its answer.
const SIGN_REQUEST: u8 = 13;
const SIGN_RESPONSE: u8 = 14;
/// SSH_AGENT_RSA_SHA2_512: without it an agent signs with SHA-1, which nobody takes.
const RSA_SHA2_512: u32 = 4;

/// Why an agent gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// Nobody there, or it hung up.
    #[error("the agent does not answer: {0}")]
    Line(#[from] io::Error),
    /// It took too long.
    #[error("the agent took longer than {} s", LIST_TIMEOUT.as_secs())]
    Timeout,
    /// A message of a length that is none.
    #[error("the agent's answer has {bytes} bytes, 1 to {MESSAGE_BYTES} are read")]
    Length {
        /// What it says.
        bytes: usize,
    },
    /// Not what was asked for.
    #[error("the agent's answer is not understood")]
    Malformed,
    /// It will not.
    #[error(
        "the agent refuses to sign with it (agents do that while locked, when asked to confirm \
         and told no, and with keys bound to other destinations by ssh-add -h)"
    )]
    Refused,
}

/// A key that an agent has.
#[derive(Debug, Clone)]
pub(crate) struct AgentKey {
    pub(crate) key: PublicKey,
    pub(crate) comment: String,
}

/// The keys of an agent, of the kinds that are taken, in its order.
///
/// # Errors
///
/// [`AgentError`], after 5 s at the latest.
pub(crate) async fn list(socket: &Path) -> Result<Vec<AgentKey>, AgentError> {
    let asked = ask(socket, &[REQUEST_IDENTITIES]);
    let answer = timeout(LIST_TIMEOUT, asked).await;
    let answer = answer.map_err(|_| AgentError::Timeout)??;
    let mut rest = answer.as_slice();
    match take(&mut rest, 1).ok_or(AgentError::Malformed)? {
        [IDENTITIES_ANSWER] => {}
        // As locked agents of some makes do: no keys to see.
        [FAILURE] => return Ok(Vec::new()),
        _ => return Err(AgentError::Malformed),
    }
    let count = number(&mut rest).ok_or(AgentError::Malformed)?;
    let mut keys = Vec::new();
    for _ in 0..count {
        let blob = string(&mut rest).ok_or(AgentError::Malformed)?;
        let comment = string(&mut rest).ok_or(AgentError::Malformed)?;
        // Certificates and the like are no use here.
        if let Ok(key) = PublicKey::from_blob(blob) {
            let comment = String::from_utf8_lossy(comment).into_owned();
            keys.push(AgentKey { key, comment });
        }
    }
    Ok(keys)
}

/// Has an agent sign `data`. Waits as long as it takes: somebody may have to touch a token.
/// Gives the signature's blob (RFC 4253 section 6.6).
///
/// # Errors
///
/// [`AgentError`].
pub(crate) async fn sign(
    socket: &Path,
    key: &PublicKey,
    data: &[u8],
) -> Result<Vec<u8>, AgentError> {
    let flags = match key.algorithm() {
        Algorithm::Rsa => RSA_SHA2_512,
        _ => 0,
    };
    let mut request = vec![SIGN_REQUEST];
    put(&mut request, key.blob());
    put(&mut request, data);
    request.extend_from_slice(&flags.to_be_bytes());
    let answer = ask(socket, &request).await?;
    let mut rest = answer.as_slice();
    match take(&mut rest, 1).ok_or(AgentError::Malformed)? {
        [SIGN_RESPONSE] => {}
        [FAILURE] => return Err(AgentError::Refused),
        _ => return Err(AgentError::Malformed),
    }
    let signature = string(&mut rest).ok_or(AgentError::Malformed)?;
    Ok(signature.to_vec())
}

/// One question on a line of its own.
async fn ask(socket: &Path, request: &[u8]) -> Result<Vec<u8>, AgentError> {
    let mut line = UnixStream::connect(socket).await?;
    let mut message = Vec::with_capacity(request.len() + 4);
    put(&mut message, request);
    line.write_all(&message).await?;
    let bytes = usize::try_from(line.read_u32().await?).unwrap_or(usize::MAX);
    if !(1..=MESSAGE_BYTES).contains(&bytes) {
        return Err(AgentError::Length { bytes });
    }
    let mut answer = vec![0; bytes];
    line.read_exact(&mut answer).await?;
    Ok(answer)
}

/// A string of RFC 4251 section 5. Keys and what is signed are far below 4 GiB.
fn put(to: &mut Vec<u8>, bytes: &[u8]) {
    let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    to.extend_from_slice(&len.to_be_bytes());
    to.extend_from_slice(bytes);
}

fn take<'a>(rest: &mut &'a [u8], bytes: usize) -> Option<&'a [u8]> {
    let (taken, after) = rest.split_at_checked(bytes)?;
    *rest = after;
    Some(taken)
}

fn number(rest: &mut &[u8]) -> Option<u32> {
    let bytes = take(rest, 4)?.try_into().ok()?;
    Some(u32::from_be_bytes(bytes))
}

fn string<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let bytes = usize::try_from(number(rest)?).ok()?;
    take(rest, bytes)
}
