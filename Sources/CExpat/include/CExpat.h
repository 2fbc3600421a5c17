// A narrow C face of expat. It exists because expat's macros (calling conventions, a character type chosen when it was
// built) hide its functions from Swift, and to fix in one place what must never be allowed: a document type
// declaration ends the parse, so that no entity is ever declared, expanded or fetched.
#ifndef CEXPAT_H
#define CEXPAT_H

#include <stddef.h>
#include <stdint.h>

typedef struct cexpat_parser cexpat_parser;

enum { CEXPAT_OK = 0, CEXPAT_MALFORMED = 1, CEXPAT_DOCTYPE = 2, CEXPAT_STOPPED = 3, CEXPAT_MEMORY = 4 };

// What the parser tells. Strings are UTF-8; names and attributes are zero-terminated, attributes alternate name and
// value and end with NULL. A handler that returns 0 stops the parse. offset counts bytes from the document's start.
typedef struct {
    void *context;
    int (*start)(void *context, const char *name, const char **attributes, int64_t offset, uint64_t line,
                 uint64_t column);
    int (*end)(void *context, int64_t offset);
    int (*text)(void *context, const char *bytes, size_t length);
} cexpat_handlers;

typedef struct {
    int32_t status;
    uint64_t line;
    uint64_t column;
    const char *message;
} cexpat_result;

// Parses one whole document. Lines and columns count from 1, columns in bytes.
cexpat_result cexpat_parse(const uint8_t *bytes, size_t length, cexpat_handlers handlers);

#endif
