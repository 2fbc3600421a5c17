#pragma once
#include <microhttpd.h>
#include <stddef.h>
#include <stdint.h>

// Bridge to libmicrohttpd 0.9.75 and to the two kernel objects its external-polling mode needs.
// Swift cannot call variadic C functions (MHD_start_daemon, MHD_get_connection_info, MHD_get_daemon_info),
// cannot format a va_list, and imports epoll_event as a packed union: each function below exists for one of these.

/// Everything a daemon needs, so that the variadic call is written once.
struct cmhd_settings {
    void *cls;  // handed to every callback
    MHD_AccessHandlerCallback access;
    void *(*target)(void *cls, const char *target, struct MHD_Connection *connection);
    MHD_RequestCompletedCallback completed;
    MHD_NotifyConnectionCallback connection;
    void (*log)(void *cls, const char *line, size_t length);
    /// Makes what is said in place of the library's own page; NULL: the page is sent. The same for all daemons.
    struct MHD_Response *(*refusal)(struct MHD_Connection *connection, unsigned int status);
    unsigned int connections_max;
    size_t memory_per_connection;
};

/// Variadic MHD_start_daemon: external epoll, no listening socket of its own (connections are handed in), strict
/// parsing,
/// targets left as sent. `settings` must outlive the daemon. NULL when the library refuses.
struct MHD_Daemon *cmhd_start(const struct cmhd_settings *settings);

/// The library's MHD_queue_response; the symbol of that name is ours (shim.c).
enum MHD_Result cmhd_queue_response(struct MHD_Connection *connection, unsigned int status,
                                    struct MHD_Response *response);

/// Variadic MHD_get_daemon_info: the epoll descriptor to nest in ours; -1 when there is none.
int cmhd_epoll_descriptor(struct MHD_Daemon *daemon);

/// Variadic MHD_get_connection_info, by what is asked for.
int cmhd_socket(struct MHD_Connection *connection);
void *cmhd_socket_context(struct MHD_Connection *connection);
size_t cmhd_header_byte_count(struct MHD_Connection *connection);

/// One header field as the library keeps it: pointers into its request buffer, not copied.
struct cmhd_field {
    const uint8_t *name;
    size_t name_length;
    const uint8_t *value;
    size_t value_length;
};

/// Collects the header fields in one call, so that a request costs one crossing into Swift and not one per field.
/// Returns how many there are, which may be more than `capacity`.
size_t cmhd_header_fields(struct MHD_Connection *connection, struct cmhd_field *fields, size_t capacity);

/// struct epoll_event is packed and holds a union: these keep it on the C side. 0, or -errno.
int cmhd_epoll_create(void);
int cmhd_epoll_add(int epoll, int descriptor, uint64_t tag);
/// For a listening socket shared by several loops: wakes one of them, not all (EPOLLEXCLUSIVE).
int cmhd_epoll_add_exclusive(int epoll, int descriptor, uint64_t tag);
int cmhd_epoll_remove(int epoll, int descriptor);
/// Fills `tags` with what is ready; returns the count, 0 on timeout or EINTR, -errno otherwise.
int cmhd_epoll_wait(int epoll, uint64_t *tags, int capacity, int timeout_milliseconds);

/// A non-blocking, close-on-exec eventfd; -errno on failure.
int cmhd_wake_create(void);
void cmhd_wake(int descriptor);
void cmhd_wake_clear(int descriptor);

/// GNU extensions that the Swift overlay of libc does not show. A socket that is non-blocking and close-on-exec, or
/// -errno.
int cmhd_accept(int listener, struct sockaddr *address, socklen_t *length);
void cmhd_name_thread(const char *name);

/// 1 when the peer has sent its last byte and all of them have been read, else 0. The library's edge-triggered reading
/// misses an end of input that arrives together with data (0.9.75 does not ask for EPOLLRDHUP).
int cmhd_peer_has_ended(int descriptor);
