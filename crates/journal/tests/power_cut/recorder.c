/* Records what a process writes and syncs below one folder, in the order in which it happens.
 *
 * Loaded into the victim with LD_PRELOAD. Every write, truncation, unlink and sync of a file below RECORDER_ROOT is
 * performed and appended to the file RECORDER_OUT, both under one lock, so that the record has one true order. A sync
 * is recorded and not performed: the test decides from the record what a disk would have kept.
 *
 * A record: op (1 byte: W T U S), length of the path (4), the path below the root, offset or size (8), length of the
 * data (4), the data. Integers are little-endian, as the machine is.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MOST_FILES 4096

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int out = -1;
static const char *root;
static char *names[MOST_FILES];

static int real_open(const char *path, int flags, mode_t mode) {
    return (int)syscall(SYS_openat, AT_FDCWD, path, flags | O_LARGEFILE, mode);
}

__attribute__((constructor)) static void begin(void) {
    const char *to = getenv("RECORDER_OUT");
    root = getenv("RECORDER_ROOT");
    if (to && root) {
        out = real_open(to, O_WRONLY | O_CREAT | O_APPEND, 0600);
    }
}

static void put(const void *bytes, size_t length) {
    const char *at = bytes;
    while (length > 0) {
        ssize_t done = syscall(SYS_write, out, at, length);
        if (done <= 0) {
            abort(); /* a record with a hole would prove nothing */
        }
        at += done;
        length -= (size_t)done;
    }
}

static void record(char op, const char *name, uint64_t at, const void *data, uint32_t length) {
    uint32_t name_length = (uint32_t)strlen(name);
    put(&op, 1);
    put(&name_length, 4);
    put(name, name_length);
    put(&at, 8);
    put(&length, 4);
    put(data, length);
}

/* The path below the root, if it is one whose writes count. The index of the write-ahead log is made anew by whoever
 * opens the database: it has no place in the record. */
static const char *below(const char *path) {
    size_t length = root ? strlen(root) : 0;
    if (out < 0 || strncmp(path, root, length) != 0 || path[length] != '/') {
        return NULL;
    }
    const char *end = strrchr(path, '-');
    return end && strcmp(end, "-shm") == 0 ? NULL : path + length + 1;
}

static const char *name_of(int fd) {
    return fd >= 0 && fd < MOST_FILES ? names[fd] : NULL;
}

static int opened(int fd, const char *path, int flags) {
    const char *name = below(path);
    if (fd >= 0 && fd < MOST_FILES && name) {
        pthread_mutex_lock(&lock);
        free(names[fd]);
        names[fd] = strdup(name);
        if (flags & O_TRUNC) {
            record('T', name, 0, "", 0);
        }
        pthread_mutex_unlock(&lock);
    }
    return fd;
}

#define MODE(flags) \
    mode_t mode = 0; \
    if ((flags) & (O_CREAT | O_TMPFILE)) { \
        va_list more; \
        va_start(more, flags); \
        mode = va_arg(more, mode_t); \
        va_end(more); \
    }

int open(const char *path, int flags, ...) {
    MODE(flags)
    return opened(real_open(path, flags, mode), path, flags);
}

int open64(const char *path, int flags, ...) {
    MODE(flags)
    return opened(real_open(path, flags, mode), path, flags);
}

int close(int fd) {
    pthread_mutex_lock(&lock);
    if (name_of(fd)) {
        free(names[fd]);
        names[fd] = NULL;
    }
    pthread_mutex_unlock(&lock);
    return (int)syscall(SYS_close, fd);
}

ssize_t write(int fd, const void *data, size_t length) {
    const char *name = name_of(fd);
    if (!name) {
        return syscall(SYS_write, fd, data, length);
    }
    pthread_mutex_lock(&lock);
    ssize_t done = syscall(SYS_write, fd, data, length);
    if (done > 0) {
        uint64_t end = (uint64_t)syscall(SYS_lseek, fd, 0, SEEK_CUR);
        record('W', name, end - (uint64_t)done, data, (uint32_t)done);
    }
    pthread_mutex_unlock(&lock);
    return done;
}

ssize_t pwrite(int fd, const void *data, size_t length, off_t at) {
    const char *name = name_of(fd);
    if (!name) {
        return syscall(SYS_pwrite64, fd, data, length, at);
    }
    pthread_mutex_lock(&lock);
    ssize_t done = syscall(SYS_pwrite64, fd, data, length, at);
    if (done > 0) {
        record('W', name, (uint64_t)at, data, (uint32_t)done);
    }
    pthread_mutex_unlock(&lock);
    return done;
}

ssize_t pwrite64(int fd, const void *data, size_t length, off_t at) {
    return pwrite(fd, data, length, at);
}

int ftruncate(int fd, off_t size) {
    const char *name = name_of(fd);
    pthread_mutex_lock(&lock);
    int failed = (int)syscall(SYS_ftruncate, fd, size);
    if (!failed && name) {
        record('T', name, (uint64_t)size, "", 0);
    }
    pthread_mutex_unlock(&lock);
    return failed;
}

int ftruncate64(int fd, off_t size) {
    return ftruncate(fd, size);
}

int unlink(const char *path) {
    const char *name = below(path);
    pthread_mutex_lock(&lock);
    int failed = (int)syscall(SYS_unlink, path);
    if (!failed && name) {
        record('U', name, 0, "", 0);
    }
    pthread_mutex_unlock(&lock);
    return failed;
}

static int synced(int fd, long call) {
    const char *name = name_of(fd);
    if (!name) {
        return (int)syscall(call, fd);
    }
    pthread_mutex_lock(&lock);
    record('S', name, 0, "", 0);
    pthread_mutex_unlock(&lock);
    return 0;
}

int fsync(int fd) {
    return synced(fd, SYS_fsync);
}

int fdatasync(int fd) {
    return synced(fd, SYS_fdatasync);
}
