// Values: from text, within their bounds, and back.
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "runtime/config_internal.h"
#include "runtime/loop.h"
#include "runtime/mem.h"

enum { FRACTION_DIGITS_MAX = 18 };

// NUMBERS: digits, a fraction where the unit leaves room for one, blanks, a unit.

struct amount {
    uint64_t whole, fraction, fraction_one;  // fraction / fraction_one is the part behind the point
    struct rt_bytes unit;
};

static bool digits_take(struct rt_bytes *text, uint64_t *value, rt_err *err) {
    size_t count = 0;
    *value = 0;
    while (count < text->size && text->data[count] >= '0' && text->data[count] <= '9') {
        uint64_t digit = (uint64_t)(text->data[count] - '0');
        bool fits = !__builtin_mul_overflow(*value, 10, value);
        if (!fits || __builtin_add_overflow(*value, digit, value)) *err = RT_ETOOBIG;
        count++;
    }
    *text = rt_bytes_skip(*text, count);
    return count > 0;
}

static rt_err fraction_take(struct rt_bytes *text, struct amount *amount) {
    amount->fraction_one = 1;
    if (text->size == 0 || text->data[0] != '.') return RT_OK;
    *text = rt_bytes_skip(*text, 1);
    size_t before = text->size;
    rt_err err = RT_OK;
    if (!digits_take(text, &amount->fraction, &err)) return RT_EINVAL;
    if (before - text->size > FRACTION_DIGITS_MAX) return RT_EINVAL;
    for (size_t i = 0; i < before - text->size; i++) amount->fraction_one *= 10;
    return err;
}

static rt_err amount_parse(struct rt_bytes text, struct amount *amount) {
    *amount = (struct amount){0};
    rt_err overflow = RT_OK;
    if (!digits_take(&text, &amount->whole, &overflow)) return RT_EINVAL;
    rt_err err = fraction_take(&text, amount);
    if (err) return err;
    while (text.size > 0 && text.data[0] == ' ') text = rt_bytes_skip(text, 1);
    amount->unit = text;
    return overflow;
}

// whole and fraction times the unit; what is left of a fraction must be nothing, or is cut off.
static rt_err amount_scale(const struct amount *amount, uint64_t unit, bool exact, uint64_t *out) {
    unsigned __int128 part = (unsigned __int128)amount->fraction * unit;
    if (exact && part % amount->fraction_one != 0) return RT_EINVAL;
    uint64_t more = (uint64_t)(part / amount->fraction_one);
    if (__builtin_mul_overflow(amount->whole, unit, out)) return RT_ETOOBIG;
    return __builtin_add_overflow(*out, more, out) ? RT_ETOOBIG : RT_OK;
}

static bool text_is(struct rt_bytes text, const char *word) {
    size_t size = strlen(word);
    return text.size == size && strncasecmp((const char *)text.data, word, size) == 0;
}

// "", B, or K M G T P E, which iB or B may follow: powers of 1024 all.
static bool size_unit_parse(struct rt_bytes unit, uint64_t *bytes) {
    static const char letters[] = "KMGTPE";
    *bytes = 1;
    if (unit.size == 0 || text_is(unit, "B")) return true;
    unsigned char letter = unit.data[0];
    if (letter >= 'a' && letter <= 'z') letter = (unsigned char)(letter - 'a' + 'A');
    const char *at = letter ? strchr(letters, letter) : NULL;
    if (!at) return false;
    *bytes = UINT64_C(1) << 10 * (at - letters + 1);
    struct rt_bytes rest = rt_bytes_skip(unit, 1);
    return rest.size == 0 || text_is(rest, "iB") || text_is(rest, "B");
}

rt_err rt_parse_size(struct rt_bytes text, uint64_t *bytes) {
    struct amount amount;
    uint64_t unit = 0;
    rt_err err = amount_parse(text, &amount);
    if (err == RT_EINVAL || !size_unit_parse(amount.unit, &unit)) return RT_EINVAL;
    if (err) return err;
    if (unit == 1 && amount.fraction_one > 1) return RT_EINVAL;
    return amount_scale(&amount, unit, false, bytes);
}

struct time_unit {
    const char *name;
    uint64_t ns;
};

static bool time_unit_parse(struct rt_bytes unit, uint64_t bare_ns, uint64_t *ns) {
    static const struct time_unit units[] = {
        {"ns", 1},
        {"us", RT_NS_PER_US},
        {"ms", RT_NS_PER_MS},
        {"s", RT_NS_PER_S},
        {"m", 60 * RT_NS_PER_S},
        {"min", 60 * RT_NS_PER_S},
        {"h", 3600 * RT_NS_PER_S},
        {"d", 86400 * RT_NS_PER_S},
    };
    *ns = bare_ns;
    if (unit.size == 0) return true;
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (!text_is(unit, units[i].name)) continue;
        *ns = units[i].ns;
        return true;
    }
    return false;
}

// In the option's units, without a detour over nanoseconds that a bare number could overflow.
rt_err rt_parse_duration(struct rt_bytes text, uint64_t unit_ns, uint64_t *in_units) {
    assert(unit_ns > 0);
    struct amount amount;
    uint64_t ns = 0;
    rt_err err = amount_parse(text, &amount);
    if (err == RT_EINVAL || !time_unit_parse(amount.unit, unit_ns, &ns)) return RT_EINVAL;
    if (err) return err;
    if (ns >= unit_ns && ns % unit_ns == 0)
        return amount_scale(&amount, ns / unit_ns, true, in_units);
    uint64_t total_ns = 0;
    err = amount_scale(&amount, ns, true, &total_ns);
    if (err) return err;
    if (total_ns % unit_ns != 0) return RT_EINVAL;
    *in_units = total_ns / unit_ns;
    return RT_OK;
}

// PARSING

static struct rt_bytes without_blanks(const char *text) {
    struct rt_bytes bytes = rt_bytes_of(text);
    while (bytes.size > 0 && strchr(" \t", bytes.data[0])) bytes = rt_bytes_skip(bytes, 1);
    while (bytes.size > 0 && strchr(" \t", bytes.data[bytes.size - 1])) bytes.size--;
    return bytes;
}

static const char *unit_name(uint64_t unit_ns) {
    switch (unit_ns) {
    case 1: return "nanoseconds";
    case RT_NS_PER_US: return "microseconds";
    case RT_NS_PER_MS: return "milliseconds";
    case RT_NS_PER_S: return "seconds";
    case 60 * RT_NS_PER_S: return "minutes";
    case 3600 * RT_NS_PER_S: return "hours";
    case 86400 * RT_NS_PER_S: return "days";
    default: return "units";
    }
}

static rt_err out_of_bounds(const struct rt_option *option, struct rt_why *why) {
    struct rt_buf bounds = {0};
    rt_option_format_bounds(option, &bounds);
    rt_err err = rt_why_set(why, RT_EINVAL, "is out of range: %.*s", (int)bounds.size,
                            bounds.size ? (const char *)bounds.data : "");
    rt_buf_fini(&bounds);
    return err;
}

static bool is_unbounded(const struct rt_option *option) {
    return option->min == 0 && option->max == 0;
}

static rt_err bool_parse(struct rt_bytes text, bool *yes, struct rt_why *why) {
    static const char *const words[][2] = {
        {"false", "true"}, {"no", "yes"}, {"off", "on"}, {"0", "1"}};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (!text_is(text, words[i][0]) && !text_is(text, words[i][1])) continue;
        *yes = text_is(text, words[i][1]);
        return RT_OK;
    }
    return rt_why_set(why, RT_EINVAL, "is neither true nor false");
}

static rt_err integer_parse(const struct rt_option *option, struct rt_bytes text, int64_t *integer,
                            struct rt_why *why) {
    bool negative = text.size > 0 && text.data[0] == '-';
    if (negative) text = rt_bytes_skip(text, 1);
    uint64_t magnitude = 0;
    rt_err overflow = RT_OK;
    bool is_number = digits_take(&text, &magnitude, &overflow) && text.size == 0;
    if (!is_number) return rt_why_set(why, RT_EINVAL, "is not a whole number");
    uint64_t most = (uint64_t)INT64_MAX + negative;
    if (overflow || magnitude > most) return out_of_bounds(option, why);
    *integer = (int64_t)(negative ? UINT64_C(0) - magnitude : magnitude);
    bool fits = *integer >= option->min && *integer <= option->max;
    return fits || is_unbounded(option) ? RT_OK : out_of_bounds(option, why);
}

static rt_err amount_check(const struct rt_option *option, uint64_t amount, struct rt_why *why) {
    assert(option->min >= 0 && option->max >= 0);
    bool fits = amount >= (uint64_t)option->min && amount <= (uint64_t)option->max;
    return fits || is_unbounded(option) ? RT_OK : out_of_bounds(option, why);
}

static rt_err size_parse(const struct rt_option *option, struct rt_bytes text, uint64_t *bytes,
                         struct rt_why *why) {
    rt_err err = rt_parse_size(text, bytes);
    if (err == RT_EINVAL) return rt_why_set(why, err, "is not a size such as 4096, 64K or 1.5G");
    return err ? out_of_bounds(option, why) : amount_check(option, *bytes, why);
}

static rt_err duration_parse(const struct rt_option *option, struct rt_bytes text,
                             uint64_t *in_units, struct rt_why *why) {
    rt_err err = rt_parse_duration(text, option->unit_ns, in_units);
    if (err == RT_EINVAL) {
        return rt_why_set(why, err, "is not a duration in whole %s, or such as 5s, 2m, 1h",
                          unit_name(option->unit_ns));
    }
    return err ? out_of_bounds(option, why) : amount_check(option, *in_units, why);
}

static rt_err choice_parse(const struct rt_option *option, struct rt_bytes text, int *choice,
                           struct rt_why *why) {
    for (int i = 0; option->choices[i]; i++) {
        if (!text_is(text, option->choices[i])) continue;
        *choice = i;
        return RT_OK;
    }
    struct rt_buf choices = {0};
    rt_option_format_bounds(option, &choices);
    rt_err err = rt_why_set(why, RT_EINVAL, "is not one of: %.*s", (int)choices.size,
                            choices.size ? (const char *)choices.data : "");
    rt_buf_fini(&choices);
    return err;
}

static rt_err value_parse(const struct rt_option *option, const char *text,
                          union rt_option_value *value, struct rt_why *why) {
    struct rt_bytes bytes = without_blanks(text);
    if (bytes.size == 0) bytes = rt_bytes_of(option->fallback);
    switch (option->type) {
    case RT_OPTION_BOOL: return bool_parse(bytes, &value->yes, why);
    case RT_OPTION_INT: return integer_parse(option, bytes, &value->integer, why);
    case RT_OPTION_SIZE: return size_parse(option, bytes, &value->amount, why);
    case RT_OPTION_DURATION: return duration_parse(option, bytes, &value->amount, why);
    case RT_OPTION_CHOICE: return choice_parse(option, bytes, &value->choice, why);
    case RT_OPTION_TEXT: value->text = text; return RT_OK;
    }
    return RT_EINVAL;
}

rt_err rt_option_parse(const struct rt_option *option, const char *text,
                       union rt_option_value *value, struct rt_why *why) {
    rt_err err = value_parse(option, text, value, why);
    if (err || !option->check) return err;
    struct rt_why checked = {{0}};
    err = option->check(option, text, &checked);
    if (!err) return RT_OK;
    bool says_why = checked.text[0] != '\0';
    return rt_why_set(why, err, "is refused: %s", says_why ? checked.text : rt_err_text(err));
}

// FIELDS

static void *field_of(const struct rt_option *option, void *config) {
    return (char *)config + option->offset;
}

void rt_option_store(const struct rt_option *option, void *config, union rt_option_value value) {
    void *field = field_of(option, config);
    switch (option->type) {
    case RT_OPTION_BOOL: *(bool *)field = value.yes; break;
    case RT_OPTION_INT: *(int64_t *)field = value.integer; break;
    case RT_OPTION_SIZE:
    case RT_OPTION_DURATION: *(uint64_t *)field = value.amount; break;
    case RT_OPTION_CHOICE: *(int *)field = value.choice; break;
    case RT_OPTION_TEXT: {
        char *copy = rt_strdup(value.text);
        rt_free(*(char **)field);
        *(char **)field = copy;
        break;
    }
    }
}

union rt_option_value rt_option_load(const struct rt_option *option, const void *config) {
    const void *field = (const char *)config + option->offset;
    union rt_option_value value = {0};
    switch (option->type) {
    case RT_OPTION_BOOL: value.yes = *(const bool *)field; break;
    case RT_OPTION_INT: value.integer = *(const int64_t *)field; break;
    case RT_OPTION_SIZE:
    case RT_OPTION_DURATION: value.amount = *(const uint64_t *)field; break;
    case RT_OPTION_CHOICE: value.choice = *(const int *)field; break;
    case RT_OPTION_TEXT: value.text = *(char *const *)field; break;
    }
    return value;
}

bool rt_option_equal(const struct rt_option *option, union rt_option_value a,
                     union rt_option_value b) {
    switch (option->type) {
    case RT_OPTION_BOOL: return a.yes == b.yes;
    case RT_OPTION_INT: return a.integer == b.integer;
    case RT_OPTION_SIZE:
    case RT_OPTION_DURATION: return a.amount == b.amount;
    case RT_OPTION_CHOICE: return a.choice == b.choice;
    case RT_OPTION_TEXT: return strcmp(a.text, b.text) == 0;
    }
    return false;
}

// FORMATTING

static void format_size(uint64_t bytes, struct rt_buf *out) {
    static const char *const units[] = {"", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    size_t power = 0;
    while (bytes > 0 && bytes % 1024 == 0 && power + 1 < sizeof(units) / sizeof(units[0])) {
        bytes /= 1024;
        power++;
    }
    rt_buf_print(out, "%" PRIu64 "%s", bytes, units[power]);
}

void rt_option_format(const struct rt_option *option, union rt_option_value value,
                      struct rt_buf *out) {
    switch (option->type) {
    case RT_OPTION_BOOL: rt_buf_print(out, "%s", value.yes ? "true" : "false"); break;
    case RT_OPTION_INT: rt_buf_print(out, "%" PRId64, value.integer); break;
    case RT_OPTION_SIZE: format_size(value.amount, out); break;
    case RT_OPTION_DURATION: rt_buf_print(out, "%" PRIu64, value.amount); break;
    case RT_OPTION_CHOICE: rt_buf_print(out, "%s", option->choices[value.choice]); break;
    case RT_OPTION_TEXT: rt_properties_escape(rt_bytes_of(value.text), out); break;
    }
}

// "0 to 65535", "64KiB to 1GiB", "1 to 3600 seconds", "text, json"; nothing where all is allowed.
void rt_option_format_bounds(const struct rt_option *option, struct rt_buf *out) {
    if (option->type == RT_OPTION_CHOICE) {
        for (size_t i = 0; option->choices[i]; i++) {
            rt_buf_print(out, "%s%s", i ? ", " : "", option->choices[i]);
        }
        return;
    }
    bool is_number = option->type == RT_OPTION_INT || option->type == RT_OPTION_SIZE ||
                     option->type == RT_OPTION_DURATION;
    if (!is_number) return;
    union rt_option_value low = {.integer = option->min};
    union rt_option_value high = {.integer = option->max};
    if (is_unbounded(option) && option->type == RT_OPTION_INT) {
        low.integer = INT64_MIN;
        high.integer = INT64_MAX;
    } else if (is_unbounded(option)) {
        high.amount = UINT64_MAX;
    }
    rt_option_format(option, low, out);
    rt_buf_print(out, " to ");
    rt_option_format(option, high, out);
    if (option->type == RT_OPTION_DURATION) rt_buf_print(out, " %s", unit_name(option->unit_ns));
}
