/* SPDX-License-Identifier: MIT */
#include "host/record.h"

#include "base/cleanup.h"
#include "host/error.h"

#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

enum { HEAD_BYTES = 256 };

struct record {
    pthread_mutex_t lock;
    int fd;
    int has_ended;
    struct log *log;
    char *path;
};

static sbx_status check_owner(int fd, const char *path, struct sbx_error *error)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return error_set_errno(error, SBX_E_CONFIG, errno, "record: '%s'", path);
    if (!S_ISREG(st.st_mode))
        return error_set(error, SBX_E_CONFIG, "record: '%s' is no regular file", path);
    if (st.st_uid != geteuid() || (st.st_mode & 077) != 0)
        return error_set(error, SBX_E_CONFIG, "record: '%s' is not its user's alone; chmod 600 mends that", path);
    return SBX_OK;
}

/* Under the file's lock: an empty one gets its head, any other must have the same. */
static sbx_status begin(int fd, const char *path, const char *plugin, const char *offers, struct sbx_error *error)
{
    char there[HEAD_BYTES + 1];
    CLEANUP_FREE char *head = NULL;
    int fixed = 0,
        len = asprintf(&head, "sbx-record %d\nplugin %s\n%noffers%s\n\n", TAPE_VERSION, plugin, &fixed, offers);
    if (len < 0) {
        head = NULL;
        return error_no_memory(error);
    }
    ssize_t got = pread(fd, there, HEAD_BYTES, 0);
    if (got < 0)
        return error_set_errno(error, SBX_E_CONFIG, errno, "record: '%s'", path);
    if (got == 0 && write(fd, head, (size_t)len) != len)
        return error_set_errno(error, SBX_E_CONFIG, errno, "record: '%s' cannot be written", path);
    if (got > 0 && (got < fixed || memcmp(there, head, (size_t)fixed) != 0))
        return error_set(error, SBX_E_CONFIG, "record: '%s' holds no session with the plugin %s", path, plugin);
    return SBX_OK;
}

sbx_status record_open(const char *path, const char *plugin, const char *offers, struct log *log, struct record **out,
                       struct sbx_error *error)
{
    CLEANUP_FD int fd = open(path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
    if (fd < 0)
        return error_set_errno(error, SBX_E_CONFIG, errno, "record: '%s'", path);
    sbx_status status = check_owner(fd, path, error);
    if (status != SBX_OK)
        return status;
    while (flock(fd, LOCK_EX) != 0)
        if (errno != EINTR)
            return error_set_errno(error, SBX_E_CONFIG, errno, "record: '%s' cannot be locked", path);
    status = begin(fd, path, plugin, offers, error);
    (void)flock(fd, LOCK_UN);
    if (status != SBX_OK)
        return status;
    struct record *record = calloc(1, sizeof *record);
    char *kept = strdup(path);
    if (record == NULL || kept == NULL) {
        free(record);
        free(kept);
        return error_no_memory(error);
    }
    (void)pthread_mutex_init(&record->lock, NULL);
    record->fd = steal_fd(&fd);
    record->log = log;
    record->path = kept;
    *out = record;
    return SBX_OK;
}

void record_close(struct record *record)
{
    if (record == NULL)
        return;
    (void)close(record->fd);
    (void)pthread_mutex_destroy(&record->lock);
    free(record->path);
    free(record);
}

/* A secret as it stands in the lines. */
static void mask(void *user, const char *secret, size_t len)
{
    struct buf *lines = user;
    struct buf word;
    buf_init(&word, TAPE_MAX_BYTES);
    tape_put_more(&word, secret, len);
    if (word.failed != 0)
        lines->failed = word.failed; /* rather nothing than a secret */
    for (char *at = lines->data; word.failed == 0 && at != NULL;) {
        at = memmem(at, lines->len - (size_t)(at - lines->data), word.data, word.len);
        if (at != NULL)
            memset(at, '*', word.len);
    }
    if (word.data != NULL)
        explicit_bzero(word.data, word.len);
    buf_finish(&word);
}

static const char *add(struct record *record, const struct buf *lines)
{
    struct stat st;
    if (lines->failed != 0 || fstat(record->fd, &st) != 0 ||
        st.st_size > TAPE_MAX_BYTES - (off_t)sizeof "full\n" - (off_t)lines->len) {
        (void)!write(record->fd, "full\n", 5);
        return "is full: what follows is not recorded";
    }
    return write(record->fd, lines->data, lines->len) == (ssize_t)lines->len ? NULL
                                                                             : "cannot be written: it is incomplete";
}

void record_add(struct record *record, struct buf *lines)
{
    const char *problem = NULL;
    log_each_secret(record->log, mask, lines);
    (void)pthread_mutex_lock(&record->lock);
    if (!record->has_ended)
        problem = add(record, lines);
    record->has_ended |= problem != NULL;
    (void)pthread_mutex_unlock(&record->lock);
    if (problem != NULL)
        log_line(record->log, SBX_LOG_WARN, "record", "'%s' %s", record->path, problem);
}
