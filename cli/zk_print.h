// How `geminga zk` shows what it got: for people, or as one JSON object a line.
#ifndef GEMINGA_CLI_ZK_PRINT_H
#define GEMINGA_CLI_ZK_PRINT_H

#include "proto/zookeeper.h"

// A JSON object while it is written.
struct zk_json {
    struct rt_buf text;
    bool has_field;
};

void zk_json_begin(struct zk_json *json);
void zk_json_end(struct zk_json *json);  // prints the line and releases it
void zk_json_text(struct zk_json *json, const char *name, struct rt_bytes value);
void zk_json_number(struct zk_json *json, const char *name, int64_t value);
// As text where it is UTF-8, else "NAMEBase64".
void zk_json_data(struct zk_json *json, const char *name, struct rt_bytes value);
void zk_json_names(struct zk_json *json, const char *name, const struct proto_zk_strings *names);
void zk_json_stat(struct zk_json *json, const struct proto_zk_stat *stat);
void zk_json_acl(struct zk_json *json, const struct proto_zk_acls *acl);

void zk_print_line(struct rt_bytes bytes);  // as they are
void zk_print_stat(const struct proto_zk_stat *stat);
void zk_print_acl(const struct proto_zk_acls *acl);  // "world:anyone:cdrwa", one a line

// "world:anyone:cdrwa,digest:user:hash:r": false where it is not understood.
bool zk_acl_parse(struct rt_bytes text, struct rt_arena *arena, struct proto_zk_acls *acl);

#endif
