// Data directories that are not this node's, damaged or full: said so exactly, and left as they
// are.
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "runtime/crc32c.h"
#include "runtime/file.h"
#include "runtime/mem.h"
#include "tests/unit/meta_replica/stage.h"

enum { SEED = 5, PATH_SIZE = 512 };

// DIRECTORIES

// Names and contents of all files below, but for the lock.
static uint32_t tree_digest(struct rt_machine *machine, const char *path, uint32_t crc) {
    struct rt_dir_listing listing;
    struct rt_why why;
    cr_assert_eq(rt_dir_list_now(machine, path, &listing, &why), RT_OK, "%s", why.text);
    for (size_t i = 0; i < listing.count; i++) {
        char below[PATH_SIZE];
        const struct rt_dir_entry *entry = &listing.entries[i];
        if (strcmp(entry->name, "LOCK") == 0) continue;
        snprintf(below, sizeof(below), "%s/%s", path, entry->name);
        crc = rt_crc32c(crc, rt_bytes_of(below));
        if (entry->is_dir) {
            crc = tree_digest(machine, below, crc);
            continue;
        }
        struct rt_file *file;
        uint8_t *bytes = rt_alloc((size_t)entry->size + 1);
        size_t size = 0;
        cr_assert_eq(rt_file_open_now(machine, below, RT_FILE_READ, &file, &why), RT_OK);
        cr_assert_eq(rt_file_read_now(file, 0, bytes, (size_t)entry->size, &size), RT_OK);
        rt_file_close_now(file);
        crc = rt_crc32c(crc, RT_BYTES(bytes, size));
        rt_free(bytes);
    }
    rt_dir_listing_fini(&listing);
    return crc;
}

static void digest_piece(struct stage_node *node, void *argument) {
    *(uint32_t *)argument = tree_digest(node->machine, "data", 0);
}

static uint32_t digest_of(struct stage_node *node) {
    uint32_t crc = 0;
    stage_run(node, digest_piece, &crc);
    return crc;
}

struct writing {
    const char *path, *text;
};

static void write_piece(struct stage_node *node, void *argument) {
    const struct writing *writing = argument;
    unsigned flags = RT_FILE_WRITE | RT_FILE_CREATE | RT_FILE_EXISTING;
    struct rt_file *file;
    struct rt_why why;
    cr_assert_eq(rt_file_open_now(node->machine, writing->path, flags, &file, &why), RT_OK);
    cr_assert_eq(rt_file_truncate_now(file, 0), RT_OK);
    cr_assert_eq(rt_file_write_now(file, 0, rt_bytes_of(writing->text)), RT_OK);
    cr_assert_eq(rt_file_sync_now(file), RT_OK);
    rt_file_close_now(file);
}

static void file_write(struct stage_node *node, const char *path, const char *text) {
    struct writing writing = {path, text};
    stage_run(node, write_piece, &writing);
}

static void open_piece(struct stage_node *node, void *argument) {
    (void)argument;
    node->why = (struct rt_why){{0}};
    node->open_err = meta_replica_open_now(node->machine, rt_machine_loop(node->machine, 0),
                                           &node->options, &node->replica, &node->why);
}

// Opens it in the process that runs, with the options as they are now.
static rt_err open_again(struct stage_node *node) {
    stage_run(node, open_piece, NULL);
    return node->open_err;
}

// Refused, the same again and again without holding on to anything.
static void check_refused(struct stage *stage, struct stage_node *node, rt_err err,
                          const char *text) {
    size_t bytes = 0;
    for (unsigned i = 0; i < 8; i++) {
        cr_assert_eq(open_again(node), err, "%s", node->why.text);
        cr_assert_null(node->replica);
        cr_assert_str_eq(node->why.text, text);
        stage_pass(stage, 3000);
        if (i == 2) bytes = stage_heap_bytes(node);
        if (i > 2) cr_assert_leq(stage_heap_bytes(node), bytes + 1024, "try %u", i);
    }
}

// And nothing was lost: with its own options again it has what it had.
static void check_goes_on(struct stage *stage, struct stage_node *node) {
    stage_crash(stage, 1, RT_SIM_POWER_LOSS);
    stage_start(stage, 1);
    cr_assert_eq(node->open_err, RT_OK, "%s", node->why.text);
    cr_assert_eq(stage_leader(stage), 1);
    cr_assert_not_null(stage_find(node, "/a19"));
}

// One that runs alone, with something in it.
static struct stage_node *open_alone(struct stage *stage) {
    stage_open(stage, 1, 1, SEED);
    stage->nodes[0].options.member_count = 0;
    stage_start_all(stage);
    stage_session(stage, stage_leader(stage), 77, 30000);
    stage_fill(&stage->nodes[0], "a", 20);
    return &stage->nodes[0];
}

// IDENTITY

Test(meta_replica_identity, data_of_another_node_is_refused) {
    struct stage stage;
    struct stage_node *node = open_alone(&stage);
    stage_shut(&stage, 1);
    node->options.node_id = 2;
    uint32_t before = digest_of(node);
    check_refused(&stage, node, RT_ECORRUPT,
                  "data is of node 1, but this is node 2; correct dataDir or myid");
    cr_assert_eq(digest_of(node), before);
    node->options.node_id = 1;
    check_goes_on(&stage, node);
    stage_close(&stage);
}

Test(meta_replica_identity, a_damaged_identity_is_refused) {
    struct stage stage;
    struct stage_node *node = open_alone(&stage);
    stage_shut(&stage, 1);
    file_write(node, "data/IDENTITY",
               "geminga-meta 1 cluster=0000000000000001 node=1 crc=00000000");
    check_refused(&stage, node, RT_ECORRUPT,
                  "data/IDENTITY is damaged: geminga-meta 1 cluster=0000000000000001 node=1 "
                  "crc=00000000");
    file_write(node, "data/IDENTITY", "");
    check_refused(&stage, node, RT_ECORRUPT, "data/IDENTITY is damaged: ");
    stage_close(&stage);
}

Test(meta_replica_identity, the_log_of_another_cluster_is_refused) {
    struct stage stage;
    struct stage_node *node = open_alone(&stage);
    stage_shut(&stage, 1);
    char line[128];
    int size = snprintf(line, sizeof(line), "geminga-meta 1 cluster=0000000000000001 node=1 ");
    uint32_t crc = rt_crc32c(0, RT_BYTES(line, (size_t)size));
    snprintf(line + size, sizeof(line) - (size_t)size, "crc=%08x\n", crc);
    file_write(node, "data/IDENTITY", line);
    uint32_t before = digest_of(node);
    cr_assert_eq(open_again(node), RT_ECORRUPT);
    cr_assert_not_null(strstr(node->why.text, "belongs to node 1 of cluster "), "%s",
                       node->why.text);
    stage_pass(&stage, 1000);
    cr_assert_eq(digest_of(node), before);
    stage_close(&stage);
}

// Its tree would live on beside a new and empty one of the others.
Test(meta_replica_identity, one_that_ran_alone_does_not_start_among_others) {
    struct stage stage;
    struct stage_node *node = open_alone(&stage);
    stage_shut(&stage, 1);
    node->options.member_count = 3;
    for (unsigned i = 1; i < 3; i++)
        stage.members[i] = (struct meta_member){.id = i + 1, .address = "other:2888:3888"};
    check_refused(&stage, node, RT_EINVAL,
                  "data is of a server that ran alone, and there are 3 server lines now: run it "
                  "alone again, or empty its data directory");
    node->options.member_count = 0;
    check_goes_on(&stage, node);
    stage_close(&stage);
}

// Node 3 has been in another cluster, which had another port.
Test(meta_replica_identity, a_node_of_another_cluster_stays_outside_and_keeps_its_data) {
    struct stage stage;
    struct meta_member others[3];
    stage_open(&stage, 3, 3, SEED);
    struct stage_node *node = stage_node(&stage, 3);
    for (unsigned i = 0; i < 3; i++) {
        others[i] = stage.members[i];
        snprintf(others[i].address, sizeof(others[i].address), "m%u:2999:3888", i + 1);
    }
    node->options.members = others;
    stage_start(&stage, 3);
    stage_pass(&stage, 3000);
    uint64_t cluster = stage_status(node).cluster;
    stage_crash(&stage, 3, RT_SIM_POWER_LOSS);
    node->options.members = stage.members;
    stage_start_all(&stage);
    stage_pass(&stage, 5000);
    cr_assert_eq(stage_status(node).cluster, cluster);
    cr_assert_eq(stage_status(node).peers_connected, 0);
    cr_assert_eq(stage_totals(node).applied.index, 1);
    for (uint64_t id = 1; id <= 2; id++) {
        cr_assert(stage_status(stage_node(&stage, id)).is_serving);
        cr_assert_eq(stage_status(stage_node(&stage, id)).peers_connected, 1);
        cr_assert_neq(stage_status(stage_node(&stage, id)).cluster, cluster);
    }
    stage_close(&stage);
}

// HALF WAY

Test(meta_replica_identity, a_peer_port_that_is_not_ours_is_named_and_all_is_given_back) {
    struct stage stage;
    struct stage_node *node = open_alone(&stage);
    stage_shut(&stage, 1);
    node->options.peer_listen = "tcp://nowhere:2888";
    uint32_t before = digest_of(node);
    cr_assert_neq(open_again(node), RT_OK);
    cr_assert_not_null(strstr(node->why.text, "peer port"), "%s", node->why.text);
    cr_assert_not_null(strstr(node->why.text, "nowhere:2888"), "%s", node->why.text);
    char text[sizeof(node->why.text)];
    snprintf(text, sizeof(text), "%s", node->why.text);
    check_refused(&stage, node, node->open_err, text);
    cr_assert_eq(digest_of(node), before);
    node->options.peer_listen = NULL;
    check_goes_on(&stage, node);
    stage_close(&stage);
}

static void replace_piece(struct stage_node *node, void *argument) {
    cr_assert_eq(rt_path_remove_tree_now(node->machine, argument), RT_OK);
}

// The log is open, and locked, when the snapshots turn out to be no directory.
Test(meta_replica_identity, what_was_opened_is_closed_when_the_snapshots_cannot_be_read) {
    struct stage stage;
    struct stage_node *node = open_alone(&stage);
    stage_shut(&stage, 1);
    stage_run(node, replace_piece, (void *)(uintptr_t) "data/snapshots");
    file_write(node, "data/snapshots", "no directory");
    cr_assert_neq(open_again(node), RT_OK);
    char text[sizeof(node->why.text)];
    snprintf(text, sizeof(text), "%s", node->why.text);
    cr_assert_not_null(strstr(text, "snapshots"), "%s", text);
    stage_pass(&stage, 1000);
    check_refused(&stage, node, node->open_err, text);
    stage_run(node, replace_piece, (void *)(uintptr_t) "data/snapshots");
    check_goes_on(&stage, node);
    stage_close(&stage);
}

// DAMAGE

static void damage_piece(struct stage_node *node, void *argument) {
    struct rt_dir_listing listing;
    struct rt_why why;
    struct rt_file *file;
    char path[PATH_SIZE] = "";
    uint8_t page[4096];
    (void)argument;
    cr_assert_eq(rt_dir_list_now(node->machine, "data/log", &listing, &why), RT_OK);
    for (size_t i = 0; i < listing.count && !path[0]; i++) {
        if (strstr(listing.entries[i].name, ".log"))
            snprintf(path, sizeof(path), "data/log/%s", listing.entries[i].name);
    }
    rt_dir_listing_fini(&listing);
    cr_assert_eq(rt_file_open_now(node->machine, path, RT_FILE_READ | RT_FILE_WRITE, &file, &why),
                 RT_OK);
    size_t size = 0;
    const uint64_t offset = 10 * sizeof(page);  // of some batch in the middle
    cr_assert_eq(rt_file_read_now(file, offset, page, sizeof(page), &size), RT_OK);
    cr_assert_eq(size, sizeof(page));
    page[60] ^= 0x10;
    cr_assert_eq(rt_file_write_now(file, offset, RT_BYTES(page, size)), RT_OK);
    cr_assert_eq(rt_file_sync_now(file), RT_OK);
    rt_file_close_now(file);
}

Test(meta_replica_identity, a_log_that_is_damaged_in_the_middle_is_refused_by_one_alone) {
    struct stage stage;
    struct stage_node *node = open_alone(&stage);
    stage_fill(node, "b", 20);
    stage_shut(&stage, 1);
    stage_run(node, damage_piece, NULL);
    uint32_t before = digest_of(node);
    for (unsigned i = 0; i < 3; i++) {
        cr_assert_eq(open_again(node), RT_ECORRUPT);
        cr_assert_not_null(strstr(node->why.text, "log: opening the log in data/log: entry "), "%s",
                           node->why.text);
        cr_assert_not_null(strstr(node->why.text, "does not verify in data/log/"), "%s",
                           node->why.text);
        cr_assert_not_null(strstr(node->why.text, "acknowledged entries are lost"), "%s",
                           node->why.text);
        stage_pass(&stage, 1000);
    }
    cr_assert_eq(digest_of(node), before);
    stage_close(&stage);
}

Test(meta_replica_identity, a_log_that_is_damaged_in_the_middle_is_repaired_from_peers) {
    struct stage stage;
    stage_open(&stage, 3, 3, SEED);
    stage_start_all(&stage);
    stage_session(&stage, stage_leader(&stage), 77, 30000);
    struct stage_node *node = stage_node(&stage, 2);
    stage_fill(node, "a", 40);
    stage_agree(&stage);
    stage_shut(&stage, 2);
    stage_run(node, damage_piece, NULL);
    cr_assert_eq(open_again(node), RT_OK, "%s", node->why.text);
    stage_crash(&stage, 2, RT_SIM_KILL);
    stage_start(&stage, 2);
    stage_fill(stage_node(&stage, 1), "b", 10);
    stage_agree(&stage);
    cr_assert_not_null(stage_find(node, "/a39"));
    cr_assert_not_null(stage_find(node, "/b9"));
    stage_close(&stage);
}

// A FULL DISK

static void disk_size(struct stage_node *node, uint64_t bytes) {
    struct rt_sim_disk disk = rt_sim_disk_get(node->sim_node);
    disk.capacity_bytes = bytes;
    rt_sim_disk_set(node->sim_node, &disk);
}

// Megabytes through `asked` until `victim` has no room left.
static void fill_disk(struct stage *stage, struct stage_node *asked, struct stage_node *victim) {
    const size_t size = 1 << 20;
    uint8_t *data = rt_alloc_zero(1, size);
    for (unsigned i = 0; i < 100 && !victim->has_failed; i++) {
        char path[16];
        struct rt_buf payload = {0};
        rt_err err;
        snprintf(path, sizeof(path), "/full%u", i);
        struct meta_command command = stage_create(stage, path, RT_BYTES(data, size), 0, &payload);
        stage_submit(asked, &command, &err);
        rt_buf_fini(&payload);
        stage_pass(stage, 200);
    }
    rt_free(data);
    stage_pass(stage, 1000);
}

Test(meta_replica_identity, a_node_whose_disk_is_full_stops_and_has_lost_nothing) {
    struct stage stage;
    uint64_t first;
    struct stage_node *node = open_alone(&stage);
    const uint64_t size = rt_sim_disk_get(node->sim_node).capacity_bytes;
    disk_size(node, 1);
    fill_disk(&stage, node, node);
    cr_assert(node->has_failed);
    bool is_said = strstr(node->failure, "RT_ENOSPACE: ") ||
                   strcmp(node->failure, "RT_EFAILED: writing the metadata store") == 0;
    cr_assert(is_said, "%s", node->failure);
    size_t told = node->outcome_count;
    cr_assert_eq(stage_submit_many(node, "d", 1, &first), 0);
    stage_pass(&stage, 5000);
    cr_assert_eq(node->outcome_count, told, "nothing is told of what is not on disk");
    uint64_t last = (uint64_t)node->outcomes[(told - 1) % STAGE_OUTCOMES_MAX].zxid;
    stage_crash(&stage, 1, RT_SIM_POWER_LOSS);
    disk_size(node, size);
    stage_start(&stage, 1);
    cr_assert_eq(node->open_err, RT_OK, "%s", node->why.text);
    stage_leader(&stage);
    cr_assert_geq(stage_totals(node).applied.index, last);
    cr_assert_not_null(stage_find(node, "/a19"));
    stage_close(&stage);
}

Test(meta_replica_identity, a_follower_with_a_full_disk_does_not_stop_the_others) {
    struct stage stage;
    stage_open(&stage, 3, 3, SEED);
    stage_start_all(&stage);
    uint64_t leader = stage_leader(&stage), other = leader == 1 ? 2 : 1;
    struct stage_node *node = stage_node(&stage, other);
    stage_session(&stage, leader, 77, 30000);
    disk_size(node, 1);
    fill_disk(&stage, stage_node(&stage, leader), node);
    cr_assert(node->has_failed);
    stage_crash(&stage, other, RT_SIM_KILL);
    stage_fill(stage_node(&stage, leader), "z", 5);
    disk_size(node, UINT64_C(1) << 40);
    stage_start(&stage, other);
    stage_agree(&stage);
    cr_assert_not_null(stage_find(node, "/z4"));
    stage_close(&stage);
}
