/* SPDX-License-Identifier: MIT
 *
 * remove.h - a directory and everything in it.
 */
#ifndef SBX_GUEST_REMOVE_H
#define SBX_GUEST_REMOVE_H

#include "guest/worker.h"

worker_job remove_tree;

#endif /* SBX_GUEST_REMOVE_H */
