/* SPDX-License-Identifier: MIT
 *
 * template.h - between the three files of the template provider. A sandbox is a folder ROOT/ID with `work` (its
 * /workspace), `tmp`, `facts` (what create was told) and `lock`, which each running command holds.
 */
#ifndef TEMPLATE_H
#define TEMPLATE_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <sbx_plugin.h>

#include <limits.h>

enum { FACTS_MAX = 65536, ID_LENGTH = 16 };

struct sbx_backend { /* all state hangs off it: another host may open a second one */
    char root[PATH_MAX - 512];
};
struct sbx_handle {
    struct sbx_backend *backend;
    char id[ID_LENGTH + 1];
    char folder[PATH_MAX - 256];
    int64_t expires_ms; /* wall clock; 0: never */
};

/* template.c. fail: fills the call's error, where there is one, and answers code: `exec: no such directory '/x'`. */
sbx_status fail(struct sbx_call *call, sbx_status code, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* SBX_OK, SBX_E_TIMEOUT or SBX_E_CANCELLED. Never waits. */
sbx_status check(struct sbx_call *call);
int64_t now_ns(int32_t clock);

/* Triples of texts: `m` label, `e` environment, `t` token, `x` end of life. */
struct facts {
    char data[FACTS_MAX + 4];
    size_t len;
};
int facts_read(struct facts *f, const char *folder);
/* The next triple of this kind, from *at on; 0 when there is none. */
int facts_next(const struct facts *f, size_t *at, const char *kind, struct sbx_kv *out);

/* command.c. Runs a command to its end; the arguments were taken and checked. */
sbx_status command_run(struct sbx_handle *h, struct sbx_call *call, const struct sbx_exec_args *args,
                       struct sbx_exec_result *result);
sbx_status command_exec(struct sbx_handle *h, struct sbx_call *call, const struct sbx_exec_args *args,
                        struct sbx_exec_result *out);

/* file.c */
sbx_status file_read(struct sbx_handle *h, struct sbx_call *call, const char *path, const struct sbx_read_args *args,
                     const struct sbx_sink *out);
sbx_status file_write(struct sbx_handle *h, struct sbx_call *call, const char *path, const struct sbx_write_args *args,
                      const struct sbx_source *in);

#endif /* TEMPLATE_H */
