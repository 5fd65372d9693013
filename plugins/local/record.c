/* SPDX-License-Identifier: MIT
 *
 * record.c - a record is a run of "key=value" texts, each ended by NUL, in a file of mode 0600.
 */
#include "plugins/local/record.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "plugins/common/folder.h"

#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>

enum { LABEL_PREFIX = 6 };
static const char magic[] = "sbx-local=1";
/* Two names, since some file systems answer a rename over a file with a wait for the disk. */
static const char claim_name[] = "claim";
static const char record_name[] = "record";

struct text_field {
    const char *key;
    size_t offset;
};
struct number_field {
    const char *key;
    size_t offset;
    size_t width;
};

#define TEXT(field_)                                                                                                   \
    {                                                                                                                  \
#field_, offsetof(struct record, field_)                                                                       \
    }
#define NUMBER(field_)                                                                                                 \
    {                                                                                                                  \
#field_, offsetof(struct record, field_), sizeof(((struct record *)0)->field_)                                 \
    }
static const struct text_field text_fields[] = {TEXT(id),   TEXT(name), TEXT(token),   TEXT(image),  TEXT(workdir),
                                                TEXT(user), TEXT(boot), TEXT(comment), TEXT(sandbox)};
static const struct number_field number_fields[] = {
    NUMBER(created_ms),    NUMBER(expires_ms),    NUMBER(pid),           NUMBER(start),      NUMBER(pid_space),
    NUMBER(bound),         NUMBER(network),       NUMBER(memory_mib),    NUMBER(cpu_millis), NUMBER(disk_mib),
    NUMBER(processes),     NUMBER(ids.kind),      NUMBER(ids.uid),       NUMBER(ids.gid),    NUMBER(ids.uid_first),
    NUMBER(ids.uid_count), NUMBER(ids.gid_first), NUMBER(ids.gid_count),
};
enum { TEXTS = sizeof text_fields / sizeof text_fields[0], NUMBERS = sizeof number_fields / sizeof number_fields[0] };

static void put_pair(struct buf *out, const char *prefix, const char *key, const char *value)
{
    (void)buf_text(out, prefix);
    (void)buf_text(out, key);
    (void)buf_append(out, "=", 1);
    (void)buf_append(out, value, strlen(value) + 1);
}

static uint64_t number_at(const struct record *record, const struct number_field *field)
{
    uint64_t wide = 0;
    uint32_t narrow = 0;
    const char *at = (const char *)record + field->offset;
    if (field->width == sizeof wide) {
        memcpy(&wide, at, sizeof wide);
        return wide;
    }
    memcpy(&narrow, at, sizeof narrow);
    return narrow;
}

static void encode(const struct record *record, struct buf *out)
{
    char number[32];
    (void)buf_append(out, magic, sizeof magic);
    for (size_t i = 0; i < TEXTS; i++) {
        const char *value = NULL;
        memcpy(&value, (const char *)record + text_fields[i].offset, sizeof value);
        if (value != NULL)
            put_pair(out, "", text_fields[i].key, value);
    }
    for (size_t i = 0; i < NUMBERS; i++) {
        (void)snprintf(number, sizeof number, "%" PRIu64, number_at(record, &number_fields[i]));
        put_pair(out, "", number_fields[i].key, number);
    }
    for (size_t i = 0; i < record->cgroup_count; i++)
        put_pair(out, "", "cgroup", record->cgroups[i]);
    for (size_t i = 0; i < record->metadata.count; i++)
        put_pair(out, "label.", record->metadata.items[i].key, record->metadata.items[i].value);
}

/* Ends the key at its '=' and answers the value, or NULL. */
static char *split(char *text)
{
    char *value = strchr(text, '=');
    if (value == NULL || value == text)
        return NULL;
    *value = '\0';
    return value + 1;
}

static int set_number(struct record *record, const char *key, const char *value)
{
    for (size_t i = 0; i < NUMBERS; i++) {
        if (strcmp(key, number_fields[i].key) != 0)
            continue;
        char *end = NULL;
        errno = 0;
        uint64_t wide = strtoull(value, &end, 10);
        if (errno != 0 || end == value || *end != '\0')
            return EBADMSG;
        char *at = (char *)record + number_fields[i].offset;
        uint32_t narrow = (uint32_t)wide;
        if (number_fields[i].width == sizeof wide)
            memcpy(at, &wide, sizeof wide);
        else
            memcpy(at, &narrow, sizeof narrow);
        return 0;
    }
    return EBADMSG;
}

/* A key that this version does not know makes the record damaged: what wrote it meant something by it. */
static int set_field(struct record *record, const char *key, const char *value)
{
    for (size_t i = 0; i < TEXTS; i++)
        if (strcmp(key, text_fields[i].key) == 0) {
            memcpy((char *)record + text_fields[i].offset, &value, sizeof value);
            return 0;
        }
    if (strcmp(key, "cgroup") == 0) {
        if (record->cgroup_count == RECORD_CGROUPS)
            return EBADMSG;
        record->cgroups[record->cgroup_count++] = value;
        return 0;
    }
    return set_number(record, key, value);
}

static size_t count_texts(const char *data, size_t len)
{
    size_t count = 0;
    for (size_t i = 0; i < len; i++)
        count += data[i] == '\0';
    return count;
}

/* Takes `data` over, whatever it answers. */
static int decode(char *data, size_t len, struct record *record)
{
    memset(record, 0, sizeof *record);
    record->data = data;
    if (len < sizeof magic || memcmp(data, magic, sizeof magic) != 0 || data[len - 1] != '\0')
        return EBADMSG;
    struct sbx_kv *labels = calloc(count_texts(data, len), sizeof *labels);
    if (labels == NULL)
        return ENOMEM;
    record->metadata.items = labels;
    for (char *at = data + sizeof magic, *next; at < data + len; at = next) {
        next = at + strlen(at) + 1;
        char *value = split(at);
        if (value == NULL)
            return EBADMSG;
        if (strncmp(at, "label.", LABEL_PREFIX) == 0)
            labels[record->metadata.count++] = (struct sbx_kv){at + LABEL_PREFIX, value};
        else if (set_field(record, at, value) != 0)
            return EBADMSG;
    }
    return record->id != NULL && record_is_id(record->id) && record->pid >= 0 ? 0 : EBADMSG;
}

void record_finish(struct record *record)
{
    if (record->data != NULL) {
        free(record->data);
        free((void *)(uintptr_t)record->metadata.items);
    }
    memset(record, 0, sizeof *record);
}

static int write_text(int dir_fd, const char *name, const struct buf *text)
{
    return text->failed != 0 ? text->failed : folder_write(dir_fd, name, text->data, text->len);
}

int record_write(int dir_fd, const struct record *record)
{
    CLEANUP_BUF struct buf text;
    buf_init(&text, RECORD_MAX);
    encode(record, &text);
    return write_text(dir_fd, record->pid == 0 ? claim_name : record_name, &text);
}

int record_copy(const struct record *from, struct record *to)
{
    CLEANUP_BUF struct buf text;
    buf_init(&text, RECORD_MAX);
    encode(from, &text);
    size_t len = text.len;
    char *data = buf_steal(&text);
    memset(to, 0, sizeof *to);
    int error = data == NULL ? ENOMEM : decode(data, len, to);
    if (error != 0)
        record_finish(to);
    return error;
}

int record_read(int dir_fd, struct record *record)
{
    CLEANUP_BUF struct buf text;
    buf_init(&text, RECORD_MAX + 8192);
    int error = folder_read(dir_fd, record_name, &text);
    if (error == ENOENT)
        error = folder_read(dir_fd, claim_name, &text);
    if (error != 0)
        return error;
    size_t len = text.len;
    char *data = buf_steal(&text);
    if (data == NULL)
        return ENOMEM;
    error = decode(data, len, record);
    if (error != 0)
        record_finish(record);
    return error;
}

int record_write_envs(int dir_fd, const struct sbx_kvs *envs)
{
    if (envs->count == 0)
        return 0;
    CLEANUP_BUF struct buf text;
    buf_init(&text, RECORD_MAX);
    for (size_t i = 0; i < envs->count; i++)
        put_pair(&text, "", envs->items[i].key, envs->items[i].value);
    int error = write_text(dir_fd, "env", &text);
    if (text.data != NULL)
        explicit_bzero(text.data, text.cap);
    return error;
}

int record_read_envs(int dir_fd, char **data, struct sbx_kvs *envs)
{
    CLEANUP_BUF struct buf text;
    buf_init(&text, RECORD_MAX + 8192);
    *data = NULL;
    *envs = (struct sbx_kvs){0};
    int error = folder_read(dir_fd, "env", &text);
    if (error == ENOENT)
        return 0;
    if (error != 0 || text.len == 0)
        return error;
    size_t len = text.len;
    CLEANUP_FREE char *owned = buf_steal(&text);
    if (owned == NULL || owned[len - 1] != '\0')
        return owned == NULL ? ENOMEM : EBADMSG;
    struct sbx_kv *items = calloc(count_texts(owned, len), sizeof *items);
    if (items == NULL)
        return ENOMEM;
    envs->items = items;
    for (char *at = owned, *next; at < owned + len; at = next) {
        next = at + strlen(at) + 1;
        char *value = split(at);
        if (value == NULL) {
            free(items);
            *envs = (struct sbx_kvs){0};
            return EBADMSG;
        }
        items[envs->count++] = (struct sbx_kv){at, value};
    }
    *data = STEAL(owned);
    return 0;
}

int record_has_labels(const struct record *record, const struct sbx_kvs *wanted)
{
    for (size_t i = 0; i < wanted->count; i++) {
        size_t at = 0;
        while (at < record->metadata.count && (strcmp(record->metadata.items[at].key, wanted->items[i].key) != 0 ||
                                               strcmp(record->metadata.items[at].value, wanted->items[i].value) != 0))
            at++;
        if (at == record->metadata.count)
            return 0;
    }
    return 1;
}

int record_is_id(const char *text)
{
    return strlen(text) == RECORD_ID_LENGTH && strspn(text, "0123456789abcdef") == RECORD_ID_LENGTH;
}
