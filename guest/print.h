/* Text on QEMU's debug console, and the end of the guest. */

#ifndef PRINT_H
#define PRINT_H

/* Knows %u, %x, %lx and %s. */
__attribute__((format(printf, 1, 2))) void print(const char *format, ...);

/* Prints a line that starts with `wrong: `, and has QEMU exit. */
__attribute__((format(printf, 1, 2))) _Noreturn void stop(const char *format, ...);

#endif
