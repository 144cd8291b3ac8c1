/* What differs between the widths in boot.S and trap.S: names of registers, the size of a word, and what a C function
 * expects to be kept. */

#ifdef __x86_64__

#define A               %rax
#define C               %rcx
#define D               %rdx
#define SP              %rsp
#define ARGUMENT        %rdi
#define WORD            8
#define POINTER         .quad
#define IRET            iretq
#define CODE_SEGMENT    0x00af9b000000ffff
#define SAVE            push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15
#define RESTORE         pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx

#else

#define A               %eax
#define C               %ecx
#define D               %edx
#define SP              %esp
#define ARGUMENT        %eax            /* -mregparm=3 */
#define WORD            4
#define POINTER         .long
#define IRET            iretl
#define CODE_SEGMENT    0x00cf9b000000ffff
#define SAVE            push %ebx; push %ebp; push %esi; push %edi
#define RESTORE         pop %edi; pop %esi; pop %ebp; pop %ebx

#endif

#define DATA_SEGMENT    0x00cf93000000ffff
#define FOR_RING_3      0x0000600000000000
