// Commands from a log: decoding never reads past the end, and what it accepts, encodes back to the
// same bytes.
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "meta/server/tree/command.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    uint8_t *bytes = malloc(size ? size : 1);  // exact, so that a byte too far is noticed
    if (!bytes) abort();
    if (size) memcpy(bytes, data, size);
    struct rt_arena arena = {0};
    struct meta_command command;
    if (meta_command_decode(RT_BYTES(bytes, size), &arena, &command) == RT_OK) {
        struct rt_buf again = {0};
        struct rt_writer w = rt_writer_into(&again);
        meta_command_encode(&command, &w);
        assert(rt_bytes_equal(RT_BYTES(bytes, size), rt_buf_bytes(&again)));
        rt_buf_fini(&again);
    }
    rt_arena_fini(&arena);
    free(bytes);
    return 0;
}
