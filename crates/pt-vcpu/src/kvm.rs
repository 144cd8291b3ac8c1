//! Registers from KVM's structures (feature `kvm-bindings`). They exist on x86-64 hosts alone, and so do these.

use kvm_bindings::{kvm_sregs, kvm_sregs2};

use crate::Registers;

/// What `KVM_GET_SREGS` returned. RFLAGS, PKRU and `IA32_PKRS` are not in it and stay 0: `KVM_GET_REGS`, `KVM_GET_XSAVE` and
/// `KVM_GET_MSRS` have them.
impl From<&kvm_sregs> for Registers {
    fn from(sregs: &kvm_sregs) -> Self {
        let &kvm_sregs { cr0, cr3, cr4, efer, ss, .. } = sregs;
        Self { cr0, cr3, cr4, efer, cpl: ss.dpl, ..Self::default() }
    }
}

/// What `KVM_GET_SREGS` returned.
impl From<kvm_sregs> for Registers {
    fn from(sregs: kvm_sregs) -> Self {
        Self::from(&sregs)
    }
}

/// What `KVM_GET_SREGS2` returned. The PDPTEs that it adds are not used: they are read from memory, as CR3 names them.
impl From<&kvm_sregs2> for Registers {
    fn from(sregs: &kvm_sregs2) -> Self {
        let &kvm_sregs2 { cr0, cr3, cr4, efer, ss, .. } = sregs;
        Self { cr0, cr3, cr4, efer, cpl: ss.dpl, ..Self::default() }
    }
}

/// What `KVM_GET_SREGS2` returned.
impl From<kvm_sregs2> for Registers {
    fn from(sregs: kvm_sregs2) -> Self {
        Self::from(&sregs)
    }
}

#[cfg(test)]
mod tests {
    use kvm_bindings::kvm_segment;
    use pt_x86::Mode;

    use super::*;

    #[test]
    fn registers_of_kvm() {
        let ss = kvm_segment { dpl: 3, ..kvm_segment::default() };
        let (cr0, cr3, cr4, efer) = (0x8005_0033, 0x616_8000, 0x75_0ef0, 0xd01);
        let registers = Registers { cr0, cr3, cr4, efer, cpl: 3, ..Registers::default() };
        let sregs = kvm_sregs { ss, cr0, cr2: 1, cr3, cr4, efer, ..kvm_sregs::default() };
        assert_eq!(Registers::from(sregs), registers);
        let sregs2 = kvm_sregs2 { ss, cr0, cr2: 1, cr3, cr4, efer, pdptrs: [1; 4], ..kvm_sregs2::default() };
        assert_eq!(Registers::from(sregs2), registers);
        assert_eq!(registers.mode(), Mode::FourLevel);
    }
}
