/* SPDX-License-Identifier: MIT
 *
 * user.h - who somebody is, by the sandbox's own /etc/passwd and /etc/group (no NSS), and acting as them.
 */
#ifndef SBX_GUEST_USER_H
#define SBX_GUEST_USER_H

#include "guest/guest.h"
#include "guest/request.h"

/* Fills what is missing in the default user: `spec` is "USER", "UID:GID" or "USER:GROUP", or NULL (the guest's own);
 * name and home may be NULL. 0, or -1 for a spec that names nobody here. */
int user_default(struct guest *g, const char *spec, const char *name, const char *home);
/* F_USER of a request, or the default user. On failure one line is in message (GUEST_MESSAGE_MAX bytes). */
sbx_status user_of_request(const struct guest *g, const struct fields *f, struct identity *out, char *message);

/* For good; -1 with errno. Async-signal-safe: it also runs between vfork and exec. Without `keep_caps` no
 * capability is left either. */
int user_become(uid_t uid, gid_t gid, const gid_t *groups, size_t group_count, int foreign, int keep_caps);

/* For file operations on this thread, until user_leave. 0, or -1 when this guest may not. */
int user_enter(const struct identity *who);
void user_leave(const struct identity *who);

struct user_scope {
    const struct identity *who; /* NULL: user_enter was refused */
};
static inline void user_scope_leave(const struct user_scope *s)
{
    if (s->who != NULL)
        user_leave(s->who);
}
#define USER_SCOPE(name, identity)                                                                                     \
    __attribute__((cleanup(user_scope_leave), unused))                                                                 \
    const struct user_scope name = {user_enter(identity) == 0 ? (identity) : NULL}

#endif /* SBX_GUEST_USER_H */
