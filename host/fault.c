/* SPDX-License-Identifier: MIT */
#include "host/fault.h"

#include "base/parse.h"

#include <stdio.h>
#include <string.h>

enum { WORD_BYTES = 64, DELAY_MAX_MS = 3600 * 1000 };

static const char *const operations[] = {
    "create",      "attach",         "list",          "remove",          "info",     "exec",
    "read",        "write",          "stat",          "fs-list",         "mkdir",    "fs-remove",
    "rename",      "put-tar",        "get-tar",       "job-start",       "job-info", "job-wait",
    "job-kill",    "job-output",     "job-signal",    "job-feed",        "job-list", "job-forget",
    "shell-close", "dial",           "keep-alive",    "suspend",         "resume",   "wait",
    "snapshot",    "snapshot-query", "snapshot-list", "snapshot-remove", "ssh-key",  "tunnel",
    "tunnel-list", "tunnel-remove"};

static const struct {
    const char *name;
    sbx_status code;
} codes[] = {{"failed", SBX_E_FAILED},         {"unsupported", SBX_E_UNSUPPORTED},
             {"invalid", SBX_E_INVALID},       {"auth", SBX_E_AUTH},
             {"permission", SBX_E_PERMISSION}, {"not-found", SBX_E_NOT_FOUND},
             {"exists", SBX_E_EXISTS},         {"too-large", SBX_E_TOO_LARGE},
             {"quota", SBX_E_QUOTA},           {"busy", SBX_E_BUSY},
             {"state", SBX_E_STATE},           {"gone", SBX_E_GONE},
             {"timeout", SBX_E_TIMEOUT},       {"unavailable", SBX_E_UNAVAILABLE},
             {"no-memory", SBX_E_NO_MEMORY},   {"protocol", SBX_E_PROTOCOL},
             {"unknown", SBX_E_UNKNOWN}};

int fault_operation_known(const char *name, const char **out)
{
    for (size_t i = 0; i < sizeof operations / sizeof operations[0]; i++)
        if (strcmp(operations[i], name) == 0) {
            *out = operations[i];
            return 1;
        }
    return 0;
}

static int take_code(const char *name, sbx_status *out)
{
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
        if (strcmp(codes[i].name, name) == 0) {
            *out = codes[i].code;
            return 0;
        }
    return -1;
}

/* Each takes a value: 0, or -1. */
static int take_number(const char *text, int64_t least, int64_t most, int64_t *out)
{
    return parse_int(text, out) == 0 && *out >= least && *out <= most ? 0 : -1;
}

static int take_nth(struct fault_rule *rule, const char *value)
{
    return take_number(value, 1, INT32_MAX, &rule->nth);
}

static int take_chance(struct fault_rule *rule, const char *value)
{
    return take_number(value, 1, 100, &rule->chance);
}

static int take_seed(struct fault_rule *rule, const char *value)
{
    int64_t seed = 0;
    int bad = take_number(value, 0, INT64_MAX, &seed);
    rule->random = (uint64_t)seed;
    return bad;
}

static int take_delay(struct fault_rule *rule, const char *value)
{
    return parse_duration_ms(value, &rule->delay_ms) == 0 && rule->delay_ms <= DELAY_MAX_MS ? 0 : -1;
}

static int take_error(struct fault_rule *rule, const char *value)
{
    return take_code(value, &rule->error);
}

static int take_cut(struct fault_rule *rule, const char *value)
{
    return parse_bytes(value, &rule->cut);
}

static int take_when(struct fault_rule *rule, const char *value)
{
    rule->is_after = strcmp(value, "after") == 0;
    return rule->is_after || strcmp(value, "before") == 0 ? 0 : -1;
}

/* NULL, or what was expected. */
static const char *take_word(struct fault_rule *rule, const char *key, const char *value)
{
    static const struct {
        const char *key;
        int (*take)(struct fault_rule *rule, const char *value);
        const char *expected;
    } table[] = {{"nth", take_nth, "a number from 1 behind nth="},
                 {"chance", take_chance, "1 to 100 behind chance="},
                 {"seed", take_seed, "a number behind seed="},
                 {"delay", take_delay, "a duration of at most an hour behind delay="},
                 {"error", take_error, "a code such as unavailable or timeout behind error="},
                 {"cut", take_cut, "a number of bytes behind cut="},
                 {"when", take_when, "before or after behind when="}};
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (strcmp(table[i].key, key) == 0)
            return table[i].take(rule, value) == 0 ? NULL : table[i].expected;
    return "nth= chance= seed= delay= error= cut= or when=";
}

const char *fault_parse(const char *text, struct fault_rule *out)
{
    static const char gaps[] = " \t";
    *out = (struct fault_rule){.chance = 100, .cut = -1};
    const char *at = text + strspn(text, gaps);
    for (int first = 1; *at != '\0'; first = 0) {
        char word[WORD_BYTES];
        size_t len = strcspn(at, gaps);
        if (len >= sizeof word)
            return "words of at most 63 bytes";
        memcpy(word, at, len);
        word[len] = '\0';
        at += len;
        at += strspn(at, gaps);
        char *equals = strchr(word, '=');
        if (first) {
            if (strcmp(word, "*") != 0 && !fault_operation_known(word, &out->operation))
                return "an operation such as exec, or *, first";
            continue;
        }
        if (equals == NULL)
            return "words of the form KEY=VALUE behind the operation";
        *equals = '\0';
        const char *expected = take_word(out, word, equals + 1);
        if (expected != NULL)
            return expected;
    }
    if (out->delay_ms == 0 && out->error == 0 && out->cut < 0)
        return "one of delay=, error= and cut=";
    return out->is_after && out->error == 0 ? "error= with when=after" : NULL;
}

/* splitmix64: the same row on every machine. */
static uint64_t next_random(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static int is_due(struct fault_rule *rule, const char *operation)
{
    if (rule->operation != NULL && strcmp(rule->operation, operation) != 0)
        return 0;
    rule->seen++;
    int hits = rule->chance == 100 || (int64_t)(next_random(&rule->random) % 100) < rule->chance;
    return hits && (rule->nth == 0 || rule->nth == rule->seen);
}

struct fault fault_decide(struct faults *faults, const char *operation)
{
    struct fault fault = {.cut = -1};
    if (faults == NULL)
        return fault;
    (void)pthread_mutex_lock(&faults->lock);
    for (size_t i = 0; i < faults->count; i++) {
        struct fault_rule *rule = &faults->rules[i];
        if (!is_due(rule, operation))
            continue;
        fault.delay_ms += rule->delay_ms;
        if (fault.error == 0) {
            fault.error = rule->error;
            fault.is_after = rule->is_after;
        }
        if (rule->cut >= 0 && (fault.cut < 0 || rule->cut < fault.cut))
            fault.cut = rule->cut;
    }
    (void)pthread_mutex_unlock(&faults->lock);
    return fault;
}
