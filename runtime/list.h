// Intrusive lists: the node lives in the item, nothing is allocated, rt_container_of recovers it.
#ifndef GEMINGA_RUNTIME_LIST_H
#define GEMINGA_RUNTIME_LIST_H

#include <stdbool.h>
#include <stddef.h>

#include "runtime/mem.h"

// Doubly linked and circular. A node that is in no list points to itself (rt_list_init).
struct rt_list {
    struct rt_list *next;
    struct rt_list *prev;
};

static inline void rt_list_init(struct rt_list *list) {
    list->next = list;
    list->prev = list;
}

static inline bool rt_list_is_empty(const struct rt_list *list) {
    return list->next == list;
}

static inline bool rt_list_is_linked(const struct rt_list *node) {
    return node->next != node;
}

static inline void rt_list_insert_before(struct rt_list *at, struct rt_list *node) {
    node->next = at;
    node->prev = at->prev;
    at->prev->next = node;
    at->prev = node;
}

static inline void rt_list_push_back(struct rt_list *list, struct rt_list *node) {
    rt_list_insert_before(list, node);
}

static inline void rt_list_push_front(struct rt_list *list, struct rt_list *node) {
    rt_list_insert_before(list->next, node);
}

// Leaves the node pointing to itself, so removing twice is harmless.
static inline void rt_list_remove(struct rt_list *node) {
    node->prev->next = node->next;
    node->next->prev = node->prev;
    rt_list_init(node);
}

static inline struct rt_list *rt_list_pop_front(struct rt_list *list) {
    if (rt_list_is_empty(list)) return NULL;
    struct rt_list *node = list->next;
    rt_list_remove(node);
    return node;
}

// Moves all nodes of `from` to the end of `to`.
static inline void rt_list_splice(struct rt_list *to, struct rt_list *from) {
    if (rt_list_is_empty(from)) return;
    from->next->prev = to->prev;
    to->prev->next = from->next;
    from->prev->next = to;
    to->prev = from->prev;
    rt_list_init(from);
}

#define rt_list_each(node, list) \
    for (struct rt_list *node = (list)->next; node != (list); node = node->next)

// The current node may be removed in the body.
#define rt_list_each_safe(node, list)                                                    \
    for (struct rt_list *node = (list)->next, *node##_next = node->next; node != (list); \
         node = node##_next, node##_next = node->next)

#endif
