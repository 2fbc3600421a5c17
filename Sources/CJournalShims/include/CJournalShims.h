// What Swift cannot say by itself for the journal: hardware CRC32C chosen at run time, the variadic openat(2),
// and flock(2), whose name Swift resolves to the struct of fcntl(2).
#ifndef C_JOURNAL_SHIMS_H
#define C_JOURNAL_SHIMS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/// Feeds bytes into a CRC32C (Castagnoli) register; start with 0xFFFFFFFF, the checksum is the last state's complement.
/// Uses the CPU's instruction where there is one, the portable table elsewhere.
uint32_t cjournal_crc32c(uint32_t state, const void *_Nullable bytes, size_t count);

/// The same by table only; for comparison in tests.
uint32_t cjournal_crc32c_portable(uint32_t state, const void *_Nullable bytes, size_t count);

/// openat(2) without variadic arguments.
int cjournal_openat(int directory, const char *_Nonnull path, int flags, mode_t mode);

/// flock(LOCK_EX | LOCK_NB); 0, or -1 with errno.
int cjournal_lock(int descriptor);

/// Names the calling thread (at most 15 bytes), for people looking at top and gdb; a GNU extension that Glibc's module
/// map hides.
void cjournal_name_thread(const char *_Nonnull name);

#endif
