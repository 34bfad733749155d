// A small, fast, seeded generator (xoshiro256**): same seed, same numbers, on every machine.
// Not for secrets: those come from rt_machine_entropy.
#ifndef GEMINGA_RUNTIME_RANDOM_H
#define GEMINGA_RUNTIME_RANDOM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rt_random {
    uint64_t state[4];
};

void rt_random_seed(struct rt_random *random, uint64_t seed);
// A generator of its own for `name`, so that a new draw in one place does not shift the others.
void rt_random_split(struct rt_random *random, uint64_t seed, const char *name);
uint64_t rt_random_u64(struct rt_random *random);
uint64_t rt_random_below(struct rt_random *random, uint64_t bound);  // [0, bound), bound > 0
uint64_t rt_random_between(struct rt_random *random, uint64_t low, uint64_t high);  // inclusive
bool rt_random_chance(struct rt_random *random, uint32_t per_million);
void rt_random_fill(struct rt_random *random, void *memory, size_t size);

#endif
