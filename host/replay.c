/* SPDX-License-Identifier: MIT
 *
 * replay.c - a recorded session, read as a whole and answered from.
 */
#include "host/record.h"

#include "base/cleanup.h"
#include "host/error.h"

#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>

enum { CALLS_MAX = 1 << 20, ASKED_MAX = 200 };

struct answer {
    const char *call; /* OPERATION SANDBOX WORD... */
    const char *lines;
    size_t len; /* with the line that ends it */
    int is_used;
};
struct replay {
    pthread_mutex_t lock;
    char *path;
    char *data;
    size_t size;
    const char *offers; /* ids between blanks */
    struct answer *answers;
    size_t count;
    int is_full; /* the recording ended before the session */
};

/* --- reading ---------------------------------------------------------------------------------------------------- */

static sbx_status read_whole(struct replay *replay, struct sbx_error *error)
{
    struct stat st;
    CLEANUP_FD int fd = open(replay->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &st) != 0)
        return error_set_errno(error, SBX_E_CONFIG, errno, "replay: '%s'", replay->path);
    if (!S_ISREG(st.st_mode) || st.st_size > TAPE_MAX_BYTES)
        return error_set(error, SBX_E_CONFIG, "replay: '%s' is no file of at most %d MiB", replay->path,
                         TAPE_MAX_BYTES >> 20);
    replay->data = malloc((size_t)st.st_size + 1);
    if (replay->data == NULL)
        return error_no_memory(error);
    while (replay->size < (size_t)st.st_size) {
        ssize_t n = read(fd, replay->data + replay->size, (size_t)st.st_size - replay->size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        replay->size += (size_t)n;
    }
    replay->data[replay->size] = '\0';
    return strlen(replay->data) == replay->size
               ? SBX_OK
               : error_set(error, SBX_E_CONFIG, "replay: '%s' is no recording", replay->path);
}

static struct answer *new_answer(struct replay *replay)
{
    if ((replay->count & (replay->count + 1)) == 0) { /* room for twice as many, each time */
        size_t room = 2 * replay->count + 2;
        struct answer *grown = room > CALLS_MAX ? NULL : reallocarray(replay->answers, room, sizeof *grown);
        if (grown == NULL)
            return NULL;
        replay->answers = grown;
    }
    replay->answers[replay->count] = (struct answer){.call = NULL};
    return &replay->answers[replay->count++];
}

static const char *behind(const char *line, const char *word)
{
    size_t len = strlen(word);
    return strncmp(line, word, len) == 0 ? line + len : NULL;
}

struct reading {
    size_t number; /* of the line */
    struct answer *open;
    int has_version;
};

/* One line, ended by a NUL; 0, or -1 where it makes no sense. */
static int take_line(struct replay *replay, struct reading *r, char *line)
{
    const char *rest;
    size_t len = strlen(line);
    if (r->number == 1) {
        r->has_version = strcmp(line, "sbx-record 1") == 0;
        return r->has_version ? 0 : -1;
    }
    if (r->open != NULL && behind(line, "call ") == NULL) {
        line[len] = '\n'; /* the answer's lines stay together */
        if (behind(line, "end ") != NULL) {
            line[len] = '\0';
            r->open->len = (size_t)(line + len - r->open->lines);
            r->open = NULL;
        }
        return 0;
    }
    if (r->open == NULL && (rest = behind(line, "call ")) != NULL) {
        r->open = new_answer(replay);
        if (r->open == NULL)
            return -1;
        r->open->call = rest;
        r->open->lines = line + len + 1;
        return 0;
    }
    if ((rest = behind(line, "offers")) != NULL)
        replay->offers = rest;
    else if (strcmp(line, "full") == 0)
        replay->is_full = 1;
    else if (line[0] != '\0' && behind(line, "plugin ") == NULL)
        return -1;
    return 0;
}

static sbx_status parse(struct replay *replay, struct sbx_error *error)
{
    struct reading r = {.number = 0};
    for (char *line = replay->data, *end; *line != '\0'; line = end + 1) {
        end = strchr(line, '\n');
        r.number++;
        if (end == NULL)
            return error_set(error, SBX_E_CONFIG, "replay: %s:%zu: the file ends within a line", replay->path,
                             r.number);
        *end = '\0';
        if (take_line(replay, &r, line) != 0)
            return error_set(error, SBX_E_CONFIG, "replay: %s:%zu: %s", replay->path, r.number,
                             r.number == 1 ? "expected 'sbx-record 1'" : "a line that belongs to no recording");
    }
    if (r.open != NULL || !r.has_version)
        return error_set(error, SBX_E_CONFIG, "replay: '%s' ends too early", replay->path);
    return SBX_OK;
}

sbx_status replay_open(const char *path, struct replay **out, struct sbx_error *error)
{
    struct replay *replay = calloc(1, sizeof *replay);
    if (replay == NULL)
        return error_no_memory(error);
    (void)pthread_mutex_init(&replay->lock, NULL);
    replay->offers = "";
    replay->path = strdup(path);
    sbx_status status = replay->path == NULL ? error_no_memory(error) : read_whole(replay, error);
    if (status == SBX_OK)
        status = parse(replay, error);
    if (status == SBX_OK)
        *out = replay;
    else
        replay_close(replay);
    return status;
}

void replay_close(struct replay *replay)
{
    if (replay == NULL)
        return;
    (void)pthread_mutex_destroy(&replay->lock);
    free(replay->answers);
    free(replay->data);
    free(replay->path);
    free(replay);
}

/* --- answering -------------------------------------------------------------------------------------------------- */

int replay_offers(const struct replay *replay, const char *capability)
{
    return tape_has(replay->offers, capability);
}

char *replay_take(struct replay *replay, const char *line, int may_repeat, struct sbx_error *error)
{
    struct answer *found = NULL, *last = NULL;
    (void)pthread_mutex_lock(&replay->lock);
    for (size_t i = 0; i < replay->count && found == NULL; i++) {
        struct answer *one = &replay->answers[i];
        if (strcmp(one->call, line) != 0)
            continue;
        if (!one->is_used)
            found = one;
        last = one;
    }
    if (found == NULL && may_repeat)
        found = last;
    if (found != NULL)
        found->is_used = 1;
    (void)pthread_mutex_unlock(&replay->lock);
    if (found == NULL) {
        (void)error_set(error, SBX_E_FAILED, "replay: '%s' has no %s'%.*s'%s", replay->path,
                        last == NULL ? "answer to " : "further answer to ", ASKED_MAX, line,
                        replay->is_full ? ": the recording was too long" : "");
        return NULL;
    }
    char *copy = strndup(found->lines, found->len);
    if (copy == NULL)
        (void)error_no_memory(error);
    return copy;
}
