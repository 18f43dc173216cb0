/* What a power cut leaves: of every file below POWERCUT_ROOT what was there at its last fsync, of every folder the
 * names that were there at its own last fsync. Loaded with LD_PRELOAD; nothing is really synced, so it is fast.
 *
 * Each fsync of a file copies it to POWERCUT_KEPT/<key>; each fsync of a folder writes its names and their keys there.
 * The number of the machine's start is what POWERCUT_START holds: who died by a cut wakes up on another one.
 *
 * A key is inode and time of birth, because inodes are used again. tests/powercut.py puts the pieces together.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static int key_of(int folder, const char *name, int flags, char *key, size_t size, mode_t *mode) {
    struct statx found;
    if (statx(folder, name, flags | AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS | STATX_BTIME, &found)) return -1;
    if (mode) *mode = found.stx_mode;
    snprintf(key, size, "%llu-%lld-%u", (unsigned long long)found.stx_ino, (long long)found.stx_btime.tv_sec,
             found.stx_btime.tv_nsec);
    return 0;
}

static int copy(int from, int to) {
    static __thread char piece[1 << 16];
    off_t at = 0;
    ssize_t got;
    while ((got = pread(from, piece, sizeof piece, at)) > 0) {
        if (write(to, piece, got) != got) return -1;
        at += got;
    }
    return got < 0 ? -1 : 0;
}

static int list(const char *path, int to) {
    char key[80];
    mode_t mode;
    dprintf(to, "%s\n", path);
    DIR *folder = opendir(path);
    if (!folder) return -1;
    struct dirent *entry;
    while ((entry = readdir(folder))) {
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..")) continue;
        if (key_of(dirfd(folder), entry->d_name, 0, key, sizeof key, &mode)) continue;
        dprintf(to, "%c %s %s\n", S_ISDIR(mode) ? 'd' : 'f', key, entry->d_name);
    }
    closedir(folder);
    return 0;
}

static int keep(int descriptor) {
    const char *root = getenv("POWERCUT_ROOT"), *kept = getenv("POWERCUT_KEPT");
    char link[64], path[PATH_MAX], key[80], staged[PATH_MAX], final[PATH_MAX];
    mode_t mode;
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (!root || !kept || length < 0) return 0;
    path[length] = 0;
    if (strncmp(path, root, strlen(root)) || key_of(descriptor, "", AT_EMPTY_PATH, key, sizeof key, &mode)) return 0;
    snprintf(staged, sizeof staged, "%s/staged-%ld", kept, (long)syscall(SYS_gettid));
    snprintf(final, sizeof final, "%s/%s", kept, key);
    /* A descriptor for reading: the caller's may be for writing alone. */
    int from = S_ISDIR(mode) ? -1 : open(link, O_RDONLY), to = open(staged, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    int failed = to < 0 || (S_ISDIR(mode) ? list(path, to) : from < 0 || copy(from, to));
    if (from >= 0) close(from);
    if (to >= 0) close(to);
    if (failed || rename(staged, final)) { errno = EIO; return -1; }
    return 0;
}

int fsync(int descriptor) { return keep(descriptor); }
int fdatasync(int descriptor) { return keep(descriptor); }

static int open_here(const char *path, int flags, mode_t mode) {
    const char *start = getenv("POWERCUT_START");
    if (start && !strcmp(path, "/proc/sys/kernel/random/boot_id")) path = start;
    return syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

#define OPEN(name)                                                                                                     \
    int name(const char *path, int flags, ...) {                                                                       \
        va_list more;                                                                                                  \
        va_start(more, flags);                                                                                         \
        mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(more, mode_t) : 0;                                        \
        va_end(more);                                                                                                  \
        return open_here(path, flags, mode);                                                                           \
    }
OPEN(open)
OPEN(open64)
