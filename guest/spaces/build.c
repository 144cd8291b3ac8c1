/* Builds all spaces. Runs at boot, where addresses are physical ones, in sections that no space maps. */

#include "spaces.h"

#define BOOT            __attribute__((section(".boot.text")))

/* From guest.ld. */
extern char text[], user_text[], data[], end[];

static entry tables[TABLES][SLOTS] __attribute__((section(".tables"), aligned(PAGE)));

enum frame { OF_SPACE, OF_COMMON = OF_SPACE + SPACES, OF_LEFT, OF_RIGHT, FRAMES };

static uint32_t frames[FRAMES][PAGE / 4] __attribute__((section(".frames"), aligned(PAGE)));
static uint32_t large[(1 << SHIFT(2)) / 4] __attribute__((section(".large"), aligned(1 << SHIFT(2))));

volatile uintptr_t space_roots[SPACES];

/* Roots of PAE are 32 bytes, so that one page has room for them all. */
static BOOT uintptr_t place(unsigned number)
{
        if (in_window(number))
                return (uintptr_t)tables[number];
        return (uintptr_t)tables[own_table(0, LEVELS)] + 32 * (1 + (number - OWN_TABLES) / LEVELS);
}

/* Every entry carries its slot in the bits that are software's, to see that those stay what they are. */
static BOOT void set(unsigned number, unsigned slot, uintptr_t address, entry bits)
{
        entry *target = (entry *)place(number) + slot;
        *target = address | bits | SOFTWARE(slot) | PRESENT;
}

static BOOT void link(unsigned from, unsigned level, unsigned slot, unsigned to, entry rights)
{
        set(from, slot, place(to), has_rights(level) ? rights : 0);
}

static BOOT void kernel(void)
{
        for (unsigned level = LEVELS - 1; level > 1; level--)
                link(kernel_table(level), level, 0, kernel_table(level - 1), WRITABLE | USER);
        for (uintptr_t page = (uintptr_t)text; page < (uintptr_t)end; page += PAGE) {
                entry rights = WRITABLE | NO_EXECUTE;
                if (page < (uintptr_t)data)
                        rights = page < (uintptr_t)user_text ? 0 : USER;
                set(kernel_table(1), page / PAGE % SLOTS, page, rights);
        }
}

static BOOT void shared_tables(void)
{
        for (unsigned level = LEVELS - 1; level > 1; level--)
                link(shared_table(level), level, 0, shared_table(level - 1), WRITABLE | USER);
        set(shared_table(1), LEFT, (uintptr_t)frames[OF_LEFT], WRITABLE | USER | NO_EXECUTE);
        set(shared_table(1), RIGHT, (uintptr_t)frames[OF_RIGHT], WRITABLE | USER | PAT);
        tables[shared_table(1)][MARKED] = MARK;

        for (unsigned number = 0; number < TABLES; number++)
                if (in_window(number))
                        set(WINDOW_TABLE, number, place(number), WRITABLE | NO_EXECUTE);
}

static BOOT void space(unsigned number)
{
        unsigned root = own_table(number, LEVELS);
        entry but_2 = number == 2 ? 0 : WRITABLE;
        link(root, LEVELS, 0, kernel_table(LEVELS - 1), WRITABLE | USER);
        for (unsigned level = LEVELS; level > 1; level--) {
                unsigned own = own_table(number, level);
                link(own, level, OWN, own_table(number, level - 1), WRITABLE | USER);
                link(own, level, SHARED, shared_table(level - 1), but_2 | USER);
                link(own, level, AGAIN(level), shared_table(level - 1), 0);
        }
        unsigned directory = own_table(number, 2), pages = own_table(number, 1);
        set(directory, LARGE_PAGE, (uintptr_t)large, but_2 | USER | LARGE | LARGE_PAT | NO_EXECUTE);
        link(directory, 2, WINDOW, WINDOW_TABLE, WRITABLE);
        link(directory, 2, EMPTY, EMPTY_TABLE, WRITABLE | USER);
        set(pages, COUNTERS, (uintptr_t)frames[OF_SPACE + number], WRITABLE | NO_EXECUTE | UNCACHED);
        set(pages, COMMON, (uintptr_t)frames[OF_COMMON], number == 0 ? WRITABLE | USER : USER);
        set(pages, COMMON_AGAIN, (uintptr_t)frames[OF_COMMON], NO_EXECUTE);
        if (number == 0 && LEVELS != 3)
                link(root, LEVELS, SELF, root, WRITABLE | NO_EXECUTE);
        space_roots[number] = place(root);
}

/* Returns the root of space 0. */
BOOT uintptr_t build(void)
{
        kernel();
        shared_tables();
        for (unsigned number = 0; number < SPACES; number++)
                space(number);

        uint32_t *words = frames[0];
        for (unsigned word = 0; word < sizeof frames / 4; word++)
                words[word] = initial(word);
        for (unsigned word = 0; word < sizeof large / 4; word++)
                large[word] = initial(~word);
        return space_roots[0];
}
