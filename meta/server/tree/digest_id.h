// What the digest scheme needs beside SHA-1: base64 (RFC 4648). Private to the tree.
#ifndef GEMINGA_META_SERVER_TREE_DIGEST_ID_H
#define GEMINGA_META_SERVER_TREE_DIGEST_ID_H

#include "runtime/bytes.h"

void meta_base64(struct rt_bytes bytes, struct rt_writer *w);

#endif
