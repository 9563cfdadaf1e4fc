/*
 * Ends of millrace's shared rings, for C11 and C++ (GCC or Clang, Linux, 64 bits). Nothing to link.
 *
 * docs/RINGS.md tells the layout and the rules. A ring is DIR/NAME.ring, and DIR/NAME.reader if it is a
 * queue. Its writer makes it. Each function that can fail returns 0, or -1 and leaves one line in `error`.
 *
 *     millrace_writer w;
 *     if (millrace_open_writer(&w, "/dev/shm", "ticks", MILLRACE_QUEUE, "u64", 8, NULL) != 0)
 *         die(w.error);
 *     uint64_t *place = millrace_stage(&w);       // NULL: full
 *     if (place) *place = 7;
 *     millrace_publish(&w);
 *
 *     millrace_reader r;
 *     if (millrace_open_reader(&r, "/dev/shm", "ticks", MILLRACE_QUEUE, "u64", 8, MILLRACE_ONWARD) != 0)
 *         die(r.error);
 *     for (uint64_t n = millrace_available(&r), i = 0; i < n; i++)
 *         use(*(const uint64_t *)millrace_record(&r, i));   // where it lies
 *     millrace_give_back(&r, n);
 *
 * An end belongs to one thread. What lies in a ring was written by another program: a reader checks what
 * it means to rely on.
 */
#ifndef MILLRACE_H
#define MILLRACE_H

#ifndef _GNU_SOURCE
#error "define _GNU_SOURCE before the first #include: locks of open files need it"
#endif

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { MILLRACE_VERSION = 1 };

/* Kinds of rings. */
enum {
    MILLRACE_QUEUE = 1,    /* one reader, for which the writer waits */
    MILLRACE_BROADCAST = 2 /* any number of readers, for which nobody waits */
};

/* Where a reader begins; of a broadcast ring, any other value is the index of a record. */
#define MILLRACE_ONWARD UINT64_MAX       /* a queue: behind what the reader before gave back */
#define MILLRACE_NEWEST (UINT64_MAX - 1) /* with what is written from now on */
#define MILLRACE_OLDEST (UINT64_MAX - 2) /* a broadcast ring: the oldest record there is */

/* How a ring is made, if it is not there. */
typedef struct {
    uint64_t capacity; /* records, a power of two from 2 on */
    unsigned mode;     /* of NAME.ring; who may read that may write NAME.reader */
    long group;        /* of both files; -1 is the process's own */
} millrace_terms;

#define MILLRACE_TERMS_DEFAULT {4096, 0640, -1}

typedef struct {
    uint8_t *places;
    uint64_t *told;
    uint64_t *head; /* of a queue */
    uint64_t capacity, record_bytes, stride_bytes, word_offset;
    uint64_t tail, published, head_seen;
    int kind, ring_file;
    void *ring, *page;
    size_t ring_bytes, page_bytes;
    char error[384];
} millrace_writer;

typedef struct {
    const uint8_t *places;
    const uint64_t *told;
    uint64_t *head; /* of a queue */
    uint64_t capacity, record_bytes, stride_bytes, word_offset;
    uint64_t next, tail_seen;
    int kind, ring_file, page_file;
    void *ring, *page;
    size_t ring_bytes, page_bytes;
    char error[384];
} millrace_reader;

/* Record of a millrace ring of events, "millrace.event.1". Times are Unix nanoseconds, prices 1/10000. */
typedef struct {
    uint64_t seq, time_ns;
    uint32_t user_ref, orig_user_ref, qty, price, limit, min_qty, max_floor, expire_s, slot;
    uint16_t user, firm, symbol, group, verdict, tags;
    uint8_t kind, side, tif, display, capacity, flags, self_trade, reason;
    uint8_t text[38];
    uint8_t carried, destination;
    uint32_t number_in, answer;
} millrace_command;

typedef struct {
    millrace_command command;
    uint8_t kind, whole, live, side, reason, policy, liquidity;
    uint8_t venue, spare[2];
    uint16_t user;
    uint32_t user_ref, qty, price;
    uint64_t reference;
} millrace_event;

#define MILLRACE_COMMAND_NAME "millrace.command.1"
#define MILLRACE_EVENT_NAME "millrace.event.1"

#if defined(__cplusplus)
static_assert(sizeof(millrace_command) == 120 && sizeof(millrace_event) == 152, "layout");
#else
_Static_assert(sizeof(millrace_command) == 120 && sizeof(millrace_event) == 152, "layout");
#endif

/* ---- The files: everything below this line up to "The ends" is not for users. ---- */

#define MILLRACE__PAGE 4096
#define MILLRACE__PLACES 8192
#define MILLRACE__TOLD 4096
#define MILLRACE__WRITER (4096 + 128)
#define MILLRACE__HEAD 128
#define MILLRACE__READER 256

static inline uint64_t millrace__magic(const char *text) {
    uint64_t word;
    memcpy(&word, text, 8);
    return word;
}

static inline uint64_t *millrace__word(void *map, size_t at) { return (uint64_t *)((uint8_t *)map + at); }

static inline uint64_t millrace__get(const void *map, size_t at) {
    return __atomic_load_n((const uint64_t *)((const uint8_t *)map + at), __ATOMIC_ACQUIRE);
}

static inline void millrace__put(void *map, size_t at, uint64_t value) {
    __atomic_store_n(millrace__word(map, at), value, __ATOMIC_RELEASE);
}

static inline uint64_t millrace__now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static inline uint64_t millrace__stride(uint64_t record_bytes) {
    uint64_t place = (record_bytes + 7) / 8 * 8 + 8, stride = 8;
    if (place > 64) return (place + 63) / 64 * 64;
    while (stride < place) stride *= 2;
    return stride;
}

__attribute__((format(printf, 2, 3))) static inline int millrace__fail(char *error, const char *format, ...) {
    va_list rest;
    va_start(rest, format);
    vsnprintf(error, 384, format, rest);
    va_end(rest);
    return -1;
}

static inline int millrace__path(char *error, char *path, size_t size, const char *dir, const char *name,
                                 const char *end) {
    size_t length = strlen(name);
    int fine = length >= 1 && length <= 64 && name[0] != '.';
    for (size_t i = 0; fine && i < length; i++) {
        char c = name[i];
        fine = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
               c == '_' || c == '.';
    }
    if (!fine) {
        return millrace__fail(error,
                              "a ring's name is 1 to 64 letters, digits, dashes, underscores and dots, no dot "
                              "first, not \"%.80s\"",
                              name);
    }
    int written = snprintf(path, size, "%s/%s.%s", dir, name, end);
    if (written < 0 || (size_t)written >= size) return millrace__fail(error, "%s: a path too long", dir);
    return 0;
}

static inline struct flock millrace__whole_file(void) {
    struct flock lock;
    memset(&lock, 0, sizeof lock);
    lock.l_type = F_WRLCK;
    lock.l_whence = SEEK_SET;
    return lock;
}

/* Of the open file, not of the process: gone with its last descriptor and its last mapping. */
static inline int millrace__lock(int file) {
    struct flock lock = millrace__whole_file();
    return fcntl(file, F_OFD_SETLK, &lock);
}

/* Lets a lock go even if something is mapped still, and closes. */
static inline void millrace__close(int file) {
    struct flock lock = millrace__whole_file();
    if (file < 0) return;
    lock.l_type = F_UNLCK;
    (void)fcntl(file, F_OFD_SETLK, &lock);
    close(file);
}

static inline int millrace__is_held(int file) {
    struct flock lock = millrace__whole_file();
    return fcntl(file, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

static inline void *millrace__map(char *error, const char *path, int file, size_t bytes, int access) {
    void *map = mmap(NULL, bytes, access, MAP_SHARED | MAP_POPULATE, file, 0);
    if (map != MAP_FAILED) return map;
    millrace__fail(error, "cannot map %s: %s", path, strerror(errno));
    return NULL;
}

static inline int64_t millrace__length(char *error, const char *path, int file) {
    struct stat found;
    if (fstat(file, &found) == 0) return (int64_t)found.st_size;
    return millrace__fail(error, "cannot look at %s: %s", path, strerror(errno));
}

/* Makes an empty file so long, all zero, with every page there now: no signal later. */
static inline int64_t millrace__take_pages(char *error, const char *path, int file, uint64_t bytes) {
    struct statfs found;
    uint64_t block = MILLRACE__PAGE;
    if (fstatfs(file, &found) == 0 && (uint64_t)found.f_type == 0x958458f6u) block = (uint64_t)found.f_bsize;
    bytes = (bytes + block - 1) / block * block;
    int failed = posix_fallocate(file, 0, (off_t)bytes);
    if (failed == 0) return (int64_t)bytes;
    return millrace__fail(error, "cannot take the memory of %s: %s", path, strerror(failed));
}

static inline int millrace__open_own(char *error, const char *path) {
    int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    struct stat found;
    if (file < 0) return millrace__fail(error, "cannot open %s: %s", path, strerror(errno));
    if (fstat(file, &found) != 0 || found.st_uid != geteuid()) {
        close(file);
        return millrace__fail(error, "%s: belongs to another user", path);
    }
    return file;
}

/* Opens and locks a file that is, or will be, this process's to write to; says how long it is. */
static inline int millrace__own(char *error, const char *path, const char *end, int64_t *bytes) {
    struct stat here, there;
    for (;;) {
        int file = millrace__open_own(error, path);
        if (file < 0) return -1;
        if (millrace__lock(file) != 0) {
            close(file);
            return millrace__fail(error, "%s has a %s already", path, end);
        }
        /* Somebody may have removed it in between. */
        if (fstat(file, &here) == 0 && stat(path, &there) == 0 && here.st_ino == there.st_ino) {
            *bytes = (int64_t)here.st_size;
            return file;
        }
        millrace__close(file);
    }
}

static inline int millrace__doors(char *error, const char *path, int file, long group, unsigned mode) {
    if (group >= 0 && fchown(file, (uid_t)-1, (gid_t)group) != 0)
        return millrace__fail(error, "cannot give %s to its group: %s", path, strerror(errno));
    if (fchmod(file, (mode_t)mode) != 0)
        return millrace__fail(error, "cannot set the mode of %s: %s", path, strerror(errno));
    return 0;
}

static inline void millrace__begin(void *map, size_t end) {
    millrace__put(map, end, (uint64_t)getpid());
    millrace__put(map, end + 8, millrace__get(map, end + 8) + 1);
    millrace__put(map, end + 16, millrace__now_ns());
}

/* Checks a finished header; capacity 0 takes any. */
static inline int millrace__check(char *error, const char *path, const void *map, uint64_t bytes, int kind,
                                  const char *record, uint64_t record_bytes, uint64_t capacity) {
    uint64_t magic = millrace__get(map, 0), version = millrace__get(map, 8);
    if (magic != millrace__magic("MILLRING")) return millrace__fail(error, "%s: not a ring", path);
    if (version != MILLRACE_VERSION)
        return millrace__fail(error, "%s: layout version %llu, this program knows %d", path,
                              (unsigned long long)version, MILLRACE_VERSION);
    if (millrace__get(map, 24) != (uint64_t)kind)
        return millrace__fail(error, "%s: not a %s", path, kind == MILLRACE_QUEUE ? "queue" : "broadcast ring");
    uint64_t holds = millrace__get(map, 32), of_bytes = millrace__get(map, 40);
    char name[33] = {0};
    memcpy(name, (const uint8_t *)map + 64, 32);
    if (of_bytes != record_bytes || (record && strcmp(name, record) != 0))
        return millrace__fail(error, "%s: holds records \"%s\" of %llu bytes, not \"%s\" of %llu", path, name,
                              (unsigned long long)of_bytes, record ? record : name,
                              (unsigned long long)record_bytes);
    uint64_t stride = millrace__stride(record_bytes);
    if (holds < 2 || (holds & (holds - 1)) != 0 || millrace__get(map, 48) != stride || holds > (1ull << 40))
        return millrace__fail(error, "%s: the header is damaged", path);
    if (capacity && holds != capacity)
        return millrace__fail(error, "%s: holds %llu records, not %llu", path, (unsigned long long)holds,
                              (unsigned long long)capacity);
    if (MILLRACE__PLACES + holds * stride > bytes)
        return millrace__fail(error, "%s: was cut short: %llu bytes", path, (unsigned long long)bytes);
    return 0;
}

/* Opens, checks and maps a queue's reader's page. */
static inline void *millrace__page(char *error, const char *path, int *file, int for_writing, uint64_t identity,
                                   size_t *page_bytes) {
    *file = open(path, (for_writing ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NOFOLLOW);
    if (*file < 0) {
        if (errno == ENOENT) millrace__fail(error, "%s: is missing beside its ring", path);
        else millrace__fail(error, "cannot open %s: %s", path, strerror(errno));
        return NULL;
    }
    void *page = NULL;
    int64_t bytes = millrace__length(error, path, *file);
    *page_bytes = bytes < 0 ? 0 : (size_t)bytes; /* as a whole: part of a huge page cannot be given back */
    if (bytes < MILLRACE__PAGE)
        millrace__fail(error, "%s: was cut short", path);
    else
        page = millrace__map(error, path, *file, *page_bytes, PROT_READ | (for_writing ? PROT_WRITE : 0));
    if (page) {
        int right = millrace__get(page, 0) == millrace__magic("MILLREAD") &&
                    millrace__get(page, 8) == MILLRACE_VERSION && millrace__get(page, 16) == identity;
        if (right) return page;
        munmap(page, *page_bytes);
        millrace__fail(error, "%s: not the page of the ring beside it", path);
    }
    close(*file);
    *file = -1;
    return NULL;
}

/* The index behind the last batch that was published, from one at which a batch ends. */
static inline uint64_t millrace__newest(const uint8_t *places, uint64_t capacity, uint64_t stride,
                                        uint64_t word_offset, uint64_t tail) {
    for (;;) {
        const uint8_t *place = places + (tail & (capacity - 1)) * stride;
        uint64_t end = millrace__get(place, word_offset);
        if (end - tail - 1 >= capacity) return tail;
        tail = end;
    }
}

/* The index behind the last whole record of a broadcast ring. */
static inline uint64_t millrace__newest_whole(const uint8_t *places, uint64_t capacity, uint64_t stride,
                                              uint64_t word_offset, uint64_t next) {
    while (millrace__get(places + (next & (capacity - 1)) * stride, word_offset) == 2 * next + 2) next++;
    return next;
}

static inline int millrace__make_page(char *error, const char *path, const millrace_terms *terms,
                                      uint64_t identity) {
    int failed = -1, file;
    int64_t bytes = 0;
    for (;;) {
        file = millrace__own(error, path, "reader", &bytes);
        if (file < 0) return -1;
        if (bytes == 0) break;
        /* Of an earlier ring. Not cut, since somebody may look at it still. */
        unlink(path);
        millrace__close(file);
    }
    if ((bytes = millrace__take_pages(error, path, file, MILLRACE__PAGE)) >= 0 &&
               millrace__doors(error, path, file, terms->group, terms->mode | ((terms->mode & 044) >> 1)) == 0) {
        void *page = millrace__map(error, path, file, (size_t)bytes, PROT_READ | PROT_WRITE);
        if (page) {
            millrace__put(page, 8, MILLRACE_VERSION);
            millrace__put(page, 16, identity);
            millrace__put(page, 0, millrace__magic("MILLREAD"));
            munmap(page, (size_t)bytes);
            failed = 0;
        }
    }
    millrace__close(file);
    return failed;
}

/* Makes a ring of a locked file: the magic last. Returns its bytes. */
static inline int64_t millrace__make(char *error, const char *path, const char *reader_path, int file, int kind,
                                     const char *record, uint64_t record_bytes, const millrace_terms *terms) {
    uint64_t stride = millrace__stride(record_bytes);
    int64_t bytes = millrace__take_pages(error, path, file, MILLRACE__PLACES + terms->capacity * stride);
    if (bytes < 0) return -1;
    uint8_t *ring = (uint8_t *)millrace__map(error, path, file, (size_t)bytes, PROT_READ | PROT_WRITE);
    if (!ring) return -1;
    uint64_t identity = (millrace__now_ns() * 0x9E3779B97F4A7C15u) ^ ((uint64_t)getpid() << 32);
    int64_t made = -1;
    if ((kind == MILLRACE_BROADCAST || millrace__make_page(error, reader_path, terms, identity) == 0) &&
        millrace__doors(error, path, file, terms->group, terms->mode & ~022u) == 0) {
        millrace__put(ring, 8, MILLRACE_VERSION);
        millrace__put(ring, 16, identity);
        millrace__put(ring, 24, (uint64_t)kind);
        millrace__put(ring, 32, terms->capacity);
        millrace__put(ring, 40, record_bytes);
        millrace__put(ring, 48, stride);
        millrace__put(ring, 56, millrace__now_ns());
        memcpy(ring + 64, record, strlen(record));
        millrace__put(ring, 0, millrace__magic("MILLRING"));
        made = bytes;
    }
    munmap(ring, (size_t)bytes);
    return made;
}

/* ---- The ends ---- */

/* Closes a writer; what was staged and not published is lost. */
static inline void millrace_close_writer(millrace_writer *w) {
    if (w->ring) munmap(w->ring, w->ring_bytes);
    if (w->page) munmap(w->page, w->page_bytes);
    millrace__close(w->ring_file);
    w->ring = w->page = NULL;
    w->ring_file = -1;
}

/*
 * Opens the writing end of a ring, which is made if it is not there: with `terms`, or the default ones. It
 * goes on behind what an earlier writer published. `record` says what a record is, in at most 32 bytes.
 */
static inline int millrace_open_writer(millrace_writer *w, const char *dir, const char *name, int kind,
                                       const char *record, uint64_t record_bytes, const millrace_terms *terms) {
    static const millrace_terms standard = MILLRACE_TERMS_DEFAULT;
    char path[4096], reader_path[4096];
    memset(w, 0, sizeof *w);
    w->ring_file = -1;
    if (!terms) terms = &standard;
    if (millrace__path(w->error, path, sizeof path, dir, name, "ring") != 0 ||
        millrace__path(w->error, reader_path, sizeof reader_path, dir, name, "reader") != 0)
        return -1;
    uint64_t capacity = terms->capacity;
    if (capacity < 2 || (capacity & (capacity - 1)) != 0 || capacity > (1ull << 40))
        return millrace__fail(w->error, "%s: a capacity is a power of two from 2 on, not %llu", path,
                              (unsigned long long)capacity);
    if (record_bytes < 1 || record_bytes > (1u << 20) || strlen(record) > 32)
        return millrace__fail(w->error, "%s: a record has 1 to 1048576 bytes and a name of at most 32", path);
    int64_t bytes;
    int finished = 0;
    for (;;) {
        w->ring_file = millrace__own(w->error, path, "writer", &bytes);
        if (w->ring_file < 0) return -1;
        if (bytes > 0 && bytes < MILLRACE__PLACES) {
            millrace__fail(w->error, "%s: was cut short: %lld bytes", path, (long long)bytes);
            bytes = -1;
        }
        if (bytes <= 0) break;
        void *header = millrace__map(w->error, path, w->ring_file, (size_t)bytes, PROT_READ);
        size_t mapped = (size_t)bytes;
        finished = header && millrace__get(header, 0) != 0;
        if (!header || (finished && millrace__check(w->error, path, header, (uint64_t)bytes, kind, record,
                                                    record_bytes, capacity) != 0))
            bytes = -1;
        if (header) munmap(header, mapped);
        if (finished || bytes < 0) break;
        /* Nobody finished it. Not cut, since somebody may look at it still. */
        unlink(path);
        millrace__close(w->ring_file);
    }
    if (bytes >= 0 && !finished) {
        bytes = millrace__make(w->error, path, reader_path, w->ring_file, kind, record, record_bytes, terms);
        if (bytes < 0) unlink(path);
    }
    if (bytes >= 0) {
        w->ring = millrace__map(w->error, path, w->ring_file, (size_t)bytes, PROT_READ | PROT_WRITE);
        w->ring_bytes = (size_t)bytes;
    }
    if (w->ring && kind == MILLRACE_QUEUE) {
        int file;
        w->page = millrace__page(w->error, reader_path, &file, 0, millrace__get(w->ring, 16), &w->page_bytes);
        if (w->page) close(file);
    }
    if (!w->ring || (kind == MILLRACE_QUEUE && !w->page)) {
        millrace_close_writer(w);
        return -1;
    }
    w->kind = kind;
    w->capacity = capacity;
    w->record_bytes = record_bytes;
    w->stride_bytes = millrace__stride(record_bytes);
    w->word_offset = (record_bytes + 7) / 8 * 8;
    w->places = (uint8_t *)w->ring + MILLRACE__PLACES;
    w->told = millrace__word(w->ring, MILLRACE__TOLD);
    w->tail = __atomic_load_n(w->told, __ATOMIC_ACQUIRE);
    w->tail = (kind == MILLRACE_QUEUE ? millrace__newest : millrace__newest_whole)(
        w->places, capacity, w->stride_bytes, w->word_offset, w->tail);
    if (w->tail > (1ull << 62)) {
        millrace__fail(w->error, "%s: says that %llu records were written, which cannot be", path,
                       (unsigned long long)w->tail);
        millrace_close_writer(w);
        return -1;
    }
    w->published = w->tail;
    /* Full, until the reader says something that can be. */
    w->head_seen = w->tail > capacity ? w->tail - capacity : 0;
    if (w->page) w->head = millrace__word(w->page, MILLRACE__HEAD);
    __atomic_store_n(w->told, w->tail, __ATOMIC_RELEASE);
    millrace__begin(w->ring, MILLRACE__WRITER);
    return 0;
}

/* Index of the next record: how many there were since the ring was made. */
static inline uint64_t millrace_written(const millrace_writer *w) { return w->tail; }

/* How many records can be staged in a queue now. */
static inline uint64_t millrace_free(millrace_writer *w) {
    uint64_t head = __atomic_load_n(w->head, __ATOMIC_ACQUIRE);
    if (head >= w->head_seen && head <= w->published) w->head_seen = head;
    return w->capacity - (w->tail - w->head_seen);
}

/*
 * A queue: the place of the next record, to be written to before the next call; NULL if the ring is full. It
 * holds some earlier record.
 */
static inline void *millrace_stage(millrace_writer *w) {
    if (w->tail - w->head_seen == w->capacity && millrace_free(w) == 0) return NULL;
    return w->places + (w->tail++ & (w->capacity - 1)) * w->stride_bytes;
}

/* A queue: has the reader see everything that was staged, at once. */
static inline void millrace_publish(millrace_writer *w) {
    if (w->published == w->tail) return;
    uint8_t *first = w->places + (w->published & (w->capacity - 1)) * w->stride_bytes;
    w->published = w->tail;
    millrace__put(first, (size_t)w->word_offset, w->tail);
    __atomic_store_n(w->told, w->tail, __ATOMIC_RELEASE);
}

/* A broadcast ring: writes a record over the oldest. */
static inline void millrace_broadcast(millrace_writer *w, const void *record) {
    uint8_t *place = w->places + (w->tail & (w->capacity - 1)) * w->stride_bytes;
    millrace__put(place, (size_t)w->word_offset, 2 * w->tail + 1);
    __atomic_thread_fence(__ATOMIC_RELEASE);
    for (uint64_t at = 0; at < w->record_bytes; at += 8) {
        uint64_t word = 0, left = w->record_bytes - at;
        memcpy(&word, (const uint8_t *)record + at, (size_t)(left < 8 ? left : 8));
        __atomic_store_n((uint64_t *)(place + at), word, __ATOMIC_RELAXED);
    }
    millrace__put(place, (size_t)w->word_offset, 2 * w->tail + 2);
    w->tail++;
    w->published = w->tail;
    __atomic_store_n(w->told, w->tail, __ATOMIC_RELEASE);
}

/* Says that the writer lives: about once a second. */
static inline void millrace_writer_beat(millrace_writer *w) {
    millrace__put(w->ring, MILLRACE__WRITER + 16, millrace__now_ns());
}

/* Closes a reader. What it did not give back, the next one reads. */
static inline void millrace_close_reader(millrace_reader *r) {
    if (r->ring) munmap(r->ring, r->ring_bytes);
    if (r->page) munmap(r->page, r->page_bytes);
    if (r->ring_file >= 0) close(r->ring_file);
    millrace__close(r->page_file);
    r->ring = r->page = NULL;
    r->ring_file = r->page_file = -1;
}

static inline int millrace__start_queue(millrace_reader *r, const char *path, uint64_t start) {
    for (;;) {
        uint64_t told = __atomic_load_n(r->told, __ATOMIC_ACQUIRE);
        r->tail_seen = millrace__newest(r->places, r->capacity, r->stride_bytes, r->word_offset, told);
        r->next = start == MILLRACE_NEWEST ? r->tail_seen : __atomic_load_n(r->head, __ATOMIC_ACQUIRE);
        if (r->next <= r->tail_seen && r->tail_seen - r->next <= r->capacity && r->tail_seen <= (1ull << 62)) break;
        if (__atomic_load_n(r->told, __ATOMIC_ACQUIRE) == told)
            return millrace__fail(r->error,
                                  "%s: says that %llu records were read, which cannot be: %llu were written; "
                                  "a reader can start at the newest",
                                  path, (unsigned long long)r->next, (unsigned long long)r->tail_seen);
    }
    __atomic_store_n(r->head, r->next, __ATOMIC_RELEASE);
    millrace__begin(r->page, MILLRACE__READER);
    return 0;
}

static inline int millrace__start_broadcast(millrace_reader *r, const char *path, uint64_t start) {
    uint64_t newest = millrace__newest_whole(r->places, r->capacity, r->stride_bytes, r->word_offset,
                                             __atomic_load_n(r->told, __ATOMIC_ACQUIRE));
    r->next = start;
    if (start == MILLRACE_NEWEST || start == MILLRACE_ONWARD) r->next = newest;
    if (start == MILLRACE_OLDEST) r->next = newest > r->capacity ? newest - r->capacity : 0;
    if (r->next <= newest && newest <= (1ull << 62)) return 0;
    return millrace__fail(r->error, "%s: has %llu records, none to go on behind so far", path,
                          (unsigned long long)newest);
}

/*
 * Opens a reading end. errno is ENOENT where there is no such ring yet. `record` may be NULL: any name is
 * fine. Of a broadcast ring, `start` may also be the index of a record.
 */
static inline int millrace_open_reader(millrace_reader *r, const char *dir, const char *name, int kind,
                                       const char *record, uint64_t record_bytes, uint64_t start) {
    char path[4096], reader_path[4096];
    memset(r, 0, sizeof *r);
    r->ring_file = r->page_file = -1;
    errno = 0;
    if (millrace__path(r->error, path, sizeof path, dir, name, "ring") != 0 ||
        millrace__path(r->error, reader_path, sizeof reader_path, dir, name, "reader") != 0)
        return -1;
    r->ring_file = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (r->ring_file < 0) {
        if (errno != ENOENT) return millrace__fail(r->error, "cannot open %s: %s", path, strerror(errno));
        return millrace__fail(r->error, "there is no ring %s: its writer makes it", path);
    }
    int64_t bytes = millrace__length(r->error, path, r->ring_file);
    int started = -1, missing = bytes == 0;
    if (missing) millrace__fail(r->error, "there is no ring %s: its writer makes it", path);
    else if (bytes > 0 && bytes < MILLRACE__PLACES)
        millrace__fail(r->error, "%s: was cut short: %lld bytes", path, (long long)bytes);
    else if (bytes > 0) r->ring = millrace__map(r->error, path, r->ring_file, (size_t)bytes, PROT_READ);
    r->ring_bytes = r->ring ? (size_t)bytes : 0;
    if (r->ring && millrace__get(r->ring, 0) == 0) {
        missing = 1;
        millrace__fail(r->error, "there is no ring %s: its writer makes it", path);
    } else if (r->ring && millrace__check(r->error, path, r->ring, (uint64_t)bytes, kind, record, record_bytes,
                                          0) == 0) {
        r->kind = kind;
        r->capacity = millrace__get(r->ring, 32);
        r->record_bytes = record_bytes;
        r->stride_bytes = millrace__stride(record_bytes);
        r->word_offset = (record_bytes + 7) / 8 * 8;
        r->places = (const uint8_t *)r->ring + MILLRACE__PLACES;
        r->told = millrace__word(r->ring, MILLRACE__TOLD);
        if (kind == MILLRACE_BROADCAST) {
            started = millrace__start_broadcast(r, path, start);
        } else {
            r->page = millrace__page(r->error, reader_path, &r->page_file, 1, millrace__get(r->ring, 16),
                                     &r->page_bytes);
            if (r->page && millrace__lock(r->page_file) != 0) {
                millrace__fail(r->error, "%s has a reader already, process %llu", reader_path,
                               (unsigned long long)millrace__get(r->page, MILLRACE__READER));
            } else if (r->page) {
                r->head = millrace__word(r->page, MILLRACE__HEAD);
                started = millrace__start_queue(r, reader_path, start);
            }
        }
    }
    if (started != 0) millrace_close_reader(r);
    if (missing) errno = ENOENT;
    else if (started != 0 && errno == ENOENT) errno = EINVAL;
    return started;
}

/* Index of the next record: how many there were before it since the ring was made. */
static inline uint64_t millrace_read_index(const millrace_reader *r) { return r->next; }

/* A queue: how many records can be read now, up to `most`, looking for more if fewer are known of. */
static inline uint64_t millrace_available_of(millrace_reader *r, uint64_t most) {
    while (r->tail_seen - r->next < most) {
        const uint8_t *place = r->places + (r->tail_seen & (r->capacity - 1)) * r->stride_bytes;
        uint64_t end = millrace__get(place, (size_t)r->word_offset);
        if (end - r->tail_seen - 1 >= r->capacity) break;
        r->tail_seen = end;
    }
    uint64_t there = r->tail_seen - r->next;
    return there < most ? there : most;
}

static inline uint64_t millrace_available(millrace_reader *r) { return millrace_available_of(r, r->capacity); }

/* A queue: the record that comes so many behind the next, where it lies; it has to be available. */
static inline const void *millrace_record(const millrace_reader *r, uint64_t ahead) {
    return r->places + ((r->next + ahead) & (r->capacity - 1)) * r->stride_bytes;
}

/* A queue: gives so many places back to the writer, oldest first. */
static inline void millrace_give_back(millrace_reader *r, uint64_t count) {
    if (count == 0) return;
    r->next += count;
    __atomic_store_n(r->head, r->next, __ATOMIC_RELEASE);
}

/*
 * A broadcast ring: copies up to `most` records, one behind the other, and returns how many. Where the writer
 * was a whole ring ahead it returns 0 and says in `missed` how many records were lost; the next call goes on
 * behind those. `missed` is 0 otherwise.
 */
static inline uint64_t millrace_hear(millrace_reader *r, void *records, uint64_t most, uint64_t *missed) {
    uint64_t count = 0;
    *missed = 0;
    for (; count < most; count++, r->next++) {
        const uint8_t *place = r->places + (r->next & (r->capacity - 1)) * r->stride_bytes;
        uint8_t *copy = (uint8_t *)records + count * r->record_bytes;
        uint64_t whole = 2 * r->next + 2, before = millrace__get(place, (size_t)r->word_offset);
        if (before < whole) return count;
        if (before == whole) {
            for (uint64_t at = 0; at < r->record_bytes; at += 8) {
                uint64_t left = r->record_bytes - at;
                uint64_t word = __atomic_load_n((const uint64_t *)(place + at), __ATOMIC_RELAXED);
                memcpy(copy + at, &word, (size_t)(left < 8 ? left : 8));
            }
            __atomic_thread_fence(__ATOMIC_ACQUIRE);
            if (__atomic_load_n((const uint64_t *)(place + r->word_offset), __ATOMIC_RELAXED) == whole) continue;
        }
        if (count > 0) return count;
        uint64_t told = __atomic_load_n(r->told, __ATOMIC_ACQUIRE), next = r->next + 1;
        if (told > r->capacity / 2 && told - r->capacity / 2 > next) next = told - r->capacity / 2;
        *missed = next - r->next;
        r->next = next;
        return 0;
    }
    return count;
}

/* Says that a queue's reader lives: about once a second. */
static inline void millrace_reader_beat(millrace_reader *r) {
    millrace__put(r->page, MILLRACE__READER + 16, millrace__now_ns());
}

/* Whether the writer's process is there. A system call. */
static inline int millrace_writer_lives(const millrace_reader *r) { return millrace__is_held(r->ring_file); }

#ifdef __cplusplus
}
#endif
#endif
