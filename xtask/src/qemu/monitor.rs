//! QEMU's monitor: QMP, one JSON object per line, and through it the commands meant for people.
//!
//! QEMU greets first, and takes commands once it was told that nothing beyond the basics is wanted. Events come between
//! answers at any time.

use std::io::{BufRead, BufReader, Write};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use super::socket::Socket;

/// What a command may take: `info tlb` of a space with millions of pages takes seconds.
const PATIENCE: Duration = Duration::from_secs(120);

/// A connection to the monitor.
#[derive(Debug)]
pub(crate) struct Monitor {
    lines: BufReader<Socket>,
}

impl Monitor {
    /// Exchanges greetings.
    pub(super) fn greeted(mut socket: Socket) -> Result<Self> {
        socket.expect_within(PATIENCE);
        let mut monitor = Self { lines: BufReader::new(socket) };
        let greeting = monitor.line()?;
        if greeting.get("QMP").is_none() {
            bail!("the monitor greets with {greeting}");
        }
        monitor.execute("qmp_capabilities", &json!({}))?;
        Ok(monitor)
    }

    /// Runs a command of QMP and gives what it returns.
    pub(crate) fn execute(&mut self, command: &str, arguments: &Value) -> Result<Value> {
        let mut line = json!({ "execute": command, "arguments": arguments }).to_string();
        line.push('\n');
        let socket = self.lines.get_mut();
        socket.write_all(line.as_bytes()).with_context(|| format!("`{command}` to the monitor"))?;
        socket.expect_within(PATIENCE);
        loop {
            let line = self.line().with_context(|| format!("the monitor's answer to `{command}`"))?;
            if let Some(answer) = answer(line)? {
                return Ok(answer);
            }
        }
    }

    /// Runs a command that is meant for people and gives what it prints, lines ended as everywhere.
    pub(crate) fn human(&mut self, line: &str) -> Result<String> {
        let printed = self.execute("human-monitor-command", &json!({ "command-line": line }))?;
        let printed = printed.as_str().with_context(|| format!("`{line}` printed no text: {printed}"))?;
        Ok(printed.replace("\r\n", "\n"))
    }

    fn line(&mut self) -> Result<Value> {
        let mut line = String::new();
        if self.lines.read_line(&mut line)? == 0 {
            bail!("QEMU has closed the connection");
        }
        serde_json::from_str(&line).with_context(|| format!("not JSON: {line:?}"))
    }
}

/// What a command returned, its failure as an error, or none if the line is an event.
fn answer(mut line: Value) -> Result<Option<Value>> {
    if let Some(error) = line.get("error") {
        bail!("QEMU: {}", error["desc"].as_str().unwrap_or("an error without a description"));
    }
    if let Some(value) = line.get_mut("return") {
        return Ok(Some(value.take()));
    }
    ensure!(line.get("event").is_some(), "neither an answer nor an event: {line}");
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixStream;

    const GREETING: &str = "{\"QMP\": {\"version\": {}, \"capabilities\": [\"oob\"]}}\r\n";
    const DONE: &str = "{\"return\": {}}\r\n";

    /// A monitor that has been sent all that QEMU will ever say.
    fn told(lines: &[&str]) -> (Result<Monitor>, UnixStream) {
        let (ours, mut theirs) = UnixStream::pair().expect("a pair");
        theirs.write_all(lines.concat().as_bytes()).expect("room for a few lines");
        theirs.shutdown(std::net::Shutdown::Write).expect("an end");
        (Monitor::greeted(Socket::from(ours)), theirs)
    }

    #[test]
    fn commands_are_asked_and_answered() {
        let event = "{\"timestamp\": {}, \"event\": \"STOP\"}\r\n";
        let (monitor, theirs) = told(&[GREETING, DONE, event, "{\"return\": \"a\\r\\nb\\r\\n\"}\r\n"]);
        let mut monitor = monitor.expect("a greeting");
        assert_eq!(monitor.human("info tlb").expect("two lines"), "a\nb\n");
        drop(monitor);
        let asked: Vec<Value> = BufReader::new(theirs)
            .lines()
            .map(|line| serde_json::from_str(&line.expect("a line")).expect("JSON"))
            .collect();
        assert_eq!(
            asked,
            [
                json!({ "execute": "qmp_capabilities", "arguments": {} }),
                json!({ "execute": "human-monitor-command", "arguments": { "command-line": "info tlb" } }),
            ]
        );
    }

    #[test]
    fn what_goes_wrong_is_said() {
        let refused = "{\"error\": {\"class\": \"GenericError\", \"desc\": \"no such thing\"}}\r\n";
        for (lines, said) in [
            (&["{\"QMQ\": {}}\n", DONE][..], "greets with"),
            (&[], "closed"),
            (&[GREETING, DONE], "closed"),
            (&[GREETING, DONE, "{\"return\": 7}\n"], "no text"),
            (&[GREETING, DONE, "{\"retu"], "not JSON"),
            (&[GREETING, DONE, "{}\n"], "neither"),
            (&[GREETING, DONE, refused], "no such thing"),
        ] {
            let (monitor, _theirs) = told(lines);
            let error = monitor.and_then(|mut monitor| monitor.human("info tlb")).expect_err(said);
            assert!(format!("{error:#}").contains(said), "{error:#}");
        }
    }
}
