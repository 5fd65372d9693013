/* SPDX-License-Identifier: MIT
 *
 * driver.c - driver FILE...: gives each file to the fuzz target it is linked with, and then each beginning of it.
 */
#include "tests/fuzz/fuzz.h"

#include <string.h>

enum { MOST = 1 << 20, STEPS = 200 };

/* A copy of exactly that size, so that a sanitizer sees the first byte behind it. */
static void run(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size);
    FUZZ_HOLDS(copy != NULL || size == 0);
    if (size > 0)
        memcpy(copy, data, size);
    FUZZ_HOLDS(LLVMFuzzerTestOneInput(copy, size) == 0);
    free(copy);
}

static int run_file(const char *path, uint8_t *buffer)
{
    FILE *file = fopen(path, "re");
    size_t size = file == NULL ? 0 : fread(buffer, 1, MOST, file);
    if (file == NULL || fclose(file) != 0) {
        perror(path);
        return -1;
    }
    size_t step = size / STEPS + 1;
    for (size_t part = 0; part < size; part += step)
        run(buffer, part);
    run(buffer, size);
    return 0;
}

int main(int argc, char **argv)
{
    uint8_t *buffer = malloc(MOST);
    if (buffer == NULL || argc < 2) {
        (void)fprintf(stderr, "usage: driver FILE...\n");
        return 2;
    }
    for (int i = 1; i < argc; i++)
        if (run_file(argv[i], buffer) != 0)
            return 1;
    free(buffer);
    (void)printf("%d inputs\n", argc - 1);
    return 0;
}
