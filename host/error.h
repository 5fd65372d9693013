/* SPDX-License-Identifier: MIT
 *
 * error.h - filling struct sbx_error: set once where the cause is known, wrapped once per layer that adds a name.
 */
#ifndef SBX_HOST_ERROR_H
#define SBX_HOST_ERROR_H

#include "sbx.h"

/* Fills *error (may be NULL; never writes past error->size) and answers `code`. One line, names the thing. */
sbx_status error_set(struct sbx_error *error, sbx_status code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* As error_set, with os_errno and its text after "format: ". */
sbx_status error_set_errno(struct sbx_error *error, sbx_status code, int os_errno, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* Puts "prefix: " before the message that is there; answers error's code, or `code` when error is NULL. */
sbx_status error_wrap(struct sbx_error *error, sbx_status code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Gives a whole error to a caller, whose struct may be NULL or shorter; its message stays terminated. */
void error_give(struct sbx_error *error, const struct sbx_error *full);
/* SBX_E_NO_MEMORY with a message that needs no memory. */
sbx_status error_no_memory(struct sbx_error *error);

#endif /* SBX_HOST_ERROR_H */
