// The list of servers and the chroot, without a network.
#include <criterion/criterion.h>
#include <string.h>

#include "meta/client/servers.h"

struct list_fixture {
    struct meta_client_servers servers;
    struct rt_random random;
    struct rt_arena arena;
};

static void parse_seeded(struct list_fixture *f, const char *text, uint64_t seed) {
    struct rt_why why = {{0}};
    *f = (struct list_fixture){.servers = {.count = 0}};
    rt_random_seed(&f->random, seed);
    rt_err err = meta_client_servers_parse(&f->servers, text, false, &f->random, &why);
    cr_assert(!err, "%s: %s", text, why.text);
}

static void parse(struct list_fixture *f, const char *text) {
    parse_seeded(f, text, 1);
}

static void fini(struct list_fixture *f) {
    meta_client_servers_fini(&f->servers);
    rt_arena_fini(&f->arena);
}

static bool has(const struct list_fixture *f, const char *address) {
    for (unsigned i = 0; i < f->servers.count; i++) {
        if (strcmp(f->servers.addresses[i], address) == 0) return true;
    }
    return false;
}

Test(meta_client_servers, list_gives_addresses) {
    static const struct {
        const char *text, *address;
        unsigned count;
    } cases[] = {
        {"h1", "tcp://h1:2181", 1},
        {"h1:99", "tcp://h1:99", 1},
        {"h1:99/", "tcp://h1:99", 1},
        {"h1:99/a/b", "tcp://h1:99", 1},
        {"h1,h2:3,h4", "tcp://h2:3", 3},
        {" h1 , h2:3 ,, ", "tcp://h2:3", 2},
        {"10.0.0.1", "tcp://10.0.0.1:2181", 1},
        {"[::1]", "tcp://[::1]:2181", 1},
        {"[fe80::1]:77,h2", "tcp://[fe80::1]:77", 2},
    };
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct list_fixture f;
        parse(&f, cases[i].text);
        cr_expect_eq(f.servers.count, cases[i].count, "%s", cases[i].text);
        cr_expect(has(&f, cases[i].address), "%s", cases[i].text);
        fini(&f);
    }
}

Test(meta_client_servers, encrypted_ones_say_so) {
    struct list_fixture f = {.servers = {.count = 0}};
    rt_random_seed(&f.random, 1);
    rt_err err = meta_client_servers_parse(&f.servers, "h1,h2:5", true, &f.random, NULL);
    cr_assert_not(err);
    cr_assert(has(&f, "tls+tcp://h1:2181") && has(&f, "tls+tcp://h2:5"));
    cr_assert_null(strstr(meta_client_servers_last(&f.servers), "://"));
    fini(&f);
}

Test(meta_client_servers, what_is_no_list_is_refused_with_a_reason) {
    static const char *const bad[] = {
        "",       ",",       " , ",   "/a",     "h1:",    "h1:0",    "h1:65536",
        "h1:x",   ":2181",   "h1:-1", "h1:1:2", "h1/a/",  "h1//a",   "h1/a//",
        "h1/./a", "h1/../a", "[::1",  "*:1",    "h1:1 2", "h1,h2:x", "h1/a/..",
    };
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct rt_random random;
        struct rt_why why = {{0}};
        struct meta_client_servers servers;
        rt_random_seed(&random, 1);
        rt_err err = meta_client_servers_parse(&servers, bad[i], false, &random, &why);
        cr_expect_eq(err, RT_EINVAL, "'%s'", bad[i]);
        cr_expect(strncmp(why.text, "server list", strlen("server list")) == 0, "'%s': %s", bad[i],
                  why.text);
        if (!err) meta_client_servers_fini(&servers);
    }
}

Test(meta_client_servers, are_walked_round_and_round) {
    struct list_fixture f;
    parse(&f, "a,b,c");
    const char *round[3];
    for (unsigned i = 0; i < 3; i++) {
        round[i] = meta_client_servers_take(&f.servers);
        cr_expect_str_eq(meta_client_servers_last(&f.servers), round[i] + strlen("tcp://"));
    }
    cr_expect(round[0] != round[1] && round[1] != round[2] && round[0] != round[2]);
    for (unsigned i = 0; i < 6; i++)
        cr_expect_eq(meta_client_servers_take(&f.servers), round[i % 3]);
    fini(&f);
}

Test(meta_client_servers, clients_begin_with_different_ones) {
    unsigned first[4] = {0};
    for (uint64_t seed = 0; seed < 400; seed++) {
        struct list_fixture f;
        parse_seeded(&f, "1,2,3,4", seed);
        first[meta_client_servers_take(&f.servers)[strlen("tcp://")] - '1']++;
        fini(&f);
    }
    for (unsigned i = 0; i < 4; i++) cr_expect(first[i] > 60, "server %u: %u", i + 1, first[i]);
}

static const char *outer(struct list_fixture *f, const char *path) {
    struct rt_bytes mapped = meta_client_servers_outer(&f->servers, rt_bytes_of(path), &f->arena);
    return rt_arena_text(&f->arena, mapped);
}

static const char *inner(struct list_fixture *f, const char *path) {
    struct rt_bytes mapped = meta_client_servers_inner(&f->servers, rt_bytes_of(path));
    return rt_arena_text(&f->arena, mapped);
}

Test(meta_client_servers, chroot_is_put_in_front_and_taken_off) {
    static const char *const pairs[][2] = {
        {"/", "/a/b"}, {"/x", "/a/b/x"}, {"/x/y", "/a/b/x/y"}, {"/a/b", "/a/b/a/b"}};
    struct list_fixture f;
    parse(&f, "h1,h2/a/b");
    for (unsigned i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        cr_expect_str_eq(outer(&f, pairs[i][0]), pairs[i][1]);
        cr_expect_str_eq(inner(&f, pairs[i][1]), pairs[i][0]);
    }
    fini(&f);
}

Test(meta_client_servers, path_outside_the_chroot_is_left_alone) {
    static const char *const paths[] = {"/", "/a", "/a/bc", "/b", "/a/c/b", ""};
    struct list_fixture f;
    parse(&f, "h1/a/b");
    for (unsigned i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
        cr_expect_str_eq(inner(&f, paths[i]), paths[i]);
    fini(&f);
}

Test(meta_client_servers, root_is_no_chroot) {
    struct list_fixture f;
    parse(&f, "h1/");
    cr_expect_str_eq(outer(&f, "/x"), "/x");
    cr_expect_str_eq(inner(&f, "/x"), "/x");
    fini(&f);
}
