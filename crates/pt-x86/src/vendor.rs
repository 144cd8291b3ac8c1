//! Whose processor it is, where that makes a difference.

/// Whose manual decides where the two differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Vendor {
    /// Bit 8 of a PML4E or PML5E is ignored (SDM "Format of a PML4 Entry"). Reserved bits of PAE's PDPTEs are an error of
    /// the instruction that loads CR3 (SDM "PDPTE Registers").
    #[default]
    Intel,
    /// Bit 8 of a PML4E must be zero (APM "4-Kbyte Page Translation"), and that of a PML5E, as KVM's guest walker has it.
    /// A guest's PDPTEs are read on demand, so that their reserved bits are a page fault (APM, chapter "Secure Virtual
    /// Machine", "Legacy PAE Mode").
    Amd,
}
