/* SPDX-License-Identifier: MIT */
#include "host/pack.h"

#include "base/cleanup.h"
#include "host/error.h"
#include "host/tree.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#define BLOCK     512u
#define PIECE     (64u << 10)
#define PATH_MOST (64u << 10)
#define OCTAL_MAX 077777777777ull /* what 11 digits hold */

struct header { /* POSIX ustar */
    char name[100];
    char mode[8];
    char uid[8];
    char gid[8];
    char size[12];
    char mtime[12];
    char chksum[8];
    char typeflag;
    char linkname[100];
    char magic[6];
    char version[2];
    char uname[32];
    char gname[32];
    char devmajor[8];
    char devminor[8];
    char prefix[155];
    char pad[12];
};
_Static_assert(sizeof(struct header) == BLOCK, "a tar header is one block");

sbx_status pack_init(struct pack *p, const char *host_dir, struct sbx_error *error)
{
    memset(p, 0, sizeof *p);
    p->file = -1;
    p->error.size = sizeof p->error;
    buf_init(&p->path, PATH_MOST);
    buf_init(&p->out, 4 * PATH_MOST);
    CLEANUP_FD int fd = open(host_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return tree_error(error, errno, "'%s' on this machine", host_dir);
    DIR *dir = fdopendir(fd);
    if (dir == NULL)
        return error_no_memory(error);
    (void)steal_fd(&fd);
    p->levels[p->depth++] = (struct pack_level){dir, 2};
    return buf_text(&p->path, "./") != 0 ? error_no_memory(error) : SBX_OK;
}

void pack_finish(struct pack *p)
{
    while (p->depth > 0)
        (void)closedir(p->levels[--p->depth].dir);
    if (p->file >= 0)
        (void)close(p->file);
    p->file = -1;
    buf_finish(&p->path);
    buf_finish(&p->out);
}

/* --- headers ---------------------------------------------------------------------------------------------------- */

static void set_number(char *field, size_t size, uint64_t value)
{
    field[size - 1] = '\0';
    for (size_t i = size - 1; i-- > 0; value /= 8)
        field[i] = (char)('0' + value % 8);
}

/* Puts a text into a field that needs no NUL at its end; 0 when it does not fit. */
static int set_text(char *field, size_t size, const char *text, size_t len)
{
    if (len > size)
        return 0;
    memcpy(field, text, len);
    return 1;
}

/* Splits at a slash into prefix and name, as ustar has it; 0 when there is no place for that. */
static int set_name(struct header *h, const char *name, size_t len)
{
    if (set_text(h->name, sizeof h->name, name, len))
        return 1;
    for (size_t i = len > sizeof h->name + 1 ? len - sizeof h->name - 1 : 1; i < len - 1; i++) {
        if (name[i] != '/')
            continue;
        if (i > sizeof h->prefix)
            return 0;
        memcpy(h->prefix, name, i);
        memcpy(h->name, name + i + 1, len - i - 1);
        return 1;
    }
    return 0;
}

static void put_header(struct pack *p, struct header *h)
{
    unsigned sum = 0;
    memcpy(h->magic, "ustar", sizeof h->magic);
    memcpy(h->version, "00", sizeof h->version);
    set_number(h->uid, sizeof h->uid, 0);
    set_number(h->gid, sizeof h->gid, 0);
    memset(h->chksum, ' ', sizeof h->chksum);
    const unsigned char *bytes = (const unsigned char *)h;
    for (size_t i = 0; i < sizeof *h; i++)
        sum += bytes[i];
    set_number(h->chksum, sizeof h->chksum - 1, sum);
    (void)buf_append(&p->out, h, sizeof *h);
}

static void put_padding(struct pack *p, uint64_t len)
{
    static const char zeros[2 * BLOCK] = {0};
    if (len % BLOCK != 0)
        (void)buf_append(&p->out, zeros, BLOCK - (size_t)(len % BLOCK));
}

/* One pax record: its own length first, in decimal and counting itself. */
static void add_record(struct buf *records, const char *key, const char *value, size_t value_len)
{
    size_t rest = strlen(key) + value_len + 3; /* blank, equals, newline */
    size_t digits = 1;
    for (size_t limit = 10; rest + digits >= limit; limit *= 10)
        digits++;
    (void)buf_format(records, "%zu %s=", rest + digits, key);
    (void)buf_append(records, value, value_len);
    (void)buf_text(records, "\n");
}

/* The entry's headers: a pax one before it where ustar has no room. */
static void put_entry(struct pack *p, const struct stat *st, char type, const char *link, size_t link_len)
{
    struct header h = {.typeflag = type};
    CLEANUP_BUF struct buf records;
    uint64_t size = type == '0' ? (uint64_t)st->st_size : 0;
    uint64_t mtime = st->st_mtime > 0 ? (uint64_t)st->st_mtime : 0;
    buf_init(&records, 4 * PATH_MOST);
    if (!set_name(&h, p->path.data, p->path.len)) {
        add_record(&records, "path", p->path.data, p->path.len);
        memcpy(h.name, p->path.data, sizeof h.name);
    }
    if (link_len > 0 && !set_text(h.linkname, sizeof h.linkname, link, link_len))
        add_record(&records, "linkpath", link, link_len);
    if (size > OCTAL_MAX) {
        char number[24];
        int len = snprintf(number, sizeof number, "%llu", (unsigned long long)size);
        add_record(&records, "size", number, (size_t)len);
    }
    if (records.len > 0) {
        struct header pax = {.name = "./pax", .typeflag = 'x'};
        set_number(pax.mode, sizeof pax.mode, 0644);
        set_number(pax.size, sizeof pax.size, records.len);
        set_number(pax.mtime, sizeof pax.mtime, 0);
        put_header(p, &pax);
        (void)buf_append(&p->out, records.data, records.len);
        put_padding(p, records.len);
    }
    set_number(h.mode, sizeof h.mode, st->st_mode & 0777);
    set_number(h.size, sizeof h.size, size <= OCTAL_MAX ? size : 0);
    set_number(h.mtime, sizeof h.mtime, mtime <= OCTAL_MAX ? mtime : 0);
    put_header(p, &h);
    if (records.failed != 0)
        p->out.failed = records.failed;
}

/* --- the walk --------------------------------------------------------------------------------------------------- */

static int fail(struct pack *p, int cause)
{
    (void)tree_error(&p->error, cause, "'%s' on this machine", p->path.data);
    return -1;
}

static int enter_dir(struct pack *p, int parent, const char *name)
{
    struct stat st;
    if (p->depth == PACK_DEPTH_MAX) {
        (void)error_set(&p->error, SBX_E_TOO_LARGE, "'%s': deeper than %d directories", p->path.data, PACK_DEPTH_MAX);
        return -1;
    }
    CLEANUP_FD int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) != 0)
        return fail(p, errno);
    DIR *dir = fdopendir(fd);
    if (dir == NULL)
        return fail(p, errno);
    (void)steal_fd(&fd);
    (void)buf_text(&p->path, "/");
    p->levels[p->depth++] = (struct pack_level){dir, p->path.len};
    put_entry(p, &st, '5', NULL, 0);
    return 0;
}

static int enter_file(struct pack *p, int parent, const char *name)
{
    struct stat st;
    CLEANUP_FD int fd = openat(parent, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) != 0)
        return fail(p, errno);
    if (!S_ISREG(st.st_mode)) {
        (void)error_set(&p->error, SBX_E_BAD_PATH, "'%s': no longer a file", p->path.data);
        return -1;
    }
    put_entry(p, &st, '0', NULL, 0);
    p->size = p->left = (uint64_t)st.st_size;
    p->file = steal_fd(&fd);
    return 0;
}

static int enter_link(struct pack *p, int parent, const char *name, const struct stat *st)
{
    char target[PATH_MAX];
    ssize_t len = readlinkat(parent, name, target, sizeof target);
    if (len < 0)
        return fail(p, errno);
    if (len == 0 || (size_t)len == sizeof target)
        return fail(p, ENAMETOOLONG);
    put_entry(p, st, '2', target, (size_t)len);
    return 0;
}

/* Makes the headers of the next entry, or ends a directory, or the archive. */
static int next_entry(struct pack *p)
{
    struct pack_level *level = &p->levels[p->depth - 1];
    struct stat st;
    errno = 0;
    struct dirent *entry = readdir(level->dir);
    p->path.len = level->path_len;
    p->path.data[p->path.len] = '\0';
    if (entry == NULL && errno != 0)
        return fail(p, errno);
    if (entry == NULL) {
        static const char zeros[2 * BLOCK] = {0};
        (void)closedir(level->dir);
        if (--p->depth > 0)
            return 0;
        p->ended = 1;
        return buf_append(&p->out, zeros, sizeof zeros);
    }
    if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
        return 0;
    if (buf_text(&p->path, entry->d_name) != 0)
        return fail(p, ENAMETOOLONG);
    int parent = dirfd(level->dir);
    if (fstatat(parent, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return fail(p, errno);
    if (S_ISDIR(st.st_mode))
        return enter_dir(p, parent, entry->d_name);
    if (S_ISREG(st.st_mode))
        return enter_file(p, parent, entry->d_name);
    if (S_ISLNK(st.st_mode))
        return enter_link(p, parent, entry->d_name, &st);
    (void)error_set(&p->error, SBX_E_BAD_PATH, "'%s' on this machine is neither file, directory nor link",
                    p->path.data);
    return -1;
}

/* The next piece of the file under way; its size is what its header said, or the stream fails. */
static int next_piece(struct pack *p)
{
    char piece[PIECE / 4];
    size_t want = p->left < sizeof piece ? (size_t)p->left : sizeof piece;
    ssize_t got;
    do
        got = read(p->file, piece, want > 0 ? want : 1);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return fail(p, errno);
    if ((want > 0 && got == 0) || (want == 0 && got > 0)) {
        (void)error_set(&p->error, SBX_E_FAILED, "'%s' on this machine changed while it was read", p->path.data);
        return -1;
    }
    if (want > 0) {
        p->left -= (uint64_t)got;
        return buf_append(&p->out, piece, (size_t)got);
    }
    put_padding(p, p->size);
    (void)close(p->file);
    p->file = -1;
    return 0;
}

int64_t pack_read(void *user, void *buf, size_t cap)
{
    struct pack *p = user;
    while (p->out.len == 0) {
        if (p->error.code != SBX_OK)
            return -1;
        if (p->ended)
            return 0;
        int result = p->file >= 0 ? next_piece(p) : next_entry(p);
        if ((result != 0 || p->out.failed != 0) && p->error.code == SBX_OK)
            (void)error_no_memory(&p->error);
        if (p->error.code != SBX_OK)
            return -1;
    }
    size_t given = p->out.len < cap ? p->out.len : cap;
    memcpy(buf, p->out.data, given);
    buf_consume(&p->out, given);
    return (int64_t)given;
}
