/* SPDX-License-Identifier: MIT
 *
 * config_secret.c - secrets by file, by environment, or inline in a file that only its owner may read. No message ever
 * shows a part of one.
 */
#include "host/config_parts.h"

#include "base/cleanup.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

enum { SECRET_MAX = 65536 };

void config_secret_free(char *secret)
{
    if (secret != NULL)
        explicit_bzero(secret, strlen(secret));
    free(secret);
}

static void secret_cleanup(char **secret)
{
    config_secret_free(*secret);
}

static void bad(const struct config_pair *pair, struct findings *findings, const char *what)
{
    finding_add(findings, pair->file, pair->line, NULL, "%s: %s", pair->key, what);
}

/* `from` names the place, for the message. */
static int clean(const struct config_pair *pair, struct findings *findings, const char *from, const char *secret,
                 size_t len)
{
    if (len == 0) {
        finding_add(findings, pair->file, pair->line, NULL, "%s: %s is empty", pair->key, from);
        return 0;
    }
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)secret[i] < 0x20 || secret[i] == 0x7f) {
            finding_add(findings, pair->file, pair->line, NULL, "%s: %s has a control byte in it; expected one line",
                        pair->key, from);
            return 0;
        }
    return 1;
}

static const char *file_problem(const struct stat *st)
{
    if (!S_ISREG(st->st_mode))
        return "is not a regular file";
    if ((st->st_mode & (S_IRWXG | S_IRWXO)) != 0)
        return "is open to others than its owner; mend it with chmod 600";
    if (st->st_uid != 0 && st->st_uid != geteuid())
        return "belongs to another user";
    return st->st_size > SECRET_MAX ? "is larger than 64 KiB" : NULL;
}

static char *read_secret(int fd, size_t *len)
{
    CLEANUP(secret_cleanup) char *text = calloc(1, SECRET_MAX + 2);
    *len = 0;
    while (text != NULL && *len <= SECRET_MAX) {
        ssize_t n = read(fd, text + *len, SECRET_MAX + 1 - *len);
        if (n < 0 && errno != EINTR)
            return NULL;
        if (n == 0)
            return STEAL(text);
        if (n > 0)
            *len += (size_t)n;
    }
    return NULL;
}

static char *from_file(const struct config_pair *pair, struct findings *findings)
{
    if (config_value_expected(SBX_KEY_PATH, pair->value) != NULL) {
        bad(pair, findings, "expected an absolute path without '..'");
        return NULL;
    }
    CLEANUP_FD int fd = open(pair->value, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) != 0) {
        finding_add(findings, pair->file, pair->line, NULL, "%s: %s: %s", pair->key, pair->value,
                    strerrordesc_np(errno));
        return NULL;
    }
    const char *problem = file_problem(&st);
    if (problem != NULL) {
        finding_add(findings, pair->file, pair->line, NULL, "%s: %s %s", pair->key, pair->value, problem);
        return NULL;
    }
    size_t len = 0;
    CLEANUP(secret_cleanup) char *text = read_secret(fd, &len);
    if (text == NULL) {
        finding_add(findings, pair->file, pair->line, NULL, "%s: %s cannot be read", pair->key, pair->value);
        return NULL;
    }
    if (len > 0 && text[len - 1] == '\n')
        text[--len] = '\0';
    if (len > 0 && text[len - 1] == '\r')
        text[--len] = '\0';
    return clean(pair, findings, pair->value, text, len) ? STEAL(text) : NULL;
}

static char *from_environment(const struct config_pair *pair, struct findings *findings)
{
    const char *name = pair->value;
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_";
    if (name[strspn(name, allowed)] != '\0' || (name[0] >= '0' && name[0] <= '9')) {
        bad(pair, findings, "expected the name of an environment variable");
        return NULL;
    }
    const char *value = getenv(name);
    if (value == NULL) {
        finding_add(findings, pair->file, pair->line, NULL, "%s: the environment variable %s is not set", pair->key,
                    name);
        return NULL;
    }
    size_t len = strlen(value);
    if (len > SECRET_MAX) {
        finding_add(findings, pair->file, pair->line, NULL, "%s: the environment variable %s is larger than 64 KiB",
                    pair->key, name);
        return NULL;
    }
    if (!clean(pair, findings, name, value, len))
        return NULL;
    char *made = strdup(value);
    if (made == NULL)
        findings->no_memory = 1;
    return made;
}

static char *from_line(const struct config_pair *pair, struct findings *findings)
{
    if (!pair->file_private) {
        finding_add(findings, pair->file, pair->line, NULL,
                    "%s: a secret in a file that others may read; use %s_file or %s_env, or chmod 600", pair->key,
                    pair->key, pair->key);
        return NULL;
    }
    if (!clean(pair, findings, "the value", pair->value, strlen(pair->value)))
        return NULL;
    char *made = strdup(pair->value);
    if (made == NULL)
        findings->no_memory = 1;
    return made;
}

char *config_secret_read(const struct config_pair *pair, const char *how, struct findings *findings)
{
    if (strcmp(how, "_file") == 0)
        return from_file(pair, findings);
    if (strcmp(how, "_env") == 0)
        return from_environment(pair, findings);
    return from_line(pair, findings);
}
