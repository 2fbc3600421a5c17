// The macros below must match how libbidgcc000 was compiled: arguments by value, rounding and flags as arguments.
#define DECIMAL_CALL_BY_REFERENCE 0
#define DECIMAL_GLOBAL_ROUNDING 0
#define DECIMAL_GLOBAL_EXCEPTION_FLAGS 0
#define UNCHANGED_BINARY_STATUS_FLAGS

#include <wchar.h>

#include <bid_conf.h>
#include <bid_functions.h>

#include "CDecimal.h"

static BID_UINT128 to_library(cdecimal128 a) {
    BID_UINT128 r;
    r.w[0] = a.low;
    r.w[1] = a.high;
    return r;
}

static cdecimal128 from_library(BID_UINT128 a) {
    cdecimal128 r = {a.w[0], a.w[1]};
    return r;
}

cdecimal128 cdecimal_add(cdecimal128 a, cdecimal128 b) {
    _IDEC_flags flags = 0;
    return from_library(bid128_add(to_library(a), to_library(b), CDECIMAL_HALF_EVEN, &flags));
}

cdecimal128 cdecimal_multiply(cdecimal128 a, cdecimal128 b) {
    _IDEC_flags flags = 0;
    return from_library(bid128_mul(to_library(a), to_library(b), CDECIMAL_HALF_EVEN, &flags));
}

cdecimal128 cdecimal_divide(cdecimal128 a, cdecimal128 b) {
    _IDEC_flags flags = 0;
    return from_library(bid128_div(to_library(a), to_library(b), CDECIMAL_HALF_EVEN, &flags));
}

cdecimal128 cdecimal_power(cdecimal128 a, cdecimal128 b) {
    _IDEC_flags flags = 0;
    return from_library(bid128_pow(to_library(a), to_library(b), CDECIMAL_HALF_EVEN, &flags));
}

cdecimal128 cdecimal_square_root(cdecimal128 a) {
    _IDEC_flags flags = 0;
    return from_library(bid128_sqrt(to_library(a), CDECIMAL_HALF_EVEN, &flags));
}

cdecimal128 cdecimal_exponential(cdecimal128 a) {
    _IDEC_flags flags = 0;
    return from_library(bid128_exp(to_library(a), CDECIMAL_HALF_EVEN, &flags));
}

cdecimal128 cdecimal_logarithm(cdecimal128 a) {
    _IDEC_flags flags = 0;
    return from_library(bid128_log(to_library(a), CDECIMAL_HALF_EVEN, &flags));
}

cdecimal128 cdecimal_quantize(cdecimal128 a, cdecimal128 pattern, int rounding) {
    _IDEC_flags flags = 0;
    return from_library(bid128_quantize(to_library(a), to_library(pattern), (_IDEC_round)rounding, &flags));
}

int cdecimal_compare(cdecimal128 a, cdecimal128 b) {
    _IDEC_flags flags = 0;
    if (bid128_quiet_less(to_library(a), to_library(b), &flags)) {
        return -1;
    }
    return bid128_quiet_equal(to_library(a), to_library(b), &flags) ? 0 : 1;
}

cdecimal128 cdecimal_parse(const char *text) {
    _IDEC_flags flags = 0;
    return from_library(bid128_from_string((char *)text, CDECIMAL_HALF_EVEN, &flags));
}

double cdecimal_to_double(cdecimal128 a) {
    _IDEC_flags flags = 0;
    return bid128_to_binary64(to_library(a), CDECIMAL_HALF_EVEN, &flags);
}
