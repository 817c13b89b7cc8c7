//! Where the tests of commands read what was written.

use std::io::Write;
use std::sync::{Arc, Mutex};

use super::output::{Format, Output, Stream};

/// What was written.
#[derive(Clone, Default)]
pub(super) struct Paper(Arc<Mutex<Vec<u8>>>);

impl Paper {
    pub(super) fn stream(&self) -> Stream {
        Stream::plain(self.clone())
    }

    /// An output whose answers are kept and whose messages are not.
    pub(super) fn output(&self, format: Format) -> Output {
        Output { out: self.stream(), err: Stream::plain(std::io::sink()), format }
    }

    pub(super) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Paper {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
