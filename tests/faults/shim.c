/* A preloaded library that makes one write-type call below a folder fail, write less than asked, or end the process.

   CRYOPRIOR_FAULTS names the folder. fault_arm() gives the order, fault_seen() the number of calls so far; both are
   called through ctypes after a fork. Linux, glibc. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum { NONE, FAIL, FAIL_FROM, SHORT, KILL, SIGNAL };

struct order {
    volatile long seen, at, hit;
    int mode, number;
    char call[16], name[PATH_MAX]; /* what was hit */
};

static struct order *order;
static char folder[PATH_MAX];
static size_t folder_length;

__attribute__((constructor)) static void set_up(void) {
    const char *named = getenv("CRYOPRIOR_FAULTS");
    order = mmap(NULL, sizeof *order, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (named != NULL && realpath(named, folder) != NULL)
        folder_length = strlen(folder);
}

void fault_arm(long at, int mode, int number) {
    memset(order, 0, sizeof *order);
    order->at = at, order->mode = mode, order->number = number;
}

long fault_seen(void) { return order->seen; }
long fault_hit(void) { return order->hit; }
const char *fault_call(void) { return order->call; }
const char *fault_name(void) { return order->name; }

static int below(const char *path) {
    return folder_length && strncmp(path, folder, folder_length) == 0 && path[folder_length] == '/';
}

/* The path of a name that is relative to a folder's handle, or to where the process works. */
static void absolute(int at, const char *name, char *path) {
    char base[PATH_MAX] = "", link[64];
    ssize_t length;
    if (name[0] == '/') {
        snprintf(path, PATH_MAX, "%s", name);
        return;
    }
    if (at == AT_FDCWD)
        strcpy(link, "/proc/self/cwd");
    else
        snprintf(link, sizeof link, "/proc/self/fd/%d", at);
    length = readlink(link, base, sizeof base - 1);
    base[length < 0 ? 0 : length] = 0;
    if (snprintf(path, PATH_MAX, "%s/%s", base, name) >= PATH_MAX)
        path[0] = 0;
}

static void of_handle(int handle, char *path) {
    char link[64];
    ssize_t length;
    snprintf(link, sizeof link, "/proc/self/fd/%d", handle);
    length = readlink(link, path, PATH_MAX - 1);
    path[length < 0 ? 0 : length] = 0;
}

/* What happens to a call: 0 to go on, 1 to fail with errno, 2 to write less. */
static int judged(const char *call, const char *path) {
    int saved = errno, frees = call[0] == 'u' || strcmp(call, "rmdir") == 0 || strcmp(call, "rename") == 0;
    long seen;
    if (order == NULL || !below(path))
        return 0;
    seen = __sync_add_and_fetch(&order->seen, 1);
    if (order->mode == NONE || seen < order->at)
        return 0;
    if (seen > order->at && (order->mode != FAIL_FROM || (frees && order->number == ENOSPC)))
        return 0;
    if (!order->hit) {
        order->hit = seen;
        snprintf(order->call, sizeof order->call, "%s", call);
        snprintf(order->name, sizeof order->name, "%s", path + folder_length + 1);
    }
    if (order->mode == KILL)
        kill(getpid(), SIGKILL);
    if (order->mode == SIGNAL) {
        kill(getpid(), order->number);
        errno = saved;
        return 0;
    }
    if (order->mode == SHORT)
        return 2;
    errno = order->number;
    return 1;
}

#define REAL(name) __typeof__(&name) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

static int writes(int flags) { return (flags & O_ACCMODE) != O_RDONLY || (flags & (O_CREAT | O_TRUNC)); }

#define OPENS(name)                                                                                  \
    int name(const char *file, int flags, ...) {                                                     \
        int (*real)(const char *, int, ...) = (int (*)(const char *, int, ...))dlsym(RTLD_NEXT, #name); \
        char path[PATH_MAX];                                                                         \
        mode_t mode;                                                                                 \
        va_list rest;                                                                                \
        va_start(rest, flags);                                                                       \
        mode = va_arg(rest, mode_t);                                                                 \
        va_end(rest);                                                                                \
        absolute(AT_FDCWD, file, path);                                                              \
        return writes(flags) && judged("open", path) == 1 ? -1 : real(file, flags, mode);            \
    }
OPENS(open)
OPENS(open64)

#define OPENS_AT(name)                                                                               \
    int name(int at, const char *file, int flags, ...) {                                             \
        int (*real)(int, const char *, int, ...) =                                                   \
            (int (*)(int, const char *, int, ...))dlsym(RTLD_NEXT, #name);                           \
        char path[PATH_MAX];                                                                         \
        mode_t mode;                                                                                 \
        va_list rest;                                                                                \
        va_start(rest, flags);                                                                       \
        mode = va_arg(rest, mode_t);                                                                 \
        va_end(rest);                                                                                \
        absolute(at, file, path);                                                                    \
        return writes(flags) && judged("open", path) == 1 ? -1 : real(at, file, flags, mode);        \
    }
OPENS_AT(openat)
OPENS_AT(openat64)

#define OF_HANDLE(name, type, parameters, handle, values, less)                                      \
    type name parameters {                                                                           \
        REAL(name);                                                                                  \
        char path[PATH_MAX];                                                                         \
        of_handle(handle, path);                                                                     \
        switch (judged(#name, path)) {                                                               \
        case 1: return -1;                                                                           \
        case 2: less; /* fall through */                                                             \
        default: return real values;                                                                 \
        }                                                                                            \
    }
#define HALF(size) if (size > 1) size /= 2
OF_HANDLE(write, ssize_t, (int fd, const void *data, size_t size), fd, (fd, data, size), HALF(size))
OF_HANDLE(pwrite, ssize_t, (int fd, const void *data, size_t size, off_t at), fd, (fd, data, size, at), HALF(size))
OF_HANDLE(pwrite64, ssize_t, (int fd, const void *data, size_t size, off64_t at), fd, (fd, data, size, at), HALF(size))
OF_HANDLE(writev, ssize_t, (int fd, const struct iovec *parts, int count), fd, (fd, parts, count), HALF(count))
OF_HANDLE(fsync, int, (int fd), fd, (fd), )
OF_HANDLE(fdatasync, int, (int fd), fd, (fd), )
OF_HANDLE(ftruncate, int, (int fd, off_t size), fd, (fd, size), )
OF_HANDLE(ftruncate64, int, (int fd, off64_t size), fd, (fd, size), )
OF_HANDLE(fallocate, int, (int fd, int mode, off_t at, off_t size), fd, (fd, mode, at, size), )

int posix_fallocate(int fd, off_t at, off_t size) {
    REAL(posix_fallocate);
    char path[PATH_MAX];
    of_handle(fd, path);
    return judged("fallocate", path) == 1 ? errno : real(fd, at, size);
}

#define OF_NAME(name, as, parameters, at, file, values)                                              \
    int name parameters {                                                                            \
        REAL(name);                                                                                  \
        char path[PATH_MAX];                                                                         \
        absolute(at, file, path);                                                                    \
        return judged(as, path) == 1 ? -1 : real values;                                             \
    }
OF_NAME(rename, "rename", (const char *from, const char *to), AT_FDCWD, to, (from, to))
OF_NAME(renameat, "rename", (int a, const char *from, int b, const char *to), b, to, (a, from, b, to))
OF_NAME(mkdir, "mkdir", (const char *file, mode_t mode), AT_FDCWD, file, (file, mode))
OF_NAME(mkdirat, "mkdir", (int at, const char *file, mode_t mode), at, file, (at, file, mode))
OF_NAME(unlink, "unlink", (const char *file), AT_FDCWD, file, (file))
OF_NAME(unlinkat, "unlink", (int at, const char *file, int flags), at, file, (at, file, flags))
OF_NAME(rmdir, "rmdir", (const char *file), AT_FDCWD, file, (file))

/* A mapped file that is written has no call to fail: the process would end by SIGBUS. It counts as a call of its own,
   which no command may make. */
void *mmap64(void *place, size_t size, int protection, int flags, int fd, off64_t at) {
    REAL(mmap64);
    char path[PATH_MAX];
    if (fd >= 0 && (flags & MAP_SHARED) && (protection & PROT_WRITE)) {
        of_handle(fd, path);
        if (judged("mmap", path) == 1)
            return MAP_FAILED;
    }
    return real(place, size, protection, flags, fd, at);
}
