/* SPDX-License-Identifier: MIT
 *
 * test_exchanges.c - captured answers of the service, and what the provider makes of each: exchanges.jsonl and
 * exchanges.said, which are read side by side.
 */
#include "plugins/common/json.h"
#include "tests/common/runner.h"
#include "tests/runloop/mapping.h"

#include <fnmatch.h>
#include <stdlib.h>

static const struct {
    const char *target; /* as fnmatch has it, the first that fits */
    enum mapping_kind kind;
} kinds[] = {{"*/stream_*", MAPPING_STREAM},
             {"*/executions/*", MAPPING_EXECUTION},
             {"*/disk_snapshots[?]*", MAPPING_SNAPSHOTS},
             {"*/disk_snapshots/*", MAPPING_SNAPSHOT},
             {"*/create_ssh_key", MAPPING_KEY},
             {"*/devboxes[?]*", MAPPING_DEVBOXES},
             {"*/devboxes/*", MAPPING_DEVBOX}};

static size_t kind_of(const char *target)
{
    size_t i = 0;
    while (fnmatch(kinds[i].target, target, 0) != 0)
        assert_true(++i < sizeof kinds / sizeof kinds[0]);
    return i;
}

/* What is said of one line of the fixtures. */
static void say_line(const char *line, size_t piece, struct buf *said)
{
    CLEANUP_JSON struct cJSON *json = NULL;
    assert_int_equal(json_parse(NULL, "", line, strlen(line), &json), SBX_OK);
    const char *target = json_text(json, "target"), *reply = json_text(json_member(json, "reply"), "text");
    assert_non_null(target);
    assert_non_null(reply);
    enum mapping_kind kind = kinds[kind_of(target)].kind;
    (void)buf_format(said, "%s\n", strncmp(target, "/v1/", 4) == 0 ? target + 4 : target);
    mapping_say(kind, NULL, reply, strlen(reply), piece, said);
    if (kind == MAPPING_DEVBOX)
        mapping_say(MAPPING_TUNNEL, NULL, reply, strlen(reply), piece, said);
}

static void say_all(size_t piece, struct buf *said)
{
    char *line = NULL;
    size_t size = 0;
    FILE *file = fopen(EXCHANGES ".jsonl", "re");
    assert_non_null(file);
    while (getline(&line, &size, file) > 0)
        say_line(line, piece, said);
    free(line);
    (void)fclose(file);
    assert_int_equal(said->failed, 0);
}

static void captured_answers_mean_what_is_written_down(void **state)
{
    char wanted[1 << 16];
    struct buf said;
    (void)state;
    FILE *file = fopen(EXCHANGES ".said", "re");
    assert_non_null(file);
    size_t len = fread(wanted, 1, sizeof wanted, file);
    (void)fclose(file);
    buf_init(&said, sizeof wanted);
    say_all(4096, &said);
    int same = said.len == len && memcmp(said.data, wanted, len) == 0;
    if (!same)
        (void)fprintf(stderr, "it is said now:\n%s", said.data);
    assert_true(same);
    buf_finish(&said);
}

static void captured_streams_mean_the_same_in_any_pieces(void **state)
{
    struct buf whole, pieces;
    (void)state;
    buf_init(&whole, 1 << 16);
    buf_init(&pieces, 1 << 16);
    say_all(4096, &whole);
    for (size_t piece = 1; piece < 40; piece++) {
        pieces.len = 0;
        say_all(piece, &pieces);
        assert_int_equal(pieces.len, whole.len);
        assert_memory_equal(pieces.data, whole.data, whole.len);
    }
    buf_finish(&whole);
    buf_finish(&pieces);
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(captured_answers_mean_what_is_written_down),
        cmocka_unit_test(captured_streams_mean_the_same_in_any_pieces),
    };
    return RUN_TESTS(tests, argc, argv);
}
