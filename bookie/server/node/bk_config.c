#include "bookie/server/node/bk_config.h"

#include <stdio.h>
#include <string.h>

enum { SERVERS_MAX = 4096, THOUSAND = 1000 };

// THE METADATA'S ADDRESS

static const char *const schemes[] = {"zk+hierarchical://", "zk+longhierarchical://", "zk+null://",
                                      "zk://"};

// What is behind the scheme; NULL: none that we know.
static const char *scheme_skip(const char *uri) {
    for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
        size_t size = strlen(schemes[i]);
        if (strncmp(uri, schemes[i], size) == 0) return uri + size;
    }
    static const char pulsar[] = "metadata-store:";
    if (strncmp(uri, pulsar, strlen(pulsar)) != 0) return NULL;
    uri += strlen(pulsar);
    if (strncmp(uri, "zk:", 3) == 0) uri += 3;
    if (strncmp(uri, "//", 2) == 0) uri += 2;
    return strstr(uri, "://") ? NULL : uri;
}

rt_err bookie_metadata_uri_parse(const char *uri, char **servers, char **root, struct rt_why *why) {
    const char *at = scheme_skip(uri);
    if (!at)
        return rt_why_set(why, RT_EINVAL,
                          "'%.100s' is no metadata address: zk+hierarchical://HOST:PORT/ledgers",
                          uri);
    const char *slash = strchr(at, '/');
    size_t size = slash ? (size_t)(slash - at) : strlen(at);
    if (size == 0 || size > SERVERS_MAX)
        return rt_why_set(why, RT_EINVAL, "'%.100s' names no server", uri);
    *servers = rt_alloc(size + 1);
    for (size_t i = 0; i < size; i++) (*servers)[i] = at[i];
    (*servers)[size] = '\0';
    for (char *c = *servers; *c; c++) {
        if (*c == ';') *c = ',';
    }
    *root = rt_strdup(slash && slash[1] ? slash : "/ledgers");
    size_t length = strlen(*root);
    while (length > 1 && (*root)[length - 1] == '/') (*root)[--length] = '\0';
    return RT_OK;
}

static rt_err metadata_find(struct bookie_config *config, struct rt_why *why) {
    const struct bookie_values *values = &config->values;
    if (values->metadata_uri[0])
        return bookie_metadata_uri_parse(values->metadata_uri, &config->servers, &config->root,
                                         why);
    config->servers = rt_strdup(values->zk_servers);
    config->root = rt_strdup(values->zk_root);
    bool sound = values->zk_servers[0] && values->zk_root[0] == '/' && values->zk_root[1];
    return sound ? RT_OK
                 : rt_why_set(why, RT_EINVAL,
                              "zkServers and zkLedgersRootPath must be given, the "
                              "path with a slash in front");
}

// DIRECTORIES

// Splits at commas, in place; blanks around names are dropped.
static rt_err list_split(char *text, const char **items, unsigned max, unsigned *count,
                         const char *key, struct rt_why *why) {
    *count = 0;
    for (char *at = text, *end; at; at = end) {
        end = strchr(at, ',');
        if (end) *end++ = '\0';
        while (*at == ' ') at++;
        size_t size = strlen(at);
        while (size && (at[size - 1] == ' ' || (size > 1 && at[size - 1] == '/'))) at[--size] = 0;
        if (!size) continue;
        if (*count == max) return rt_why_set(why, RT_ETOOBIG, "%s: over %u directories", key, max);
        for (unsigned i = 0; i < *count; i++) {
            if (strcmp(items[i], at) == 0)
                return rt_why_set(why, RT_EINVAL, "%s: %s is named twice", key, at);
        }
        items[(*count)++] = at;
    }
    return *count ? RT_OK : rt_why_set(why, RT_EINVAL, "%s: no directory is named", key);
}

static rt_err directories_find(struct bookie_config *config, struct rt_why *why) {
    const struct bookie_values *values = &config->values;
    const char *index[2];
    unsigned index_count = 0;
    size_t journals = strlen(values->journal_dirs) + 1, ledgers = strlen(values->ledger_dirs) + 1;
    char *memory = rt_alloc(journals + ledgers + strlen(values->index_dirs) + 1);
    config->directories = memory;
    memcpy(memory, values->journal_dirs, journals);
    memcpy(memory + journals, values->ledger_dirs, ledgers);
    memcpy(memory + journals + ledgers, values->index_dirs, strlen(values->index_dirs) + 1);
    rt_err err = list_split(memory, config->journal_dirs, BOOKIE_JOURNALS_MAX,
                            &config->journal_count, "journalDirectories", why);
    if (!err)
        err = list_split(memory + journals, config->ledger_dirs, BOOKIE_DIRS_MAX,
                         &config->ledger_dir_count, "ledgerDirectories", why);
    if (err) return err;
    config->index_dir = config->ledger_dirs[0];
    if (!values->index_dirs[0]) return RT_OK;
    err = list_split(memory + journals + ledgers, index, 1, &index_count, "indexDirectories", why);
    config->index_dir = index[0];
    return err;
}

// FRACTIONS: "0.95" is 950 thousandths.

static rt_err fraction_parse(const char *key, const char *text, unsigned *thousandths,
                             struct rt_why *why) {
    unsigned whole = 0, part = 0, weight = THOUSAND / 10;
    const char *at = text;
    for (; *at >= '0' && *at <= '9' && whole <= 1; at++) whole = whole * 10 + (unsigned)(*at - '0');
    if (*at == '.') {
        for (at++; *at >= '0' && *at <= '9'; at++, weight /= 10)
            part += (unsigned)(*at - '0') * weight;
    }
    if ((*at == 'f' || *at == 'd') && at > text) at++;  // as Java prints them
    *thousandths = whole * THOUSAND + part;
    if (at != text && !*at && *thousandths <= THOUSAND) return RT_OK;
    return rt_why_set(why, RT_EINVAL, "%s: '%.40s' is no fraction from 0 to 1", key, text);
}

static rt_err fractions_find(struct bookie_config *config, struct rt_why *why) {
    const struct bookie_values *values = &config->values;
    rt_err err =
        fraction_parse("diskUsageThreshold", values->disk_threshold, &config->disk_full, why);
    if (!err)
        err = fraction_parse("diskUsageWarnThreshold", values->disk_warn_threshold,
                             &config->disk_warn, why);
    config->disk_low = config->disk_full;
    if (!err && values->disk_low_threshold[0])
        err = fraction_parse("diskUsageLwmThreshold", values->disk_low_threshold, &config->disk_low,
                             why);
    if (!err)
        err = fraction_parse("minorCompactionThreshold", values->minor_threshold,
                             &config->minor_live, why);
    if (!err)
        err = fraction_parse("majorCompactionThreshold", values->major_threshold,
                             &config->major_live, why);
    if (!err && config->disk_low > config->disk_full)
        err = rt_why_set(why, RT_EINVAL, "diskUsageLwmThreshold is over diskUsageThreshold");
    if (!err && config->minor_live > config->major_live)
        err =
            rt_why_set(why, RT_EINVAL, "minorCompactionThreshold is over majorCompactionThreshold");
    return err;
}

rt_err bookie_config_finish(struct bookie_config *config, struct rt_why *why) {
    rt_err err = metadata_find(config, why);
    if (!err) err = directories_find(config, why);
    if (!err) err = fractions_find(config, why);
    return err;
}

// Pattern keys of the key-value store that BookKeeper uses.
static bool extra_take(struct rt_config_extra *extra, const char *key, const char *value,
                       struct rt_why *why) {
    (void)extra, (void)value, (void)why;
    return strncmp(key, "dbStorage_rocksDB_", 18) == 0;
}

rt_err bookie_config_load(const struct rt_config_source *source, struct bookie_config *config,
                          struct rt_config_report *report) {
    struct rt_config_extra extra = {extra_take};
    struct rt_config_source with_extra = *source;
    struct rt_why why = {{0}};
    *config = (struct bookie_config){0};
    with_extra.extra = &extra;
    rt_err err = rt_config_load(&bookie_options, &config->values, &with_extra, report, NULL, NULL);
    if (err) return RT_EINVAL;
    err = bookie_config_finish(config, &why);
    if (!err) return RT_OK;
    rt_buf_print(&report->text, "bookkeeper.conf: error: %s\n", why.text);
    report->errors++;
    return RT_EINVAL;
}

void bookie_config_fini(struct bookie_config *config) {
    rt_config_fini(&bookie_options, &config->values);
    rt_free(config->servers);
    rt_free(config->root);
    rt_free(config->directories);
    *config = (struct bookie_config){0};
}
