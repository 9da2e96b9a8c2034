#ifndef S3STORAGE_CEXPAT_SHIM_H
#define S3STORAGE_CEXPAT_SHIM_H
#include <expat.h>
#endif
