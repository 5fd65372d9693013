/* SPDX-License-Identifier: MIT
 *
 * cmd_doctor_checks.c - looks at what the local provider needs of this machine. Nothing is changed; what can be tried
 * is tried, in a child process.
 */
#include "host/cmd_doctor.h"

#include "base/cleanup.h"

#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <sched.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

void check_say(struct check *check, enum check_state state, const char *format, ...)
{
    va_list list;
    check->state = state;
    va_start(list, format);
    (void)vsnprintf(check->detail, sizeof check->detail, format, list);
    va_end(list);
}

void check_mend(struct check *check, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    (void)vsnprintf(check->mend, sizeof check->mend, format, list);
    va_end(list);
}

/* The program's path by PATH and the usual folders. 0 or -1. */
static int find_program(const char *name, char *out, size_t size)
{
    const char *path = getenv("PATH");
    char folders[4096];
    (void)snprintf(folders, sizeof folders, "%s:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
                   path == NULL ? "" : path);
    for (const char *s = folders; *s != 0;) {
        size_t length = strcspn(s, ":");
        int written = snprintf(out, size, "%.*s/%s", (int)length, s, name);
        if (*s == '/' && written > 0 && (size_t)written < size && access(out, X_OK) == 0)
            return 0;
        s += length + (s[length] == ':');
    }
    return -1;
}

/* The first line of a small file, without its newline. 0 or -1. */
static int first_line(const char *path, char *out, size_t size)
{
    CLEANUP_FILE FILE *file = fopen(path, "re");
    if (file == NULL || fgets(out, (int)size, file) == NULL)
        return -1;
    out[strcspn(out, "\n")] = 0;
    return 0;
}

static int file_says(const char *path, const char *text)
{
    char line[64];
    return first_line(path, line, sizeof line) == 0 && strcmp(line, text) == 0;
}

/* Whether a process may make a user namespace and, in it, a mount namespace. */
static int try_namespaces(void)
{
    int status = 0;
    pid_t pid = fork();
    if (pid == 0)
        _exit(unshare(CLONE_NEWUSER) != 0 ? 1 : unshare(CLONE_NEWNS) != 0 ? 2 : 0);
    if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
        return -1;
    return WEXITSTATUS(status);
}

static void check_namespaces(struct check *check)
{
    int code = try_namespaces();
    if (code == 0) {
        check_say(check, CHECK_OK, "can be made");
        return;
    }
    check_say(check, CHECK_PROBLEM, "cannot be made%s", code == 2 ? " with rights in them" : "");
    if (file_says("/proc/sys/user/max_user_namespaces", "0"))
        check_mend(check, "as root: sysctl -w user.max_user_namespaces=15000");
    else if (file_says("/proc/sys/kernel/unprivileged_userns_clone", "0"))
        check_mend(check, "as root: sysctl -w kernel.unprivileged_userns_clone=1");
    else if (file_says("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1"))
        check_mend(check, "as root: sysctl -w kernel.apparmor_restrict_unprivileged_userns=0");
    else
        check_mend(check, "in a container, start that with --privileged, or with a seccomp profile that allows unshare "
                          "and mount");
}

/* The first line that a program prints. 0 or -1. */
static int program_says(const char *path, char *out, size_t size)
{
    char *const argv[] = {(char *)(uintptr_t)path, (char *)(uintptr_t) "--version", NULL};
    char *const envp[] = {NULL};
    posix_spawn_file_actions_t actions;
    int ends[2], status = 0;
    size_t used = 0;
    ssize_t n;
    pid_t pid;
    if (pipe2(ends, O_CLOEXEC) != 0)
        return -1;
    CLEANUP_FD int in = ends[0], to = ends[1];
    if (posix_spawn_file_actions_init(&actions) != 0)
        return -1;
    (void)posix_spawn_file_actions_adddup2(&actions, to, 1);
    int code = posix_spawn(&pid, path, &actions, NULL, argv, envp);
    (void)posix_spawn_file_actions_destroy(&actions);
    (void)close(steal_fd(&to));
    if (code != 0)
        return -1;
    while (used < size - 1 && (n = read(in, out + used, size - 1 - used)) > 0)
        used += (size_t)n;
    out[used] = 0;
    out[strcspn(out, "\n")] = 0;
    return waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -1;
}

static void check_bubblewrap(struct check *check)
{
    char path[PATH_MAX], version[100];
    if (find_program("bwrap", path, sizeof path) != 0) {
        check_say(check, CHECK_PROBLEM, "bwrap is not in PATH");
        check_mend(check, "apt-get install bubblewrap");
        return;
    }
    if (program_says(path, version, sizeof version) != 0) {
        check_say(check, CHECK_PROBLEM, "%.300s does not run", path);
        check_mend(check, "apt-get install --reinstall bubblewrap");
        return;
    }
    check_say(check, CHECK_OK, "%s at %.200s", version, path);
}

/* Whether the file gives the user at least 65536 ids (NAME:FIRST:COUNT or UID:FIRST:COUNT). */
static int has_range(const char *path, const char *name, unsigned uid)
{
    CLEANUP_FILE FILE *file = fopen(path, "re");
    char line[256];
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        char *first = strchr(line, ':');
        char *count = first == NULL ? NULL : strchr(first + 1, ':');
        if (count == NULL)
            continue;
        *first = 0;
        char *end = NULL;
        unsigned long number = strtoul(line, &end, 10);
        int ours = strcmp(line, name) == 0 || (*line != 0 && *end == 0 && number == uid);
        if (ours && strtoul(count + 1, NULL, 10) >= 65536)
            return 1;
    }
    return 0;
}

static void check_users(struct check *check)
{
    char path[PATH_MAX];
    char buffer[4096];
    struct passwd entry, *user = NULL;
    unsigned uid = (unsigned)geteuid();
    if (uid == 0) {
        check_say(check, CHECK_OK, "root maps any");
        return;
    }
    (void)getpwuid_r(uid, &entry, buffer, sizeof buffer, &user);
    const char *name = user == NULL ? "?" : user->pw_name;
    if (!has_range("/etc/subuid", name, uid) || !has_range("/etc/subgid", name, uid)) {
        check_say(check, CHECK_NOTE, "none for %.100s: everything in a sandbox runs as one user, --user is refused",
                  name);
        check_mend(check, "as root: usermod --add-subuids 100000-165535 --add-subgids 100000-165535 %.100s", name);
    } else if (find_program("newuidmap", path, sizeof path) != 0 || find_program("newgidmap", path, sizeof path) != 0) {
        check_say(check, CHECK_NOTE, "newuidmap and newgidmap are missing: everything in a sandbox runs as one user");
        check_mend(check, "apt-get install uidmap");
    } else {
        check_say(check, CHECK_OK, "65536 or more for %.100s", name);
    }
}

static void check_cgroups(struct check *check)
{
    char line[256];
    int two = access("/sys/fs/cgroup/cgroup.controllers", R_OK) == 0;
    const char *root = two ? "/sys/fs/cgroup" : "/sys/fs/cgroup/memory";
    CLEANUP_FREE char *path = NULL;
    if (two && geteuid() != 0 && first_line("/proc/self/cgroup", line, sizeof line) == 0 &&
        strncmp(line, "0::", 3) == 0 && asprintf(&path, "/sys/fs/cgroup%s", line + 3) < 0)
        path = NULL;
    if (access(path == NULL ? root : path, W_OK) == 0) {
        check_say(check, CHECK_OK, "version %d, writable", two ? 2 : 1);
        return;
    }
    check_say(check, CHECK_NOTE, "version %d, not writable here: limits of memory and processors may be refused",
              two ? 2 : 1);
    check_mend(check,
               "start from a delegated unit: systemd-run --user --scope -p Delegate=yes sbxctl ..., or run as root");
}

static void check_guest(struct check *check)
{
    static const char *const places[] = {"sbx-guest", "../libexec/sbx/sbx-guest", "../libexec/sbx-guest",
                                         "../lib/sbx-guest"};
    char self[PATH_MAX], path[PATH_MAX + 64];
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    char *slash;
    self[length < 0 ? 0 : length] = 0;
    slash = strrchr(self, '/');
    if (slash != NULL)
        *slash = 0;
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", self, places[i]);
        if (access(path, X_OK) == 0) {
            check_say(check, CHECK_OK, "%.390s", path);
            return;
        }
    }
    check_say(check, CHECK_NOTE, "sbx-guest is not near %.300s", self);
    check_mend(check, "build it (cmake --build), install sbx as a whole, or set the key guest of [provider local]");
}

/* Whether files can be made in the folder, or in the nearest parent that is there. */
static void check_folder(struct check *check, const char *variable, const char *below_home, const char *root_folder)
{
    const char *set = getenv(variable), *home = getenv("HOME");
    char path[PATH_MAX];
    if (set != NULL && *set == '/')
        (void)snprintf(path, sizeof path, "%s/sbx", set);
    else if (geteuid() == 0)
        (void)snprintf(path, sizeof path, "%s", root_folder);
    else if (below_home != NULL && home != NULL && *home == '/')
        (void)snprintf(path, sizeof path, "%s/%s", home, below_home);
    else {
        check_say(check, CHECK_PROBLEM, "%s is not set", variable);
        check_mend(check, "log in through a session that sets it, or: export %s=/run/user/%u", variable,
                   (unsigned)geteuid());
        return;
    }
    char wanted[PATH_MAX];
    (void)snprintf(wanted, sizeof wanted, "%s", path);
    while (access(path, F_OK) != 0 && strrchr(path, '/') > path)
        *strrchr(path, '/') = 0;
    if (access(path, W_OK | X_OK) == 0) {
        check_say(check, CHECK_OK, "%.390s", wanted);
        return;
    }
    check_say(check, CHECK_PROBLEM, "%.390s cannot be written", path);
    check_mend(check, "set %s to a folder of your own", variable);
}

static void check_runtime(struct check *check)
{
    check_folder(check, "XDG_RUNTIME_DIR", NULL, "/run/sbx");
}

static void check_state_folder(struct check *check)
{
    check_folder(check, "XDG_STATE_HOME", ".local/state/sbx", "/var/lib/sbx");
}

check_function *doctor_check_at(size_t i, const char **name)
{
    static const struct {
        const char *name;
        check_function *run;
    } checks[] = {{"user namespaces", check_namespaces},
                  {"bubblewrap", check_bubblewrap},
                  {"subordinate ids", check_users},
                  {"cgroups", check_cgroups},
                  {"guest", check_guest},
                  {"runtime folder", check_runtime},
                  {"state folder", check_state_folder}};
    if (i >= sizeof checks / sizeof checks[0])
        return NULL;
    *name = checks[i].name;
    return checks[i].run;
}
