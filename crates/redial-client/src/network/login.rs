//! Proves one of our keys over a connection whose server is known (PROTOCOL.md section 9).
//!
//! One key is proved at once; several are asked about first, so that nobody touches a token
//! or types a passphrase in vain. What needs a passphrase is left for the caller to ask for,
//! when this connection is over.

use std::path::PathBuf;
use std::sync::Arc;

use redial_net::auth::{
    Algorithm, Offer, PrivateKey, PrivateKeyError, ProofError, PublicKey, Statement,
    assemble_proof, offer, sign_proof,
};
use redial_net::proto::limits::AUTHENTICATE_TRIES;
use redial_net::proto::message::{Authenticate, Authenticated};
use tokio::sync::mpsc;
use tokio::task::JoinError;
use tokio::time::{Instant, timeout_at};

use super::agent::{self, AgentError};
use super::error::NOT_TAKEN;
use super::identity::{Identities, Identity, UnlockError, unlock};
use super::kept::Medium;
use super::options::NetworkOptions;
use super::patience::{OutOfTime, Patience};
use super::progress::Progress;
use crate::client::Lease;

/// The server's answers to authenticate (PROTOCOL.md section 4).
pub(super) const YES: u8 = 0;
const GO_ON: u8 = 1;

/// What a proof is bound to.
#[derive(Debug, Clone)]
pub(crate) struct Bound {
    pub(crate) user: String,
    pub(crate) host_key: PublicKey,
    pub(crate) nonce: [u8; 32],
    pub(crate) exporter: [u8; 32],
    /// The server's patience ends here, and with it the nonce.
    pub(crate) until: Instant,
}

impl Bound {
    fn statement<'a>(&'a self, key: &'a PublicKey) -> Statement<'a> {
        Statement {
            user: &self.user,
            key,
            host_key: &self.host_key,
            nonce: &self.nonce,
            exporter: &self.exporter,
        }
    }
}

/// How a login on one connection ends.
#[derive(Debug)]
pub(crate) enum Ended {
    /// We are in; or will be known to be, when the answer to the proof of this key has come, the last
    /// there is to prove. It goes out with what is asked for next.
    In(Option<usize>),
    /// The server takes these keys, and somebody has to unlock one.
    Locked(Vec<usize>),
    /// It takes none.
    Denied,
}

/// Why a login on one connection has no end.
#[derive(Debug)]
pub(crate) enum Broken {
    /// The line ended.
    HungUp,
    /// The time is over.
    OutOfTime,
    /// The server may not say that.
    Rules(&'static str),
}

impl From<OutOfTime> for Broken {
    fn from(_: OutOfTime) -> Self {
        Broken::OutOfTime
    }
}

/// One connection's login.
pub(crate) struct Login<'a> {
    pub(crate) lease: &'a Lease,
    pub(crate) answers: &'a mut mpsc::Receiver<Authenticated>,
    pub(crate) bound: &'a Bound,
    pub(crate) identities: &'a Identities,
    pub(crate) network: &'a NetworkOptions,
    pub(crate) progress: &'a mut Progress,
    pub(crate) patience: &'a mut Patience,
    /// Answers that were not yes.
    pub(crate) tries: u8,
    /// Something will be asked for at once, and may go with the last proof.
    pub(crate) hasty: bool,
}

impl Login<'_> {
    /// Tries our keys, until one is taken or the server has said no three times.
    pub(crate) async fn run(mut self) -> Result<Ended, Broken> {
        if let Some((at, private)) = self.progress.unlocked.take() {
            let key = self.identities.keys[at].key.clone();
            let proof = sign_with(private, key, self.bound.clone()).await;
            if self.prove(at, proof).await? {
                return Ok(Ended::In(None));
            }
        }
        let mut locked = Vec::new();
        while self.tries < AUTHENTICATE_TRIES {
            let left = self.progress.left();
            let left = left.into_iter().filter(|at| !locked.contains(at));
            let keys = left.map(|at| self.identities.keys[at].key.clone());
            let (acceptable, asked) = match offer(keys).0 {
                Offer::Nothing => break,
                Offer::Prove(key) => (self.indices(&[key]), false),
                Offer::Ask(keys) => (self.ask(keys).await?, true),
            };
            for at in acceptable {
                // Nobody touches a token for a proof that nobody will look at.
                if self.tries >= AUTHENTICATE_TRIES {
                    break;
                }
                match self.sign(at).await? {
                    Err(Unsigned::Why(why)) => self.progress.give_up(at, why),
                    // Nobody types a passphrase before the server has said that it takes the key.
                    Err(Unsigned::Locked) if !asked => {
                        let key = self.identities.keys[at].key.clone();
                        locked.extend(self.ask(vec![key]).await?);
                    }
                    Err(Unsigned::Locked) => locked.push(at),
                    Ok(proof) => {
                        if self.hasty && locked.is_empty() && self.progress.left() == [at] {
                            let key = self.identities.keys[at].key.clone();
                            let message = self.message(&[key], Some(proof));
                            self.lease.shared().authenticate_with_next(message);
                            return Ok(Ended::In(Some(at)));
                        }
                        if self.prove(at, Ok(proof)).await? {
                            return Ok(Ended::In(None));
                        }
                    }
                }
            }
        }
        match locked.is_empty() {
            true => Ok(Ended::Denied),
            false => Ok(Ended::Locked(locked)),
        }
    }

    fn indices(&self, keys: &[PublicKey]) -> Vec<usize> {
        let all = self.identities.keys.iter().enumerate();
        let named = all.filter(|(_, identity)| keys.contains(&identity.key));
        named.map(|(at, _)| at).collect()
    }

    /// Asks which of these keys the server takes.
    async fn ask(&mut self, keys: Vec<PublicKey>) -> Result<Vec<usize>, Broken> {
        let answer = self.say(&keys, None).await?;
        let acceptable = match answer.result {
            YES => return Err(Broken::Rules("it said yes before it has seen a proof")),
            GO_ON => answer.acceptable.unwrap_or_default(),
            _ => Vec::new(),
        };
        let mut taken = Vec::new();
        for index in acceptable {
            let Some(key) = keys.get(usize::from(index)) else {
                return Err(Broken::Rules("it takes a key that was not offered"));
            };
            taken.push(key.clone());
        }
        for at in self.indices(&keys) {
            if !taken.contains(&self.identities.keys[at].key) {
                self.progress.give_up(at, NOT_TAKEN);
            }
        }
        Ok(self.indices(&taken))
    }

    /// Sends a proof of a key. True if we are in.
    async fn prove(&mut self, at: usize, proof: Result<Vec<u8>, String>) -> Result<bool, Broken> {
        let proof = match proof {
            Ok(proof) => proof,
            Err(why) => {
                self.progress.give_up(at, why);
                return Ok(false);
            }
        };
        let key = self.identities.keys[at].key.clone();
        let answer = self.say(&[key], Some(proof)).await?;
        if answer.result == YES {
            self.progress.taken = Some(at);
            return Ok(true);
        }
        self.progress.give_up(at, NOT_TAKEN);
        Ok(false)
    }

    fn message(&self, keys: &[PublicKey], signature: Option<Vec<u8>>) -> Authenticate {
        Authenticate {
            user: self.bound.user.clone(),
            keys: keys.iter().map(|key| key.blob().to_vec().into()).collect(),
            signature: signature.map(Into::into),
        }
    }

    async fn say(
        &mut self,
        keys: &[PublicKey],
        signature: Option<Vec<u8>>,
    ) -> Result<Authenticated, Broken> {
        let message = self.message(keys, signature);
        self.lease.shared().authenticate(message);
        let answer = self.patience.spend(self.answers.recv()).await?;
        let answer = answer.ok_or(Broken::HungUp)?;
        if answer.result != YES {
            self.tries += 1;
        }
        self.progress.hear(answer.reason.clone());
        Ok(answer)
    }

    /// Signs with a key, by the agent if that has it. A touch takes the time that it takes,
    /// but no more than the server has.
    async fn sign(&mut self, at: usize) -> Result<Result<Vec<u8>, Unsigned>, Broken> {
        let identity = &self.identities.keys[at];
        if identity.agent.is_some() {
            // Somebody may have to touch a token first.
            self.lease.shared().greet();
        }
        let signed = sign(identity, self.bound, self.network);
        let signed = timeout_at(self.bound.until, signed).await;
        Ok(signed.unwrap_or_else(|_| {
            let why = "nobody signed in time (a security key waits to be touched)";
            Err(Unsigned::Why(why.to_owned()))
        }))
    }
}

/// Why there is no signature.
enum Unsigned {
    /// A passphrase is needed.
    Locked,
    Why(String),
}

async fn sign(
    identity: &Identity,
    bound: &Bound,
    network: &NetworkOptions,
) -> Result<Vec<u8>, Unsigned> {
    let mut why = "no private half".to_owned();
    if let Some(socket) = &identity.agent {
        let statement = bound.statement(&identity.key);
        match ask_agent(socket, &statement).await {
            Ok(proof) => return Ok(proof),
            Err(error) => why = error,
        }
    }
    let Some(path) = identity
        .file
        .clone()
        .filter(|_| !identity.key.algorithm().is_fido())
    else {
        return Err(Unsigned::Why(why));
    };
    let private = private_key(path, network).await?;
    let signed = sign_with(private, identity.key.clone(), bound.clone()).await;
    signed.map_err(Unsigned::Why)
}

/// A key that needs no passphrase.
async fn private_key(path: PathBuf, network: &NetworkOptions) -> Result<Arc<PrivateKey>, Unsigned> {
    let kept = Arc::clone(network.kept());
    let ask = move |from| match from {
        Medium::Memory => kept.keys.get(&path).ok_or(Unsigned::Locked),
        Medium::Disk => match unlock(&path, None) {
            Ok(private) => Ok(kept.keys.put(path.clone(), Arc::new(private))),
            Err(UnlockError::Key(PrivateKeyError::Encrypted)) => Err(Unsigned::Locked),
            Err(error) => Err(Unsigned::Why(error.to_string())),
        },
    };
    let died = |error: JoinError| Unsigned::Why(error.to_string());
    let kept = network.kept();
    kept.or_read(ask, died).await
}

async fn ask_agent(socket: &std::path::Path, statement: &Statement<'_>) -> Result<Vec<u8>, String> {
    let data = statement.to_sign().map_err(|error| error.to_string())?;
    let signed = agent::sign(socket, statement.key, &data).await;
    let blob = signed.map_err(|error: AgentError| error.to_string())?;
    assemble_proof(statement, &blob).map_err(|error| format!("the agent's signature: {error}"))
}

/// Off the runtime's threads, if it takes its time.
async fn sign_with(
    private: Arc<PrivateKey>,
    key: PublicKey,
    bound: Bound,
) -> Result<Vec<u8>, String> {
    // That is less than to wake another thread.
    if key.algorithm() == Algorithm::Ed25519 {
        return sign_here(&private, &key, &bound);
    }
    let signed = tokio::task::spawn_blocking(move || sign_here(&private, &key, &bound)).await;
    signed.unwrap_or_else(|error| Err(error.to_string()))
}

fn sign_here(private: &PrivateKey, key: &PublicKey, bound: &Bound) -> Result<Vec<u8>, String> {
    sign_proof(private, &bound.statement(key)).map_err(|error| match error {
        ProofError::Key => "the .pub file beside it is another key's".to_owned(),
        error => error.to_string(),
    })
}
