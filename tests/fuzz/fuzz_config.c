/* SPDX-License-Identifier: MIT
 *
 * fuzz_config.c - the INI file, from its bytes to what a plugin is given.
 */
#include "tests/fuzz/fuzz.h"

#include "host/config.h"
#include "sbx_plugin.h"

#include <string.h>

#define KEY(name_, type_, flags_)                                                                                      \
    &(const struct sbx_config_key)                                                                                     \
    {                                                                                                                  \
        .size = sizeof(struct sbx_config_key), .type = (type_), .flags = (flags_), .name = (name_), .help = "a key"    \
    }
static const struct sbx_config_key *const keys[] = {KEY("text", SBX_KEY_STRING, 0),
                                                    KEY("path", SBX_KEY_PATH, SBX_KEY_REPEAT),
                                                    KEY("count", SBX_KEY_INT, 0),
                                                    KEY("wait", SBX_KEY_SECONDS, 0),
                                                    KEY("flag", SBX_KEY_BOOL, 0),
                                                    KEY("key", SBX_KEY_STRING, SBX_KEY_SECRET),
                                                    NULL};
static const struct sbx_plugin plugin = {SBX_PLUGIN_HEAD(SBX_THREADS_PARALLEL), .id = "local", .config_keys = keys};

static void resolve(const struct config *config)
{
    for (size_t i = 0; i < config->instance_count; i++) {
        struct sbx_error error = {.size = sizeof error};
        struct config_pair *pairs = NULL;
        size_t count = 0;
        sbx_status status = config_resolve(&config->instances[i], &plugin, NULL, NULL, NULL, &pairs, &count, &error);
        FUZZ_HOLDS(status == error.code);
        if (status != SBX_OK)
            continue;
        for (size_t k = 0; k < count; k++)
            FUZZ_HOLDS(pairs[k].key != NULL && pairs[k].value != NULL);
        config_pairs_destroy(pairs, count);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char folder[64], path[96];
    struct sbx_error error = {.size = sizeof error};
    struct config *config = NULL;
    fuzz_folder(folder);
    (void)snprintf(path, sizeof path, "%s/sbx.ini", folder);
    fuzz_write(AT_FDCWD, path, data, size);
    const struct sbx_open_options options = {.size = sizeof options, .config_path = path};
    sbx_status status = config_load(&options, NULL, NULL, &config, &error);
    FUZZ_HOLDS(status == error.code && (status == SBX_OK) == (config != NULL));
    FUZZ_HOLDS(strchr(error.message, '\n') == NULL);
    if (config != NULL) {
        resolve(config);
        config_destroy(config);
    }
    (void)unlink(path);
    (void)rmdir(folder);
    return 0;
}
