/* SPDX-License-Identifier: MIT
 *
 * test_loader.c - who may have written a plugin, and what shape it must have.
 */
#include "host/loader.h"

#include "unit.h"

#include <dlfcn.h>
#include <limits.h>
#include <pthread.h>
#include <sys/wait.h>

/* A private folder with a folder `plugins` in it that holds good.so. */
struct place {
    char top[64];
    char folder[128];
    char file[160];
};

static void make_place(struct place *place)
{
    unit_make_folder(place->top);
    (void)snprintf(place->folder, sizeof place->folder, "%s/plugins", place->top);
    (void)snprintf(place->file, sizeof place->file, "%s/good.so", place->folder);
    assert_int_equal(mkdir(place->folder, 0755), 0);
    assert_int_equal(chmod(place->folder, 0755), 0);
    unit_copy(SHAPE_DIR "/good.so", place->file, 0755);
}

static sbx_status load(const char *folder, const char *id, const struct loader_plugin **plugin, struct sbx_error *error)
{
    const char *const folders[] = {folder, NULL};
    *plugin = NULL;
    memset(error, 0, sizeof *error);
    error->size = sizeof *error;
    return loader_load(folders, id, NULL, plugin, error);
}

static void refused(const char *folder, const char *id, sbx_status code, const char *part, const char *part2)
{
    const struct loader_plugin *plugin = NULL;
    struct sbx_error error;
    sbx_status status = load(folder, id, &plugin, &error);
    if (status != code)
        fail_msg("%s: status %d, expected %d; message '%s'", id, status, code, error.message);
    assert_int_equal(error.code, code);
    assert_null(plugin);
    unit_assert_contains(error.message, part);
    unit_assert_contains(error.message, part2);
}

/* --- shapes ----------------------------------------------------------------------------------------------------- */

static void loader_gives_full_size_copies(void **state)
{
    (void)state;
    static const char *const right[] = {"good", "parallel", "longer", "no-texts", "no-unload", "schema", "needy"};
    for (size_t i = 0; i < sizeof right / sizeof right[0]; i++) {
        const struct loader_plugin *plugin = NULL, *again = NULL;
        struct sbx_error error;
        if (load(SHAPE_DIR, right[i], &plugin, &error) != SBX_OK)
            fail_msg("%s: %s", right[i], error.message);
        assert_int_equal(plugin->descriptor.size, sizeof plugin->descriptor);
        assert_int_equal(plugin->backend.size, sizeof plugin->backend);
        assert_int_equal(plugin->handle.size, sizeof plugin->handle);
        assert_string_equal(plugin->descriptor.id, right[i]);
        assert_non_null(plugin->descriptor.name);
        assert_non_null(plugin->descriptor.version);
        assert_non_null(plugin->descriptor.summary);
        assert_non_null(plugin->descriptor.extensions);
        assert_non_null(plugin->descriptor.config_keys);
        assert_ptr_equal(plugin->descriptor.backend, &plugin->backend);
        assert_ptr_equal(plugin->descriptor.handle, &plugin->handle);
        for (size_t k = 0; k < plugin->key_count; k++)
            assert_ptr_equal(plugin->descriptor.config_keys[k], &plugin->keys[k]);
        assert_null(plugin->descriptor.config_keys[plugin->key_count]);
        assert_int_equal(load(SHAPE_DIR, right[i], &again, &error), SBX_OK);
        assert_ptr_equal(plugin, again);
    }
}

/* The file, and two parts of the refusal. */
static const char *const wrong[][3] = {
    {"no-symbol", "does not define sbx_plugin_v1", "P11"},
    {"undefined", "cannot be loaded", "nobody_defines_this"},
    {"major-2", "ABI 2", "ABI 1"},
    {"size-0", "size is 0", "H2"},
    {"size-huge", "size is 100000", "H2"},
    {"short", "short descriptor, 88 bytes", "at least 96"},
    {"needs-newer-host", "ABI 1.99", "1.0"},
    {"threads-7", "unknown thread model 7", "H6"},
    {"flags-unknown", "unknown flags 0x80", "H2"},
    {"id-null", "has no id", "H2"},
    {"id-bad", "'Id Bad'", "[a-z0-9-]"},
    {"id-empty", "''", "[a-z0-9-]"},
    {"id-other", "its id is 'another'", "another.so"},
    {"no-backend", "no backend table", "H2"},
    {"no-handle", "no handle table", "H2"},
    {"backend-short", "missing slot backend.list", "H2"},
    {"backend-cut", "missing slot backend.list", "H2"},
    {"backend-size-4", "backend table says its size is 4", "H2"},
    {"handle-short", "missing slot handle.read_file", "H2"},
    {"no-backend-open", "missing slot backend.open ", "H2"},
    {"no-backend-close", "missing slot backend.close ", "H2"},
    {"no-backend-get-extension", "missing slot backend.get_extension ", "H2"},
    {"no-backend-create", "missing slot backend.create ", "H2"},
    {"no-backend-attach", "missing slot backend.attach ", "H2"},
    {"no-backend-list", "missing slot backend.list ", "H2"},
    {"no-handle-id", "missing slot handle.id ", "H2"},
    {"no-handle-release", "missing slot handle.release ", "H2"},
    {"no-handle-remove", "missing slot handle.remove ", "H2"},
    {"no-handle-support", "missing slot handle.support ", "H2"},
    {"no-handle-info", "missing slot handle.info ", "H2"},
    {"no-handle-exec", "missing slot handle.exec ", "H2"},
    {"no-handle-read-file", "missing slot handle.read_file ", "H2"},
    {"no-handle-write-file", "missing slot handle.write_file ", "H2"},
    {"serial-job", "offers sbx.job/1", "SBX_THREADS_PARALLEL"},
    {"serial-tty", "offers sbx.tty/1", "SBX_THREADS_PARALLEL"},
    {"serial-dial", "offers sbx.dial/1", "SBX_THREADS_PARALLEL"},
    {"serial-wait", "offers sbx.wait/1", "SBX_THREADS_PARALLEL"},
    {"extension-bad", "bad capability id 'no revision'", "H2"},
    {"extension-empty", "bad capability id ''", "H2"},
    {"key-upper", "configuration key 8 has a bad name", "H2"},
    {"key-plugin", "configuration key 8 has a bad name", "H2"},
    {"key-unnamed", "configuration key 8 has a bad name", "H2"},
    {"key-type", "'extra' has an unknown type", "H2"},
    {"key-flags", "'extra' has unknown flags", "H2"},
    {"key-twice", "'timeout' and 'timeout' collide", "H2"},
    {"key-collides", "'token' and 'token_file' collide", "H2"},
    {"key-secret-default", "'extra' is secret", "H2"},
    {"key-required-default", "'extra' is required and has a default", "H2"},
    {"key-default-wrong", "'extra' has a default that is not of its type", "H2"},
    {"key-helpless", "'extra' has no help", "H2"},
    {"key-short", "configuration key 8 is misshapen", "H2"},
};

static void loader_refuses_each_wrong_shape_by_name(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        char path[PATH_MAX];
        (void)snprintf(path, sizeof path, "plugin %s/%s.so: ", SHAPE_DIR, wrong[i][0]);
        refused(SHAPE_DIR, wrong[i][0], SBX_E_UNSUPPORTED, wrong[i][1], wrong[i][2]);
        refused(SHAPE_DIR, wrong[i][0], SBX_E_UNSUPPORTED, path, ".so");
    }
}

static void loader_refuses_what_is_no_plugin_at_all(void **state)
{
    (void)state;
    struct place place;
    make_place(&place);
    unit_write(place.file, "not an object", 13, 0644);
    refused(place.folder, "good", SBX_E_UNSUPPORTED, place.file, "cannot be loaded");
    unit_write(place.file, "", 0, 0644);
    refused(place.folder, "good", SBX_E_UNSUPPORTED, place.file, "cannot be loaded");
    assert_int_equal(unlink(place.file), 0);
    assert_int_equal(mkdir(place.file, 0755), 0);
    refused(place.folder, "good", SBX_E_CONFIG, place.file, "not a regular file");
    assert_int_equal(rmdir(place.file), 0);
    assert_int_equal(mkfifo(place.file, 0600), 0);
    refused(place.folder, "good", SBX_E_CONFIG, place.file, "not a regular file");
    unit_remove_folder(place.top);
}

static void loader_refuses_names_that_are_no_ids(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",        "../good",
        "good.so", "Good",
        "a b",     "/etc/passwd",
        "a_b",     "g\nd",
        "a*",      "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        refused(SHAPE_DIR, bad[i], SBX_E_CONFIG, "named by its id", "[a-z0-9-]");
}

/* --- places ----------------------------------------------------------------------------------------------------- */

static void loader_refuses_a_plugin_that_others_may_write(void **state)
{
    (void)state;
    struct place place;
    make_place(&place);
    assert_int_equal(chmod(place.file, 0775), 0);
    refused(place.folder, "good", SBX_E_CONFIG, place.file, "its group may write to it");
    assert_int_equal(chmod(place.file, 0757), 0);
    refused(place.folder, "good", SBX_E_CONFIG, place.file, "everybody may write to it");
    unit_remove_folder(place.top);
}

static void loader_refuses_a_folder_that_others_may_write(void **state)
{
    (void)state;
    struct place place;
    make_place(&place);
    assert_int_equal(chmod(place.folder, 0775), 0);
    refused(place.folder, "good", SBX_E_CONFIG, place.folder, "its group may write to it");
    /* A sticky bit saves a parent, not the folder itself: a stranger could put files into it. */
    assert_int_equal(chmod(place.folder, 01777), 0);
    refused(place.folder, "good", SBX_E_CONFIG, place.folder, "everybody may write to it");
    assert_int_equal(chmod(place.folder, 0755), 0);
    assert_int_equal(chmod(place.top, 0772), 0);
    refused(place.folder, "good", SBX_E_CONFIG, place.top, "may write to it");
    unit_remove_folder(place.top);
}

static void loader_accepts_a_sticky_folder_of_root_as_parent(void **state)
{
    (void)state;
    struct stat st;
    if (stat("/tmp", &st) != 0 || st.st_uid != 0 || (st.st_mode & 01002) != 01002)
        UNIT_SKIP("/tmp is not a sticky folder of root here");
    struct place place;
    make_place(&place);
    const struct loader_plugin *plugin = NULL;
    struct sbx_error error;
    assert_int_equal(load(place.folder, "good", &plugin, &error), SBX_OK);
    assert_string_equal(plugin->path, place.file);
    if (geteuid() == 0) {
        assert_int_equal(chmod(place.top, 01777), 0);
        assert_int_equal(load(place.folder, "good", &plugin, &error), SBX_OK);
    }
    unit_remove_folder(place.top);
}

static void loader_refuses_what_belongs_to_a_stranger(void **state)
{
    (void)state;
    if (geteuid() != 0)
        UNIT_SKIP("only root can give files away");
    struct place place;
    make_place(&place);
    assert_int_equal(chown(place.file, 12345, 0), 0);
    refused(place.folder, "good", SBX_E_CONFIG, place.file, "owned by uid 12345");
    assert_int_equal(chown(place.file, 0, 0), 0);
    assert_int_equal(chown(place.folder, 12345, 0), 0);
    refused(place.folder, "good", SBX_E_CONFIG, place.folder, "owned by uid 12345");
    assert_int_equal(chown(place.folder, 0, 0), 0);
    assert_int_equal(chown(place.top, 12345, 0), 0);
    refused(place.folder, "good", SBX_E_CONFIG, place.top, "owned by uid 12345");
    unit_remove_folder(place.top);
}

static void loader_refuses_relative_folders_and_dots(void **state)
{
    (void)state;
    struct place place;
    make_place(&place);
    refused("plugins", "good", SBX_E_CONFIG, "'plugins'", "not an absolute path");
    refused("", "good", SBX_E_CONFIG, "''", "not an absolute path");
    refused(".", "good", SBX_E_CONFIG, "'.'", "not an absolute path");
    char path[256];
    (void)snprintf(path, sizeof path, "%s/../plugins", place.folder);
    refused(path, "good", SBX_E_CONFIG, path, "'..'");
    (void)snprintf(path, sizeof path, "%s/..", place.folder);
    refused(path, "good", SBX_E_CONFIG, path, "'..'");
    unit_remove_folder(place.top);
}

static void loader_refuses_a_symlink_out_of_the_folder(void **state)
{
    (void)state;
    struct place place;
    make_place(&place);
    char other[256];
    (void)snprintf(other, sizeof other, "%s/elsewhere.so", place.top);
    assert_int_equal(rename(place.file, other), 0);
    assert_int_equal(symlink("../elsewhere.so", place.file), 0);
    refused(place.folder, "good", SBX_E_CONFIG, place.file, "leaves its folder");
    assert_int_equal(unlink(place.file), 0);
    assert_int_equal(symlink("/nowhere/good.so", place.file), 0);
    refused(place.folder, "good", SBX_E_CONFIG, place.file, "No such file");
    /* Inside the folder it is only another name, as packages use them for versions. */
    char version[256];
    (void)snprintf(version, sizeof version, "%s/good-1.2.so", place.folder);
    assert_int_equal(unlink(place.file), 0);
    assert_int_equal(rename(other, version), 0);
    assert_int_equal(symlink("good-1.2.so", place.file), 0);
    const struct loader_plugin *plugin = NULL;
    struct sbx_error error;
    assert_int_equal(load(place.folder, "good", &plugin, &error), SBX_OK);
    assert_string_equal(plugin->path, version);
    unit_remove_folder(place.top);
}

static void loader_checks_where_a_linked_folder_really_is(void **state)
{
    (void)state;
    struct place place;
    make_place(&place);
    char link[256], open_folder[256];
    (void)snprintf(link, sizeof link, "%s/link", place.top);
    (void)snprintf(open_folder, sizeof open_folder, "%s/open", place.top);
    assert_int_equal(mkdir(open_folder, 0755), 0);
    assert_int_equal(chmod(open_folder, 0777), 0);
    assert_int_equal(symlink(place.folder, link), 0);
    const struct loader_plugin *plugin = NULL;
    struct sbx_error error;
    assert_int_equal(load(link, "good", &plugin, &error), SBX_OK);
    assert_string_equal(plugin->path, place.file);
    /* The same folder by way of one where anybody may put links. */
    char strange[300];
    (void)snprintf(strange, sizeof strange, "%s/link", open_folder);
    assert_int_equal(symlink(place.folder, strange), 0);
    refused(strange, "good", SBX_E_CONFIG, open_folder, "everybody may write to it");
    if (geteuid() == 0) {
        assert_int_equal(lchown(link, 12345, 0), 0);
        refused(link, "good", SBX_E_CONFIG, link, "a symlink owned by uid 12345");
    }
    unit_remove_folder(place.top);
}

static void loader_takes_the_first_folder_that_has_it(void **state)
{
    (void)state;
    struct place a, b;
    make_place(&a);
    make_place(&b);
    const char *const folders[] = {"/nonexistent/sbx", a.folder, b.folder, NULL};
    const struct loader_plugin *plugin = NULL;
    struct sbx_error error = SBX_INIT(error);
    assert_int_equal(loader_load(folders, "good", NULL, &plugin, &error), SBX_OK);
    assert_string_equal(plugin->path, a.file);
    /* A bad one is an error, never a reason to go on looking. */
    assert_int_equal(chmod(a.file, 0777), 0);
    assert_int_equal(loader_load(folders, "good", NULL, &plugin, &error), SBX_E_CONFIG);
    unit_assert_contains(error.message, a.file);
    assert_int_equal(loader_load(folders, "absent", NULL, &plugin, &error), SBX_E_CONFIG);
    unit_assert_contains(error.message, "plugin 'absent': no absent.so in /nonexistent/sbx or the other");
    assert_int_equal(loader_load(folders, "godo", NULL, &plugin, &error), SBX_E_CONFIG);
    unit_assert_contains(error.message, "; did you mean 'good'?");
    const char *const none[] = {NULL};
    assert_int_equal(loader_load(none, "good", NULL, &plugin, &error), SBX_E_CONFIG);
    unit_remove_folder(a.top);
    unit_remove_folder(b.top);
}

/* --- a file that changes ---------------------------------------------------------------------------------------- */

static const char *swap_from, *swap_to; /* renamed inside the next dlopen */

void *__real_dlopen(const char *path, int flags);
void *__wrap_dlopen(const char *path, int flags);
void *__wrap_dlopen(const char *path, int flags)
{
    assert_true((flags & RTLD_NOW) != 0 && (flags & RTLD_NODELETE) != 0 && (flags & RTLD_GLOBAL) == 0);
    assert_int_equal(path[0], '/');
    if (swap_from != NULL)
        assert_int_equal(rename(swap_from, swap_to), 0);
    swap_from = NULL;
    return __real_dlopen(path, flags);
}

static void loader_refuses_a_file_swapped_after_its_check(void **state)
{
    (void)state;
    struct place place;
    make_place(&place);
    char other[256];
    (void)snprintf(other, sizeof other, "%s/other.so", place.top);
    unit_copy(SHAPE_DIR "/good.so", other, 0755);
    swap_from = other;
    swap_to = place.file;
    refused(place.folder, "good", SBX_E_CONFIG, place.file, "exchanged while it was loaded");
    unit_remove_folder(place.top);
}

static char last_line[512];
static void keep_line(void *user, int32_t level, const char *where, const char *message)
{
    (void)user, (void)where;
    if (level == SBX_LOG_WARN)
        (void)snprintf(last_line, sizeof last_line, "%s", message);
}

static void loader_keeps_the_old_one_when_a_file_is_replaced(void **state)
{
    (void)state;
    struct place place;
    make_place(&place);
    const char *const folders[] = {place.folder, NULL};
    const struct loader_plugin *first = NULL, *second = NULL;
    struct sbx_error error = SBX_INIT(error);
    assert_int_equal(loader_load(folders, "good", NULL, &first, &error), SBX_OK);
    char other[256];
    (void)snprintf(other, sizeof other, "%s/new.so", place.top);
    unit_copy(SHAPE_DIR "/good.so", other, 0755);
    assert_int_equal(rename(other, place.file), 0);
    struct log *log = log_create(keep_line, NULL, SBX_LOG_WARN);
    assert_int_equal(loader_load(folders, "good", log, &second, &error), SBX_OK);
    assert_ptr_equal(first, second);
    unit_assert_contains(last_line, "replaced since it was loaded");
    log_destroy(log);
    unit_remove_folder(place.top);
}

static void *load_all(void *unused)
{
    (void)unused;
    static const char *ids[] = {"good", "parallel", "schema", "major-2", "longer"};
    const char *const folders[] = {SHAPE_DIR, NULL};
    for (int i = 0; i < 100; i++) {
        const struct loader_plugin *plugin = NULL;
        sbx_status status = loader_load(folders, ids[i % 5], NULL, &plugin, NULL);
        if ((i % 5 == 3) != (status == SBX_E_UNSUPPORTED))
            return (void *)ids;
    }
    return NULL;
}

static void loader_serves_many_threads(void **state)
{
    (void)state;
    pthread_t threads[8];
    for (int i = 0; i < 8; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, load_all, NULL), 0);
    for (int i = 0; i < 8; i++) {
        void *failed = NULL;
        assert_int_equal(pthread_join(threads[i], &failed), 0);
        assert_null(failed);
    }
}

/* --- scanning --------------------------------------------------------------------------------------------------- */

static void collect(void *user, const char *id, const char *path)
{
    char *all = user;
    assert_int_equal(path[0], '/');
    assert_true(strlen(all) + strlen(id) + 2 < 256);
    memcpy(all + strlen(all), id, strlen(id) + 1);
    memcpy(all + strlen(all), " ", 2);
}

static void loader_scan_reports_each_id_once_in_order(void **state)
{
    (void)state;
    struct place a, b;
    make_place(&a);
    make_place(&b);
    static const char *const names[] = {"zeta.so", "alpha.so", "README", ".so", "Bad.so", "x.so.1", "lib_x.so"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char path[256];
        (void)snprintf(path, sizeof path, "%s/%s", a.folder, names[i]);
        unit_write(path, "", 0, 0644);
    }
    char path[256];
    (void)snprintf(path, sizeof path, "%s/beta.so", b.folder);
    unit_write(path, "", 0, 0644);
    char all[256] = "";
    const char *const folders[] = {"/nonexistent", a.folder, b.folder, NULL};
    loader_scan(folders, collect, all);
    assert_string_equal(all, "alpha good zeta beta ");
    unit_remove_folder(a.top);
    unit_remove_folder(b.top);
}

static void loader_installed_folder_is_compiled_in_for_a_program_elsewhere(void **state)
{
    (void)state;
    char *folder = loader_installed_folder();
    assert_string_equal(folder, SBX_PLUGIN_DIR);
    free(folder);
}

/* The program itself, copied to where programs of an installation are, and asked under a false name. */
static void ask_copy(const char *program, char answer[256])
{
    int pipe_fds[2];
    assert_int_equal(pipe(pipe_fds), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        char *const arguments[] = {(char *)"/usr/bin/false", (char *)"--installed", NULL};
        (void)dup2(pipe_fds[1], 1);
        (void)execv(program, arguments);
        _exit(9);
    }
    close(pipe_fds[1]);
    size_t len = 0;
    ssize_t n = 0;
    while ((n = read(pipe_fds[0], answer + len, 255 - len)) > 0)
        len += (size_t)n;
    answer[len] = '\0';
    close(pipe_fds[0]);
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static void loader_installed_folder_is_beside_a_program_in_bin(void **state)
{
    (void)state;
    struct place place;
    make_place(&place);
    char path[256], program[256], link[256], answer[256];
    (void)snprintf(path, sizeof path, "%s/bin", place.top);
    assert_int_equal(mkdir(path, 0755), 0);
    (void)snprintf(program, sizeof program, "%s/bin/program", place.top);
    unit_copy("/proc/self/exe", program, 0755);
    ask_copy(program, answer);
    assert_string_equal(answer, SBX_PLUGIN_DIR);
    (void)snprintf(path, sizeof path, "%s/lib", place.top);
    assert_int_equal(mkdir(path, 0755), 0);
    (void)snprintf(path, sizeof path, "%s/lib/sbx", place.top);
    assert_int_equal(mkdir(path, 0755), 0);
    ask_copy(program, answer);
    assert_string_equal(answer, path);
    (void)snprintf(link, sizeof link, "%s/plugins/link", place.top);
    assert_int_equal(symlink(program, link), 0);
    ask_copy(link, answer);
    assert_string_equal(answer, path);
    unit_remove_folder(place.top);
}

static void loader_module_names_what_is_missing(void **state)
{
    (void)state;
    struct sbx_error error = SBX_INIT(error);
    void *symbol = NULL;
    assert_int_equal(loader_module("libsbx-nothing.so", "nothing", &symbol, &error), SBX_E_UNSUPPORTED);
    unit_assert_contains(error.message, "module libsbx-nothing.so: not in ");
}

static const struct CMUnitTest tests[] = {
    UNIT(loader_gives_full_size_copies),
    UNIT(loader_refuses_each_wrong_shape_by_name),
    UNIT(loader_refuses_what_is_no_plugin_at_all),
    UNIT(loader_refuses_names_that_are_no_ids),
    UNIT(loader_refuses_a_plugin_that_others_may_write),
    UNIT(loader_refuses_a_folder_that_others_may_write),
    UNIT(loader_accepts_a_sticky_folder_of_root_as_parent),
    UNIT(loader_refuses_what_belongs_to_a_stranger),
    UNIT(loader_refuses_relative_folders_and_dots),
    UNIT(loader_refuses_a_symlink_out_of_the_folder),
    UNIT(loader_checks_where_a_linked_folder_really_is),
    UNIT(loader_takes_the_first_folder_that_has_it),
    UNIT(loader_refuses_a_file_swapped_after_its_check),
    UNIT(loader_keeps_the_old_one_when_a_file_is_replaced),
    UNIT(loader_serves_many_threads),
    UNIT(loader_scan_reports_each_id_once_in_order),
    UNIT(loader_installed_folder_is_compiled_in_for_a_program_elsewhere),
    UNIT(loader_installed_folder_is_beside_a_program_in_bin),
    UNIT(loader_module_names_what_is_missing),
};

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "--installed") == 0) {
        char *folder = loader_installed_folder();
        int written = printf("%s", folder);
        free(folder);
        return written > 0 ? 0 : 1;
    }
    return unit_main(tests, sizeof tests / sizeof tests[0], argc, argv);
}
