/* SPDX-License-Identifier: MIT
 *
 * cmd_doctor.h - what sbxctl doctor looks at on this machine.
 */
#ifndef SBX_HOST_CMD_DOCTOR_H
#define SBX_HOST_CMD_DOCTOR_H

#include <stddef.h>

enum check_state { CHECK_OK, CHECK_NOTE, CHECK_PROBLEM };
struct check {
    const char *name;
    enum check_state state;
    int local; /* matters to the local provider alone */
    char detail[400];
    char mend[400]; /* empty when there is nothing to do */
};

/* Each fills *check, whose name is set already. */
typedef void check_function(struct check *check);

/* The machine's checks, in the order in which they are shown; NULL behind the last. */
check_function *doctor_check_at(size_t i, const char **name);

void check_say(struct check *check, enum check_state state, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void check_mend(struct check *check, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif /* SBX_HOST_CMD_DOCTOR_H */
