/* SPDX-License-Identifier: MIT */
#include "host/route.h"

#include "host/error.h"

#include <fnmatch.h>
#include <string.h>

/* wanted is K=V. */
static int has_label(const struct sbx_kvs *labels, const char *wanted)
{
    const char *equals = strchr(wanted, '=');
    size_t len = equals != NULL ? (size_t)(equals - wanted) : strlen(wanted);
    for (size_t i = 0; i < labels->count; i++) {
        const struct sbx_kv *label = &labels->items[i];
        if (strlen(label->key) == len && memcmp(label->key, wanted, len) == 0)
            return equals == NULL || strcmp(label->value, equals + 1) == 0;
    }
    return 0;
}

static int is_required(const struct sbx_create_options *options, const char *capability)
{
    for (const char *const *p = options->require; p != NULL && *p != NULL; p++)
        if (strcmp(*p, capability) == 0)
            return 1;
    return 0;
}

static int matches(const struct config_route *route, const struct sbx_create_options *options)
{
    if (route->image != NULL && (options->image == NULL || fnmatch(route->image, options->image, 0) != 0))
        return 0;
    for (char **label = route->labels; label != NULL && *label != NULL; label++)
        if (!has_label(&options->labels, *label))
            return 0;
    for (char **id = route->require; id != NULL && *id != NULL; id++)
        if (!is_required(options, *id))
            return 0;
    return 1;
}

sbx_status route_choose(const struct config *config, const struct sbx_create_options *options, struct route_choice *out,
                        struct sbx_error *error)
{
    *out = (struct route_choice){.single = options->provider};
    if (options->provider != NULL)
        return SBX_OK;
    for (size_t i = 0; i < config->route_count; i++) {
        if (matches(&config->routes[i], options)) {
            out->names = (const char *const *)config->routes[i].instances;
            return SBX_OK;
        }
    }
    out->single = config->default_instance;
    if (out->single == NULL)
        return error_set(error, SBX_E_CONFIG, "create: no provider was named and no default is configured");
    return SBX_OK;
}

const char *route_name(const struct route_choice *choice, size_t i)
{
    if (choice->names == NULL)
        return i == 0 ? choice->single : NULL;
    for (size_t k = 0; k < i; k++)
        if (choice->names[k] == NULL)
            return NULL;
    return choice->names[i];
}
