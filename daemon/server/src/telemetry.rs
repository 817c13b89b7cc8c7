//! Logs: text for people or JSON for machines, always on stderr (stdout is for data).

use std::io::IsTerminal;

use tracing::Subscriber;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry};

use crate::settings::{Log, LogFormat};

/// Why logs could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// `log.level` is no filter.
    #[error(
        "`log.level = \"{level}\"` is no log filter ({source}): write error, warn, info, debug or \
         trace, or per part, as in \"info,standfast::store=debug\""
    )]
    Level {
        /// What the settings say.
        level: String,
        /// What is wrong with it.
        source: tracing_subscriber::filter::ParseError,
    },
    /// `log.level` has a word that is no level.
    #[error(
        "`log.level = \"{level}\"`: \"{word}\" is no level: write error, warn, info, debug or trace, or per \
         part, as in \"info,standfast::store=debug\""
    )]
    Word {
        /// What the settings say.
        level: String,
        /// The word.
        word: String,
    },
    /// A logger stands already in this process.
    #[error("logs are set up already in this process: {0}")]
    Installed(#[from] tracing_subscriber::util::TryInitError),
}

/// Sets up the process's logs. Once per process: a second call is an error.
pub fn install(log: &Log) -> Result<(), TelemetryError> {
    subscriber(log, std::io::stderr, colours())?.try_init()?;
    Ok(())
}

/// Whether stderr shows colours: a terminal that can, and nobody who asked for none.
/// See <https://no-color.org>: any value of NO_COLOR but the empty one counts.
fn colours() -> bool {
    let refused = std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty());
    let dumb = std::env::var_os("TERM").is_some_and(|v| v == "dumb");
    !refused && !dumb && std::io::stderr().is_terminal()
}

fn subscriber<W>(
    log: &Log,
    writer: W,
    colours: bool,
) -> Result<impl Subscriber + Send + Sync + use<W>, TelemetryError>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let filter = filter(&log.level)?;
    let layer = tracing_subscriber::fmt::layer().with_writer(writer).with_ansi(colours);
    let layer: Box<dyn Layer<Registry> + Send + Sync> = match log.format {
        LogFormat::Text => layer.with_target(false).boxed(),
        // Fields at the top level: `jq .run` rather than `jq .fields.run`.
        LogFormat::Json => layer.json().flatten_event(true).with_ansi(false).boxed(),
    };
    Ok(tracing_subscriber::registry().with(layer.with_filter(filter)))
}

/// Parses `log.level`; used by the settings' check as well, so that a wrong level is
/// reported with its key and file.
pub fn filter(level: &str) -> Result<EnvFilter, TelemetryError> {
    // The filter itself would take any word for the name of a part, and log nothing else.
    let parts = level.split(',').map(str::trim);
    let mut words = parts.filter(|part| !part.contains(['=', '[']));
    if let Some(word) = words.find(|word| word.is_empty() || word.parse::<LevelFilter>().is_err()) {
        return Err(TelemetryError::Word { level: level.to_owned(), word: word.to_owned() });
    }
    EnvFilter::try_new(level).map_err(|source| TelemetryError::Level { level: level.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Buffer(Arc<Mutex<Vec<u8>>>);

    impl Write for Buffer {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn logged(format: LogFormat, level: &str, colours: bool) -> String {
        let buffer = Buffer::default();
        let writer = buffer.clone();
        let log = Log { format, level: level.to_owned() };
        let subscriber = subscriber(&log, move || writer.clone(), colours).unwrap();
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(site = "a", "seen");
            tracing::debug!("unseen");
        });
        let bytes = buffer.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn json_is_one_flat_object_a_line() {
        let text = logged(LogFormat::Json, "info", true);
        let line: serde_json::Value = serde_json::from_str(text.trim_end()).unwrap();
        assert_eq!(line["message"], "seen");
        assert_eq!(line["site"], "a");
        assert_eq!(line["level"], "INFO");
    }

    #[test]
    fn text_follows_the_level_and_has_colours_only_on_demand() {
        let plain = logged(LogFormat::Text, "info", false);
        assert!(plain.contains("seen") && plain.contains("site=\"a\""), "{plain}");
        assert!(!plain.contains("unseen") && !plain.contains('\x1b'), "{plain}");
        assert!(logged(LogFormat::Text, "info", true).contains('\x1b'));
        assert!(logged(LogFormat::Text, "debug", false).contains("unseen"));
        assert_eq!(logged(LogFormat::Text, "error", false), "");
    }

    #[test]
    fn a_wrong_level_is_an_error_with_the_key() {
        for nonsense in ["blah", "", "info,", "info,h2", "Info,standfast"] {
            let error = filter(nonsense).unwrap_err().to_string();
            assert!(error.contains("is no level: write error"), "{nonsense:?}: {error}");
        }
        let error = filter("info,=").unwrap_err().to_string();
        assert!(error.contains("`log.level = \"info,=\"`"), "{error}");
        assert!(filter("info,standfast::store=debug").is_ok());
    }
}
