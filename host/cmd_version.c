/* SPDX-License-Identifier: MIT
 *
 * cmd_version.c - sbxctl version: reads no configuration and opens nothing.
 */
#include "host/cmd.h"
#include "host/json.h"

int cmd_version(struct cmd *c)
{
    struct json j;
    if (!cmd_has(c, OPT_JSON)) {
        (void)printf("sbxctl %s\n", sbx_version());
        return EXIT_FINE;
    }
    json_init(&j);
    json_flag(&j, j.root, "ok", 1);
    json_text(&j, j.root, "version", sbx_version());
    return json_print(c, &j, EXIT_FINE);
}
