/* The paging mode as data: `LEVELS` is 2 (32-bit entries), 3 (PAE), 4 or 5. Level 1 is a page table, level LEVELS the root.
 *
 * Included by C and by assembly. */

#ifndef FORMAT_H
#define FORMAT_H

#if LEVELS == 2
#define INDEX_BITS      10
#define ENTRY_BYTES     4
#else
#define INDEX_BITS      9
#define ENTRY_BYTES     8
#endif

#define PAGE            4096
#define SLOTS           (1 << INDEX_BITS)
#define SHIFT(level)    (12 + INDEX_BITS * ((level) - 1))

/* Bits of an entry. */
#define PRESENT         0x001
#define WRITABLE        0x002
#define USER            0x004
#define UNCACHED        0x010
#define ACCESSED        0x020
#define DIRTY           0x040
#define LARGE           0x080           /* Level 2. */
#define PAT             0x080           /* Level 1. */
#define LARGE_PAT       0x1000          /* Level 2, where a large leaf's address has no bit. */
#define SOFTWARE(n)     (((n) & 7) << 9)

/* Control registers. */
#define CR0_WP          (1 << 16)
#define CR0_PG          (1 << 31)
#define CR4_PSE         (1 << 4)
#define CR4_PAE         (1 << 5)
#define CR4_LA57        (1 << 12)
#define MSR_EFER        0xc0000080
#define EFER_LME        (1 << 8)
#define EFER_NXE        (1 << 11)

#if LEVELS == 2
#define CR4_PAGING      CR4_PSE
#define EFER_PAGING     0
#elif LEVELS == 3
#define CR4_PAGING      CR4_PAE
#define EFER_PAGING     EFER_NXE
#elif LEVELS == 4
#define CR4_PAGING      CR4_PAE
#define EFER_PAGING     (EFER_LME | EFER_NXE)
#else
#define CR4_PAGING      (CR4_PAE | CR4_LA57)
#define EFER_PAGING     (EFER_LME | EFER_NXE)
#endif

/* Selectors of the descriptors in trap.S. */
#define KERNEL_CODE     0x08
#define KERNEL_DATA     0x10
#define USER_CODE       0x1b
#define USER_DATA       0x23
#define TASK            0x28

/* The vector by which an access says that it came to its end. */
#define CALL            0x80

#ifndef __ASSEMBLER__

#include <stdbool.h>
#include <stdint.h>

#if LEVELS == 2
typedef uint32_t entry;
#define ADDRESS         ((entry)0xfffff000)
#define NO_EXECUTE      ((entry)0)
#else
typedef uint64_t entry;
#define ADDRESS         ((entry)0x000ffffffffff000)
#define NO_EXECUTE      ((entry)1 << 63)
#endif

/* PAE's root is the odd one out: 32 bytes, four entries, no rights. */
static inline bool has_rights(unsigned level)
{
        return LEVELS != 3 || level != 3;
}

#define ROOT_SLOTS      (LEVELS == 3 ? 4 : SLOTS)

static inline unsigned slots(unsigned level)
{
        return level == LEVELS ? ROOT_SLOTS : SLOTS;
}

#endif
#endif
