#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/meta_zk/stage.h"

static void word(struct stage *stage, const char *text) {
    struct stage_client *client = &stage->clients[3];
    client->is_raw = true;
    client->log_size = 0;
    stage_dial(stage, 3);
    stage_bytes(stage, 3, rt_bytes_of(text));
    stage_go(stage);
    client->log[client->log_size] = '\0';
    cr_assert_not(client->is_open);
}

static void start(struct stage *stage, const char *whitelist) {
    stage_init(stage);
    stage->options.words = whitelist;
    stage->options.version = "1.2.3";
    stage_open(stage);
    stage_enter(stage, 0);
}

#define HEARD(stage, text)                                                         \
    cr_expect_not_null(strstr((stage)->clients[3].log, text), "no %s in %s", text, \
                       (stage)->clients[3].log)

Test(meta_zk_words, short_ones_are_answered_to_the_byte) {
    struct stage stage;
    start(&stage, "*");
    word(&stage, "ruok");
    stage_expect(&stage, 3, "text imokclosed ");
    word(&stage, "isro\r\n");
    stage_expect(&stage, 3, "text rwclosed ");
    word(&stage, "wchs");
    stage_expect(&stage, 3, "text 0 connections watching 0 paths\nTotal watches:0\nclosed ");
    stage_close(&stage);
}

Test(meta_zk_words, those_that_are_not_listed_say_so) {
    struct stage stage;
    start(&stage, "ruok, srvr");
    word(&stage, "ruok");
    stage_expect(&stage, 3, "text imokclosed ");
    word(&stage, "mntr");
    stage_expect(&stage, 3,
                 "text mntr is not executed because it is not in the whitelist.\nclosed ");
    stage_close(&stage);
}

Test(meta_zk_words, by_default_there_is_srvr) {
    struct stage stage;
    start(&stage, NULL);
    word(&stage, "srvr");
    HEARD(&stage, "text Zookeeper version: 3.9.3-geminga-1.2.3, built on ");
    HEARD(&stage, "Latency min/avg/max: 0/0.0/0\n");
    HEARD(&stage, "Connections: 2\nOutstanding: 0\n");
    HEARD(&stage, "Mode: standalone\nNode count: 4\n");
    word(&stage, "ruok");
    HEARD(&stage, "not in the whitelist");
    stage_close(&stage);
}

Test(meta_zk_words, unknown_four_letters_are_a_frame_that_is_too_long) {
    struct stage stage;
    start(&stage, "*");
    word(&stage, "abcd");
    stage_expect(&stage, 3, "closed ");
    stage_close(&stage);
}

Test(meta_zk_words, lists_name_sessions_watches_and_nodes) {
    struct stage stage;
    char session[32];
    start(&stage, "*");
    const struct proto_zk_op create = stage_create("/e", "", PROTO_ZK_MODE_EPHEMERAL);
    const struct proto_zk_op get = stage_read(PROTO_ZK_OP_GET_DATA, "/e", true);
    stage_ask(&stage, 0, 1, &create);
    stage_ask(&stage, 0, 2, &get);
    stage_go(&stage);
    snprintf(session, sizeof(session), "0x%llx", (unsigned long long)stage.clients[0].session);

    word(&stage, "wchp");
    HEARD(&stage, "text /e\n\t0x");
    HEARD(&stage, session);
    word(&stage, "wchc");
    HEARD(&stage, session);
    HEARD(&stage, "\n\t/e\n\nclosed ");
    word(&stage, "dump");
    HEARD(&stage, "SessionTracker dump:\nGlobal Sessions(1):\n0x");
    HEARD(&stage, "Sessions with Ephemerals (1):\n0x");
    HEARD(&stage, ":\n\t/e\n");
    word(&stage, "cons");
    HEARD(&stage, session);
    HEARD(&stage, "lop=GETD");
    HEARD(&stage, "queued=0,recved=3,sent=3");
    word(&stage, "stat");
    HEARD(&stage, "Clients:\n /a:");
    word(&stage, "mntr");
    HEARD(&stage, "zk_watch_count\t1\n");
    HEARD(&stage, "zk_ephemerals_count\t1\n");
    HEARD(&stage, "zk_server_state\tstandalone\n");
    HEARD(&stage, "zk_watch_bytes\t2\n");
    HEARD(&stage, "zk_auth_failed_count\t0\n");
    word(&stage, "conf");
    HEARD(&stage, "clientPort=2181\n");
    HEARD(&stage, "\ndataDirSize=");
    HEARD(&stage, "\ndataLogSize=");
    word(&stage, "envi");
    HEARD(&stage, "\nzookeeper.version=3.9.3-");
    word(&stage, "dirs");
    HEARD(&stage, "datadir_size: ");
    stage_close(&stage);
}

Test(meta_zk_words, resetting_starts_the_counts_again) {
    struct stage stage;
    start(&stage, "*");
    word(&stage, "srst");
    HEARD(&stage, "text Server stats reset.\n");
    cr_assert_eq(meta_server_stats(stage.server).received, 0);
    word(&stage, "crst");
    HEARD(&stage, "text Connection stats reset.\n");
    word(&stage, "cons");
    HEARD(&stage, "recved=0,sent=0");
    HEARD(&stage, "lop=NA");
    HEARD(&stage, ",lzxid=0xffffffffffffffff,lresp=0,");
    cr_expect_null(strstr(stage.clients[3].log, "lcxid"));
    stage_close(&stage);
}

static void lose_leader(struct stage *stage) {
    fake_replica_lead(&stage->replica, false);
}

Test(meta_zk_words, server_that_does_not_serve_says_so) {
    struct stage stage;
    start(&stage, "*");
    stage_act(&stage, lose_leader);
    word(&stage, "srvr");
    stage_expect(&stage, 3,
                 "text This ZooKeeper instance is not currently serving requests\nclosed ");
    word(&stage, "ruok");
    stage_expect(&stage, 3, "text imokclosed ");
    word(&stage, "isro");
    stage_expect(&stage, 3, "text nullclosed ");
    stage_close(&stage);
}

Test(meta_zk_words, four_letters_after_the_handshake_are_a_frame) {
    struct stage stage;
    start(&stage, "*");
    stage_bytes(&stage, 0, RT_BYTES_LITERAL("ruok"));
    stage_go(&stage);
    stage_expect(&stage, 0, "closed ");
    stage_close(&stage);
}
