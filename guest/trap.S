/* Descriptors, the vectors of all exceptions, and `attempt`: one access that may fault, in ring 0 or 3.
 *
 * A trap never returns to where it happened. It ends an attempt or it ends the guest, so that no register has to be kept
 * but those which `attempt` saved. */

#include "format.h"
#include "registers.h"

        .data
        .align  16
        .globl  gdt
gdt:    .quad   0
        .quad   CODE_SEGMENT
        .quad   DATA_SEGMENT
        .quad   CODE_SEGMENT | FOR_RING_3
        .quad   DATA_SEGMENT | FOR_RING_3
        .quad   0, 0                    /* The task, which `descriptors` fills in. */
gdt_end:

        .globl  gdt_register
gdt_register:
        .word   gdt_end - gdt - 1
        POINTER gdt

        .bss
        .align  16
        .skip   4096
        .globl  trap_stack_top          /* For what comes from ring 3. */
trap_stack_top:

        .text
        .globl  vectors
        .globl  vector_of_calls
vectors:                                /* 32 of them, 16 bytes each. */
        .set    vector, 0
        .rept   32
        .align  16
        .if     !((0x60227d00 >> vector) & 1)
        push    $0                      /* Only those in the mask come with an error code. */
        .endif
        push    $vector
        jmp     trapped
        .set    vector, vector + 1
        .endr
vector_of_calls:
        push    $0
        push    $CALL
trapped:
        push    A
        mov     SP, ARGUMENT
        and     $-16, SP
        call    trap                    /* Does not return. */

/* What `asked` describes, in its order: code, address, value, whether in ring 3; then the stack to come back to. */
        .globl  attempt
attempt:
        SAVE
        mov     SP, asked + 4 * WORD
        mov     asked, A
        mov     asked + WORD, D
        mov     asked + 2 * WORD, C
        cmpl    $0, asked + 3 * WORD
        jne     1f
        jmp     *A
1:      push    $USER_DATA
        push    $0
        pushf
        push    $USER_CODE
        push    A
        IRET

        .globl  attempt_ended
attempt_ended:
        mov     asked + 4 * WORD, SP
        RESTORE
        ret

/* The accesses, once for each ring: no page is both the kernel's and the user's, as SMEP and SMAP would have it. */
        .macro  accesses ring
        .globl  \ring\()_read, \ring\()_write, \ring\()_fetch
\ring\()_read:
        movl    (D), %eax
        int     $CALL
\ring\()_write:
        movl    %ecx, (D)
        int     $CALL
\ring\()_fetch:
        jmp     *D                      /* To an `int $CALL`. */
        .endm

        accesses kernel
        .section .user.text, "ax"
        accesses user

        .section .note.GNU-stack, "", @progbits
