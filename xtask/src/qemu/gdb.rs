//! QEMU's gdbstub: registers and memory of the first CPU, over gdb's remote protocol.
//!
//! ```text
//! $p1b#03                   a packet: a body, and the sum of its bytes in two digits
//! +$1100018000000000#0b     received; the answer, in hexadecimal digits, little-endian
//! +                         received
//! ```
//!
//! Registers are known by name: QEMU describes its own numbering, and answers questions about registers only after
//! it was asked for that description.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use super::description;
use super::socket::Socket;

/// Nothing that is asked here takes long.
const PATIENCE: Duration = Duration::from_secs(30);

/// How much of a description is asked for at once: less than the longest packet.
const PIECE: usize = 0x400;

/// How many bytes are written at once: in digits and with what comes before them, less than the longest packet of 4096.
const WRITTEN: usize = 0x7e0;

const DIGITS: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];

/// A connection to the stub. The machine is stopped when it begins.
#[derive(Debug)]
pub(crate) struct Gdb {
    socket: BufReader<Socket>,
    registers: BTreeMap<String, usize>,
}

impl Gdb {
    /// Asks for the machine's description.
    pub(super) fn attached(socket: Socket) -> Result<Self> {
        let mut gdb = Self { socket: BufReader::new(socket), registers: BTreeMap::new() };
        gdb.registers = description::registers("target.xml", &mut |name| gdb.described(name))?;
        Ok(gdb)
    }

    /// The value of a register of at most 64 bits.
    pub(crate) fn register(&mut self, name: &str) -> Result<u64> {
        let number = self.number(name)?;
        let bytes = self.ask_bytes(&format!("p{number:x}")).with_context(|| format!("register {name}"))?;
        let mut value = [0; 8];
        let place = value.get_mut(..bytes.len());
        place.with_context(|| format!("register {name} has {} bytes", bytes.len()))?.copy_from_slice(&bytes);
        Ok(u64::from_le_bytes(value))
    }

    /// Sets a register. QEMU takes 32 bits of a control register, and of EFER, unless CS is a 64-bit code segment.
    pub(crate) fn set_register(&mut self, name: &str, value: u64) -> Result<()> {
        let number = self.number(name)?;
        self.order(&format!("P{number:x}={}", hexadecimal(&value.to_le_bytes())))
            .with_context(|| format!("register {name} = {value:#x}"))
    }

    /// Reads memory where the CPU would: virtual addresses once paging is on.
    pub(crate) fn read<const N: usize>(&mut self, address: u64) -> Result<[u8; N]> {
        let bytes = self.ask_bytes(&format!("m{address:x},{N:x}"));
        let bytes = bytes.with_context(|| format!("memory at {address:#x}"))?;
        bytes.try_into().ok().with_context(|| format!("memory at {address:#x}: not {N} bytes"))
    }

    /// Writes memory where the CPU would.
    pub(crate) fn write(&mut self, address: u64, bytes: &[u8]) -> Result<()> {
        for (address, bytes) in (address..).step_by(WRITTEN).zip(bytes.chunks(WRITTEN)) {
            self.order(&format!("M{address:x},{:x}:{}", bytes.len(), hexadecimal(bytes)))
                .with_context(|| format!("memory at {address:#x}"))?;
        }
        Ok(())
    }

    /// Writes memory by physical addresses, whatever the CPU would do.
    pub(crate) fn write_physical(&mut self, address: u64, bytes: &[u8]) -> Result<()> {
        self.order("Qqemu.PhyMemMode:1")?;
        self.write(address, bytes)?;
        self.order("Qqemu.PhyMemMode:0")
    }

    /// Lets the machine run until the CPU is about to execute what is at `address` in memory as the CPU sees it.
    pub(crate) fn run_to(&mut self, address: u64) -> Result<()> {
        // Off that instruction first, if this is where the CPU is.
        self.run("s")?;
        self.order(&format!("Z0,{address:x},1"))?;
        self.run("c").with_context(|| format!("the CPU does not come to {address:#x}"))?;
        self.order(&format!("z0,{address:x},1"))
    }

    /// Lets the machine run until it stops by itself.
    fn run(&mut self, how: &str) -> Result<()> {
        self.send(how)?;
        let answer = self.answer()?;
        ensure!(answer.starts_with(b"T05"), "QEMU answers {:?}", String::from_utf8_lossy(&answer));
        Ok(())
    }

    fn number(&self, name: &str) -> Result<usize> {
        self.registers.get(name).copied().with_context(|| format!("QEMU describes no register {name}"))
    }

    /// A file of the machine's description, piece by piece.
    fn described(&mut self, name: &str) -> Result<String> {
        let mut whole = Vec::new();
        loop {
            let at = whole.len();
            let piece = self.ask(&format!("qXfer:features:read:{name}:{at:x},{PIECE:x}"))?;
            let Some((&kind, text)) = piece.split_first() else { bail!("QEMU does not describe {name}") };
            whole.extend_from_slice(text);
            match kind {
                b'm' => ensure!(!text.is_empty(), "the description of {name} does not go on"),
                b'l' => return String::from_utf8(whole).with_context(|| format!("{name} is no text")),
                _ => bail!("QEMU does not describe {name}"),
            }
        }
    }

    /// Something to be done: the answer is `OK`.
    fn order(&mut self, body: &str) -> Result<()> {
        let answer = self.ask(body)?;
        ensure!(answer == b"OK", "QEMU answers {:?}", String::from_utf8_lossy(&answer));
        Ok(())
    }

    /// A question whose answer is bytes.
    fn ask_bytes(&mut self, body: &str) -> Result<Vec<u8>> {
        let answer = self.ask(body)?;
        bytes(&answer).with_context(|| format!("QEMU answers {:?}", String::from_utf8_lossy(&answer)))
    }

    fn ask(&mut self, body: &str) -> Result<Vec<u8>> {
        self.send(body)?;
        loop {
            let answer = self.answer()?;
            // That the machine has stopped is said at any time, and is no answer.
            if !answer.starts_with(b"T") && !answer.starts_with(b"S") {
                return Ok(answer);
            }
        }
    }

    fn send(&mut self, body: &str) -> Result<()> {
        let socket = self.socket.get_mut();
        socket.write_all(&packet(body)).context("a packet to the gdbstub")?;
        socket.expect_within(PATIENCE);
        Ok(())
    }

    fn answer(&mut self) -> Result<Vec<u8>> {
        let answer = receive(&mut self.socket).context("the gdbstub's answer")?;
        self.socket.get_mut().write_all(b"+")?;
        Ok(answer)
    }
}

fn sum(body: &[u8]) -> u8 {
    body.iter().fold(0, |sum, &byte| byte.wrapping_add(sum))
}

fn hexadecimal(bytes: &[u8]) -> String {
    // Megabytes come this way, in a build that is not optimised.
    let mut digits = String::with_capacity(2 * bytes.len());
    for &byte in bytes {
        digits.push(DIGITS[usize::from(byte >> 4)]);
        digits.push(DIGITS[usize::from(byte & 15)]);
    }
    digits
}

/// Bytes from pairs of digits; none if it is anything else.
fn bytes(digits: &[u8]) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
    let pair = |pair: &[u8]| match *pair {
        [high, low] => Some(digit(high)? << 4 | digit(low)?),
        _ => None,
    };
    digits.chunks(2).map(pair).collect()
}

fn packet(body: &str) -> Vec<u8> {
    format!("${body}#{:02x}", sum(body.as_bytes())).into_bytes()
}

/// The body of the next packet. What comes before it are acknowledgements.
fn receive(from: &mut impl BufRead) -> Result<Vec<u8>> {
    let mut before = Vec::new();
    from.read_until(b'$', &mut before)?;
    ensure!(before.pop() == Some(b'$'), "QEMU has closed the connection");
    ensure!(before.iter().all(|&byte| byte == b'+'), "packets are refused: {before:x?}");
    let mut body = Vec::new();
    from.read_until(b'#', &mut body)?;
    ensure!(body.pop() == Some(b'#'), "a packet without an end");
    let mut digits = [0; 2];
    from.read_exact(&mut digits).context("a packet without its sum")?;
    let said = bytes(&digits).context("a packet's sum is no number")?;
    ensure!(said == [sum(&body)], "a packet's sum is {:#04x}, not {:#04x}", said[0], sum(&body));
    // The bytes that packets are made of come as `}` and themselves with bit 5 flipped. Runs are not folded by QEMU.
    let (mut plain, mut rest) = (Vec::with_capacity(body.len()), body.into_iter());
    while let Some(byte) = rest.next() {
        match byte {
            b'}' => plain.push(rest.next().context("a packet ends within an escape")? ^ 0x20),
            b'*' => bail!("a packet with a folded run"),
            _ => plain.push(byte),
        }
    }
    Ok(plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::os::unix::net::UnixStream;

    fn received(bytes: &[u8]) -> Result<Vec<u8>> {
        receive(&mut &bytes[..])
    }

    #[test]
    fn packets_have_sums() {
        assert_eq!(packet("p1b"), b"$p1b#03");
        assert_eq!(packet("OK"), b"$OK#9a");
        assert_eq!(received(b"+$OK#9a").expect("a packet"), b"OK");
        assert_eq!(received(b"$#00").expect("an empty packet"), b"");
        assert_eq!(received(b"$a}\x03b#43").expect("an escape"), b"a#b");
    }

    #[test]
    fn broken_packets_are_refused() {
        for (broken, said) in [
            (&b""[..], "closed"),
            (b"+++", "closed"),
            (b"-$OK#9a", "refused"),
            (b"$OK", "without an end"),
            (b"$OK#9", "without its sum"),
            (b"$OK#9b", "0x9a"),
            (b"$OK#xy", "no number"),
            (b"$a}#de", "within an escape"),
            (b"$0* #7a", "folded"),
        ] {
            let error = received(broken).expect_err(said);
            assert!(format!("{error:#}").contains(said), "{error:#}");
        }
    }

    #[test]
    fn bytes_are_pairs_of_digits() {
        assert_eq!(bytes(b"00fF7a"), Some(vec![0, 0xff, 0x7a]));
        assert_eq!(bytes(&hexadecimal(&[1, 0xab]).into_bytes()), Some(vec![1, 0xab]));
        assert_eq!((bytes(b"123"), bytes(b"0x"), bytes(b"E01")), (None, None, None));
    }

    #[test]
    fn registers_are_read_and_written_by_number() {
        let (ours, mut theirs) = UnixStream::pair().expect("a pair");
        let registers = BTreeMap::from([("cr3".to_owned(), 29)]);
        let mut gdb = Gdb { socket: BufReader::new(Socket::from(ours)), registers };
        for answer in ["T05thread:01;", "00f0010000000000", "OK", "E22", "00112233445566778899"] {
            theirs.write_all(&[b"+".to_vec(), packet(answer)].concat()).expect("room");
        }
        assert_eq!(gdb.register("cr3").expect("a value"), 0x1f000);
        gdb.set_register("cr3", 0x2_0000_0000).expect("done");
        assert!(gdb.set_register("cr3", 0).is_err());
        assert!(gdb.register("cr3").is_err(), "more than 64 bits");
        assert!(gdb.register("cr9").is_err(), "not described");
        drop(gdb);
        let mut asked = String::new();
        theirs.read_to_string(&mut asked).expect("text");
        let expected = [
            "$p1d#05",
            "++",
            "$P1d=0000000002000000#24",
            "+",
            "$P1d=0000000000000000#22",
            "+",
            "$p1d#05",
            "+",
        ];
        assert_eq!(asked, expected.concat());
    }

    #[test]
    fn a_run_ends_where_it_has_to() {
        let (ours, mut theirs) = UnixStream::pair().expect("a pair");
        let mut gdb = Gdb { socket: BufReader::new(Socket::from(ours)), registers: BTreeMap::new() };
        for answer in ["T05thread:01;", "OK", "T05thread:01;", "OK", "W03"] {
            theirs.write_all(&[b"+".to_vec(), packet(answer)].concat()).expect("room");
        }
        gdb.run_to(0x1000).expect("it comes there");
        let error = gdb.run_to(0x1000).expect_err("it exits");
        assert!(format!("{error:#}").contains("W03"), "{error:#}");
        drop(gdb);
        let mut asked = String::new();
        theirs.read_to_string(&mut asked).expect("text");
        let orders = ["s", "Z0,1000,1", "c", "z0,1000,1", "s"];
        assert_eq!(asked, orders.map(|order| String::from_utf8(packet(order)).expect("text") + "+").concat());
    }
}
