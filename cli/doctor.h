// What `geminga doctor` looks at, one file each. Advice is counted, so that the last line can say
// how much there is to do.
#ifndef GEMINGA_CLI_DOCTOR_H
#define GEMINGA_CLI_DOCTOR_H

#include "runtime/machine.h"

struct doctor {
    struct rt_machine *machine;
    unsigned warnings;
};

void doctor_fact(const char *name, const char *format, ...) RT_PRINTF(2, 3);
void doctor_warn(struct doctor *doctor, const char *format, ...) RT_PRINTF(2, 3);

void doctor_host(struct doctor *doctor);
void doctor_disk(struct doctor *doctor, const char *data_dir);
// `url` is http://host:port of a running node. Waits for its answer.
void doctor_server(struct doctor *doctor, const char *url);

#endif
