/* SPDX-License-Identifier: MIT
 *
 * test_record.c - one session through libsbx, recorded and played back: everything that a program sees is the same.
 */
#include "direct.h"

struct story {
    char text[32768]; /* what the program saw, in its order */
    size_t len;
    int stream; /* the last one that gave bytes: where they are cut into pieces is nobody's promise */
};

static void tell(struct story *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void tell(struct story *s, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(s->text + s->len, sizeof s->text - s->len, format, args);
    va_end(args);
    assert_true(n >= 0 && (size_t)n < sizeof s->text - s->len);
    s->len += (size_t)n;
}

static void tell_data(struct story *s, const void *data, size_t len)
{
    const unsigned char *bytes = data;
    for (size_t i = 0; i < len; i++)
        tell(s, "%02x", bytes[i]);
}

static void tell_error(struct story *s, const char *what, sbx_status status, const struct place *p)
{
    s->stream = 0;
    tell(s, "\n%s: %d %s\n", what, status, status == SBX_OK ? "" : p->error.message);
}

static int32_t on_output(void *user, int stream, const void *data, size_t len)
{
    struct story *s = user;
    if (s->stream != stream)
        tell(s, "\nstream %d: ", stream);
    s->stream = stream;
    tell_data(s, data, len);
    return 0;
}

static int32_t on_data(void *user, const void *data, size_t len)
{
    tell_data(user, data, len);
    return 0;
}

static void on_info(void *user, const struct sbx_info *info)
{
    tell(user, "info %s %d %s %lld\n", info->id, info->state, info->name != NULL ? info->name : "-",
         (long long)info->created_ms);
    for (size_t i = 0; i < info->metadata.count; i++)
        if (strncmp(info->metadata.items[i].key, "sbx.", 4) != 0)
            tell(user, "  %s=%s\n", info->metadata.items[i].key, info->metadata.items[i].value);
}

static void on_entry(void *user, const char *name, const struct sbx_file_stat *stat)
{
    tell(user, "entry %s %u %llu %lld\n", name, stat->type, (unsigned long long)stat->bytes, (long long)stat->mtime_ms);
}

static void on_job(void *user, const struct sbx_job *job)
{
    tell(user, "job %s %x %d\n", job->id, job->flags, job->exit_code);
}

static void commands(struct place *p, struct story *s)
{
    static const char *const texts[] = {"echo out; echo err >&2; exit 3", "printf 'a\\0b\\377%%'; printf -- -",
                                        "kill -9 $$", "cat", "date +%N"};
    static const struct sbx_kv env = {"PRIVATE_VALUE", "swordfish"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct sbx_exec_result result = SBX_INIT(result);
        const struct sbx_exec_options options = {.size = sizeof options,
                                                 .command = texts[i],
                                                 .envs = {&env, 1},
                                                 .input = "input",
                                                 .input_len = 5,
                                                 .user_data = s,
                                                 .on_output = on_output};
        tell_error(s, "exec", sbx_exec(p->box, &options, NULL, &result, &p->error), p);
        tell(s, "%x %d %d %llu\n", result.flags, result.exit_code, result.term_signal,
             (unsigned long long)result.out_bytes);
    }
}

static void files(struct place *p, struct story *s)
{
    const struct sbx_transfer_options put = {
        .size = sizeof put, .flags = SBX_WRITE_PARENTS, .data = "x\0y", .data_len = 3};
    const struct sbx_transfer_options get = {.size = sizeof get, .user_data = s, .on_data = on_data};
    struct sbx_file_stat stat = SBX_INIT(stat);
    tell_error(s, "stat", sbx_stat(p->box, "d/f", NULL, &stat, &p->error), p);
    tell_error(s, "write", sbx_write_file(p->box, "d/f", &put, NULL, &p->error), p);
    tell_error(s, "stat", sbx_stat(p->box, "d/f", NULL, &stat, &p->error), p);
    tell(s, "%llu %lld\n", (unsigned long long)stat.bytes, (long long)stat.mtime_ms);
    tell_error(s, "read", sbx_read_file(p->box, "d/f", &get, NULL, &p->error), p);
    tell_error(s, "read", sbx_read_file(p->box, "none", &get, NULL, &p->error), p);
    tell_error(s, "mkdir", sbx_make_dir(p->box, "e", 0755, 0, NULL, &p->error), p);
    tell_error(s, "rename", sbx_rename(p->box, "d/f", "e/g", NULL, &p->error), p);
    tell_error(s, "list", sbx_list_dir(p->box, "e", NULL, on_entry, s, &p->error), p);
    tell_error(s, "tar", sbx_get_tar(p->box, "e", &get, NULL, &p->error), p);
    tell_error(s, "delete", sbx_delete(p->box, "e", SBX_DIR_RECURSIVE, NULL, &p->error), p);
}

static void jobs(struct place *p, struct story *s)
{
    struct sbx_job job = SBX_INIT(job);
    struct sbx_exec_result result = SBX_INIT(result);
    uint64_t next = 0;
    const struct sbx_exec_options options = {.size = sizeof options, .command = "echo begun; sleep 0.1; exit 5"};
    const struct sbx_call_options soon = {.size = sizeof soon, .deadline_ms = 20};
    tell_error(s, "job", sbx_job_start(p->box, &options, NULL, &job, &p->error), p);
    tell_error(s, "early", sbx_job_wait(p->box, job.id, &soon, &result, &p->error), p);
    tell_error(s, "wait", sbx_job_wait(p->box, job.id, NULL, &result, &p->error), p);
    tell(s, "%s %lld %d\n", job.id, (long long)job.pid, result.exit_code);
    const struct sbx_job_output_options out = {.size = sizeof out, .stream = 1, .user_data = s, .on_data = on_data};
    tell_error(s, "output", sbx_job_output(p->box, job.id, &out, NULL, &next, &p->error), p);
    tell(s, "%llu\n", (unsigned long long)next);
    tell_error(s, "jobs", sbx_job_list(p->box, NULL, on_job, s, &p->error), p);
    tell_error(s, "none", sbx_job_wait(p->box, "job99", NULL, &result, &p->error), p);
}

static void play(struct place *p, struct story *s)
{
    static const struct sbx_kv label = {"team", "a-\n%"};
    struct sbx_create_options options = SBX_INIT(options);
    options.labels = (struct sbx_kvs){&label, 1};
    s->len = 0;
    tell_error(s, "create", sbx_create(p->ctx, &options, NULL, &p->box, &p->error), p);
    assert_non_null(p->box);
    tell(s, "%s\n", sbx_id(p->box));
    commands(p, s);
    files(p, s);
    jobs(p, s);
    tell_error(s, "inspect", sbx_inspect(p->box, NULL, on_info, s, &p->error), p);
    tell_error(s, "list", sbx_list(p->ctx, NULL, NULL, on_info, s, &p->error), p);
    tell_error(s, "remove", sbx_remove(p->box, NULL, &p->error), p);
}

static void read_text(const char *path, char text[65536])
{
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    text[fread(text, 1, 65535, file)] = '\0';
    assert_int_equal(fclose(file), 0);
}

static void close_quietly(struct place *p)
{
    sbx_release(p->box);
    sbx_close(p->ctx);
    p->box = NULL;
    p->ctx = NULL;
}

static void check_session(const char *plugin)
{
    static struct story first, second;
    static char text[65536];
    char folder[64], ini[300], path[96];
    struct place p;
    unit_make_folder(folder);
    (void)snprintf(path, sizeof path, "%s/session", folder);
    (void)snprintf(ini, sizeof ini, "default = d\n[provider d]\nplugin = %s\nroot = @\nrecord = %s\n", plugin, path);
    place_open_ini(&p, ini);
    play(&p, &first);
    close_quietly(&p);
    unit_remove_folder(p.top);
    read_text(path, text);
    assert_null(strstr(text, "swordfish"));

    (void)snprintf(ini, sizeof ini, "default = d\n[provider d]\nplugin = not-installed\nreplay = %s\n", path);
    place_open_ini(&p, ini);
    play(&p, &second);
    assert_string_equal(first.text, second.text);
    /* Another create is more than was recorded. */
    struct sbx_create_options options = SBX_INIT(options);
    sbx_release(p.box);
    assert_int_equal(sbx_create(p.ctx, &options, NULL, &p.box, &p.error), SBX_E_FAILED);
    assert_non_null(strstr(p.error.message, "has no answer to 'create"));
    close_quietly(&p);
    unit_remove_folder(p.top);
    unit_remove_folder(folder);
}

static void a_recorded_session_plays_back_as_it_was(void **state)
{
    (void)state;
    check_session("direct");
}

static void a_recorded_session_of_a_serial_plugin_that_offers_less_plays_back_as_it_was(void **state)
{
    (void)state;
    check_session("direct-bare-serial");
}

/* Which of 40 commands a rule let through, as 0 and 1. */
static void roll(const char *rule, char hits[41])
{
    struct place p;
    char ini[300];
    (void)snprintf(ini, sizeof ini, "default = d\n[provider d]\nplugin = direct\nroot = @\nfault = %s\n", rule);
    place_open_ini(&p, ini);
    place_create(&p);
    for (int i = 0; i < 40; i++) {
        struct sbx_exec_result result = SBX_INIT(result);
        const struct sbx_exec_options options = {.size = sizeof options, .command = "true"};
        sbx_status status = sbx_exec(p.box, &options, NULL, &result, &p.error);
        assert_true(status == SBX_OK || (status == SBX_E_BUSY && strstr(p.error.message, "by the rule of a fault")));
        hits[i] = status == SBX_OK ? '0' : '1';
    }
    hits[40] = '\0';
    place_close(&p);
}

static void faults_of_a_seed_are_the_same_each_time(void **state)
{
    (void)state;
    char one[41], two[41], other[41];
    roll("exec chance=50 seed=11 error=busy", one);
    roll("exec chance=50 seed=11 error=busy", two);
    roll("exec chance=50 seed=12 error=busy", other);
    assert_string_equal(one, two);
    assert_string_not_equal(one, other);
    roll("exec nth=3 error=busy", one);
    assert_string_equal(one, "0010000000000000000000000000000000000000");
    roll("* nth=3 error=busy", one); /* create, and two commands */
    assert_string_equal(one, "0100000000000000000000000000000000000000");
    roll("exec nth=3 error=busy\nfault = exec error=auth nth=3", one); /* the first of two */
    assert_string_equal(one, "0010000000000000000000000000000000000000");
}

static const struct CMUnitTest tests[] = {
    UNIT(faults_of_a_seed_are_the_same_each_time),
    UNIT(a_recorded_session_plays_back_as_it_was),
    UNIT(a_recorded_session_of_a_serial_plugin_that_offers_less_plays_back_as_it_was),
};
UNIT_MAIN(tests)
