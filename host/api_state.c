/* SPDX-License-Identifier: MIT
 *
 * api_state.c - named shells' names and ends; suspending, resuming, and a longer life.
 */
#include "host/api.h"
#include "host/error.h"
#include "host/identity.h"

#include <stdio.h>

void sbx_shell_name(char name[SBX_ID_SIZE])
{
    char token[IDENTITY_TOKEN_SIZE];
    if (name == NULL)
        return;
    name[0] = '\0';
    /* "shell-" and 18 digits of the token's random ones. */
    if (identity_token(token) == 0)
        (void)snprintf(name, SBX_ID_SIZE, "shell-%.18s", token + 4);
}

sbx_status sbx_shell_close(sbx_sandbox *box, const char *shell, const struct sbx_call_options *call,
                           struct sbx_error *error)
{
    struct border_call c;
    sbx_status status = api_begin(&c, box, "shell", SBX_EXT_SHELL_CLOSE, call, error);
    if (status != SBX_OK)
        return status;
    if (shell == NULL || shell[0] == '\0')
        return border_end(&c, border_fail(&c, SBX_E_INVALID, "no shell given"), error);
    status = border_shell_close(&c, box, shell);
    if (status == SBX_E_NOT_FOUND)
        (void)border_fail(&c, status, "no such shell '%s'", shell);
    return border_end(&c, status, error);
}

sbx_status sbx_suspend(sbx_sandbox *box, const struct sbx_call_options *call, struct sbx_error *error)
{
    struct border_call c;
    sbx_status status = api_begin(&c, box, "suspend", SBX_EXT_SUSPEND, call, error);
    return status == SBX_OK ? border_end(&c, border_suspend(&c, box), error) : status;
}

sbx_status sbx_resume(sbx_sandbox *box, const struct sbx_call_options *call, struct sbx_error *error)
{
    struct border_call c;
    sbx_status status = api_begin(&c, box, "resume", SBX_EXT_SUSPEND, call, error);
    return status == SBX_OK ? border_end(&c, border_resume(&c, box), error) : status;
}

sbx_status sbx_keep_alive(sbx_sandbox *box, uint32_t ttl_s, const struct sbx_call_options *call,
                          struct sbx_error *error)
{
    struct border_call c;
    sbx_status status = api_begin(&c, box, "keep-alive", SBX_EXT_KEEPALIVE, call, error);
    return status == SBX_OK ? border_end(&c, border_keep_alive(&c, box, ttl_s), error) : status;
}
