/*
 * Loaded into a process by LD_PRELOAD, this stands between it and the files below FAILING_DISK:
 *  - while the file FAILING_DISK_FAULT holds a number, every write, sync and creation there fails with that errno, as on
 *    a card that is broken; with EROFS nothing can be opened for writing either, as on one that was remounted;
 *  - every change and every sync that succeeds is recorded in FAILING_DISK_LOG, so that a test can tell what a power cut
 *    would have left (test/support/power-cut.ts).
 * A record: kind, inode, offset, length of path, length of data (five little-endian 64-bit numbers), path, data.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum kind { CREATE = 1, WRITE, TRUNCATE, SYNC, RENAME, UNLINK, SYNC_FOLDER, OPEN };

#define FDS 65536
static unsigned char tracked[FDS];
static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;
static const char *folder, *fault_file;
static int log_fd = -1;

static int (*real_open)(const char *, int, ...);
static int (*real_openat)(int, const char *, int, ...);
static int (*real_close)(int), (*real_access)(const char *, int);
static ssize_t (*real_write)(int, const void *, size_t);
static ssize_t (*real_pwrite)(int, const void *, size_t, off64_t);
static int (*real_ftruncate)(int, off64_t);
static int (*real_fsync)(int), (*real_fdatasync)(int);
static int (*real_rename)(const char *, const char *), (*real_unlink)(const char *);

__attribute__((constructor)) static void begin(void) {
  real_open = dlsym(RTLD_NEXT, "open64");
  real_openat = dlsym(RTLD_NEXT, "openat64");
  real_close = dlsym(RTLD_NEXT, "close");
  real_access = dlsym(RTLD_NEXT, "access");
  real_write = dlsym(RTLD_NEXT, "write");
  real_pwrite = dlsym(RTLD_NEXT, "pwrite64");
  real_ftruncate = dlsym(RTLD_NEXT, "ftruncate64");
  real_fsync = dlsym(RTLD_NEXT, "fsync");
  real_fdatasync = dlsym(RTLD_NEXT, "fdatasync");
  real_rename = dlsym(RTLD_NEXT, "rename");
  real_unlink = dlsym(RTLD_NEXT, "unlink");
  folder = getenv("FAILING_DISK");
  fault_file = getenv("FAILING_DISK_FAULT");
  const char *log = getenv("FAILING_DISK_LOG");
  if (log) log_fd = real_open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

static int ours(const char *path) { return folder && path && strncmp(path, folder, strlen(folder)) == 0; }

static int is_tracked(int fd) { return fd >= 0 && fd < FDS && tracked[fd]; }

/* Whether an operation is to fail; sets errno. */
static int fails(void) {
  if (!fault_file) return 0;
  int fd = real_open(fault_file, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return 0;
  char text[16] = {0};
  ssize_t got = read(fd, text, sizeof text - 1);
  real_close(fd);
  if (got <= 0 || atoi(text) == 0) return 0;
  errno = atoi(text);
  return 1;
}

/* Whether the whole disk is read-only; sets errno. */
static int is_read_only(void) { return fails() && errno == EROFS; }

static void record(enum kind kind, uint64_t inode, uint64_t offset, const char *path, const void *data, size_t size) {
  if (log_fd < 0) return;
  int before = errno;
  uint64_t head[5] = {kind, inode, offset, path ? strlen(path) : 0, size};
  struct iovec parts[3] = {{head, sizeof head}, {(void *)path, head[3]}, {(void *)data, size}};
  if (writev(log_fd, parts, 3) < 0) abort();
  errno = before;
}

static uint64_t inode_of(int fd) {
  struct stat found;
  return fstat(fd, &found) == 0 ? found.st_ino : 0;
}

static int opened(int fd, const char *path, int flags, int existed) {
  if (fd < 0 || fd >= FDS) return fd;
  struct stat found;
  if (fstat(fd, &found) != 0) return fd;
  tracked[fd] = S_ISDIR(found.st_mode) ? 2 : 1;
  if (S_ISDIR(found.st_mode)) return fd;
  record(existed ? OPEN : CREATE, found.st_ino, 0, path, NULL, 0);
  if (existed && flags & O_TRUNC) record(TRUNCATE, found.st_ino, 0, NULL, NULL, 0);
  return fd;
}

static int open_ours(const char *path, int flags, mode_t mode) {
  pthread_mutex_lock(&turn);
  int existed = real_access(path, F_OK) == 0;
  int fd = -1;
  if (!((flags & O_CREAT) && !existed && fails()) && !((flags & O_ACCMODE) != O_RDONLY && is_read_only())) {
    fd = real_open(path, flags, mode);
    opened(fd, path, flags, existed);
  }
  pthread_mutex_unlock(&turn);
  return fd;
}

#define MODE(flags, last)                                                                                              \
  mode_t mode = 0;                                                                                                     \
  if ((flags) & (O_CREAT | O_TMPFILE)) {                                                                               \
    va_list list;                                                                                                      \
    va_start(list, last);                                                                                              \
    mode = va_arg(list, mode_t);                                                                                       \
    va_end(list);                                                                                                      \
  }

int open64(const char *path, int flags, ...) {
  MODE(flags, flags)
  return ours(path) ? open_ours(path, flags, mode) : real_open(path, flags, mode);
}
int open(const char *path, int flags, ...) {
  MODE(flags, flags)
  return ours(path) ? open_ours(path, flags, mode) : real_open(path, flags, mode);
}
int openat64(int at, const char *path, int flags, ...) {
  MODE(flags, flags)
  return ours(path) ? open_ours(path, flags, mode) : real_openat(at, path, flags, mode);
}
int openat(int at, const char *path, int flags, ...) {
  MODE(flags, flags)
  return ours(path) ? open_ours(path, flags, mode) : real_openat(at, path, flags, mode);
}

int access(const char *path, int mode) {
  return ours(path) && mode & W_OK && is_read_only() ? -1 : real_access(path, mode);
}

int close(int fd) {
  if (is_tracked(fd)) tracked[fd] = 0;
  return real_close(fd);
}

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t offset) {
  if (!is_tracked(fd)) return real_pwrite(fd, data, size, offset);
  pthread_mutex_lock(&turn);
  ssize_t done = fails() ? -1 : real_pwrite(fd, data, size, offset);
  if (done > 0) record(WRITE, inode_of(fd), offset, NULL, data, done);
  pthread_mutex_unlock(&turn);
  return done;
}
ssize_t pwrite(int fd, const void *data, size_t size, off_t offset) { return pwrite64(fd, data, size, offset); }

ssize_t write(int fd, const void *data, size_t size) {
  if (!is_tracked(fd)) return real_write(fd, data, size);
  pthread_mutex_lock(&turn);
  off64_t offset = lseek64(fd, 0, SEEK_CUR);
  ssize_t done = fails() ? -1 : real_write(fd, data, size);
  if (done > 0) record(WRITE, inode_of(fd), offset, NULL, data, done);
  pthread_mutex_unlock(&turn);
  return done;
}

int ftruncate64(int fd, off64_t size) {
  if (!is_tracked(fd)) return real_ftruncate(fd, size);
  pthread_mutex_lock(&turn);
  int result = fails() ? -1 : real_ftruncate(fd, size);
  if (result == 0) record(TRUNCATE, inode_of(fd), size, NULL, NULL, 0);
  pthread_mutex_unlock(&turn);
  return result;
}
int ftruncate(int fd, off_t size) { return ftruncate64(fd, size); }

static int sync_with(int (*real)(int), int fd) {
  if (!is_tracked(fd)) return real(fd);
  pthread_mutex_lock(&turn);
  int result = fails() ? -1 : real(fd);
  if (result == 0) record(tracked[fd] == 2 ? SYNC_FOLDER : SYNC, inode_of(fd), 0, NULL, NULL, 0);
  pthread_mutex_unlock(&turn);
  return result;
}
int fsync(int fd) { return sync_with(real_fsync, fd); }
int fdatasync(int fd) { return sync_with(real_fdatasync, fd); }

int rename(const char *from, const char *to) {
  if (!ours(from)) return real_rename(from, to);
  pthread_mutex_lock(&turn);
  int result = fails() ? -1 : real_rename(from, to);
  if (result == 0) record(RENAME, 0, 0, from, to, strlen(to));
  pthread_mutex_unlock(&turn);
  return result;
}

int unlink(const char *path) {
  if (!ours(path)) return real_unlink(path);
  pthread_mutex_lock(&turn);
  int result = fails() ? -1 : real_unlink(path);
  if (result == 0) record(UNLINK, 0, 0, path, NULL, 0);
  pthread_mutex_unlock(&turn);
  return result;
}
