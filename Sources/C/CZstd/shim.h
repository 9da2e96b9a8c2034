#ifndef S3STORAGE_CZSTD_SHIM_H
#define S3STORAGE_CZSTD_SHIM_H
#include <zstd.h>
#endif
