/* One row at a time through another library's C API, the same rows as `decisiond model bench`.
 *
 *   tree_peers xgboost  LIBRARY MODEL ROWS SECONDS
 *   tree_peers lightgbm LIBRARY MODEL ROWS SECONDS
 *
 * ROWS is written by run.py: two uint64 (rows, columns), then per row the columns and the expected prediction, all float64.
 * One thread. XGBoost: XGBoosterPredictFromDense (in place, no DMatrix). LightGBM: ...SingleRowFast. Prints rows that differ
 * from what is expected, the answers' digits apart, and `ns_per_row N`. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef void *handle;

static double *values;
static uint64_t rows, columns;

static void die(const char *what)
{
    fprintf(stderr, "tree_peers: %s\n", what);
    exit(1);
}

static void *symbol(void *library, const char *name)
{
    void *found = dlsym(library, name);
    if (!found)
        die(dlerror());
    return found;
}

static void read_rows(const char *path)
{
    FILE *file = fopen(path, "rb");
    uint64_t head[2];
    if (!file || fread(head, 8, 2, file) != 2)
        die("the rows cannot be read");
    rows = head[0];
    columns = head[1];
    size_t count = rows * (columns + 1);
    values = malloc(count * sizeof(double));
    if (!values || fread(values, sizeof(double), count, file) != count)
        die("the rows are cut short");
    fclose(file);
}

static double seconds_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* XGBoost */
static int (*xgb_predict)(handle, const char *, const char *, handle, const uint64_t **, uint64_t *, const float **);
static handle xgb_booster;
static char **xgb_arrays;
static const char xgb_config[] = "{\"type\":0,\"training\":false,\"iteration_begin\":0,\"iteration_end\":0,"
                                 "\"missing\":NaN,\"strict_shape\":false}";

static void xgb_open(void *library, const char *model)
{
    int (*create)(const handle *, uint64_t, handle *) = symbol(library, "XGBoosterCreate");
    int (*load)(handle, const char *) = symbol(library, "XGBoosterLoadModel");
    int (*set)(handle, const char *, const char *) = symbol(library, "XGBoosterSetParam");
    xgb_predict = symbol(library, "XGBoosterPredictFromDense");
    if (create(NULL, 0, &xgb_booster) || load(xgb_booster, model) || set(xgb_booster, "nthread", "1"))
        die("XGBoost cannot load the model");
    float *singles = malloc(rows * columns * sizeof(float));
    xgb_arrays = malloc(rows * sizeof(char *));
    if (!singles || !xgb_arrays)
        die("no memory");
    for (uint64_t row = 0; row < rows; row++) {
        for (uint64_t column = 0; column < columns; column++)
            singles[row * columns + column] = (float)values[row * (columns + 1) + column];
        if (asprintf(&xgb_arrays[row], "{\"data\":[%llu,true],\"shape\":[1,%llu],\"typestr\":\"<f4\",\"version\":3}",
                     (unsigned long long)(uintptr_t)(singles + row * columns), (unsigned long long)columns) < 0)
            die("no memory");
    }
}

static double xgb_row(uint64_t row)
{
    const uint64_t *shape;
    uint64_t dimensions;
    const float *result;
    if (xgb_predict(xgb_booster, xgb_arrays[row], xgb_config, NULL, &shape, &dimensions, &result))
        die("XGBoost cannot predict");
    return result[0];
}

/* LightGBM */
static int (*lgb_predict)(handle, const void *, int64_t *, double *);
static handle lgb_fast;

static void lgb_open(void *library, const char *model)
{
    int (*create)(const char *, int *, handle *) = symbol(library, "LGBM_BoosterCreateFromModelfile");
    int (*prepare)(handle, int, int, int, int, int32_t, const char *, handle *) =
        symbol(library, "LGBM_BoosterPredictForMatSingleRowFastInit");
    lgb_predict = symbol(library, "LGBM_BoosterPredictForMatSingleRowFast");
    handle booster;
    int iterations;
    enum { NORMAL = 0, FLOAT64 = 1 };
    if (create(model, &iterations, &booster) ||
        prepare(booster, NORMAL, 0, -1, FLOAT64, (int32_t)columns, "num_threads=1 verbosity=-1", &lgb_fast))
        die("LightGBM cannot load the model");
}

static double lgb_row(uint64_t row)
{
    double result;
    int64_t count;
    if (lgb_predict(lgb_fast, values + row * (columns + 1), &count, &result))
        die("LightGBM cannot predict");
    return result;
}

int main(int count, char **arguments)
{
    int is_xgboost = count == 6 && strcmp(arguments[1], "xgboost") == 0;
    if (!is_xgboost && !(count == 6 && strcmp(arguments[1], "lightgbm") == 0)) {
        fputs("usage: tree_peers xgboost|lightgbm LIBRARY MODEL ROWS SECONDS\n", stderr);
        return 2;
    }
    void *library = dlopen(arguments[2], RTLD_NOW | RTLD_LOCAL);
    if (!library)
        die(dlerror());
    read_rows(arguments[4]);
    (is_xgboost ? xgb_open : lgb_open)(library, arguments[3]);
    double (*predict)(uint64_t) = is_xgboost ? xgb_row : lgb_row;
    uint64_t different = 0;
    for (uint64_t row = 0; row < rows; row++) {
        double expected = values[row * (columns + 1) + columns], found = predict(row);
        if (!(fabs(found - expected) <= 1e-6 * fmax(1.0, fabs(expected))))
            different++;
    }
    /* The best round over all rows, as `decisiond model bench` has it: what other processes take is not counted. */
    double end = seconds_now() + atof(arguments[5]), best = INFINITY;
    volatile double sink = 0;
    do {
        double start = seconds_now();
        for (uint64_t row = 0; row < rows; row++)
            sink += predict(row);
        best = fmin(best, seconds_now() - start);
    } while (seconds_now() < end);
    printf("rows %llu\ndifferent %llu\nns_per_row %.0f\n", (unsigned long long)rows, (unsigned long long)different,
           best * 1e9 / (double)rows);
    return 0;
}
