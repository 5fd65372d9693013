/* SPDX-License-Identifier: MIT
 *
 * tar_corpus.c - writes the corpus of hostile archives: tar_corpus DIRECTORY makes NAME.tar of each and prints one
 * line, NAME, fine or refused, and the shell text that has to hold afterwards, with tabs between.
 */
#include "tar_corpus.h"

int main(int argc, char **argv)
{
    for (size_t i = 0; argc == 2 && i < sizeof corpus / sizeof corpus[0]; i++) {
        struct tarball t = {.data = NULL};
        char path[512];
        corpus[i].make(&t);
        (void)snprintf(path, sizeof path, "%s/%s.tar", argv[1], corpus[i].name);
        FILE *file = fopen(path, "we");
        if (file == NULL || (t.len > 0 && fwrite(t.data, 1, t.len, file) != t.len) || fclose(file) != 0)
            return 1;
        free(t.data);
        (void)printf("%s\t%s\t%s\n", corpus[i].name, corpus[i].verdict == FINE ? "fine" : "refused", corpus[i].check);
    }
    return argc == 2 ? 0 : 2;
}
