/* Stands between a program and its C library (LD_PRELOAD).
 *
 * SHIM_COUNTS=FILE    at its end the process appends "opens stats" to FILE: calls that ask a file
 *                     system for a file by its name.
 * SHIM_LOCKS=FOLDER   flock() locks a file of FOLDER in place of the one it is given, as a machine
 *                     does whose file system keeps locks to itself: NFS with local_lock, Lustre with
 *                     localflock. Processes with different folders do not see each other's locks.
 * SHIM_LOCKS=none     flock() fails with ENOLCK, as on Lustre without flock.
 * SHIM_STEPS=SOCKET   before a file below SHIM_BELOW is made, linked, renamed or removed, the process
 *                     connects to SOCKET, writes a line "PID CALL PATH" and waits for a byte. It dies
 *                     if there is none: killed at this step.
 * SHIM_STALE=N        a record that was looked for in vain below SHIM_BELOW stays invisible for the
 *                     next N looks, as with the cached negative entries of NFS.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static atomic_ulong opens, stats;

static int is_below(const char *path) {
  const char *below = getenv("SHIM_BELOW");
  return below && path && !strncmp(path, below, strlen(below));
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

__attribute__((destructor)) static void end(void) {
  const char *path = getenv("SHIM_COUNTS");
  if (!path) return;
  int file = REAL(open)(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (file < 0) return;
  dprintf(file, "%lu %lu\n", opens, stats);
  close(file);
}

static void step(const char *call, const char *path) {
  const char *place = getenv("SHIM_STEPS");
  if (!place || !is_below(path)) return;
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  strncpy(address.sun_path, place, sizeof address.sun_path - 1);
  int line = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  char go;
  if (connect(line, (struct sockaddr *)&address, sizeof address)) _exit(9);
  dprintf(line, "%d %s %s\n", getpid(), call, path);
  if (read(line, &go, 1) != 1) _exit(9);
  close(line);
}

/* Records that were looked for in vain, by a hash of their names, and how often they stay so. */
static atomic_uchar missed[1 << 16];

/* Whether a record is to be invisible. */
static int is_stale(const char *path) {
  const char *times = getenv("SHIM_STALE");
  if (!times || !is_below(path) || !strstr(path, "/done/") || strstr(path, ".part")) return 0;
  unsigned hash = 2166136261u;
  for (const char *c = path; *c; c++) hash = (hash ^ (unsigned char)*c) * 16777619u;
  atomic_uchar *left = &missed[hash >> 16];
  if (*left > 1) {
    --*left;
    errno = ENOENT;
    return 1;
  }
  if (!*left && REAL(access)(path, F_OK)) *left = 1 + atoi(times);
  return 0;
}

#define OPEN(name)                                  \
  int name(const char *path, int flags, ...) {      \
    va_list more;                                   \
    va_start(more, flags);                          \
    mode_t mode = va_arg(more, mode_t);             \
    va_end(more);                                   \
    opens++;                                        \
    if (flags & O_CREAT) step("create", path);      \
    if (!(flags & O_CREAT) && is_stale(path)) return -1; \
    return REAL(name)(path, flags, mode);           \
  }
OPEN(open)
OPEN(open64)

#define OPENAT(name)                                       \
  int name(int at, const char *path, int flags, ...) {     \
    va_list more;                                          \
    va_start(more, flags);                                 \
    mode_t mode = va_arg(more, mode_t);                    \
    va_end(more);                                          \
    opens++;                                               \
    return REAL(name)(at, path, flags, mode);              \
  }
OPENAT(openat)
OPENAT(openat64)

int stat64(const char *path, struct stat64 *to) {
  stats++;
  return REAL(stat64)(path, to);
}

int lstat64(const char *path, struct stat64 *to) {
  stats++;
  return REAL(lstat64)(path, to);
}

int fstatat64(int at, const char *path, struct stat64 *to, int flags) {
  stats++;
  return REAL(fstatat64)(at, path, to, flags);
}

int statx(int at, const char *restrict path, int flags, unsigned mask, struct statx *restrict to) {
  if (*path) stats++;
  if (is_stale(path)) return -1;
  return REAL(statx)(at, path, flags, mask, to);
}

int access(const char *path, int mode) {
  stats++;
  if (is_stale(path)) return -1;
  return REAL(access)(path, mode);
}

int rename(const char *from, const char *to) {
  step("rename", to);
  return REAL(rename)(from, to);
}

int linkat(int at, const char *from, int to_at, const char *to, int flags) {
  step("link", to);
  return REAL(linkat)(at, from, to_at, to, flags);
}

int link(const char *from, const char *to) {
  step("link", to);
  return REAL(link)(from, to);
}

int unlink(const char *path) {
  step("remove", path);
  return REAL(unlink)(path);
}

/* The file of FOLDER that stands for an open one: one a device and inode, for as long as the
 * process lives. */
static int stand_in(const char *folder, int file) {
  struct stat of;
  char path[4096];
  if (fstat(file, &of)) return -1;
  snprintf(path, sizeof path, "%s/%lx-%lx", folder, (unsigned long)of.st_dev, (unsigned long)of.st_ino);
  return REAL(open)(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
}

/* Open stand-ins by the number of the file they stand for. */
static int of_file[1 << 16];

int flock(int file, int operation) {
  const char *folder = getenv("SHIM_LOCKS");
  if (!folder) return REAL(flock)(file, operation);
  if (!strcmp(folder, "none")) {
    errno = ENOLCK;
    return -1;
  }
  if (file < 0 || file >= 1 << 16) {
    errno = EBADF;
    return -1;
  }
  if (!of_file[file]) of_file[file] = stand_in(folder, file);
  int result = REAL(flock)(of_file[file], operation);
  if (operation & LOCK_UN || result) {
    int error = errno;
    close(of_file[file]);
    of_file[file] = 0;
    errno = error;
  }
  return result;
}

/* A lock ends with its file. */
int close(int file) {
  if (file >= 0 && file < 1 << 16 && of_file[file]) {
    REAL(close)(of_file[file]);
    of_file[file] = 0;
  }
  return REAL(close)(file);
}
