/* What only instructions can do: ports, control registers, descriptors; and accesses that may fault. */

#ifndef MACHINE_H
#define MACHINE_H

#include "format.h"

static inline void out8(uint16_t port, uint8_t value)
{
        __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static inline void out32(uint16_t port, uint32_t value)
{
        __asm__ volatile("outl %0, %1" : : "a"(value), "Nd"(port));
}

static inline void load_root(uintptr_t root)
{
        __asm__ volatile("mov %0, %%cr3" : : "r"(root) : "memory");
}

static inline uintptr_t fault_address(void)
{
        uintptr_t address;
        __asm__ volatile("mov %%cr2, %0" : "=r"(address));
        return address;
}

static inline void flush(uintptr_t address)
{
        __asm__ volatile("invlpg (%0)" : : "r"(address) : "memory");
}

/* GDT, task and IDT. From here on exceptions are taken. */
void descriptors(void);

/* What an access that may fault did. */
enum access { READ, WRITE, FETCH };
enum ring { KERNEL_RING, USER_RING };

struct outcome {
        bool faulted;
        uint32_t vector;                /* CALL if it did not fault. */
        uint32_t error;                 /* The exception's error code, */
        uintptr_t address;              /* and a page fault's CR2. */
        uint32_t value;                 /* What was read. */
};

struct outcome try(enum access access, enum ring ring, uintptr_t address, uint32_t value);

/* Error codes of page faults. */
#define PROTECTION      0x01
#define BY_WRITE        0x02
#define BY_USER         0x04
#define BY_FETCH        0x10

#endif
