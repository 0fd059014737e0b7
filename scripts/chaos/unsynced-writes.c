/*
 * A disk that keeps only what was synced, for a process that is killed: gcc -shared -fPIC -O2 -o unsynced-writes.so unsynced-writes.c -ldl -lpthread
 *
 * LD_PRELOAD it with UNSYNCED_ROOT (an absolute folder) and UNSYNCED_CONTROL (a file of at least 64 bytes). While byte 0 of the control
 * file is 1, writes to regular files under the folder stay in this process's memory until fsync, fdatasync, sync_file_range, sync, or a
 * regular end of the process; kill -9 loses them, as a power cut would. The process itself sees what it wrote: in read, pread, readv, preadv,
 * stat, lseek. Bytes 8..15 hold how many bytes are in memory, 16..23 how many ever were.
 *
 * Not modelled: loss of names (open with O_CREAT, rename, unlink take effect at once), stores through a shared mapping. A file is written
 * out before it is mapped, copied by the kernel or preallocated.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <unistd.h>

#define FDS 65536
#define BUCKETS 1024

struct extent { off_t at; size_t length; char *bytes; };
struct file {
  dev_t dev; ino_t ino;
  off_t size;                     /* as this process sees it */
  int keep;                       /* a descriptor of our own, to write it out later */
  struct extent *extents; size_t count, room;
  struct file *next;
};
struct descriptor { char tracked, synced, append; dev_t dev; ino_t ino; };

static struct descriptor fds[FDS];
static struct file *files[BUCKETS];
static size_t filesPending;
static pthread_mutex_t lock = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
static char root[PATH_MAX];
static size_t rootLength;
static volatile unsigned char *control;
static pid_t owner;

#define REAL(type, name, ...) static type (*real_##name)(__VA_ARGS__); static type (*get_##name(void))(__VA_ARGS__) { if (!real_##name) real_##name = (type (*)(__VA_ARGS__))dlsym(RTLD_NEXT, #name); return real_##name; }
REAL(int, openat, int, const char *, int, ...)
REAL(int, close, int)
REAL(ssize_t, write, int, const void *, size_t)
REAL(ssize_t, pwrite64, int, const void *, size_t, off_t)
REAL(ssize_t, writev, int, const struct iovec *, int)
REAL(ssize_t, pwritev64, int, const struct iovec *, int, off_t)
REAL(ssize_t, pwritev2, int, const struct iovec *, int, off_t, int)
REAL(ssize_t, read, int, void *, size_t)
REAL(ssize_t, pread64, int, void *, size_t, off_t)
REAL(ssize_t, readv, int, const struct iovec *, int)
REAL(ssize_t, preadv64, int, const struct iovec *, int, off_t)
REAL(off_t, lseek64, int, off_t, int)
REAL(int, ftruncate64, int, off_t)
REAL(int, fsync, int)
REAL(int, fdatasync, int)
REAL(int, sync_file_range, int, off_t, off_t, unsigned int)
REAL(void, sync, void)
REAL(int, syncfs, int)
REAL(int, renameat2, int, const char *, int, const char *, unsigned int)
REAL(int, unlinkat, int, const char *, int)
REAL(int, fstatat64, int, const char *, struct stat64 *, int)
REAL(int, statx, int, const char *, int, unsigned int, struct statx *)
REAL(void *, mmap64, void *, size_t, int, int, int, off_t)
REAL(ssize_t, sendfile64, int, int, off_t *, size_t)
REAL(ssize_t, copy_file_range, int, off_t *, int, off_t *, size_t, unsigned int)
REAL(int, fallocate64, int, int, off_t, off_t)
REAL(int, dup, int)
REAL(int, dup3, int, int, int)
REAL(long, syscall, long, ...)
REAL(void, _exit, int)
REAL(FILE *, fopen64, const char *, const char *)
REAL(FILE *, fdopen, int, const char *)
REAL(int, fileno, FILE *)

static void add(size_t at, int64_t n) { if (control) *(volatile int64_t *)(control + at) += n; }
static int armed(void) { return control != NULL && control[0] == 1; }

static void forget_in_child(void) { memset(files, 0, sizeof files); filesPending = 0; control = NULL; rootLength = 0; pthread_mutex_t fresh = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP; lock = fresh; }

__attribute__((constructor)) static void begin(void) {
  const char *folder = getenv("UNSYNCED_ROOT"), *file = getenv("UNSYNCED_CONTROL");
  /* Programs that this one starts have disks of the ordinary kind. */
  unsetenv("LD_PRELOAD");
  if (folder == NULL || file == NULL || realpath(folder, root) == NULL) return;
  int fd = get_openat()(AT_FDCWD, file, O_RDWR | O_CLOEXEC);
  if (fd < 0) return;
  void *page = get_mmap64()(NULL, 64, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  get_close()(fd);
  if (page == MAP_FAILED) return;
  owner = getpid();
  rootLength = strlen(root);
  *(volatile int64_t *)((char *)page + 8) = 0;
  control = page;
  pthread_atfork(NULL, NULL, forget_in_child);
}

static struct file **slot(dev_t dev, ino_t ino) {
  struct file **at = &files[(dev * 31 + ino) % BUCKETS];
  while (*at != NULL && ((*at)->dev != dev || (*at)->ino != ino)) at = &(*at)->next;
  return at;
}
static struct file *pending(dev_t dev, ino_t ino) { return filesPending == 0 ? NULL : *slot(dev, ino); }
/* Descriptors that libc closes by itself (fclose) come back as something else. */
static struct descriptor *tracked(int fd) {
  struct stat64 is;
  if (fd < 0 || fd >= FDS || !fds[fd].tracked) return NULL;
  int before = errno;
  if (get_fstatat64()(fd, "", &is, AT_EMPTY_PATH) != 0 || is.st_dev != fds[fd].dev || is.st_ino != fds[fd].ino) fds[fd].tracked = 0;
  errno = before;
  return fds[fd].tracked ? &fds[fd] : NULL;
}
static struct file *pending_fd(int fd) { struct descriptor *d = tracked(fd); return d == NULL ? NULL : pending(d->dev, d->ino); }

static void drop(struct file *file) {
  struct file **at = slot(file->dev, file->ino);
  if (*at != file) return;
  *at = file->next;
  for (size_t i = 0; i < file->count; i++) { add(8, -(int64_t)file->extents[i].length); free(file->extents[i].bytes); }
  free(file->extents);
  get_close()(file->keep);
  free(file);
  filesPending--;
}

/* Hands everything to the operating system, in the order in which it was written. */
static int write_out(struct file *file) {
  struct stat64 now;
  for (size_t i = 0; i < file->count; i++) {
    struct extent *e = &file->extents[i];
    for (size_t done = 0; done < e->length;) {
      ssize_t n = get_pwrite64()(file->keep, e->bytes + done, e->length - done, e->at + (off_t)done);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return -1;
      done += (size_t)n;
    }
  }
  if (get_fstatat64()(file->keep, "", &now, AT_EMPTY_PATH) == 0 && now.st_size < file->size) get_ftruncate64()(file->keep, file->size);
  drop(file);
  return 0;
}
static int write_out_all(void) {
  int failed = 0;
  for (int i = 0; i < BUCKETS; i++) while (files[i] != NULL) if (write_out(files[i]) != 0) { failed = -1; break; }
  return failed;
}

__attribute__((destructor)) static void end(void) {
  if (control == NULL || getpid() != owner) return;
  pthread_mutex_lock(&lock);
  write_out_all();
  /* libc empties its streams after this. */
  control = NULL;
  pthread_mutex_unlock(&lock);
}

static void track(int fd, int flags) {
  if (fd < 0 || fd >= FDS) return;
  int before = errno;
  fds[fd].tracked = 0;
  char link[64], path[PATH_MAX];
  struct stat64 is;
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t n = rootLength == 0 ? -1 : readlink(link, path, sizeof path - 1);
  if (n > (ssize_t)rootLength && memcmp(path, root, rootLength) == 0 && path[rootLength] == '/' && get_fstatat64()(fd, "", &is, AT_EMPTY_PATH) == 0 && S_ISREG(is.st_mode)) {
    fds[fd] = (struct descriptor){ 1, (flags & O_DSYNC) != 0, (flags & O_APPEND) != 0, is.st_dev, is.st_ino };
    struct file *file = (flags & O_TRUNC) && (flags & O_ACCMODE) != O_RDONLY ? pending(is.st_dev, is.st_ino) : NULL;
    if (file != NULL) drop(file);
  }
  errno = before;
}

static int open_any(int dir, const char *path, int flags, mode_t mode) {
  pthread_mutex_lock(&lock);
  int fd = get_openat()(dir, path, flags, mode);
  if (fd >= 0) track(fd, flags);
  pthread_mutex_unlock(&lock);
  return fd;
}
#define MODE(flags) mode_t mode = 0; if ((flags) & (O_CREAT | __O_TMPFILE)) { va_list more; va_start(more, flags); mode = va_arg(more, mode_t); va_end(more); }
int open(const char *path, int flags, ...) { MODE(flags) return open_any(AT_FDCWD, path, flags, mode); }
int open64(const char *path, int flags, ...) { MODE(flags) return open_any(AT_FDCWD, path, flags | O_LARGEFILE, mode); }
int openat(int dir, const char *path, int flags, ...) { MODE(flags) return open_any(dir, path, flags, mode); }
int openat64(int dir, const char *path, int flags, ...) { MODE(flags) return open_any(dir, path, flags | O_LARGEFILE, mode); }
int creat(const char *path, mode_t mode) { return open_any(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode); }
int creat64(const char *path, mode_t mode) { return open_any(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC | O_LARGEFILE, mode); }
int __open_2(const char *path, int flags) { return open_any(AT_FDCWD, path, flags, 0); }
int __open64_2(const char *path, int flags) { return open_any(AT_FDCWD, path, flags | O_LARGEFILE, 0); }
int __openat_2(int dir, const char *path, int flags) { return open_any(dir, path, flags, 0); }
int __openat64_2(int dir, const char *path, int flags) { return open_any(dir, path, flags | O_LARGEFILE, 0); }

/* What was written stays in the page cache of a living system: closing loses nothing. */
int close(int fd) {
  pthread_mutex_lock(&lock);
  if (fd >= 0 && fd < FDS) fds[fd].tracked = 0;
  int result = get_close()(fd);
  pthread_mutex_unlock(&lock);
  return result;
}
static void same(int from, int to) { if (to >= 0 && to < FDS) { if (from >= 0 && from < FDS) fds[to] = fds[from]; else fds[to].tracked = 0; } }
int dup(int fd) { pthread_mutex_lock(&lock); int to = get_dup()(fd); same(fd, to); pthread_mutex_unlock(&lock); return to; }
int dup3(int fd, int to, int flags) { pthread_mutex_lock(&lock); int got = get_dup3()(fd, to, flags); if (got >= 0) same(fd, got); pthread_mutex_unlock(&lock); return got; }
int dup2(int fd, int to) { return fd == to ? (fcntl(fd, F_GETFD) < 0 ? -1 : fd) : dup3(fd, to, 0); }

static struct file *begin_file(int fd, struct descriptor *d) {
  struct file *file = pending(d->dev, d->ino);
  if (file != NULL) return file;
  char link[64];
  struct stat64 is;
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  int keep = get_openat()(AT_FDCWD, link, O_RDWR | O_CLOEXEC);
  if (keep < 0) return NULL;
  if (get_fstatat64()(keep, "", &is, AT_EMPTY_PATH) != 0 || (file = calloc(1, sizeof *file)) == NULL) { get_close()(keep); return NULL; }
  file->dev = d->dev; file->ino = d->ino; file->size = is.st_size; file->keep = keep;
  struct file **at = slot(d->dev, d->ino);
  *at = file;
  filesPending++;
  return file;
}

static size_t total(const struct iovec *parts, int count) { size_t n = 0; for (int i = 0; i < count; i++) n += parts[i].iov_len; return n; }

/* at < 0: where the descriptor is. @returns -2 when the write is not ours to keep. */
static ssize_t keep_write(int fd, const struct iovec *parts, int count, off_t at) {
  struct descriptor *d = tracked(fd);
  if (d == NULL) return -2;
  struct file *file = pending(d->dev, d->ino);
  if (!armed() || d->synced) {
    if (file != NULL && write_out(file) != 0) return -1;
    return -2;
  }
  int moves = at < 0;
  file = begin_file(fd, d);
  if (file == NULL) return -2;
  if (d->append) at = file->size;
  else if (moves) at = get_lseek64()(fd, 0, SEEK_CUR);
  size_t length = total(parts, count);
  if (length == 0) return 0;
  char *bytes = malloc(length);
  if (bytes == NULL) { errno = ENOMEM; return -1; }
  size_t done = 0;
  for (int i = 0; i < count; i++) { memcpy(bytes + done, parts[i].iov_base, parts[i].iov_len); done += parts[i].iov_len; }
  if (file->count == file->room) {
    size_t room = file->room == 0 ? 16 : file->room * 2;
    struct extent *more = realloc(file->extents, room * sizeof *more);
    if (more == NULL) { free(bytes); errno = ENOMEM; return -1; }
    file->extents = more; file->room = room;
  }
  file->extents[file->count++] = (struct extent){ at, length, bytes };
  if (at + (off_t)length > file->size) file->size = at + (off_t)length;
  if (moves) get_lseek64()(fd, at + (off_t)length, SEEK_SET);
  add(8, (int64_t)length); add(16, (int64_t)length);
  return (ssize_t)length;
}
#define KEEP(parts, count, at, otherwise) pthread_mutex_lock(&lock); ssize_t n = keep_write(fd, parts, count, at); pthread_mutex_unlock(&lock); return n != -2 ? n : (otherwise);
ssize_t write(int fd, const void *bytes, size_t length) { if (fd < 0 || fd >= FDS || !fds[fd].tracked) return get_write()(fd, bytes, length); struct iovec part = { (void *)bytes, length }; KEEP(&part, 1, -1, get_write()(fd, bytes, length)) }
ssize_t pwrite64(int fd, const void *bytes, size_t length, off_t at) { struct iovec part = { (void *)bytes, length }; KEEP(&part, 1, at, get_pwrite64()(fd, bytes, length, at)) }
ssize_t pwrite(int fd, const void *bytes, size_t length, off_t at) { return pwrite64(fd, bytes, length, at); }
ssize_t writev(int fd, const struct iovec *parts, int count) { if (fd < 0 || fd >= FDS || !fds[fd].tracked) return get_writev()(fd, parts, count); KEEP(parts, count, -1, get_writev()(fd, parts, count)) }
ssize_t pwritev64(int fd, const struct iovec *parts, int count, off_t at) { KEEP(parts, count, at, get_pwritev64()(fd, parts, count, at)) }
ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t at) { return pwritev64(fd, parts, count, at); }
ssize_t pwritev2(int fd, const struct iovec *parts, int count, off_t at, int flags) {
  if (flags != 0) { pthread_mutex_lock(&lock); struct file *file = pending_fd(fd); int failed = file != NULL && write_out(file) != 0; pthread_mutex_unlock(&lock); return failed ? -1 : get_pwritev2()(fd, parts, count, at, flags); }
  return at < 0 ? writev(fd, parts, count) : pwritev64(fd, parts, count, at);
}
ssize_t pwritev64v2(int fd, const struct iovec *parts, int count, off_t at, int flags) { return pwritev2(fd, parts, count, at, flags); }

/* @returns -2 when nothing of the file is in memory. */
static ssize_t read_kept(int fd, const struct iovec *parts, int count, off_t at) {
  struct file *file = pending_fd(fd);
  if (file == NULL) return -2;
  int moves = at < 0;
  if (moves) at = get_lseek64()(fd, 0, SEEK_CUR);
  size_t length = total(parts, count);
  if (at >= file->size) return 0;
  if ((off_t)length > file->size - at) length = (size_t)(file->size - at);
  char *bytes = calloc(1, length == 0 ? 1 : length);
  if (bytes == NULL) { errno = ENOMEM; return -1; }
  for (size_t done = 0; done < length;) {
    ssize_t n = get_pread64()(fd, bytes + done, length - done, at + (off_t)done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) { free(bytes); return -1; }
    if (n == 0) break;
    done += (size_t)n;
  }
  for (size_t i = 0; i < file->count; i++) {
    struct extent *e = &file->extents[i];
    off_t from = e->at > at ? e->at : at, to = e->at + (off_t)e->length < at + (off_t)length ? e->at + (off_t)e->length : at + (off_t)length;
    if (from < to) memcpy(bytes + (from - at), e->bytes + (from - e->at), (size_t)(to - from));
  }
  size_t given = 0;
  for (int i = 0; i < count && given < length; i++) { size_t n = parts[i].iov_len < length - given ? parts[i].iov_len : length - given; memcpy(parts[i].iov_base, bytes + given, n); given += n; }
  free(bytes);
  if (moves) get_lseek64()(fd, at + (off_t)length, SEEK_SET);
  return (ssize_t)length;
}
#define KEPT(parts, count, at, otherwise) if (filesPending == 0) return (otherwise); pthread_mutex_lock(&lock); ssize_t n = read_kept(fd, parts, count, at); pthread_mutex_unlock(&lock); return n != -2 ? n : (otherwise);
ssize_t read(int fd, void *bytes, size_t length) { struct iovec part = { bytes, length }; KEPT(&part, 1, -1, get_read()(fd, bytes, length)) }
ssize_t pread64(int fd, void *bytes, size_t length, off_t at) { struct iovec part = { bytes, length }; KEPT(&part, 1, at, get_pread64()(fd, bytes, length, at)) }
ssize_t pread(int fd, void *bytes, size_t length, off_t at) { return pread64(fd, bytes, length, at); }
ssize_t readv(int fd, const struct iovec *parts, int count) { KEPT(parts, count, -1, get_readv()(fd, parts, count)) }
ssize_t preadv64(int fd, const struct iovec *parts, int count, off_t at) { KEPT(parts, count, at, get_preadv64()(fd, parts, count, at)) }
ssize_t preadv(int fd, const struct iovec *parts, int count, off_t at) { return preadv64(fd, parts, count, at); }
ssize_t __read_chk(int fd, void *bytes, size_t length, size_t room) { (void)room; return read(fd, bytes, length); }
ssize_t __pread_chk(int fd, void *bytes, size_t length, off_t at, size_t room) { (void)room; return pread64(fd, bytes, length, at); }
ssize_t __pread64_chk(int fd, void *bytes, size_t length, off_t at, size_t room) { (void)room; return pread64(fd, bytes, length, at); }

off_t lseek64(int fd, off_t offset, int whence) {
  pthread_mutex_lock(&lock);
  struct file *file = whence == SEEK_END ? pending_fd(fd) : NULL;
  off_t result = file == NULL ? get_lseek64()(fd, offset, whence) : get_lseek64()(fd, file->size + offset, SEEK_SET);
  pthread_mutex_unlock(&lock);
  return result;
}
off_t lseek(int fd, off_t offset, int whence) { return lseek64(fd, offset, whence); }

/* Runs `call` after the file is on its way to the disk. */
#define AFTER_WRITE_OUT(fd, type, call) pthread_mutex_lock(&lock); struct file *file = pending_fd(fd); int failed = file != NULL && write_out(file) != 0; pthread_mutex_unlock(&lock); return failed ? (type)-1 : (call);
int fsync(int fd) { AFTER_WRITE_OUT(fd, int, get_fsync()(fd)) }
int fdatasync(int fd) { AFTER_WRITE_OUT(fd, int, get_fdatasync()(fd)) }
int sync_file_range(int fd, off_t at, off_t length, unsigned int flags) { AFTER_WRITE_OUT(fd, int, get_sync_file_range()(fd, at, length, flags)) }
void *mmap64(void *where, size_t length, int protection, int flags, int fd, off_t at) { if (fd < 0) return get_mmap64()(where, length, protection, flags, fd, at); AFTER_WRITE_OUT(fd, void *, get_mmap64()(where, length, protection, flags, fd, at)) }
void *mmap(void *where, size_t length, int protection, int flags, int fd, off_t at) { return mmap64(where, length, protection, flags, fd, at); }
int fallocate64(int fd, int mode, off_t at, off_t length) { AFTER_WRITE_OUT(fd, int, get_fallocate64()(fd, mode, at, length)) }
int fallocate(int fd, int mode, off_t at, off_t length) { return fallocate64(fd, mode, at, length); }
int ftruncate64(int fd, off_t length) {
  pthread_mutex_lock(&lock);
  struct file *file = pending_fd(fd);
  int result = file != NULL && write_out(file) != 0 ? -1 : get_ftruncate64()(fd, length);
  pthread_mutex_unlock(&lock);
  return result;
}
int ftruncate(int fd, off_t length) { return ftruncate64(fd, length); }
void sync(void) { pthread_mutex_lock(&lock); write_out_all(); pthread_mutex_unlock(&lock); get_sync()(); }
int syncfs(int fd) { pthread_mutex_lock(&lock); write_out_all(); pthread_mutex_unlock(&lock); return get_syncfs()(fd); }
static void write_out_two(int one, int other) { pthread_mutex_lock(&lock); struct file *file = pending_fd(one); if (file != NULL) write_out(file); file = pending_fd(other); if (file != NULL) write_out(file); pthread_mutex_unlock(&lock); }
ssize_t sendfile64(int out, int in, off_t *at, size_t length) { write_out_two(out, in); return get_sendfile64()(out, in, at, length); }
ssize_t sendfile(int out, int in, off_t *at, size_t length) { return sendfile64(out, in, at, length); }
ssize_t copy_file_range(int in, off_t *inAt, int out, off_t *outAt, size_t length, unsigned int flags) { write_out_two(out, in); return get_copy_file_range()(in, inAt, out, outAt, length, flags); }

/* A name that goes takes what is in memory with it when it was the last. */
static void gone(struct stat64 *was) { struct file *file = was->st_nlink <= 1 ? pending(was->st_dev, was->st_ino) : NULL; if (file != NULL) drop(file); }
int unlinkat(int dir, const char *path, int flags) {
  pthread_mutex_lock(&lock);
  struct stat64 was;
  int known = filesPending > 0 && get_fstatat64()(dir, path, &was, AT_SYMLINK_NOFOLLOW) == 0;
  int result = get_unlinkat()(dir, path, flags);
  if (result == 0 && known) gone(&was);
  pthread_mutex_unlock(&lock);
  return result;
}
int unlink(const char *path) { return unlinkat(AT_FDCWD, path, 0); }
int renameat2(int fromDir, const char *from, int toDir, const char *to, unsigned int flags) {
  pthread_mutex_lock(&lock);
  struct stat64 was, moved;
  int known = filesPending > 0 && flags == 0 && get_fstatat64()(toDir, to, &was, AT_SYMLINK_NOFOLLOW) == 0 && get_fstatat64()(fromDir, from, &moved, AT_SYMLINK_NOFOLLOW) == 0 && was.st_ino != moved.st_ino;
  int result = get_renameat2()(fromDir, from, toDir, to, flags);
  if (result == 0 && known) gone(&was);
  pthread_mutex_unlock(&lock);
  return result;
}
int renameat(int fromDir, const char *from, int toDir, const char *to) { return renameat2(fromDir, from, toDir, to, 0); }
int rename(const char *from, const char *to) { return renameat2(AT_FDCWD, from, AT_FDCWD, to, 0); }
int truncate64(const char *path, off_t length) {
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return -1;
  int result = ftruncate64(fd, length), code = errno;
  close(fd);
  errno = code;
  return result;
}
int truncate(const char *path, off_t length) { return truncate64(path, length); }

/* Sizes as this process sees them. */
static int sized(int result, struct stat64 *is) {
  if (result == 0 && filesPending > 0) { pthread_mutex_lock(&lock); struct file *file = pending(is->st_dev, is->st_ino); if (file != NULL) is->st_size = file->size; pthread_mutex_unlock(&lock); }
  return result;
}
_Static_assert(sizeof(struct stat) == sizeof(struct stat64), "64-bit systems only");
int fstatat64(int dir, const char *path, struct stat64 *is, int flags) { return sized(get_fstatat64()(dir, path, is, flags), is); }
int fstatat(int dir, const char *path, struct stat *is, int flags) { return fstatat64(dir, path, (struct stat64 *)is, flags); }
int fstat64(int fd, struct stat64 *is) { return fstatat64(fd, "", is, AT_EMPTY_PATH); }
int fstat(int fd, struct stat *is) { return fstat64(fd, (struct stat64 *)is); }
int stat64(const char *path, struct stat64 *is) { return fstatat64(AT_FDCWD, path, is, 0); }
int stat(const char *path, struct stat *is) { return stat64(path, (struct stat64 *)is); }
int lstat64(const char *path, struct stat64 *is) { return fstatat64(AT_FDCWD, path, is, AT_SYMLINK_NOFOLLOW); }
int lstat(const char *path, struct stat *is) { return lstat64(path, (struct stat64 *)is); }
int __fxstat64(int version, int fd, struct stat64 *is) { (void)version; return fstat64(fd, is); }
int __xstat64(int version, const char *path, struct stat64 *is) { (void)version; return stat64(path, is); }
int __lxstat64(int version, const char *path, struct stat64 *is) { (void)version; return lstat64(path, is); }
int __fxstat(int version, int fd, struct stat *is) { (void)version; return fstat(fd, is); }
int __xstat(int version, const char *path, struct stat *is) { (void)version; return stat(path, is); }
int __lxstat(int version, const char *path, struct stat *is) { (void)version; return lstat(path, is); }
static void sized_x(struct statx *is) {
  if (filesPending == 0) return;
  pthread_mutex_lock(&lock);
  struct file *file = pending(makedev(is->stx_dev_major, is->stx_dev_minor), is->stx_ino);
  if (file != NULL) is->stx_size = (uint64_t)file->size;
  pthread_mutex_unlock(&lock);
}
int statx(int dir, const char *path, int flags, unsigned int mask, struct statx *is) { int result = get_statx()(dir, path, flags, mask, is); if (result == 0) sized_x(is); return result; }

/*
 * stdio (LevelDB writes its files with it) calls the system from inside of libc, past this shim. Its streams on files under the folder become
 * streams of ours, whose bytes pass by read and write above.
 */
struct stream { FILE *file; int fd; struct stream *next; };
static struct stream *streams;
static ssize_t stream_read(void *cookie, char *bytes, size_t length) { return read(((struct stream *)cookie)->fd, bytes, length); }
static ssize_t stream_write(void *cookie, const char *bytes, size_t length) {
  size_t done = 0;
  while (done < length) { ssize_t n = write(((struct stream *)cookie)->fd, bytes + done, length - done); if (n <= 0) break; done += (size_t)n; }
  return (ssize_t)done;
}
static int stream_seek(void *cookie, off64_t *at, int whence) { off_t to = lseek64(((struct stream *)cookie)->fd, *at, whence); if (to < 0) return -1; *at = to; return 0; }
static int stream_close(void *cookie) {
  struct stream *stream = cookie;
  pthread_mutex_lock(&lock);
  struct stream **at = &streams;
  while (*at != NULL && *at != stream) at = &(*at)->next;
  if (*at != NULL) *at = stream->next;
  pthread_mutex_unlock(&lock);
  int result = close(stream->fd);
  free(stream);
  return result;
}
static FILE *stream_on(int fd, const char *mode) {
  struct stream *stream = malloc(sizeof *stream);
  if (stream == NULL) return NULL;
  stream->fd = fd;
  stream->file = fopencookie(stream, mode, (cookie_io_functions_t){ stream_read, stream_write, stream_seek, stream_close });
  if (stream->file == NULL) { free(stream); return NULL; }
  pthread_mutex_lock(&lock);
  stream->next = streams;
  streams = stream;
  pthread_mutex_unlock(&lock);
  return stream->file;
}
FILE *fopen64(const char *path, const char *mode) {
  int plus = strchr(mode, '+') != NULL, flags = mode[0] == 'r' ? 0 : mode[0] == 'w' ? O_CREAT | O_TRUNC : O_CREAT | O_APPEND;
  if (rootLength == 0) return get_fopen64()(path, mode);
  int fd = open64(path, flags | (plus ? O_RDWR : mode[0] == 'r' ? O_RDONLY : O_WRONLY) | (strchr(mode, 'e') != NULL ? O_CLOEXEC : 0) | (strchr(mode, 'x') != NULL ? O_EXCL : 0), 0666);
  if (fd < 0) return NULL;
  FILE *file = fds[fd < FDS ? fd : 0].tracked && fd < FDS ? stream_on(fd, mode) : get_fdopen()(fd, mode);
  if (file == NULL) close(fd);
  return file;
}
FILE *fopen(const char *path, const char *mode) { return fopen64(path, mode); }
FILE *fdopen(int fd, const char *mode) { return tracked(fd) != NULL ? stream_on(fd, mode) : get_fdopen()(fd, mode); }
int fileno(FILE *file) {
  int fd = -1;
  pthread_mutex_lock(&lock);
  for (struct stream *stream = streams; stream != NULL; stream = stream->next) if (stream->file == file) fd = stream->fd;
  pthread_mutex_unlock(&lock);
  return fd >= 0 ? fd : get_fileno()(file);
}
int fileno_unlocked(FILE *file) { return fileno(file); }

/* libuv makes some calls by number. */
long syscall(long number, ...) {
  va_list more;
  va_start(more, number);
  long a = va_arg(more, long), b = va_arg(more, long), c = va_arg(more, long), d = va_arg(more, long), e = va_arg(more, long), f = va_arg(more, long);
  va_end(more);
  if (number == SYS_copy_file_range) write_out_two((int)a, (int)c);
  long result = get_syscall()(number, a, b, c, d, e, f);
  if (number == SYS_statx && result == 0) sized_x((struct statx *)e);
  return result;
}

void _exit(int status) { end(); get__exit()(status); for (;;); }
void _Exit(int status) { _exit(status); }
