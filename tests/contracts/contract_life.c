/* SPDX-License-Identifier: MIT
 *
 * Library cases about the life of a sandbox: lists, attaching, tokens, what is refused before anything starts.
 */
#include "tests/contracts/contract_lib.h"

struct ids {
    char text[16][SBX_ID_SIZE];
    size_t count;
};

static void add_id(void *user, const struct sbx_info *info)
{
    struct ids *ids = user;
    CHECK(info->id != NULL && ids->count < 16, "no id, or too many");
    snprintf(ids->text[ids->count++], SBX_ID_SIZE, "%s", info->id);
}

static size_t list_all(struct fixture *f, struct ids *ids)
{
    struct sbx_list_options options = SBX_INIT(options);
    memset(ids, 0, sizeof *ids);
    options.provider = f->provider;
    OK(f, sbx_list(f->ctx, &options, NULL, add_id, ids, &f->error));
    return ids->count;
}

static int has_id(const struct ids *ids, const char *id)
{
    for (size_t i = 0; i < ids->count; i++)
        if (strcmp(ids->text[i], id) == 0)
            return 1;
    return 0;
}

static void list_pages(struct fixture *f)
{
    struct ids all, seen = {0};
    struct sbx_list_options options = SBX_INIT(options);
    sbx_sandbox *boxes[4];
    char after[SBX_ID_SIZE] = "";
    for (size_t i = 0; i < 4; i++)
        boxes[i] = make_box(f);
    CHECK(list_all(f, &all) == 5, "%zu listed", all.count);
    options.provider = f->provider;
    options.limit = 2;
    for (int page = 0; page < 4; page++) {
        size_t before = seen.count;
        options.after = after[0] == '\0' ? NULL : after;
        OK(f, sbx_list(f->ctx, &options, NULL, add_id, &seen, &f->error));
        CHECK(seen.count - before <= 2, "a page of %zu", seen.count - before);
        if (seen.count == before)
            break;
        const char *slash = strchr(seen.text[seen.count - 1], '/');
        CHECK(slash != NULL, "id without an instance: %s", seen.text[seen.count - 1]);
        snprintf(after, sizeof after, "%s", slash + 1);
    }
    CHECK(seen.count == 5, "%zu seen in pages", seen.count);
    for (size_t i = 0; i < all.count; i++)
        CHECK(has_id(&seen, all.text[i]), "%s is in no page", all.text[i]);
    for (size_t i = 0; i < 4; i++) {
        OK(f, sbx_remove(boxes[i], NULL, &f->error));
        sbx_release(boxes[i]);
    }
    CHECK(list_all(f, &all) == 1 && has_id(&all, sbx_id(f->box)), "%zu listed at the end", all.count);
}

static void attach_unknown(struct fixture *f)
{
    static const char *const wrong[] = {"0000000000000000", "../x", "", "a b", "xyz\n", "very-long-%0300d"};
    struct ids ids;
    sbx_sandbox *box = NULL, *again = NULL;
    size_t before = list_all(f, &ids);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        char id[600];
        snprintf(id, sizeof id, "%s/%s", f->provider, wrong[i]);
        sbx_status status = sbx_attach(f->ctx, id, NULL, &box, &f->error);
        CHECK((status == SBX_E_NOT_FOUND || (i > 0 && status == SBX_E_INVALID)) && box == NULL, "'%s' gives %s", id,
              sbx_status_name(status));
    }
    OK(f, sbx_attach(f->ctx, sbx_id(f->box), NULL, &again, &f->error));
    CHECK(strcmp(sbx_id(again), sbx_id(f->box)) == 0, "another id: %s", sbx_id(again));
    sbx_release(again);
    CHECK(list_all(f, &ids) == before, "attaching changed the list");
}

static void exec_after_remove(struct fixture *f)
{
    struct sbx_exec_options options = SBX_INIT(options);
    struct sbx_exec_result result = SBX_INIT(result);
    sbx_sandbox *again = NULL;
    options.command = "exit 137";
    OK(f, sbx_exec(f->box, &options, NULL, &result, &f->error));
    CHECK(result.exit_code == 137, "exit code %d", result.exit_code);
    OK(f, sbx_remove(f->box, NULL, &f->error));
    OK(f, sbx_remove(f->box, NULL, &f->error));
    WANT(f, sbx_exec(f->box, &options, NULL, &result, &f->error), SBX_E_GONE);
    WANT(f, sbx_attach(f->ctx, sbx_id(f->box), NULL, &again, &f->error), SBX_E_NOT_FOUND);
    OK(f, sbx_remove_id(f->ctx, sbx_id(f->box), NULL, &f->error));
    WANT(f, sbx_remove_id(f->ctx, "no-such-instance/x", NULL, &f->error), SBX_E_CONFIG);
}

static void refused_before_start(struct fixture *f)
{
    static const char *const impossible[] = {"sbx.ssh/1", "made-up/9", NULL};
    struct sbx_kv reserved = {"sbx.managed", "no"};
    struct ids ids;
    sbx_sandbox *box = NULL;
    size_t before = list_all(f, &ids);
    struct sbx_create_options options = SBX_INIT(options);
    options.provider = f->provider;
    options.require = impossible;
    WANT(f, sbx_create(f->ctx, &options, NULL, &box, &f->error), SBX_E_UNSUPPORTED);
    CHECK(strstr(f->error.message, "made-up/9") != NULL || strstr(f->error.message, "sbx.ssh/1") != NULL,
          "'%s' does not name it", f->error.message);
    options.require = NULL;
    options.labels.items = &reserved;
    options.labels.count = 1;
    WANT(f, sbx_create(f->ctx, &options, NULL, &box, &f->error), SBX_E_INVALID);
    options.labels.count = 0;
    options.snapshot = "none-such";
    options.image = "/";
    WANT(f, sbx_create(f->ctx, &options, NULL, &box, &f->error), SBX_E_INVALID);
    CHECK(box == NULL && list_all(f, &ids) == before, "something was made");
    CHECK(sbx_support(f->box, "made-up/9") == SBX_SUPPORT_NONE, "support for what does not exist");
    CHECK(sbx_support(f->box, "sbx.stat/1") != SBX_SUPPORT_NONE, "no stat");
}

static void same_token_same_sandbox(struct fixture *f)
{
    struct sbx_create_options options = SBX_INIT(options);
    sbx_sandbox *first = NULL, *second = NULL;
    options.provider = f->provider;
    options.client_token = "token-of-this-test";
    OK(f, sbx_create(f->ctx, &options, NULL, &first, &f->error));
    OK(f, sbx_create(f->ctx, &options, NULL, &second, &f->error));
    CHECK(strcmp(sbx_id(first), sbx_id(second)) == 0, "%s and %s", sbx_id(first), sbx_id(second));
    OK(f, sbx_remove(first, NULL, &f->error));
    sbx_release(first);
    sbx_release(second);
}

static void see_state(void *user, const struct sbx_info *info)
{
    *(int32_t *)user = info->state;
    CHECK(info->created_ms > 1500000000000 && info->expires_ms > info->created_ms, "created %lld, expires %lld",
          (long long)info->created_ms, (long long)info->expires_ms);
}

static void state_can_be_asked(struct fixture *f)
{
    int32_t state = -1;
    struct sbx_call_options call = SBX_INIT(call);
    OK(f, sbx_inspect(f->box, NULL, see_state, &state, &f->error));
    CHECK(state == SBX_STATE_RUNNING, "state %d", state);
    call.deadline_ms = 5000;
    OK(f, sbx_wait(f->box, 1u << SBX_STATE_RUNNING, &call, see_state, &state, &f->error));
    call.deadline_ms = 400;
    sbx_status status = sbx_wait(f->box, 1u << SBX_STATE_SUSPENDED, &call, see_state, &state, &f->error);
    CHECK(status == SBX_E_TIMEOUT || status == SBX_E_STATE, "%s", sbx_status_name(status));
}

const struct lib_case lib_life_cases[] = {{"list_pages", list_pages},
                                          {"attach_unknown", attach_unknown},
                                          {"exec_after_remove", exec_after_remove},
                                          {"refused_before_start", refused_before_start},
                                          {"same_token_same_sandbox", same_token_same_sandbox},
                                          {"state_can_be_asked", state_can_be_asked},
                                          {NULL, NULL}};
