/* SPDX-License-Identifier: MIT
 *
 * fuzz_tar.c - the guest's reader of archives. Sums of heads are mended first, or hardly one would be looked at.
 */
#include "tests/fuzz/fuzz.h"

#include "guest/tar_read.h"

#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>

/* As the guest's own: the first reason stays. */
int worker_fail(struct worker_verdict *v, sbx_status status, int os_errno, const char *format, ...)
{
    va_list args;
    if (v->status != SBX_OK)
        return -1;
    v->status = status;
    v->os_errno = os_errno;
    va_start(args, format);
    (void)vsnprintf(v->message, sizeof v->message, format, args);
    va_end(args);
    return -1;
}

static void mend(uint8_t *data, size_t size)
{
    for (size_t at = 0; at + TAR_BLOCK <= size; at += TAR_BLOCK) {
        struct tar_head head;
        memcpy(&head, data + at, sizeof head);
        if (memcmp(head.magic, "ustar", 5) != 0)
            continue;
        (void)snprintf(head.checksum, sizeof head.checksum, "%06o", tar_sum(&head) & 0777777u);
        head.checksum[7] = ' ';
        memcpy(data + at, &head, sizeof head);
    }
}

static void read_all(int fd, struct tar_reader *reader, struct tar_entry *entry)
{
    struct worker_verdict verdict = {.status = SBX_OK};
    int got, sink = open("/dev/null", O_WRONLY | O_CLOEXEC);
    FUZZ_HOLDS(sink >= 0);
    tar_reader_init(reader, fd, &verdict);
    while ((got = tar_read_entry(reader, entry)) == 1) {
        FUZZ_HOLDS(strlen(entry->name) < sizeof entry->name && strlen(entry->link) < sizeof entry->link);
        if (entry->type == '0' && tar_read_body(reader, entry->size, sink) != 0)
            break;
    }
    if (got == 0)
        (void)tar_read_end(reader);
    FUZZ_HOLDS(got >= 0 || verdict.status != SBX_OK);
    (void)close(sink);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size + 1);
    struct tar_reader *reader = malloc(sizeof *reader);
    struct tar_entry *entry = calloc(1, sizeof *entry);
    int fd = memfd_create("tar", MFD_CLOEXEC);
    FUZZ_HOLDS(copy != NULL && reader != NULL && entry != NULL && fd >= 0);
    if (size > 0)
        memcpy(copy, data, size);
    mend(copy, size);
    FUZZ_HOLDS(write(fd, copy, size) == (ssize_t)size && lseek(fd, 0, SEEK_SET) == 0);
    read_all(fd, reader, entry);
    (void)close(fd);
    free(entry);
    free(reader);
    free(copy);
    return 0;
}
