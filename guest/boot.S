/* From the state that a PVH loader leaves (32-bit protected mode, flat segments, paging off) to `build` and `guest_main`,
 * which every program has.
 *
 * All of this, and `build`, is in sections that no space maps: once the guest runs in its spaces, nothing of it can be
 * reached, and a compacted copy of the guest does not have it. */

#include "format.h"
#include "registers.h"

        .macro  entry_of value
        .long   \value
        .fill   ENTRY_BYTES / 4 - 1, 4, 0
        .endm

#if LEVELS == 3
#define BOOT_RIGHTS     0               /* A PAE root's entries have none. */
#else
#define BOOT_RIGHTS     WRITABLE
#endif

        .section .note.pvh, "a", @note
        .align  4
        .long   4, 4, 18                /* Name and value have 4 bytes each; 18 is XEN_ELFNOTE_PHYS32_ENTRY. */
        .asciz  "Xen"
        .long   entry

        .section .boot.text, "ax"
        .code32
        .globl  entry
entry:
        cli
        cld
        lgdt    gdt_register
        mov     $CR4_PAGING, %eax
        mov     %eax, %cr4
#if EFER_PAGING
        mov     $MSR_EFER, %ecx
        rdmsr
        or      $EFER_PAGING, %eax
        wrmsr
#endif
        mov     $boot_tables, %eax
        mov     %eax, %cr3
        mov     %cr0, %eax
        or      $(CR0_PG | CR0_WP), %eax
        mov     %eax, %cr0
        ljmp    $KERNEL_CODE, $1f

#ifdef __x86_64__
        .code64
#endif
1:      mov     $KERNEL_DATA, %eax
        mov     %eax, %ss
        mov     $USER_DATA, %eax        /* Which ring 3 may keep. */
        mov     %eax, %ds
        mov     %eax, %es
        mov     %eax, %fs
        mov     %eax, %gs
        mov     $boot_stack_top, SP
        call    build
        jmp     run

        .text
run:    mov     A, %cr3                 /* The root of the first space, which maps this page where it is. */
        mov     $stack_top, SP
        call    guest_main              /* Does not return. */

/* The first 16 MiB where they are, in large pages, below one table of every level. */
        .section .boot.data, "aw"
        .align  PAGE
boot_tables:
        .rept   LEVELS - 2
        entry_of . + PAGE + PRESENT + BOOT_RIGHTS
        .fill   SLOTS - 1, ENTRY_BYTES, 0
        .endr
        .set    page, 0
        .rept   (16 << 20) >> SHIFT(2)
        entry_of page | PRESENT | WRITABLE | LARGE
        .set    page, page + (1 << SHIFT(2))
        .endr
        .align  PAGE

        .section .boot.bss, "aw", @nobits
        .align  16
        .skip   4096
boot_stack_top:

        .bss
        .align  16
        .skip   8192
stack_top:

        .section .note.GNU-stack, "", @progbits
