#include "bookie/server/store/files.h"

#include <assert.h>
#include <string.h>

#include "runtime/mem.h"

void bookie_files_init(struct bookie_files *files) {
    *files = (struct bookie_files){0};
    rt_list_init(&files->handles);
}

void bookie_file_free(struct bookie_file *file) {
    assert(!file->handle && file->uses == 0);
    rt_free(file);
}

void bookie_files_fini(struct bookie_files *files) {
    for (size_t i = 0; i < files->count; i++) {
        struct bookie_file *file = files->items[i];
        if (file->handle) rt_file_close_now(file->handle);
        file->handle = NULL;
        bookie_file_free(file);
    }
    rt_free(files->items);
    *files = (struct bookie_files){0};
}

// The first place whose id is not smaller.
static size_t place_of(const struct bookie_files *files, uint64_t id) {
    size_t low = 0, high = files->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (files->items[middle]->record.id < id) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

struct bookie_file *bookie_files_find(const struct bookie_files *files, uint64_t id) {
    size_t place = place_of(files, id);
    if (place == files->count || files->items[place]->record.id != id) return NULL;
    return files->items[place];
}

struct bookie_file *bookie_files_add(struct bookie_files *files,
                                     const struct bookie_file_record *record) {
    size_t place = place_of(files, record->id);
    assert(place == files->count || files->items[place]->record.id != record->id);
    if (files->count == files->capacity) {
        files->capacity = files->capacity ? files->capacity * 2 : 16;
        files->items = rt_realloc(files->items, files->capacity * sizeof(*files->items));
    }
    struct bookie_file *file = RT_NEW(struct bookie_file);
    file->record = *record;
    rt_list_init(&file->list);
    memmove(&files->items[place + 1], &files->items[place],
            (files->count - place) * sizeof(*files->items));
    files->items[place] = file;
    files->count++;
    return file;
}

void bookie_files_take(struct bookie_files *files, struct bookie_file *file) {
    size_t place = place_of(files, file->record.id);
    assert(place < files->count && files->items[place] == file);
    files->count--;
    memmove(&files->items[place], &files->items[place + 1],
            (files->count - place) * sizeof(*files->items));
    if (file->handle) files->handle_count--;
    rt_list_remove(&file->list);
    files->removals++;
    file->is_removed = true;
}

// The handle that was longest not used, if none reads from it and there are too many.
static struct rt_file *handle_evict(struct bookie_files *files) {
    if (files->handle_count <= BOOKIE_HANDLES_MAX) return NULL;
    rt_list_each (link, &files->handles) {
        struct bookie_file *file = rt_container_of(link, struct bookie_file, list);
        if (file->uses > 0) continue;
        struct rt_file *handle = file->handle;
        file->handle = NULL;
        rt_list_remove(&file->list);
        files->handle_count--;
        return handle;
    }
    return NULL;
}

struct rt_file *bookie_files_give_handle(struct bookie_files *files, struct bookie_file *file,
                                         struct rt_file *handle) {
    if (file->handle || file->is_removed) return handle;
    file->handle = handle;
    files->handle_count++;
    rt_list_push_back(&files->handles, &file->list);
    return handle_evict(files);
}

void bookie_files_touch(struct bookie_files *files, struct bookie_file *file) {
    if (!file->handle || file->is_removed) return;
    rt_list_remove(&file->list);
    rt_list_push_back(&files->handles, &file->list);
}
