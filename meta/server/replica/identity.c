// IDENTITY, one line of text in the data directory: "geminga-meta 1 cluster=%016x node=%u
// crc=%08x". It is written before anything else and never changes.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "meta/server/replica/replica_internal.h"
#include "runtime/crc32c.h"

enum { LINE_MAX = 128, PATH_MAX_SIZE = 512 };

static void identity_path(const struct meta_replica *replica, const char *name,
                          char path[PATH_MAX_SIZE]) {
    snprintf(path, PATH_MAX_SIZE, "%s/%s", replica->data_dir, name);
}

static int line_print(const struct replica_identity *identity, char line[LINE_MAX]) {
    int size = snprintf(line, LINE_MAX, "geminga-meta 1 cluster=%016" PRIx64 " node=%" PRIu64 " ",
                        identity->cluster, identity->node);
    uint32_t crc = rt_crc32c(0, RT_BYTES(line, (size_t)size));
    return size + snprintf(line + size, LINE_MAX - (size_t)size, "crc=%08" PRIx32 "\n", crc);
}

static bool line_parse(const char *line, struct replica_identity *identity) {
    char again[LINE_MAX];
    int used = 0;
    int got = sscanf(line, "geminga-meta 1 cluster=%16" SCNx64 " node=%20" SCNu64 " %n",
                     &identity->cluster, &identity->node, &used);
    if (got != 2) return false;
    line_print(identity, again);
    return strcmp(again, line) == 0;
}

rt_err replica_identity_read_now(struct meta_replica *replica, bool *found, struct rt_why *why) {
    char path[PATH_MAX_SIZE], line[LINE_MAX] = "";
    struct rt_file *file;
    size_t size = 0;
    identity_path(replica, "IDENTITY", path);
    rt_err err = rt_path_exists_now(replica->machine, path, found);
    if (err) return rt_why_set(why, err, "%s: %s", path, rt_err_text(err));
    if (!*found) return RT_OK;
    err = rt_file_open_now(replica->machine, path, RT_FILE_READ, &file, why);
    if (err) return err;
    err = rt_file_read_now(file, 0, line, sizeof(line) - 1, &size);
    rt_file_close_now(file);
    if (err) return rt_why_set(why, err, "%s: %s", path, rt_err_text(err));
    if (!line_parse(line, &replica->identity))
        return rt_why_set(why, RT_ECORRUPT, "%s is damaged: %s", path, line);
    if (replica->identity.node == replica->options.node_id) return RT_OK;
    return rt_why_set(why, RT_ECORRUPT,
                      "%s is of node %" PRIu64 ", but this is node %" PRIu64
                      "; correct dataDir or myid",
                      replica->data_dir, replica->identity.node, replica->options.node_id);
}

rt_err replica_identity_write_now(struct meta_replica *replica, struct rt_why *why) {
    char path[PATH_MAX_SIZE], draft[PATH_MAX_SIZE], line[LINE_MAX];
    struct rt_file *file;
    identity_path(replica, "IDENTITY", path);
    identity_path(replica, "IDENTITY.new", draft);
    int size = line_print(&replica->identity, line);
    unsigned flags = RT_FILE_WRITE | RT_FILE_CREATE | RT_FILE_EXISTING;
    rt_err err = rt_file_open_now(replica->machine, draft, flags, &file, why);
    if (err) return err;
    err = rt_file_truncate_now(file, 0);
    if (!err) err = rt_file_write_now(file, 0, RT_BYTES(line, (size_t)size));
    if (!err) err = rt_file_sync_now(file);
    rt_file_close_now(file);
    if (!err) err = rt_path_rename_now(replica->machine, draft, path);
    if (!err) err = rt_dir_sync_now(replica->machine, replica->data_dir);
    return err ? rt_why_set(why, err, "%s: %s", path, rt_err_text(err)) : RT_OK;
}

static int compare_members(const void *left, const void *right) {
    const struct meta_member *a = left, *b = right;
    return (a->id > b->id) - (a->id < b->id);
}

// host:peerPort of a server line.
static size_t endpoint_size(const char *address) {
    const char *end = address[0] == '[' ? strchr(address, ']') : strchr(address, ':');
    if (!end) return strlen(address);
    if (*end == ']') end = strchr(end, ':') ? strchr(end, ':') : end;
    size_t digits = strspn(end + 1, "0123456789");
    return (size_t)(end - address) + 1 + digits;
}

uint64_t replica_cluster_of(struct meta_replica *replica) {
    struct rt_buf text = {0};
    uint64_t cluster = 0;
    qsort(replica->members, replica->options.member_count, sizeof(*replica->members),
          compare_members);
    for (unsigned i = 0; i < replica->options.member_count; i++) {
        const struct meta_member *member = &replica->members[i];
        rt_buf_print(&text, "%" PRIu64 "=%.*s;", member->id, (int)endpoint_size(member->address),
                     member->address);
    }
    if (replica->is_alone) {
        rt_machine_entropy(replica->machine, &cluster, sizeof(cluster));
    } else {
        struct rt_bytes bytes = rt_buf_bytes(&text);
        cluster = (uint64_t)rt_crc32c(0x6765, bytes) << 32 | rt_crc32c(0, bytes);
    }
    rt_buf_fini(&text);
    return cluster ? cluster : 1;
}

void replica_founding_config(const struct meta_replica *replica, struct raft_config *config) {
    *config = (struct raft_config){.index = 1};
    if (!replica->options.member_count)
        RT_IGNORE(raft_config_put(config, replica->options.node_id, RAFT_VOTER, ""));
    for (unsigned i = 0; i < replica->options.member_count; i++) {
        const struct meta_member *member = &replica->members[i];
        unsigned roles = member->is_observer ? RAFT_LEARNER : RAFT_VOTER;
        // Ids, roles and addresses were checked with the configuration.
        RT_IGNORE(raft_config_put(config, member->id, roles, member->address));
    }
}
