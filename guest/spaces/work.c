/* What the guest does for ever: in every space in turn it reads, writes, edits tables and runs into faults, and prints a
 * checksum of all it read.
 *
 * What does not depend on data it checks itself (`wrong: ` is printed, and QEMU ends). The sums depend on every write of
 * every earlier round; xtask/src/guest/model.rs knows what they have to be. */

#include "machine.h"
#include "print.h"
#include "safe.h"
#include "spaces.h"

#define WORDS           (PAGE / 4)
#define LARGE_WORDS     ((1 << SHIFT(2)) / 4)
#define LARGE_STRIDE    257

void guest_main(void);

static unsigned round, space, faults;
static uint32_t sum;
static uint32_t flags_at_boot;

static void mix(uint32_t word)
{
        sum = ((sum << 5 | sum >> 27) ^ word) * 0x01000193;
}

static volatile uint32_t *words(uintptr_t address)
{
        return (volatile uint32_t *)address;
}

static void mix_page(uintptr_t address)
{
        for (unsigned word = 0; word < WORDS; word++)
                mix(words(address)[word]);
}

static void enter(unsigned number)
{
        load_root(space_roots[number]);
        space = number;
}

/* Tries an access that has to be done. */
static uint32_t allowed(enum access access, enum ring ring, uintptr_t address, uint32_t value)
{
        struct outcome outcome = try(access, ring, address, value);
        if (outcome.faulted)
                stop("round %u space %u: access %u of %lx in ring %u faulted with error %x", round, space, access,
                     (unsigned long)address, 3 * ring, outcome.error);
        return outcome.value;
}

/* Tries an access that has to fault, with this error code but for who did it. */
static void refused(enum access access, enum ring ring, uintptr_t address, uint32_t error)
{
        if (access == WRITE)
                error |= BY_WRITE;
        if (access == FETCH && NO_EXECUTE != 0)
                error |= BY_FETCH;
        if (ring == USER_RING)
                error |= BY_USER;
        struct outcome outcome = try(access, ring, address, 0x5a5a5a5a);
        if (!outcome.faulted || outcome.error != error || outcome.address != address)
                stop("round %u space %u: access %u of %lx in ring %u has to fault with error %x: %s with error %x at %lx",
                     round, space, access, (unsigned long)address, 3 * ring, error,
                     outcome.faulted ? "it did" : "it did not", outcome.error, (unsigned long)outcome.address);
        faults++;
}

/* One store through a link that allows it or not. */
static void store(bool writable, enum ring ring, uintptr_t address, uint32_t value)
{
        if (writable)
                allowed(WRITE, ring, address, value);
        else
                refused(WRITE, ring, address, PROTECTION);
}

/* The space's own page, which hardware marks as dirty in the table that the window shows. */
static void own_page(void)
{
        uintptr_t page = own(1, COUNTERS);
        volatile entry *leaf = &table(own_table(space, 1))[COUNTERS];
        *leaf &= ~(entry)(DIRTY | ACCESSED);
        flush(page);
        words(page)[round % WORDS] += 3 * round + space + 1;
        if ((*leaf & (DIRTY | ACCESSED)) != (DIRTY | ACCESSED))
                stop("round %u space %u: a write left no mark in the table", round, space);
        mix_page(page);
        refused(READ, USER_RING, page, PROTECTION);
        if (NO_EXECUTE != 0)
                refused(FETCH, KERNEL_RING, page, PROTECTION);
}

/* The page table that all spaces share, through every link to it. */
static void shared_pages(void)
{
        for (unsigned level = 2; level <= LEVELS; level++) {
                uintptr_t left = shared(level, SHARED, LEFT), again = shared(level, AGAIN(level), LEFT);
                bool rights = has_rights(level);
                unsigned word = (7 * round + level) % WORDS;
                store(space != 2 || !rights, USER_RING, left + 4 * word, round << 8 | space << 4 | level);
                store(!rights, KERNEL_RING, again + 4 * word, ~round);
                if (rights)
                        refused(READ, USER_RING, again, PROTECTION);
                mix_page(left);
                mix_page(again);
                mix_page(shared(level, SHARED, RIGHT));
                mix_page(shared(level, AGAIN(level), RIGHT));
                refused(READ, KERNEL_RING, shared(level, SHARED, MARKED), 0);
        }
        if (table(shared_table(1))[MARKED] != MARK)
                stop("round %u space %u: the mark changed", round, space);
}

/* Exchanges the frames of two pages in the shared page table, and sees it through every link. */
static void exchange(void)
{
        volatile entry *pages = table(shared_table(1));
        entry left = pages[LEFT], right = pages[RIGHT];
        pages[LEFT] = (left & ~ADDRESS) | (right & ADDRESS);
        pages[RIGHT] = (right & ~ADDRESS) | (left & ADDRESS);
        for (unsigned level = 2; level <= LEVELS; level++)
                for (unsigned page = LEFT; page <= RIGHT; page++) {
                        flush(shared(level, SHARED, page));
                        flush(shared(level, AGAIN(level), page));
                }
        safe_after_edit();
        for (unsigned level = 2; level <= LEVELS; level++)
                for (unsigned page = LEFT; page <= RIGHT; page++) {
                        mix(words(shared(level, SHARED, page))[round % WORDS]);
                        mix(words(shared(level, AGAIN(level), page))[round % WORDS]);
                }
}

/* Space 0 lends its own page to the table without entries, space 1 reads it there, space 2 takes it back. */
static void lent_page(void)
{
        unsigned slot = round % SLOTS;
        uintptr_t page = own(2, EMPTY) | at(1, slot);
        volatile entry *lent = &table(EMPTY_TABLE)[slot];
        if (space == 0) {
                refused(READ, KERNEL_RING, page, 0);
                *lent = table(own_table(0, 1))[COUNTERS];
        }
        if (space == 1)
                mix_page(page);
        if (space == 2) {
                *lent = 0;
                flush(page);
                refused(READ, KERNEL_RING, page, 0);
        }
        safe_after_edit();
}

static void large_page(void)
{
        uintptr_t page = own(2, LARGE_PAGE);
        unsigned word = (4099 * round + space) % LARGE_WORDS;
        store(space != 2, USER_RING, page + 4 * word, round ^ space << 30);
        for (word = 0; word < LARGE_WORDS; word += LARGE_STRIDE)
                mix(words(page)[word]);
}

/* One frame, writable through one page of space 0 alone. */
static void common_frame(void)
{
        unsigned word = (round + space) % WORDS;
        store(space == 0, KERNEL_RING, own(1, COMMON) + 4 * word, 5 * round + 1);
        store(false, KERNEL_RING, own(1, COMMON_AGAIN) + 4 * word, 0);
        mix_page(own(1, COMMON_AGAIN));
}

/* A sum of all bits of all entries but addresses and what hardware sets. */
static uint32_t flags(void)
{
        uint32_t kept = sum;
        sum = 0;
        for (unsigned number = 0; number < TABLES; number++)
                for (unsigned slot = 0; in_window(number) && slot < SLOTS; slot++) {
                        entry flags = table(number)[slot] & ~(ADDRESS | ACCESSED | DIRTY);
                        mix((uint32_t)flags);
                        mix((uint32_t)((uint64_t)flags >> 32));
                }
        uint32_t result = sum;
        sum = kept;
        return result;
}

static void check_tables(void)
{
        if (flags() != flags_at_boot)
                stop("round %u: entries have other bits than at boot", round);
        enter(0);
        for (unsigned slot = 0; LEVELS != 3 && slot < SLOTS; slot++)
                if (self()[slot] != table(own_table(0, LEVELS))[slot])
                        stop("round %u: the root differs from itself in slot %u", round, slot);
}

static void work(void)
{
        sum = 0;
        own_page();
        shared_pages();
        exchange();
        lent_page();
        large_page();
        common_frame();
        print("round %u space %u sum 0x%x faults %u\n", round, space, sum, faults);
}

void guest_main(void)
{
        descriptors();
        flags_at_boot = flags();
        for (round = 0;; round++) {
                safe_between_rounds();
                for (unsigned number = 0; number < SPACES; number++) {
                        enter(number);
                        work();
                }
                check_tables();
        }
}
