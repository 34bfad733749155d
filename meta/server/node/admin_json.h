// Writes the JSON objects of the AdminServer: one member a line at the top, inner ones in a row.
#ifndef GEMINGA_META_SERVER_NODE_ADMIN_JSON_H
#define GEMINGA_META_SERVER_NODE_ADMIN_JSON_H

#include "runtime/http.h"

struct meta_json {
    struct rt_buf text;
    unsigned depth, lists;  // lists: a bit for each depth that is one
    bool has_member;        // the innermost object or list
};

void meta_json_begin(struct meta_json *json);
// Ends the object, replies with it and frees it.
void meta_json_reply(struct meta_json *json, struct rt_http_request *request);

// Members of the innermost object, by key; items of the innermost list, with NULL.
void meta_json_open(struct meta_json *json, const char *key, char bracket);  // { or [
void meta_json_open_bytes(struct meta_json *json, struct rt_bytes key, char bracket);
void meta_json_close(struct meta_json *json);
void meta_json_text(struct meta_json *json, const char *key, struct rt_bytes value);
void meta_json_number(struct meta_json *json, const char *key, int64_t value);
void meta_json_bool(struct meta_json *json, const char *key, bool value);
void meta_json_null(struct meta_json *json, const char *key);
// A number if it looks like one.
void meta_json_value(struct meta_json *json, struct rt_bytes key, struct rt_bytes value);

// So long that lists add no more.
bool meta_json_is_long(const struct meta_json *json);

void meta_json_quote(struct rt_buf *out, struct rt_bytes text);

#endif
