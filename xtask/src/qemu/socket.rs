//! A socket of QEMU's that is waited for, but not for ever.
//!
//! Every conversation is a question and its answer, so time is limited per answer: [`Socket::expect_within`] starts the
//! clock, and reads fail once it has run out, however many pieces the answer comes in.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

/// A connection whose reads have a deadline.
#[derive(Debug)]
pub(super) struct Socket {
    stream: UnixStream,
    deadline: Instant,
}

impl Socket {
    /// Connects to a socket that exists.
    pub(super) fn connect(path: &Path) -> io::Result<Self> {
        Ok(Self::from(UnixStream::connect(path)?))
    }

    /// From now on, an answer must have come whole by then.
    pub(super) fn expect_within(&mut self, patience: Duration) {
        self.deadline = Instant::now() + patience;
    }
}

impl From<UnixStream> for Socket {
    fn from(stream: UnixStream) -> Self {
        Self { stream, deadline: Instant::now() }
    }
}

impl Read for Socket {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        let late = || io::Error::new(io::ErrorKind::TimedOut, "no answer in time");
        if left.is_zero() {
            return Err(late());
        }
        self.stream.set_read_timeout(Some(left))?;
        self.stream.read(into).map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock => late(),
            _ => error,
        })
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_trickles_in_is_late_all_the_same() {
        let (ours, mut theirs) = UnixStream::pair().expect("a pair");
        let mut socket = Socket::from(ours);
        socket.expect_within(Duration::from_millis(100));
        let trickle = std::thread::spawn(move || {
            while theirs.write_all(b"x").is_ok() {
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        let error = io::read_to_string(&mut socket).expect_err("never ends");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        drop(socket);
        trickle.join().expect("ends with the socket");
    }

    #[test]
    fn silence_is_late_and_an_end_is_an_end() {
        let (ours, theirs) = UnixStream::pair().expect("a pair");
        let mut socket = Socket::from(ours);
        socket.expect_within(Duration::from_millis(20));
        assert_eq!(socket.read(&mut [0]).expect_err("silence").kind(), io::ErrorKind::TimedOut);
        drop(theirs);
        socket.expect_within(Duration::from_secs(5));
        assert_eq!(socket.read(&mut [0]).expect("an end"), 0);
    }
}
