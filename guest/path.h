/* SPDX-License-Identifier: MIT
 *
 * path.h - paths as requests name them, and what errno means for a request.
 */
#ifndef SBX_GUEST_PATH_H
#define SBX_GUEST_PATH_H

#include <limits.h>
#include <sys/stat.h>

#include "guest/guest.h"
#include "guest/request.h"

/* The code that an errno of a file operation stands for. A path through a file is not found, like in contracts of
 * every client: ENOTDIR never means more than that here. */
sbx_status status_of(int os_errno);
/* Its words. */
const char *path_reason(int os_errno);
/* Ends the request: "what: 'path as it was given': reason". */
void path_fail(struct request *r, int os_errno, const char *what);

/* The absolute form of the text in `tag` (relative: below the working directory; ~ and ~/: the user's home), into
 * PATH_MAX bytes. SBX_E_BAD_PATH for an empty or overlong one. */
sbx_status path_of(const struct guest *g, const struct identity *who, const struct fields *f, enum wire_field tag,
                   char *out);
/* Drops slashes at the end; 1 if there were any. */
int path_strip(char *path);

/* The user and the path of a file request, into *who, PATH_MAX bytes and r->given; on failure the request is ended and
 * -1 answered. */
int path_begin(struct request *r, const struct fields *f, const char *what, struct identity *who, char *path);

/* F_TYPE, F_MODE, F_SIZE and F_MTIME_MS of an entry, into the frame being built. */
void frame_stat(struct conn *c, const struct stat *st, uint64_t size);

/* Makes the directories above the last component, as far as they are missing; -1 with errno. */
int path_make_parents(const char *path);

#endif /* SBX_GUEST_PATH_H */
