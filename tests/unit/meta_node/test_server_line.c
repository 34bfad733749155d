// server.N lines in all their forms.
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "meta/server/node/zoo_config.h"

static struct meta_server_line parsed(const char *text) {
    struct meta_server_line line;
    struct rt_why why = {{0}};
    cr_assert_eq(meta_server_line_parse(rt_bytes_of(text), &line, &why), RT_OK, "%s: %s", text,
                 why.text);
    return line;
}

static void check_refused(const char *text, const char *reason) {
    struct meta_server_line line;
    struct rt_why why = {{0}};
    cr_assert_eq(meta_server_line_parse(rt_bytes_of(text), &line, &why), RT_EINVAL, "%s", text);
    cr_assert_str_eq(why.text, reason, "%s: %s", text, why.text);
}

Test(meta_node_server_line, the_old_form_has_host_and_two_ports) {
    struct meta_server_line line = parsed("zoo1.example.org:2888:3888");
    cr_assert_str_eq(line.host, "zoo1.example.org");
    cr_assert(line.peer_port == 2888 && line.election_port == 3888);
    cr_assert(line.client_port == 0 && line.client_host[0] == '\0' && !line.is_observer);
}

Test(meta_node_server_line, a_role_and_a_client_port_may_follow) {
    cr_assert_not(parsed("a:1:2:participant").is_observer);
    cr_assert(parsed("a:1:2:observer").is_observer);
    struct meta_server_line line = parsed("a:1:2:observer;2181");
    cr_assert(line.is_observer && line.client_port == 2181 && line.client_host[0] == '\0');
    line = parsed("a:1:2;10.0.0.1:65535");
    cr_assert(line.client_port == 65535);
    cr_assert_str_eq(line.client_host, "10.0.0.1");
    line = parsed("a:1:2:participant;0.0.0.0:2181;0.0.0.0:2281");
    cr_assert(line.client_port == 2181);
}

Test(meta_node_server_line, ipv6_addresses_stand_in_brackets) {
    struct meta_server_line line = parsed("[2001:db8::1]:2888:3888:participant;[::]:2181");
    cr_assert_str_eq(line.host, "[2001:db8::1]");
    cr_assert_str_eq(line.client_host, "[::]");
    cr_assert(line.peer_port == 2888 && line.election_port == 3888 && line.client_port == 2181);
    check_refused("2001:db8::1:2888:3888", "the peer port is not a port");
}

Test(meta_node_server_line, what_is_wrong_is_said) {
    check_refused("", "there is no host");
    check_refused(":2888:3888", "there is no host");
    check_refused("a", "the peer port is not a port");
    check_refused("a:2888", "the election port is not a port");
    check_refused("a:0:3888", "the peer port is not a port");
    check_refused("a:65536:3888", "the peer port is not a port");
    check_refused("a:2888:-1", "the election port is not a port");
    check_refused("a:2888:3888x", "the election port is not a port");
    check_refused("a:2888:3888:leader", "the role is participant or observer");
    check_refused("a:2888:3888:observer:2181", "the role is participant or observer");
    check_refused("a:2888:3888;x", "the client port is not a port");
    check_refused("a:2888:3888;:2181", "the client address is not understood");
    check_refused("a:2888:3888;b:", "the client port is not a port");
    check_refused("a:1:2|b:1:2", "several addresses of one server are not supported");
    check_refused("a:1:2|b:1:2;2181", "several addresses of one server are not supported");
    check_refused("[::1:2888:3888", "the peer port is not a port");
}

Test(meta_node_server_line, a_host_that_does_not_fit_is_refused) {
    char text[400];
    snprintf(text, sizeof(text), "%0200d:1:2", 7);
    check_refused(text, "there is no host");
}
