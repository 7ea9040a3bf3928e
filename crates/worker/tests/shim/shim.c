/* Stands between a program and its C library (LD_PRELOAD).
 *
 * SHIM_COUNTS=FILE    at its end the process appends "opens stats" to FILE: calls that ask a file
 *                     system for a file by its name.
 * SHIM_LOCKS=FOLDER   flock() locks a file of FOLDER in place of the one it is given, as a machine
 *                     does whose file system keeps locks to itself: NFS with local_lock, Lustre with
 *                     localflock. Processes with different folders do not see each other's locks.
 * SHIM_LOCKS=none     flock() fails with ENOLCK, as on Lustre without flock.
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
#include <sys/stat.h>
#include <unistd.h>

static atomic_ulong opens, stats;

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

__attribute__((destructor)) static void end(void) {
  const char *path = getenv("SHIM_COUNTS");
  if (!path) return;
  int file = REAL(open)(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (file < 0) return;
  dprintf(file, "%lu %lu\n", opens, stats);
  close(file);
}

#define OPEN(name)                                  \
  int name(const char *path, int flags, ...) {      \
    va_list more;                                   \
    va_start(more, flags);                          \
    mode_t mode = va_arg(more, mode_t);             \
    va_end(more);                                   \
    opens++;                                        \
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
  return REAL(statx)(at, path, flags, mask, to);
}

int access(const char *path, int mode) {
  stats++;
  return REAL(access)(path, mode);
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
