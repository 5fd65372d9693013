/* SPDX-License-Identifier: MIT */
#include "guest/path.h"

#include <errno.h>
#include <string.h>

#include "guest/user.h"

sbx_status status_of(int os_errno)
{
    static const struct {
        int os_errno;
        sbx_status status;
    } MAP[] = {
        {ENOENT, SBX_E_NOT_FOUND},
        {ENOTDIR, SBX_E_NOT_FOUND},
        {EACCES, SBX_E_PERMISSION},
        {EPERM, SBX_E_PERMISSION},
        {EROFS, SBX_E_PERMISSION},
        {EISDIR, SBX_E_IS_DIR},
        {EEXIST, SBX_E_EXISTS},
        {ENOTEMPTY, SBX_E_EXISTS},
        {ENAMETOOLONG, SBX_E_BAD_PATH},
        {ELOOP, SBX_E_BAD_PATH},
        {EINVAL, SBX_E_BAD_PATH},
        {ENXIO, SBX_E_BAD_PATH},
        {EILSEQ, SBX_E_BAD_PATH},
        {ENOSPC, SBX_E_QUOTA},
        {EDQUOT, SBX_E_QUOTA},
        {EMFILE, SBX_E_QUOTA},
        {ENFILE, SBX_E_QUOTA},
        {EAGAIN, SBX_E_QUOTA},
        {EMLINK, SBX_E_QUOTA},
        {EFBIG, SBX_E_TOO_LARGE},
        {E2BIG, SBX_E_TOO_LARGE},
        {ENOMEM, SBX_E_NO_MEMORY},
        {EBUSY, SBX_E_BUSY},
        {ETXTBSY, SBX_E_BUSY},
        {ENOSYS, SBX_E_UNSUPPORTED},
        {EOPNOTSUPP, SBX_E_UNSUPPORTED},
    };
    for (size_t i = 0; i < sizeof MAP / sizeof *MAP; i++)
        if (MAP[i].os_errno == os_errno)
            return MAP[i].status;
    return SBX_E_FAILED;
}

/* The usual words; not strerror's, which would name a path through a file "not a directory". */
const char *path_reason(int os_errno)
{
    switch (os_errno) {
    case ENOENT:
    case ENOTDIR:
        return "no such file or directory";
    case EACCES:
    case EPERM:
        return "permission denied";
    case EISDIR:
        return "is a directory";
    default:
        return strerror(os_errno);
    }
}

void path_fail(struct request *r, int os_errno, const char *what)
{
    request_fail(r, status_of(os_errno), os_errno, "%s: '%s': %s", what, r->given, path_reason(os_errno));
}

sbx_status path_of(const struct guest *g, const struct identity *who, const struct fields *f, enum wire_field tag,
                   char *out)
{
    char text[PATH_MAX];
    const char *base = g->workdir, *rest = text;
    if (fields_text(f, tag, text, sizeof text) != 0 || text[0] == '\0')
        return SBX_E_BAD_PATH;
    if (text[0] == '/') {
        memcpy(out, text, strlen(text) + 1);
        return SBX_OK;
    }
    if (text[0] == '~' && (text[1] == '/' || text[1] == '\0')) {
        base = who->home;
        rest = text[1] == '/' ? text + 2 : text + 1;
    }
    size_t base_len = strlen(base), rest_len = strlen(rest);
    if (base_len + 1 + rest_len >= PATH_MAX)
        return SBX_E_BAD_PATH;
    memcpy(out, base, base_len);
    out[base_len] = '/';
    memcpy(out + base_len + 1, rest, rest_len + 1);
    return SBX_OK;
}

int path_strip(char *path)
{
    size_t len = strlen(path), before = len;
    while (len > 1 && path[len - 1] == '/')
        path[--len] = '\0';
    return len < before;
}

int path_begin(struct request *r, const struct fields *f, const char *what, struct identity *who, char *path)
{
    char message[GUEST_MESSAGE_MAX];
    const struct wire_field_view *v = &f->text[F_PATH];
    size_t len = v->len < sizeof r->given ? v->len : sizeof r->given - 1;
    if (len > 0)
        memcpy(r->given, v->data, len);
    sbx_status status = user_of_request(r->c->g, f, who, message);
    if (status != SBX_OK) {
        request_fail(r, status, 0, "%s: %s", what, message);
        return -1;
    }
    status = path_of(r->c->g, who, f, F_PATH, path);
    if (status == SBX_OK)
        return 0;
    request_fail(r, status, 0, "%s: the path is %s", what,
                 f->text[F_PATH].len == 0 ? "empty" : "longer than a path may be");
    return -1;
}

static uint64_t type_of(mode_t mode)
{
    if (S_ISREG(mode))
        return SBX_FILE_REGULAR;
    if (S_ISDIR(mode))
        return SBX_FILE_DIRECTORY;
    return S_ISLNK(mode) ? SBX_FILE_SYMLINK : SBX_FILE_OTHER;
}

void frame_stat(struct conn *c, const struct stat *st, uint64_t size)
{
    int64_t mtime_ms = (int64_t)st->st_mtim.tv_sec * 1000 + st->st_mtim.tv_nsec / 1000000;
    frame_number(c, F_TYPE, type_of(st->st_mode));
    frame_number(c, F_MODE, st->st_mode & 07777u);
    frame_number(c, F_SIZE, size);
    frame_number(c, F_MTIME_MS, (uint64_t)mtime_ms);
}

int path_make_parents(const char *path)
{
    char text[PATH_MAX];
    size_t len = strlen(path);
    if (len >= sizeof text) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(text, path, len + 1);
    for (size_t i = 1; i < len; i++) {
        if (text[i] != '/' || text[i - 1] == '/')
            continue;
        text[i] = '\0';
        if (mkdir(text, 0755) != 0 && errno != EEXIST) {
            /* Above what the user may write there is often something that may not be looked at either. */
            struct stat st;
            int saved = errno;
            if (stat(text, &st) != 0 || !S_ISDIR(st.st_mode)) {
                errno = saved;
                return -1;
            }
        }
        text[i] = '/';
    }
    return 0;
}
