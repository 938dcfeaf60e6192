/* Preloaded: from the n-th change below a folder on, the disk is full. The n-th write itself writes a half. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

char full_below[4096]; /* the folder; empty: no disk is ever full */
int full_from;         /* n; 0: never */
int full_seen;         /* changes until now */

static int below(const char *path) {
    return full_below[0] && path && !strncmp(path, full_below, strlen(full_below));
}

static int below_fd(int fd) {
    char link[64], path[4096];
    if (!full_below[0]) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t size = readlink(link, path, sizeof path - 1);
    if (size < 0) return 0;
    path[size] = 0;
    return below(path);
}

static int full(int counts) { return counts && ++full_seen >= full_from && full_from; }

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define REFUSE do { errno = ENOSPC; return -1; } while (0)

ssize_t write(int fd, const void *data, size_t size) {
    if (full(below_fd(fd))) {
        if (full_seen == full_from && size > 1) return REAL(write)(fd, data, size / 2);
        REFUSE;
    }
    return REAL(write)(fd, data, size);
}
int fsync(int fd) { if (full(below_fd(fd))) REFUSE; return REAL(fsync)(fd); }
int ftruncate64(int fd, off64_t size) { if (full(below_fd(fd))) REFUSE; return REAL(ftruncate64)(fd, size); }
int rename(const char *from, const char *to) { if (full(below(to))) REFUSE; return REAL(rename)(from, to); }
int mkdir(const char *path, mode_t mode) {
    if (full(below(path))) REFUSE;
    return ((int (*)(const char *, mode_t))dlsym(RTLD_NEXT, "mkdir"))(path, mode);
}
int open64(const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    mode_t mode = va_arg(rest, mode_t);
    va_end(rest);
    if ((flags & O_CREAT) && access(path, F_OK) && full(below(path))) REFUSE;
    return REAL(open64)(path, flags, mode);
}
