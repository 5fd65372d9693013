/* SPDX-License-Identifier: MIT
 *
 * plugin.h - what every in-tree plugin needs: errors, the call's clock and cancel token, configuration getters.
 */
#ifndef SBX_COMMON_PLUGIN_H
#define SBX_COMMON_PLUGIN_H

#include "sbx_plugin.h"

#include <poll.h>

/* Fills call->error (call and error may be NULL) and answers code. "exec: no such directory '/x'": one line; control
 * characters and broken UTF-8 of what went in come out as '?'. */
sbx_status call_fail(struct sbx_call *call, sbx_status code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* As call_fail, with os_errno and its text added; the code is chosen from errno (ENOENT: NOT_FOUND, EACCES: PERMISSION,
 * ...). */
sbx_status call_fail_errno(struct sbx_call *call, int os_errno, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The code that an errno stands for; SBX_E_FAILED when none does. */
sbx_status status_of_errno(int os_errno);
/* Sets error.resource_id and SBX_ERR_MAYBE_APPLIED on the error that is there. */
void call_maybe_applied(struct sbx_call *call, const char *resource_id);

/* Sets error.os_errno on the error that is there. */
void call_os_errno(struct sbx_call *call, int os_errno);
/* Sets error.provider_status on the error that is there. */
void call_provider_status(struct sbx_call *call, int provider_status);

/* For what may fail on the way to success, since an error is left alone on success: *inner is the call with `error`
 * instead of its own; call_pass_error hands that on when it was a failure after all. */
void call_shadow(struct sbx_call *inner, struct sbx_error *error, const struct sbx_call *call);
void call_pass_error(struct sbx_call *call, const struct sbx_error *error);
/* Ends the call at most so many milliseconds from now. 1: that is before its own deadline. */
int call_limit(struct sbx_call *call, int64_t ms);

/* SBX_E_INVALID, with the error filled, where a key or value is missing, a key is empty or has a '=', or begins with
 * own_prefix (may be NULL), which is the provider's. `what` is what the pairs are: "a label". */
sbx_status call_check_pairs(struct sbx_call *call, const char *step, const struct sbx_kvs *pairs, const char *what,
                            const char *own_prefix);

#define MS_NS INT64_C(1000000) /* a millisecond */
/* Nanoseconds of CLOCK_MONOTONIC. */
int64_t clock_now_ns(void);
/* Milliseconds since 1970, as others see them too; steps when the clock is set. */
int64_t clock_wall_ms(void);
/* SBX_OK, SBX_E_TIMEOUT or SBX_E_CANCELLED (call may be NULL), with the error filled. Never blocks. */
sbx_status call_check(struct sbx_call *call);
enum { CALL_POLL_MAX = 8 }; /* descriptors that one call_poll takes */
/* poll(2) over fds that also watches deadline and cancel token, and at most until until_ns (0: no limit of its own).
 * SBX_OK: *ready is poll's count, 0 when until_ns came first; what is ready is seen even when until_ns is past. Handles
 * EINTR and hosts that have only `cancelled`. */
sbx_status call_poll(struct sbx_call *call, struct pollfd *fds, size_t count, int64_t until_ns, int *ready);

/* An entry of a plugin's table of keys. */
#define CONFIG_KEY(name_, type_, flags_, fallback_, help_)                                                             \
    &(const struct sbx_config_key)                                                                                     \
    {                                                                                                                  \
        .size = sizeof(struct sbx_config_key), .type = (type_), .flags = (flags_), .name = (name_),                    \
        .fallback = (fallback_), .help = (help_)                                                                       \
    }
/* The last value of a key in open's configuration, or NULL. */
const char *config_get(const struct sbx_open_args *args, const char *key);
/* SBX_E_CONFIG for a key that the table lacks, one repeated without SBX_KEY_REPEAT, one missing, one of the wrong type.
 */
sbx_status config_check(const struct sbx_open_args *args, const struct sbx_config_key *const *keys,
                        struct sbx_call *call);
/* Getters for values that config_check has passed; `fallback` when the key is absent. */
int64_t config_get_int(const struct sbx_open_args *args, const char *key, int64_t fallback);
int config_get_bool(const struct sbx_open_args *args, const char *key,
                    int fallback); /* yes/no, true/false, 1/0, on/off */
int64_t config_get_ms(const struct sbx_open_args *args, const char *key, int64_t fallback_ms);
int64_t config_get_bytes(const struct sbx_open_args *args, const char *key, int64_t fallback);
/* Milliseconds of the key `timeout`, at most UINT32_MAX. */
uint32_t config_get_timeout(const struct sbx_open_args *args, int64_t fallback_ms);
/* The index of the key's value among two or three words (NULL-terminated), 0 when the key is absent; or SBX_E_CONFIG
 * that names key and words. */
sbx_status config_take_word(const struct sbx_open_args *args, const char *key, const char *const *words,
                            uint32_t *index, struct sbx_call *call);
/* A number from 0 to `most`, or SBX_E_CONFIG that names key and bounds. */
sbx_status config_take_number(const struct sbx_open_args *args, const char *key, int64_t fallback, int64_t most,
                              uint32_t *out, struct sbx_call *call);
/* The values of a repeated key: absolute paths, but no "/"; NULL-terminated, for config_free_paths. SBX_E_CONFIG for
 * others, and for more than `most`. */
sbx_status config_take_paths(const struct sbx_open_args *args, const char *key, size_t most, char ***out,
                             struct sbx_call *call);
void config_free_paths(char **paths);

#endif /* SBX_COMMON_PLUGIN_H */
