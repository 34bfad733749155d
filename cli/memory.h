#ifndef GEMINGA_CLI_MEMORY_H
#define GEMINGA_CLI_MEMORY_H

extern const char *const malloc_conf;  // jemalloc's name for it

#endif
