//! What a command writes, bounded: the beginning, the end, and how much is missing between.

use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio::task::JoinHandle;

/// Output of a command. Bytes that are not UTF-8 are shown as U+FFFD.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Captured {
    /// The text, or its beginning and its end with a line between that says what is missing.
    pub text: String,
    /// How many bytes are missing; 0: nothing.
    pub omitted_bytes: u64,
}

struct Buffer {
    half: usize,
    head: Vec<u8>,
    tail: VecDeque<u8>,
    omitted: u64,
}

impl Buffer {
    fn new(limit: usize) -> Self {
        Self { half: limit / 2, head: Vec::new(), tail: VecDeque::new(), omitted: 0 }
    }

    fn push(&mut self, bytes: &[u8]) {
        let (head, rest) = bytes.split_at(bytes.len().min(self.half - self.head.len()));
        self.head.extend_from_slice(head);
        self.tail.extend(rest);
        let excess = self.tail.len().saturating_sub(self.half);
        self.tail.drain(..excess);
        self.omitted += excess as u64;
    }

    fn captured(&self) -> Captured {
        let (front, back) = self.tail.as_slices();
        let tail = [front, back].concat();
        let text = if self.omitted == 0 {
            // In one piece: a character may lie across the middle.
            String::from_utf8_lossy(&[&self.head[..], &tail].concat()).into_owned()
        } else {
            let (head, tail) = (String::from_utf8_lossy(&self.head), String::from_utf8_lossy(&tail));
            format!("{head}\n[{} bytes left out]\n{tail}", self.omitted)
        };
        Captured { text, omitted_bytes: self.omitted }
    }
}

/// Reads a pipe to its end, without ever making the writer wait.
pub(super) struct Capture {
    buffer: Arc<Mutex<Buffer>>,
    reading: JoinHandle<()>,
}

impl Capture {
    pub(super) fn start(fd: OwnedFd, limit: usize) -> std::io::Result<Self> {
        let mut pipe = pipe::Receiver::from_owned_fd(fd)?;
        let buffer = Arc::new(Mutex::new(Buffer::new(limit)));
        let into = Arc::clone(&buffer);
        let reading = tokio::spawn(async move {
            let mut chunk = vec![0; 16 * 1024];
            while let Ok(read @ 1..) = pipe.read(&mut chunk).await {
                into.lock().unwrap_or_else(PoisonError::into_inner).push(&chunk[..read]);
            }
        });
        Ok(Self { buffer, reading })
    }

    /// What was read. All writers are dead by now; the wait is only for a pipe that was
    /// handed to a stranger.
    pub(super) async fn finish(mut self) -> Captured {
        if tokio::time::timeout(Duration::from_secs(1), &mut self.reading).await.is_err() {
            self.reading.abort();
        }
        self.buffer.lock().unwrap_or_else(PoisonError::into_inner).captured()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn captured(limit: usize, chunks: &[&[u8]]) -> (String, u64) {
        let mut buffer = Buffer::new(limit);
        chunks.iter().for_each(|chunk| buffer.push(chunk));
        let captured = buffer.captured();
        (captured.text, captured.omitted_bytes)
    }

    #[test]
    fn the_beginning_and_the_end_are_kept() {
        assert_eq!(captured(8, &[b"abcd", b"efgh"]), ("abcdefgh".to_owned(), 0));
        assert_eq!(captured(8, &[b"abcdefghi"]), ("abcd\n[1 bytes left out]\nfghi".to_owned(), 1));
        let many = captured(4, &[b"ab", b"x", b"yyyyyyyy", b"z"]);
        assert_eq!(many, ("ab\n[8 bytes left out]\nyz".to_owned(), 8));
        assert_eq!(captured(0, &[b"abc"]), ("\n[3 bytes left out]\n".to_owned(), 3));
    }

    #[test]
    fn a_character_across_the_middle_stays_whole_and_others_are_replaced() {
        assert_eq!(captured(4, &["aä".as_bytes()]).0, "aä");
        assert_eq!(captured(9, &[b"a\xff\xfeb"]).0, "a\u{fffd}\u{fffd}b");
    }
}
