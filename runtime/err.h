// Errors: one list yields the codes, their names and their texts.
//
// A fallible function returns rt_err and is marked RT_CHECK. RT_OK is zero, so `if (err)` reads
// well. Where a person must act on a failure (start-up, configuration, disks), the function also
// takes a `struct rt_why *`: the innermost level says what was wrong and with which value, each
// level above prefixes where, so the finished text reads like a path. Passing NULL is always
// allowed.
#ifndef GEMINGA_RUNTIME_ERR_H
#define GEMINGA_RUNTIME_ERR_H

#define RT_CHECK __attribute__((warn_unused_result))
#define RT_PRINTF(fmt_at, args_at) __attribute__((format(printf, fmt_at, args_at)))

#define RT_ERRS(X)                                       \
    X(RT_EIO, "disk or socket failed")                   \
    X(RT_EPROTO, "peer broke the protocol")              \
    X(RT_EBUSY, "over budget; retry later")              \
    X(RT_EAGAIN, "would have to wait")                   \
    X(RT_EINVAL, "invalid value")                        \
    X(RT_ENOTFOUND, "not found")                         \
    X(RT_EEXIST, "exists already")                       \
    X(RT_ECLOSED, "closed")                              \
    X(RT_ECANCELED, "canceled")                          \
    X(RT_ETIMEDOUT, "timed out")                         \
    X(RT_EREFUSED, "connection refused")                 \
    X(RT_ERESET, "connection reset by peer")             \
    X(RT_EUNREACHABLE, "address cannot be reached")      \
    X(RT_EADDRINUSE, "address in use")                   \
    X(RT_EADDRESS, "address not understood or not ours") \
    X(RT_EACCESS, "permission denied")                   \
    X(RT_EREADONLY, "read-only")                         \
    X(RT_ENOSPACE, "no space left on device")            \
    X(RT_ELOCKED, "locked by another process")           \
    X(RT_ENOFILES, "out of file descriptors")            \
    X(RT_ENOMEMORY, "out of memory")                     \
    X(RT_ECORRUPT, "stored bytes are corrupt")           \
    X(RT_ETOOBIG, "larger than the limit")               \
    X(RT_EUNSUPPORTED, "not supported")                  \
    X(RT_ETLS, "TLS handshake or certificate failed")    \
    X(RT_EFAILED, "failed earlier and refuses further work")

typedef enum rt_err {
    RT_OK = 0,
#define RT_ERR_CODE(code, text) code,
    RT_ERRS(RT_ERR_CODE)
#undef RT_ERR_CODE
        RT_ERR_COUNT
} rt_err;

// Static strings; any value is accepted, unknown ones read "RT_?" and "unknown error".
const char *rt_err_name(rt_err err);
const char *rt_err_text(rt_err err);

// Maps errno (real machine only; callers read errno on the line after the failed call).
rt_err rt_err_from_errno(int code);

// Says that a result is ignored on purpose; the caller writes the reason beside it.
#define RT_IGNORE(expression)              \
    do {                                   \
        rt_err rt_ignored_ = (expression); \
        (void)rt_ignored_;                 \
    } while (0)

enum { RT_WHY_SIZE = 512 };

struct rt_why {
    char text[RT_WHY_SIZE];  // NUL-terminated, cut at the end when too long
};

// Replaces the text. Returns err, so that `return rt_why_set(why, RT_EINVAL, ...)` is one line.
rt_err rt_why_set(struct rt_why *why, rt_err err, const char *format, ...) RT_PRINTF(3, 4);

// Prefixes "formatted: " to the text (to the error's own text where nothing was set). Returns err.
rt_err rt_why_prefix(struct rt_why *why, rt_err err, const char *format, ...) RT_PRINTF(3, 4);

// Prints the text and what it is about to stderr, then aborts: for broken invariants only.
_Noreturn void rt_panic(const char *format, ...) RT_PRINTF(1, 2);

#endif
