/* What tree_peers.c and tree_libraries.c share. */
#ifndef TREE_PEERS_H
#define TREE_PEERS_H

#include <stddef.h>
#include <stdint.h>

#define SHAP_ROWS 200
#define BATCH_ROWS 10000

/* One kind of library. */
struct kind {
    const char *name;
    void (*load)(void);                     /* loads the model, again too */
    void (*prepare)(void);                  /* once, after the first time */
    void (*single)(uint64_t row);           /* writes answers[row] */
    void (*batch)(void);                    /* writes the first BATCH_ROWS answers */
    void (*shap)(uint64_t row, double *);   /* columns + 1 contributions; NULL: it has none */
};

extern const struct kind kinds[];
extern const size_t kind_count;

extern const char *library_path, *model_path;
extern double *wide;                        /* the rows as they are */
extern float *narrow;                       /* and rounded */
extern uint64_t rows, columns;
extern double *answers;

void die(const char *what) __attribute__((noreturn));
void check(int failed, const char *what);
void *memory(size_t bytes);
void open_library(void);
void *symbol(const char *name);             /* of the library */
void reopen_library(void);

#endif
