//! Consuming all that a walker reports, so that no compiler leaves a part of the work out.
//!
//! One operation per field, and no memory: what is measured is the walker.

use hyperlight::vmem as amd64;
use hyperlight_i686::vmem as i686;
use pt_core::raw::{Mapping, MappingKind, SpaceAwareMapping};
use pt_core::{Event, Translation};
use pt_x86::Rights;

/// Something whose fields can be taken together.
pub trait Fields {
    /// A number that depends on every field.
    fn fields(&self) -> u64;
}

impl Fields for Event<Rights> {
    #[inline(always)]
    fn fields(&self) -> u64 {
        match self {
            Self::Leaf(leaf) => {
                let small = u64::from(leaf.space) + u64::from(leaf.level.number()) + u64::from(leaf.pages);
                leaf.va ^ leaf.pa ^ leaf.raw ^ leaf.entry ^ leaf.rights.bits() ^ small
            }
            Self::Table(table) => {
                let small = u64::from(table.space) + u64::from(table.level.number()) + u64::from(table.id.0);
                let link = table.link.raw ^ table.link.entry.unwrap_or_default();
                table.va ^ table.address ^ link ^ table.rights.bits() ^ small
            }
            Self::Alias(alias) => {
                let small = u64::from(alias.space) + u64::from(alias.owner) + u64::from(alias.level.number());
                let link = alias.link.raw ^ alias.link.entry.unwrap_or_default();
                let here = alias.our_va ^ alias.their_va ^ alias.address ^ u64::from(alias.table.0);
                here ^ link ^ alias.rights.bits() ^ small
            }
            // No scene has any.
            Self::Absent(_) | Self::Fault(_) => 0,
        }
    }
}

impl<T: Fields, E> Fields for Result<T, E> {
    #[inline(always)]
    fn fields(&self) -> u64 {
        self.as_ref().map_or(0, T::fields)
    }
}

impl Fields for Translation<Rights> {
    #[inline(always)]
    fn fields(&self) -> u64 {
        self.va ^ self.pa ^ self.raw ^ self.entry ^ self.rights.bits() ^ u64::from(self.level.number())
    }
}

const fn bits(flags: [bool; 4]) -> u64 {
    flags[0] as u64 | (flags[1] as u64) << 1 | (flags[2] as u64) << 2 | (flags[3] as u64) << 3
}

macro_rules! mapping_fields {
    ($mapping:ty, $kind:ty, |$page:ident| $user:expr, $more:expr) => {
        impl Fields for $mapping {
            #[inline(always)]
            fn fields(&self) -> u64 {
                type Kind = $kind;
                let $page = self;
                let kind = match &self.kind {
                    Kind::Basic(basic) => bits([basic.readable, basic.writable, basic.executable, $user]),
                    Kind::Cow(cow) => 16 | bits([cow.readable, false, cow.executable, $user]),
                    _ => 32,
                };
                self.phys_base ^ self.virt_base ^ self.len ^ kind ^ $more
            }
        }
    };
}
mapping_fields!(Mapping, MappingKind, |page| page.user_accessible, page.entry);
mapping_fields!(amd64::Mapping, amd64::MappingKind, |_page| false, 0);
mapping_fields!(i686::Mapping, i686::MappingKind, |page| page.user_accessible, 0);

impl Fields for SpaceAwareMapping {
    #[inline(always)]
    fn fields(&self) -> u64 {
        match self {
            Self::ThisSpace(page) => page.fields(),
            Self::AnotherSpace(link) | Self::SameSpace(link) => {
                let rights = link.rights;
                let rights = bits([rights.writable, rights.executable, rights.user_accessible, false]);
                link.depth as u64 ^ link.space ^ link.our_va ^ link.their_va ^ link.entry ^ rights
            }
            Self::Fault(_) => 0,
        }
    }
}

macro_rules! upstream_fields {
    ($upstream:ident) => {
        impl Fields for $upstream::SpaceAwareMapping {
            #[inline(always)]
            fn fields(&self) -> u64 {
                match self {
                    Self::ThisSpace(page) => page.fields(),
                    Self::AnotherSpace(link) => link.depth as u64 ^ link.space ^ link.our_va ^ link.their_va,
                }
            }
        }
    };
}
upstream_fields!(amd64);
upstream_fields!(i686);

/// All fields of all items, taken by `fold`.
#[inline(always)]
pub fn all<T: Fields>(items: impl Iterator<Item = T>) -> u64 {
    items.fold(0, |sum, item| sum.wrapping_add(item.fields()))
}

/// All fields of what a raw interface returned.
#[inline(always)]
pub fn all_spaces<T: Fields>(spaces: &[(u64, Vec<T>)]) -> u64 {
    let space = |(id, mappings): &(u64, Vec<T>)| {
        mappings.iter().fold(*id, |sum, mapping| sum.wrapping_add(mapping.fields()))
    };
    spaces.iter().map(space).fold(0, u64::wrapping_add)
}
