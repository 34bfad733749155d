// The configuration of `geminga standalone`.
#ifndef GEMINGA_CLI_STANDALONE_OPTIONS_H
#define GEMINGA_CLI_STANDALONE_OPTIONS_H

#include "runtime/config.h"

struct standalone_config {
    char *data_dir;
    char *bind_address;
    int64_t http_port;
    int64_t meta_port, bookie_port;
    int64_t broker_port;  // of a tier that is not part of it yet
    char *file;           // the configuration file; "": none
    int64_t loops;
    uint64_t memory_bytes;
    int log_level;   // enum rt_log_level
    int log_format;  // enum rt_log_format
    char *log_file;  // "": stderr
};

extern const struct rt_option_table standalone_options;

#endif
