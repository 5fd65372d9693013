/* SPDX-License-Identifier: MIT
 *
 * sbx_access.h - ways into a sandbox that its provider keeps: logging in over SSH (sbx.ssh/1), and addresses under
 * which the world reaches a port of it (sbx.tunnel/1). Where the provider has none, SBX_E_UNSUPPORTED; sbx_dial and
 * sbx_tunnel_open of sbx.h then lead in from this machine.
 *
 * Reports come on the caller's thread, when the provider is done. Keys and tokens are secrets: libsbx wipes its copies
 * when the report returns, and what the caller keeps is the caller's to guard.
 */
#ifndef SBX_ACCESS_H
#define SBX_ACCESS_H

#include "sbx.h"

#ifdef __cplusplus
extern "C" {
#endif

/* --- SSH ---------------------------------------------------------------------------------------------------------- */
struct sbx_ssh_login {
    uint32_t size;
    uint32_t port;
    const char *host; /* letters, digits, dots, hyphens and colons */
    const char *user;
    const char *private_key;   /* PEM */
    const char *proxy_command; /* for ssh's ProxyCommand; NULL: none */
};
typedef void sbx_ssh_report(void *user, const struct sbx_ssh_login *login);
/* Makes a key that may log in and reports it once. The provider says nothing of the sandbox's host key. */
SBX_API sbx_status sbx_ssh_key_create(sbx_sandbox *box, const struct sbx_call_options *call, sbx_ssh_report *report,
                                      void *user, struct sbx_error *error);

/* --- endpoints ---------------------------------------------------------------------------------------------------- */
enum { SBX_ENDPOINT_OPEN, SBX_ENDPOINT_TOKEN }; /* for everybody; for those with its token */
struct sbx_endpoint {
    uint32_t size;
    uint32_t port;     /* of the sandbox; 0, in a list: any, whose number replaces the word PORT of the URL */
    const char *id;    /* for sbx_endpoint_remove */
    const char *url;   /* may be NULL */
    const char *token; /* NULL: none, or listed and not told again */
};
typedef void sbx_endpoint_report(void *user, const struct sbx_endpoint *endpoint);
/* Makes one for a port, or finds the one that is there, and reports it once. SBX_E_STATE: there is one of the other
 * kind, or one whose token is not told again. It stays until it is removed or the sandbox ends. Where the provider's
 * answer has another port or no token, it is removed again: SBX_E_PROTOCOL, which names it if it is still open. */
SBX_API sbx_status sbx_endpoint_create(sbx_sandbox *box, uint32_t port, uint32_t kind,
                                       const struct sbx_call_options *call, sbx_endpoint_report *report, void *user,
                                       struct sbx_error *error);
SBX_API sbx_status sbx_endpoint_list(sbx_sandbox *box, const struct sbx_call_options *call, sbx_endpoint_report *report,
                                     void *user, struct sbx_error *error);
/* SBX_OK also for one that is not there (any more). One of port 0 ends for every port. */
SBX_API sbx_status sbx_endpoint_remove(sbx_sandbox *box, const char *id, const struct sbx_call_options *call,
                                       struct sbx_error *error);

#ifdef __cplusplus
}
#endif
#endif /* SBX_ACCESS_H */
