#pragma once
#include <stddef.h>
#include <stdint.h>

// Why a shim: zlib's inflateInit2 is a macro, and z_stream is a struct of raw cursors; Swift sees one call instead.

enum czlib_result {
    CZLIB_OK = 0,
    CZLIB_CORRUPT = 1,     // not a gzip stream, truncated, or its checksum disagrees
    CZLIB_TOO_LARGE = 2,   // would inflate past `output_capacity`
    CZLIB_NO_MEMORY = 3
};

/// Inflates whole gzip members (RFC 1952; concatenated members are one body) into `output`.
/// `written` gets the bytes produced. Reads no byte outside `input`, writes none outside `output`.
int czlib_gunzip(const uint8_t *input, size_t input_length, uint8_t *output, size_t output_capacity, size_t *written);

/// Compresses into a gzip member; returns its length, or 0 when `output` is too small. Used for tests and for
/// answers.
size_t czlib_gzip(const uint8_t *input, size_t input_length, uint8_t *output, size_t output_capacity);

/// A gzip stream that is inflated or deflated piece by piece; opaque, since z_stream is. NULL when there is no memory.
struct czlib_stream;
struct czlib_stream *czlib_inflater(void);
struct czlib_stream *czlib_deflater(void);
void czlib_stream_free(struct czlib_stream *stream);

/// One step: takes input and gives output, as far as either goes; `consumed` and `written` tell how far. `is_complete` is
/// 1 after the last byte of a member: more input then begins the next one.
int czlib_inflate_step(struct czlib_stream *stream, const uint8_t *input, size_t input_length, size_t *consumed,
                       uint8_t *output, size_t output_capacity, size_t *written, int *is_complete);

/// The same for deflating; with `finish`, until `is_complete` is 1.
int czlib_deflate_step(struct czlib_stream *stream, const uint8_t *input, size_t input_length, size_t *consumed,
                       uint8_t *output, size_t output_capacity, size_t *written, int finish, int *is_complete);
