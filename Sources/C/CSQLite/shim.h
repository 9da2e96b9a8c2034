#ifndef S3STORAGE_CSQLITE_SHIM_H
#define S3STORAGE_CSQLITE_SHIM_H
#include <sqlite3.h>
#endif
