/* See print.h. QEMU has the ports where `-device isa-debugcon` and `-device isa-debug-exit,iobase=0xf4` put them. */

#include <stdarg.h>

#include "machine.h"
#include "print.h"

#define CONSOLE         0xe9
#define EXIT            0xf4

static void put(const char *text)
{
        while (*text)
                out8(CONSOLE, (uint8_t)*text++);
}

static void put_hexadecimal(unsigned long number)
{
        unsigned digits = 1;
        while (digits < 2 * sizeof number && number >> 4 * digits)
                digits++;
        while (digits-- > 0)
                out8(CONSOLE, (uint8_t)"0123456789abcdef"[number >> 4 * digits & 15]);
}

static void put_decimal(unsigned number)
{
        if (number >= 10)
                put_decimal(number / 10);
        out8(CONSOLE, (uint8_t)('0' + number % 10));
}

static void put_all(const char *format, va_list arguments)
{
        for (; *format; format++) {
                if (*format != '%') {
                        out8(CONSOLE, (uint8_t)*format);
                        continue;
                }
                switch (*++format) {
                case 'u':
                        put_decimal(va_arg(arguments, unsigned));
                        break;
                case 'x':
                        put_hexadecimal(va_arg(arguments, unsigned));
                        break;
                case 'l':
                        format++;
                        put_hexadecimal(va_arg(arguments, unsigned long));
                        break;
                default:
                        put(va_arg(arguments, const char *));
                }
        }
}

void print(const char *format, ...)
{
        va_list arguments;
        va_start(arguments, format);
        put_all(format, arguments);
        va_end(arguments);
}

_Noreturn void stop(const char *format, ...)
{
        va_list arguments;
        va_start(arguments, format);
        put("wrong: ");
        put_all(format, arguments);
        va_end(arguments);
        put("\n");
        for (;;)
                out32(EXIT, 1);
}
