#include "platform_file.h"
