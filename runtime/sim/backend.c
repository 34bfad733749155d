// The simulated machine as the common code sees it, and the small ports: clock, entropy, chance.
#include <string.h>

#include "runtime/sim/sim_internal.h"

static uint64_t on_mono(const struct rt_machine *machine) {
    return sim_clock_mono(sim_node_of(machine));
}

static uint64_t on_wall(const struct rt_machine *machine) {
    return sim_clock_wall(sim_node_of(machine));
}

static void on_entropy(struct rt_machine *machine, void *memory, size_t size) {
    struct rt_sim_node *node = sim_node_of(machine);
    rt_random_fill(&node->entropy_random, memory, size);
    sim_trace(node->sim, SIM_ENTROPY, node, size, sim_hash(memory, size), 0);
}

// CHANCES: a stream for each point of each node, found by the point's name. The table is only
// looked up, never walked, so its order decides nothing.

struct sim_chance {
    char *point;  // NULL: a free place
    struct rt_random random;
};

static struct sim_chance *chance_place(struct sim_chance *table, size_t capacity,
                                       const char *point) {
    size_t at = (size_t)sim_hash_text(point) & (capacity - 1);
    while (table[at].point && strcmp(table[at].point, point) != 0) at = (at + 1) & (capacity - 1);
    return &table[at];
}

static void chances_grow(struct rt_sim_node *node) {
    size_t capacity = node->chance_capacity ? node->chance_capacity * 2 : 32;
    struct sim_chance *table = rt_alloc_zero(capacity, sizeof *table);
    for (size_t i = 0; i < node->chance_capacity; i++) {
        struct sim_chance *old = &node->chances[i];
        if (old->point) *chance_place(table, capacity, old->point) = *old;
    }
    rt_free(node->chances);
    node->chances = table;
    node->chance_capacity = capacity;
}

static struct sim_chance *chance_add(struct rt_sim_node *node, const char *point) {
    struct rt_heap *inside = sim_world_enter();
    if (node->chance_count * 2 >= node->chance_capacity) chances_grow(node);
    struct sim_chance *chance = chance_place(node->chances, node->chance_capacity, point);
    chance->point = rt_strdup(point);
    uint64_t seed = node->sim->options.seed ^ UINT64_C(0x632be59bd9b4e019) * (node->index + 1u);
    rt_random_split(&chance->random, seed, point);
    node->chance_count++;
    sim_world_leave(inside);
    return chance;
}

static bool on_chance(struct rt_machine *machine, const char *point, uint32_t per_million) {
    struct rt_sim_node *node = sim_node_of(machine);
    if (node->chance_off) return false;
    struct sim_chance *chance = NULL;
    if (node->chances) chance = chance_place(node->chances, node->chance_capacity, point);
    if (!chance || !chance->point) chance = chance_add(node, point);
    if (!rt_random_chance(&chance->random, per_million)) return false;
    sim_trace_text(node->sim, SIM_CHANCE, node, point, per_million);
    return true;
}

void rt_sim_chance_rate(struct rt_sim_node *node, bool on) {
    node->chance_off = !on;
}

void sim_chances_free(struct rt_sim_node *node) {
    for (size_t i = 0; i < node->chance_capacity; i++) rt_free(node->chances[i].point);
    rt_free(node->chances);
}

// files and kv are other files' tables, so this one is filled when a node starts.
void sim_backend_fill(struct rt_backend *backend) {
    *backend = (struct rt_backend){
        .name = "sim",
        .mono_ns = on_mono,
        .wall_ns = on_wall,
        .entropy = on_entropy,
        .chance = on_chance,
        .notify = sim_loop_notify,
        .transport = sim_transport,
        .work_submit = sim_work_submit,
        .files = sim_file_backend(),
        .kv = sim_kv_backend(),
    };
}
