/* SPDX-License-Identifier: MIT
 *
 * drive.c - the plugin by hand, for tests that need a process of their own:
 *   drive DIR [KEY=VALUE...] VERB ...
 *   workdir=DIR is create's, not a key
 *   create | bound | list | rm ID | fact ID KEY | exec ID ARGV... | run ARGV... | hold (bound, then waits for ever)
 */
#include "tests/local/lab.h"

#include <stdio.h>
#include <unistd.h>

enum { KEYS = 16 };

static int fail(const struct lab *lab, sbx_status status)
{
    (void)fprintf(stderr, "drive: %d: %s\n", status, lab->error.message);
    return 125;
}

static int32_t print_item(void *user, const struct sbx_info *info)
{
    (void)user;
    (void)printf("%s\n", info->id);
    return 0;
}

static int list(struct lab *lab)
{
    struct sbx_list_args args = {.size = sizeof args};
    struct sbx_info_sink sink = {.size = sizeof sink, .item = print_item};
    sbx_status status = lab->plugin->backend->list(lab->backend, lab_call(lab, 60000), &args, &sink);
    return status == SBX_OK ? 0 : fail(lab, status);
}

static int exec(struct lab *lab, struct sbx_handle *h, char **argv)
{
    struct lab_result result;
    struct sbx_exec_args args = {.argv = (const char *const *)argv};
    sbx_status status = lab_exec(lab, h, &args, &result);
    (void)fwrite(result.out.data, 1, result.out.len, stdout);
    (void)fwrite(result.err.data, 1, result.err.len, stderr);
    int code = status == SBX_OK ? result.result.exit_code : fail(lab, status);
    lab_result_finish(&result);
    return code;
}

static int create(struct lab *lab, const char *workdir, const char *verb, char **rest)
{
    struct sbx_handle *h = NULL;
    int keep = strcmp(verb, "create") == 0;
    struct sbx_create_args args = {.size = sizeof args, .flags = keep ? 0 : SBX_CREATE_BOUND, .workdir = workdir};
    sbx_status status = lab_create(lab, &args, &h);
    if (status != SBX_OK)
        return fail(lab, status);
    int code = 0;
    if (strcmp(verb, "run") == 0) {
        code = exec(lab, h, rest);
        (void)lab_remove(lab, h);
        return code;
    }
    (void)printf("%s\n", lab->plugin->handle->id(h));
    (void)fflush(stdout);
    if (strcmp(verb, "hold") == 0)
        (void)pause();
    lab->plugin->handle->release(h);
    return code;
}

static int on_handle(struct lab *lab, const char *verb, char **rest)
{
    struct sbx_handle *h = NULL;
    char value[256];
    sbx_status status = lab->plugin->backend->attach(lab->backend, lab_call(lab, 60000), rest[0], &h);
    if (status != SBX_OK)
        return fail(lab, status);
    int code = 0;
    if (strcmp(verb, "exec") == 0)
        code = exec(lab, h, rest + 1);
    else if (strcmp(verb, "fact") == 0)
        (void)printf("%s\n", lab_fact(lab, h, rest[1], value, sizeof value));
    else if ((status = lab->plugin->handle->remove(h, lab_call(lab, 60000))) != SBX_OK)
        code = fail(lab, status);
    lab->plugin->handle->release(h);
    return code;
}

int main(int argc, char **argv)
{
    struct lab lab;
    struct sbx_kv keys[KEYS];
    size_t count = 0;
    const char *workdir = NULL;
    int at = 2;
    for (; at < argc && strchr(argv[at], '=') != NULL && count < KEYS; at++) {
        char *equals = strchr(argv[at], '=');
        *equals = '\0';
        if (strcmp(argv[at], "workdir") == 0) {
            workdir = equals + 1;
            continue;
        }
        keys[count++] = (struct sbx_kv){argv[at], equals + 1};
    }
    if (at >= argc)
        return 2;
    sbx_status status = lab_open(&lab, argv[1], keys, count);
    const char *verb = argv[at];
    int code = 0;
    if (status != SBX_OK)
        code = fail(&lab, status);
    else if (strcmp(verb, "list") == 0)
        code = list(&lab);
    else if (strcmp(verb, "exec") == 0 || strcmp(verb, "fact") == 0 || strcmp(verb, "rm") == 0)
        code = at + 1 < argc ? on_handle(&lab, verb, argv + at + 1) : 2;
    else
        code = create(&lab, workdir, verb, argv + at + 1);
    lab_close(&lab);
    return code;
}
