//! Commands as a person types them, and what they see.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use clap::Parser;
use standfast::cli::exit::{Exit, Failure};
use standfast::cli::output::{Output, Stream};
use standfast::cli::{self, Cli};

#[derive(Clone, Default)]
struct Buffer(Arc<Mutex<Vec<u8>>>);

impl Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no panic").write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Buffer {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().expect("no panic").clone()).expect("UTF-8")
    }
}

/// What came of a command.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) result: Result<Exit, Failure>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Seen {
    pub(crate) fn exit(&self) -> Exit {
        self.result.as_ref().map_or_else(|failure| failure.exit, |exit| *exit)
    }

    pub(crate) fn failure(&self) -> &Failure {
        self.result.as_ref().expect_err("a failure")
    }
}

/// Types a command, words separated by spaces, to members.
pub(crate) async fn standfast(members: &[SocketAddr], words: &str) -> Seen {
    let out = Buffer::default();
    type_to(members, words, Stream::plain(out.clone()), out).await
}

/// The same, words as they are.
pub(crate) async fn standfast_words(members: &[SocketAddr], words: &[&str]) -> Seen {
    let out = Buffer::default();
    type_words(members, words.iter().copied(), Stream::plain(out.clone()), out).await
}

/// The same at a terminal.
pub(crate) async fn at_terminal(members: &[SocketAddr], words: &str, columns: u16, rows: u16) -> Seen {
    let out = Buffer::default();
    type_to(members, words, Stream::terminal(out.clone(), columns, rows), out).await
}

async fn type_to(members: &[SocketAddr], words: &str, stream: Stream, out: Buffer) -> Seen {
    type_words(members, words.split(' '), stream, out).await
}

async fn type_words<'a>(
    members: &[SocketAddr],
    words: impl Iterator<Item = &'a str>,
    stream: Stream,
    out: Buffer,
) -> Seen {
    let servers = members.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    let servers = format!("--server={servers}");
    let line = ["standfast".to_owned(), servers].into_iter().chain(words.map(str::to_owned));
    let cli = Cli::try_parse_from(line).expect("arguments");
    let err = Buffer::default();
    let mut output = Output::new(stream, Stream::plain(err.clone()));
    let result = cli::run(cli, &mut output).await;
    Seen { result, out: out.text(), err: err.text() }
}
