#include "CZlib.h"
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

// Asks zlib for the gzip wrapper only: 15 window bits + 16.
static const int gzip_window_bits = 15 + 16;

static uInt step(size_t remaining) {
    return remaining > UINT_MAX ? UINT_MAX : (uInt)remaining;
}

int czlib_gunzip(const uint8_t *input, size_t input_length, uint8_t *output, size_t output_capacity, size_t *written) {
    z_stream stream;
    memset(&stream, 0, sizeof stream);
    *written = 0;
    if (inflateInit2(&stream, gzip_window_bits) != Z_OK) return CZLIB_NO_MEMORY;
    size_t in_done = 0, out_done = 0;
    int result = CZLIB_OK;
    uint8_t spill;  // one byte past the limit tells "exactly full" from "too large"
    for (;;) {
        size_t room = output_capacity - out_done;
        uInt in_step = step(input_length - in_done), out_step = room == 0 ? 1 : step(room);
        stream.next_in = (Bytef *)(uintptr_t)(input + in_done);
        stream.avail_in = in_step;
        stream.next_out = room == 0 ? &spill : output + out_done;
        stream.avail_out = out_step;
        int status = inflate(&stream, Z_NO_FLUSH);
        size_t produced = out_step - stream.avail_out;
        in_done += in_step - stream.avail_in;
        if (room == 0 && produced > 0) { result = CZLIB_TOO_LARGE; break; }
        out_done += produced;
        if (status == Z_STREAM_END) {
            if (in_done == input_length) break;
            if (inflateReset2(&stream, gzip_window_bits) != Z_OK) { result = CZLIB_CORRUPT; break; }
            continue;
        }
        if (status == Z_MEM_ERROR) { result = CZLIB_NO_MEMORY; break; }
        if (status != Z_OK || (in_done == input_length && stream.avail_out != 0)) { result = CZLIB_CORRUPT; break; }
    }
    inflateEnd(&stream);
    *written = out_done;
    return result;
}

size_t czlib_gzip(const uint8_t *input, size_t input_length, uint8_t *output, size_t output_capacity) {
    z_stream stream;
    memset(&stream, 0, sizeof stream);
    if (input_length > UINT_MAX || output_capacity > UINT_MAX) return 0;
    int memory_level = 8, strategy = Z_DEFAULT_STRATEGY;  // zlib's own defaults, which deflateInit2 makes us spell out
    if (deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, gzip_window_bits, memory_level, strategy) != Z_OK)
        return 0;
    stream.next_in = (Bytef *)(uintptr_t)input;
    stream.avail_in = (uInt)input_length;
    stream.next_out = output;
    stream.avail_out = (uInt)output_capacity;
    int status = deflate(&stream, Z_FINISH);
    size_t length = status == Z_STREAM_END ? output_capacity - stream.avail_out : 0;
    deflateEnd(&stream);
    return length;
}

struct czlib_stream {
    z_stream z;
    int inflates;
};

struct czlib_stream *czlib_inflater(void) {
    struct czlib_stream *stream = calloc(1, sizeof *stream);
    if (stream == NULL) return NULL;
    stream->inflates = 1;
    if (inflateInit2(&stream->z, gzip_window_bits) == Z_OK) return stream;
    free(stream);
    return NULL;
}

struct czlib_stream *czlib_deflater(void) {
    struct czlib_stream *stream = calloc(1, sizeof *stream);
    if (stream == NULL) return NULL;
    int memory_level = 8, strategy = Z_DEFAULT_STRATEGY;
    if (deflateInit2(&stream->z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, gzip_window_bits, memory_level, strategy) == Z_OK)
        return stream;
    free(stream);
    return NULL;
}

void czlib_stream_free(struct czlib_stream *stream) {
    if (stream->inflates) inflateEnd(&stream->z);
    else deflateEnd(&stream->z);
    free(stream);
}

static void set(z_stream *z, const uint8_t *input, size_t input_length, uint8_t *output, size_t output_capacity) {
    z->next_in = (Bytef *)(uintptr_t)input;
    z->avail_in = step(input_length);
    z->next_out = output;
    z->avail_out = step(output_capacity);
}

int czlib_inflate_step(struct czlib_stream *stream, const uint8_t *input, size_t input_length, size_t *consumed,
                       uint8_t *output, size_t output_capacity, size_t *written, int *is_complete) {
    z_stream *z = &stream->z;
    set(z, input, input_length, output, output_capacity);
    uInt in_step = z->avail_in, out_step = z->avail_out;
    int status = inflate(z, Z_NO_FLUSH);
    *consumed = in_step - z->avail_in;
    *written = out_step - z->avail_out;
    *is_complete = status == Z_STREAM_END;
    if (status == Z_STREAM_END) return inflateReset2(z, gzip_window_bits) == Z_OK ? CZLIB_OK : CZLIB_CORRUPT;
    // Z_BUF_ERROR: nothing more to take or no room; the caller goes on with more of it.
    if (status == Z_OK || status == Z_BUF_ERROR) return CZLIB_OK;
    return status == Z_MEM_ERROR ? CZLIB_NO_MEMORY : CZLIB_CORRUPT;
}

int czlib_deflate_step(struct czlib_stream *stream, const uint8_t *input, size_t input_length, size_t *consumed,
                       uint8_t *output, size_t output_capacity, size_t *written, int finish, int *is_complete) {
    z_stream *z = &stream->z;
    set(z, input, input_length, output, output_capacity);
    uInt in_step = z->avail_in, out_step = z->avail_out;
    int status = deflate(z, finish && in_step == input_length ? Z_FINISH : Z_NO_FLUSH);
    *consumed = in_step - z->avail_in;
    *written = out_step - z->avail_out;
    *is_complete = status == Z_STREAM_END;
    return status == Z_OK || status == Z_BUF_ERROR || status == Z_STREAM_END ? CZLIB_OK : CZLIB_NO_MEMORY;
}
