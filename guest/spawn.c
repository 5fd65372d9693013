/* SPDX-License-Identifier: MIT
 *
 * spawn.c - finding and executing a program. It runs between vfork and exec: no allocation, nothing shared is written.
 */
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "guest/keeper.h"

static const char *path_of_environment(char *const *envp)
{
    for (; *envp != NULL; envp++)
        if (strncmp(*envp, "PATH=", 5) == 0)
            return *envp + 5;
    return "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
}

/* One that is there but may not be executed is remembered: it says more than "not found". */
static int is_missing(int error)
{
    return error == ENOENT || error == ENOTDIR || error == ENAMETOOLONG || error == ELOOP;
}

void spawn_exec(char *const *argv, char *const *envp)
{
    char file[PATH_MAX];
    const char *name = argv[0];
    size_t name_len = strlen(name);
    int seen = ENOENT;
    if (name_len == 0) {
        errno = ENOENT;
        return;
    }
    if (strchr(name, '/') != NULL) {
        (void)execve(name, argv, envp);
        return;
    }
    for (const char *dir = path_of_environment(envp);;) {
        size_t len = strcspn(dir, ":");
        size_t at = len;
        if (len + name_len + 2 <= sizeof file) {
            memcpy(file, dir, len);
            if (len > 0)
                file[at++] = '/';
            memcpy(file + at, name, name_len + 1);
            (void)execve(file, argv, envp);
            if (errno == EACCES)
                seen = EACCES;
            else if (!is_missing(errno))
                return;
        }
        if (dir[len] == '\0')
            break;
        dir += len + 1;
    }
    errno = seen;
}
