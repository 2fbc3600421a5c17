#include "CExpat.h"

#include <expat.h>
#include <limits.h>

typedef struct {
    XML_Parser parser;
    cexpat_handlers handlers;
    int doctype;
    int stopped;
} state;

static void stop(state *self) {
    self->stopped = 1;
    XML_StopParser(self->parser, XML_FALSE);
}

static void XMLCALL on_start(void *data, const XML_Char *name, const XML_Char **attributes) {
    state *self = data;
    if (self->stopped) { return; }
    int64_t offset = XML_GetCurrentByteIndex(self->parser);
    uint64_t line = XML_GetCurrentLineNumber(self->parser);
    uint64_t column = XML_GetCurrentColumnNumber(self->parser) + 1;
    if (!self->handlers.start(self->handlers.context, name, attributes, offset, line, column)) { stop(self); }
}

static void XMLCALL on_end(void *data, const XML_Char *name) {
    (void)name;
    state *self = data;
    if (self->stopped) { return; }
    // Of an empty element's end expat tells the start; its count of bytes then covers the whole tag.
    int64_t offset = XML_GetCurrentByteIndex(self->parser) + XML_GetCurrentByteCount(self->parser);
    if (!self->handlers.end(self->handlers.context, offset)) { stop(self); }
}

static void XMLCALL on_text(void *data, const XML_Char *bytes, int length) {
    state *self = data;
    if (self->stopped) { return; }
    if (!self->handlers.text(self->handlers.context, bytes, (size_t)length)) { stop(self); }
}

static void XMLCALL on_doctype(void *data, const XML_Char *name, const XML_Char *system, const XML_Char *public,
                               int has_subset) {
    (void)name, (void)system, (void)public, (void)has_subset;
    state *self = data;
    self->doctype = 1;
    stop(self);
}

cexpat_result cexpat_parse(const uint8_t *bytes, size_t length, cexpat_handlers handlers) {
    cexpat_result result = {CEXPAT_OK, 1, 1, ""};
    if (length > INT_MAX) {
        result.status = CEXPAT_MEMORY;
        return result;
    }
    state self = {XML_ParserCreate(NULL), handlers, 0, 0};
    if (!self.parser) {
        result.status = CEXPAT_MEMORY;
        return result;
    }
    XML_SetUserData(self.parser, &self);
    XML_SetElementHandler(self.parser, on_start, on_end);
    XML_SetCharacterDataHandler(self.parser, on_text);
    XML_SetStartDoctypeDeclHandler(self.parser, on_doctype);
    if (XML_Parse(self.parser, (const char *)bytes, (int)length, 1) != XML_STATUS_OK) {
        enum XML_Error code = XML_GetErrorCode(self.parser);
        result.status = self.doctype                       ? CEXPAT_DOCTYPE
                        : self.stopped                     ? CEXPAT_STOPPED
                        : code == XML_ERROR_NO_MEMORY      ? CEXPAT_MEMORY
                                                           : CEXPAT_MALFORMED;
        result.line = XML_GetCurrentLineNumber(self.parser);
        result.column = XML_GetCurrentColumnNumber(self.parser) + 1;
        // A literal of expat's own, which lives as long as the library.
        const XML_LChar *message = XML_ErrorString(code);
        result.message = message ? message : "";
    }
    XML_ParserFree(self.parser);
    return result;
}
