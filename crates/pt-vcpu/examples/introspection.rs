//! An introspection loop: a kernel's version and its list of tasks, read from outside while the guest goes on.
//!
//! Nothing that the guest wrote is trusted: strings have a limit, and so has the list.
//!
//! Run it with `cargo run -p pt-vcpu --example introspection`.

#![forbid(unsafe_code)]

use pt_vcpu::{AccessError, Machine, Memory, Registers, Vcpu, View};

/// What a symbol table would say.
const BANNER: u64 = 0xc000_3000;
const FIRST_TASK: u64 = 0xc000_3040;

/// In the guest: a pointer to the next one, a counter, and a name of up to 8 bytes, zero included.
#[derive(Debug, PartialEq, Eq)]
struct Task {
    name: String,
    switches: u32,
}

/// The tasks, at most `limit` of them, and what ended the list before its end.
fn tasks<M: Memory>(view: &View<M>, limit: usize) -> (Vec<Task>, Option<AccessError>) {
    let mut tasks = Vec::new();
    let mut pointer = view.read_integer::<u32>(FIRST_TASK);
    while tasks.len() < limit {
        let task = match pointer {
            Ok(0) => break,
            Ok(at) => task(view, u64::from(at)),
            Err(error) => return (tasks, Some(error)),
        };
        pointer = task.map(|(task, next)| {
            tasks.push(task);
            next
        });
    }
    (tasks, None)
}

/// One task, and the pointer to the next.
fn task<M: Memory>(view: &View<M>, at: u64) -> Result<(Task, u32), AccessError> {
    let mut fields = [0; 2];
    view.read_integers(at, &mut fields)?;
    let [next, switches] = fields;
    let mut name = [0; 8];
    let name = view.read_c_string(at + 8, &mut name)?.to_string_lossy().into_owned();
    Ok((Task { name, switches }, next))
}

/// A guest in PAE paging, its root 32-byte aligned: 2 MiB at `0xc000_0000` lead to physical 0.
fn guest() -> (Vcpu, Vec<u8>) {
    let mut memory = vec![0; 0x4000];
    let mut store = |at: usize, bytes: &[u8]| memory[at..at + bytes.len()].copy_from_slice(bytes);
    store(0x1038, &0x2001_u64.to_le_bytes());
    store(0x2000, &0x83_u64.to_le_bytes());
    store(0x3000, b"Linux version 6.1\0");
    store(0x3040, &0xc000_3080_u32.to_le_bytes());
    for (at, next, name) in [(0x3080, 0xc000_30c0, b"init"), (0x30c0, 0_u32, b"sshd")] {
        store(at, &next.to_le_bytes());
        store(at + 8, name);
    }
    let registers = Registers { cr0: 0x8001_0011, cr3: 0x1020, cr4: 0x20, ..Registers::default() };
    (Vcpu::new(registers, &Machine::default()), memory)
}

/// What the guest does meanwhile: its second task is switched to.
fn run(memory: &mut [u8]) {
    memory[0x30c4] += 1;
}

fn main() -> Result<(), AccessError> {
    let (vcpu, mut memory) = guest();
    println!("{:?}", vcpu.view(&memory).read_c_string(BANNER, &mut [0; 64])?);
    for _ in 0..3 {
        run(&mut memory);
        println!("{:?}", tasks(&vcpu.view(&memory), 100).0);
    }
    Ok(())
}

#[test]
fn list() {
    let (vcpu, mut memory) = guest();
    let task = |name: &str, switches| Task { name: name.to_owned(), switches };
    for count in 1..4 {
        run(&mut memory);
        let (found, stopped) = tasks(&vcpu.view(&memory), 100);
        assert_eq!((found, stopped), (vec![task("init", 0), task("sshd", count)], None));
    }
    // A list that goes in circles ends at the limit, one that leads out of the mapped part where it does.
    memory[0x30c0..0x30c4].copy_from_slice(&0xc000_3080_u32.to_le_bytes());
    assert_eq!(tasks(&vcpu.view(&memory), 5).0.len(), 5);
    memory[0x30c0..0x30c4].copy_from_slice(&0x1000_u32.to_le_bytes());
    let (found, stopped) = tasks(&vcpu.view(&memory), 5);
    assert_eq!((found.len(), stopped.map(|error| error.va)), (2, Some(0x1000)));
    main().unwrap();
}
