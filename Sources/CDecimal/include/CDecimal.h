// Bridge to Intel's decimal floating-point library (Debian: libintelrdfpmath-dev, static libbidgcc000).
//
// The library's own header is full of macros that change every prototype (argument passing, global rounding mode, global
// flags), which Swift cannot import. This header shows one plain struct and plain functions; only CDecimal.c sees bid_functions.h.
#ifndef CDECIMAL_H
#define CDECIMAL_H

#include <stdint.h>

/// The 128 bits of an IEEE 754-2008 decimal128 in binary-integer (BID) encoding, low word first as the library keeps it.
typedef struct {
    uint64_t low;
    uint64_t high;
} cdecimal128;

/// Rounding directions, numbered as the library numbers them.
enum cdecimal_rounding {
    CDECIMAL_HALF_EVEN = 0,
    CDECIMAL_FLOOR = 1,
    CDECIMAL_CEILING = 2,
    CDECIMAL_DOWN = 3,
    CDECIMAL_HALF_UP = 4
};

/// Exists because a sum whose operands lie far apart needs correct rounding over 34 digits.
cdecimal128 cdecimal_add(cdecimal128 a, cdecimal128 b);
/// Exists because a product has up to 68 digits before rounding.
cdecimal128 cdecimal_multiply(cdecimal128 a, cdecimal128 b);
/// Exists because a quotient needs correct rounding and the standard's preferred exponent.
cdecimal128 cdecimal_divide(cdecimal128 a, cdecimal128 b);
/// Exists for `**`: correctly scaled power for integer and fractional exponents.
cdecimal128 cdecimal_power(cdecimal128 a, cdecimal128 b);
/// Exists for `sqrt`.
cdecimal128 cdecimal_square_root(cdecimal128 a);
/// Exists for `exp`.
cdecimal128 cdecimal_exponential(cdecimal128 a);
/// Exists for `log` (natural).
cdecimal128 cdecimal_logarithm(cdecimal128 a);
/// Exists for the rounding functions: `a` rounded to the exponent of `pattern`; NaN when that needs more than 34 digits.
cdecimal128 cdecimal_quantize(cdecimal128 a, cdecimal128 pattern, int rounding);
/// Exists because comparing values with distant exponents needs more than 128 bits: -1, 0, 1; only for finite arguments.
int cdecimal_compare(cdecimal128 a, cdecimal128 b);
/// Exists because text with more than 34 digits must round once, half to even. `text` is NUL-terminated.
cdecimal128 cdecimal_parse(const char *text);
/// Exists because decimal to binary needs correct rounding.
double cdecimal_to_double(cdecimal128 a);

#endif
