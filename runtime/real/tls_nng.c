// TLS configurations: PEM files into nng.
#include <stdio.h>
#include <string.h>

#include "runtime/real/stream_nng.h"

enum { PEM_SIZE_MAX = 1 << 20 };

// NUL-terminated, as nng wants it.
static rt_err pem_read(const char *path, struct rt_buf *pem, struct rt_why *why) {
    FILE *file = fopen(path, "rbe");
    if (!file) return rt_why_set(why, RT_ETLS, "cannot open %s: %m", path);
    char part[4096];
    size_t size;
    while ((size = fread(part, 1, sizeof(part), file)) > 0 && pem->size <= PEM_SIZE_MAX)
        rt_buf_append(pem, RT_BYTES(part, size));
    bool failed = ferror(file) || pem->size > PEM_SIZE_MAX;
    fclose(file);
    if (failed) return rt_why_set(why, RT_ETLS, "cannot read %s", path);
    rt_buf_append(pem, RT_BYTES("", 1));
    return RT_OK;
}

static rt_err own_cert_set(nng_tls_config *config, const struct rt_tls *tls, struct rt_why *why) {
    struct rt_buf cert = {0}, key = {0};
    rt_err err = pem_read(tls->cert_file, &cert, why);
    if (!err) err = pem_read(tls->key_file, &key, why);
    if (!err &&
        nng_tls_config_own_cert(config, (const char *)cert.data, (const char *)key.data, NULL) != 0)
        err = rt_why_set(why, RT_ETLS, "%s and %s are not a PEM certificate and its private key",
                         tls->cert_file, tls->key_file);
    if (key.data) explicit_bzero(key.data, key.size);
    rt_buf_fini(&cert);
    rt_buf_fini(&key);
    return err;
}

static rt_err ca_set(nng_tls_config *config, const char *path, struct rt_why *why) {
    struct rt_buf pem = {0};
    rt_err err = pem_read(path, &pem, why);
    if (!err && nng_tls_config_ca_chain(config, (const char *)pem.data, NULL) != 0)
        err = rt_why_set(why, RT_ETLS, "%s is not a PEM file of certificates", path);
    rt_buf_fini(&pem);
    return err;
}

static rt_err tls_check(const struct rt_tls *tls, bool server, struct rt_why *why) {
    if (!tls->cert_file != !tls->key_file)
        return rt_why_set(why, RT_EINVAL, "a certificate and its private key go together");
    if (server && !tls->cert_file)
        return rt_why_set(why, RT_EINVAL, "a TLS server needs a certificate and a private key");
    if (tls->verify_peer && !tls->ca_file)
        return rt_why_set(why, RT_EINVAL, "verifying peers needs a file of trusted certificates");
    return RT_OK;
}

rt_err real_tls_config(const struct rt_tls *tls, bool server, const char *host,
                       nng_tls_config **config, struct rt_why *why) {
    rt_err err = tls_check(tls, server, why);
    if (err) return err;
    enum nng_tls_mode mode = server ? NNG_TLS_MODE_SERVER : NNG_TLS_MODE_CLIENT;
    int failed = nng_tls_config_alloc(config, mode);
    if (failed) return rt_why_set(why, RT_EUNSUPPORTED, "TLS: %s", nng_strerror(failed));
    const char *name = tls->server_name ? tls->server_name : host;
    if (tls->cert_file) err = own_cert_set(*config, tls, why);
    if (!err && tls->ca_file) err = ca_set(*config, tls->ca_file, why);
    if (!err && !server && nng_tls_config_server_name(*config, name) != 0) err = RT_ETLS;
    enum nng_tls_auth_mode auth =
        tls->verify_peer ? NNG_TLS_AUTH_MODE_REQUIRED : NNG_TLS_AUTH_MODE_NONE;
    if (!err && nng_tls_config_auth_mode(*config, auth) != 0) err = RT_ETLS;
    if (!err && nng_tls_config_version(*config, NNG_TLS_1_2, NNG_TLS_1_3) != 0 &&
        nng_tls_config_version(*config, NNG_TLS_1_2, NNG_TLS_1_2) != 0)
        err = rt_why_set(why, RT_EUNSUPPORTED, "TLS 1.2 is not available");
    if (err) nng_tls_config_free(*config);
    return err;
}
