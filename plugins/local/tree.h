/* SPDX-License-Identifier: MIT
 *
 * tree.h - removes a directory tree that hostile code filled: symlinks are never followed, any depth takes constant
 * memory and three descriptors, and nothing is allocated, so that it may run in a forked child.
 */
#ifndef SBX_LOCAL_TREE_H
#define SBX_LOCAL_TREE_H

/* Empties the directory `dir_fd`. 0, or the errno of the first thing that stayed. The tree must be at rest. */
int tree_empty(int dir_fd);
/* tree_empty of parent_fd/name, then the directory itself. 0 when it was not there. */
int tree_remove(int parent_fd, const char *name);

#endif /* SBX_LOCAL_TREE_H */
