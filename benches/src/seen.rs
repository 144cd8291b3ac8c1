//! What a walker reported, in one form for all of them.

use hyperlight::vmem as amd64;
use hyperlight_i686::vmem as i686;
use pt_core::raw::{self as ours, BasicMapping, CowMapping, MappingKind, SpaceAwareMapping, SpaceId};

/// One thing that a walker reported, with the fields that upstream has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// A page.
    Page {
        /// The first physical address.
        phys_base: u64,
        /// The first virtual address.
        virt_base: u64,
        /// Bytes.
        len: u64,
        /// What kind of mapping it is; none for upstream's `ZeroInit`, which the others do not have.
        kind: Option<MappingKind>,
        /// Whether user mode reaches it; none where the walker does not say.
        user_accessible: Option<bool>,
    },
    /// A link to a table of an earlier space.
    Reference {
        /// How far below the root the table is.
        depth: usize,
        /// The space that owns it.
        space: SpaceId,
        /// The address in this space.
        our_va: u64,
        /// The address in that one.
        their_va: u64,
    },
    /// What upstream has no word for.
    OursAlone(SpaceAwareMapping),
}

impl Seen {
    /// A page of a walker that says nothing of user mode.
    pub const fn page(virt_base: u64, phys_base: u64, len: u64, writable: bool, executable: bool) -> Self {
        let kind = MappingKind::Basic(BasicMapping { readable: true, writable, executable });
        Self::Page { phys_base, virt_base, len, kind: Some(kind), user_accessible: None }
    }

    /// The same without a word on user mode, to be compared with 0.18, which has none.
    pub const fn without_user(mut self) -> Self {
        if let Self::Page { user_accessible, .. } = &mut self {
            *user_accessible = None;
        }
        self
    }
}

impl From<&ours::Mapping> for Seen {
    fn from(mapping: &ours::Mapping) -> Self {
        let &ours::Mapping { phys_base, virt_base, len, kind, user_accessible, .. } = mapping;
        Self::Page { phys_base, virt_base, len, kind: Some(kind), user_accessible: Some(user_accessible) }
    }
}

impl From<&SpaceAwareMapping> for Seen {
    fn from(mapping: &SpaceAwareMapping) -> Self {
        match mapping {
            SpaceAwareMapping::ThisSpace(page) => page.into(),
            SpaceAwareMapping::AnotherSpace(link) => Self::Reference {
                depth: link.depth,
                space: link.space,
                our_va: link.our_va,
                their_va: link.their_va,
            },
            other => Self::OursAlone(*other),
        }
    }
}

macro_rules! of_upstream {
    ($upstream:ident, |$page:ident| $user:expr $(, $zero_init:pat)?) => {
        impl From<&$upstream::Mapping> for Seen {
            fn from($page: &$upstream::Mapping) -> Self {
                let kind = match $page.kind {
                    $upstream::MappingKind::Unmapped => Some(MappingKind::Unmapped),
                    $upstream::MappingKind::Basic($upstream::BasicMapping { readable, writable, executable }) => {
                        Some(MappingKind::Basic(BasicMapping { readable, writable, executable }))
                    }
                    $upstream::MappingKind::Cow($upstream::CowMapping { readable, executable }) => {
                        Some(MappingKind::Cow(CowMapping { readable, executable }))
                    }
                    $($zero_init => None,)?
                };
                let (phys_base, virt_base, len) = ($page.phys_base, $page.virt_base, $page.len);
                Self::Page { phys_base, virt_base, len, kind, user_accessible: $user }
            }
        }

        impl From<&$upstream::SpaceAwareMapping> for Seen {
            fn from(mapping: &$upstream::SpaceAwareMapping) -> Self {
                match mapping {
                    $upstream::SpaceAwareMapping::ThisSpace(page) => page.into(),
                    $upstream::SpaceAwareMapping::AnotherSpace(link) => Self::Reference {
                        depth: link.depth,
                        space: link.space,
                        our_va: link.our_va,
                        their_va: link.their_va,
                    },
                }
            }
        }
    };
}

of_upstream!(amd64, |page| None, amd64::MappingKind::ZeroInit(_));
of_upstream!(i686, |page| Some(page.user_accessible));

/// What a walker reported of one space.
pub type SeenSpace = (SpaceId, Vec<Seen>);

fn seen<'w, M: 'w>(walked: &'w [(SpaceId, Vec<M>)]) -> Vec<SeenSpace>
where
    Seen: From<&'w M>,
{
    walked.iter().map(|(space, mappings)| (*space, mappings.iter().map(Seen::from).collect())).collect()
}

/// What our walker reported.
pub fn of_ours(walked: &[(SpaceId, Vec<SpaceAwareMapping>)]) -> Vec<SeenSpace> {
    seen(walked)
}

/// What upstream's 0.18 reported.
pub fn of_amd64(walked: &[(SpaceId, Vec<amd64::SpaceAwareMapping>)]) -> Vec<SeenSpace> {
    seen(walked)
}

/// What upstream's 0.15 reported.
pub fn of_i686(walked: &[(SpaceId, Vec<i686::SpaceAwareMapping>)]) -> Vec<SeenSpace> {
    seen(walked)
}
