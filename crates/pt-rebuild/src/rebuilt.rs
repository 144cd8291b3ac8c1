//! Reserved: every table has its address, and its bytes are final. What is left is to write.

use alloc::vec;
use alloc::vec::Vec;

use pt_core::{Encode, Memory, MemoryMut, TableAllocator, TableRequest, Unreadable};

use crate::PlanError;
use crate::frames::{FrameMap, Stretch};
use crate::graph::NodeId;
use crate::plan::Plan;
use crate::view::View;

/// How much is copied at once, in bytes.
const CHUNK: usize = 65_536;

/// What is read at least at once where not all of a chunk can be.
pub(crate) const PAGE: u64 = 4096;

/// A root's register before and after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewRoot {
    /// The register as it was given.
    pub old: u64,
    /// The register with the new root: every other bit as it was.
    pub new: u64,
}

/// A table of the new spaces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewTable {
    /// The physical address of the table that it was; none for one that splits a page, or whose old place is not known.
    pub old: Option<u64>,
    /// Its physical address.
    pub address: u64,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

impl NewTable {
    pub(crate) fn last(&self) -> u64 {
        self.address + (self.bytes.len() as u64 - 1)
    }
}

/// Rebuilt spaces, ready to be written.
#[derive(Clone, Debug)]
pub struct Rebuilt {
    roots: Vec<NewRoot>,
    /// By new address.
    tables: Vec<NewTable>,
    frames: FrameMap,
    /// Frames by new address, each new one once.
    copies: Vec<Stretch>,
}

/// What was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Tables.
    pub tables: usize,
    /// Bytes of frames.
    pub bytes: u64,
    /// Bytes of frames that the old memory does not have (devices, or what an image lacks), and that are not copied.
    pub unreadable: u64,
}

/// Memory could not be written. What was written before stands; nothing leads to it until a root is loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("memory at {address:#x} cannot be written: {why}")]
pub struct CommitError {
    /// The physical address of the bytes that were to be written.
    pub address: u64,
    /// Why.
    pub why: Unreadable,
}

impl<F: Encode> Plan<F> {
    /// Allocates all tables and makes their bytes.
    ///
    /// # Errors
    ///
    /// [`PlanError`], most often [`OutOfTables`](PlanError::OutOfTables): everything that was allocated was given back,
    /// and nothing was written.
    pub fn reserve<A: TableAllocator + ?Sized>(mut self, tables: &mut A) -> Result<Rebuilt, PlanError> {
        let mut reserved: Vec<(NodeId, u64, TableRequest)> = Vec::new();
        let made = self.allocate(tables, &mut reserved).and_then(|()| self.make());
        if made.is_err() {
            for (_, table, request) in reserved {
                tables.release(table, &request);
            }
        }
        made
    }

    fn allocate<A: TableAllocator + ?Sized>(
        &mut self,
        tables: &mut A,
        reserved: &mut Vec<(NodeId, u64, TableRequest)>,
    ) -> Result<(), PlanError> {
        let to_allocate: Vec<NodeId> = self.to_allocate().collect();
        for &id in &to_allocate {
            let request = self.request(id);
            let out = PlanError::OutOfTables { needed: to_allocate.len(), got: reserved.len() };
            let table = tables.allocate(&request).ok_or(out)?;
            reserved.push((id, table, request));
            let TableRequest { bytes, alignment, highest } = request;
            if table % alignment != 0 || table.checked_add(bytes - 1).is_none_or(|last| last > highest) {
                return Err(PlanError::BadTable { table, alignment, highest });
            }
            self.addresses[id as usize] = Some(table);
            self.claims.add_table(table, &request);
        }
        self.claims.check()
    }

    fn make(&self) -> Result<Rebuilt, PlanError> {
        let encoder = self.encoder();
        let address = |id: NodeId| self.addresses[id as usize].unwrap_or_default();
        let mut tables = Vec::with_capacity(self.new_tables());
        for id in self.nodes() {
            let (old, address) = (self.graph.nodes[id as usize].old, address(id));
            tables.push(NewTable { old, address, bytes: encoder.bytes(id)? });
        }
        tables.sort_unstable_by_key(|table| table.address);
        let roots = self.graph.roots.iter().map(|root| {
            let (id, offset) = root.to.map_err(PlanError::Fault)?;
            let (old, to) = (root.register, address(id) + offset);
            let new = self.graph.format.with_root(old, to);
            Ok(NewRoot { old, new: new.ok_or(PlanError::UnencodableRoot { register: old, to })? })
        });
        let roots = roots.collect::<Result<_, PlanError>>()?;
        Ok(Rebuilt { roots, tables, copies: copies(&self.frames), frames: self.frames.clone() })
    }
}

/// What of the old memory goes where, by new address: of shared frames the first that brings them.
fn copies(frames: &FrameMap) -> Vec<Stretch> {
    let mut copies: Vec<Stretch> =
        frames.stretches().iter().filter(|frames| frames.to.is_some()).copied().collect();
    copies.sort_by_key(|frames| (frames.to, core::cmp::Reverse(frames.last - frames.first)));
    let mut end = 0_u64;
    copies.retain_mut(|frames| {
        let (Some(to), Some(to_last)) = (frames.to, frames.to_last()) else { return false };
        // The part that an earlier one brings already.
        let known = end.saturating_sub(to).min(frames.bytes());
        if known == frames.bytes() {
            return false;
        }
        (frames.first, frames.to) = (frames.first + known, Some(to + known));
        end = to_last.saturating_add(1);
        true
    });
    copies
}

impl Rebuilt {
    /// The roots, in the order in which they were given.
    pub fn roots(&self) -> &[NewRoot] {
        &self.roots
    }

    /// The new tables, by address.
    pub fn tables(&self) -> &[NewTable] {
        &self.tables
    }

    /// Where every frame went that a page maps.
    pub fn frames(&self) -> &FrameMap {
        &self.frames
    }

    /// What has to be copied, ascending by new address: each new frame once, frames that stay included. Tables come over
    /// it.
    pub fn copies(&self) -> &[Stretch] {
        &self.copies
    }

    /// The new memory, as it will be once it is written, on top of the old: for whoever wants to look at it first, or
    /// writes it in another way.
    pub fn view<'a, M: Memory + ?Sized>(&'a self, old: &'a M) -> View<'a, M> {
        View::new(self, old)
    }

    /// Writes everything: frames, those that stay included, and tables. For memory that is not the old.
    ///
    /// # Errors
    ///
    /// [`CommitError`]: `new` lacks memory, or refuses it.
    pub fn commit<M, N>(&self, old: &M, new: &mut N) -> Result<Written, CommitError>
    where
        M: Memory + ?Sized,
        N: MemoryMut + ?Sized,
    {
        let mut written = Written::default();
        let mut buffer = vec![0; CHUNK];
        for frames in &self.copies {
            copy(frames, old, new, &mut buffer, &mut written)?;
        }
        self.commit_tables(new)?;
        written.tables = self.tables.len();
        Ok(written)
    }

    /// Writes tables alone. For rebuilding in the same memory, where every frame stays.
    ///
    /// # Errors
    ///
    /// [`CommitError`]: `memory` lacks memory, or refuses it.
    pub fn commit_tables<N: MemoryMut + ?Sized>(&self, memory: &mut N) -> Result<(), CommitError> {
        self.tables.iter().try_for_each(|table| store(memory, table.address, &table.bytes))
    }
}

fn store<N: MemoryMut + ?Sized>(memory: &mut N, address: u64, bytes: &[u8]) -> Result<(), CommitError> {
    memory.write(address, bytes).map_err(|why| CommitError { address, why })
}

/// How many of `len` bytes from `address` on are surely not in a memory: whole pages, or all.
pub(crate) fn lacking<M: Memory + ?Sized>(memory: &M, address: u64, len: u64) -> u64 {
    match memory.next_readable(address) {
        Some(next) => ((next & !(PAGE - 1)).saturating_sub(address)).min(len),
        None => len,
    }
}

/// Copies frames: lent whole where that is possible, or a chunk at a time, else page by page. What the old memory lacks is
/// passed over.
fn copy<M: Memory + ?Sized, N: MemoryMut + ?Sized>(
    frames: &Stretch,
    old: &M,
    new: &mut N,
    buffer: &mut [u8],
    written: &mut Written,
) -> Result<(), CommitError> {
    let Some(to) = frames.to else { return Ok(()) };
    let (mut done, all) = (0, frames.bytes());
    while done < all {
        let lacking = lacking(old, frames.first + done, all - done);
        if lacking > 0 {
            written.unreadable += lacking;
            done += lacking;
            continue;
        }
        let (from, to) = (frames.first + done, to + done);
        let len = (buffer.len() as u64).min(all - done) as usize;
        // The longer a copy, the less it has to fetch of what it overwrites.
        let lent = usize::try_from(all - done).ok().and_then(|rest| old.lend(from, rest));
        if let Some(lent) = lent.or_else(|| old.lend(from, len)) {
            store(new, to, lent)?;
            written.bytes += lent.len() as u64;
            done += lent.len() as u64;
        } else {
            done += len as u64;
            for (page, part) in buffer[..len].chunks_mut(PAGE as usize).enumerate() {
                let offset = page as u64 * PAGE;
                match old.read(from + offset, part) {
                    Ok(()) => {
                        store(new, to + offset, part)?;
                        written.bytes += part.len() as u64;
                    }
                    Err(_) => written.unreadable += part.len() as u64,
                }
            }
        }
    }
    Ok(())
}

/// The thing of a sorted list that has `address`, by the bounds that `bounds` gives.
pub(crate) fn at<T>(list: &[T], address: u64, bounds: impl Fn(&T) -> (u64, u64)) -> Option<&T> {
    let after = list.partition_point(|thing| bounds(thing).0 <= address);
    list.get(after.checked_sub(1)?).filter(|thing| bounds(thing).1 >= address)
}
