// JAVA PROPERTIES. Natural lines end in LF, CR LF, CR or with the file. A line that is blank, or
// whose first other character is # or !, is a comment. An odd number of backslashes at its end
// joins a line with the next, whose leading blanks are dropped. A key ends at the first unescaped
// blank, = or :, then come blanks, at most one = or :, blanks, and the value. \t \n \r \f are what
// they are in Java, \uXXXX is a UTF-16 unit, and any other escaped character is itself.
//
// Other than Java we drop blanks at the end of a value, as Pulsar does after parsing, and read
// UTF-8.
#include <assert.h>
#include <string.h>

#include "runtime/config_internal.h"
#include "runtime/utf8.h"

static bool is_blank(uint8_t c) {
    return c == ' ' || c == '\t' || c == '\f';
}

static bool is_separator(uint8_t c) {
    return c == '=' || c == ':';
}

void rt_properties_init(struct rt_properties *properties, struct rt_bytes text) {
    static const struct rt_bytes byte_order_mark = {(const uint8_t *)"\xef\xbb\xbf", 3};
    if (rt_bytes_starts_with(text, byte_order_mark)) text = rt_bytes_skip(text, 3);
    *properties = (struct rt_properties){.left = text, .line = 1};
}

void rt_properties_fini(struct rt_properties *properties) {
    rt_buf_fini(&properties->logical);
    rt_buf_fini(&properties->key);
    rt_buf_fini(&properties->value);
}

rt_err rt_properties_check_text(struct rt_bytes text, unsigned *line, const char **problem) {
    const uint8_t *nul = text.size ? memchr(text.data, '\0', text.size) : NULL;
    size_t good = rt_utf8_valid_size(text);
    if (!nul && good == text.size) return RT_OK;
    *problem = "is not valid UTF-8";
    if (nul && (size_t)(nul - text.data) <= good) {
        good = (size_t)(nul - text.data);
        *problem = "has a NUL byte";
    }
    *line = 1;
    for (size_t i = 0; i < good; i++) {
        bool cr_alone = text.data[i] == '\r' && text.data[i + 1] != '\n';
        if (text.data[i] == '\n' || cr_alone) (*line)++;
    }
    return RT_EPROTO;
}

// Takes one natural line off the input, without its end.
static struct rt_bytes natural_line(struct rt_properties *p) {
    size_t size = 0;
    while (size < p->left.size && p->left.data[size] != '\n' && p->left.data[size] != '\r') size++;
    struct rt_bytes line = {p->left.data, size};
    bool crlf =
        size + 1 < p->left.size && p->left.data[size] == '\r' && p->left.data[size + 1] == '\n';
    p->left = rt_bytes_skip(p->left, size + (crlf ? 2 : 1));
    p->line++;
    while (line.size > 0 && is_blank(line.data[0])) line = rt_bytes_skip(line, 1);
    return line;
}

static bool is_continued(struct rt_bytes line) {
    size_t backslashes = 0;
    while (backslashes < line.size && line.data[line.size - 1 - backslashes] == '\\') backslashes++;
    return backslashes % 2 == 1;
}

// Gathers the next entry in p->logical, escapes unresolved. False at the end of the input.
static bool logical_line(struct rt_properties *p) {
    rt_buf_clear(&p->logical);
    struct rt_bytes line = {NULL, 0};
    while (p->left.size > 0 && (line.size == 0 || line.data[0] == '#' || line.data[0] == '!')) {
        p->entry_line = p->line;
        line = natural_line(p);
    }
    if (line.size == 0 || line.data[0] == '#' || line.data[0] == '!') return false;
    while (is_continued(line)) {
        rt_buf_append(&p->logical, RT_BYTES(line.data, line.size - 1));
        line = natural_line(p);
    }
    rt_buf_append(&p->logical, line);
    return true;
}

static int hex_digit(uint8_t c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

// The four digits at the start of `text`, behind "\u".
static bool unit_parse(struct rt_bytes text, uint32_t *unit) {
    *unit = 0;
    if (text.size < 4) return false;
    for (size_t i = 0; i < 4; i++) {
        int digit = hex_digit(text.data[i]);
        if (digit < 0) return false;
        *unit = *unit << 4 | (uint32_t)digit;
    }
    return true;
}

// Resolves "\uXXXX", or a pair of them, at the start of `text`; returns its size, 0 for an error.
static size_t unicode_escape(struct rt_bytes text, struct rt_buf *out, const char **error) {
    uint32_t code = 0;
    uint32_t low = 0;
    size_t size = 6;
    *error = "\\u needs four hexadecimal digits";
    if (!unit_parse(rt_bytes_skip(text, 2), &code)) return 0;
    *error = "half of a surrogate pair stands alone";
    if (code >= 0xdc00 && code <= 0xdfff) return 0;
    if (code >= 0xd800 && code <= 0xdbff) {
        struct rt_bytes second = rt_bytes_skip(text, 6);
        if (second.size < 6 || second.data[0] != '\\' || second.data[1] != 'u') return 0;
        if (!unit_parse(rt_bytes_skip(second, 2), &low)) return 0;
        if (low < 0xdc00 || low > 0xdfff) return 0;
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
        size = 12;
    }
    *error = "\\u0000 is not allowed";
    if (code == 0) return 0;
    *error = NULL;
    uint8_t utf8[RT_UTF8_SIZE_MAX];
    rt_buf_append(out, RT_BYTES(utf8, rt_utf8_encode(code, utf8)));
    return size;
}

// Resolves the escape at the start of `text`; returns its size, 0 for an error.
static size_t escape_resolve(struct rt_bytes text, struct rt_buf *out, const char **error) {
    static const char letters[] = "tnrf";
    static const char meanings[] = "\t\n\r\f";
    if (text.size < 2) return text.size;  // a backslash that ends the file joins nothing
    if (text.data[1] == 'u') return unicode_escape(text, out, error);
    const char *letter = strchr(letters, text.data[1]);
    const uint8_t *meaning = &text.data[1];
    if (letter) meaning = (const uint8_t *)&meanings[letter - letters];
    rt_buf_append(out, RT_BYTES(meaning, 1));
    return 2;
}

static struct rt_bytes without_trailing_blanks(struct rt_bytes line) {
    while (line.size > 0 && is_blank(line.data[line.size - 1])) {
        struct rt_bytes shorter = {line.data, line.size - 1};
        if (is_continued(shorter)) break;  // the blank is escaped
        line = shorter;
    }
    return line;
}

// Copies up to the end of the key (or all of a value) and returns the rest.
static struct rt_bytes take(struct rt_bytes text, bool is_key, struct rt_buf *out,
                            const char **error) {
    while (text.size > 0 && !*error) {
        uint8_t c = text.data[0];
        if (is_key && (is_blank(c) || is_separator(c))) break;
        size_t size = 1;
        if (c == '\\') {
            size = escape_resolve(text, out, error);
        } else {
            rt_buf_append(out, RT_BYTES(text.data, 1));
        }
        text = rt_bytes_skip(text, size);
    }
    return text;
}

static void terminate(struct rt_buf *buf) {
    rt_buf_reserve(buf, 1);
    buf->data[buf->size] = '\0';
}

rt_err rt_properties_next(struct rt_properties *properties) {
    struct rt_properties *p = properties;
    if (!logical_line(p)) return RT_ENOTFOUND;
    rt_buf_clear(&p->key);
    rt_buf_clear(&p->value);
    p->error = NULL;
    struct rt_bytes text = without_trailing_blanks(rt_buf_bytes(&p->logical));
    text = take(text, true, &p->key, &p->error);
    while (text.size > 0 && is_blank(text.data[0])) text = rt_bytes_skip(text, 1);
    if (text.size > 0 && is_separator(text.data[0])) text = rt_bytes_skip(text, 1);
    while (text.size > 0 && is_blank(text.data[0])) text = rt_bytes_skip(text, 1);
    if (!p->error) text = take(text, false, &p->value, &p->error);
    if (!p->error && p->key.size == 0) p->error = "the line has no key";
    terminate(&p->key);
    terminate(&p->value);
    return p->error ? RT_EPROTO : RT_OK;
}

void rt_properties_escape(struct rt_bytes value, struct rt_buf *out) {
    for (size_t i = 0; i < value.size; i++) {
        uint8_t c = value.data[i];
        bool at_an_end = i == 0 || i + 1 == value.size;
        if (c == '\n' || c == '\r' || c == '\t' || c == '\f') {
            const char *letter = c == '\n' ? "\\n" : c == '\r' ? "\\r" : c == '\t' ? "\\t" : "\\f";
            rt_buf_append(out, RT_BYTES(letter, 2));
            continue;
        }
        bool escaped = c == '\\' || (c == ' ' && at_an_end) || (i == 0 && is_separator(c));
        if (escaped) rt_buf_append(out, RT_BYTES("\\", 1));
        rt_buf_append(out, RT_BYTES(&c, 1));
    }
}
