/*
 * Tells ThreadSanitizer of Swift's Mutex.
 *
 * The uncontended way of locking a Mutex is inlined and so instrumented; the contended way is a call into
 * libswiftSynchronization, which is not, and whatever a contended Mutex protects would be reported as a race. These stand
 * before that library's functions and say the same to the sanitizer. Preloaded by deploy/test --sanitize thread; for clang,
 * which knows Swift's calling convention. Without a sanitizer it changes nothing.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HANDLE "$s15Synchronization12_MutexHandleV"
#define SWIFT __attribute__((swiftcall))
#define SELF __attribute__((swift_context)) void *

void __tsan_acquire(void *address) __attribute__((weak));
void __tsan_release(void *address) __attribute__((weak));

/* _lockSlow(UInt32), _tryLockSlow() -> Bool, _unlockSlow() */
#define LOCK HANDLE "9_lockSlowyys6UInt32VF"
#define TRY_LOCK HANDLE "12_tryLockSlowSbyF"
#define UNLOCK HANDLE "11_unlockSlowyyF"

SWIFT void mutex_lock(uint32_t thread, SELF mutex) __asm__(LOCK);
SWIFT bool mutex_try_lock(SELF mutex) __asm__(TRY_LOCK);
SWIFT void mutex_unlock(SELF mutex) __asm__(UNLOCK);

SWIFT void mutex_lock(uint32_t thread, SELF mutex)
{
    SWIFT void (*real)(uint32_t, SELF) = (__typeof__(real))dlsym(RTLD_NEXT, LOCK);

    real(thread, mutex);
    if (__tsan_acquire != NULL)
        __tsan_acquire(mutex);
}

SWIFT bool mutex_try_lock(SELF mutex)
{
    SWIFT bool (*real)(SELF) = (__typeof__(real))dlsym(RTLD_NEXT, TRY_LOCK);
    bool is_locked = real(mutex);

    if (is_locked && __tsan_acquire != NULL)
        __tsan_acquire(mutex);
    return is_locked;
}

SWIFT void mutex_unlock(SELF mutex)
{
    SWIFT void (*real)(SELF) = (__typeof__(real))dlsym(RTLD_NEXT, UNLOCK);

    if (__tsan_release != NULL)
        __tsan_release(mutex);
    real(mutex);
}
