/* SPDX-License-Identifier: MIT
 *
 * snapshot.c - snapshots through libsbx: taken, restored twice, listed, removed. Prints the id of one more, which is
 * left, for the test that looks at its image.
 */
#include "sbx.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(condition)                                                                                               \
    ((condition) ? (void)0 : ((void)fprintf(stderr, "%d: %s (%s)\n", __LINE__, #condition, error.message), exit(1)))

static struct sbx_error error;

struct seen {
    unsigned count;
    char id[300];
    char name[64];
    char label[64];
    int32_t state;
};

static void see(void *user, const struct sbx_snapshot_info *info)
{
    struct seen *seen = user;
    seen->count++;
    seen->state = info->state;
    (void)snprintf(seen->id, sizeof seen->id, "%s", info->id);
    (void)snprintf(seen->name, sizeof seen->name, "%s", info->name != NULL ? info->name : "");
    for (size_t i = 0; i < info->labels.count; i++)
        if (strcmp(info->labels.items[i].key, "kind") == 0)
            (void)snprintf(seen->label, sizeof seen->label, "%s", info->labels.items[i].value);
}

static sbx_sandbox *make(sbx_context *ctx, const char *snapshot)
{
    static const struct sbx_kv envs[] = {{"SECRET", "hush"}}, labels[] = {{"team", "red"}};
    struct sbx_create_options options = SBX_INIT(options);
    sbx_sandbox *box = NULL;
    options.provider = "docker";
    options.snapshot = snapshot;
    if (snapshot == NULL) {
        options.image = "sbx-test/user";
        options.envs = (struct sbx_kvs){envs, 1};
        options.labels = (struct sbx_kvs){labels, 1};
    }
    CHECK(sbx_create(ctx, &options, NULL, &box, &error) == SBX_OK);
    return box;
}

static int run(sbx_sandbox *box, const char *line)
{
    struct sbx_exec_options options = SBX_INIT(options);
    struct sbx_exec_result result = SBX_INIT(result);
    options.command = line;
    options.flags = SBX_RUN_OUT_FD | SBX_RUN_ERR_FD;
    options.out_fd = 2;
    options.err_fd = 2;
    CHECK(sbx_exec(box, &options, NULL, &result, &error) == SBX_OK);
    return result.exit_code;
}

static void drop(sbx_sandbox *box)
{
    CHECK(sbx_remove(box, NULL, &error) == SBX_OK);
    sbx_release(box);
}

int main(void)
{
    static const struct sbx_kv kind[] = {{"kind", "a \"b\" = c"}};
    struct sbx_snapshot_options options = SBX_INIT(options);
    struct sbx_list_options list = SBX_INIT(list);
    struct seen first = {.count = 0}, second = {.count = 0}, all = {.count = 0};
    sbx_context *ctx = NULL;
    error.size = sizeof error;
    CHECK(sbx_open(NULL, &ctx, &error) == SBX_OK);
    sbx_sandbox *box = make(ctx, NULL);
    CHECK(run(box, "echo one >file; mkdir dir; ln -s file dir/link; chmod 4750 file") == 0);
    options.name = "first";
    options.comment = "a comment & more";
    options.labels = (struct sbx_kvs){kind, 1};
    CHECK(sbx_snapshot_create(box, &options, NULL, see, &first, &error) == SBX_OK);
    CHECK(first.count == 1 && first.state == SBX_SNAP_DONE && strcmp(first.name, "first") == 0);
    CHECK(strcmp(first.label, kind[0].value) == 0);
    CHECK(run(box, "echo two >file") == 0); /* the sandbox goes on, and the snapshot does not see it */
    drop(box);
    for (int i = 0; i < 2; i++) {
        box = make(ctx, first.id);
        CHECK(run(box, "test \"$(cat file)\" = one && test -L dir/link && test \"$(stat -c %a%U file)\" = 4750app") ==
              0);
        CHECK(run(box,
                  "test -z \"$SECRET\" && test $COLOUR = blue && test $(id -un) = app && test $PWD = /workspace") == 0);
        CHECK(run(box, "echo three >file") == 0);
        if (i == 0)
            drop(box);
    }
    memset(&options, 0, sizeof options);
    options.size = sizeof options;
    CHECK(sbx_snapshot_create(box, &options, NULL, see, &second, &error) == SBX_OK);
    CHECK(second.label[0] == '\0' && second.name[0] == '\0');
    list.provider = "docker";
    CHECK(sbx_snapshot_list(ctx, &list, NULL, see, &all, &error) == SBX_OK && all.count == 2);
    list.labels = (struct sbx_kvs){kind, 1};
    all.count = 0;
    CHECK(sbx_snapshot_list(ctx, &list, NULL, see, &all, &error) == SBX_OK && all.count == 1);
    CHECK(strcmp(all.id, first.id) == 0);
    CHECK(sbx_snapshot_remove(ctx, first.id, NULL, &error) == SBX_OK);
    CHECK(sbx_snapshot_remove(ctx, first.id, NULL, &error) == SBX_OK);
    CHECK(sbx_snapshot_query(ctx, first.id, NULL, see, &all, &error) == SBX_E_NOT_FOUND);
    CHECK(run(box, "cat file && test -L dir/link") == 0); /* what was made from it lives on */
    drop(box);
    (void)printf("%s\n", second.id);
    sbx_close(ctx);
    return 0;
}
