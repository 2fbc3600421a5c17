#include "CPCRE2.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdlib.h>

struct cpcre2_pattern {
    pcre2_code *code;
    pcre2_match_context *context;
};

cpcre2_pattern *cpcre2_compile(const uint8_t *pattern, size_t length, uint32_t match_limit, uint32_t depth_limit,
                               uint32_t heap_limit_kib, size_t *error_offset, char *message, size_t message_size) {
    const uint32_t options = PCRE2_UTF | PCRE2_DOLLAR_ENDONLY | PCRE2_MATCH_UNSET_BACKREF | PCRE2_ALLOW_EMPTY_CLASS |
                             PCRE2_NEVER_BACKSLASH_C;
    *error_offset = 0;
    if (message_size > 0) { message[0] = 0; }
    pcre2_compile_context *compile_context = pcre2_compile_context_create(NULL);
    if (!compile_context) { return NULL; }
    pcre2_set_compile_extra_options(compile_context, PCRE2_EXTRA_ALT_BSUX);
    int error = 0;
    PCRE2_SIZE offset = 0;
    pcre2_code *code = pcre2_compile(pattern, length, options, &error, &offset, compile_context);
    pcre2_compile_context_free(compile_context);
    if (!code) {
        *error_offset = offset;
        pcre2_get_error_message(error, (PCRE2_UCHAR *)message, message_size);
        return NULL;
    }
    cpcre2_pattern *made = malloc(sizeof *made);
    pcre2_match_context *context = pcre2_match_context_create(NULL);
    if (!made || !context) {
        free(made);
        pcre2_match_context_free(context);
        pcre2_code_free(code);
        return NULL;
    }
    pcre2_set_match_limit(context, match_limit);
    pcre2_set_depth_limit(context, depth_limit);
    pcre2_set_heap_limit(context, heap_limit_kib);
    made->code = code;
    made->context = context;
    return made;
}

void cpcre2_free(cpcre2_pattern *pattern) {
    if (!pattern) { return; }
    pcre2_code_free(pattern->code);
    pcre2_match_context_free(pattern->context);
    free(pattern);
}

int32_t cpcre2_search(const cpcre2_pattern *pattern, const uint8_t *subject, size_t length) {
    // One pair of offsets: only whether there is a match is of interest.
    pcre2_match_data *data = pcre2_match_data_create(1, NULL);
    if (!data) { return CPCRE2_FAILURE; }
    int result = pcre2_match(pattern->code, subject, length, 0, PCRE2_NO_UTF_CHECK, data, pattern->context);
    pcre2_match_data_free(data);
    if (result >= 0) { return CPCRE2_MATCH; }
    switch (result) {
    case PCRE2_ERROR_NOMATCH: return CPCRE2_NO_MATCH;
    case PCRE2_ERROR_MATCHLIMIT:
    case PCRE2_ERROR_DEPTHLIMIT:
    case PCRE2_ERROR_HEAPLIMIT: return CPCRE2_LIMIT;
    default: return CPCRE2_FAILURE;
    }
}
