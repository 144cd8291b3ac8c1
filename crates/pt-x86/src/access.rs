//! What an access is, as paging sees it.

use core::fmt;

/// One access to memory (SDM "Determination of Access Rights").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Access {
    /// What it does.
    pub kind: AccessKind,
    /// On whose behalf.
    pub privilege: Privilege,
}

/// What an access does with the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AccessKind {
    /// Reads data.
    Read,
    /// Writes data. What is read and then written (`ADD` to memory, `CMPXCHG`) is a write from the start.
    Write,
    /// Fetches instructions.
    Fetch,
}

/// On whose behalf memory is accessed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Privilege {
    /// Code at privilege level 3.
    User,
    /// Code at levels 0 to 2: an explicit supervisor-mode access.
    Supervisor,
    /// The processor itself, whatever the privilege level, to read or write a descriptor table or a task-state segment: an
    /// implicit supervisor-mode access. EFLAGS.AC does not open user pages to it.
    Implicit,
}

impl Privilege {
    /// That of code at a privilege level.
    pub const fn of_level(cpl: u8) -> Self {
        if cpl == 3 { Self::User } else { Self::Supervisor }
    }

    /// A data read.
    pub const fn reads(self) -> Access {
        Access { kind: AccessKind::Read, privilege: self }
    }

    /// A data write.
    pub const fn writes(self) -> Access {
        Access { kind: AccessKind::Write, privilege: self }
    }

    /// An instruction fetch.
    pub const fn fetches(self) -> Access {
        Access { kind: AccessKind::Fetch, privilege: self }
    }
}

impl Access {
    /// Whether it writes.
    pub const fn is_write(self) -> bool {
        matches!(self.kind, AccessKind::Write)
    }

    /// Whether it fetches instructions.
    pub const fn is_fetch(self) -> bool {
        matches!(self.kind, AccessKind::Fetch)
    }

    /// Whether it is a user-mode access; all others are supervisor-mode accesses.
    pub const fn is_user(self) -> bool {
        matches!(self.privilege, Privilege::User)
    }
}

/// As `write, user`.
impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            AccessKind::Read => "read",
            AccessKind::Write => "write",
            AccessKind::Fetch => "fetch",
        };
        let privilege = match self.privilege {
            Privilege::User => "user",
            Privilege::Supervisor => "supervisor",
            Privilege::Implicit => "implicit supervisor",
        };
        write!(f, "{kind}, {privilege}")
    }
}
