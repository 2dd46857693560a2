//! A broker of our own that speaks NATS as far as redial does, reads all of it, and does evil.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};

use super::support::Random;

/// What it does to messages of lines, and how often it has.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Evil {
    pub(crate) dropped: u32,
    pub(crate) doubled: u32,
    pub(crate) reordered: u32,
    pub(crate) altered: u32,
    /// Of another line, or of long ago.
    pub(crate) replayed: u32,
    /// Calls of long ago.
    pub(crate) called_again: u32,
}

/// Ends with the test's process.
pub(crate) struct EvilBroker {
    port: u16,
    state: Arc<Mutex<State>>,
}

struct State {
    version: String,
    random: Random,
    /// One message of a line in so many is done evil to.
    one_in: u64,
    clients: Vec<Sender<Vec<u8>>>,
    /// Client, its number of the subscription, subject.
    subscriptions: Vec<(usize, String, String)>,
    evil: Evil,
    heard: Vec<u8>,
    /// Of lines and calls, to be said again.
    recorded: Vec<Message>,
    held: Option<Message>,
}

#[derive(Clone)]
struct Message {
    subject: String,
    reply: Option<String>,
    payload: Vec<u8>,
}

/// Messages that it remembers.
const RECORDED: usize = 512;

impl EvilBroker {
    pub(crate) fn start(version: &str, seed: u64, one_in: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(Mutex::new(State {
            version: version.to_owned(),
            random: Random::new(seed),
            one_in,
            clients: Vec::new(),
            subscriptions: Vec::new(),
            evil: Evil::default(),
            heard: Vec::new(),
            recorded: Vec::new(),
            held: None,
        }));
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || serve(stream, &shared));
            }
        });
        EvilBroker { port, state }
    }

    pub(crate) fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    pub(crate) fn evil(&self) -> Evil {
        self.state.lock().unwrap().evil
    }

    /// All payloads that it was given.
    pub(crate) fn heard(&self) -> Vec<u8> {
        self.state.lock().unwrap().heard.clone()
    }
}

/// One client's connection.
fn serve(mut stream: TcpStream, shared: &Mutex<State>) {
    let (queue, queued) = channel::<Vec<u8>>();
    let mut output = stream.try_clone().unwrap();
    let (number, version) = {
        let mut state = shared.lock().unwrap();
        state.clients.push(queue.clone());
        (state.clients.len() - 1, state.version.clone())
    };
    let info = format!(
        "INFO {{\"server_id\":\"evil\",\"server_name\":\"evil\",\"version\":\"{version}\",\"proto\":1,\
         \"headers\":true,\"max_payload\":1048576,\"host\":\"127.0.0.1\",\"port\":4222,\"client_id\":{number}}}\r\n"
    );
    if stream.write_all(info.as_bytes()).is_err() {
        return;
    }
    std::thread::spawn(move || {
        while let Ok(bytes) = queued.recv() {
            if output.write_all(&bytes).is_err() {
                return;
            }
        }
    });
    let mut input = BufReader::new(stream);
    let mut line = String::new();
    while matches!(input.read_line(&mut line), Ok(1..)) {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        match words[..] {
            ["PING"] => drop(queue.send(b"PONG\r\n".to_vec())),
            ["SUB", subject, .., id] => {
                let subscription = (number, id.to_owned(), subject.to_owned());
                shared.lock().unwrap().subscriptions.push(subscription);
            }
            ["UNSUB", id, ..] => {
                let mut state = shared.lock().unwrap();
                let is_it = |it: &(usize, String, String)| it.0 == number && it.1 == id;
                state.subscriptions.retain(|it| !is_it(it));
            }
            ["PUB", subject, ref reply @ .., len] => {
                let mut payload = vec![0; len.parse::<usize>().unwrap() + 2];
                if input.read_exact(&mut payload).is_err() {
                    break;
                }
                payload.truncate(payload.len() - 2);
                let message = Message {
                    subject: subject.to_owned(),
                    reply: reply.first().map(|&it| it.to_owned()),
                    payload,
                };
                shared.lock().unwrap().said(message);
            }
            _ => {}
        }
        line.clear();
    }
    let mut state = shared.lock().unwrap();
    state.subscriptions.retain(|it| it.0 != number);
}

impl State {
    fn said(&mut self, message: Message) {
        self.heard.extend_from_slice(&message.payload);
        let is_line = message.subject.starts_with("redial.line.");
        let is_call = message.subject.starts_with("redial.call.");
        if (is_line || is_call) && self.recorded.len() < RECORDED {
            self.recorded.push(message.clone());
        } else if is_line {
            let at = usize::try_from(self.random.below(RECORDED as u64)).unwrap();
            self.recorded[at] = message.clone();
        }
        let late = is_line.then(|| self.held.take()).flatten();
        if !is_line || self.random.below(self.one_in) != 0 {
            self.deliver(&message);
        } else {
            self.do_evil(message);
        }
        if let Some(late) = late {
            self.deliver(&late);
        }
    }

    fn do_evil(&mut self, mut message: Message) {
        match self.random.below(6) {
            0 => self.evil.dropped += 1,
            1 => {
                self.evil.doubled += 1;
                self.deliver(&message);
                self.deliver(&message);
            }
            2 => {
                self.evil.reordered += 1;
                // After the next one.
                self.held = Some(message);
            }
            3 => {
                self.evil.altered += 1;
                let at = self.random.below(message.payload.len() as u64);
                message.payload[usize::try_from(at).unwrap()] ^= 1 << self.random.below(8);
                self.deliver(&message);
            }
            4 => {
                self.evil.replayed += 1;
                let at = self.random.below(self.recorded.len() as u64);
                let mut old = self.recorded[usize::try_from(at).unwrap()].clone();
                // As if it were of this line and direction, or as it was.
                if self.random.below(2) == 0 {
                    old.subject.clone_from(&message.subject);
                }
                self.deliver(&old);
                self.deliver(&message);
            }
            _ => {
                let calls = self.recorded.iter();
                let mut calls = calls.filter(|it| it.subject.starts_with("redial.call."));
                let call = calls.next_back().cloned();
                self.deliver(&message);
                if let Some(call) = call {
                    self.evil.called_again += 1;
                    self.deliver(&call);
                }
            }
        }
    }

    fn deliver(&mut self, message: &Message) {
        let mut is_heard = false;
        for (client, id, pattern) in &self.subscriptions {
            if !matches(pattern, &message.subject) {
                continue;
            }
            is_heard = true;
            let reply = message.reply.as_deref().unwrap_or_default();
            let len = message.payload.len();
            let mut bytes = format!("MSG {} {id} {reply} {len}\r\n", message.subject).into_bytes();
            bytes.extend_from_slice(&message.payload);
            bytes.extend_from_slice(b"\r\n");
            let _ = self.clients[*client].send(bytes);
        }
        if let (false, Some(reply)) = (is_heard, &message.reply) {
            let status = "NATS/1.0 503\r\n\r\n";
            for (client, id, pattern) in &self.subscriptions {
                if matches(pattern, reply) {
                    let len = status.len();
                    let text = format!("HMSG {reply} {id} {len} {len}\r\n{status}\r\n");
                    let _ = self.clients[*client].send(text.into_bytes());
                }
            }
        }
    }
}

/// Subjects: `*` is one token, `>` all that follow.
fn matches(pattern: &str, subject: &str) -> bool {
    let (mut pattern, mut subject) = (pattern.split('.'), subject.split('.'));
    loop {
        match (pattern.next(), subject.next()) {
            (Some(">"), Some(_)) | (None, None) => return true,
            (Some("*"), Some(_)) => {}
            (Some(one), Some(other)) if one == other => {}
            _ => return false,
        }
    }
}
