#ifndef S3STORAGE_CISAL_SHIM_H
#define S3STORAGE_CISAL_SHIM_H
#include <isa-l.h>
#endif
