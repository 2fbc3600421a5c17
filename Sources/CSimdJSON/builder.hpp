// Stage 2: turns the structural positions that simdjson found into the node tape, and checks everything that
// stage 1 does not: grammar, numbers, escapes, duplicate keys, depth.
#ifndef CSIMDJSON_BUILDER_HPP
#define CSIMDJSON_BUILDER_HPP

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <vector>

#include "CSimdJSON.h"

namespace csj {

constexpr uint32_t kind_null = 0, kind_bool = 1, kind_number = 2, kind_string = 3, kind_array = 4, kind_object = 5;

constexpr uint32_t maximum_count = (1u << 24) - 1;
// Up to this many keys every pair is compared; above, the keys are sorted, which no input can make quadratic.
constexpr uint32_t pairwise_keys_max = 24;

inline bool is_space(uint8_t c) { return c == ' ' || c == '\n' || c == '\t' || c == '\r'; }
inline bool is_digit(uint8_t c) { return uint8_t(c - '0') <= 9; }

inline int hex_digit(uint8_t c) {
    if (is_digit(c)) { return c - '0'; }
    uint8_t lower = c | 0x20;
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

// The code unit of four hexadecimal digits at p, or -1.
inline int32_t hex_unit(const uint8_t *p) {
    int32_t value = 0;
    for (int k = 0; k < 4; k++) {
        int digit = hex_digit(p[k]);
        if (digit < 0) { return -1; }
        value = value * 16 + digit;
    }
    return value;
}

inline uint8_t *append_scalar(uint32_t scalar, uint8_t *out) {
    if (scalar < 0x80) {
        *out++ = uint8_t(scalar);
    } else if (scalar < 0x800) {
        *out++ = uint8_t(0xC0 | scalar >> 6);
        *out++ = uint8_t(0x80 | (scalar & 0x3F));
    } else if (scalar < 0x10000) {
        *out++ = uint8_t(0xE0 | scalar >> 12);
        *out++ = uint8_t(0x80 | (scalar >> 6 & 0x3F));
        *out++ = uint8_t(0x80 | (scalar & 0x3F));
    } else {
        *out++ = uint8_t(0xF0 | scalar >> 18);
        *out++ = uint8_t(0x80 | (scalar >> 12 & 0x3F));
        *out++ = uint8_t(0x80 | (scalar >> 6 & 0x3F));
        *out++ = uint8_t(0x80 | (scalar & 0x3F));
    }
    return out;
}

// The input was accepted by Builder::check_escapes, so every escape is complete.
inline size_t unescape(const uint8_t *bytes, size_t length, uint8_t *destination) {
    uint8_t *out = destination;
    for (size_t i = 0; i < length;) {
        if (bytes[i] != '\\') {
            *out++ = bytes[i++];
            continue;
        }
        uint8_t c = bytes[i + 1];
        i += 2;
        switch (c) {
        case 'b': *out++ = '\b'; break;
        case 'f': *out++ = '\f'; break;
        case 'n': *out++ = '\n'; break;
        case 'r': *out++ = '\r'; break;
        case 't': *out++ = '\t'; break;
        case 'u': {
            uint32_t scalar = uint32_t(hex_unit(bytes + i));
            i += 4;
            if (scalar >= 0xD800 && scalar < 0xDC00) {
                uint32_t low = uint32_t(hex_unit(bytes + i + 2));
                i += 6;
                scalar = 0x10000 + ((scalar - 0xD800) << 10) + (low - 0xDC00);
            }
            out = append_scalar(scalar, out);
            break;
        }
        default: *out++ = c;
        }
    }
    return size_t(out - destination);
}

// Mixes length, first, middle and last byte; the Swift side computes the same for a looked-up key.
inline uint32_t fingerprint(const uint8_t *p, uint32_t n) {
    if (n == 0) { return 0; }
    return (n & 0xFF) | uint32_t(p[0]) << 8 | uint32_t(p[n / 2]) << 16 | uint32_t(p[n - 1]) << 24;
}

struct Frame {
    uint32_t node;
    uint32_t count;
};

struct FreeDeleter {
    void operator()(void *p) const { std::free(p); }
};

// Memory that is kept between parses.
struct Scratch {
    std::unique_ptr<csj_node[], FreeDeleter> nodes;
    uint32_t node_capacity = 0;
    uint32_t used = 0;
    std::unique_ptr<Frame[], FreeDeleter> frames;
    uint32_t frame_capacity = 0;
    std::vector<uint32_t> keys;
    std::vector<uint8_t> left, right;

    bool reserve(uint32_t node_count, uint32_t depth) {
        used = 0;
        if (node_count > node_capacity) {
            uint32_t wanted = std::max(node_count, std::max(512u, node_capacity < (1u << 30) ? node_capacity * 2 : 0u));
            nodes.reset(static_cast<csj_node *>(std::malloc(size_t(wanted) * sizeof(csj_node))));
            node_capacity = nodes ? wanted : 0;
        }
        if (depth + 1 > frame_capacity) {
            frames.reset(static_cast<Frame *>(std::malloc((size_t(depth) + 1) * sizeof(Frame))));
            frame_capacity = frames ? depth + 1 : 0;
        }
        return nodes && frames;
    }

    void release() {
        nodes.reset();
        node_capacity = 0;
        used = 0;
        std::vector<uint32_t>().swap(keys);
        std::vector<uint8_t>().swap(left);
        std::vector<uint8_t>().swap(right);
    }
};

class Builder {
public:
    size_t error_offset = 0;

    Builder(Scratch &scratch, const uint8_t *buf, uint32_t len, const uint32_t *positions, uint32_t count,
            uint32_t max_depth, bool allows_nan)
        : scratch(scratch), buf(buf), len(len), positions(positions), count(count), max_depth(max_depth),
          allows_nan(allows_nan), out(scratch.nodes.get()) {
        backslash = find_backslash(0);
    }

    int32_t run();

private:
    Scratch &scratch;
    const uint8_t *buf;
    uint32_t len;
    const uint32_t *positions;
    uint32_t count;
    uint32_t max_depth;
    bool allows_nan;
    csj_node *out;
    uint32_t used = 0;
    uint32_t cursor = 0;
    uint32_t depth = 0;
    // Strings come in source order, so one moving position tells which of them hold an escape.
    uint32_t backslash = 0;

    uint32_t find_backslash(uint32_t from) const {
        auto found = from < len ? std::memchr(buf + from, '\\', len - from) : nullptr;
        return found ? uint32_t(static_cast<const uint8_t *>(found) - buf) : len;
    }

    int32_t fail(int32_t code, size_t offset) {
        error_offset = offset;
        return code;
    }

    // Where the token that starts before positions[cursor] must have ended.
    uint32_t bound() const { return cursor < count ? positions[cursor] : len; }

    bool ends_at(uint32_t i, uint32_t limit) const { return i == limit || is_space(buf[i]); }

    int32_t scalar(uint32_t at);
    int32_t string(uint32_t at, bool is_key);
    int32_t number(uint32_t at);
    int32_t literal(uint32_t at, const char *text, uint32_t size, uint32_t info);
    int32_t check_escapes(uint32_t from, uint32_t to);
    int32_t close(uint32_t at, uint32_t kind);
    int32_t check_keys(const Frame &frame);
    const uint8_t *decoded(const csj_node &key, std::vector<uint8_t> &room, uint32_t &length);
    bool equal_keys(uint32_t a, uint32_t b);
    bool key_before(uint32_t a, uint32_t b);
};

inline int32_t Builder::run() {
    Frame *frames = scratch.frames.get();
    bool wants_key = false;
    bool may_close = false;
    for (;;) {
        if (cursor >= count) { return fail(CSJ_TRUNCATED, len); }
        uint32_t at = positions[cursor++];
        uint8_t c = buf[at];
        if (may_close && (c == '}' || c == ']')) {
            if ((c == '}') != wants_key) { return fail(CSJ_SYNTAX, at); }
        } else {
            if (wants_key) {
                if (c != '"') { return fail(CSJ_SYNTAX, at); }
                if (int32_t code = string(at, true)) { return code; }
                if (cursor >= count) { return fail(CSJ_TRUNCATED, len); }
                if (buf[positions[cursor]] != ':') { return fail(CSJ_SYNTAX, positions[cursor]); }
                cursor++;
                if (cursor >= count) { return fail(CSJ_TRUNCATED, len); }
                at = positions[cursor++];
                c = buf[at];
            }
            if (depth > 0) { frames[depth - 1].count++; }
            if (c == '{' || c == '[') {
                if (depth >= max_depth) { return fail(CSJ_TOO_DEEP, at); }
                frames[depth++] = {used, 0};
                out[used++] = {at, 0, c == '{' ? kind_object : kind_array, 0};
                wants_key = c == '{';
                may_close = true;
                continue;
            }
            if (int32_t code = scalar(at)) { return code; }
            if (depth == 0) { break; }
            if (cursor >= count) { return fail(CSJ_TRUNCATED, len); }
            at = positions[cursor++];
            c = buf[at];
        }
        while (c == '}' || c == ']') {
            if (int32_t code = close(at, c == '}' ? kind_object : kind_array)) { return code; }
            if (depth == 0) { break; }
            if (cursor >= count) { return fail(CSJ_TRUNCATED, len); }
            at = positions[cursor++];
            c = buf[at];
        }
        if (depth == 0) { break; }
        if (c != ',') { return fail(CSJ_SYNTAX, at); }
        wants_key = (out[frames[depth - 1].node].info & 7) == kind_object;
        may_close = false;
    }
    if (cursor != count) { return fail(CSJ_TRAILING_CONTENT, positions[cursor]); }
    scratch.used = used;
    return CSJ_OK;
}

inline int32_t Builder::close(uint32_t at, uint32_t kind) {
    const Frame frame = scratch.frames[depth - 1];
    csj_node &node = out[frame.node];
    if ((node.info & 7) != kind) { return fail(CSJ_SYNTAX, at); }
    node.length = at + 1 - node.offset;
    node.info |= std::min(frame.count, maximum_count) << 8;
    node.next = used;
    depth--;
    return kind == kind_object && frame.count > 1 ? check_keys(frame) : CSJ_OK;
}

inline int32_t Builder::scalar(uint32_t at) {
    switch (buf[at]) {
    case '"': return string(at, false);
    case 't': return literal(at, "true", 4, kind_bool | CSJ_FLAG_TRUE);
    case 'f': return literal(at, "false", 5, kind_bool);
    case 'n': return literal(at, "null", 4, kind_null);
    case 'N': return allows_nan ? literal(at, "NaN", 3, kind_number | CSJ_FLAG_SPECIAL) : fail(CSJ_SYNTAX, at);
    case 'I': return allows_nan ? literal(at, "Infinity", 8, kind_number | CSJ_FLAG_SPECIAL) : fail(CSJ_SYNTAX, at);
    default: return number(at);
    }
}

inline int32_t Builder::literal(uint32_t at, const char *text, uint32_t size, uint32_t info) {
    uint32_t limit = bound();
    if (limit - at < size || std::memcmp(buf + at, text, size) != 0 || !ends_at(at + size, limit)) {
        return fail(CSJ_SYNTAX, at);
    }
    out[used] = {at, size, info, used + 1};
    used++;
    return CSJ_OK;
}

// Between a string and the next structural position there is only white space, so its closing quote is found
// backwards from there.
inline int32_t Builder::string(uint32_t at, bool is_key) {
    uint32_t last = bound() - 1;
    while (last > at && is_space(buf[last])) { last--; }
    if (last == at || buf[last] != '"') { return fail(CSJ_SYNTAX, at); }
    uint32_t from = at + 1;
    uint32_t info = kind_string;
    if (backslash < last) {
        if (backslash < from) { backslash = find_backslash(from); }
        if (backslash < last) {
            info |= CSJ_FLAG_ESCAPED;
            if (int32_t code = check_escapes(backslash, last)) { return code; }
            backslash = find_backslash(last);
        }
    }
    csj_node node = {from, last - from, info, used + 1};
    if (is_key) {
        uint32_t length = 0;
        const uint8_t *key = decoded(node, scratch.left, length);
        node.next = fingerprint(key, length);
    }
    out[used++] = node;
    return CSJ_OK;
}

inline int32_t Builder::check_escapes(uint32_t from, uint32_t to) {
    for (uint32_t i = from; i < to;) {
        if (buf[i] != '\\') {
            i++;
            continue;
        }
        uint8_t c = buf[i + 1];
        if (c != 'u') {
            if (c == 0 || !std::strchr("\"\\/bfnrt", c)) { return fail(CSJ_INVALID_ESCAPE, i); }
            i += 2;
            continue;
        }
        int32_t unit = to - i >= 6 ? hex_unit(buf + i + 2) : -1;
        if (unit < 0) { return fail(CSJ_INVALID_ESCAPE, i); }
        if (unit == 0) { return fail(CSJ_NUL_IN_STRING, i); }
        if (unit >= 0xDC00 && unit < 0xE000) { return fail(CSJ_LONE_SURROGATE, i); }
        if (unit >= 0xD800 && unit < 0xDC00) {
            bool pairs = to - i >= 12 && buf[i + 6] == '\\' && buf[i + 7] == 'u';
            int32_t low = pairs ? hex_unit(buf + i + 8) : -1;
            if (low < 0xDC00 || low > 0xDFFF) { return fail(CSJ_LONE_SURROGATE, i); }
            i += 6;
        }
        i += 6;
    }
    return CSJ_OK;
}

inline int32_t Builder::number(uint32_t at) {
    const uint32_t limit = bound();
    uint32_t i = at;
    uint32_t info = kind_number | CSJ_FLAG_INTEGER;
    if (buf[i] == '-') {
        info |= CSJ_FLAG_NEGATIVE;
        i++;
        if (allows_nan && i < limit && buf[i] == 'I') {
            int32_t code = literal(at, "-Infinity", 9, kind_number | CSJ_FLAG_SPECIAL | CSJ_FLAG_NEGATIVE);
            return code;
        }
    } else if (!is_digit(buf[i])) {
        return fail(CSJ_SYNTAX, at);
    }
    if (i >= limit || !is_digit(buf[i])) { return fail(CSJ_INVALID_NUMBER, at); }
    if (buf[i] == '0') {
        i++;
    } else {
        while (i < limit && is_digit(buf[i])) { i++; }
    }
    if (i < limit && buf[i] == '.') {
        info &= ~uint32_t(CSJ_FLAG_INTEGER);
        uint32_t first = ++i;
        while (i < limit && is_digit(buf[i])) { i++; }
        if (i == first) { return fail(CSJ_INVALID_NUMBER, at); }
    }
    if (i < limit && (buf[i] | 0x20) == 'e') {
        info &= ~uint32_t(CSJ_FLAG_INTEGER);
        i++;
        if (i < limit && (buf[i] == '+' || buf[i] == '-')) { i++; }
        uint32_t first = i;
        while (i < limit && is_digit(buf[i])) { i++; }
        if (i == first) { return fail(CSJ_INVALID_NUMBER, at); }
    }
    if (!ends_at(i, limit)) { return fail(CSJ_INVALID_NUMBER, at); }
    out[used] = {at, i - at, info, used + 1};
    used++;
    return CSJ_OK;
}

inline const uint8_t *Builder::decoded(const csj_node &key, std::vector<uint8_t> &room, uint32_t &length) {
    if (!(key.info & CSJ_FLAG_ESCAPED)) {
        length = key.length;
        return buf + key.offset;
    }
    if (room.size() < key.length) { room.resize(key.length); }
    length = uint32_t(unescape(buf + key.offset, key.length, room.data()));
    return room.data();
}

inline bool Builder::equal_keys(uint32_t a, uint32_t b) {
    if (out[a].next != out[b].next) { return false; }
    uint32_t left = 0, right = 0;
    const uint8_t *p = decoded(out[a], scratch.left, left);
    const uint8_t *q = decoded(out[b], scratch.right, right);
    return left == right && std::memcmp(p, q, left) == 0;
}

inline bool Builder::key_before(uint32_t a, uint32_t b) {
    if (out[a].next != out[b].next) { return out[a].next < out[b].next; }
    uint32_t left = 0, right = 0;
    const uint8_t *p = decoded(out[a], scratch.left, left);
    const uint8_t *q = decoded(out[b], scratch.right, right);
    if (left != right) { return left < right; }
    return std::memcmp(p, q, left) < 0;
}

inline int32_t Builder::check_keys(const Frame &frame) {
    auto after = [this](uint32_t key) { return out[key + 1].next; };
    if (frame.count <= pairwise_keys_max) {
        uint32_t prints[pairwise_keys_max];
        uint32_t nodes[pairwise_keys_max];
        uint32_t seen = 0;
        for (uint32_t key = frame.node + 1; key < used; key = after(key)) {
            uint32_t print = out[key].next;
            for (uint32_t k = 0; k < seen; k++) {
                if (prints[k] == print && equal_keys(nodes[k], key)) {
                    return fail(CSJ_DUPLICATE_KEY, out[key].offset - 1);
                }
            }
            prints[seen] = print;
            nodes[seen++] = key;
        }
        return CSJ_OK;
    }
    auto &keys = scratch.keys;
    keys.clear();
    for (uint32_t key = frame.node + 1; key < used; key = after(key)) { keys.push_back(key); }
    std::sort(keys.begin(), keys.end(), [this](uint32_t a, uint32_t b) { return key_before(a, b); });
    for (size_t k = 1; k < keys.size(); k++) {
        if (equal_keys(keys[k - 1], keys[k])) {
            return fail(CSJ_DUPLICATE_KEY, out[std::max(keys[k - 1], keys[k])].offset - 1);
        }
    }
    return CSJ_OK;
}

}  // namespace csj

#endif
