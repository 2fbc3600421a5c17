// C interface to libsimdjson's stage 1 (UTF-8 validation, control characters, structural positions) with a
// node tape of our own on top. It exists because simdjson is C++ and because its own DOM neither keeps a
// number's digits nor refuses duplicate keys.
#ifndef CSIMDJSON_H
#define CSIMDJSON_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// One value, or one object key, of the tape. 16 bytes, read directly by the Swift side.
// info: bits 0-2 kind (0 null, 1 bool, 2 number, 3 string, 4 array, 5 object), bits 3-7 flags, bits 8-31 the
// number of members or elements, saturating. next: index of the first node after this value's subtree;
// for a key it is instead a fingerprint of its decoded bytes: length, first, middle and last byte.
typedef struct csj_node {
    uint32_t offset;  // of the first source byte; for strings of the first byte after the quote
    uint32_t length;  // in source bytes; for strings without the quotes
    uint32_t info;
    uint32_t next;
} csj_node;

enum {
    CSJ_FLAG_ESCAPED = 8,    // string with at least one backslash
    CSJ_FLAG_INTEGER = 16,   // number without fraction and exponent
    CSJ_FLAG_SPECIAL = 32,   // NaN, Infinity, -Infinity
    CSJ_FLAG_TRUE = 64,      // the bool is true
    CSJ_FLAG_NEGATIVE = 128  // number with a minus sign
};

enum {
    CSJ_OK = 0,
    CSJ_EMPTY,
    CSJ_INVALID_UTF8,
    CSJ_CONTROL_CHARACTER,
    CSJ_UNCLOSED_STRING,
    CSJ_SYNTAX,
    CSJ_INVALID_NUMBER,
    CSJ_INVALID_ESCAPE,
    CSJ_LONE_SURROGATE,
    CSJ_NUL_IN_STRING,
    CSJ_DUPLICATE_KEY,
    CSJ_TOO_DEEP,
    CSJ_TOO_LARGE,
    CSJ_TRAILING_CONTENT,
    CSJ_TRUNCATED,
    CSJ_OUT_OF_MEMORY
};

typedef struct csj_parser csj_parser;

// NULL when memory is exhausted.
csj_parser *csj_create(void);
void csj_destroy(csj_parser *parser);

// Parses length bytes, which need no padding. Returns CSJ_OK or an error; *error_offset is then set.
int32_t csj_parse(csj_parser *parser, const uint8_t *bytes, size_t length, uint32_t max_depth,
                  int32_t allows_nan, size_t *error_offset);

// The tape of the last successful parse: an array of csj_node, valid until the next parse or destroy.
const void *csj_nodes(const csj_parser *parser);
uint32_t csj_node_count(const csj_parser *parser);

// Decodes the escapes of a string that a parse accepted. destination has room for length bytes.
size_t csj_unescape(const uint8_t *bytes, size_t length, uint8_t *destination);

// Correctly rounded and locale-free; 0 on success, 1 when the magnitude is out of range either way.
int32_t csj_parse_double(const uint8_t *bytes, size_t length, double *value);

// The shortest decimal that reads back as the same bits: significand * 10^exponent. value is finite.
void csj_shortest_double(double value, uint64_t *significand, int32_t *exponent);
void csj_shortest_float(float value, uint64_t *significand, int32_t *exponent);

#ifdef __cplusplus
}
#endif

#endif
