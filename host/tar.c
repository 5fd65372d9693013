/* SPDX-License-Identifier: MIT
 *
 * tar.c - the only user of libarchive, and there only of its tar reader: no other format, no filter, and none of its
 * writing to disk. Every name is walked from the root by openat without following links.
 */
#include "host/tar.h"

#include "base/cleanup.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <locale.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PIECE     (64u << 10)
#define NAME_MOST 4096u

/* What is known of the raw stream: enough to tell a whole archive from a cut one. */
struct stream {
    int fd;
    int os_errno;
    uint64_t total;
    uint64_t behind_last; /* offset behind the last byte that is not zero */
    unsigned char piece[PIECE];
};

struct extraction {
    struct stream stream;
    int root;
    const struct tar_limits *limits;
    uint64_t entries;
    uint64_t bytes;
    struct sbx_error *error;
    unsigned char data[PIECE];
};

static sbx_status refuse(struct extraction *x, sbx_status code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static sbx_status refuse(struct extraction *x, sbx_status code, const char *format, ...)
{
    va_list args;
    x->error->code = code;
    va_start(args, format);
    (void)vsnprintf(x->error->message, sizeof x->error->message, format, args);
    va_end(args);
    return code;
}

static sbx_status refuse_errno(struct extraction *x, const char *name)
{
    int cause = errno;
    char text[128];
    sbx_status code = cause == ENOSPC || cause == EDQUOT ? SBX_E_QUOTA : SBX_E_FAILED;
    if (cause == EACCES || cause == EPERM)
        code = SBX_E_PERMISSION;
    (void)refuse(x, code, "archive: '%s': %s", name, strerror_r(cause, text, sizeof text));
    x->error->os_errno = cause;
    return code;
}

/* --- the stream ------------------------------------------------------------------------------------------------- */

static la_ssize_t stream_read(struct archive *a, void *user, const void **out)
{
    struct stream *s = user;
    ssize_t got;
    do
        got = read(s->fd, s->piece, sizeof s->piece);
    while (got < 0 && errno == EINTR);
    if (got < 0) {
        s->os_errno = errno;
        archive_set_error(a, errno, "read");
        return -1;
    }
    for (ssize_t i = got; i > 0; i--) {
        if (s->piece[i - 1] != 0) {
            s->behind_last = s->total + (uint64_t)i;
            break;
        }
    }
    s->total += (uint64_t)got;
    *out = s->piece;
    return got;
}

/* libarchive takes a stream that is cut between two entries for a whole one, and ignores what follows the end. */
static sbx_status check_end(struct extraction *x, struct archive *a, uint64_t end)
{
    const void *unused;
    la_ssize_t got;
    while ((got = stream_read(a, &x->stream, &unused)) > 0)
        continue;
    if (got < 0)
        return refuse(x, SBX_E_FAILED, "archive: the stream cannot be read");
    if (x->stream.total < end + 1024)
        return refuse(x, SBX_E_PROTOCOL, "archive: it was cut off before its end");
    if (x->stream.behind_last > end)
        return refuse(x, SBX_E_PROTOCOL, "archive: there is more behind its end");
    return SBX_OK;
}

/* --- names ------------------------------------------------------------------------------------------------------ */

/* Copies a name without its empty and "." parts; "" stands for the root itself. */
static sbx_status clean_name(struct extraction *x, const char *raw, char out[NAME_MOST])
{
    size_t len = 0;
    uint32_t depth = 0;
    out[0] = '\0';
    if (raw == NULL)
        return refuse(x, SBX_E_PROTOCOL, "archive: an entry has no name");
    if (raw[0] == '/')
        return refuse(x, SBX_E_BAD_PATH, "archive: the name '%.200s' is absolute", raw);
    while (*raw != '\0') {
        size_t part = strcspn(raw, "/");
        if (part == 2 && raw[0] == '.' && raw[1] == '.')
            return refuse(x, SBX_E_BAD_PATH, "archive: a name leads out by '..'");
        if (part > 0 && !(part == 1 && raw[0] == '.')) {
            if (len + part + 2 > NAME_MOST || part > 255)
                return refuse(x, SBX_E_TOO_LARGE, "archive: a name is longer than %u bytes", NAME_MOST);
            if (++depth > x->limits->depth)
                return refuse(x, SBX_E_TOO_LARGE, "archive: more than %u directories deep", x->limits->depth);
            if (len > 0)
                out[len++] = '/';
            memcpy(out + len, raw, part);
            len += part;
            out[len] = '\0';
        }
        raw += part;
        raw += *raw == '/';
    }
    return SBX_OK;
}

/* A link may climb first and then descend, and may not climb above the root: so no chain of links leads out either. */
static int link_stays_inside(const char *name, const char *target)
{
    size_t up_left = 0;
    int descended = 0;
    if (target[0] == '/' || target[0] == '\0' || strlen(target) >= NAME_MOST)
        return 0;
    for (const char *p = name; *p != '\0'; p++)
        up_left += *p == '/';
    while (*target != '\0') {
        size_t part = strcspn(target, "/");
        if (part == 2 && target[0] == '.' && target[1] == '.') {
            if (descended || up_left == 0)
                return 0;
            up_left--;
        } else if (part > 0 && !(part == 1 && target[0] == '.')) {
            descended = 1;
        }
        target += part;
        target += *target == '/';
    }
    return 1;
}

/* Opens the directory that holds `name`, making what is missing, and gives the last part. */
static sbx_status open_parent(struct extraction *x, const char *name, int make, int *out, const char **last)
{
    CLEANUP_FD int at = fcntl(x->root, F_DUPFD_CLOEXEC, 3);
    const char *p = name;
    if (at < 0)
        return refuse_errno(x, name);
    for (const char *slash; (slash = strchr(p, '/')) != NULL; p = slash + 1) {
        char part[256];
        size_t len = (size_t)(slash - p);
        memcpy(part, p, len);
        part[len] = '\0';
        if (make && mkdirat(at, part, 0700) != 0 && errno != EEXIST)
            return refuse_errno(x, name);
        int next = openat(at, part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (next < 0 && (errno == ELOOP || errno == ENOTDIR))
            return refuse(x, SBX_E_BAD_PATH, "archive: '%.300s' leads through what is no directory", name);
        if (next < 0)
            return refuse_errno(x, name);
        (void)close(at);
        at = next;
    }
    *last = p;
    *out = steal_fd(&at);
    return SBX_OK;
}

/* --- entries ---------------------------------------------------------------------------------------------------- */

static sbx_status take_directory(struct extraction *x, struct archive_entry *entry, int parent, const char *last,
                                 const char *name)
{
    if (mkdirat(parent, last, 0700) != 0 && errno != EEXIST)
        return refuse_errno(x, name);
    CLEANUP_FD int fd = openat(parent, last, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return refuse(x, SBX_E_BAD_PATH, "archive: '%.300s' comes twice, and once not as a directory", name);
    /* Its owner keeps the right to fill it and to clear it away. */
    if (fchmod(fd, (archive_entry_perm(entry) & 0777) | 0700) != 0)
        return refuse_errno(x, name);
    return SBX_OK;
}

/* The way is free for a file or a link: what came earlier under this name goes, unless it is a directory. */
static sbx_status clear_name(struct extraction *x, int parent, const char *last, const char *name)
{
    if (unlinkat(parent, last, 0) == 0 || errno == ENOENT)
        return SBX_OK;
    if (errno == EISDIR || errno == EPERM)
        return refuse(x, SBX_E_BAD_PATH, "archive: '%.300s' comes twice, and once as a directory", name);
    return refuse_errno(x, name);
}

static sbx_status take_link(struct extraction *x, struct archive_entry *entry, int parent, const char *last,
                            const char *name)
{
    const char *target = archive_entry_symlink(entry);
    if (target == NULL || !link_stays_inside(name, target))
        return refuse(x, SBX_E_BAD_PATH, "archive: the link '%.200s' leads out, to '%.200s'", name,
                      target != NULL ? target : "");
    return symlinkat(target, parent, last) == 0 ? SBX_OK : refuse_errno(x, name);
}

static sbx_status take_hard_link(struct extraction *x, const char *raw_target, int parent, const char *last,
                                 const char *name)
{
    char target[NAME_MOST];
    const char *target_last = NULL;
    CLEANUP_FD int from = -1;
    struct stat st;
    sbx_status status = clean_name(x, raw_target, target);
    if (status != SBX_OK)
        return status;
    if (strcmp(target, name) == 0 || target[0] == '\0')
        return refuse(x, SBX_E_BAD_PATH, "archive: '%.300s' is a hard link to itself", name);
    status = open_parent(x, target, 0, &from, &target_last);
    if (status != SBX_OK)
        return status;
    if (fstatat(from, target_last, &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(st.st_mode))
        return refuse(x, SBX_E_BAD_PATH, "archive: '%.200s' is a hard link to '%.200s', which is no file here", name,
                      target);
    status = clear_name(x, parent, last, name);
    if (status == SBX_OK && linkat(from, target_last, parent, last, 0) != 0)
        status = refuse_errno(x, name);
    return status;
}

static sbx_status copy_data(struct extraction *x, struct archive *a, int fd, const char *name)
{
    for (;;) {
        la_ssize_t got = archive_read_data(a, x->data, sizeof x->data);
        if (got == ARCHIVE_RETRY)
            continue;
        if (got < 0)
            return refuse(x, SBX_E_PROTOCOL, "archive: '%.200s': %s", name,
                          archive_error_string(a) != NULL ? archive_error_string(a) : "broken");
        if (got == 0)
            return SBX_OK;
        if ((uint64_t)got > x->limits->bytes - x->bytes)
            return refuse(x, SBX_E_TOO_LARGE, "archive: more than %llu bytes", (unsigned long long)x->limits->bytes);
        x->bytes += (uint64_t)got;
        for (la_ssize_t done = 0; done < got;) {
            ssize_t written = write(fd, x->data + done, (size_t)(got - done));
            if (written < 0 && errno != EINTR)
                return refuse_errno(x, name);
            done += written > 0 ? written : 0;
        }
    }
}

static sbx_status take_file(struct extraction *x, struct archive *a, struct archive_entry *entry, int parent,
                            const char *last, const char *name)
{
    int64_t size = archive_entry_size(entry);
    if (size < 0 || (uint64_t)size > x->limits->bytes - x->bytes)
        return refuse(x, SBX_E_TOO_LARGE, "archive: '%.200s' goes over the limit of %llu bytes", name,
                      (unsigned long long)x->limits->bytes);
    CLEANUP_FD int fd = openat(parent, last, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return refuse_errno(x, name);
    sbx_status status = copy_data(x, a, fd, name);
    if (status != SBX_OK)
        return status;
    const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = archive_entry_mtime(entry)}};
    if (archive_entry_mtime_is_set(entry))
        (void)futimens(fd, times);
    return fchmod(fd, archive_entry_perm(entry) & 0777) == 0 ? SBX_OK : refuse_errno(x, name);
}

static sbx_status take_entry(struct extraction *x, struct archive *a, struct archive_entry *entry)
{
    char name[NAME_MOST];
    const char *last = NULL;
    CLEANUP_FD int parent = -1;
    const char *hard = archive_entry_hardlink(entry);
    mode_t type = archive_entry_filetype(entry);
    if (++x->entries > x->limits->entries)
        return refuse(x, SBX_E_TOO_LARGE, "archive: more than %llu entries", (unsigned long long)x->limits->entries);
    sbx_status status = clean_name(x, archive_entry_pathname(entry), name);
    if (status != SBX_OK)
        return status;
    if (hard == NULL && type != AE_IFREG && type != AE_IFDIR && type != AE_IFLNK)
        return refuse(x, SBX_E_BAD_PATH, "archive: '%.300s' is neither file, directory nor link", name);
    if (name[0] == '\0')
        return hard == NULL && type == AE_IFDIR ? SBX_OK
                                                : refuse(x, SBX_E_BAD_PATH, "archive: its root is not a directory");
    status = open_parent(x, name, 1, &parent, &last);
    if (status != SBX_OK)
        return status;
    if (hard != NULL)
        return take_hard_link(x, hard, parent, last, name);
    if (type == AE_IFDIR)
        return take_directory(x, entry, parent, last, name);
    status = clear_name(x, parent, last, name);
    if (status != SBX_OK)
        return status;
    return type == AE_IFLNK ? take_link(x, entry, parent, last, name) : take_file(x, a, entry, parent, last, name);
}

/* --- the whole -------------------------------------------------------------------------------------------------- */

static sbx_status extract_all(struct extraction *x, struct archive *a)
{
    struct archive_entry *entry = NULL;
    if (archive_read_support_format_tar(a) != ARCHIVE_OK ||
        archive_read_open(a, &x->stream, NULL, stream_read, NULL) != ARCHIVE_OK)
        return refuse(x, SBX_E_PROTOCOL, "archive: %s",
                      archive_error_string(a) != NULL ? archive_error_string(a) : "cannot be opened");
    for (;;) {
        int result = archive_read_next_header(a, &entry);
        if (result == ARCHIVE_EOF)
            return check_end(x, a, (uint64_t)archive_read_header_position(a));
        /* To go on would mean an entry left out (ARCHIVE_RETRY), or one whose name is not quite its own (ARCHIVE_WARN).
         */
        if (result != ARCHIVE_OK)
            return refuse(x, SBX_E_PROTOCOL, "archive: %s",
                          archive_error_string(a) != NULL ? archive_error_string(a) : "broken");
        sbx_status status = take_entry(x, a, entry);
        if (status != SBX_OK)
            return status;
    }
}

static sbx_status extract(int fd, int root, const struct tar_limits *limits, struct sbx_error *error)
{
    struct extraction *x = calloc(1, sizeof *x);
    struct archive *a = archive_read_new();
    /* Names are bytes: this thread alone reads them as UTF-8, so that libarchive converts nothing. */
    locale_t utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
    locale_t before = utf8 != (locale_t)0 ? uselocale(utf8) : (locale_t)0;
    sbx_status status = SBX_E_NO_MEMORY;
    if (x != NULL && a != NULL) {
        x->stream.fd = fd;
        x->root = root;
        x->limits = limits;
        x->error = error;
        status = extract_all(x, a);
    } else {
        error->code = status;
        (void)snprintf(error->message, sizeof error->message, "out of memory");
    }
    if (utf8 != (locale_t)0) {
        (void)uselocale(before);
        freelocale(utf8);
    }
    if (a != NULL)
        (void)archive_read_free(a);
    free(x);
    return status;
}

const struct tar_module sbx_archive_v1 = {.size = sizeof(struct tar_module), .extract = extract};
