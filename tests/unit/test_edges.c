/* SPDX-License-Identifier: MIT
 *
 * test_edges.c - what sbx.h says of calls at their edges: short structs, what is left out or makes no sense, the time
 * of calls that are made of several.
 */
#include "direct.h"

#include "sbx_tools.h"

/* --- structs ------------------------------------------------------------------------------------------------------ */

/* Fills a struct that ends eight bytes into its message, and looks at what lies behind. */
static void assert_terminated(struct place *p, sbx_status (*failing)(struct place *p, struct sbx_error *error))
{
    union {
        struct sbx_error error;
        char bytes[sizeof(struct sbx_error)];
    } u;
    const size_t end = offsetof(struct sbx_error, message) + 8;
    memset(u.bytes, 'Z', sizeof u.bytes);
    u.error.size = (uint32_t)end;
    u.error.code = 0;
    assert_true(failing(p, &u.error) < 0);
    assert_true(u.error.code < 0);
    assert_non_null(memchr(u.error.message, '\0', 8));
    for (size_t i = end; i < sizeof u.bytes; i++)
        assert_int_equal(u.bytes[i], 'Z');
}

static const struct sbx_exec_options command = {.size = sizeof command, .command = "pwd"};

static sbx_status fail_exec(struct place *p, struct sbx_error *error)
{
    return sbx_exec(p->box, &command, NULL, NULL, error);
}

static sbx_status fail_capture(struct place *p, struct sbx_error *error)
{
    sbx_op *op = NULL;
    sbx_status status = sbx_exec_capture(p->box, &command, NULL, &op, error);
    sbx_op_free(op);
    return status;
}

static sbx_status fail_finish(struct place *p, struct sbx_error *error)
{
    sbx_op *op = NULL;
    assert_int_equal(sbx_exec_start(p->box, &command, NULL, &op, NULL), SBX_OK);
    sbx_status status = sbx_op_finish(op, error);
    sbx_op_free(op);
    return status;
}

static sbx_status fail_remove_id(struct place *p, struct sbx_error *error)
{
    return sbx_remove_id(p->ctx, "nobody/box1", NULL, error);
}

static void a_short_error_struct_gets_a_message_that_ends(void **state)
{
    (void)state;
    struct place p;
    place_open(&p, "direct", "message"); /* every command fails with one */
    place_create(&p);
    assert_terminated(&p, fail_exec);
    assert_terminated(&p, fail_capture);
    assert_terminated(&p, fail_finish);
    assert_terminated(&p, fail_remove_id);
    place_close(&p);
}

/* --- nothing is ignored ------------------------------------------------------------------------------------------- */

static int32_t drop(void *user, const void *data, size_t len)
{
    (void)user, (void)data, (void)len;
    return 0;
}

static int64_t no_bytes(void *user, void *buf, size_t cap)
{
    (void)user, (void)buf, (void)cap;
    return 0;
}

static void fields_that_mean_nothing_for_a_transfer_are_refused(void **state)
{
    (void)state;
    struct place p;
    place_open(&p, "direct", NULL);
    const struct sbx_transfer_options mode = {.size = sizeof mode, .mode = 0644, .on_data = drop};
    const struct sbx_transfer_options offset = {.size = sizeof offset, .offset = 1, .on_data = drop};
    const struct sbx_transfer_options limit = {.size = sizeof limit, .limit = 1, .on_data = drop};
    const struct sbx_transfer_options put = {.size = sizeof put, .mode = 0644, .in_read = no_bytes};
    assert_int_equal(sbx_read_file(p.box, "f", &mode, NULL, &p.error), SBX_E_INVALID);
    assert_int_equal(sbx_get_tar(p.box, ".", &mode, NULL, &p.error), SBX_E_INVALID);
    assert_int_equal(sbx_get_tar(p.box, ".", &offset, NULL, &p.error), SBX_E_INVALID);
    unit_assert_contains(p.error.message, "get d/box1: ");
    assert_int_equal(sbx_get_tar(p.box, ".", &limit, NULL, &p.error), SBX_E_INVALID);
    assert_int_equal(sbx_put_tar(p.box, ".", &put, NULL, &p.error), SBX_E_INVALID);
    place_close(&p);
}

static void unknown_flags_of_a_terminal_and_of_a_check_are_refused(void **state)
{
    (void)state;
    struct place p;
    place_open(&p, "direct", NULL);
    const struct sbx_terminal terminal = {.size = sizeof terminal, .flags = 1u << 4, .ready_fd = -1};
    const struct sbx_exec_options options = {.size = sizeof options, .command = "true", .terminal = &terminal};
    const struct sbx_open_options check = {.size = sizeof check, .flags = SBX_OPEN_NO_FILES | 1u << 9};
    assert_int_equal(sbx_exec(p.box, &options, NULL, NULL, &p.error), SBX_E_UNSUPPORTED);
    unit_assert_contains(p.error.message, "terminal: unknown flags 0x10");
    assert_int_equal(sbx_config_check(&check, NULL, NULL, &p.error), SBX_E_UNSUPPORTED);
    /* What no sandbox will ever be. */
    assert_int_equal(sbx_wait(p.box, 1u << 20, NULL, NULL, NULL, &p.error), SBX_E_INVALID);
    place_close(&p);
}

static void out_parameters_are_set_on_every_failure(void **state)
{
    (void)state;
    struct place p;
    sbx_found *found;
    uint64_t next = 7;
    place_open(&p, "direct", NULL);
    const struct sbx_lines_options flags = {.size = sizeof flags, .flags = 1};
    const struct sbx_job_output_options output = {.size = sizeof output, .stream = 3, .from = 5, .on_data = drop};
    found = (sbx_found *)(void *)&p;
    assert_int_equal(sbx_tool_grep(p.box, ".", NULL, NULL, 0, NULL, &found, &p.error), SBX_E_INVALID);
    assert_null(found);
    found = (sbx_found *)(void *)&p;
    assert_int_equal(sbx_tool_read(p.box, "f", &flags, NULL, &found, &p.error), SBX_E_UNSUPPORTED);
    assert_null(found);
    assert_int_equal(sbx_job_output(p.box, "job1", &output, NULL, &next, &p.error), SBX_E_INVALID);
    assert_int_equal(next, 5);
    place_close(&p);
}

static void support_tells_what_a_provider_emulates(void **state)
{
    (void)state;
    struct place p;
    place_open(&p, "direct", "support-emulated");
    place_create(&p);
    assert_int_equal(sbx_support(p.box, "sbx.fs/1"), SBX_SUPPORT_EMULATED);
    assert_int_equal(sbx_support(p.box, "sbx.batch/1"), SBX_SUPPORT_NATIVE);
    assert_int_equal(sbx_make_dir(p.box, "x", 0, 0, NULL, &p.error), SBX_OK);
    place_close(&p);
}

static void a_trace_id_appears_in_the_log(void **state)
{
    (void)state;
    struct place p;
    sbx_context *ctx = NULL;
    place_open(&p, "direct", NULL);
    const struct sbx_open_options debug = {.size = sizeof debug,
                                           .flags = SBX_OPEN_LOG_LEVEL,
                                           .config_path = p.ini,
                                           .log = place_log,
                                           .user = &p,
                                           .log_level = SBX_LOG_DEBUG};
    const struct sbx_call_options traced = {.size = sizeof traced, .trace_id = "trace-4711"};
    assert_int_equal(sbx_open(&debug, &ctx, &p.error), SBX_OK);
    assert_int_equal(sbx_list(ctx, NULL, &traced, NULL, NULL, &p.error), SBX_OK);
    unit_assert_contains(p.log, "[trace-4711] d: ok");
    sbx_close(ctx);
    place_close(&p);
}

static void captured_output_is_cut_at_the_configured_limit(void **state)
{
    (void)state;
    struct place p;
    sbx_op *op = NULL;
    size_t len = 0;
    place_open_ini(&p, "default = d\ncapture_limit = 1K\n[provider d]\nplugin = direct\nroot = @\n");
    place_create(&p);
    const struct sbx_exec_options options = {.size = sizeof options, .command = "head -c 5000 /dev/zero"};
    assert_int_equal(sbx_exec_capture(p.box, &options, NULL, &op, &p.error), SBX_OK);
    assert_non_null(sbx_op_output(op, 1, &len));
    assert_int_equal(len, 1024);
    assert_int_equal(sbx_op_exec_result(op)->flags, SBX_EXITED | SBX_STDOUT_TRUNCATED);
    assert_int_equal(sbx_op_exec_result(op)->out_bytes, 5000);
    sbx_op_free(op);
    place_close(&p);
}

/* --- errors ------------------------------------------------------------------------------------------------------- */

static void what_may_be_left_is_named_by_its_full_id(void **state)
{
    (void)state;
    struct place p;
    place_open_ini(&p, "default = e\n[provider e]\nplugin = direct\nroot = @\n"
                       "[provider d]\nplugin = direct\nroot = @\nbad = create-lost\n");
    const struct sbx_create_options options = {.size = sizeof options, .provider = "d"};
    assert_int_equal(sbx_create(p.ctx, &options, NULL, &p.box, &p.error), SBX_E_UNKNOWN);
    assert_string_equal(p.error.resource_id, "d/box7");
    place_close(&p);
}

static void keep_message(void *user, size_t index, sbx_status code, const char *message)
{
    (void)index;
    assert_int_equal(code, SBX_E_NOT_FOUND);
    (void)snprintf(user, 512, "%s", message);
}

static void messages_of_a_batch_are_clean_and_name_the_sandbox(void **state)
{
    (void)state;
    struct place p;
    char message[512] = "";
    assert_int_equal(setenv("TEST_EDGES_TOKEN", "hunter2hunter2", 1), 0);
    place_open_ini(&p, "default = d\n[provider d]\nplugin = direct\nroot = @\ntoken_env = TEST_EDGES_TOKEN\n");
    place_create(&p);
    const struct sbx_transfer_options how = {.size = sizeof how, .on_data = drop};
    const struct sbx_file_item item = {.size = sizeof item, .path = "no\nhunter2hunter2", .how = &how};
    const struct sbx_file_item *const items[] = {&item};
    assert_int_equal(sbx_support(p.box, "sbx.batch/1"), SBX_SUPPORT_NATIVE);
    assert_int_equal(sbx_read_files(p.box, items, 1, NULL, keep_message, message, &p.error), SBX_OK);
    assert_memory_equal(message, "read d/box1: ", 13);
    assert_null(strstr(message, "hunter2"));
    assert_null(strchr(message, '\n'));
    place_close(&p);
}

/* --- one deadline for the whole ----------------------------------------------------------------------------------- */

/* Each step takes 300 ms and fits alone; two of them do not. */
static const struct sbx_call_options in_400_ms = {.size = sizeof in_400_ms, .deadline_ms = 400};

static void a_deadline_holds_for_all_steps_of_a_removal(void **state)
{
    (void)state;
    struct place p;
    place_open(&p, "direct", "slow-steps");
    place_create(&p);
    assert_int_equal(sbx_remove_id(p.ctx, sbx_id(p.box), &in_400_ms, &p.error), SBX_E_TIMEOUT);
    place_close(&p);
}

static void a_deadline_holds_for_all_steps_of_a_sweep(void **state)
{
    (void)state;
    struct place p;
    place_open(&p, "direct", "slow-steps");
    place_create(&p);
    const struct sbx_gc_options all = {.size = sizeof all, .flags = SBX_GC_ALL};
    const struct sbx_call_options call = {.size = sizeof call, .deadline_ms = 700};
    assert_int_equal(sbx_gc(p.ctx, &all, &call, NULL, NULL, &p.error), SBX_E_TIMEOUT);
    assert_int_equal(sbx_inspect(p.box, NULL, NULL, NULL, &p.error), SBX_OK);
    place_close(&p);
}

static void a_deadline_holds_for_all_providers_of_a_list(void **state)
{
    (void)state;
    struct place p;
    place_open_ini(&p, "default = d\n[provider d]\nplugin = direct\nroot = @\nbad = slow-steps\n"
                       "[provider e]\nplugin = direct\nroot = @\nbad = slow-steps\n");
    sbx_status status = sbx_list(p.ctx, NULL, &in_400_ms, NULL, NULL, &p.error);
    assert_true(status == SBX_OK || status == SBX_E_TIMEOUT); /* the first one may be late, too */
    unit_assert_contains(p.log, "list e: timed out");
    place_close(&p);
}

/* --- callbacks that call back ------------------------------------------------------------------------------------- */

struct nested {
    sbx_op *op;
    size_t bytes;
    int is_wrong;
};

static int32_t call_back(void *user, int stream, const void *data, size_t len)
{
    struct nested *n = user;
    const char *bytes = data;
    n->is_wrong |= stream != 1;
    n->is_wrong |= sbx_op_dispatch(n->op) != 0;
    n->is_wrong |= sbx_op_finish(n->op, NULL) != SBX_E_STATE;
    for (size_t i = 0; i < len; i++)
        n->is_wrong |= bytes[i] != 'a';
    n->bytes += len;
    return 0;
}

static void a_callback_that_dispatches_its_own_operation_does_no_harm(void **state)
{
    (void)state;
    struct place p;
    struct nested n = {.bytes = 0};
    place_open(&p, "direct", NULL);
    const struct sbx_exec_options options = {.size = sizeof options,
                                             .command = "head -c 3000000 /dev/zero | tr '\\0' a",
                                             .user_data = &n,
                                             .on_output = call_back};
    assert_int_equal(sbx_exec_start(p.box, &options, NULL, &n.op, &p.error), SBX_OK);
    assert_int_equal(sbx_op_finish(n.op, &p.error), SBX_OK);
    assert_int_equal(n.bytes, 3000000);
    assert_false(n.is_wrong);
    sbx_op_free(n.op);
    place_close(&p);
}

static const struct CMUnitTest tests[] = {
    UNIT(a_callback_that_dispatches_its_own_operation_does_no_harm),
    UNIT(a_short_error_struct_gets_a_message_that_ends),
    UNIT(fields_that_mean_nothing_for_a_transfer_are_refused),
    UNIT(unknown_flags_of_a_terminal_and_of_a_check_are_refused),
    UNIT(out_parameters_are_set_on_every_failure),
    UNIT(support_tells_what_a_provider_emulates),
    UNIT(a_trace_id_appears_in_the_log),
    UNIT(captured_output_is_cut_at_the_configured_limit),
    UNIT(what_may_be_left_is_named_by_its_full_id),
    UNIT(messages_of_a_batch_are_clean_and_name_the_sandbox),
    UNIT(a_deadline_holds_for_all_steps_of_a_removal),
    UNIT(a_deadline_holds_for_all_steps_of_a_sweep),
    UNIT(a_deadline_holds_for_all_providers_of_a_list),
};
UNIT_MAIN(tests)
