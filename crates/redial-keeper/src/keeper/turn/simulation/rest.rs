//! What is not in use, and in which order events are taken.

use crate::keeper::poll::Token;

/// What is not in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rest {
    /// Chunks of the output pool, all of them.
    pub output: usize,
    /// Those that are free.
    pub output_free: usize,
    /// The same of the stdin pool.
    pub stdin: usize,
    /// And free.
    pub stdin_free: usize,
    /// Jobs that start, run or wait to be read.
    pub jobs: usize,
}

/// For an order that is always the same.
pub(super) fn place(token: Token) -> (u8, u64) {
    match token {
        Token::Shutdown => (0, 0),
        Token::Timer => (1, 0),
        Token::Children => (2, 0),
        Token::Workers => (3, 0),
        Token::Front => (4, 0),
        Token::FrontProcess => (5, 0),
        Token::Listener(number) => (6, number),
        Token::Caller(number) => (7, number),
        Token::Exit(serial) => (8, serial),
        Token::Stdin(serial) => (9, serial),
        Token::Stdout(serial) => (10, serial),
        Token::Stderr(serial) => (11, serial),
        Token::Hangup => (12, 0),
    }
}
