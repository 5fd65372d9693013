/* SPDX-License-Identifier: MIT
 *
 * rules.c - all rules, in the order in which they run. A rule keeps its number for ever.
 */
#include "conform/conform.h"

const struct rule_group *const rule_groups[] = {&rules_load, &rules_open, &rules_process, &rules_life,
                                                &rules_exec, &rules_stop, &rules_file,    &rules_write,
                                                &rules_job,  &rules_fs,   &rules_session, &rules_more};
const size_t rule_group_count = sizeof rule_groups / sizeof rule_groups[0];
