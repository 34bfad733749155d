// What the digest scheme needs: SHA-1 (RFC 3174) and base64 (RFC 4648). Private to the tree; SHA-1
// is here because ZooKeeper's ids are made with it, not because it is any good.
#ifndef GEMINGA_META_SERVER_TREE_DIGEST_ID_H
#define GEMINGA_META_SERVER_TREE_DIGEST_ID_H

#include "runtime/bytes.h"

enum { META_SHA1_SIZE = 20 };

void meta_sha1(struct rt_bytes bytes, uint8_t digest[META_SHA1_SIZE]);
void meta_base64(struct rt_bytes bytes, struct rt_writer *w);

#endif
