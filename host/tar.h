/* SPDX-License-Identifier: MIT
 *
 * tar.h - what libsbx-archive.so offers to libsbx: taking a tar stream apart that nobody trusts. A module of its own,
 * because linking libarchive costs every start of a program more than a millisecond.
 */
#ifndef SBX_HOST_TAR_H
#define SBX_HOST_TAR_H

#include "sbx.h"

#define TAR_MODULE_FILE   "libsbx-archive.so"
#define TAR_MODULE_SYMBOL "sbx_archive_v1"

struct tar_limits {
    uint64_t entries;
    uint64_t bytes; /* of all files, as they are when unpacked */
    uint32_t depth;
    uint32_t reserved0;
};
struct tar_module {
    uint32_t size;
    uint32_t reserved0;
    /* Unpacks the uncompressed tar that `fd` gives into the empty directory `root`, and reads fd to its end. Nothing is
     * written outside root; only files, directories, hard links to files already there, and symbolic links that stay
     * inside are taken; no owner, no attribute, no bit above 0777. A stream without its two zero blocks, or with
     * anything behind them, is refused. On failure *error says why, and root holds a part. */
    sbx_status (*extract)(int fd, int root, const struct tar_limits *limits, struct sbx_error *error);
};
extern SBX_API const struct tar_module sbx_archive_v1;

#endif /* SBX_HOST_TAR_H */
