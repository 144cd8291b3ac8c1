/* Makes the accesses that it is asked to make, each over its own entries and in its own state, and writes down what became of
 * them: which exception, with which error code and CR2, and the entries as they are afterwards. */

#include "machine.h"
#include "record.h"
#include "safe.h"

#define MSR_PKRS        0x6e1
#define CR4_PKE         (1 << 22)
#define FLAG_AC         (1 << 18)

/* What is written, if it is: what is there already. */
#define VALUE           (CALL << 8 | 0xcd)

extern entry tested[LEVELS][SLOTS];
extern uintptr_t root;

void guest_main(void);

static void set_msr(uint32_t number, uint32_t low)
{
        __asm__ volatile("wrmsr" : : "c"(number), "a"(low), "d"(0) : "memory");
}

static uint32_t msr(uint32_t number)
{
        uint32_t low, high;
        __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(number));
        return low;
}

static void set_flags(uint32_t ac)
{
        uintptr_t flags;
        __asm__ volatile("pushf; pop %0" : "=r"(flags));
        flags = (flags & ~(uintptr_t)FLAG_AC) | (ac & FLAG_AC);
        __asm__ volatile("push %0; popf" : : "r"(flags) : "cc", "memory");
}

/* Nothing of the kernel depends on any of this. */
static void enter(const struct record *record)
{
        uintptr_t cr0;
        __asm__ volatile("mov %%cr0, %0" : "=r"(cr0));
        cr0 = (cr0 & ~(uintptr_t)CR0_WP) | (record->cr0 & CR0_WP);
        __asm__ volatile("mov %0, %%cr0" : : "r"(cr0) : "memory");
        __asm__ volatile("mov %0, %%cr4" : : "r"((uintptr_t)record->cr4) : "memory");
        set_msr(MSR_EFER, (msr(MSR_EFER) & ~EFER_NXE) | (record->efer & EFER_NXE));
        set_msr(MSR_PKRS, record->pkrs);
        if (record->cr4 & CR4_PKE)
                __asm__ volatile(".byte 0x0f, 0x01, 0xef" : : "a"(record->pkru), "c"(0), "d"(0));       /* WRPKRU */
}

static volatile entry *place(unsigned level)
{
        return &tested[level - 1][SLOT];
}

static void make(struct record *record)
{
        for (unsigned level = 1; level <= LEVELS; level++)
                *place(level) = (entry)record->entries[level - 1];
        load_root(root);
        enter(record);
        set_flags(record->flags);
        struct outcome outcome = try(record->access, record->ring, (uintptr_t)record->address, VALUE);
        set_flags(0);
        record->vector = outcome.vector;
        record->error = outcome.error;
        record->cr2 = outcome.address;
        for (unsigned level = 1; level <= LEVELS; level++)
                record->entries[level - 1] = *place(level);
}

void guest_main(void)
{
        volatile uint64_t *count = (volatile uint64_t *)RECORDS;
        struct record *records = (struct record *)(RECORDS + PAGE);
        descriptors();
        for (;;) {
                safe_between_rounds();
                for (uint32_t number = 0; number < (uint32_t)*count; number++)
                        make(&records[number]);
        }
}
