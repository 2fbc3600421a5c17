/* One library that evaluates trees, through its C API, one thread, for the section models of deploy/bench.
 *
 *   tree_peers xgboost|lightgbm|onnxruntime|tl2cgen-float|tl2cgen-double|lleaves  LIBRARY MODEL ROWS ANSWERS
 *
 * ROWS: two uint64 (rows, columns), then float64. Of the compiled kinds LIBRARY is the model and MODEL is "-". Writes its
 * answers to ANSWERS.single, .batch and .shap (float64), says how long loading took, and then serves its standard input, a
 * line at a time, until it ends (decisiond-microbench model speaks the same):
 *
 *   single MS   rows one at a time for about so long, warm, going on where the last round stopped: "single NANOSECONDS"
 *   batch       the first 10,000 rows in one call: "batch NANOSECONDS" (a row)
 *   shap        contributions of SHAP_ROWS rows one at a time: "shap NANOSECONDS", or "shap -"
 *   load        loads the model again: "load NANOSECONDS"
 *
 * Time is the processor time of the whole process: what other processes take is not counted, helper threads are. */
#define _GNU_SOURCE
#include "tree_peers.h"
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define WARM_ROWS 200

static void *library;
const char *library_path, *model_path;
double *wide;
float *narrow;
uint64_t rows, columns;
double *answers;

void die(const char *what)
{
    fprintf(stderr, "tree_peers: %s\n", what ? what : "?");
    exit(1);
}

void check(int failed, const char *what)
{
    if (failed)
        die(what);
}

void *symbol(const char *name)
{
    void *found = dlsym(library, name);
    if (!found)
        die(dlerror());
    return found;
}

void open_library(void)
{
    library = dlopen(library_path, RTLD_NOW | RTLD_LOCAL);
    if (!library)
        die(dlerror());
}

void reopen_library(void)
{
    if (library)
        dlclose(library);
    open_library();
}

void *memory(size_t bytes)
{
    void *new = malloc(bytes);
    if (!new)
        die("no memory");
    return new;
}

static void read_rows(const char *path)
{
    FILE *file = fopen(path, "rb");
    uint64_t head[2];
    if (!file || fread(head, 8, 2, file) != 2)
        die("the rows cannot be read");
    rows = head[0];
    columns = head[1];
    size_t count = rows * columns;
    wide = memory(count * sizeof(double));
    if (rows < BATCH_ROWS || fread(wide, sizeof(double), count, file) != count)
        die("the rows are cut short");
    fclose(file);
    narrow = memory(count * sizeof(float));
    for (size_t index = 0; index < count; index++)
        narrow[index] = (float)wide[index];
}

static double nanoseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static long resident_kib(void)
{
    char line[256];
    long found = 0;
    FILE *file = fopen("/proc/self/status", "r");
    while (file && fgets(line, sizeof line, file))
        sscanf(line, "VmRSS: %ld", &found);
    if (file)
        fclose(file);
    return found;
}

static void save(const char *prefix, const char *suffix, const double *values, size_t count)
{
    char path[4096];
    snprintf(path, sizeof path, "%s.%s", prefix, suffix);
    FILE *file = fopen(path, "wb");
    check(!file || fwrite(values, sizeof(double), count, file) != count || fclose(file), "the answers cannot be written");
}

static double single_round(const struct kind *kind, double milliseconds)
{
    static uint64_t next;
    uint64_t done = 0;
    for (uint64_t row = 0; row < WARM_ROWS; row++)
        kind->single((next + rows - WARM_ROWS + row) % rows);
    double start = nanoseconds(), end = start + milliseconds * 1e6, now;
    do {
        for (int row = 0; row < 64; row++, done++) {
            kind->single(next);
            next = next + 1 == rows ? 0 : next + 1;
        }
        now = nanoseconds();
    } while (now < end);
    return (now - start) / (double)done;
}

static double shap_round(const struct kind *kind, double *values)
{
    kind->shap(0, values);
    double start = nanoseconds();
    for (uint64_t row = 0; row < SHAP_ROWS; row++)
        kind->shap(row, values + row * (columns + 1));
    return (nanoseconds() - start) / SHAP_ROWS;
}

static void serve(const struct kind *kind, double *values)
{
    char line[64];
    while (fgets(line, sizeof line, stdin)) {
        double start = nanoseconds();
        if (strncmp(line, "single ", 7) == 0) {
            printf("single %.1f\n", single_round(kind, atof(line + 7)));
        } else if (strcmp(line, "batch\n") == 0) {
            kind->batch();
            printf("batch %.1f\n", (nanoseconds() - start) / BATCH_ROWS);
        } else if (strcmp(line, "shap\n") == 0) {
            if (kind->shap)
                printf("shap %.1f\n", shap_round(kind, values));
            else
                puts("shap -");
        } else if (strcmp(line, "load\n") == 0) {
            kind->load();
            printf("load %.1f\n", nanoseconds() - start);
        }
        fflush(stdout);
    }
}

int main(int count, char **arguments)
{
    const struct kind *kind = NULL;
    for (size_t index = 0; count == 6 && index < kind_count; index++)
        if (strcmp(arguments[1], kinds[index].name) == 0)
            kind = &kinds[index];
    if (!kind) {
        fputs("usage: see the head of Tests/Benchmarks/tree_peers.c\n", stderr);
        return 2;
    }
    library_path = arguments[2];
    model_path = arguments[3];
    read_rows(arguments[4]);
    answers = memory(rows * sizeof(double));
    memset(answers, 0, rows * sizeof(double));
    /* Of the compiled kinds, opening the library is loading the model. */
    if (strcmp(model_path, "-") != 0)
        open_library();
    long before = resident_kib();
    double start = nanoseconds();
    kind->load();
    double loaded = nanoseconds() - start;
    kind->prepare();
    kind->single(0);
    printf("load %.1f\nresident_kib %ld\n", loaded, resident_kib() - before);
    for (uint64_t row = 0; row < rows; row++)
        kind->single(row);
    save(arguments[5], "single", answers, rows);
    kind->batch();
    save(arguments[5], "batch", answers, BATCH_ROWS);
    double *values = memory(SHAP_ROWS * (columns + 1) * sizeof(double));
    if (kind->shap) {
        shap_round(kind, values);
        save(arguments[5], "shap", values, SHAP_ROWS * (columns + 1));
    }
    puts("ready");
    fflush(stdout);
    serve(kind, values);
    return 0;
}
