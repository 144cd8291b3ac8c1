//! What of a processor's state decides about accesses, and the decision.
//!
//! ```text
//!  access rights     U/S and R/W: the AND over the path; XD: the OR
//!  CR0.WP            whether the supervisor's writes obey R/W
//!  CR4.SMEP, SMAP    whether the supervisor may fetch from, or access, what is the user's; SMAP yields to EFLAGS.AC
//!  CR4.PKE, PKRU     what the protection key of a user page permits      ┐ long mode only,
//!  CR4.PKS, PKRS     what the protection key of a supervisor page permits┘ data accesses only
//! ```
//!
//! All of it is judged once, on the whole path, after every entry of it was found present and well-formed.

use bitflags::bitflags;
use pt_core::{Cause, Format, Marking, Memory, MemoryExchange, Step, TranslateError, Translation};

use crate::{
    Access, ControlRegisters, Cr0, Cr4, Efer, ErrorCode, Fault, KeyRegister, KeyRight, Mode, PageFault,
    Privilege, Reason, Rights, Vendor, protection_key,
};

bitflags! {
    /// RFLAGS, as far as paging depends on it.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
    pub struct Rflags: u64 {
        /// AC: with SMAP, explicit supervisor-mode accesses may use the user's pages.
        const ALIGNMENT_CHECK = 1 << 18;
        const _ = !0;
    }
}

/// A processor's state, as far as it decides about accesses: plain values, as its registers hold them.
///
/// What decides how *entries* are read (MAXPHYADDR, the pages that exist) is the format's, which the methods are given: it
/// has to be the one that these registers select, with `nx` where EFER.NXE is set.
///
/// Not modelled are shadow stacks, HLAT, LAM, LASS and enclaves.
///
/// ```
/// use pt_amd64::FourLevel;
/// use pt_x86::{ControlRegisters, CpuState, Cr0, Cr4, Efer, Privilege};
///
/// // A PML4 at 0x1000 whose first entry is read-only; a PDPT at 0x2000 that maps 1 GiB for the user.
/// let mut memory = vec![0; 0x3000];
/// memory[0x1000..0x1008].copy_from_slice(&0x2005_u64.to_le_bytes());
/// memory[0x2000..0x2008].copy_from_slice(&0x87_u64.to_le_bytes());
///
/// let linux = CpuState::from(ControlRegisters {
///     cr0: Cr0::from_bits_retain(0x8005_0033),
///     cr3: 0x1000,
///     cr4: Cr4::from_bits_retain(0x30_0020),
///     efer: Efer::from_bits_retain(0xd01),
/// });
/// let translate = |access| linux.translate(&FourLevel::default(), &memory, 0x1234, access);
/// assert_eq!(translate(Privilege::User.reads())?.pa, 0x1234);
///
/// let refused = translate(Privilege::User.writes()).unwrap_err();
/// assert_eq!(refused.to_string(), "#PF error 0x7: write, user, present: PML4E at 0x1000: R/W = 0");
/// let smap = translate(Privilege::Supervisor.reads()).unwrap_err();
/// assert_eq!(smap.to_string(), "#PF error 0x1: read, supervisor, present: PDPTE at 0x2000: U/S = 1, SMAP");
/// # Ok::<(), pt_x86::Fault>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct CpuState {
    /// The control registers. CR3 is the root.
    pub control: ControlRegisters,
    /// RFLAGS.
    pub rflags: Rflags,
    /// PKRU: two bits per protection key, AD and WD.
    pub pkru: u32,
    /// The MSR `IA32_PKRS`: the same for pages of the supervisor.
    pub pkrs: u32,
    /// Whose processor it is.
    pub vendor: Vendor,
}

/// RFLAGS and the rights of keys as after a reset: all zero.
impl From<ControlRegisters> for CpuState {
    fn from(control: ControlRegisters) -> Self {
        Self { control, ..Self::default() }
    }
}

impl CpuState {
    /// Whether a page with these rights on its whole path, and with that protection key, can be accessed: what a cache of
    /// translations asks.
    pub fn permits(&self, rights: Rights, key: u8, access: Access) -> bool {
        self.withheld(rights, access).or_else(|| self.locked(rights, key, access)).is_none()
    }

    /// Translates `va` for an access.
    ///
    /// # Errors
    ///
    /// - [`Fault::Page`]: an entry of the path is not present, has reserved bits set, or the access is not permitted;
    /// - [`Fault::NonCanonical`]: the format has no such address;
    /// - [`Fault::Pdpte`]: a PDPTE that no processor would have loaded;
    /// - [`Fault::Unreadable`]: a table of the path is not in memory.
    pub fn translate<F: Format<Rights = Rights>, M: Memory + ?Sized>(
        &self,
        format: &F,
        memory: &M,
        va: u64,
        access: Access,
    ) -> Result<Translation<Rights>, Fault> {
        let judge = |found: &_, path: &[_]| self.judge(format, found, path, access);
        pt_core::translate_judged(format, memory, self.control.cr3, va, judge)
            .map_err(|stopped| self.fault(va, access, stopped))
    }

    /// As [`translate`](Self::translate), and sets the accessed and dirty bits that the access sets.
    ///
    /// They are set once the access is known to be permitted. A processor may set accessed bits on the way to a fault, and
    /// earlier, by speculation (SDM "Accessed and Dirty Flags"); this never does.
    ///
    /// # Errors
    ///
    /// As [`translate`](Self::translate), and [`Fault::Contended`] where entries kept changing.
    pub fn translate_marking<F: Format<Rights = Rights>, M: MemoryExchange + ?Sized>(
        &self,
        format: &F,
        memory: &mut M,
        va: u64,
        access: Access,
    ) -> Result<(Translation<Rights>, Marking), Fault> {
        let judge = |found: &_, path: &[_]| self.judge(format, found, path, access);
        pt_core::translate_marking(format, memory, self.control.cr3, va, access.is_write(), judge)
            .map_err(|stopped| self.fault(va, access, stopped))
    }

    fn judge<F: Format<Rights = Rights>>(
        &self,
        format: &F,
        found: &Translation<Rights>,
        path: &[Step],
        access: Access,
    ) -> Result<(), Stopped> {
        let withheld = self.withheld(found.rights, access);
        let locked = self.locked(found.rights, protection_key(found.raw), access);
        let Some(reason) = withheld.or(locked) else { return Ok(()) };
        let locked = if locked.is_some() { ErrorCode::PROTECTION_KEY } else { ErrorCode::empty() };
        let leaf = Step { level: found.level, entry: found.entry, raw: found.raw };
        // What the whole path grants too much of is the leaf's; what an entry withholds is the first such entry's.
        let withholds = |step: &&Step| match reason {
            Reason::Supervisor => !lone(format, step).contains(Rights::USER),
            Reason::ReadOnly => !lone(format, step).contains(Rights::WRITE),
            Reason::NoExecute => !lone(format, step).contains(Rights::EXECUTE),
            _ => false,
        };
        let step = path.iter().find(withholds).copied().unwrap_or(leaf);
        Err(Stopped::Refused { step, reason, code: ErrorCode::PRESENT | locked })
    }

    /// What the rights of a path withhold from an access (SDM "Determination of Access Rights").
    fn withheld(&self, rights: Rights, access: Access) -> Option<Reason> {
        let cr4 = self.control.cr4;
        let (by_user, fetch) = (access.is_user(), access.is_fetch());
        let of_user = rights.contains(Rights::USER);
        let opened =
            access.privilege == Privilege::Supervisor && self.rflags.contains(Rflags::ALIGNMENT_CHECK);
        let smep = cr4.contains(Cr4::SUPERVISOR_EXECUTION_PREVENTION);
        let smap = cr4.contains(Cr4::SUPERVISOR_ACCESS_PREVENTION) && !opened;
        [
            (by_user && !of_user, Reason::Supervisor),
            (!by_user && of_user && fetch && smep, Reason::Smep),
            (!by_user && of_user && !fetch && smap, Reason::Smap),
            (self.obeys_write(access) && !rights.contains(Rights::WRITE), Reason::ReadOnly),
            (fetch && !rights.contains(Rights::EXECUTE), Reason::NoExecute),
        ]
        .into_iter()
        .find_map(|(withheld, reason)| withheld.then_some(reason))
    }

    /// What a page's protection key forbids an access (SDM "Protection Keys"). It goes by whose the page is, not by who
    /// accesses it.
    fn locked(&self, rights: Rights, key: u8, access: Access) -> Option<Reason> {
        let (enabled, register, keys) = if rights.contains(Rights::USER) {
            (Cr4::PROTECTION_KEYS, KeyRegister::Pkru, self.pkru)
        } else {
            (Cr4::SUPERVISOR_PROTECTION_KEYS, KeyRegister::Pkrs, self.pkrs)
        };
        let applies =
            self.control.cr4.contains(enabled) && self.control.mode().is_long() && !access.is_fetch();
        let rights = keys >> (2 * u32::from(key & 15));
        let right = match (rights & 1 != 0, rights & 2 != 0) {
            (true, _) => KeyRight::AccessDisable,
            (_, true) if self.obeys_write(access) => KeyRight::WriteDisable,
            _ => return None,
        };
        applies.then_some(Reason::ProtectionKey { key, register, right })
    }

    /// Whether it is a write that write protection is about.
    fn obeys_write(&self, access: Access) -> bool {
        access.is_write() && (access.is_user() || self.control.cr0.contains(Cr0::WRITE_PROTECT))
    }

    /// What the processor makes of it.
    #[cold]
    fn fault(&self, va: u64, access: Access, stopped: Stopped) -> Fault {
        let (step, reason, code) = match stopped {
            Stopped::Refused { step, reason, code } => (step, reason, code),
            Stopped::Lost(TranslateError::NotPresent { level, entry, raw }) => {
                (Step { level, entry, raw }, Reason::NotPresent, ErrorCode::empty())
            }
            Stopped::Lost(TranslateError::Fault(Cause::Malformed { level, entry, raw, reserved })) => {
                if self.loads_pdptes() && level.number() == PDPT {
                    return Fault::Pdpte { entry, raw, reserved };
                }
                let code = ErrorCode::PRESENT | ErrorCode::RESERVED;
                (Step { level, entry, raw }, Reason::Reserved(reserved), code)
            }
            Stopped::Lost(TranslateError::Fault(Cause::Unreadable { level, table, link, why })) => {
                return Fault::Unreadable { level, table, link, why };
            }
            Stopped::Lost(TranslateError::NonCanonical { .. }) => return Fault::NonCanonical { va },
            // `Contended`: there is nothing else left.
            Stopped::Lost(_) => return Fault::Contended { va },
        };
        let Step { level, entry, raw } = step;
        PageFault { va, access, code: code | self.code_of(access), level, entry, raw, reason }.into()
    }

    /// What of an error code is about the access alone (SDM "Page-Fault Exceptions").
    fn code_of(&self, access: Access) -> ErrorCode {
        let mut code = ErrorCode::empty();
        code.set(ErrorCode::WRITE, access.is_write());
        code.set(ErrorCode::USER, access.is_user());
        code.set(ErrorCode::FETCH, access.is_fetch() && self.prevents_fetches());
        code
    }

    /// Whether anything can forbid an instruction fetch but U/S.
    fn prevents_fetches(&self) -> bool {
        let ControlRegisters { cr4, efer, .. } = self.control;
        let has_xd = !matches!(self.control.mode(), Mode::Unpaged | Mode::TwoLevel);
        cr4.contains(Cr4::SUPERVISOR_EXECUTION_PREVENTION) || has_xd && efer.contains(Efer::NO_EXECUTE_ENABLE)
    }

    /// Whether PDPTEs were checked when CR3 was loaded, rather than on the way.
    fn loads_pdptes(&self) -> bool {
        self.control.mode() == Mode::Pae && self.vendor == Vendor::Intel
    }
}

const PDPT: u8 = 3;

/// The rights that one entry leaves by itself.
fn lone<F: Format<Rights = Rights>>(format: &F, step: &Step) -> Rights {
    format.restrict(format.unrestricted(), step.level, step.raw)
}

/// What stops a translation, before it is known to be a fault of which kind.
#[derive(Clone, Copy)]
enum Stopped {
    Lost(TranslateError),
    Refused { step: Step, reason: Reason, code: ErrorCode },
}

impl From<TranslateError> for Stopped {
    fn from(error: TranslateError) -> Self {
        Self::Lost(error)
    }
}
