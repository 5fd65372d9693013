/* SPDX-License-Identifier: MIT
 *
 * cleanup.h - release at the end of scope, by attribute. Every cleanup keeps errno. Hand a value over with STEAL.
 */
#ifndef SBX_BASE_CLEANUP_H
#define SBX_BASE_CLEANUP_H

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define CLEANUP(function) __attribute__((cleanup(function)))
#define CLEANUP_FREE      CLEANUP(cleanup_free)
#define CLEANUP_FD        CLEANUP(cleanup_fd)
#define CLEANUP_FILE      CLEANUP(cleanup_file)
#define CLEANUP_DIR       CLEANUP(cleanup_dir)

/* The pointer's value; the variable is NULL afterwards. */
#define STEAL(pointer)                                                                                                 \
    (__extension__({                                                                                                   \
        __typeof__(pointer) stolen_ = (pointer);                                                                       \
        (pointer) = NULL;                                                                                              \
        stolen_;                                                                                                       \
    }))

static inline void cleanup_free(void *pointer_to)
{
    int saved = errno;
    free(*(void **)pointer_to);
    errno = saved;
}

static inline void cleanup_fd(const int *fd)
{
    int saved = errno;
    if (*fd >= 0)
        (void)close(*fd);
    errno = saved;
}

static inline void cleanup_file(FILE **file)
{
    int saved = errno;
    if (*file != NULL)
        (void)fclose(*file);
    errno = saved;
}

static inline void cleanup_dir(DIR **dir)
{
    int saved = errno;
    if (*dir != NULL)
        (void)closedir(*dir);
    errno = saved;
}

/* The descriptor; the variable is -1 afterwards. */
static inline int steal_fd(int *fd)
{
    int stolen = *fd;
    *fd = -1;
    return stolen;
}

#endif /* SBX_BASE_CLEANUP_H */
