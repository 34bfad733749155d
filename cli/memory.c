// How jemalloc treats memory that was freed, read by it before main. Without a thread of its own it
// would give pages back only when somebody allocates: after a burst an idle server would keep them
// for ever. A sanitizer's malloc does not look at this.
#include "cli/memory.h"

const char *const malloc_conf =
    "background_thread:true,max_background_threads:1,dirty_decay_ms:1000,muzzy_decay_ms:0";
