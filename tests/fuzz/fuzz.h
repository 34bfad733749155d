// The entry point every fuzz target defines: libFuzzer calls it in the fuzz build, replay_main.c
// in all others. It returns 0; a wrong result is an assert.
#ifndef GEMINGA_TESTS_FUZZ_FUZZ_H
#define GEMINGA_TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
