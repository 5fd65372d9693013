/* SPDX-License-Identifier: MIT
 *
 * run.h - one exec of a test: its arguments, where its output goes, what came of it.
 */
#ifndef SBX_TESTS_COMMON_RUN_H
#define SBX_TESTS_COMMON_RUN_H

#include "tests/common/fake_guest.h"

struct run {
    struct sbx_error error;
    struct sbx_call call; /* with a deadline in 20 s, so that no test hangs */
    struct sbx_exec_args args;
    struct sbx_exec_result result;
    struct kept out;
    struct kept err;
};

static inline void run_init(struct run *run)
{
    static const char *const argv_true[] = {"true", NULL};
    memset(run, 0, sizeof *run);
    run->error.size = sizeof run->error;
    run->call = (struct sbx_call){.size = sizeof run->call, .error = &run->error};
    run->call.deadline_ns = clock_now_ns() + INT64_C(20000000000);
    kept_init(&run->out);
    kept_init(&run->err);
    run->args = (struct sbx_exec_args){
        .size = sizeof run->args, .argv = argv_true, .out = &run->out.sink, .err = &run->err.sink};
    run->result.size = sizeof run->result;
}

static inline void run_finish(struct run *run)
{
    kept_finish(&run->out);
    kept_finish(&run->err);
}

#define RUN CLEANUP(run_finish) struct run

static inline sbx_status run_on(struct run *run, struct guest_link *link)
{
    return guest_exec(link, &run->call, &run->args, 0, &run->result);
}

static inline sbx_status run_once(struct run *run, void (*script)(struct fake_conn *c, void *user), void *user)
{
    struct fake_guest fake;
    fake_start(&fake, script, user, NULL);
    sbx_status status = run_on(run, fake.link);
    fake_stop(&fake);
    return status;
}

#endif /* SBX_TESTS_COMMON_RUN_H */
