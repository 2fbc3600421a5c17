#define _GNU_SOURCE
#include "CJournalShims.h"

#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/file.h>

#if defined(__aarch64__)
#include <arm_acle.h>
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

static uint32_t table[8][256];

// Slicing-by-8 tables for the reflected polynomial 0x82F63B78, built before main so that no thread can race.
__attribute__((constructor)) static void build_table(void) {
    for (uint32_t n = 0; n < 256; n++) {
        uint32_t c = n;
        for (int bit = 0; bit < 8; bit++) c = (c & 1) ? (c >> 1) ^ 0x82F63B78u : c >> 1;
        table[0][n] = c;
    }
    for (uint32_t n = 0; n < 256; n++)
        for (int k = 1; k < 8; k++) table[k][n] = (table[k - 1][n] >> 8) ^ table[0][table[k - 1][n] & 0xFF];
}

uint32_t cjournal_crc32c_portable(uint32_t state, const void *bytes, size_t count) {
    const uint8_t *p = bytes;
    while (count >= 8) {
        uint32_t low = state ^ ((uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24);
        state = table[7][low & 0xFF] ^ table[6][(low >> 8) & 0xFF] ^ table[5][(low >> 16) & 0xFF] ^ table[4][low >> 24]
              ^ table[3][p[4]] ^ table[2][p[5]] ^ table[1][p[6]] ^ table[0][p[7]];
        p += 8;
        count -= 8;
    }
    while (count--) state = (state >> 8) ^ table[0][(state ^ *p++) & 0xFF];
    return state;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) static uint32_t crc_hardware(uint32_t state, const void *bytes, size_t count) {
    const uint8_t *p = bytes;
    uint64_t wide = state;
    for (; count >= 8; count -= 8, p += 8) {
        uint64_t word;
        memcpy(&word, p, 8);
        wide = __builtin_ia32_crc32di(wide, word);
    }
    state = (uint32_t)wide;
    while (count--) state = __builtin_ia32_crc32qi(state, *p++);
    return state;
}
static int has_hardware(void) { return __builtin_cpu_supports("sse4.2"); }
#elif defined(__aarch64__)
__attribute__((target("+crc"))) static uint32_t crc_hardware(uint32_t state, const void *bytes, size_t count) {
    const uint8_t *p = bytes;
    for (; count >= 8; count -= 8, p += 8) {
        uint64_t word;
        memcpy(&word, p, 8);
        state = __crc32cd(state, word);
    }
    while (count--) state = __crc32cb(state, *p++);
    return state;
}
static int has_hardware(void) { return (getauxval(AT_HWCAP) & HWCAP_CRC32) != 0; }
#else
static uint32_t crc_hardware(uint32_t state, const void *bytes, size_t count) {
    return cjournal_crc32c_portable(state, bytes, count);
}
static int has_hardware(void) { return 0; }
#endif

uint32_t cjournal_crc32c(uint32_t state, const void *bytes, size_t count) {
    return has_hardware() ? crc_hardware(state, bytes, count) : cjournal_crc32c_portable(state, bytes, count);
}

int cjournal_openat(int directory, const char *path, int flags, mode_t mode) {
    return openat(directory, path, flags, mode);
}

int cjournal_lock(int descriptor) { return flock(descriptor, LOCK_EX | LOCK_NB); }

void cjournal_name_thread(const char *name) { pthread_setname_np(pthread_self(), name); }
