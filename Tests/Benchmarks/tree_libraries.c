/* The libraries that tree_peers measures, each in its cheapest correct use for one thread. */
#include "tree_peers.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

typedef void *handle;

/* XGBoost: in place, one proxy DMatrix for all calls, the row copied to where one array description points: its cheapest use. */
static int (*xgb_predict)(handle, const char *, const char *, handle, const uint64_t **, uint64_t *, const float **);
static int (*xgb_explain)(handle, handle, const char *, const uint64_t **, uint64_t *, const float **);
static handle xgb_booster, xgb_proxy, xgb_matrices[SHAP_ROWS];
static float *xgb_row;
static char xgb_one[160], xgb_many[160];
static const char xgb_config[] = "{\"type\":0,\"training\":false,\"iteration_begin\":0,\"iteration_end\":0,\"missing\":NaN,"
                                 "\"strict_shape\":false,\"cache_id\":0}";

static void xgb_array(char *text, size_t size, const float *data, uint64_t count)
{
    snprintf(text, size, "{\"data\":[%llu,true],\"shape\":[%llu,%llu],\"typestr\":\"<f4\",\"version\":3}",
             (unsigned long long)(uintptr_t)data, (unsigned long long)count, (unsigned long long)columns);
}

static void xgb_load(void)
{
    int (*create)(const handle *, uint64_t, handle *) = symbol("XGBoosterCreate");
    int (*load)(handle, const char *) = symbol("XGBoosterLoadModel");
    int (*set)(handle, const char *, const char *) = symbol("XGBoosterSetParam");
    int (*drop)(handle) = symbol("XGBoosterFree");
    if (xgb_booster)
        drop(xgb_booster);
    check(create(NULL, 0, &xgb_booster) || load(xgb_booster, model_path) || set(xgb_booster, "nthread", "1"),
          "XGBoost cannot load the model");
}

static void xgb_prepare(void)
{
    int (*make)(handle *) = symbol("XGProxyDMatrixCreate");
    int (*matrix)(const float *, uint64_t, uint64_t, float, handle *) = symbol("XGDMatrixCreateFromMat");
    xgb_predict = symbol("XGBoosterPredictFromDense");
    xgb_explain = symbol("XGBoosterPredictFromDMatrix");
    check(make(&xgb_proxy), "XGBoost has no proxy matrix");
    xgb_row = memory(columns * sizeof(float));
    xgb_array(xgb_one, sizeof xgb_one, xgb_row, 1);
    xgb_array(xgb_many, sizeof xgb_many, narrow, BATCH_ROWS);
    for (int row = 0; row < SHAP_ROWS; row++)
        check(matrix(narrow + row * columns, 1, columns, NAN, &xgb_matrices[row]), "XGBoost makes no matrix");
}

static void xgb_single(uint64_t row)
{
    const uint64_t *shape;
    uint64_t dimensions;
    const float *result;
    memcpy(xgb_row, narrow + row * columns, columns * sizeof(float));
    check(xgb_predict(xgb_booster, xgb_one, xgb_config, xgb_proxy, &shape, &dimensions, &result), "XGBoost cannot predict");
    answers[row] = result[0];
}

static void xgb_batch(void)
{
    const uint64_t *shape;
    uint64_t dimensions;
    const float *result;
    check(xgb_predict(xgb_booster, xgb_many, xgb_config, xgb_proxy, &shape, &dimensions, &result), "XGBoost cannot predict");
    for (int row = 0; row < BATCH_ROWS; row++)
        answers[row] = result[row];
}

static void xgb_shap(uint64_t row, double *values)
{
    static const char config[] = "{\"type\":2,\"training\":false,\"iteration_begin\":0,\"iteration_end\":0,\"strict_shape\":false}";
    const uint64_t *shape;
    uint64_t dimensions;
    const float *result;
    check(xgb_explain(xgb_booster, xgb_matrices[row], config, &shape, &dimensions, &result), "XGBoost cannot explain");
    for (uint64_t column = 0; column <= columns; column++)
        values[column] = result[column];
}

/* LightGBM: what it calls single row fast. */
static int (*lgb_fast)(handle, const void *, int64_t *, double *);
static int (*lgb_matrix)(handle, const void *, int, int32_t, int32_t, int, int, int, int, const char *, int64_t *, double *);
static handle lgb_booster, lgb_normal, lgb_contributions;
enum { LGB_NORMAL = 0, LGB_CONTRIBUTIONS = 3, LGB_FLOAT64 = 1 };
static const char lgb_options[] = "num_threads=1 verbosity=-1";

static void lgb_load(void)
{
    int (*create)(const char *, int *, handle *) = symbol("LGBM_BoosterCreateFromModelfile");
    int (*prepare)(handle, int, int, int, int, int32_t, const char *, handle *) =
        symbol("LGBM_BoosterPredictForMatSingleRowFastInit");
    int iterations;
    check(create(model_path, &iterations, &lgb_booster) ||
              prepare(lgb_booster, LGB_NORMAL, 0, -1, LGB_FLOAT64, (int32_t)columns, lgb_options, &lgb_normal) ||
              prepare(lgb_booster, LGB_CONTRIBUTIONS, 0, -1, LGB_FLOAT64, (int32_t)columns, lgb_options, &lgb_contributions),
          "LightGBM cannot load the model");
}

static void lgb_prepare(void)
{
    lgb_fast = symbol("LGBM_BoosterPredictForMatSingleRowFast");
    lgb_matrix = symbol("LGBM_BoosterPredictForMat");
}

static void lgb_single(uint64_t row)
{
    int64_t count;
    check(lgb_fast(lgb_normal, wide + row * columns, &count, &answers[row]), "LightGBM cannot predict");
}

static void lgb_batch(void)
{
    int64_t count;
    check(lgb_matrix(lgb_booster, wide, LGB_FLOAT64, BATCH_ROWS, (int32_t)columns, 1, LGB_NORMAL, 0, -1, lgb_options, &count,
                     answers), "LightGBM cannot predict");
}

static void lgb_shap(uint64_t row, double *values)
{
    int64_t count;
    check(lgb_fast(lgb_contributions, wide + row * columns, &count, values), "LightGBM cannot explain");
}

/* ONNX Runtime through its table of functions, whose places never change; tensors made once over fixed memory. */
enum { ORT_MESSAGE = 2, ORT_ENVIRONMENT = 3, ORT_SESSION = 7, ORT_RUN = 9, ORT_OPTIONS = 10, ORT_INTRA = 24, ORT_INTER = 25,
       ORT_TENSOR = 49, ORT_MEMORY = 69 };
typedef void *(*ort_call)();
static ort_call *ort;
static handle ort_environment, ort_settings, ort_session, ort_one_in, ort_one_out, ort_many_in, ort_many_out;
static float *ort_row, ort_pair[2], *ort_pairs;

static void ort_check(void *status)
{
    if (status)
        die(((const char *(*)(void *))ort[ORT_MESSAGE])(status));
}

static void ort_load(void)
{
    if (!ort) {
        void **(*base)(void) = symbol("OrtGetApiBase");
        ort = ((ort_call *(*)(uint32_t))base()[0])(20);
        ort_check(((void *(*)(int, const char *, handle *))ort[ORT_ENVIRONMENT])(3, "bench", &ort_environment));
        ort_check(((void *(*)(handle *))ort[ORT_OPTIONS])(&ort_settings));
        ort_check(((void *(*)(handle, int))ort[ORT_INTRA])(ort_settings, 1));
        ort_check(((void *(*)(handle, int))ort[ORT_INTER])(ort_settings, 1));
    }
    /* An earlier session is left: there are few, and giving it back is not what is measured. */
    ort_check(((void *(*)(handle, const char *, handle, handle *))ort[ORT_SESSION])(ort_environment, model_path, ort_settings,
                                                                                     &ort_session));
}

static void ort_prepare(void)
{
    void *(*make)(handle, void *, size_t, const int64_t *, size_t, int, handle *) =
        (void *(*)(handle, void *, size_t, const int64_t *, size_t, int, handle *))ort[ORT_TENSOR];
    enum { FLOAT = 1 };
    handle where;
    int64_t one_in[] = {1, (int64_t)columns}, one_out[] = {1, 2}, many_in[] = {BATCH_ROWS, (int64_t)columns},
            many_out[] = {BATCH_ROWS, 2};
    ort_check(((void *(*)(int, int, handle *))ort[ORT_MEMORY])(1, 0, &where));
    ort_row = memory(columns * sizeof(float));
    ort_pairs = memory(2 * BATCH_ROWS * sizeof(float));
    ort_check(make(where, ort_row, columns * sizeof(float), one_in, 2, FLOAT, &ort_one_in));
    ort_check(make(where, ort_pair, sizeof ort_pair, one_out, 2, FLOAT, &ort_one_out));
    ort_check(make(where, narrow, BATCH_ROWS * columns * sizeof(float), many_in, 2, FLOAT, &ort_many_in));
    ort_check(make(where, ort_pairs, 2 * BATCH_ROWS * sizeof(float), many_out, 2, FLOAT, &ort_many_out));
}

static void ort_run(handle *in, handle *out)
{
    static const char *const inputs[] = {"x"}, *const outputs[] = {"probabilities"};
    ort_check(((void *(*)(handle, handle, const char *const *, void *const *, size_t, const char *const *, size_t,
                          handle *))ort[ORT_RUN])(ort_session, NULL, inputs, in, 1, outputs, 1, out));
}

static void ort_single(uint64_t row)
{
    memcpy(ort_row, narrow + row * columns, columns * sizeof(float));
    ort_run(&ort_one_in, &ort_one_out);
    answers[row] = ort_pair[1];
}

static void ort_batch(void)
{
    ort_run(&ort_many_in, &ort_many_out);
    for (int row = 0; row < BATCH_ROWS; row++)
        answers[row] = ort_pairs[2 * row + 1];
}

/* tl2cgen: its entries are numbers, or all bits 1 where one is missing; the function writes into them. */
static void (*tl2_predict)(void *, int, void *);
static void *tl2_entries, *tl2_row;
static size_t tl2_bytes;

static void tl2_load(void)
{
    reopen_library();
    tl2_predict = symbol("predict");
}

static void tl2_fill(const void *source, size_t bytes)
{
    tl2_bytes = columns * bytes;
    tl2_entries = memory(rows * tl2_bytes);
    tl2_row = memory(tl2_bytes);
    memcpy(tl2_entries, source, rows * tl2_bytes);
    for (size_t index = 0; index < rows * columns; index++)
        if (isnan(wide[index]))
            memset((char *)tl2_entries + index * bytes, 0xff, bytes);
}

static void tl2_float_prepare(void)
{
    tl2_fill(narrow, sizeof(float));
}

static void tl2_double_prepare(void)
{
    tl2_fill(wide, sizeof(double));
}

static void tl2_float_single(uint64_t row)
{
    float result = 0;
    memcpy(tl2_row, (char *)tl2_entries + row * tl2_bytes, tl2_bytes);
    tl2_predict(tl2_row, 0, &result);
    answers[row] = result;
}

static void tl2_double_single(uint64_t row)
{
    double result = 0;
    memcpy(tl2_row, (char *)tl2_entries + row * tl2_bytes, tl2_bytes);
    tl2_predict(tl2_row, 0, &result);
    answers[row] = result;
}

static void tl2_float_batch(void)
{
    for (uint64_t row = 0; row < BATCH_ROWS; row++)
        tl2_float_single(row);
}

static void tl2_double_batch(void)
{
    for (uint64_t row = 0; row < BATCH_ROWS; row++)
        tl2_double_single(row);
}

/* lleaves */
static void (*lleaves_predict)(const double *, double *, int, int);

static void lleaves_load(void)
{
    reopen_library();
    lleaves_predict = symbol("forest_root");
}

static void nothing(void)
{
}

static void lleaves_single(uint64_t row)
{
    lleaves_predict(wide + row * columns, &answers[row], 0, 1);
}

static void lleaves_batch(void)
{
    lleaves_predict(wide, answers, 0, BATCH_ROWS);
}

const struct kind kinds[] = {
    {"xgboost", xgb_load, xgb_prepare, xgb_single, xgb_batch, xgb_shap},
    {"lightgbm", lgb_load, lgb_prepare, lgb_single, lgb_batch, lgb_shap},
    {"onnxruntime", ort_load, ort_prepare, ort_single, ort_batch, NULL},
    {"tl2cgen-float", tl2_load, tl2_float_prepare, tl2_float_single, tl2_float_batch, NULL},
    {"tl2cgen-double", tl2_load, tl2_double_prepare, tl2_double_single, tl2_double_batch, NULL},
    {"lleaves", lleaves_load, nothing, lleaves_single, lleaves_batch, NULL},
};

const size_t kind_count = sizeof kinds / sizeof *kinds;
