//! Standard output: buffered, streamed, coloured only for a person.

use std::fmt;
use std::io::{self, BufWriter, IsTerminal, StdoutLock, Write};

use anstyle::{AnsiColor, Style};
use pt_core::Permissions;

/// What is being said, where colour can help.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Tone {
    Plain,
    Heading,
    Fault,
    /// Pages that can be written and executed.
    Danger,
    Muted,
}

/// Where a command prints.
pub(crate) struct Output {
    writer: BufWriter<StdoutLock<'static>>,
    coloured: bool,
}

impl Output {
    pub(crate) fn stdout() -> Self {
        let stdout = io::stdout();
        let asked_not_to = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let coloured = stdout.is_terminal() && !asked_not_to;
        Self { writer: BufWriter::with_capacity(1 << 16, stdout.lock()), coloured }
    }

    /// A value that prints in the colour of its tone.
    pub(crate) fn tone<T: fmt::Display>(&self, tone: Tone, value: T) -> Toned<T> {
        let style = match tone {
            _ if !self.coloured => Style::new(),
            Tone::Plain => Style::new(),
            Tone::Heading => Style::new().bold(),
            Tone::Fault => AnsiColor::Red.on_default(),
            Tone::Danger => AnsiColor::Red.on_default().bold(),
            Tone::Muted => Style::new().dimmed(),
        };
        Toned { style, value }
    }

    /// The tone of what has these rights.
    pub(crate) fn tone_of<R: Permissions>(rights: R) -> Tone {
        if rights.writable() && rights.executable() { Tone::Danger } else { Tone::Plain }
    }

    /// Whether tones show.
    pub(crate) fn is_coloured(&self) -> bool {
        self.coloured
    }

    /// Writes what is still buffered.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.writer.write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

/// A value in a colour.
#[derive(Debug)]
pub(crate) struct Toned<T> {
    style: Style,
    value: T,
}

impl<T: fmt::Display> fmt::Display for Toned<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}{:#}", self.style, self.value, self.style)
    }
}

/// Whether an error is that nobody reads our output any more.
pub(crate) fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let mut causes = error.chain().filter_map(|cause| cause.downcast_ref::<io::Error>());
    causes.any(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
