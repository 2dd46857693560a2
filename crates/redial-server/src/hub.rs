//! What the sessions of a front share: the link to the keeper, and who reads which job.

mod reading;

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::task::Waker;

use redial_keeper::pool::OutputView;
use redial_keeper::wire::{
    Capability, Dismissal, FrontSettings, JobId, Link, Outbox, ToFront, ToKeeper, WireError,
};
use redial_net::proto::ChannelId;
use tokio::task::AbortHandle;

use crate::notice::{Mailbox, Notice, Request};
use crate::readers::Reader;
use crate::shares::Shares;

/// Messages to the keeper that may wait before sessions stop reading from their
/// clients: two starts of full length. Keeps a slow keeper from growing the front.
const MAX_OUTBOX_BYTES: usize = 4 * 1024 * 1024;

/// A connection from the network.
#[derive(Debug)]
struct Caller {
    task: AbortHandle,
    logged_in: bool,
}

/// Shared by all tasks of the front; they run on one thread.
#[derive(Debug)]
pub(crate) struct Hub {
    pub(crate) settings: FrontSettings,
    link: Rc<Link>,
    outbox: Outbox<ToKeeper>,
    mailboxes: HashMap<Capability, Rc<RefCell<Mailbox>>>,
    /// Connections from the network, and how to end them at once.
    callers: HashMap<Capability, Caller>,
    /// Who reads a job. The keeper tells about a job only while it is in here.
    readers: HashMap<JobId, Vec<Reader>>,
    requests: HashMap<u32, Request>,
    /// Requests to read a job along, not answered yet. What its holder acknowledges is told only
    /// then: it would be freed, and be another's before it was copied.
    looks: Vec<(u32, JobId)>,
    /// Channels that have bytes of their own here, and so share what memory there is for that.
    pub(crate) shares: Shares,
    output: Rc<OutputView>,
    last_request: u32,
    /// Sessions that wait until the outbox is empty, and the task that empties it.
    waiting: Vec<Waker>,
    sender: Option<Waker>,
    pub(crate) shutting_down: bool,
}

impl Hub {
    pub(crate) fn new(link: Rc<Link>, settings: FrontSettings, output: Rc<OutputView>) -> Self {
        Hub {
            settings,
            link,
            outbox: Outbox::new(),
            mailboxes: HashMap::new(),
            callers: HashMap::new(),
            readers: HashMap::new(),
            requests: HashMap::new(),
            looks: Vec::new(),
            shares: Shares::default(),
            output,
            last_request: 0,
            waiting: Vec::new(),
            sender: None,
            shutting_down: false,
        }
    }

    /// A connection begins.
    pub(crate) fn open(&mut self, capability: Capability) -> Rc<RefCell<Mailbox>> {
        let mailbox = Rc::new(RefCell::new(Mailbox::default()));
        if self.shutting_down {
            mailbox.borrow_mut().put(Notice::ShuttingDown);
        }
        self.mailboxes.insert(capability, Rc::clone(&mailbox));
        mailbox
    }

    /// A connection from the network, which may have to go at any time.
    pub(crate) fn add_caller(&mut self, capability: Capability, task: AbortHandle) {
        let logged_in = false;
        self.callers.insert(capability, Caller { task, logged_in });
    }

    /// It is no stranger any more.
    pub(crate) fn logged_in(&mut self, capability: Capability) {
        if let Some(caller) = self.callers.get_mut(&capability) {
            caller.logged_in = true;
        }
    }

    /// Connections from the network that have not logged in.
    pub(crate) fn strangers(&self) -> Vec<Capability> {
        let callers = self.callers.iter();
        let strangers = callers.filter(|(_, caller)| !caller.logged_in);
        strangers.map(|(who, _)| *who).collect()
    }

    /// Ends a connection from the network, wherever it is.
    pub(crate) fn abort(&mut self, capability: Capability) {
        if let Some(caller) = self.callers.get(&capability) {
            caller.task.abort();
            self.close(capability);
        }
    }

    /// A connection is over.
    pub(crate) fn close(&mut self, capability: Capability) {
        self.mailboxes.remove(&capability);
        self.callers.remove(&capability);
        self.readers.retain(|_, readers| {
            readers.retain(|reader| reader.capability != capability);
            !readers.is_empty()
        });
        self.requests
            .retain(|_, request| request.capability != capability);
        self.tell(&ToKeeper::Closed(capability));
    }

    pub(crate) fn connections(&self) -> usize {
        let callers = self.callers.keys();
        let before_tls = callers.filter(|who| !self.mailboxes.contains_key(who));
        self.mailboxes.len() + before_tls.count()
    }

    /// The keeper hands over a few more than the limit, for them to be told so. Strangers are
    /// counted by it.
    pub(crate) fn is_full(&self) -> bool {
        let strange = |who: &Capability| self.callers.get(who).is_some_and(|it| !it.logged_in);
        let known = self.mailboxes.keys().filter(|who| !strange(who)).count();
        known >= self.settings.connections as usize
    }

    /// Numbers what a channel asks for, for the answer.
    pub(crate) fn request(&mut self, request: Request) -> u32 {
        self.last_request = self.last_request.wrapping_add(1);
        self.requests.insert(self.last_request, request);
        self.last_request
    }

    /// The channel reads this job no more.
    pub(crate) fn forget(&mut self, capability: Capability, channel: ChannelId, job: &JobId) {
        if let Some(readers) = self.readers.get_mut(job) {
            readers.retain(|it| (it.capability, it.channel) != (capability, channel));
            if readers.is_empty() {
                self.readers.remove(job);
            }
        }
        self.requests
            .retain(|_, it| (it.capability, it.channel) != (capability, channel));
    }

    /// Queues a message to the keeper. Each fits a packet: starts are cut by their sender.
    pub(crate) fn tell(&mut self, message: &ToKeeper) {
        if let Err(WireError::TooLong(bytes)) = self.outbox.push(message) {
            tracing::error!(bytes, "a message to the keeper does not fit a packet");
        }
        if let Some(sender) = &self.sender {
            sender.wake_by_ref();
        }
    }

    /// Wakes `waker` when everything told so far is with the keeper, if it is not: then there is
    /// room for more.
    pub(crate) fn wake_when_told(&mut self, waker: &Waker) {
        let told = self.outbox.is_empty();
        if !told && !self.waiting.iter().any(|known| known.will_wake(waker)) {
            self.waiting.push(waker.clone());
        }
    }

    /// Whether sessions may take more from their clients.
    pub(crate) fn has_room(&self) -> bool {
        self.outbox.len_bytes() < MAX_OUTBOX_BYTES
    }

    /// Sends what the socket takes; true when nothing is left.
    pub(crate) fn flush(&mut self) -> io::Result<bool> {
        let all = self.outbox.is_empty() || self.outbox.flush(&self.link)?;
        if all {
            self.waiting.drain(..).for_each(Waker::wake);
        }
        Ok(all)
    }

    /// The task that sends what could not be sent at once.
    pub(crate) fn register_sender(&mut self, waker: &Waker) {
        self.sender = Some(waker.clone());
    }

    /// Hands a message of the keeper to the connection it is for.
    pub(crate) fn dispatch(&mut self, message: ToFront, fd: Option<OwnedFd>) {
        match message {
            ToFront::Welcome(..) | ToFront::Connection(..) => {
                tracing::error!("a keeper's message at the wrong time");
            }
            ToFront::Attached(request, job, new, snapshot) => {
                self.attached(request, job.into(), new, *snapshot, fd);
                self.looked(request);
            }
            ToFront::Refused(request, code, text) => {
                self.looked(request);
                if let Some(it) = self.requests.remove(&request) {
                    self.put(it.capability, Notice::Refused(it.channel, code, text));
                }
            }
            ToFront::Answer(request, reply) => {
                if let Some(it) = self.requests.remove(&request) {
                    self.put(it.capability, Notice::Answer(it.channel, *reply));
                }
            }
            ToFront::Echo(number) => self.tell(&ToKeeper::Echo(number)),
            ToFront::Output(job, chunks, pieces) => self.output(job.into(), chunks, pieces),
            ToFront::Spooled(job, state) => {
                self.route(job.into(), |channel| Notice::Spooled(channel, state));
            }
            ToFront::Kept(job, state) => self.kept(job.into(), state, fd),
            ToFront::OutputEnd(job, stream, _) => {
                self.route(job.into(), |channel| Notice::OutputEnd(channel, stream));
            }
            ToFront::StdinChunk(job, chunk) => {
                self.route(job.into(), |channel| Notice::StdinChunk(channel, chunk));
            }
            ToFront::StdinTaken(job, offset) => {
                self.route(job.into(), |channel| Notice::StdinTaken(channel, offset));
            }
            ToFront::StdinClosed(job) => self.route(job.into(), Notice::StdinClosed),
            ToFront::Applied(job, number) => {
                self.route(job.into(), |channel| Notice::Applied(channel, number));
            }
            ToFront::Exited(job, exit) => {
                self.route(job.into(), |channel| Notice::Exited(channel, exit));
            }
            ToFront::Ended(job, outcome) => {
                self.route(job.into(), |channel| {
                    Notice::Ended(channel, outcome.clone())
                });
            }
            ToFront::HolderLost(capability, job) => {
                self.holder_lost(Some(capability), job.into());
            }
            ToFront::Verdict(capability, verdict) => {
                self.put(capability, Notice::Verdict(verdict));
            }
            ToFront::Dismissed(who, Dismissal::Stranger) => self.abort(who),
            ToFront::Dismissed(who, why) => self.put(who, Notice::Dismissed(why)),
            ToFront::ShuttingDown => {
                self.shutting_down = true;
                for mailbox in self.mailboxes.values() {
                    mailbox.borrow_mut().put(Notice::ShuttingDown);
                }
            }
        }
    }

    fn route(&mut self, job: JobId, notice: impl Fn(ChannelId) -> Notice) {
        for reader in self.readers.get(&job).into_iter().flatten() {
            if let Some(mailbox) = self.mailboxes.get(&reader.capability) {
                mailbox.borrow_mut().put(notice(reader.channel));
            }
        }
    }

    /// What a session has asked for elsewhere has come.
    pub(crate) fn deliver(&mut self, capability: Capability, notice: Notice) {
        self.put(capability, notice);
    }

    fn put(&mut self, capability: Capability, notice: Notice) {
        if let Some(mailbox) = self.mailboxes.get(&capability) {
            mailbox.borrow_mut().put(notice);
        }
    }
}
