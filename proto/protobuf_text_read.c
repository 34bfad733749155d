#include <assert.h>
#include <string.h>

#include "proto/protobuf_fields.h"
#include "proto/protobuf_text.h"

// message: field*
// field:   name (':' value | [':'] message | ':' '[' values ']') [',' | ';']
// message: '{' field* '}' | '<' field* '>'
// value:   string+ | ['-'] number | word

// How deep what is skipped may be nested; what is known is as deep as its tables.
enum { SKIP_DEPTH_MAX = 32 };

struct text {
    const uint8_t *at, *end;
    struct rt_arena *arena;
    unsigned line;
    struct rt_why *why;
};

static rt_err fail(struct text *text, const char *what) {
    return rt_why_set(text->why, RT_EPROTO, "line %u: %s", text->line, what);
}

static bool is_word(uint8_t byte) {
    return (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z') ||
           (byte >= 'A' && byte <= 'Z') || byte == '_' || byte == '.' || byte == '+' || byte == '-';
}

// The first byte of the next token, or 0 at the end.
static uint8_t peek(struct text *text) {
    bool comment = false;
    for (; text->at < text->end; text->at++) {
        uint8_t byte = *text->at;
        if (byte == '\n') {
            text->line++;
            comment = false;
        } else if (byte == '#') {
            comment = true;
        } else if (!comment && byte != ' ' && byte != '\t' && byte != '\r' && byte != '\v' &&
                   byte != '\f') {
            return byte;
        }
    }
    return 0;
}

static bool token_take(struct text *text, char token) {
    if (peek(text) != (uint8_t)token) return false;
    text->at++;
    return true;
}

// A zero byte is no end.
static bool is_at_end(struct text *text) {
    return peek(text) == 0 && text->at == text->end;
}

static struct rt_bytes word_read(struct text *text) {
    (void)peek(text);
    const uint8_t *start = text->at;
    while (text->at < text->end && is_word(*text->at)) text->at++;
    return RT_BYTES(start, (size_t)(text->at - start));
}

// STRINGS

static unsigned digit_of(uint8_t byte) {
    if (byte >= '0' && byte <= '9') return byte - '0';
    if (byte >= 'a' && byte <= 'f') return byte - 'a' + 10u;
    if (byte >= 'A' && byte <= 'F') return byte - 'A' + 10u;
    return 16;
}

// Digits of an escape: at most `most`, and at least one.
static bool digits_read(struct text *text, unsigned base, unsigned most, uint8_t *byte) {
    unsigned value = 0, count = 0;
    for (; count < most && text->at < text->end && digit_of(*text->at) < base; count++) {
        value = value * base + digit_of(*text->at++);
    }
    *byte = (uint8_t)value;
    return count > 0 && value <= 0xff;
}

// Behind the backslash.
static bool escape_read(struct text *text, uint8_t *byte) {
    static const char plain[] = "abfnrtv\\'\"?";
    static const char meant[] = "\a\b\f\n\r\t\v\\'\"?";
    if (text->at == text->end) return false;
    if (digit_of(*text->at) < 8) return digits_read(text, 8, 3, byte);
    uint8_t letter = *text->at++;
    if (letter == 'x' || letter == 'X') return digits_read(text, 16, 2, byte);
    const char *at = letter ? memchr(plain, letter, sizeof(plain) - 1) : NULL;
    if (at) *byte = (uint8_t)meant[at - plain];
    return at != NULL;
}

// One literal, written to `out`, or only measured without. It is no longer than its source.
static rt_err literal_read(struct text *text, uint8_t *out, size_t *size) {
    uint8_t quote = *text->at++;
    for (;;) {
        if (text->at == text->end || *text->at == '\n') return fail(text, "a string has no end");
        uint8_t byte = *text->at++;
        if (byte == quote) return RT_OK;
        if (byte == '\\' && !escape_read(text, &byte)) {
            return fail(text, "an escape that is none");
        }
        if (out) out[*size] = byte;
        (*size)++;
    }
}

static bool at_string(struct text *text) {
    uint8_t byte = peek(text);
    return byte == '"' || byte == '\'';
}

static rt_err literals_read(struct text *text, uint8_t *out, size_t *size) {
    if (!at_string(text)) return fail(text, "a string is missing");
    *size = 0;
    while (at_string(text)) {
        rt_err err = literal_read(text, out, size);
        if (err) return err;
    }
    return RT_OK;
}

static rt_err string_read(struct text *text, struct rt_bytes *string) {
    struct text ahead = *text;
    size_t size = 0;
    rt_err err = literals_read(&ahead, NULL, &size);
    if (err) return err;
    uint8_t *memory = rt_arena_alloc(text->arena, size);
    *string = RT_BYTES(memory, size);
    return literals_read(text, memory, &size);
}

// NUMBERS

static bool magnitude_read(struct rt_bytes word, uint64_t *value) {
    unsigned base = 10;
    if (word.size > 1 && word.data[0] == '0') {
        bool hex = word.data[1] == 'x' || word.data[1] == 'X';
        base = hex ? 16 : 8;
        word = rt_bytes_skip(word, hex ? 2 : 1);
    }
    *value = 0;
    for (size_t i = 0; i < word.size; i++) {
        unsigned digit = digit_of(word.data[i]);
        if (digit >= base) return false;
        if (__builtin_mul_overflow(*value, base, value)) return false;
        if (__builtin_add_overflow(*value, digit, value)) return false;
    }
    return word.size > 0;
}

static bool integer_fits(enum proto_pb_type type, uint64_t magnitude, bool negative) {
    switch (type) {
    case PROTO_PB_INT32:
    case PROTO_PB_ENUM: return magnitude <= (uint64_t)INT32_MAX + negative;
    case PROTO_PB_INT64: return magnitude <= (uint64_t)INT64_MAX + negative;
    case PROTO_PB_UINT32: return magnitude <= UINT32_MAX && !negative;
    case PROTO_PB_UINT64: return !negative;
    case PROTO_PB_BOOL: return magnitude <= 1 && !negative;
    case PROTO_PB_BYTES:
    case PROTO_PB_STRING:
    case PROTO_PB_MESSAGE: break;
    }
    return false;
}

static bool bool_read(struct rt_bytes word, uint64_t *value) {
    static const char *const words[] = {"false", "true", "f", "t", "False", "True"};
    for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        *value = i & 1;
        if (rt_bytes_equal(word, rt_bytes_of(words[i]))) return true;
    }
    return false;
}

static bool enum_read(const struct proto_pb_name *names, struct rt_bytes word, uint64_t *value) {
    for (; names->name; names++) {
        *value = (uint64_t)(int64_t)names->value;
        if (rt_bytes_equal(word, rt_bytes_of(names->name))) return true;
    }
    return false;
}

static rt_err number_read(struct text *text, const struct proto_pb_field *field, void *at) {
    bool negative = token_take(text, '-');
    struct rt_bytes word = word_read(text);
    uint64_t value = 0;
    bool named = (field->type == PROTO_PB_ENUM && enum_read(field->names, word, &value)) ||
                 (field->type == PROTO_PB_BOOL && bool_read(word, &value));
    if (!named) {
        if (!magnitude_read(word, &value)) return fail(text, "a value is not of the field's type");
        if (!integer_fits(field->type, value, negative)) return fail(text, "a number is too large");
        if (negative) value = 0 - value;
    } else if (negative) {
        return fail(text, "a name has a sign");
    }
    if (field->type == PROTO_PB_ENUM && !proto_pb_name_of(field->names, (int32_t)value)) {
        return fail(text, "a value is none of its enum");
    }
    proto_pb_value_store(field->type, value, at);
    return RT_OK;
}

// WHAT IS NOT KNOWN

static rt_err fields_skip(struct text *text, char close, unsigned depth);

static rt_err value_skip(struct text *text, unsigned depth) {
    if (token_take(text, '{')) return fields_skip(text, '}', depth + 1);
    if (token_take(text, '<')) return fields_skip(text, '>', depth + 1);
    if (at_string(text)) {
        size_t size = 0;
        return literals_read(text, NULL, &size);
    }
    if (token_take(text, '-')) (void)peek(text);
    return word_read(text).size > 0 ? RT_OK : fail(text, "a value is missing");
}

// Behind the name.
static rt_err field_skip(struct text *text, unsigned depth) {
    bool colon = token_take(text, ':');
    uint8_t next = peek(text);
    if (!colon && next != '{' && next != '<') return fail(text, "a colon is missing");
    if (!token_take(text, '[')) return value_skip(text, depth);
    if (token_take(text, ']')) return RT_OK;
    do {
        rt_err err = value_skip(text, depth);
        if (err) return err;
    } while (token_take(text, ','));
    return token_take(text, ']') ? RT_OK : fail(text, "a list has no end");
}

static void separator_skip(struct text *text) {
    if (!token_take(text, ',')) (void)token_take(text, ';');
}

static rt_err fields_skip(struct text *text, char close, unsigned depth) {
    if (depth > SKIP_DEPTH_MAX) return fail(text, "nested too deeply");
    while (!token_take(text, close)) {
        if (word_read(text).size == 0) return fail(text, "a field's name is missing");
        rt_err err = field_skip(text, depth);
        if (err) return err;
        separator_skip(text);
    }
    return RT_OK;
}

// WHAT IS KNOWN

static rt_err message_read(struct text *text, const struct proto_pb_message *message, char close,
                           void *record);

static rt_err value_read(struct text *text, const struct proto_pb_field *field, void *record) {
    void *at = proto_pb_field_take(field, text->arena, record);
    if (proto_pb_field_is_bytes(field)) return string_read(text, at);
    if (field->type != PROTO_PB_MESSAGE) return number_read(text, field, at);
    if (token_take(text, '{')) return message_read(text, field->message, '}', at);
    if (token_take(text, '<')) return message_read(text, field->message, '>', at);
    return fail(text, "a message is missing");
}

// Behind the name.
static rt_err field_read(struct text *text, const struct proto_pb_field *field, void *record) {
    bool colon = token_take(text, ':');
    if (!colon && field->type != PROTO_PB_MESSAGE) return fail(text, "a colon is missing");
    if (!colon || field->label != PROTO_PB_REPEATED || !token_take(text, '[')) {
        return value_read(text, field, record);
    }
    if (token_take(text, ']')) return RT_OK;
    do {
        rt_err err = value_read(text, field, record);
        if (err) return err;
    } while (token_take(text, ','));
    return token_take(text, ']') ? RT_OK : fail(text, "a list has no end");
}

static const struct proto_pb_field *field_named(const struct proto_pb_message *message,
                                                struct rt_bytes name) {
    for (size_t i = 0; i < message->field_count; i++) {
        const struct proto_pb_field *field = &message->fields[i];
        if (rt_bytes_equal(name, rt_bytes_of(field->name))) return field;
    }
    return NULL;
}

// `close` is 0 for the outermost, which ends with the text.
static rt_err message_read(struct text *text, const struct proto_pb_message *message, char close,
                           void *record) {
    memset(record, 0, message->size);
    uint64_t seen = 0;
    while (!(close ? token_take(text, close) : is_at_end(text))) {
        struct rt_bytes name = word_read(text);
        if (name.size == 0) return fail(text, "a field's name is missing");
        const struct proto_pb_field *field = field_named(message, name);
        rt_err err = field ? field_read(text, field, record) : field_skip(text, 0);
        if (err) return err;
        if (field) seen |= UINT64_C(1) << (field - message->fields);
        separator_skip(text);
    }
    if (proto_pb_has_required(message, seen)) return RT_OK;
    return fail(text, "a required field is missing");
}

rt_err proto_pb_text_decode(const struct proto_pb_message *message, struct rt_bytes text,
                            struct rt_arena *arena, void *record, struct rt_why *why) {
    static const uint8_t nothing[1];
    const uint8_t *at = text.data ? text.data : nothing;
    struct text cursor = {at, at + text.size, arena, 1, why};
    return message_read(&cursor, message, 0, record);
}
