/*
 * Both ends of every kind of ring, for the tests, and to begin from:
 *
 *     cc -std=c11 -O2 -o ends ends.c
 *     ./ends write queue numbers /dev/shm ticks 1000000 &
 *     ./ends read  queue numbers /dev/shm ticks
 *
 * Records are numbers, seven 64-bit words that all say the same, or events made from a number. A zero ends
 * them.
 */
#define _GNU_SOURCE
#include "millrace.h"

#include <inttypes.h>
#include <stdlib.h>

typedef struct {
    uint64_t words[7];
} numbers;

typedef union {
    numbers numbers;
    millrace_event event;
} record;

static int is_events;

static size_t record_bytes(void) { return is_events ? sizeof(millrace_event) : sizeof(numbers); }

static const char *record_name(void) { return is_events ? MILLRACE_EVENT_NAME : "u64"; }

/* What the n-th record is: every field says something of its own. */
static void make(uint64_t n, record *r) {
    memset(r, 0, sizeof *r);
    if (!is_events) {
        for (int at = 0; at < 7; at++) r->numbers.words[at] = n;
        return;
    }
    uint32_t m = (uint32_t)n;
    millrace_command *c = &r->event.command;
    c->seq = n, c->time_ns = n * 1000, c->user_ref = m + 1, c->orig_user_ref = m + 2, c->qty = m + 3;
    c->price = m + 4, c->limit = m + 5, c->min_qty = m + 6, c->max_floor = m + 7, c->expire_s = m + 8;
    c->slot = m + 9, c->user = (uint16_t)(m + 10), c->firm = (uint16_t)(m + 11), c->symbol = (uint16_t)(m + 12);
    c->group = (uint16_t)(m + 13), c->verdict = 0, c->tags = (uint16_t)(m + 14);
    c->kind = 1, c->side = m % 4, c->tif = m / 4 % 4, c->display = m % 3, c->capacity = m / 3 % 4;
    c->flags = (uint8_t)(m + 15), c->self_trade = m % 5, c->reason = 0;
    for (int at = 0; at < 38; at++) c->text[at] = (uint8_t)(m + at);
    c->carried = (uint8_t)(m + 16), c->number_in = m + 17, c->answer = m + 18;
    millrace_event *e = &r->event;
    e->kind = m % 17, e->whole = m % 2, e->live = m / 2 % 2, e->side = m / 2 % 4, e->policy = m / 5 % 5;
    e->liquidity = (uint8_t)(m + 19), e->user = (uint16_t)(m + 20), e->user_ref = m + 21, e->qty = m + 22;
    e->price = m + 23, e->reference = n + 24;
}

static int fail(const char *what) {
    fprintf(stderr, "ends: %s\n", what);
    return 1;
}

static int write_all(int kind, const char *dir, const char *name, uint64_t count) {
    millrace_writer w;
    if (millrace_open_writer(&w, dir, name, kind, record_name(), record_bytes(), NULL) != 0) return fail(w.error);
    for (uint64_t n = millrace_written(&w) + 1; n <= count + 1; n++) {
        record r;
        make(n <= count ? n : 0, &r);
        if (kind == MILLRACE_BROADCAST) {
            millrace_broadcast(&w, &r);
            continue;
        }
        void *place;
        while (!(place = millrace_stage(&w))) {
            millrace_publish(&w);
            usleep(50);
        }
        memcpy(place, &r, record_bytes());
        if (n % 32 == 0) millrace_publish(&w);
    }
    if (kind == MILLRACE_QUEUE) millrace_publish(&w);
    millrace_close_writer(&w);
    return 0;
}

/* One record; 1 at the end, 2 if it is not what it should be. */
static int see(const void *bytes, uint64_t n) {
    record is, zero;
    make(n, &is);
    make(0, &zero);
    if (memcmp(bytes, &zero, record_bytes()) == 0) return 1;
    return memcmp(bytes, &is, record_bytes()) == 0 ? 0 : 2;
}

static int read_all(int kind, const char *dir, const char *name) {
    millrace_reader r;
    uint64_t start = kind == MILLRACE_QUEUE ? MILLRACE_ONWARD : MILLRACE_OLDEST;
    while (millrace_open_reader(&r, dir, name, kind, record_name(), record_bytes(), start) != 0) {
        if (errno != ENOENT) return fail(r.error);
        usleep(1000);
    }
    uint64_t seen = 0, lost = 0;
    int ended = 0;
    while (!ended) {
        uint64_t first = millrace_read_index(&r) + 1, count, missed = 0;
        record heard[64];
        if (kind == MILLRACE_QUEUE) count = millrace_available(&r);
        else count = millrace_hear(&r, heard, 64, &missed);
        for (uint64_t at = 0; at < count && !ended; at++) {
            const void *bytes = (const uint8_t *)heard + at * record_bytes();
            if (kind == MILLRACE_QUEUE) bytes = millrace_record(&r, at);
            ended = see(bytes, first + at);
            seen += ended == 0;
        }
        if (kind == MILLRACE_QUEUE) millrace_give_back(&r, count);
        lost += missed;
        if (count == 0 && missed == 0) usleep(50);
    }
    millrace_close_reader(&r);
    printf("%" PRIu64 " seen, %" PRIu64 " missed\n", seen, lost);
    return ended == 1 ? 0 : fail("a record is not what it should be");
}

int main(int argc, char **argv) {
    if (argc < 6) return fail("write|read queue|broadcast numbers|events DIR NAME [COUNT]");
    int kind = strcmp(argv[2], "queue") == 0 ? MILLRACE_QUEUE : MILLRACE_BROADCAST;
    is_events = strcmp(argv[3], "events") == 0;
    if (strcmp(argv[1], "read") == 0) return read_all(kind, argv[4], argv[5]);
    return write_all(kind, argv[4], argv[5], argc > 6 ? strtoull(argv[6], NULL, 10) : 1000);
}
