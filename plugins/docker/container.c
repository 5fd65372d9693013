/* SPDX-License-Identifier: MIT
 *
 * container.c - see container.h.
 */
#include "plugins/docker/container.h"

#include <inttypes.h>
#include <time.h>

enum { FACTS = 10, FACT_SIZE = 64, INSPECT_LIMIT = 8 << 20 };

/* "2026-11-21T11:25:34.468446142Z". */
int64_t container_time(const char *text)
{
    struct tm tm = {0};
    const char *rest = text == NULL ? NULL : strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
    if (rest == NULL)
        return 0;
    int64_t ms = 0;
    for (int i = 0, scale = 100; *rest == '.' && i < 3 && rest[i + 1] >= '0' && rest[i + 1] <= '9'; i++, scale /= 10)
        ms += (rest[i + 1] - '0') * scale;
    time_t seconds = timegm(&tm);
    return seconds <= 0 ? 0 : (int64_t)seconds * 1000 + ms;
}

static void take_name(struct container *c, const char *name)
{
    c->name = name != NULL && name[0] == '/' ? name + 1 : name;
}

static sbx_status take_rest(struct container *c, struct sbx_call *call)
{
    const char *key = container_label(c, LABEL_KEY);
    if (c->id == NULL || strlen(c->id) >= CONTAINER_ID_SIZE || !engine_is_reference(c->id) || c->state == NULL)
        return call_fail(call, SBX_E_PROTOCOL, "the daemon names a container without a usable id or state");
    c->key = entry_is_key(key) ? key : NULL;
    return SBX_OK;
}

sbx_status container_of_item(const struct cJSON *item, struct sbx_call *call, struct container *out)
{
    int64_t created = json_integer(item, "Created", 0);
    *out = (struct container){.id = json_text(item, "Id"),
                              .state = json_text(item, "State"),
                              .image = json_text(item, "Image"),
                              .labels = json_member(item, "Labels"),
                              .created_ms = created > 0 && created < INT64_MAX / 1000 ? created * 1000 : 0};
    take_name(out, json_value(json_first(json_member(item, "Names"))));
    return take_rest(out, call);
}

sbx_status container_inspect(struct sbx_backend *b, struct sbx_call *call, const char *what, const char *reference,
                             struct container *out)
{
    memset(out, 0, sizeof *out);
    if (!engine_is_reference(reference))
        return call_fail(call, SBX_E_NOT_FOUND, "%s: no such sandbox: %s", what, reference);
    char path[320];
    (void)snprintf(path, sizeof path, "/containers/%s/json", reference);
    const struct engine_request request = {.what = what, .path = path, .reply_limit = INSPECT_LIMIT};
    sbx_status status = engine_run(&b->engine, call, &request, &out->json);
    if (status == SBX_E_NOT_FOUND)
        return call_fail(call, SBX_E_NOT_FOUND, "%s: no such sandbox: %s", what, reference);
    if (status != SBX_OK)
        return status;
    const struct cJSON *config = json_member(out->json, "Config"), *state = json_member(out->json, "State");
    out->id = json_text(out->json, "Id");
    out->state = json_text(state, "Status");
    out->image = json_text(config, "Image");
    out->labels = json_member(config, "Labels");
    out->created_ms = container_time(json_text(out->json, "Created"));
    out->host = json_member(out->json, "HostConfig");
    out->pid = json_integer(state, "Pid", 0);
    out->exit_code = json_integer(state, "ExitCode", 0);
    take_name(out, json_text(out->json, "Name"));
    status = take_rest(out, call);
    if (status != SBX_OK)
        container_finish(out);
    return status;
}

void container_finish(struct container *container)
{
    json_finish(&container->json);
    memset(container, 0, sizeof *container);
}

static int is_suspended(const struct sbx_backend *b, const struct container *c)
{
    CLEANUP_FD int entry_fd = c->key == NULL ? -1 : entry_open(&b->entries, c->key);
    return entry_fd >= 0 && entry_has(entry_fd, "suspended");
}

int container_state(const struct sbx_backend *b, const struct container *container)
{
    static const struct {
        const char *word;
        int state;
    } table[] = {{"running", SBX_STATE_RUNNING},    {"paused", SBX_STATE_SUSPENDED},   {"created", SBX_STATE_PENDING},
                 {"configured", SBX_STATE_PENDING}, {"exited", SBX_STATE_STOPPED},     {"stopped", SBX_STATE_STOPPED},
                 {"removing", SBX_STATE_STOPPED},   {"restarting", SBX_STATE_PENDING}, {"dead", SBX_STATE_FAILED}};
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (strcmp(container->state, table[i].word) == 0)
            return table[i].state == SBX_STATE_RUNNING && is_suspended(b, container) ? SBX_STATE_SUSPENDED
                                                                                     : table[i].state;
    return SBX_STATE_UNKNOWN;
}

const char *container_label(const struct container *container, const char *key)
{
    return json_text(container->labels, key);
}

int container_has_memory_limit(const struct container *container)
{
    return json_integer(container->host, "Memory", 0) > 0;
}

/* --- reports ----------------------------------------------------------------------------------------------------- */

struct facts {
    struct sbx_kv *items;
    size_t count;
    size_t used;
    char text[FACTS][FACT_SIZE];
};

static void add(struct facts *facts, const char *key, const char *value)
{
    if (value != NULL && value[0] != '\0')
        facts->items[facts->count++] = (struct sbx_kv){key, value};
}

static void add_number(struct facts *facts, const char *key, int64_t number, const char *unit)
{
    if (number <= 0)
        return;
    (void)snprintf(facts->text[facts->used], FACT_SIZE, "%" PRId64 "%s", number, unit);
    add(facts, key, facts->text[facts->used++]);
}

static void add_facts(struct facts *facts, const struct container *c)
{
    add(facts, "provider.image", c->image);
    if (c->host == NULL)
        return;
    const char *network = json_text(c->host, "NetworkMode");
    add(facts, "provider.network", network);
    add(facts, "provider.runtime", json_text(c->host, "Runtime"));
    add_number(facts, "provider.pid", c->pid, "");
    add_number(facts, "provider.limit.memory", json_integer(c->host, "Memory", 0) >> 20, " MiB");
    add_number(facts, "provider.limit.cpu", json_integer(c->host, "NanoCpus", 0) / 1000000, " millicpus");
    add_number(facts, "provider.limit.processes", json_integer(c->host, "PidsLimit", 0), "");
}

static int64_t expiry(struct sbx_backend *b, const struct container *c)
{
    CLEANUP_FD int entry_fd = c->key == NULL ? -1 : entry_open(&b->entries, c->key);
    return entry_fd < 0 ? 0 : entry_number(entry_fd, "expires");
}

/* Not ours; nor an emptied one of a snapshot, which had a meaning for the sandbox it was taken from alone. */
static int is_callers(const char *key, const char *value)
{
    return strncmp(key, LABEL_PREFIX, strlen(LABEL_PREFIX)) != 0 && (value[0] != '\0' || strncmp(key, "sbx.", 4) != 0);
}

sbx_status container_report(struct sbx_backend *b, const struct container *c, const struct sbx_info_sink *out,
                            struct sbx_call *call)
{
    struct sbx_info_sink sink;
    struct facts facts = {0};
    sbx_view(&sink, sizeof sink, out);
    CLEANUP_FREE struct sbx_kv *items = calloc(json_count(c->labels) + FACTS, sizeof *items);
    if (items == NULL)
        return call_fail(call, SBX_E_NO_MEMORY, "info: no memory");
    facts.items = items;
    for (const struct cJSON *label = json_first(c->labels); label != NULL; label = json_next(label))
        if (json_key(label) != NULL && json_value(label) != NULL && is_callers(json_key(label), json_value(label)))
            facts.items[facts.count++] = (struct sbx_kv){json_key(label), json_value(label)};
    add_facts(&facts, c);
    const struct sbx_info info = {.size = sizeof info,
                                  .state = container_state(b, c),
                                  .id = c->id,
                                  .name = c->name,
                                  .provider_state = c->state,
                                  .created_ms = c->created_ms,
                                  .expires_ms = expiry(b, c),
                                  .metadata = {items, facts.count}};
    if (sink.item(sink.user, &info) != 0)
        return call_fail(call, SBX_E_STOPPED, "info: stopped by the caller");
    return SBX_OK;
}
