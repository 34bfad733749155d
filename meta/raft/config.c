#include "meta/raft/config.h"

#include <assert.h>
#include <string.h>

enum { CONFIG_VERSION = 1, ROLES_ALL = RAFT_VOTER | RAFT_VOTER_OLD | RAFT_LEARNER };

static bool roles_are_sane(unsigned roles) {
    if (!roles || roles & ~(unsigned)ROLES_ALL) return false;
    return !(roles & RAFT_VOTER && roles & RAFT_LEARNER);
}

// Where the member is, or would be.
static unsigned member_slot(const struct raft_config *config, uint64_t id) {
    unsigned i = 0;
    while (i < config->count && config->members[i].id < id) i++;
    return i;
}

rt_err raft_config_put(struct raft_config *config, uint64_t id, unsigned roles,
                       const char *address) {
    size_t size = strlen(address);
    if (id == 0 || !roles_are_sane(roles) || size >= RAFT_ADDRESS_SIZE) return RT_EINVAL;
    unsigned at = member_slot(config, id);
    if (at == config->count || config->members[at].id != id) {
        if (config->count == RAFT_MEMBERS_MAX) return RT_ETOOBIG;
        memmove(&config->members[at + 1], &config->members[at],
                (config->count - at) * sizeof(config->members[0]));
        config->count++;
    }
    struct raft_member *member = &config->members[at];
    *member = (struct raft_member){.id = id, .roles = roles};
    memcpy(member->address, address, size);
    return RT_OK;
}

const struct raft_member *raft_config_find(const struct raft_config *config, uint64_t id) {
    unsigned at = member_slot(config, id);
    return at < config->count && config->members[at].id == id ? &config->members[at] : NULL;
}

bool raft_config_has_role(const struct raft_config *config, uint64_t id, unsigned roles) {
    const struct raft_member *member = raft_config_find(config, id);
    return member && member->roles & roles;
}

bool raft_config_is_member(const struct raft_config *config, uint64_t id) {
    return raft_config_find(config, id) != NULL;
}

bool raft_config_is_voter(const struct raft_config *config, uint64_t id) {
    return raft_config_has_role(config, id, RAFT_VOTER | RAFT_VOTER_OLD);
}

static unsigned count_with(const struct raft_config *config, unsigned roles) {
    unsigned count = 0;
    for (unsigned i = 0; i < config->count; i++) count += (config->members[i].roles & roles) != 0;
    return count;
}

bool raft_config_is_joint(const struct raft_config *config) {
    return count_with(config, RAFT_VOTER_OLD) > 0;
}

bool raft_config_is_alone(const struct raft_config *config, uint64_t id) {
    return raft_config_is_voter(config, id) && count_with(config, RAFT_VOTER | RAFT_VOTER_OLD) == 1;
}

bool raft_config_is_valid(const struct raft_config *config) {
    if (config->count > RAFT_MEMBERS_MAX) return false;
    uint64_t previous = 0;
    for (unsigned i = 0; i < config->count; i++) {
        const struct raft_member *member = &config->members[i];
        if (member->id <= previous || !roles_are_sane(member->roles)) return false;
        previous = member->id;
    }
    return count_with(config, RAFT_VOTER) > 0;
}

rt_err raft_config_enter_joint(const struct raft_config *from, const struct raft_config *to,
                               struct raft_config *joint) {
    assert(!raft_config_is_joint(from));
    if (!raft_config_is_valid(to) || raft_config_is_joint(to)) return RT_EINVAL;
    *joint = *to;
    for (unsigned i = 0; i < from->count; i++) {
        const struct raft_member *old = &from->members[i];
        if (!(old->roles & RAFT_VOTER)) continue;  // a learner that goes simply goes
        const struct raft_member *kept = raft_config_find(to, old->id);
        unsigned roles = (kept ? kept->roles : 0) | RAFT_VOTER_OLD;
        rt_err err = raft_config_put(joint, old->id, roles, kept ? kept->address : old->address);
        if (err) return err;
    }
    assert(raft_config_is_valid(joint));
    return RT_OK;
}

void raft_config_leave_joint(const struct raft_config *joint, struct raft_config *config) {
    *config = (struct raft_config){0};
    for (unsigned i = 0; i < joint->count; i++) {
        struct raft_member member = joint->members[i];
        member.roles &= ~(unsigned)RAFT_VOTER_OLD;
        if (member.roles) config->members[config->count++] = member;
    }
    assert(raft_config_is_valid(config) && !raft_config_is_joint(config));
}

void raft_config_encode(const struct raft_config *config, struct rt_writer *w) {
    assert(config->count <= RAFT_MEMBERS_MAX);
    rt_write_u8(w, CONFIG_VERSION);
    rt_write_be64(w, config->index);
    rt_write_u8(w, (uint8_t)config->count);
    for (unsigned i = 0; i < config->count; i++) {
        const struct raft_member *member = &config->members[i];
        struct rt_bytes address = rt_bytes_of(member->address);
        rt_write_be64(w, member->id);
        rt_write_u8(w, (uint8_t)member->roles);
        rt_write_u8(w, (uint8_t)address.size);
        rt_write_bytes(w, address);
    }
}

static void member_decode(struct rt_reader *r, struct raft_member *member) {
    member->id = rt_read_be64(r);
    member->roles = rt_read_u8(r);
    struct rt_bytes address = rt_read_bytes(r, rt_read_u8(r));
    bool is_text = address.size < RAFT_ADDRESS_SIZE &&
                   (address.size == 0 || !memchr(address.data, 0, address.size));
    if (!is_text) rt_reader_fail(r);
    if (!rt_reader_failed(r) && address.size) memcpy(member->address, address.data, address.size);
}

rt_err raft_config_decode(struct rt_bytes bytes, struct raft_config *config) {
    *config = (struct raft_config){0};
    struct rt_reader r = rt_reader_over(bytes);
    if (rt_read_u8(&r) != CONFIG_VERSION) return RT_EPROTO;
    config->index = rt_read_be64(&r);
    unsigned count = rt_read_u8(&r);
    if (count > RAFT_MEMBERS_MAX) return RT_EPROTO;
    for (unsigned i = 0; i < count; i++) member_decode(&r, &config->members[i]);
    config->count = count;
    if (!rt_reader_done(&r) || !raft_config_is_valid(config)) return RT_EPROTO;
    return RT_OK;
}
