/* SPDX-License-Identifier: MIT
 *
 * test_jobs.c - jobs, shells and connections against a guest that loses its connections, and one that lies.
 */
#include "tests/common/runner.h"

#include "tests/common/run.h"

/* What the script does at each request, whatever connection it comes by; the last step is repeated. */
struct plan {
    const char *steps; /* i: info, o: output and then lost, O: output to its end, w: wait ends, l: lost, n: not found,
                          e: exists */
    char id[64];
    uint64_t offset;
    int starts;
    size_t next;          /* step */
    pthread_mutex_t lock; /* connections are threads */
};
#define PLAN(text)                                                                                                     \
    {                                                                                                                  \
        .steps = (text), .lock = PTHREAD_MUTEX_INITIALIZER                                                             \
    }

static void reply_info(struct fake_conn *c, const char *id, uint64_t result)
{
    CLEANUP_BUF struct buf b;
    buf_init(&b, 4096);
    fields_bytes(&b, F_ID, id, strlen(id));
    fields_number(&b, F_PID, 5);
    fields_number(&b, F_RESULT, result);
    fake_frame(c, FRAME_REPLY, 0, 0, b.data, b.len);
}

/* Whether the connection goes on. */
static int follow(struct fake_conn *c, struct plan *plan)
{
    char step = plan->steps[plan->next];
    if (plan->steps[plan->next + 1] != '\0')
        plan->next++;
    if (c->op == OP_JOB_START) {
        plan->starts++;
        fake_text(c, F_ID, 0, plan->id, sizeof plan->id);
    }
    switch (step) {
    case 'i':
        reply_info(c, plan->id, JOB_RUNS);
        fake_end(c, SBX_OK);
        break;
    case 'n':
        fake_end(c, SBX_E_NOT_FOUND);
        break;
    case 'e':
        fake_end(c, SBX_E_EXISTS);
        break;
    case 'o':
    case 'O':
        plan->offset = fake_number(c, F_OFFSET);
        fake_frame(c, FRAME_DATA, 0, STREAM_OUT, "abcde", 5);
        if (step == 'o')
            return 0;
        fake_end(c, SBX_OK);
        break;
    case 'w':
        fake_exited(c, 4);
        break;
    default:
        return 0;
    }
    return 1;
}

static void script(struct fake_conn *c, void *user)
{
    struct plan *plan = user;
    for (int goes_on = 1; goes_on && fake_request(c) == 0;) {
        (void)pthread_mutex_lock(&plan->lock);
        goes_on = follow(c, plan);
        (void)pthread_mutex_unlock(&plan->lock);
    }
}

static sbx_status wait_with(struct run *run, const char *steps, int max)
{
    struct plan plan = PLAN(steps);
    struct fake_guest fake;
    fake_start(&fake, script, &plan, NULL);
    fake.max = max;
    sbx_status status = guest_job_wait(fake.link, &run->call, "j", &run->result);
    fake_stop(&fake);
    return status;
}

static void a_lost_wait_is_asked_once_more(void **state)
{
    (void)state;
    RUN run;
    run_init(&run);
    /* The second connection only asks whether the guest is there; it is then used. */
    assert_int_equal(wait_with(&run, "lw", 0), SBX_OK);
    assert_int_equal(run.result.flags, SBX_EXITED);
    assert_int_equal(run.result.exit_code, 4);
    run.result = (struct sbx_exec_result){.size = sizeof run.result};
    assert_int_equal(wait_with(&run, "l", 0), SBX_E_UNKNOWN);
    assert_int_equal(run.result.flags, 0);
    assert_int_equal(wait_with(&run, "l", 1), SBX_E_GONE);
    assert_int_equal(run.result.flags, 0);
}

static void lost_output_goes_on_at_its_offset(void **state)
{
    (void)state;
    struct plan plan = PLAN("oO");
    struct fake_guest fake;
    struct sbx_output_args args = {.size = sizeof args, .flags = SBX_OUTPUT_FOLLOW, .stream = 1, .from = 100};
    uint64_t next = 0;
    RUN run;
    run_init(&run);
    fake_start(&fake, script, &plan, NULL);
    assert_int_equal(guest_job_output(fake.link, &run.call, "j", &args, &run.out.sink, &next), SBX_OK);
    fake_stop(&fake);
    assert_int_equal(plan.offset, 105);
    assert_int_equal(next, 110);
    assert_int_equal(run.out.data.len, 10);
    plan.steps = "o";
    plan.next = 0;
    fake_start(&fake, script, &plan, NULL);
    fake.max = 1;
    assert_int_equal(guest_job_output(fake.link, &run.call, "j", &args, &run.out.sink, &next), SBX_E_GONE);
    assert_int_equal(next, 105);
    fake_stop(&fake);
}

static void a_start_that_was_lost_is_found_or_made_again(void **state)
{
    (void)state;
    static const struct {
        const char *steps;
        sbx_status status;
        int starts;
    } cases[] = {{"i", SBX_OK, 1},    {"li", SBX_OK, 1},      {"lni", SBX_OK, 2},
                 {"lnei", SBX_OK, 2}, {"e", SBX_E_EXISTS, 1}, {"l", SBX_E_UNKNOWN, 1}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct plan plan = PLAN(cases[i].steps);
        struct sbx_job_info info = {.size = sizeof info};
        struct fake_guest fake;
        RUN run;
        run_init(&run);
        run.args.out = run.args.err = NULL;
        fake_start(&fake, script, &plan, NULL);
        assert_int_equal(guest_job_start(fake.link, &run.call, &run.args, &info), cases[i].status);
        fake_stop(&fake);
        assert_int_equal(plan.starts, cases[i].starts);
        if (cases[i].status == SBX_OK) {
            assert_string_equal(info.id, plan.id);
        } else if (cases[i].status == SBX_E_UNKNOWN) {
            assert_string_equal(run.error.resource_id, plan.id);
            assert_true((run.error.flags & SBX_ERR_MAYBE_APPLIED) != 0);
        }
    }
}

/* --- lies ----------------------------------------------------------------------------------------------------- */

struct lie {
    struct buf fields;
};

static void tell(struct fake_conn *c, void *user)
{
    const struct lie *lie = user;
    if (fake_request(c) != 0)
        return;
    fake_frame(c, FRAME_REPLY, 0, 0, lie->fields.data, lie->fields.len);
    fake_end(c, SBX_OK);
}

static sbx_status info_of(struct lie *lie)
{
    struct sbx_job_info info = {.size = sizeof info};
    struct fake_guest fake;
    RUN run;
    run_init(&run);
    fake_start(&fake, tell, lie, NULL);
    sbx_status status = guest_job_info(fake.link, &run.call, "j", &info);
    fake_stop(&fake);
    buf_finish(&lie->fields);
    return status;
}

static void what_a_guest_says_of_a_job_is_checked(void **state)
{
    (void)state;
    struct lie lie;
    char long_id[300];
    memset(long_id, 'j', sizeof long_id);
    buf_init(&lie.fields, 4096);
    fields_bytes(&lie.fields, F_ID, "j", 1);
    fields_number(&lie.fields, F_EXIT_CODE, 255);
    assert_int_equal(info_of(&lie), SBX_OK);
    fields_bytes(&lie.fields, F_ID, "other", 5);
    assert_int_equal(info_of(&lie), SBX_E_PROTOCOL);
    fields_bytes(&lie.fields, F_ID, long_id, sizeof long_id);
    assert_int_equal(info_of(&lie), SBX_E_PROTOCOL);
    fields_bytes(&lie.fields, F_ID, "j\0k", 3);
    assert_int_equal(info_of(&lie), SBX_E_PROTOCOL);
    fields_number(&lie.fields, F_PID, 1);
    assert_int_equal(info_of(&lie), SBX_E_PROTOCOL);
    static const unsigned tags[] = {F_PID, F_EXIT_CODE, F_TERM_SIGNAL};
    for (size_t i = 0; i < sizeof tags / sizeof tags[0]; i++) {
        fields_bytes(&lie.fields, F_ID, "j", 1);
        fields_number(&lie.fields, (enum wire_field)tags[i], UINT64_MAX);
        assert_int_equal(info_of(&lie), SBX_E_PROTOCOL);
        fields_bytes(&lie.fields, F_ID, "j", 1);
        fields_bytes(&lie.fields, (enum wire_field)tags[i], "1", 1);
        assert_int_equal(info_of(&lie), SBX_E_PROTOCOL);
    }
}

static void end_with(struct fake_conn *c, void *user)
{
    if (fake_request(c) == 0)
        fake_end(c, *(const int64_t *)user);
}

/* Only a connection may be refused so; a guest that says it of anything else is not believed. */
static void unavailable_is_for_connections_alone(void **state)
{
    (void)state;
    int64_t code = SBX_E_UNAVAILABLE;
    struct fake_guest fake;
    RUN run;
    run_init(&run);
    fake_start(&fake, end_with, &code, NULL);
    assert_int_equal(guest_dial(fake.link, &run.call, 80, NULL, NULL), SBX_E_UNAVAILABLE);
    assert_int_equal(guest_job_kill(fake.link, &run.call, "j"), SBX_E_FAILED);
    assert_int_equal(guest_dial(fake.link, &run.call, 0, NULL, NULL), SBX_E_INVALID);
    assert_int_equal(guest_dial(fake.link, &run.call, 65536, NULL, NULL), SBX_E_INVALID);
    fake_stop(&fake);
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_lost_wait_is_asked_once_more),
        cmocka_unit_test(lost_output_goes_on_at_its_offset),
        cmocka_unit_test(a_start_that_was_lost_is_found_or_made_again),
        cmocka_unit_test(what_a_guest_says_of_a_job_is_checked),
        cmocka_unit_test(unavailable_is_for_connections_alone),
    };
    return RUN_TESTS(tests, argc, argv);
}
