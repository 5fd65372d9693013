/* SPDX-License-Identifier: MIT
 *
 * fuzz_record.c - the local provider's record and environment, which anybody may have damaged. What was read can be
 * copied and written, and is the same when it is read again.
 */
#include "tests/fuzz/fuzz.h"

#include "plugins/local/record.h"

#include <string.h>

static void read_back(int dir_fd, const struct record *record)
{
    struct record copy = {0}, again = {0};
    FUZZ_HOLDS(record_copy(record, &copy) == 0);
    if (record_write(dir_fd, &copy) == 0) {
        FUZZ_HOLDS(record_read(dir_fd, &again) == 0);
        FUZZ_HOLDS(again.pid == record->pid && again.start == record->start && again.ids.kind == record->ids.kind &&
                   again.metadata.count == record->metadata.count && strcmp(again.id, record->id) == 0);
        record_finish(&again);
    }
    record_finish(&copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[] = {"record", "claim", "env"};
    char folder[64];
    struct record record = {0};
    struct sbx_kvs envs = {0};
    char *text = NULL;
    fuzz_folder(folder);
    int dir_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    FUZZ_HOLDS(dir_fd >= 0);
    fuzz_write(dir_fd, "record", data, size);
    fuzz_write(dir_fd, "env", data, size);
    if (record_read_envs(dir_fd, &text, &envs) == 0) {
        for (size_t i = 0; i < envs.count; i++)
            FUZZ_HOLDS(envs.items[i].key != NULL && envs.items[i].value != NULL);
        free((void *)(uintptr_t)envs.items);
        free(text);
    }
    if (record_read(dir_fd, &record) == 0) {
        FUZZ_HOLDS(record.id != NULL && record_is_id(record.id));
        read_back(dir_fd, &record);
        record_finish(&record);
    }
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        (void)unlinkat(dir_fd, names[i], 0);
    (void)close(dir_fd);
    FUZZ_HOLDS(rmdir(folder) == 0);
    return 0;
}
