#define _GNU_SOURCE
#include "CMicroHTTPD.h"
#include <dlfcn.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

static void relay_log(void *cls, const char *format, va_list arguments) {
    const struct cmhd_settings *settings = cls;
    char line[512];
    int length = vsnprintf(line, sizeof line, format, arguments);
    if (length > 0) settings->log(settings->cls, line, (size_t)length < sizeof line ? (size_t)length : sizeof line - 1);
}

// The library would decode %2F and cut at %00; the target is decoded strictly above, so it stays as sent here.
static size_t leave_escaped(void *cls, struct MHD_Connection *connection, char *text) {
    (void)cls;
    (void)connection;
    return strlen(text);
}

typedef enum MHD_Result (*queue_function)(struct MHD_Connection *, unsigned int, struct MHD_Response *);
typedef struct MHD_Response *(*refusal_function)(struct MHD_Connection *, unsigned int);
static queue_function library_queue;
static _Atomic(refusal_function) make_refusal;

static void find_queue(void) {
    library_queue = (queue_function)dlsym(RTLD_NEXT, "MHD_queue_response");
    if (library_queue == NULL) abort();
}

enum MHD_Result cmhd_queue_response(struct MHD_Connection *connection, unsigned int status,
                                    struct MHD_Response *response) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, find_queue);
    return library_queue(connection, status, response);
}

// What the library cannot read it refuses by itself, with a page of HTML; it has no option for that. It calls its own
// function by the dynamic symbol, so it calls this one, and nobody else does: ours use cmhd_queue_response.
enum MHD_Result MHD_queue_response(struct MHD_Connection *connection, unsigned int status, struct MHD_Response *page) {
    refusal_function make = atomic_load(&make_refusal);
    struct MHD_Response *made = make == NULL ? NULL : make(connection, status);
    enum MHD_Result result = cmhd_queue_response(connection, status, made == NULL ? page : made);
    if (made != NULL) MHD_destroy_response(made);
    return result;
}

struct MHD_Daemon *cmhd_start(const struct cmhd_settings *settings) {
    atomic_store(&make_refusal, settings->refusal);
    unsigned int flags =
        MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG | MHD_USE_TURBO | MHD_USE_NO_LISTEN_SOCKET;
    return MHD_start_daemon(
        flags, 0, NULL, NULL, settings->access, settings->cls,
        MHD_OPTION_EXTERNAL_LOGGER, relay_log, (void *)(uintptr_t)settings,
        MHD_OPTION_NOTIFY_COMPLETED, settings->completed, settings->cls,
        MHD_OPTION_NOTIFY_CONNECTION, settings->connection, settings->cls,
        MHD_OPTION_URI_LOG_CALLBACK, settings->target, settings->cls,
        MHD_OPTION_UNESCAPE_CALLBACK, leave_escaped, NULL,
        // 0.9.75 compares this sign the other way round: -1 is the strict side (space before a colon is refused).
        MHD_OPTION_STRICT_FOR_CLIENT, -1,
        MHD_OPTION_CONNECTION_LIMIT, settings->connections_max,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, settings->memory_per_connection,
        // Inactivity timeouts are not enough against slow clients; absolute deadlines are kept above instead.
        MHD_OPTION_CONNECTION_TIMEOUT, 0u,
        MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1,
        MHD_OPTION_END);
}

int cmhd_epoll_descriptor(struct MHD_Daemon *daemon) {
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_EPOLL_FD);
    return info == NULL ? -1 : info->epoll_fd;
}

int cmhd_socket(struct MHD_Connection *connection) {
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    return info == NULL ? -1 : info->connect_fd;
}

void *cmhd_socket_context(struct MHD_Connection *connection) {
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info == NULL ? NULL : info->socket_context;
}

size_t cmhd_header_byte_count(struct MHD_Connection *connection) {
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
    return info == NULL ? 0 : info->header_size;
}

struct collector {
    struct cmhd_field *fields;
    size_t capacity, count;
};

static enum MHD_Result collect(void *cls, enum MHD_ValueKind kind, const char *name, size_t name_length,
                               const char *value, size_t value_length) {
    struct collector *into = cls;
    (void)kind;
    if (into->count < into->capacity)
        into->fields[into->count] = (struct cmhd_field){.name = (const uint8_t *)name,
                                                        .name_length = name_length,
                                                        .value = (const uint8_t *)(value == NULL ? "" : value),
                                                        .value_length = value == NULL ? 0 : value_length};
    into->count++;
    return MHD_YES;
}

size_t cmhd_header_fields(struct MHD_Connection *connection, struct cmhd_field *fields, size_t capacity) {
    struct collector into = {.fields = fields, .capacity = capacity, .count = 0};
    MHD_get_connection_values_n(connection, MHD_HEADER_KIND, collect, &into);
    return into.count;
}

int cmhd_epoll_create(void) {
    int descriptor = epoll_create1(EPOLL_CLOEXEC);
    return descriptor < 0 ? -errno : descriptor;
}

static int add(int epoll, int descriptor, uint64_t tag, uint32_t events) {
    struct epoll_event event = {.events = events, .data.u64 = tag};
    return epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &event) < 0 ? -errno : 0;
}

int cmhd_epoll_add(int epoll, int descriptor, uint64_t tag) {
    return add(epoll, descriptor, tag, EPOLLIN);
}

int cmhd_epoll_add_exclusive(int epoll, int descriptor, uint64_t tag) {
    return add(epoll, descriptor, tag, EPOLLIN | EPOLLEXCLUSIVE);
}

int cmhd_epoll_remove(int epoll, int descriptor) {
    struct epoll_event ignored = {0};
    return epoll_ctl(epoll, EPOLL_CTL_DEL, descriptor, &ignored) < 0 ? -errno : 0;
}

int cmhd_epoll_wait(int epoll, uint64_t *tags, int capacity, int timeout_milliseconds) {
    struct epoll_event events[16];
    int limit = capacity < 16 ? capacity : 16;
    int count = epoll_wait(epoll, events, limit, timeout_milliseconds);
    if (count < 0) return errno == EINTR ? 0 : -errno;
    for (int i = 0; i < count; i++) tags[i] = events[i].data.u64;
    return count;
}

int cmhd_wake_create(void) {
    int descriptor = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    return descriptor < 0 ? -errno : descriptor;
}

void cmhd_wake(int descriptor) {
    uint64_t one = 1;
    // EAGAIN means the counter is already high: the loop is woken all the same.
    while (write(descriptor, &one, sizeof one) < 0 && errno == EINTR) {
    }
}

void cmhd_wake_clear(int descriptor) {
    uint64_t count;
    while (read(descriptor, &count, sizeof count) < 0 && errno == EINTR) {
    }
}

int cmhd_accept(int listener, struct sockaddr *address, socklen_t *length) {
    int descriptor = accept4(listener, address, length, SOCK_NONBLOCK | SOCK_CLOEXEC);
    return descriptor < 0 ? -errno : descriptor;
}

void cmhd_name_thread(const char *name) {
    pthread_setname_np(pthread_self(), name);
}

int cmhd_peer_has_ended(int descriptor) {
    struct pollfd state = {.fd = descriptor, .events = POLLRDHUP};
    if (poll(&state, 1, 0) <= 0 || (state.revents & (POLLRDHUP | POLLHUP | POLLERR)) == 0) return 0;
    int unread = 0;
    return ioctl(descriptor, FIONREAD, &unread) < 0 || unread == 0;
}
