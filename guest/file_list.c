/* SPDX-License-Identifier: MIT
 *
 * file_list.c - OP_LIST: one REPLY for each entry, as far as connection and credit have room.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "guest/ops.h"
#include "guest/path.h"
#include "guest/user.h"

struct listing {
    DIR *dir;
    struct identity who;
    char path[PATH_MAX];
};

static void list_entry(struct request *r, const struct listing *l, const char *name)
{
    struct stat st;
    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return;
    if (fstatat(dirfd(l->dir), name, &st, AT_SYMLINK_NOFOLLOW) != 0) {
        if (errno != ENOENT) /* one that was removed meanwhile is none */
            path_fail(r, errno, "list");
        return;
    }
    request_reply_begin(r);
    frame_bytes(r->c, F_NAME, name, strlen(name));
    frame_stat(r->c, &st, (uint64_t)st.st_size);
    request_reply_finish(r);
}

static void list_pump(struct request *r)
{
    struct listing *l = r->state;
    if (l == NULL || !request_reply_room(r))
        return;
    USER_SCOPE(as, &l->who);
    while (!r->done && request_reply_room(r)) {
        errno = 0;
        const struct dirent *entry = readdir(l->dir);
        if (entry != NULL)
            list_entry(r, l, entry->d_name);
        else if (errno != 0)
            path_fail(r, errno, "list");
        else
            request_end(r);
    }
}

static void list_start(struct request *r, const struct fields *f)
{
    struct listing *l = calloc(1, sizeof *l);
    struct stat st;
    r->state = l;
    if (l == NULL) {
        request_fail(r, SBX_E_NO_MEMORY, ENOMEM, "list: no memory");
        return;
    }
    if (path_begin(r, f, "list", &l->who, l->path) != 0)
        return;
    (void)path_strip(l->path);
    {
        USER_SCOPE(as, &l->who);
        if (as.who == NULL) {
            request_fail(r, SBX_E_UNSUPPORTED, 0, "list: this sandbox cannot act as user '%s'", l->who.name);
            return;
        }
        if (stat(l->path, &st) == 0 && !S_ISDIR(st.st_mode)) {
            request_fail(r, SBX_E_NOT_DIR, ENOTDIR, "list: '%s': not a directory", r->given);
            return;
        }
        l->dir = opendir(l->path);
        if (l->dir == NULL) {
            path_fail(r, errno, "list");
            return;
        }
    }
    list_pump(r);
}

static void list_release(struct request *r)
{
    struct listing *l = r->state;
    if (l != NULL && l->dir != NULL)
        (void)closedir(l->dir);
    free(l);
}

const struct request_kind op_list = {
    .op = OP_LIST,
    .takes = FIELD(F_PATH) | FIELD(F_USER),
    .requires = FIELD(F_PATH),
    .start = list_start,
    .pump = list_pump,
    .release = list_release,
};
