/* What the machine and libmicrohttpd give, without decisiond: the yardstick of deploy/bench.
 *
 *   probe bare   PORT LOOPS ANSWER_BYTES                       answers at once
 *   probe commit PORT LOOPS ANSWER_BYTES FRAME_BYTES FILE      answers after its frame is fdatasynced
 *
 * `commit` is one group commit thread: it takes all requests that wait, writes FRAME_BYTES for each, calls fdatasync once and
 * answers them. FILE is filled with zeros first and written over in a circle, so that no fdatasync has to change metadata:
 * that is the fastest this file system can do, and the hardest yardstick. Runs until SIGTERM, then prints the mean group. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <microhttpd.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FILE_BYTES = 256 << 20, STAGE_BYTES = 8 << 20 };

struct call {
    struct MHD_Connection *connection;
    struct call *next;
    enum { READING, WAITING, DURABLE } state;
};

static struct MHD_Response *answer;
static int journal = -1;
static size_t frame_bytes;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t arrived = PTHREAD_COND_INITIALIZER;
static struct call *first_waiting;
static atomic_long groups, frames;

static void die(const char *what)
{
    fprintf(stderr, "probe: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void write_all(const unsigned char *bytes, size_t count, off_t at)
{
    while (count > 0) {
        ssize_t written = pwrite(journal, bytes, count, at);
        if (written < 0) {
            if (errno == EINTR)
                continue;
            die("pwrite");
        }
        bytes += written;
        at += written;
        count -= (size_t)written;
    }
}

static void *commit_loop(void *unused)
{
    (void)unused;
    unsigned char *stage = malloc(STAGE_BYTES), *frame = malloc(frame_bytes);
    if (!stage || !frame)
        die("malloc");
    memset(frame, 'x', frame_bytes);
    off_t position = 0;
    for (;;) {
        pthread_mutex_lock(&lock);
        while (!first_waiting)
            pthread_cond_wait(&arrived, &lock);
        struct call *group = first_waiting;
        first_waiting = NULL;
        pthread_mutex_unlock(&lock);
        size_t staged = 0;
        long count = 0;
        for (struct call *call = group; call; call = call->next, count++) {
            if (staged + frame_bytes > STAGE_BYTES) {
                write_all(stage, staged, position);
                position += (off_t)staged;
                staged = 0;
            }
            memcpy(stage + staged, frame, frame_bytes);
            staged += frame_bytes;
        }
        if (position + (off_t)staged > FILE_BYTES)
            position = 0;
        write_all(stage, staged, position);
        position += (off_t)staged;
        if (fdatasync(journal) != 0)
            die("fdatasync");
        atomic_fetch_add(&groups, 1);
        atomic_fetch_add(&frames, count);
        while (group) {
            struct call *call = group;
            group = call->next;
            call->state = DURABLE;
            MHD_resume_connection(call->connection);
        }
    }
    return NULL;
}

static enum MHD_Result handle(void *context, struct MHD_Connection *connection, const char *target, const char *method,
                              const char *version, const char *data, size_t *data_bytes, void **state)
{
    (void)context, (void)target, (void)method, (void)version, (void)data;
    struct call *call = *state;
    if (!call) {
        call = calloc(1, sizeof *call);
        if (!call)
            return MHD_NO;
        call->connection = connection;
        *state = call;
        return MHD_YES;
    }
    if (*data_bytes) {
        *data_bytes = 0;
        return MHD_YES;
    }
    if (journal >= 0 && call->state == READING) {
        call->state = WAITING;
        MHD_suspend_connection(connection);
        pthread_mutex_lock(&lock);
        call->next = first_waiting;
        first_waiting = call;
        pthread_cond_signal(&arrived);
        pthread_mutex_unlock(&lock);
        return MHD_YES;
    }
    if (call->state == WAITING)
        return MHD_YES;
    return MHD_queue_response(connection, 200, answer);
}

static void completed(void *context, struct MHD_Connection *connection, void **state, enum MHD_RequestTerminationCode code)
{
    (void)context, (void)connection, (void)code;
    free(*state);
    *state = NULL;
}

static void open_journal(const char *path)
{
    static unsigned char zeros[1 << 20];
    journal = open(path, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
    if (journal < 0)
        die(path);
    for (off_t at = 0; at < FILE_BYTES; at += (off_t)sizeof zeros)
        write_all(zeros, sizeof zeros, at);
    if (fsync(journal) != 0)
        die("fsync");
    pthread_t thread;
    if (pthread_create(&thread, NULL, commit_loop, NULL) != 0)
        die("pthread_create");
}

int main(int count, char **arguments)
{
    int commits = count == 7 && strcmp(arguments[1], "commit") == 0;
    if (!commits && !(count == 5 && strcmp(arguments[1], "bare") == 0)) {
        fputs("usage: probe bare PORT LOOPS ANSWER_BYTES | probe commit PORT LOOPS ANSWER_BYTES FRAME_BYTES FILE\n", stderr);
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    sigset_t stops;
    sigemptyset(&stops);
    sigaddset(&stops, SIGTERM);
    sigaddset(&stops, SIGINT);
    pthread_sigmask(SIG_BLOCK, &stops, NULL);
    size_t answer_bytes = strtoul(arguments[4], NULL, 10);
    char *body = malloc(answer_bytes + 16);
    if (!body)
        die("malloc");
    memset(body, ' ', answer_bytes + 16);
    memcpy(body, "{\"ok\":true}", 11);
    answer = MHD_create_response_from_buffer(answer_bytes < 11 ? 11 : answer_bytes, body, MHD_RESPMEM_PERSISTENT);
    MHD_add_response_header(answer, "Content-Type", "application/json");
    if (commits) {
        frame_bytes = strtoul(arguments[5], NULL, 10);
        if (frame_bytes == 0 || frame_bytes > STAGE_BYTES) {
            fputs("probe: a frame has 1 byte to 8 MiB\n", stderr);
            return 2;
        }
        open_journal(arguments[6]);
    }
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons((uint16_t)atoi(arguments[2])),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    struct MHD_Daemon *daemon = MHD_start_daemon(
        MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_TURBO | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, handle, NULL,
        MHD_OPTION_SOCK_ADDR, &address, MHD_OPTION_THREAD_POOL_SIZE, (unsigned)atoi(arguments[3]),
        MHD_OPTION_CONNECTION_LIMIT, 4096u, MHD_OPTION_NOTIFY_COMPLETED, completed, NULL, MHD_OPTION_END);
    if (!daemon)
        die("MHD_start_daemon");
    puts("ready");
    fflush(stdout);
    int signal_number;
    sigwait(&stops, &signal_number);
    if (commits)
        printf("mean group %.1f frames\n", groups ? (double)frames / (double)groups : 0.0);
    fflush(stdout);
    _exit(0);
}
