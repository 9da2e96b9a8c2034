#ifndef S3STORAGE_CPOSTGRES_SHIM_H
#define S3STORAGE_CPOSTGRES_SHIM_H
#include <postgresql/libpq-fe.h>
#endif
