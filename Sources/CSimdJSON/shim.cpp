#include "CSimdJSON.h"

#include <simdjson.h>

#include <charconv>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <vector>

#include "builder.hpp"

namespace {

constexpr size_t minimum_capacity = 4096;
// A parser that once saw a big document gives the memory back when a document eight times smaller follows.
constexpr size_t shrink_threshold = 4u << 20;
constexpr size_t maximum_bytes = 1u << 31;

// simdjson stops with a code only; the position for the message is found here, on the error path.
size_t first_invalid_utf8(const uint8_t *p, size_t length) {
    size_t i = 0;
    while (i < length) {
        uint8_t lead = p[i];
        size_t extra = lead < 0x80 ? 0 : lead < 0xC2 ? 9 : lead < 0xE0 ? 1 : lead < 0xF0 ? 2 : lead < 0xF5 ? 3 : 9;
        if (extra == 9 || i + extra >= length) { return i; }
        for (size_t k = 1; k <= extra; k++) {
            if ((p[i + k] & 0xC0) != 0x80) { return i; }
        }
        if ((lead == 0xE0 && p[i + 1] < 0xA0) || (lead == 0xED && p[i + 1] > 0x9F)) { return i; }
        if ((lead == 0xF0 && p[i + 1] < 0x90) || (lead == 0xF4 && p[i + 1] > 0x8F)) { return i; }
        i += extra + 1;
    }
    return length;
}

size_t first_control_in_string(const uint8_t *p, size_t length) {
    bool inside = false;
    for (size_t i = 0; i < length; i++) {
        if (inside && p[i] < 0x20) { return i; }
        if (p[i] == '\\') {
            i++;
        } else if (p[i] == '"') {
            inside = !inside;
        }
    }
    return length;
}

template <typename Real>
void shortest(Real value, uint64_t *significand, int32_t *exponent) {
    char text[64];
    auto end = std::to_chars(text, text + sizeof text, value < 0 ? -value : value, std::chars_format::scientific).ptr;
    uint64_t digits = 0;
    int32_t fraction = 0;
    const char *p = text;
    bool after_point = false;
    for (; p < end && *p != 'e'; p++) {
        if (*p == '.') {
            after_point = true;
        } else {
            digits = digits * 10 + uint64_t(*p - '0');
            fraction += after_point ? 1 : 0;
        }
    }
    int32_t power = 0;
    if (p < end) {
        p++;
        if (*p == '+') { p++; }
        std::from_chars(p, end, power);
    }
    *significand = digits;
    *exponent = digits == 0 ? 0 : power - fraction;
}

}  // namespace

struct csj_parser {
    std::unique_ptr<simdjson::internal::dom_parser_implementation> indexer;
    size_t capacity = 0;
    csj::Scratch scratch;

    bool reserve(size_t length) {
        bool shrinks = capacity > shrink_threshold && length < capacity / 8;
        if (indexer && length <= capacity && !shrinks) { return true; }
        size_t wanted = minimum_capacity;
        while (wanted < length) { wanted *= 2; }
        indexer.reset();
        capacity = 0;
        if (shrinks) { scratch.release(); }
        // The depth here is only for simdjson's own stage 2, which is not used.
        auto error = simdjson::get_active_implementation()->create_dom_parser_implementation(wanted, 1, indexer);
        if (error != simdjson::SUCCESS) {
            indexer.reset();
            return false;
        }
        capacity = wanted;
        return true;
    }
};

extern "C" {

csj_parser *csj_create(void) { return new (std::nothrow) csj_parser(); }

void csj_destroy(csj_parser *parser) { delete parser; }

int32_t csj_parse(csj_parser *parser, const uint8_t *bytes, size_t length, uint32_t max_depth, int32_t allows_nan,
                  size_t *error_offset) {
    *error_offset = 0;
    if (length == 0) { return CSJ_EMPTY; }
    if (length > maximum_bytes) { return CSJ_TOO_LARGE; }
    if (!parser->reserve(length)) { return CSJ_OUT_OF_MEMORY; }
    auto error = parser->indexer->stage1(bytes, length, simdjson::stage1_mode::regular);
    switch (error) {
    case simdjson::SUCCESS:
        break;
    case simdjson::EMPTY:
        return CSJ_EMPTY;
    case simdjson::UTF8_ERROR:
        *error_offset = first_invalid_utf8(bytes, length);
        return CSJ_INVALID_UTF8;
    case simdjson::UNESCAPED_CHARS:
        *error_offset = first_control_in_string(bytes, length);
        return CSJ_CONTROL_CHARACTER;
    case simdjson::UNCLOSED_STRING:
        *error_offset = length;
        return CSJ_UNCLOSED_STRING;
    default:
        return CSJ_SYNTAX;
    }
    uint32_t count = parser->indexer->n_structural_indexes;
    if (!parser->scratch.reserve(count, max_depth)) { return CSJ_OUT_OF_MEMORY; }
    csj::Builder builder(parser->scratch, bytes, uint32_t(length), parser->indexer->structural_indexes.get(), count,
                         max_depth, allows_nan != 0);
    int32_t code = builder.run();
    *error_offset = builder.error_offset;
    return code;
}

const void *csj_nodes(const csj_parser *parser) { return parser->scratch.nodes.get(); }

uint32_t csj_node_count(const csj_parser *parser) { return parser->scratch.used; }

size_t csj_unescape(const uint8_t *bytes, size_t length, uint8_t *destination) {
    return csj::unescape(bytes, length, destination);
}

int32_t csj_parse_double(const uint8_t *bytes, size_t length, double *value) {
    auto first = reinterpret_cast<const char *>(bytes);
    auto result = std::from_chars(first, first + length, *value, std::chars_format::general);
    return result.ec == std::errc() ? 0 : 1;
}

void csj_shortest_double(double value, uint64_t *significand, int32_t *exponent) {
    shortest(value, significand, exponent);
}

void csj_shortest_float(float value, uint64_t *significand, int32_t *exponent) {
    shortest(value, significand, exponent);
}

}  // extern "C"
