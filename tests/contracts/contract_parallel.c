/* SPDX-License-Identifier: MIT
 *
 * Library cases about streaming, cancelling, threads and event loops.
 */
#include "tests/contracts/contract_lib.h"
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

struct pieces {
    char text[2][4096];
    size_t len[2];
    int64_t first_ms;
    int64_t last_ms;
    int count;
    pthread_t thread;
};

static int32_t add_piece(void *user, int stream, const void *data, size_t len)
{
    struct pieces *p = user;
    CHECK(stream == 1 || stream == 2, "stream %d", stream);
    size_t s = (size_t)(stream - 1);
    CHECK(p->len[s] + len < sizeof p->text[s], "too many bytes");
    CHECK(pthread_equal(p->thread, pthread_self()), "a callback on a foreign thread");
    memcpy(p->text[s] + p->len[s], data, len);
    p->len[s] += len;
    p->last_ms = clock_ms();
    if (p->count++ == 0)
        p->first_ms = p->last_ms;
    return 0;
}

static void streaming(struct fixture *f)
{
    static const char line[] = "for i in 1 2 3 4; do echo out $i; echo err $i >&2; sleep 0.25; done; echo last";
    struct sbx_exec_options options = SBX_INIT(options);
    for (int form = 0; form < 2; form++) {
        struct pieces p = {.thread = pthread_self()};
        struct sbx_exec_result result = SBX_INIT(result);
        options.command = line;
        options.on_output = add_piece;
        options.user_data = &p;
        int64_t begin = clock_ms();
        if (form == 0) {
            OK(f, sbx_exec(f->box, &options, NULL, &result, &f->error));
        } else {
            sbx_op *op = NULL;
            OK(f, sbx_exec_start(f->box, &options, NULL, &op, &f->error));
            OK(f, sbx_op_finish(op, &f->error));
            OK(f, sbx_op_finish(op, &f->error));
            result = *sbx_op_exec_result(op);
            sbx_op_free(op);
        }
        CHECK(p.first_ms - begin < 600 && p.last_ms - p.first_ms >= 700, "the pieces were held back: %d and %d ms",
              (int)(p.first_ms - begin), (int)(p.last_ms - p.first_ms));
        CHECK(strcmp(p.text[0], "out 1\nout 2\nout 3\nout 4\nlast\n") == 0, "'%s'", p.text[0]);
        CHECK(strcmp(p.text[1], "err 1\nerr 2\nerr 3\nerr 4\n") == 0, "'%s'", p.text[1]);
        CHECK(result.out_bytes == p.len[0] && result.err_bytes == p.len[1], "counted otherwise");
    }
}

static int32_t refuse_piece(void *user, int stream, const void *data, size_t len)
{
    (void)stream;
    (void)data;
    (void)len;
    ++*(int *)user;
    return 1;
}

static void callback_stops(struct fixture *f)
{
    int calls = 0;
    struct sbx_exec_options options = SBX_INIT(options);
    struct sbx_exec_result result = SBX_INIT(result);
    int64_t begin = clock_ms();
    options.command = "echo one; sleep 0.2; echo two; sleep 20";
    options.on_output = refuse_piece;
    options.user_data = &calls;
    WANT(f, sbx_exec(f->box, &options, NULL, &result, &f->error), SBX_E_STOPPED);
    CHECK(calls == 1, "called %d times", calls);
    CHECK(clock_ms() - begin < 5000, "it went on");
    shell(f, "true");
}

/* Words: op|fd|free MARK */
static void cancel(struct fixture *f)
{
    CHECK(f->argc == 2, "usage: cancel ID op|fd|free MARK");
    char line[200];
    struct sbx_exec_options options = SBX_INIT(options);
    struct sbx_call_options call = SBX_INIT(call);
    sbx_op *op = NULL;
    int fd = eventfd(0, EFD_CLOEXEC);
    uint64_t one = 1;
    snprintf(line, sizeof line, "trap '' TERM INT; (setsid sleep %s &); sleep %s & sleep %s", f->argv[1], f->argv[1],
             f->argv[1]);
    options.command = line;
    call.flags = SBX_CALL_CANCEL_FD;
    call.cancel_fd = fd;
    OK(f, sbx_exec_start(f->box, &options, &call, &op, &f->error));
    pause_ms(300);
    int64_t begin = clock_ms();
    if (strcmp(f->argv[0], "op") == 0)
        sbx_op_cancel(op);
    else if (strcmp(f->argv[0], "fd") == 0)
        CHECK(write(fd, &one, sizeof one) == sizeof one, "eventfd");
    if (strcmp(f->argv[0], "free") != 0)
        WANT(f, sbx_op_finish(op, &f->error), SBX_E_CANCELLED);
    sbx_op_free(op);
    CHECK(clock_ms() - begin < 2000, "took %d ms", (int)(clock_ms() - begin));
    close(fd);
}

struct worker {
    struct fixture f; /* with an error of its own; context and sandbox are shared */
    pthread_t thread;
    int number;
    int own_box;
};

static void *work(void *arg)
{
    struct worker *w = arg;
    char line[160], want[64];
    if (w->own_box)
        w->f.box = make_box(&w->f);
    for (int i = 0; i < 6; i++) {
        snprintf(line, sizeof line, "echo %d >>/tmp/w%d; sleep 0.0%d; printf '%%s' \"$(cat /tmp/w%d | tr -d '\\n')\"",
                 w->number, w->own_box ? 0 : w->number, i, w->own_box ? 0 : w->number);
        size_t len = 0;
        sbx_op *op = capture(&w->f, line, 0, 0);
        const char *out = sbx_op_output(op, 1, &len);
        memset(want, '0' + w->number, sizeof want);
        CHECK(len == (size_t)i + 1 && memcmp(out, want, len) == 0, "worker %d, round %d: '%.*s'", w->number, i,
              (int)len, out);
        sbx_op_free(op);
    }
    return NULL;
}

static void run_workers(struct fixture *f, int count, int own_box)
{
    struct worker workers[9];
    CHECK(count <= 9, "too many");
    for (int i = 0; i < count; i++) {
        workers[i] = (struct worker){.f = *f, .number = i + 1, .own_box = own_box};
        CHECK(pthread_create(&workers[i].thread, NULL, work, &workers[i]) == 0, "no thread");
    }
    for (int i = 0; i < count; i++)
        pthread_join(workers[i].thread, NULL);
    for (int i = 0; own_box && i < count; i++) {
        for (int k = 0; k < i; k++)
            CHECK(strcmp(sbx_id(workers[i].f.box), sbx_id(workers[k].f.box)) != 0 || workers[k].f.box == NULL,
                  "one id twice");
    }
    for (int i = 0; own_box && i < count; i++) {
        OK(f, sbx_remove(workers[i].f.box, NULL, &f->error));
        sbx_release(workers[i].f.box);
    }
}

static void many_boxes(struct fixture *f)
{
    run_workers(f, 4, 1);
}

static void many_execs(struct fixture *f)
{
    enum { COUNT = 24 };
    sbx_op *ops[COUNT];
    struct sbx_exec_options options = SBX_INIT(options);
    options.flags = SBX_RUN_CAPTURE;
    int64_t begin = clock_ms();
    for (int i = 0; i < COUNT; i++) {
        char line[64];
        snprintf(line, sizeof line, "sleep 0.5; echo %d; exit %d", i, i);
        options.command = line;
        OK(f, sbx_exec_start(f->box, &options, NULL, &ops[i], &f->error));
    }
    for (int i = 0; i < COUNT; i++) {
        OK(f, sbx_op_finish(ops[i], &f->error));
        size_t len = 0;
        const char *out = sbx_op_output(ops[i], 1, &len);
        CHECK(sbx_op_exec_result(ops[i])->exit_code == i && (int)strtol(out, NULL, 10) == i, "exec %d", i);
        sbx_op_free(ops[i]);
    }
    CHECK(clock_ms() - begin < 6000, "they ran one after another: %d ms", (int)(clock_ms() - begin));
}

static void many_threads(struct fixture *f)
{
    run_workers(f, 9, 0);
}

/* One thread, six commands, a timer that ticks every 10 ms: dispatch never holds the timer up. */
static void event_loop(struct fixture *f)
{
    enum { COUNT = 6 };
    sbx_op *ops[COUNT];
    struct pieces got[COUNT];
    struct pollfd set[COUNT + 1];
    struct sbx_exec_options options = SBX_INIT(options);
    struct itimerspec every = {.it_interval = {.tv_nsec = 10000000}, .it_value = {.tv_nsec = 10000000}};
    int timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC), left = COUNT;
    int64_t slowest = 0, begin = clock_ms();
    uint64_t ticks = 0, n;
    memset(got, 0, sizeof got);
    options.on_output = add_piece;
    options.command = "for i in 1 2 3 4 5; do echo $i; sleep 0.1; done";
    for (int i = 0; i < COUNT; i++) {
        got[i].thread = pthread_self();
        options.user_data = &got[i];
        OK(f, sbx_exec_start(f->box, &options, NULL, &ops[i], &f->error));
        set[i] = (struct pollfd){.fd = sbx_op_fd(ops[i]), .events = POLLIN};
        CHECK(set[i].fd >= 0, "no descriptor");
    }
    CHECK(clock_ms() - begin < 300, "starting blocks");
    set[COUNT] = (struct pollfd){.fd = timer, .events = POLLIN};
    timerfd_settime(timer, 0, &every, NULL);
    begin = clock_ms();
    while (left > 0) {
        CHECK(poll(set, COUNT + 1, 5000) > 0, "nothing happens any more");
        if (set[COUNT].revents && read(timer, &n, sizeof n) == sizeof n)
            ticks += n;
        for (int i = 0; i < COUNT; i++) {
            if (!set[i].revents)
                continue;
            int64_t before = clock_ms();
            if (sbx_op_dispatch(ops[i]) == 1) {
                set[i].fd = -1;
                left--;
            }
            slowest = clock_ms() - before > slowest ? clock_ms() - before : slowest;
        }
    }
    CHECK(clock_ms() - begin < 4000 && ticks >= 40, "%d ms, %d ticks", (int)(clock_ms() - begin), (int)ticks);
    CHECK(slowest < 200, "one dispatch took %d ms", (int)slowest);
    for (int i = 0; i < COUNT; i++) {
        OK(f, sbx_op_finish(ops[i], &f->error));
        CHECK(strcmp(got[i].text[0], "1\n2\n3\n4\n5\n") == 0, "'%s'", got[i].text[0]);
        sbx_op_free(ops[i]);
    }
    close(timer);
}

const struct lib_case lib_parallel_cases[] = {{"streaming", streaming},   {"callback_stops", callback_stops},
                                              {"cancel", cancel},         {"many_boxes", many_boxes},
                                              {"many_execs", many_execs}, {"many_threads", many_threads},
                                              {"event_loop", event_loop}, {NULL, NULL}};
