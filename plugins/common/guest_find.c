/* SPDX-License-Identifier: MIT
 *
 * guest_find.c - where the guest's program is.
 */
#include "plugins/common/guest_slots.h"

#include <link.h>
#include <stdio.h>
#include <stdlib.h>

enum { PATH_LIMIT = 4096 };

static const char *const places[] = {SBX_GUEST_FROM_PLUGINDIR, "../../bin/sbx-guest"};

struct own_path {
    char text[PATH_LIMIT];
};

/* The object that holds this code is this one. */
static int match_object(struct dl_phdr_info *info, size_t size, void *user)
{
    struct own_path *own = user;
    uintptr_t ours = (uintptr_t)&places;
    (void)size;
    for (size_t i = 0; i < info->dlpi_phnum; i++) {
        uintptr_t start = (uintptr_t)info->dlpi_addr + (uintptr_t)info->dlpi_phdr[i].p_vaddr;
        if (info->dlpi_phdr[i].p_type != PT_LOAD || ours < start || ours - start >= info->dlpi_phdr[i].p_memsz)
            continue;
        (void)snprintf(own->text, sizeof own->text, "%s", info->dlpi_name);
        return 1;
    }
    return 0;
}

char *guest_find(const char *configured)
{
    struct own_path own = {""};
    char path[PATH_LIMIT + 64];
    if (configured != NULL)
        return strdup(configured);
    (void)dl_iterate_phdr(match_object, &own);
    char *end = strrchr(own.text, '/');
    if (end == NULL)
        return strdup("sbx-guest");
    *end = '\0';
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", own.text, places[i]);
        char *real = realpath(path, NULL);
        if (real != NULL)
            return real;
    }
    return strdup(path);
}
