/*
 * Sends a signal at a chosen moment in the life of a frame, so that a test need not be lucky.
 *
 * Preloaded into the daemon under test by moments.py, which compiles it. It stands between the binary and the calls that
 * make frames durable and ship them, and knows nothing of the daemon but the names of the journal's files. The product
 * itself has no failpoint.
 *
 * MOMENT_ARM names a file. Once it is there it is read: "MOMENT AT TIMES TARGET". MOMENT is the name of one (moments.py has
 * them); every AT-th of its occurrences from then on ends somebody, at most TIMES times: TARGET is "self", this process, or
 * "backend", the server process of the connection at hand. The time goes to the file MOMENT_ARM.fired, a line each:
 * nanoseconds of the monotonic clock.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

typedef struct pg_conn PGconn;
int PQflush(PGconn *connection);
int PQbackendPID(const PGconn *connection);

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static const char *arm_path;
static char moment[32];
static char target[16];
static long moment_at, moment_times;
static atomic_bool is_armed;
static atomic_long occurrences;
/* A transaction that copied rows: only its COMMIT is of interest. */
static atomic_bool has_copied;

__attribute__((constructor)) static void configure(void)
{
    arm_path = getenv("MOMENT_ARM");
}

/* Whether a moment has been chosen. */
static bool armed(void)
{
    static atomic_flag reading = ATOMIC_FLAG_INIT;
    FILE *file;

    if (atomic_load(&is_armed))
        return true;
    if (arm_path == NULL || access(arm_path, F_OK) != 0 || atomic_flag_test_and_set(&reading))
        return false;
    file = fopen(arm_path, "re");
    if (file != NULL && fscanf(file, "%31s %ld %ld %15s", moment, &moment_at, &moment_times, target) == 4)
        atomic_store(&is_armed, true);
    if (file != NULL)
        fclose(file);
    atomic_flag_clear(&reading);
    return atomic_load(&is_armed);
}

/* Counts an occurrence of a moment; true at one that was asked for. */
static bool comes(const char *name)
{
    long count;

    if (!armed() || strcmp(moment, name) != 0)
        return false;
    count = atomic_fetch_add(&occurrences, 1) + 1;
    return count % moment_at == 0 && count / moment_at <= moment_times;
}

static void write_clock(void)
{
    struct timespec now;
    char text[32], path[PATH_MAX];
    int file, length;

    snprintf(path, sizeof path, "%s.fired", arm_path);
    clock_gettime(CLOCK_MONOTONIC, &now);
    length = snprintf(text, sizeof text, "%lld\n", (long long)now.tv_sec * 1000000000LL + now.tv_nsec);
    file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (file >= 0) {
        (void)!REAL(write)(file, text, (size_t)length);
        close(file);
    }
}

static void end_process(void)
{
    write_clock();
    kill(getpid(), SIGKILL);
    for (;;)
        pause();
}

/* At a moment of a connection: the server has everything that was sent so far, then somebody dies. */
static void strike(PGconn *connection)
{
    while (PQflush(connection) == 1)
        usleep(100);
    if (strcmp(target, "backend") != 0) {
        /* Sometimes the server gets the time to finish, sometimes not. */
        usleep((useconds_t)(moment_at % 4) * 500);
        end_process();
    }
    write_clock();
    kill(PQbackendPID(connection), SIGKILL);
}

enum kind { OTHER, SEGMENT, SPARE, SNAPSHOT, DIRECTORY };

static bool ends_with(const char *text, const char *end)
{
    size_t length = strlen(text), wanted = strlen(end);

    return length >= wanted && strcmp(text + length - wanted, end) == 0;
}

static enum kind kind_of_name(const char *name)
{
    if (strstr(name, ".snapshot") != NULL)
        return SNAPSHOT;
    if (ends_with(name, ".segment"))
        return SEGMENT;
    if (ends_with(name, ".spare"))
        return SPARE;
    return ends_with(name, "/journal") ? DIRECTORY : OTHER;
}

static enum kind kind_of(int descriptor)
{
    char link[64], name[PATH_MAX];
    ssize_t length;

    if (!armed())
        return OTHER;
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    length = readlink(link, name, sizeof name - 1);
    if (length < 0)
        return OTHER;
    name[length] = 0;
    return kind_of_name(name);
}

/* A step of changing segments or of making a snapshot has been done. */
static void step(enum kind kind)
{
    if ((kind == SPARE || kind == DIRECTORY) && comes("segment_roll"))
        end_process();
    if (kind == SNAPSHOT && comes("snapshot_write"))
        end_process();
}

ssize_t pwrite(int descriptor, const void *bytes, size_t count, off_t offset)
{
    enum kind kind = kind_of(descriptor);
    ssize_t result;

    if (kind == SEGMENT && comes("before_write"))
        end_process();
    if (kind == SEGMENT && comes("torn_write")) {
        REAL(pwrite)(descriptor, bytes, count / 2 + (size_t)(moment_at % 7), offset);
        end_process();
    }
    result = REAL(pwrite)(descriptor, bytes, count, offset);
    if (kind == SEGMENT && comes("after_write"))
        end_process();
    step(kind);
    return result;
}

ssize_t write(int descriptor, const void *bytes, size_t count)
{
    ssize_t result = REAL(write)(descriptor, bytes, count);

    if (armed() && strncmp(moment, "snapshot", 8) == 0)
        step(kind_of(descriptor));
    return result;
}

int fdatasync(int descriptor)
{
    enum kind kind = kind_of(descriptor);
    int result = REAL(fdatasync)(descriptor);

    if (kind == SEGMENT && comes("after_sync"))
        end_process();
    step(kind);
    return result;
}

int fsync(int descriptor)
{
    enum kind kind = kind_of(descriptor);
    int result = REAL(fsync)(descriptor);

    step(kind);
    return result;
}

int posix_fallocate(int descriptor, off_t offset, off_t length)
{
    int result = REAL(posix_fallocate)(descriptor, offset, length);

    step(kind_of(descriptor));
    return result;
}

int ftruncate(int descriptor, off_t length)
{
    enum kind kind = kind_of(descriptor);
    int result = REAL(ftruncate)(descriptor, length);

    /* A segment is cut when the next one takes over. */
    step(kind == SEGMENT ? SPARE : kind);
    return result;
}

int renameat(int directory, const char *from, int other, const char *to)
{
    enum kind kind = kind_of_name(from);
    bool is_snapshot = kind == SNAPSHOT || kind_of_name(to) == SNAPSHOT;
    int result;

    if (kind == SPARE && comes("segment_roll"))
        end_process();
    if (is_snapshot && comes("snapshot_rename"))
        end_process();
    result = REAL(renameat)(directory, from, other, to);
    step(kind);
    if (is_snapshot && comes("snapshot_rename"))
        end_process();
    return result;
}

int rename(const char *from, const char *to)
{
    bool is_snapshot = kind_of_name(from) == SNAPSHOT || kind_of_name(to) == SNAPSHOT;
    int result;

    if (is_snapshot && comes("snapshot_rename"))
        end_process();
    result = REAL(rename)(from, to);
    if (is_snapshot && comes("snapshot_rename"))
        end_process();
    return result;
}

/* Applied, and the answer about to leave. */
ssize_t sendmsg(int descriptor, const struct msghdr *message, int flags)
{
    if (armed() && message->msg_iovlen > 0 && message->msg_iov[0].iov_len > 11
        && memcmp(message->msg_iov[0].iov_base, "HTTP/1.1 20", 11) == 0 && comes("before_answer"))
        end_process();
    return REAL(sendmsg)(descriptor, message, flags);
}

int PQputCopyData(PGconn *connection, const char *bytes, int count)
{
    int result;

    if (!comes("mid_copy"))
        return REAL(PQputCopyData)(connection, bytes, count);
    result = REAL(PQputCopyData)(connection, bytes, count / 2);
    strike(connection);
    if (result != 1)
        return result;
    return REAL(PQputCopyData)(connection, bytes + count / 2, count - count / 2);
}

int PQputCopyEnd(PGconn *connection, const char *message)
{
    int result = REAL(PQputCopyEnd)(connection, message);

    atomic_store(&has_copied, true);
    if (comes("copy_end"))
        strike(connection);
    return result;
}

int PQsendQuery(PGconn *connection, const char *query)
{
    bool is_commit = strncmp(query, "COMMIT", 6) == 0 && atomic_exchange(&has_copied, false);
    int result;

    if (is_commit && comes("before_commit"))
        strike(connection);
    result = REAL(PQsendQuery)(connection, query);
    if (is_commit && comes("commit_sent"))
        strike(connection);
    return result;
}
