// Rot, lost files and foreign ones: acknowledged records are never dropped in silence, and what is
// refused is left as it was.
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bookie/server/journal/format.h"
#include "tests/sim/disk_world.h"
#include "tests/unit/bookie_journal/fixture.h"

enum { PATH_SIZE = 300, RECORDS = 400 };

struct damage {
    struct disk_world world;
    struct fixture *fixture;
    rt_err err;
    uint64_t seed, hash;
    struct rt_buf content;  // outside the node, as disk_read wants it
    unsigned records;
    char path[PATH_SIZE];
    uint64_t offset;
    struct bookie_mark ends[RECORDS / 4];  // before each append
};

static void open_piece(struct disk_world *world, void *argument) {
    struct damage *damage = argument;
    damage->err = fixture_open(damage->fixture, world->machine, rt_machine_loop(world->machine, 0));
}

static void append_piece(struct disk_world *world, void *argument) {
    struct damage *damage = argument;
    (void)world;
    fixture_appends(damage->fixture, damage->records);
}

static void append(struct damage *damage, unsigned records) {
    damage->records = records;
    disk_world_run(&damage->world, append_piece, damage);
    while (damage->fixture->acked < damage->fixture->next)
        cr_assert(rt_sim_step(damage->world.sim));
}

static size_t size_small(uint64_t number) {
    return 500 + number % 700;
}

static void begin(struct damage *damage, uint64_t seed) {
    damage->seed = seed;
    disk_world_open(&damage->world, seed);
    damage->fixture = fixture_new("data/journal");
    damage->fixture->options.segment_bytes = 64 << 10;
    damage->fixture->size_of = size_small;
    disk_world_run(&damage->world, open_piece, damage);
    cr_assert_eq(damage->err, RT_OK, "%s", damage->fixture->why.text);
    for (unsigned i = 0; i < RECORDS; i += 4) {
        damage->ends[i / 4] = bookie_journal_end(damage->fixture->journal);
        append(damage, 4);
    }
}

static void end(struct damage *damage) {
    disk_world_close(&damage->world);
    rt_buf_fini(&damage->content);
    free(damage->fixture);
    free(damage);
}

static void reopen(struct damage *damage) {
    disk_world_run(&damage->world, open_piece, damage);
}

// Content and names of all files.
static void hash_piece(struct disk_world *world, void *argument) {
    struct damage *damage = argument;
    struct rt_dir_listing listing;
    struct rt_buf *content = &damage->content;
    damage->hash = 1;
    cr_assert_eq(rt_dir_list_now(world->machine, "data/journal", &listing, NULL), RT_OK);
    for (size_t i = 0; i < listing.count; i++) {
        char path[PATH_SIZE];
        if (strcmp(listing.entries[i].name, "LOCK") == 0) continue;
        snprintf(path, sizeof(path), "data/journal/%s", listing.entries[i].name);
        cr_assert_eq(disk_read(world, path, content), RT_OK);
        for (const char *c = listing.entries[i].name; *c; c++)
            damage->hash = damage->hash * 31 + (uint8_t)*c;
        for (size_t at = 0; at < content->size; at++)
            damage->hash = damage->hash * 31 + content->data[at];
    }
    rt_dir_listing_fini(&listing);
}

static void check_refused(struct damage *damage, const char *text) {
    disk_world_run(&damage->world, hash_piece, damage);
    uint64_t before = damage->hash;
    reopen(damage);
    const char *why = damage->fixture->why.text;
    cr_assert_eq(damage->err, RT_ECORRUPT, "seed %d", (int)damage->seed);
    cr_assert_not_null(strstr(why, text), "seed %d: %s", (int)damage->seed, why);
    disk_world_run(&damage->world, hash_piece, damage);
    cr_assert_eq(damage->hash, before, "seed %d: something was changed", (int)damage->seed);
    end(damage);
}

Test(bookie_journal_damage, rotten_bits_are_refused_or_harm_nothing) {
    unsigned refused = 0;
    for (uint64_t seed = 1; seed <= 200; seed++) {
        struct damage *damage = calloc(1, sizeof(*damage));
        begin(damage, seed);
        uint64_t acked = damage->fixture->acked;
        disk_world_crash(&damage->world, RT_SIM_POWER_LOSS);
        cr_assert(rt_sim_bit_rot(damage->world.node, "data/journal/0"));
        reopen(damage);
        const char *why = damage->fixture->why.text;
        uint64_t found = damage->fixture->first + damage->fixture->count;
        if (damage->err) {
            cr_assert_eq(damage->err, RT_ECORRUPT);
            cr_assert_not_null(strstr(why, "verify"), "%s", why);
            refused++;
        } else {
            // A bit of the last batch cannot be told from a torn write.
            cr_assert_geq(found, acked - 4, "seed %d: %d", (int)seed, (int)found);
            cr_assert_null(damage->fixture->wrong);
        }
        end(damage);
    }
    cr_assert_gt(refused, 60, "%u", refused);
}

static void flip_piece(struct disk_world *world, void *argument) {
    struct damage *damage = argument;
    struct rt_file *file = disk_file_open(world, damage->path);
    uint8_t byte;
    size_t size;
    cr_assert_eq(rt_file_read_now(file, damage->offset, &byte, 1, &size), RT_OK);
    byte ^= 4;
    disk_file_write(file, damage->offset, &byte, 1);
    disk_file_sync(file);
    rt_file_close_now(file);
}

static void flip(struct damage *damage, uint64_t segment, uint64_t offset) {
    snprintf(damage->path, sizeof(damage->path), "data/journal/%016llx.journal",
             (unsigned long long)segment);
    damage->offset = offset;
    disk_world_crash(&damage->world, RT_SIM_POWER_LOSS);
    disk_world_run(&damage->world, flip_piece, damage);
}

static void checkpoint_piece(struct disk_world *world, void *argument) {
    struct damage *damage = argument;
    (void)world;
    fixture_checkpoint(damage->fixture);
}

static struct damage *begun(void) {
    struct damage *damage = calloc(1, sizeof(*damage));
    begin(damage, 1);
    return damage;
}

Test(bookie_journal_damage, batch_in_the_middle_is_refused_with_file_and_offset) {
    unsigned tried = 0;
    for (unsigned i = 0; i < RECORDS / 4 - 1; i += 9) {
        struct damage *damage = begun();
        struct bookie_mark at = damage->ends[i];
        char text[PATH_SIZE];
        snprintf(text, sizeof(text), "byte %llu of data/journal/%016llx.journal does not verify",
                 (unsigned long long)at.offset, (unsigned long long)at.segment);
        if (damage->ends[i + 1].segment != at.segment) {
            end(damage);  // the batch is in the next segment
            continue;
        }
        tried++;
        flip(damage, at.segment, at.offset + 80);
        check_refused(damage, text);
    }
    cr_assert_gt(tried, 7);
}

Test(bookie_journal_damage, last_batch_but_one_is_refused) {
    struct damage *damage = begun();
    uint64_t first = bookie_journal_end(damage->fixture->journal).offset;
    append(damage, 1);
    struct bookie_mark last = bookie_journal_end(damage->fixture->journal);
    append(damage, 1);
    cr_assert_eq(bookie_journal_end(damage->fixture->journal).segment, last.segment);
    flip(damage, last.segment, first + 80);
    check_refused(damage, "does not verify");
}

Test(bookie_journal_damage, last_batch_is_a_torn_one) {
    struct damage *damage = begun();
    uint64_t first = bookie_journal_end(damage->fixture->journal).offset;
    append(damage, 1);
    flip(damage, bookie_journal_end(damage->fixture->journal).segment, first + 80);
    reopen(damage);
    cr_assert_eq(damage->err, RT_OK, "%s", damage->fixture->why.text);
    cr_assert_eq(damage->fixture->count, RECORDS);
    append(damage, 3);
    disk_world_crash(&damage->world, RT_SIM_POWER_LOSS);
    reopen(damage);
    cr_assert_eq(damage->fixture->count, RECORDS + 3, "%s", damage->fixture->why.text);
    end(damage);
}

Test(bookie_journal_damage, rot_in_front_of_the_checkpoint_harms_nothing) {
    struct damage *damage = begun();
    disk_world_run(&damage->world, checkpoint_piece, damage);
    struct bookie_mark from = damage->fixture->from;
    cr_assert_gt(from.offset, 4096);
    append(damage, 2);
    flip(damage, from.segment, 4096 + 90);
    reopen(damage);
    cr_assert_eq(damage->err, RT_OK, "%s", damage->fixture->why.text);
    cr_assert_null(fixture_check(damage->fixture, RECORDS + 3));
    end(damage);
}

Test(bookie_journal_damage, header_page_is_refused) {
    struct damage *damage = begun();
    flip(damage, 2, 20);
    check_refused(damage, "the header of data/journal/0000000000000002.journal does not verify");
}

Test(bookie_journal_damage, journal_of_another_owner_is_refused) {
    struct damage *damage = begun();
    disk_world_crash(&damage->world, RT_SIM_POWER_LOSS);
    damage->fixture->options.owner++;
    check_refused(damage, "belongs to another journal");
}

// MARKS AND FILES

static void remove_piece(struct disk_world *world, void *argument) {
    struct damage *damage = argument;
    cr_assert_eq(rt_path_remove_now(world->machine, damage->path), RT_OK);
}

static void lose(struct damage *damage, uint64_t segment) {
    snprintf(damage->path, sizeof(damage->path), "data/journal/%016llx.journal",
             (unsigned long long)segment);
    disk_world_crash(&damage->world, RT_SIM_POWER_LOSS);
    disk_world_run(&damage->world, remove_piece, damage);
}

Test(bookie_journal_damage, missing_segment_is_refused) {
    struct damage *damage = begun();
    lose(damage, 3);
    check_refused(damage, "0000000000000003.journal is missing");
}

Test(bookie_journal_damage, missing_first_segment_is_refused) {
    struct damage *damage = begun();
    lose(damage, 1);
    check_refused(damage, "0000000000000001.journal is missing");
}

static void check_mark_refused(struct bookie_mark from, const char *text) {
    struct damage *damage = begun();
    disk_world_crash(&damage->world, RT_SIM_POWER_LOSS);
    damage->fixture->from = from;
    check_refused(damage, text);
}

Test(bookie_journal_damage, mark_in_a_segment_that_is_gone_is_refused) {
    check_mark_refused((struct bookie_mark){99, 4096}, "0000000000000063.journal is missing");
}

Test(bookie_journal_damage, mark_beyond_the_end_is_refused) {
    struct damage *damage = begun();
    struct bookie_mark mark = bookie_journal_end(damage->fixture->journal);
    end(damage);
    mark.offset += 4096;
    check_mark_refused(mark, "is beyond the end");
    mark.offset += 1;
    check_mark_refused(mark, "is beyond the end");
    mark.offset = UINT64_MAX - 4095;
    check_mark_refused(mark, "is beyond the end");
}

Test(bookie_journal_damage, mark_inside_a_record_is_refused) {
    check_mark_refused((struct bookie_mark){1, 4096 + JOURNAL_BATCH_HEADER_SIZE + 9},
                       "is inside a record");
}

Test(bookie_journal_damage, mark_into_a_journal_that_is_gone_is_refused) {
    struct damage *damage = calloc(1, sizeof(*damage));
    disk_world_open(&damage->world, 1);
    damage->fixture = fixture_new("data/journal");
    damage->fixture->from = (struct bookie_mark){4, 8192};
    reopen(damage);
    cr_assert_eq(damage->err, RT_ECORRUPT);
    cr_assert_not_null(strstr(damage->fixture->why.text, "there is no journal at all"));
    end(damage);
}

// Every mark that replay gives is a place to begin at.
Test(bookie_journal_damage, replay_begins_behind_any_record) {
    struct damage *damage = begun();
    disk_world_crash(&damage->world, RT_SIM_POWER_LOSS);
    for (unsigned i = 0; i < 60; i++) {
        reopen(damage);
        cr_assert_eq(damage->err, RT_OK, "%s", damage->fixture->why.text);
        cr_assert_eq(damage->fixture->count, RECORDS - i);
        cr_assert_eq(damage->fixture->first, i + 1);
        damage->fixture->from = damage->fixture->at_first;
        damage->fixture->covered = i + 2;
        disk_world_crash(&damage->world, RT_SIM_POWER_LOSS);
    }
    end(damage);
}
