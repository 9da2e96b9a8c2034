#include "platform_memory.h"
