/* One access that the guest is asked to make: what the host writes into memory, and what the guest adds. The host's side is
 * conformance/src/faults/record.rs. */

#ifndef RECORD_H
#define RECORD_H

#include "format.h"

/* Where they are, in memory that nothing else uses: how many, and from the next page on the records. */
#define RECORDS         (16 << 20)

/* Memory that pages may show: from here to RECORDS. Nothing else is there, and every page of it can be executed at the one
 * offset that accesses have. */
#define PLAYGROUND      (4 << 20)
#define OFFSET          0x123

/* The slot that leads to the page, in tables of every level. The first slots of the root are the kernel's. */
#define SLOT            (LEVELS == 2 ? 768 : 3)

struct record {
        uint64_t entries[5];            /* Level 1 first. Afterwards: as the access left them. */
        uint64_t address;
        uint32_t cr0, cr4, efer, flags; /* Whole registers, of which the guest takes WP, all, NXE and AC. */
        uint32_t pkru, pkrs;
        uint32_t access, ring;          /* As in machine.h. */

        uint32_t vector;                /* CALL if the access came to its end. */
        uint32_t error;
        uint64_t cr2;
};

#endif
