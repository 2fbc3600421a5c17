// Counts the allocations of the whole process: an allocation per evaluation is a figure of its own, which a timer hides.
// The program's own malloc takes the place of the C library's, also for the Swift runtime, and hands on to it.
#ifndef CALLOCATIONCOUNT_H
#define CALLOCATIONCOUNT_H

#include <stdint.h>

/// Calls of malloc, calloc, realloc and the aligned ones so far, by all threads.
uint64_t allocation_count(void);

#endif
