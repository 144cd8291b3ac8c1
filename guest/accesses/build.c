/* Builds the kernel's part of the one address space: all memory where it is, in small pages, for the supervisor alone but
 * for the code that runs in ring 3. Nothing in it is executable or not by XD, large, or of another key than 0, so that it
 * works in every state that is tried. */

#include "record.h"

#define BOOT            __attribute__((section(".boot.text")))
#define TABLES          __attribute__((section(".tables"), aligned(PAGE)))

/* How much of memory there is. */
#define MAPPED          (32 << 20)
#define PAGE_TABLES     (MAPPED >> SHIFT(2))

/* From guest.ld. */
extern char user_text[], data[];

/* The tables that lead to the page under test, level 1 first. The root is the last. */
entry tested[LEVELS][SLOTS] TABLES;

static entry page_tables[PAGE_TABLES][SLOTS] TABLES;
static entry kernel[LEVELS][SLOTS] TABLES;

uintptr_t root;

static BOOT entry link(unsigned level, const void *to)
{
        return (uintptr_t)to | PRESENT | (has_rights(level) ? WRITABLE | USER : 0);
}

/* Returns the root. */
BOOT uintptr_t build(void)
{
        for (uintptr_t page = 0; page < MAPPED; page += PAGE) {
                bool user = page >= (uintptr_t)user_text && page < (uintptr_t)data;
                entry rights = user ? USER : WRITABLE;
                page_tables[page >> SHIFT(2)][page / PAGE % SLOTS] = page | rights | PRESENT;
        }
        entry *directory = LEVELS == 2 ? tested[1] : kernel[1];
        for (unsigned slot = 0; slot < PAGE_TABLES; slot++)
                directory[slot] = link(2, page_tables[slot]);
        for (unsigned level = 3; level <= LEVELS; level++) {
                entry *table = level == LEVELS ? tested[level - 1] : kernel[level - 1];
                table[0] = link(level, kernel[level - 2]);
        }

        /* `int $CALL`, wherever an access may fetch from. */
        for (uintptr_t page = PLAYGROUND; page < RECORDS; page += PAGE)
                *(volatile uint16_t *)(page + OFFSET) = CALL << 8 | 0xcd;
        root = (uintptr_t)tested[LEVELS - 1];
        return root;
}
