/* Descriptor tables, the handler of all exceptions, and attempts at accesses. */

#include "machine.h"
#include "print.h"
#include "safe.h"

/* From trap.S. */
extern uint64_t gdt[];
extern char trap_stack_top[], vectors[], vector_of_calls[];
extern char kernel_read[], kernel_write[], kernel_fetch[], user_read[], user_write[], user_fetch[];
void attempt(void);
_Noreturn void attempt_ended(void);

#define VECTORS         32
#define PAGE_FAULT      14

/* The form of an interrupt gate depends on the width, and so does that of a task; both are 104 bytes long, and what comes
 * from ring 3 gets the stack at byte 4: a pointer, or a pointer and a segment. */
struct gate {
        uint16_t low, selector, type, middle;
#ifdef __x86_64__
        uint32_t high, zero;
#endif
};

struct task {
        uint32_t unused, stack[2], rest[23];
};

struct __attribute__((packed)) table_register {
        uint16_t limit;
        uintptr_t base;
};

static struct gate idt[CALL + 1] __attribute__((aligned(16)));
static struct task task;

static void set_gate(unsigned vector, const char *handler, unsigned ring)
{
        uintptr_t address = (uintptr_t)handler;
        struct gate *gate = &idt[vector];
        gate->low = (uint16_t)address;
        gate->selector = KERNEL_CODE;
        gate->type = (uint16_t)(0x8e00 | ring << 13);
        gate->middle = (uint16_t)(address >> 16);       /* Nothing is above 4 GiB. */
}

void descriptors(void)
{
        for (unsigned vector = 0; vector < VECTORS; vector++)
                set_gate(vector, vectors + 16 * vector, 0);
        set_gate(CALL, vector_of_calls, 3);
        struct table_register interrupts = { sizeof idt - 1, (uintptr_t)idt };
        __asm__ volatile("lidt %0" : : "m"(interrupts));

        uint64_t base = (uintptr_t)&task, limit = sizeof task - 1;
        task.stack[0] = (uint32_t)(uintptr_t)trap_stack_top;
        task.stack[1] = LEVELS > 3 ? 0 : KERNEL_DATA;
        gdt[TASK / 8] = limit | (base & 0xffffff) << 16 | 0x89ull << 40 | (base >> 24 & 0xff) << 56;
        gdt[TASK / 8 + 1] = base >> 32;
        __asm__ volatile("ltr %w0" : : "r"(TASK));
}

/* trap.S knows the order. */
struct {
        const char *code;
        uintptr_t address, value, user, stack;
} asked;

static bool asking;
static struct outcome outcome;

struct trap { uintptr_t a, vector, error, ip, cs; };

_Noreturn void trap(const struct trap *trap);

_Noreturn void trap(const struct trap *trap)
{
        bool page_fault = trap->vector == PAGE_FAULT;
        if (!asking)
                stop("exception %u with error %x at %lx, CR2 %lx", (unsigned)trap->vector, (unsigned)trap->error,
                     (unsigned long)trap->ip, (unsigned long)fault_address());
        outcome = (struct outcome){
                .faulted = trap->vector != CALL,
                .vector = (uint32_t)trap->vector,
                .error = (uint32_t)trap->error,
                .address = page_fault ? fault_address() : 0,
                .value = (uint32_t)trap->a,
        };
        if (page_fault)
                safe_in_handler();
        attempt_ended();
}

struct outcome try(enum access access, enum ring ring, uintptr_t address, uint32_t value)
{
        static const char *const code[2][3] = {
                { kernel_read, kernel_write, kernel_fetch },
                { user_read, user_write, user_fetch },
        };
        asked.code = code[ring][access];
        asked.address = address;
        asked.value = value;
        asked.user = ring == USER_RING;
        asking = true;
        attempt();
        asking = false;
        return outcome;
}
