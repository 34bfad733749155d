#include "tests/lib/conformance_file.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

// An operation on its way, with its memory: aligned, so that it suits direct files.
struct flight {
    struct rt_file_op op;
    struct file_run *run;
    const struct file_step *step;
    uint64_t number;  // among those that change the file
    uint8_t *memory;
    struct rt_bytes parts[RT_FILE_PARTS_MAX];
};

bool file_run_expect(struct file_run *run, bool ok, const char *format, ...) {
    if (ok || run->failure[0]) return ok;
    va_list args;
    va_start(args, format);
    vsnprintf(run->failure, sizeof(run->failure), format, args);
    va_end(args);
    return false;
}

bool file_run_expect_err(struct file_run *run, rt_err err, rt_err expected, const char *what) {
    return file_run_expect(run, err == expected, "%s: %s: answered %s, not %s", run->is->name, what,
                           rt_err_name(err), rt_err_name(expected));
}

char *file_run_path(const struct file_run *run, const char *name) {
    struct rt_buf path = {0};
    rt_buf_print(&path, "%s/%s", run->dir, name);
    rt_buf_append(&path, RT_BYTES("", 1));
    return (char *)path.data;
}

static bool step_expect(struct file_run *run, const struct file_step *step, bool ok,
                        const char *what, uint64_t seen) {
    return file_run_expect(run, ok, "%s: step %u: %s (seen: %llu)", run->is->name,
                           (unsigned)(step - run->is->steps), what, (unsigned long long)seen);
}

// BYTES

static unsigned or_one(unsigned number) {
    return number ? number : 1;
}

static size_t content_size(const struct file_step *step) {
    return step->text ? strlen(step->text) * or_one(step->times) : 0;
}

static void content_fill(const struct file_step *step, uint8_t *memory) {
    for (size_t i = 0; i < content_size(step); i++) {
        memory[i] = (uint8_t)step->text[i % strlen(step->text)];
    }
}

static bool content_is(const struct file_step *step, const uint8_t *memory) {
    for (size_t i = 0; i < content_size(step); i++) {
        char expected = step->text[i % strlen(step->text)];
        if (expected == '0') expected = '\0';  // in texts to be read, "0" stands for a zero byte
        if (memory[i] != (uint8_t)expected) return false;
    }
    return true;
}

// The last part takes what is left.
static unsigned content_split(struct flight *flight, size_t size) {
    unsigned count = or_one(flight->step->parts);
    size_t each = size / count;
    for (unsigned i = 0; i < count; i++) {
        bool is_last = i + 1 == count;
        flight->parts[i] = RT_BYTES(flight->memory + i * each, is_last ? size - i * each : each);
    }
    return count;
}

// ANSWERS

static void run_go_on(struct file_run *run);

static void flight_check(struct flight *flight, rt_err err) {
    struct file_run *run = flight->run;
    const struct file_step *step = flight->step;
    const struct rt_file_op *op = &flight->op;
    step_expect(run, step, !run->starting, "answered before the call returned", 0);
    step_expect(run, step, rt_loop_current() == rt_machine_loop(run->machine, 0),
                "answered on a foreign loop", 0);
    if (step->fails) {
        step_expect(run, step, err != RT_OK, "should have failed", 0);
        return;
    }
    step_expect(run, step, err == step->err, rt_err_name(err), (uint64_t)err);
    if (err) return;
    if (step->kind == FILE_APPEND) {
        step_expect(run, step, op->offset == step->offset, "landed elsewhere", op->offset);
    }
    if (step->kind == FILE_READ) {
        bool is_size = op->done_size == content_size(step);
        step_expect(run, step, is_size, "read another number of bytes", op->done_size);
        if (is_size) step_expect(run, step, content_is(step, flight->memory), "other bytes", 0);
    }
}

static void flight_done(struct rt_file_op *op, rt_err err) {
    struct flight *flight = rt_container_of(op, struct flight, op);
    struct file_run *run = flight->run;
    flight_check(flight, err);
    if (flight->step->kind != FILE_READ) {
        step_expect(run, flight->step, flight->number == run->answered, "answered out of order",
                    flight->number);
        run->answered++;
    }
    if (flight->step->kind == FILE_CLOSE) {
        step_expect(run, flight->step, run->in_flight == 1, "closed before others were answered",
                    run->in_flight);
    }
    rt_free(flight->memory);
    rt_free(flight);
    run->in_flight--;
    if (run->in_flight == 0) run_go_on(run);
}

// STARTS

static struct flight *flight_new(struct file_run *run, const struct file_step *step) {
    struct flight *flight = RT_NEW(struct flight);
    flight->run = run;
    flight->step = step;
    if (step->kind != FILE_READ) flight->number = run->started++;
    size_t size = step->size > content_size(step) ? (size_t)step->size : content_size(step);
    if (step->kind == FILE_TRUNCATE || step->kind == FILE_ALLOCATE) size = 0;
    flight->memory = rt_alloc_aligned(RT_FILE_ALIGN, size + RT_FILE_ALIGN);
    run->in_flight++;
    return flight;
}

static void flight_start(struct file_run *run, const struct file_step *step) {
    struct flight *flight = flight_new(run, step);
    struct rt_file_op *op = &flight->op;
    size_t size = content_size(step);
    unsigned parts = 0;
    if (step->kind == FILE_APPEND || step->kind == FILE_WRITE) {
        content_fill(step, flight->memory);
        parts = content_split(flight, size);
    }
    run->starting = true;
    if (step->kind == FILE_APPEND) {
        rt_file_append(op, run->file, flight->parts, parts, step->sync, flight_done);
    } else if (step->kind == FILE_WRITE) {
        rt_file_write(op, run->file, step->offset, flight->parts, parts, step->sync, flight_done);
    } else if (step->kind == FILE_READ) {
        size_t asked = step->size ? (size_t)step->size : size;
        rt_file_read(op, run->file, step->offset, flight->memory, asked, flight_done);
    } else if (step->kind == FILE_SYNC) {
        rt_file_sync(op, run->file, flight_done);
    } else if (step->kind == FILE_TRUNCATE) {
        rt_file_truncate(op, run->file, step->size, flight_done);
    } else if (step->kind == FILE_ALLOCATE) {
        rt_file_allocate(op, run->file, step->size, flight_done);
    } else {
        rt_file_close(op, run->file, flight_done);
        run->file = NULL;
    }
    run->starting = false;
}

static void file_open(struct file_run *run, unsigned flags) {
    struct rt_why why = {0};
    flags |= RT_FILE_READ | RT_FILE_WRITE | run->is->flags | run->flags;
    rt_err err = rt_file_open_now(run->machine, run->path, flags, &run->file, &why);
    file_run_expect(run, err == RT_OK, "%s: %s", run->is->name, why.text);
}

static void size_check(struct file_run *run, const struct file_step *step) {
    uint64_t size = 0;
    rt_err err = rt_file_size_now(run->file, &size);
    step_expect(run, step, err == RT_OK && size == step->size, "another size", size);
}

static void step_take(struct file_run *run, const struct file_step *step) {
    switch (step->kind) {
    case FILE_OPEN: file_open(run, 0); break;
    case FILE_APPEND_AT: rt_file_append_at(run->file, step->offset); break;
    case FILE_SIZE: size_check(run, step); break;
    case FILE_FAULT_ON: run->fault(run, true); break;
    case FILE_FAULT_OFF: run->fault(run, false); break;
    case FILE_APPEND:
    case FILE_WRITE:
    case FILE_READ:
    case FILE_SYNC:
    case FILE_TRUNCATE:
    case FILE_ALLOCATE:
    case FILE_CLOSE: flight_start(run, step); break;
    case FILE_WAIT:
    case FILE_STEP_END: break;
    }
}

static void run_end(struct file_run *run) {
    rt_free(run->path);
    run->path = NULL;
    run->ended(run);
}

// Called when nothing is in flight: takes steps until something has to be waited for.
static void run_go_on(struct file_run *run) {
    while (!run->failure[0]) {
        const struct file_step *step = &run->is->steps[run->step];
        if (step->kind == FILE_STEP_END) break;
        run->step++;
        step_take(run, step);
        if (step->kind == FILE_WAIT && run->in_flight > 0) return;
    }
    if (run->in_flight > 0) return;
    if (run->file) {
        static const struct file_step close = {.kind = FILE_CLOSE};
        flight_start(run, &close);
        return;
    }
    run_end(run);
}

static void run_start(struct rt_task *task) {
    struct file_run *run = rt_container_of(task, struct file_run, task);
    run->path = file_run_path(run, "file");
    if (run->is->check) {
        run->is->check(run);
        run_end(run);
        return;
    }
    file_open(run, RT_FILE_CREATE);
    run_go_on(run);
}

void file_run_start(struct file_run *run) {
    rt_task_init(&run->task, run_start, run->is->name);
    rt_post(rt_machine_loop(run->machine, 0), &run->task);
}
