//! Which figures stand side by side: the lists from which the tables of nanoseconds are made.

/// A table of all that was measured for one kind of work: sides in lines, groups in columns.
#[derive(Clone, Copy, Debug)]
pub(super) struct Figures {
    /// The marker that it stands between.
    pub(super) name: &'static str,
    /// What stands above the first column.
    pub(super) what: &'static str,
    /// The head of each other column and the group (its parameter included) that it shows.
    pub(super) columns: &'static [(&'static str, &'static str)],
    /// The name of each line and its function in those groups; `{}` in a group is put in there.
    pub(super) lines: &'static [(&'static str, &'static str)],
}

/// Functions of these groups are nanoseconds per element.
pub(super) const FIGURES: &[Figures] = &[
    Figures {
        name: "walk",
        what: "ns per slot",
        columns: &[
            ("contiguous", "walk-contiguous/{}"),
            ("scattered", "walk-scattered/{}"),
            ("1 in 16", "walk-sparse/{}"),
            ("2 MiB", "walk-large/{}"),
        ],
        lines: &[
            ("floor", "floor"),
            ("ours, as runs", "runs"),
            ("ours, as runs, memory is copied", "runs-copied"),
            ("ours, each leaf, `fold`", "fold"),
            ("ours, each leaf, `fold`, memory is copied", "fold-copied"),
            ("ours, each leaf, `next`", "next"),
            ("ours, raw `walk_va_spaces`", "raw-walk"),
            ("of that: a list of such items", "raw-list"),
            ("ours, raw `virt_to_phys`", "raw-pages"),
            ("hyperlight-common 0.18, `walk_va_spaces`", "hyperlight-walk"),
            ("of that: a list of such items", "hyperlight-list"),
            ("hyperlight-common 0.18, `virt_to_phys`", "hyperlight-pages"),
            ("page_table_multiarch, `walk`", "page_table_multiarch"),
            ("page-table-generic, `walk_valid`", "page-table-generic"),
            ("memflow, `virt_to_phys_iter`", "memflow"),
        ],
    },
    Figures {
        name: "spaces",
        what: "ns per distinct table",
        columns: &[
            ("1", "spaces-{}/1"),
            ("4", "spaces-{}/4"),
            ("16", "spaces-{}/16"),
            ("64", "spaces-{}/64"),
            ("256", "spaces-{}/256"),
            ("1024", "spaces-{}/1024"),
            ("4096", "spaces-{}/4096"),
        ],
        lines: &[
            ("floor", "contiguous/floor"),
            ("ours, contiguous, as runs", "contiguous/runs"),
            ("ours, contiguous, each leaf", "contiguous/fold"),
            ("ours, scattered, as runs", "scattered/runs"),
            ("ours, scattered, each leaf", "scattered/fold"),
            ("hyperlight-common 0.18, contiguous", "contiguous/hyperlight"),
            ("hyperlight-common 0.18, scattered", "scattered/hyperlight"),
            ("ours, 2-level, raw", "i686/raw-walk"),
            ("hyperlight-common 0.15, 2-level", "i686/hyperlight"),
        ],
    },
    Figures {
        name: "translate",
        what: "ns per address",
        columns: &[
            ("hot", "translate-hot/{}"),
            ("random", "translate-random/{}"),
            ("sorted", "translate-sorted/{}"),
        ],
        lines: &[
            ("ours, all fields", "all-fields"),
            ("ours, address", "address"),
            ("ours, address, `Translator`", "batch"),
            ("ours, raw `virt_to_phys`", "raw-pages"),
            ("x86_64, `translate`", "x86_64-translate"),
            ("x86_64, `translate_addr`", "x86_64-translate_addr"),
            ("hyperlight-common 0.18, `virt_to_phys`", "hyperlight"),
            ("page_table_multiarch, `query`", "page_table_multiarch"),
            ("page-table-generic, `translate_with_level`", "page-table-generic"),
            ("memflow, `virt_to_phys_iter`", "memflow"),
        ],
    },
    Figures {
        name: "edit",
        what: "ns per page",
        columns: &[
            ("map 4 KiB", "map-small/{}"),
            ("protect", "protect-small/{}"),
            ("unmap", "unmap-small/{}"),
            ("map 2 MiB", "map-large/{}"),
            ("protect", "protect-large/{}"),
            ("unmap", "unmap-large/{}"),
            ("map 4 KiB, a call per page", "map-pages/{}"),
        ],
        lines: &[
            ("floor", "floor"),
            ("ours, `Editor`", "ours"),
            ("hyperlight-common 0.18", "hyperlight"),
            ("page_table_multiarch", "page_table_multiarch"),
            ("page-table-generic", "page-table-generic"),
            ("x86_64, page by page", "x86_64"),
        ],
    },
    Figures {
        name: "raw-map",
        what: "ns per page",
        columns: &[
            ("a call per page, new", "map-{}/pages-new_"),
            ("again", "map-{}/pages-again_"),
            ("one call, new", "map-{}/range-new_"),
            ("again", "map-{}/range-again_"),
        ],
        lines: &[
            ("ours, amd64", "amd64/ours"),
            ("hyperlight-common 0.18", "amd64/hyperlight"),
            ("ours, 2-level", "i686/ours"),
            ("hyperlight-common 0.15, 2-level", "i686/hyperlight"),
        ],
    },
    Figures {
        name: "regions",
        what: "ns per page or address",
        columns: &[
            ("1 region", "regions-1/{}"),
            ("2 regions", "regions-2/{}"),
            ("16 regions", "regions-16/{}"),
        ],
        lines: &[
            ("walk, runs: byte slice", "runs"),
            ("walk, runs: `VmMemory`", "runs-vm"),
            ("walk, runs: entries loaded one by one", "runs-load"),
            ("walk, each leaf: byte slice", "fold"),
            ("walk, each leaf: `VmMemory`", "fold-vm"),
            ("walk, each leaf: entries loaded one by one", "fold-load"),
            ("translate: byte slice", "translate"),
            ("translate: `VmMemory`", "translate-vm"),
            ("translate: entries loaded one by one", "translate-load"),
        ],
    },
];

impl Figures {
    /// The result that stands in a line and a column: a line `kind/function` fills the group's gap with its first half.
    pub(super) fn id(column: &str, line: &str) -> String {
        match line.split_once('/') {
            None => column.replace("{}", line),
            Some((kind, function)) => match column.replace("{}", kind).rsplit_once('/') {
                Some((group, rest)) if rest.ends_with('_') => format!("{group}/{rest}{function}"),
                Some((group, rest)) => format!("{group}/{function}/{rest}"),
                None => unreachable!("groups have functions"),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_found_where_criterion_puts_them() {
        assert_eq!(Figures::id("walk-large/{}", "runs"), "walk-large/runs");
        assert_eq!(Figures::id("spaces-{}/64", "contiguous/floor"), "spaces-contiguous/floor/64");
        assert_eq!(Figures::id("map-{}/pages-new_", "amd64/ours"), "map-amd64/pages-new_ours");
    }
}
