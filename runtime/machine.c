#include "runtime/machine.h"

#include "runtime/backend.h"

uint64_t rt_machine_wall_ns(const struct rt_machine *machine) {
    return machine->backend->wall_ns(machine);
}

void rt_machine_entropy(struct rt_machine *machine, void *memory, size_t size) {
    machine->backend->entropy(machine, memory, size);
}

bool rt_machine_chance(struct rt_machine *machine, const char *point, uint32_t per_million) {
    return machine->backend->chance(machine, point, per_million);
}
