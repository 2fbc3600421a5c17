// Why this bridge exists: libpq is the only client library that speaks every PostgreSQL authentication method, TLS
// policy and connection string, and Debian patches it. Its one user is the target Postgres; no PQ* name or C pointer
// leaves that target. Swift does not import character constants of the PG_DIAG_* kind with a stable type, so the few
// that are used are given as functions.
#ifndef DECISIOND_CLIBPQ_SHIM_H
#define DECISIOND_CLIBPQ_SHIM_H

#include <libpq-fe.h>

static inline const char *decisiond_pq_sqlstate(const PGresult *result) {
    return PQresultErrorField(result, PG_DIAG_SQLSTATE);
}

static inline const char *decisiond_pq_severity(const PGresult *result) {
    return PQresultErrorField(result, PG_DIAG_SEVERITY_NONLOCALIZED);
}

static inline const char *decisiond_pq_message(const PGresult *result) {
    return PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
}

static inline const char *decisiond_pq_context(const PGresult *result) {
    return PQresultErrorField(result, PG_DIAG_CONTEXT);
}

static inline const char *decisiond_pq_table(const PGresult *result) {
    return PQresultErrorField(result, PG_DIAG_TABLE_NAME);
}

static inline const char *decisiond_pq_column(const PGresult *result) {
    return PQresultErrorField(result, PG_DIAG_COLUMN_NAME);
}

static inline const char *decisiond_pq_constraint(const PGresult *result) {
    return PQresultErrorField(result, PG_DIAG_CONSTRAINT_NAME);
}

#endif
