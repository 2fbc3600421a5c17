// A narrow C face of pcre2-8. It exists because pcre2.h is a forest of macros keyed by code unit width, which
// Swift cannot import, and to fix options and limits in one place: interpreter only (the sandbox forbids
// writable executable memory), bounded work per match.
#ifndef CPCRE2_H
#define CPCRE2_H

#include <stddef.h>
#include <stdint.h>

typedef struct cpcre2_pattern cpcre2_pattern;

enum { CPCRE2_NO_MATCH = 0, CPCRE2_MATCH = 1, CPCRE2_LIMIT = 2, CPCRE2_FAILURE = 3 };

// Compiles a UTF-8 pattern in ECMAScript's flavour. On failure returns NULL, with the byte offset and a
// zero-terminated message that describes the fault.
cpcre2_pattern *cpcre2_compile(const uint8_t *pattern, size_t length, uint32_t match_limit, uint32_t depth_limit,
                               uint32_t heap_limit_kib, size_t *error_offset, char *message, size_t message_size);
void cpcre2_free(cpcre2_pattern *pattern);

// Searches valid UTF-8. May be called from several threads at once.
int32_t cpcre2_search(const cpcre2_pattern *pattern, const uint8_t *subject, size_t length);

#endif
