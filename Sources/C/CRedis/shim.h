#ifndef S3STORAGE_CREDIS_SHIM_H
#define S3STORAGE_CREDIS_SHIM_H
#include <hiredis/hiredis.h>
#endif
