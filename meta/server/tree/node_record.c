#include "meta/server/tree/node_record.h"

#include <assert.h>

enum { RECORD_VERSION = 1, FLAG_HAS_DATA = 1 << 0, FLAG_ELSEWHERE = 1 << 1, FLAGS_ALL = 3 };

unsigned meta_path_depth(struct rt_bytes path) {
    if (path.size <= 1) return 0;
    unsigned depth = 0;
    for (size_t i = 0; i < path.size && depth < META_DEPTH_MAX; i++) depth += path.data[i] == '/';
    return depth;
}

void meta_node_key(struct rt_buf *key, struct rt_bytes path) {
    rt_buf_clear(key);
    rt_buf_reserve(key, META_NODE_KEY_PATH + path.size);
    struct rt_writer w = rt_writer_into(key);
    rt_write_be16(&w, (uint16_t)meta_path_depth(path));
    rt_write_bytes(&w, path);
}

void meta_node_record_encode(const struct meta_node_record *record, struct rt_writer *w) {
    const struct meta_znode *node = &record->node;
    assert(record->data_size <= UINT32_MAX && node->acl.size <= UINT32_MAX);
    assert(record->data_is_elsewhere || record->data_size == node->data.size);
    rt_write_u8(w, RECORD_VERSION);
    rt_write_u8(w, (uint8_t)node->kind);
    rt_write_u8(w, (uint8_t)((node->has_data ? FLAG_HAS_DATA : 0) |
                             (record->data_is_elsewhere ? FLAG_ELSEWHERE : 0)));
    rt_write_be64(w, (uint64_t)node->czxid);
    rt_write_be64(w, (uint64_t)node->mzxid);
    rt_write_be64(w, (uint64_t)node->pzxid);
    rt_write_be64(w, (uint64_t)node->ctime_ms);
    rt_write_be64(w, (uint64_t)node->mtime_ms);
    rt_write_be32(w, (uint32_t)node->version);
    rt_write_be32(w, (uint32_t)node->aversion);
    rt_write_be32(w, (uint32_t)node->creates);
    rt_write_be32(w, (uint32_t)node->children);
    rt_write_be64(w, (uint64_t)(node->kind == META_TTL ? node->ttl_ms : node->owner));
    rt_write_be32(w, record->data_crc);
    rt_write_be32(w, (uint32_t)node->acl.size);
    rt_write_be32(w, (uint32_t)record->data_size);
    rt_write_bytes(w, node->acl);
    if (!record->data_is_elsewhere) rt_write_bytes(w, node->data);
}

static void numbers_decode(struct rt_reader *r, struct meta_znode *node) {
    node->czxid = (int64_t)rt_read_be64(r);
    node->mzxid = (int64_t)rt_read_be64(r);
    node->pzxid = (int64_t)rt_read_be64(r);
    node->ctime_ms = (int64_t)rt_read_be64(r);
    node->mtime_ms = (int64_t)rt_read_be64(r);
    node->version = (int32_t)rt_read_be32(r);
    node->aversion = (int32_t)rt_read_be32(r);
    node->creates = (int32_t)rt_read_be32(r);
    node->children = (int32_t)rt_read_be32(r);
    int64_t owner_or_ttl = (int64_t)rt_read_be64(r);
    if (node->kind == META_EPHEMERAL) node->owner = owner_or_ttl;
    if (node->kind == META_TTL) node->ttl_ms = owner_or_ttl;
}

rt_err meta_node_record_decode(struct rt_bytes bytes, struct meta_node_record *record) {
    *record = (struct meta_node_record){0};
    struct meta_znode *node = &record->node;
    struct rt_reader r = rt_reader_over(bytes);
    if (rt_read_u8(&r) != RECORD_VERSION) return RT_ECORRUPT;
    uint8_t kind = rt_read_u8(&r), flags = rt_read_u8(&r);
    if (kind > META_TTL || flags & ~FLAGS_ALL) return RT_ECORRUPT;
    node->kind = (enum meta_znode_kind)kind;
    node->has_data = flags & FLAG_HAS_DATA;
    record->data_is_elsewhere = flags & FLAG_ELSEWHERE;
    numbers_decode(&r, node);
    record->data_crc = rt_read_be32(&r);
    size_t acl_size = rt_read_be32(&r);
    record->data_size = rt_read_be32(&r);
    node->acl = rt_read_bytes(&r, acl_size);
    if (!record->data_is_elsewhere) node->data = rt_read_bytes(&r, record->data_size);
    if (!rt_reader_done(&r)) return RT_ECORRUPT;
    return record->data_size && !node->has_data ? RT_ECORRUPT : RT_OK;
}
