/* Where things are in the address spaces.
 *
 * A space is a private chain of tables, one of every level, each linked by slot OWN of the one above. Tables that the
 * spaces share hang off that chain:
 *
 *      level of the table that holds the slot
 *      root        slot 0          the kernel's chain, which maps the image where it was loaded
 *      every       SHARED          to the shared table one level down: as its owner's rights allow, read-only from space 2
 *                  AGAIN           to the same table once more: read-only, and for the supervisor alone
 *      2           LARGE_PAGE      a large page
 *                  WINDOW          to a page table that maps all tables, itself included, as pages
 *                  EMPTY           to a page table without entries, until somebody writes some
 *      root        SELF            in space 0: to the root itself (not with PAE)
 *
 * Slot 0 of a shared table links the next lower shared one, so the shared page table is reached through two links at
 * every level, in every space. xtask/src/guest/graph.rs knows how many tables and links a walk has to find. */

#ifndef SPACES_H
#define SPACES_H

#include "format.h"

#define SPACES          3

/* Slots. The first three are slots of PAE's roots too. The last slot of a root is the same in all spaces, as the upper part
 * of a kernel's roots is, which is how roots can be told from other pages. */
#define OWN             1
#define SHARED          2
#define AGAIN(level)    (slots(level) - 1)
#define LARGE_PAGE      4
#define WINDOW          5
#define EMPTY           6
#define SELF            (SLOTS / 2 - 1)

/* Slots of a space's own page table. */
#define COUNTERS        0
#define COMMON          4               /* One frame for all spaces: writable in space 0, read-only elsewhere. */
#define COMMON_AGAIN    5               /* The same frame. */

/* Slots of the shared page table. */
#define LEFT            0
#define RIGHT           1
#define MARKED          7               /* Not present, and yet not zero. */
#define MARK            ((entry)0x0bad5eed << 1)

/* Tables by number, which is also their slot in the window. */
enum {
        KERNEL_TABLES = LEVELS - 1,
        SHARED_TABLES = LEVELS - 1,
        WINDOW_TABLE = KERNEL_TABLES + SHARED_TABLES,
        EMPTY_TABLE,
        OWN_TABLES,
        TABLES = OWN_TABLES + SPACES * LEVELS,
};

static inline unsigned kernel_table(unsigned level)
{
        return level - 1;
}

static inline unsigned shared_table(unsigned level)
{
        return KERNEL_TABLES + level - 1;
}

static inline unsigned own_table(unsigned space, unsigned level)
{
        return OWN_TABLES + space * LEVELS + level - 1;
}

/* A root of PAE is no page, so no page of the window can be one. */
static inline bool in_window(unsigned table)
{
        return LEVELS != 3 || table < OWN_TABLES || (table - OWN_TABLES) % LEVELS != LEVELS - 1;
}

static inline uintptr_t at(unsigned level, unsigned slot)
{
        return (uintptr_t)slot << SHIFT(level);
}

static inline uintptr_t canonical(uintptr_t address)
{
#if LEVELS >= 4
        const unsigned unused = 64 - SHIFT(LEVELS + 1);
        return (uintptr_t)((intptr_t)(address << unused) >> unused);
#else
        return address;
#endif
}

/* What `slot` of a space's own table of this level spans. */
static inline uintptr_t own(unsigned level, unsigned slot)
{
        uintptr_t address = at(level, slot);
        for (unsigned above = LEVELS; above > level; above--)
                address |= at(above, OWN);
        return canonical(address);
}

/* A page of the shared page table, by the link in a space's own table of level `from`. */
static inline uintptr_t shared(unsigned from, unsigned link, unsigned page)
{
        return own(from, link) | at(1, page);
}

/* A table, as a page. */
static inline volatile entry *table(unsigned number)
{
        return (volatile entry *)(own(2, WINDOW) | at(1, number));
}

/* The root of space 0 through its own SELF slot. */
static inline volatile entry *self(void)
{
        uintptr_t address = 0;
        for (unsigned level = 1; level <= LEVELS; level++)
                address |= at(level, SELF);
        return (volatile entry *)canonical(address);
}

/* The value that words of memory begin with. */
static inline uint32_t initial(uint32_t word)
{
        return word * 0x9e3779b1;
}

/* What `build` leaves behind. Whoever moves the guest to other frames has to put the new roots here. */
extern volatile uintptr_t space_roots[SPACES];

#endif
