/* SPDX-License-Identifier: MIT */
#include "guest/user.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"

enum { DATABASE_MAX = 1 << 20 };

struct capability_head { /* of capset(2) */
    uint32_t version;
    int pid;
};
struct capability_data {
    uint32_t effective;
    uint32_t permitted;
    uint32_t inheritable;
};

/* --- the two databases ------------------------------------------------------------------------------------------ */

/* A whole regular file, with a NUL behind it; NULL when it is not there or too large. The caller frees it. */
static char *slurp(const char *path)
{
    struct stat st;
    CLEANUP_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0 || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size > DATABASE_MAX)
        return NULL;
    size_t size = (size_t)st.st_size, len = 0;
    char *text = malloc(size + 1);
    if (text == NULL)
        return NULL;
    while (len < size) {
        ssize_t n = read(fd, text + len, size - len);
        if (n <= 0)
            break;
        len += (size_t)n;
    }
    text[len] = '\0';
    return text;
}

/* An id as digits alone; -1 for anything else. (uid_t)-1 is nobody. */
static int parse_id(const char *text, uint32_t *out)
{
    uint64_t value = 0;
    size_t len = strlen(text);
    if (len == 0 || len > 10)
        return -1;
    for (size_t i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9')
            return -1;
        value = value * 10 + (uint64_t)(text[i] - '0');
    }
    if (value >= UINT32_MAX)
        return -1;
    *out = (uint32_t)value;
    return 0;
}

/* Splits the next line off *at at its colons: field[i] for i < count, empty where there are less. 0 at the end. */
static int next_entry(char **at, const char **field, size_t count)
{
    char *line = *at;
    if (line == NULL || *line == '\0')
        return 0;
    size_t len = strcspn(line, "\n");
    *at = line[len] == '\n' ? line + len + 1 : line + len;
    line[len] = '\0';
    for (size_t i = 0; i < count; i++) {
        field[i] = line;
        size_t n = strcspn(line, ":");
        line += n;
        if (*line == ':' && i + 1 < count)
            *line++ = '\0';
    }
    return 1;
}

static void copy_text(char *to, size_t size, const char *from)
{
    size_t len = strlen(from);
    if (len >= size)
        len = size - 1;
    memcpy(to, from, len);
    to[len] = '\0';
}

/* Looks a user up by name, or by number when name is NULL. 1: found, *who has all but the extra groups. */
static int passwd_find(const char *name, uid_t uid, struct identity *who)
{
    CLEANUP_FREE char *text = slurp("/etc/passwd");
    char *at = text;
    const char *field[7];
    uint32_t id, group;
    while (next_entry(&at, field, 7)) {
        if (parse_id(field[2], &id) != 0 || parse_id(field[3], &group) != 0)
            continue;
        if (name != NULL ? strcmp(field[0], name) != 0 : id != uid)
            continue;
        who->uid = id;
        who->gid = group;
        copy_text(who->name, sizeof who->name, field[0]);
        copy_text(who->home, sizeof who->home, field[5]);
        copy_text(who->shell, sizeof who->shell, field[6]);
        return 1;
    }
    return 0;
}

static int group_find(const char *name, gid_t *gid)
{
    CLEANUP_FREE char *text = slurp("/etc/group");
    char *at = text;
    const char *field[4];
    uint32_t id;
    while (next_entry(&at, field, 4)) {
        if (strcmp(field[0], name) == 0 && parse_id(field[2], &id) == 0) {
            *gid = id;
            return 1;
        }
    }
    return 0;
}

static int is_member(const char *members, const char *name)
{
    size_t len = strlen(name);
    while (*members != '\0') {
        size_t n = strcspn(members, ",");
        if (n == len && memcmp(members, name, n) == 0)
            return 1;
        members += n + (members[n] == ',');
    }
    return 0;
}

static void groups_find(struct identity *who)
{
    CLEANUP_FREE char *text = slurp("/etc/group");
    char *at = text;
    const char *field[4];
    uint32_t id;
    while (who->group_count < GUEST_MAX_GROUPS && next_entry(&at, field, 4))
        if (who->name[0] != '\0' && parse_id(field[2], &id) == 0 && id != who->gid && is_member(field[3], who->name))
            who->groups[who->group_count++] = id;
}

/* --- identities ------------------------------------------------------------------------------------------------- */

static void finish(const struct guest *g, struct identity *who)
{
    who->foreign = who->uid != geteuid() || who->gid != getegid();
    who->keep_caps = g->keep_caps && who->uid == 0;
    if (who->name[0] == '\0')
        (void)snprintf(who->name, sizeof who->name, "%u", who->uid);
    if (who->home[0] != '/')
        copy_text(who->home, sizeof who->home, "/");
    if (who->shell[0] != '/')
        copy_text(who->shell, sizeof who->shell, "/bin/sh");
}

/* "USER", "UID:GID" or "USER:GROUP"; `look`: numbers are looked up as well. 0: no such user or group. */
static int parse_spec(const char *spec, int look, struct identity *who)
{
    char text[256];
    uint32_t id;
    size_t n = strcspn(spec, ":");
    const char *group = spec[n] == ':' ? spec + n + 1 : NULL;
    if (n == 0 || n >= sizeof text)
        return 0;
    memcpy(text, spec, n);
    text[n] = '\0';
    if (parse_id(text, &id) == 0) {
        if (look)
            (void)passwd_find(NULL, id, who);
        who->uid = id;
    } else if (!passwd_find(text, 0, who)) {
        return 0;
    }
    if (group != NULL && parse_id(group, &id) == 0)
        who->gid = id;
    else if (group != NULL && !group_find(group, &who->gid))
        return 0;
    if (group == NULL)
        groups_find(who);
    return 1;
}

int user_default(struct guest *g, const char *spec, const char *name, const char *home)
{
    struct identity *who = &g->user;
    int look = name == NULL || home == NULL;
    if (spec != NULL && !parse_spec(spec, look, who))
        return -1;
    if (spec == NULL) {
        if (look)
            (void)passwd_find(NULL, geteuid(), who);
        who->uid = geteuid();
        who->gid = getegid();
    }
    if (name != NULL)
        copy_text(who->name, sizeof who->name, name);
    if (home != NULL)
        copy_text(who->home, sizeof who->home, home);
    finish(g, who);
    return 0;
}

static sbx_status unknown(char *message, const char *what, const char *name)
{
    (void)snprintf(message, GUEST_MESSAGE_MAX, "no such %s '%.128s'", what, name);
    return SBX_E_INVALID;
}

/* The user part alone; 0 when there is none of that name. */
static int find_user(const struct guest *g, const char *name, struct identity *out)
{
    uint32_t id;
    memset(out, 0, sizeof *out);
    if (parse_id(name, &id) == 0) {
        out->uid = id;
        out->gid = g->user.gid;
        if (id == g->user.uid)
            *out = g->user;
        else
            (void)passwd_find(NULL, id, out);
        return 1;
    }
    if (strcmp(name, g->user.name) != 0)
        return passwd_find(name, 0, out);
    *out = g->user;
    return 1;
}

sbx_status user_of_request(const struct guest *g, const struct fields *f, struct identity *out, char *message)
{
    char name[256];
    uint32_t id;
    if (!fields_have(f, F_USER)) {
        *out = g->user;
        return SBX_OK;
    }
    if (fields_text(f, F_USER, name, sizeof name) != 0)
        return unknown(message, "user", "(too long)");
    char *group = strchr(name, ':');
    if (group != NULL)
        *group++ = '\0';
    if (name[0] == '\0' || !find_user(g, name, out))
        return unknown(message, "user", name);
    if (group != NULL && parse_id(group, &id) == 0)
        out->gid = id;
    else if (group != NULL && !group_find(group, &out->gid))
        return unknown(message, "group", group);
    out->group_count = 0;
    finish(g, out);
    if (out->foreign && geteuid() != 0) {
        (void)snprintf(message, GUEST_MESSAGE_MAX, "user '%.128s': this sandbox has one user only, '%s'", name,
                       g->user.name);
        return SBX_E_UNSUPPORTED;
    }
    if (group == NULL && out->foreign)
        groups_find(out);
    return SBX_OK;
}

/* --- acting as them --------------------------------------------------------------------------------------------- */

/* Raw system calls throughout: the libc's own wrappers are not made for the time between vfork and exec. */
int user_become(uid_t uid, gid_t gid, const gid_t *groups, size_t group_count, int foreign, int keep_caps)
{
    struct capability_head head = {.version = 0x20080522};
    struct capability_data none[2];
    memset(none, 0, sizeof none);
    if (foreign) {
        if (syscall(SYS_setgroups, group_count, groups) != 0)
            return -1;
        if (syscall(SYS_setresgid, gid, gid, gid) != 0 || syscall(SYS_setresuid, uid, uid, uid) != 0)
            return -1;
    }
    return keep_caps ? 0 : (int)syscall(SYS_capset, &head, none);
}

int user_enter(const struct identity *who)
{
    if (!who->foreign)
        return 0;
    if (syscall(SYS_setgroups, (size_t)who->group_count, who->groups) != 0)
        return -1;
    (void)setfsgid(who->gid);
    (void)setfsuid(who->uid);
    if ((gid_t)setfsgid((gid_t)-1) == who->gid && (uid_t)setfsuid((uid_t)-1) == who->uid)
        return 0;
    user_leave(who);
    return -1;
}

void user_leave(const struct identity *who)
{
    if (!who->foreign)
        return;
    (void)setfsuid(geteuid());
    (void)setfsgid(getegid());
    (void)syscall(SYS_setgroups, (size_t)0, NULL);
}
