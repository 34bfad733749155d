// Numbers in BookKeeper's texts and paths. Private to proto/.
#ifndef GEMINGA_PROTO_DECIMAL_H
#define GEMINGA_PROTO_DECIMAL_H

#include "runtime/bytes.h"

// All of the text: digits, with a minus before them or not. False where it is none, or too large.
bool proto_decimal_read(struct rt_bytes text, int64_t *value);
// Takes what is before the separator, and the separator; the rest if there is none.
struct rt_bytes proto_text_take(struct rt_bytes *text, char separator);

#endif
