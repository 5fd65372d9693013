/* SPDX-License-Identifier: MIT
 *
 * start.c - brings a new sandbox's guest up: descriptors, layout, launch, and the wait for its first sign.
 */
#include "plugins/local/fill.h"

#include "base/cleanup.h"
#include "plugins/local/fds.h"
#include "plugins/local/seccomp.h"

#include <fcntl.h>
#include <linux/filter.h>
#include <sys/mman.h>
#include <sys/socket.h>

enum { START_MS = 60000, GUEST_ARGS = 24, SWEEP_MOST = 32 };

static sbx_status open_channels(struct making *m)
{
    m->listen_fd = fds_high(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (m->listen_fd < 0 || fds_pipe(m->ready) != 0 || fds_pipe(m->err) != 0 || fds_pipe(m->info) != 0)
        return call_fail_errno(m->call, errno, "create: the sandbox's socket");
    if (m->record.bound != 0 && fds_pipe(m->lifeline) != 0)
        return call_fail_errno(m->call, errno, "create: the sandbox's lifeline");
    (void)fcntl(m->err[0], F_SETFL, O_NONBLOCK);
    (void)fcntl(m->info[0], F_SETFL, O_NONBLOCK);
    return SBX_OK;
}

static int host_name_fits(const char *name)
{
    size_t len = name == NULL ? 0 : strlen(name);
    return len > 0 && len < 64 && name[0] != '-' &&
           strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-") == len;
}

static sbx_status build_layout(struct making *m, int *needs_workdir)
{
    struct sock_filter filter[SECCOMP_MAX];
    size_t size = seccomp_build(filter);
    if (size == 0)
        return call_fail(m->call, SBX_E_UNSUPPORTED, "create: local does not know this processor");
    const char *hostname = host_name_fits(m->record.name) ? m->record.name : "sandbox";
    struct layout_options layout = {
        .ids = &m->record.ids,
        .hostname = hostname,
        .guest = m->b->config.guest,
        .image = m->image_dir[0] != '\0' ? m->image_dir : m->record.image,
        .tree = m->record.disk_mib != 0 ? LAYOUT_TREE : m->tree,
        .workdir = m->record.workdir,
        .bind_ro = m->b->config.bind_ro,
        .network = (uint32_t)m->record.network,
        .staged = m->staged,
    };
    const char *hidden = layout_hidden(&layout);
    if (hidden != NULL)
        return call_fail(m->call, SBX_E_INVALID,
                         "create: working directory '%s' would hide '%s', which the key bind_ro shows",
                         m->record.workdir, hidden);
    *needs_workdir = layout_needs_workdir(&layout);
    layout_finish(&m->layout);
    bwrap_finish(&m->bwrap);
    sbx_status status = layout_build(&layout, m->call, &m->layout);
    if (status != SBX_OK)
        return status;
    struct bwrap_options options = {
        .ids = &m->record.ids,
        .hostname = hostname,
        .network = (uint32_t)m->record.network,
        .layout = &m->layout,
        .staged = m->staged,
        .seccomp_fd = fds_memory("sbx-seccomp", filter, size),
        .info_fd = fcntl(m->info[1], F_DUPFD_CLOEXEC, 3),
    };
    return bwrap_build(&options, m->call, &m->bwrap);
}

/* Text for the guest's command line, and the pointers to it. */
struct guest_args {
    char numbers[6][24];
    char *argv[GUEST_ARGS];
    size_t count;
    size_t used;
};

static void add_arg(struct guest_args *a, const char *text)
{
    a->argv[a->count++] = (char *)(uintptr_t)text;
}

static void add_number(struct guest_args *a, const char *option, uint64_t number)
{
    char *text = a->numbers[a->used++];
    (void)snprintf(text, sizeof a->numbers[0], "%llu", (unsigned long long)number);
    if (option != NULL)
        add_arg(a, option);
    add_arg(a, text);
}

static void list_guest_args(const struct making *m, struct guest_args *a)
{
    static const char *const fixed[] = {"--user", "1000:1000",     "--user-name", "sandbox",
                                        "--home", "/home/sandbox", "--workdir"};
    add_arg(a, "bwrap");
    add_number(a, "--args", (uint64_t)m->bwrap.args_fd);
    add_arg(a, "--");
    add_arg(a, LAYOUT_GUEST);
    add_arg(a, "serve");
    add_number(a, "--listen-fd", (uint64_t)m->listen_fd);
    add_number(a, "--ready-fd", (uint64_t)m->ready[1]);
    if (m->record.bound != 0)
        add_number(a, "--lifeline-fd", (uint64_t)m->lifeline[0]);
    if (m->args.timeout_s != 0)
        add_number(a, "--lifetime-ms", (uint64_t)m->args.timeout_s * 1000);
    for (size_t i = 0; i < sizeof fixed / sizeof fixed[0]; i++)
        add_arg(a, fixed[i]);
    add_arg(a, m->record.workdir);
    a->argv[a->count] = NULL;
}

static size_t list_kept(const struct making *m, int *keep)
{
    size_t kept = 0;
    for (; kept < m->bwrap.fd_count; kept++)
        keep[kept] = m->bwrap.fds[kept];
    keep[kept++] = m->bwrap.args_fd;
    keep[kept++] = m->listen_fd;
    keep[kept++] =
        m->info[0]; /* so that it can write even when we are gone: else its child would wait for it for ever */
    keep[kept++] = m->ready[1];
    if (m->record.bound != 0)
        keep[kept++] = m->lifeline[0];
    return kept;
}

struct preparation {
    struct making *making;
    const struct dir_list *dirs;
    int done;
    sbx_status status;
};

/* What costs time in the host and is needed by none of the starting processes before its end. */
static sbx_status prepare(void *user, struct sbx_call *call)
{
    struct preparation *p = user;
    struct making *m = p->making;
    if (p->done)
        return p->status;
    p->done = 1;
    sbx_status status = m->unpacks ? SBX_OK : place_state(m);
    if (status == SBX_OK)
        status = place_dirs(m, p->dirs);
    if (status == SBX_OK && sandbox_listen(m->listen_fd, m->entry_fd) != 0)
        status = call_fail_errno(call, errno, "create: the sandbox's socket");
    p->status = status;
    return status;
}

static sbx_status launch(struct making *m, struct preparation *preparation, int *map_failed)
{
    const struct dir_list *dirs = preparation->dirs;
    const struct ids *ids = &m->record.ids;
    int has_disk = m->record.disk_mib != 0, is_single = ids->kind == IDS_SINGLE;
    int keep[BWRAP_FDS + 5];
    struct guest_args guest = {.count = 0};
    size_t steps = 0;
    CLEANUP_FD int program = fds_high(open(m->b->config.bwrap, O_PATH | O_CLOEXEC));
    if (program < 0)
        return call_fail_errno(m->call, errno, "create: '%s'", m->b->config.bwrap);
    (void)layout_ops(&m->layout, &steps);
    CLEANUP_FREE int *layout_fds = calloc(steps, sizeof *layout_fds);
    if (layout_fds == NULL)
        return call_fail(m->call, SBX_E_NO_MEMORY, "create: no memory");
    list_guest_args(m, &guest);
    struct launch_plan plan = {
        .step = "create",
        .ids = ids,
        .own_users = m->staged,
        .nested = is_single, /* bubblewrap's own, in which the user is not root */
        .layout = m->staged ? &m->layout : NULL,
        .layout_fds = layout_fds,
        .disk_mib = m->record.disk_mib,
        .dirs = dirs->dirs,
        .dir_count = has_disk || ids->kind == IDS_MAPPED_SUBIDS ? dirs->count : 0,
        .make_dirs = has_disk,
        .program_fd = program,
        .argv = guest.argv,
        .args_fd = m->bwrap.args_fd,
        .args = m->bwrap.args.data,
        .args_len = m->bwrap.args.len,
        .keep_fds = keep,
        .keep_count = list_kept(m, keep),
        .err_fd = m->err[1],
        .prepare = prepare,
        .user = preparation,
        .processes = (uint32_t)m->record.processes,
        .cgroup_fds = m->cgroup.procs_fds,
        .cgroup_count = m->cgroup.count,
    };
    return launch_start(&plan, m->call, map_failed);
}

/* From bubblewrap's `"child-pid": N`, of which it writes the line whole. */
int64_t start_guest_pid(struct making *m)
{
    size_t len = strlen(m->info_text);
    ssize_t n = m->info[0] < 0 ? -1 : read(m->info[0], m->info_text + len, sizeof m->info_text - 1 - len);
    m->info_text[len + (n < 0 ? 0 : (size_t)n)] = '\0';
    const char *at = strstr(m->info_text, "\"child-pid\":");
    return at == NULL ? 0 : strtoll(at + sizeof "\"child-pid\":" - 1, NULL, 10);
}

/* Bubblewrap's own words about why it ended. */
static sbx_status fail_start(struct making *m)
{
    char text[400];
    ssize_t n = read(m->err[0], text, sizeof text - 1);
    text[n < 0 ? 0 : n] = '\0';
    text[strcspn(text, "\n")] = '\0';
    int refused = strstr(text, "ermission denied") != NULL || strstr(text, "not permitted") != NULL ||
                  strstr(text, "amespace") != NULL || strstr(text, "user ns") != NULL;
    return call_fail(m->call, refused ? SBX_E_UNAVAILABLE : SBX_E_FAILED, "create: the sandbox did not start: %s%s",
                     text[0] == '\0' ? "no reason given" : text,
                     refused ? "; this machine may refuse user namespaces: see `sbxctl doctor`" : "");
}

/* The record, with the guest's pid. 0 or an errno. */
static int record_guest(struct making *m)
{
    int64_t pid = start_guest_pid(m);
    int error = pid > 0 ? place_record(m, pid) : ESRCH;
    m->handle->record.pid = m->record.pid;
    m->handle->record.start = m->record.start;
    m->recorded = error == 0;
    return error;
}

/* Until the guest gives its sign, or can't any more. */
static sbx_status wait_sign(struct making *m)
{
    struct pollfd fds[2] = {{.fd = m->ready[0], .events = POLLIN}, {.fd = m->info[0], .events = POLLIN}};
    int64_t until_ns = clock_now_ns() + START_MS * MS_NS;
    int ready = 0;
    sbx_status status = call_poll(m->call, fds, 2, until_ns, &ready);
    if (status == SBX_OK && ready != 0 && fds[0].revents == 0) {
        if (m->args.snapshot == NULL) /* else nobody is to know of it before it has its files */
            (void)record_guest(m);    /* there is time for it now; what fails is told later */
        status = call_poll(m->call, fds, 1, until_ns, &ready);
    }
    if (status == SBX_OK && ready == 0)
        status =
            call_fail(m->call, SBX_E_UNAVAILABLE, "create: the sandbox did not start within %d s", START_MS / 1000);
    return status;
}

static sbx_status wait_ready(struct making *m)
{
    char byte = 0;
    create_close(&m->ready[1], 1);
    create_close(&m->err[1], 1);
    create_close(&m->info[1], 1);
    create_close(&m->lifeline[0], 1);
    create_close(&m->listen_fd, 1);
    sbx_status status = wait_sign(m);
    if (status != SBX_OK)
        return status;
    if (read(m->ready[0], &byte, 1) != 1)
        return fail_start(m);
    if (m->args.snapshot != NULL)
        status = fill_from_snapshot(m, start_guest_pid(m));
    if (status != SBX_OK)
        return status;
    int error = m->recorded ? 0 : record_guest(m);
    return error == 0 ? SBX_OK : call_fail_errno(m->call, error, "create: writing the sandbox's record");
}

/* Whether this user goes without the ids that the system did not give it after all. */
static int go_without_ids(struct making *m, int map_failed)
{
    if (!map_failed || m->b->config.ids.want != IDS_AUTO || m->record.user != NULL)
        return 0;
    m->record.ids.kind = IDS_SINGLE;
    return 1;
}

/* The image has to be there before it is looked at. */
static sbx_status unpack_somehow(struct making *m)
{
    int map_failed = 0;
    sbx_status status = place_state(m);
    if (status == SBX_OK)
        status = fill_from_tar(m, &map_failed);
    return go_without_ids(m, map_failed) ? fill_from_tar(m, &map_failed) : status;
}

/* What can be done before the guest gave its sign. */
static sbx_status meet_guest(struct making *m)
{
    CLEANUP(record_finish) struct record record = {0};
    (void)sandbox_stamp(m->b, &m->record, 0);
    int error = record_copy(&m->record, &record);
    if (error != 0)
        return call_fail_errno(m->call, error, "create: the sandbox's record");
    sbx_status status = handle_make(m->b, &record, m->entry_fd, m->call, &m->handle);
    if (status == SBX_OK)
        (void)guest_greet(m->handle->link, NULL); /* if it cannot be, it will be tried again */
    sandbox_sweep(m->b, SWEEP_MOST);
    return status;
}

static sbx_status relaunch(struct making *m, struct preparation *preparation)
{
    int needs_workdir = 0, map_failed = 0;
    sbx_status status = build_layout(m, &needs_workdir);
    return status == SBX_OK ? launch(m, preparation, &map_failed) : status;
}

/* In the way that was chosen; else in lesser ones that are as tight, unless they were ruled out: without subordinate
 * ids where the system does not give them after all, and by bubblewrap alone where it may do what other programs may
 * not. */
static sbx_status launch_somehow(struct making *m, struct preparation *preparation)
{
    int map_failed = 0;
    sbx_status status = launch(m, preparation, &map_failed);
    if (go_without_ids(m, map_failed))
        status = relaunch(m, preparation);
    if (status == SBX_E_UNAVAILABLE && preparation->status == SBX_OK && m->record.ids.kind == IDS_SINGLE &&
        m->record.disk_mib == 0) {
        m->staged = 0;
        m->record.processes = 0; /* counted in a user namespace of ours only */
        status = relaunch(m, preparation);
    }
    return status;
}

sbx_status start_guest(struct making *m)
{
    CLEANUP(dir_list_finish) struct dir_list dirs = {.count = 0};
    struct preparation preparation = {.making = m, .dirs = &dirs};
    int needs_workdir = 0;
    m->staged = 1;
    sbx_status status = place_tree(m);
    if (status == SBX_OK && m->unpacks)
        status = unpack_somehow(m);
    if (status == SBX_OK)
        status = open_channels(m);
    if (status == SBX_OK)
        status = build_layout(m, &needs_workdir);
    if (status != SBX_OK)
        return status;
    place_list_dirs(m, m->record.disk_mib != 0 ? LAYOUT_TREE : m->tree, needs_workdir, &dirs);
    m->launched = 1;
    status = launch_somehow(m, &preparation);
    if (status == SBX_OK)
        status = meet_guest(m);
    return status == SBX_OK ? wait_ready(m) : status;
}
