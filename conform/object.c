/* SPDX-License-Identifier: MIT
 *
 * object.c - the shared object itself: opened as a host opens it, its tables copied, its symbols read from the file.
 */
#include "conform/conform.h"

#include <dlfcn.h>
#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

const char *const object_backend_slots[6] = {"open", "close", "get_extension", "create", "attach", "list"};
const char *const object_handle_slots[8] = {"id",   "release", "remove",    "support",
                                            "info", "exec",    "read_file", "write_file"};
#define SLOTS(table) ((sizeof(struct table) - 8) / sizeof(void (*)(void)))
const struct capability object_capabilities[] = {
    {SBX_EXT_STAT, SLOTS(sbx_stat_ops), 0},
    {SBX_EXT_FS, SLOTS(sbx_fs_ops), 0},
    {SBX_EXT_BATCH, SLOTS(sbx_batch_ops), 0},
    {SBX_EXT_ARCHIVE, SLOTS(sbx_archive_ops), 0},
    {SBX_EXT_JOB, SLOTS(sbx_job_ops), 1},
    {SBX_EXT_JOB_SIGNAL, SLOTS(sbx_job_signal_ops), 0},
    {SBX_EXT_JOB_STDIN, SLOTS(sbx_job_stdin_ops), 0},
    {SBX_EXT_JOB_LIST, SLOTS(sbx_job_list_ops), 0},
    {SBX_EXT_TTY, 0, 1},
    {SBX_EXT_SHELL, 0, 0},
    {SBX_EXT_SHELL_CLOSE, SLOTS(sbx_shell_close_ops), 0},
    {SBX_EXT_DIAL, SLOTS(sbx_dial_ops), 1},
    {SBX_EXT_KEEPALIVE, SLOTS(sbx_keepalive_ops), 0},
    {SBX_EXT_SUSPEND, SLOTS(sbx_suspend_ops), 0},
    {SBX_EXT_WAIT, SLOTS(sbx_wait_ops), 1},
    {SBX_EXT_SNAPSHOT, SLOTS(sbx_snapshot_ops), 0},
    {SBX_EXT_SSH, SLOTS(sbx_ssh_ops), 0},
    {SBX_EXT_TUNNEL, SLOTS(sbx_tunnel_ops), 0},
    {NULL, 0, 0},
};

const char *object_table_problem(const void *table, const char *const *slots, size_t count)
{
    uint32_t size = 0;
    if (table == NULL)
        return "there is no table";
    memcpy(&size, table, sizeof size);
    if (size < 8 || size > SBX_SIZE_MAX)
        return "the table's size is out of range";
    for (size_t i = 0; i < count; i++) {
        void (*slot)(void) = NULL;
        if (8 + (i + 1) * sizeof slot > size)
            return slots != NULL ? slots[i] : "the table is too short";
        memcpy(&slot, (const char *)table + 8 + i * sizeof slot, sizeof slot);
        if (slot == NULL)
            return slots != NULL ? slots[i] : "a slot is empty";
    }
    return NULL;
}

void object_open(struct run *run)
{
    const struct sbx_plugin *raw = NULL;
    run->object = dlopen(run->subject->path, RTLD_NOW | RTLD_LOCAL);
    if (run->object == NULL)
        run_fail(run, "it does not load: %.800s", dlerror());
    raw = dlsym(run->object, "sbx_plugin_v1");
    EXPECT(run, raw != NULL, "there is no symbol sbx_plugin_v1 (C12)");
    EXPECT(run, raw->size >= offsetof(struct sbx_plugin, handle) + sizeof raw->handle && raw->size <= SBX_SIZE_MAX,
           "its descriptor says its size is %u (C12)", raw->size);
    sbx_view(&run->plugin, sizeof run->plugin, raw);
    EXPECT(run, run->plugin.abi_major == SBX_ABI_MAJOR, "it is built for ABI %u, this is %u (C12)",
           run->plugin.abi_major, SBX_ABI_MAJOR);
    const char *problem = object_table_problem(run->plugin.backend, object_backend_slots, 6);
    EXPECT(run, problem == NULL, "the backend's table is not complete: %s (C12)", problem);
    problem = object_table_problem(run->plugin.handle, object_handle_slots, 8);
    EXPECT(run, problem == NULL, "the handle's table is not complete: %s (C12)", problem);
    sbx_view(&run->backend_ops, sizeof run->backend_ops, run->plugin.backend);
    sbx_view(&run->handle_ops, sizeof run->handle_ops, run->plugin.handle);
}

/* --- symbols ------------------------------------------------------------------------------------------------------ */

struct image {
    const char *data;
    size_t size;
};

/* Something of `size` bytes at `offset` of the file, or NULL. */
static const void *piece(const struct image *image, uint64_t offset, uint64_t size)
{
    return offset <= image->size && size <= image->size - offset ? image->data + offset : NULL;
}

static int take_symbol(const ElfW(Sym) * symbol, const char *name, void *object, struct buf *exported,
                       struct buf *undefined)
{
    unsigned binding = ELF64_ST_BIND(symbol->st_info);
    unsigned visibility = ELF64_ST_VISIBILITY(symbol->st_other);
    if (binding == STB_LOCAL || name[0] == '\0')
        return 0;
    if (symbol->st_shndx != SHN_UNDEF)
        return visibility == STV_HIDDEN || visibility == STV_INTERNAL || symbol->st_shndx == SHN_ABS
                   ? 0
                   : buf_format(exported, "%s\n", name);
    /* Looked up in the object and what it names, never in this program. */
    if (binding == STB_WEAK || dlsym(object, name) != NULL)
        return 0;
    return buf_format(undefined, "%s\n", name);
}

static int read_symbols(const struct image *image, void *object, struct buf *exported, struct buf *undefined)
{
    const ElfW(Ehdr) *head = piece(image, 0, sizeof *head);
    if (head == NULL || memcmp(head->e_ident, ELFMAG, SELFMAG) != 0)
        return -1;
    const ElfW(Shdr) *sections = piece(image, head->e_shoff, (uint64_t)head->e_shnum * sizeof *sections);
    for (size_t i = 0; sections != NULL && i < head->e_shnum; i++) {
        if (sections[i].sh_type != SHT_DYNSYM || sections[i].sh_link >= head->e_shnum)
            continue;
        const ElfW(Shdr) *names = &sections[sections[i].sh_link];
        const char *text = piece(image, names->sh_offset, names->sh_size);
        const ElfW(Sym) *symbols = piece(image, sections[i].sh_offset, sections[i].sh_size);
        if (text == NULL || symbols == NULL || names->sh_size == 0 || text[names->sh_size - 1] != '\0')
            return -1;
        for (size_t k = 1; k < sections[i].sh_size / sizeof *symbols; k++)
            if (symbols[k].st_name >= names->sh_size ||
                take_symbol(&symbols[k], text + symbols[k].st_name, object, exported, undefined) != 0)
                return -1;
        return 0;
    }
    return -1;
}

int object_symbols(const char *path, void *object, struct buf *exported, struct buf *undefined)
{
    CLEANUP_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) != 0 || st.st_size <= 0)
        return -1;
    void *data = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (data == MAP_FAILED)
        return -1;
    struct image image = {data, (size_t)st.st_size};
    int status = read_symbols(&image, object, exported, undefined);
    (void)munmap(data, (size_t)st.st_size);
    return status;
}
