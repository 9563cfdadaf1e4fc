/* The functions of millrace.h under names that ctypes finds. Ends live on the heap: Python sees an address. */
#define _GNU_SOURCE
#include "millrace.h"

#include <stdlib.h>

#define EXPORT __attribute__((visibility("default")))

EXPORT millrace_writer *mr_writer(const char *dir, const char *name, int kind, const char *record,
                                  uint64_t record_bytes, uint64_t capacity, unsigned mode, long group,
                                  char *error) {
    millrace_terms terms = {capacity, mode, group};
    millrace_writer *w = (millrace_writer *)malloc(sizeof *w);
    if (w && millrace_open_writer(w, dir, name, kind, record, record_bytes, &terms) == 0) return w;
    snprintf(error, sizeof w->error, "%s", w ? w->error : "no memory");
    free(w);
    return NULL;
}

EXPORT millrace_reader *mr_reader(const char *dir, const char *name, int kind, const char *record,
                                  uint64_t record_bytes, uint64_t start, char *error, int *missing) {
    millrace_reader *r = (millrace_reader *)malloc(sizeof *r);
    *missing = 0;
    if (r && millrace_open_reader(r, dir, name, kind, record, record_bytes, start) == 0) return r;
    *missing = r && errno == ENOENT;
    snprintf(error, sizeof r->error, "%s", r ? r->error : "no memory");
    free(r);
    return NULL;
}

/* Lets an end go; its memory stays, for who still looks at it. */
EXPORT void mr_leave_writer(millrace_writer *w) {
    millrace__close(w->ring_file);
    w->ring_file = -1;
}

EXPORT void mr_leave_reader(millrace_reader *r) {
    if (r->ring_file >= 0) close(r->ring_file);
    millrace__close(r->page_file);
    r->ring_file = r->page_file = -1;
}

EXPORT void mr_free_writer(millrace_writer *w) {
    millrace_close_writer(w);
    free(w);
}

EXPORT void mr_free_reader(millrace_reader *r) {
    millrace_close_reader(r);
    free(r);
}

EXPORT uint8_t *mr_writer_places(millrace_writer *w) { return w->places; }
EXPORT uint64_t mr_written(millrace_writer *w) { return w->tail; }
EXPORT uint64_t mr_free_places(millrace_writer *w) { return millrace_free(w); }
EXPORT void mr_writer_beat(millrace_writer *w) { millrace_writer_beat(w); }

/* Takes up to `most` places that lie behind each other; the first of them is the one of mr_written before. */
EXPORT uint64_t mr_stage(millrace_writer *w, uint64_t most) {
    uint64_t free_places = millrace_free(w), to_end = w->capacity - (w->tail & (w->capacity - 1));
    if (most > free_places) most = free_places;
    if (most > to_end) most = to_end;
    w->tail += most;
    return most;
}

EXPORT void mr_publish(millrace_writer *w) { millrace_publish(w); }

EXPORT void mr_broadcast(millrace_writer *w, const uint8_t *records, uint64_t count) {
    for (uint64_t at = 0; at < count; at++) millrace_broadcast(w, records + at * w->record_bytes);
}

EXPORT const uint8_t *mr_reader_places(millrace_reader *r) { return r->places; }
EXPORT uint64_t mr_capacity(millrace_reader *r) { return r->capacity; }
EXPORT uint64_t mr_read_index(millrace_reader *r) { return r->next; }
EXPORT uint64_t mr_available(millrace_reader *r, uint64_t most) { return millrace_available_of(r, most); }
EXPORT void mr_give_back(millrace_reader *r, uint64_t count) { millrace_give_back(r, count); }
EXPORT void mr_reader_beat(millrace_reader *r) { millrace_reader_beat(r); }
EXPORT int mr_writer_lives(millrace_reader *r) { return millrace_writer_lives(r); }

EXPORT uint64_t mr_hear(millrace_reader *r, void *records, uint64_t most, uint64_t *missed) {
    return millrace_hear(r, records, most, missed);
}
