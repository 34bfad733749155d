#include "runtime/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct err_words {
    const char *name;
    const char *text;
};

static const struct err_words words[] = {[RT_OK] = {"RT_OK", "no error"},
#define RT_ERR_WORDS(code, text) [code] = {#code, text},
                                         RT_ERRS(RT_ERR_WORDS)
#undef RT_ERR_WORDS
};

static const struct err_words *words_of(rt_err err) {
    static const struct err_words unknown = {"RT_?", "unknown error"};
    unsigned code = (unsigned)err;
    return code < RT_ERR_COUNT ? &words[code] : &unknown;
}

const char *rt_err_name(rt_err err) {
    return words_of(err)->name;
}

const char *rt_err_text(rt_err err) {
    return words_of(err)->text;
}

static const struct {
    int code;
    rt_err err;
} errnos[] = {
    {EAGAIN, RT_EAGAIN},
    {EINTR, RT_EAGAIN},
    {EINVAL, RT_EINVAL},
    {ENAMETOOLONG, RT_EINVAL},
    {ENOENT, RT_ENOTFOUND},
    {ENOTDIR, RT_ENOTFOUND},
    {EEXIST, RT_EEXIST},
    {ENOTEMPTY, RT_EEXIST},
    {EBADF, RT_ECLOSED},
    {EPIPE, RT_ECLOSED},
    {ENOTCONN, RT_ECLOSED},
    {ECANCELED, RT_ECANCELED},
    {ETIMEDOUT, RT_ETIMEDOUT},
    {ECONNREFUSED, RT_EREFUSED},
    {ECONNRESET, RT_ERESET},
    {ECONNABORTED, RT_ERESET},
    {EHOSTUNREACH, RT_EUNREACHABLE},
    {ENETUNREACH, RT_EUNREACHABLE},
    {ENETDOWN, RT_EUNREACHABLE},
    {EADDRINUSE, RT_EADDRINUSE},
    {EADDRNOTAVAIL, RT_EADDRESS},
    {EAFNOSUPPORT, RT_EADDRESS},
    {EACCES, RT_EACCESS},
    {EPERM, RT_EACCESS},
    {EROFS, RT_EREADONLY},
    {ENOSPC, RT_ENOSPACE},
    {EDQUOT, RT_ENOSPACE},
    {EMFILE, RT_ENOFILES},
    {ENFILE, RT_ENOFILES},
    {ENOMEM, RT_ENOMEMORY},
    {ENOBUFS, RT_ENOMEMORY},
    {EFBIG, RT_ETOOBIG},
    {EMSGSIZE, RT_ETOOBIG},
    {ENOSYS, RT_EUNSUPPORTED},
    {EOPNOTSUPP, RT_EUNSUPPORTED},
    {EPROTO, RT_EPROTO},
    {EBUSY, RT_EBUSY},
};

rt_err rt_err_from_errno(int code) {
    if (code == 0) return RT_OK;
    for (size_t i = 0; i < sizeof(errnos) / sizeof(errnos[0]); i++) {
        if (errnos[i].code == code) return errnos[i].err;
    }
    return RT_EIO;
}

rt_err rt_why_set(struct rt_why *why, rt_err err, const char *format, ...) {
    if (!why) return err;
    va_list args;
    va_start(args, format);
    char text[RT_WHY_SIZE];  // an argument may be the old text
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    memcpy(why->text, text, sizeof(text));
    return err;
}

// What does not fit is cut.
static void append(char text[RT_WHY_SIZE], const char *more) {
    size_t used = strlen(text);
    size_t count = strnlen(more, RT_WHY_SIZE - 1 - used);
    memcpy(text + used, more, count);
    text[used + count] = 0;
}

rt_err rt_why_prefix(struct rt_why *why, rt_err err, const char *format, ...) {
    if (!why) return err;
    va_list args;
    va_start(args, format);
    char text[RT_WHY_SIZE];
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    append(text, ": ");
    append(text, why->text[0] ? why->text : rt_err_text(err));
    memcpy(why->text, text, sizeof(text));
    return err;
}

_Noreturn void rt_panic(const char *format, ...) {
    va_list args;
    va_start(args, format);
    char text[1024];  // one write, so that panics of two threads do not mix
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    fprintf(stderr, "panic: %s\n", text);
    fflush(stderr);
    abort();
}
