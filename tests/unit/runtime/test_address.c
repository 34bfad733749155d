#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "runtime/address.h"

static rt_err parse(const char *text, struct rt_address *address) {
    struct rt_why why;
    return rt_address_parse(text, address, &why);
}

static void check(const char *text, const char *scheme, const char *host, uint16_t port) {
    struct rt_address address;
    cr_assert_eq(parse(text, &address), RT_OK, "%s", text);
    cr_assert(rt_bytes_equal(address.scheme, rt_bytes_of(scheme)), "%s", text);
    cr_assert_str_eq(address.host, host);
    cr_assert_eq(address.port, port);
}

Test(runtime_address, names_and_numbers_are_hosts) {
    check("tcp://localhost:6650", "tcp", "localhost", 6650);
    check("tcp://127.0.0.1:0", "tcp", "127.0.0.1", 0);
    check("tls+tcp://broker-1.example.org:65535", "tls+tcp", "broker-1.example.org", 65535);
}

Test(runtime_address, all_hosts_are_a_star_or_nothing) {
    check("tcp://*:80", "tcp", "*", 80);
    check("tcp://:80", "tcp", "", 80);
}

Test(runtime_address, ipv6_hosts_lose_their_brackets) {
    check("tcp://[::1]:2181", "tcp", "::1", 2181);
    check("tcp://[fe80::1%eth0]:2181", "tcp", "fe80::1%eth0", 2181);
}

Test(runtime_address, broken_ones_are_refused) {
    static const char *const broken[] = {
        "",
        "tcp",
        "tcp://",
        "://localhost:1",
        "localhost:1",
        "tcp://localhost",
        "tcp://localhost:",
        "tcp://localhost:65536",
        "tcp://localhost:123456",
        "tcp://localhost:-1",
        "tcp://localhost:1x",
        "tcp://::1:2181",
        "tcp://[::1:2181",
        "tcp://::1]:2181",
        "tcp://a/b:1",
        "tcp://a b:1",
        "tcp://a@b:1",
        "tcp://a\n:1",
    };
    for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
        struct rt_address address;
        cr_assert_eq(parse(broken[i], &address), RT_EADDRESS, "\"%s\"", broken[i]);
    }
}

Test(runtime_address, host_as_long_as_a_name_may_be_is_the_limit) {
    char text[400];
    struct rt_address address;
    snprintf(text, sizeof(text), "tcp://%0255d:1", 0);
    cr_assert_eq(parse(text, &address), RT_OK);
    snprintf(text, sizeof(text), "tcp://%0256d:1", 0);
    cr_assert_eq(parse(text, &address), RT_EADDRESS);
}

Test(runtime_address, refusal_shows_the_address) {
    struct rt_address address;
    struct rt_why why;
    cr_assert_eq(rt_address_parse("tcp://nowhere", &address, &why), RT_EADDRESS);
    cr_assert(strstr(why.text, "tcp://nowhere"), "%s", why.text);
}
