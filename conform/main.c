/* SPDX-License-Identifier: MIT
 *
 * main.c - sbx-conform: runs a plugin through the rules of the plugin ABI and says which it keeps.
 */
#include "conform/conform.h"

#include "base/parse.h"

#include <fnmatch.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

enum { EXIT_FAILED = 1, EXIT_USAGE = 2, LIMIT_DEFAULT_S = 60, FILTERS_MAX = 32 };

struct options {
    const char *config;
    const char *section;
    const char *filters[FILTERS_MAX];
    size_t filter_count;
    int64_t seed;
    int64_t repeat;
    int64_t limit_s;
    int format;
    int card;
    int list;
    int version;
};

static const char usage[] =
    "usage: sbx-conform [OPTION...] PLUGIN.so\n"
    "  -c, --config FILE      an INI file; its section [provider NAME] configures the plugin\n"
    "  -s, --section NAME     that NAME; the plugin's file name without .so by default\n"
    "  -f, --filter PATTERN   only rules whose number, name or section matches; may be repeated\n"
    "  -o, --format FORMAT    text, tap or json\n"
    "      --card             the score card alone\n"
    "      --seed NUMBER      of everything that is chosen at random\n"
    "      --repeat NUMBER    each rule so many times, with another seed each\n"
    "      --limit SECONDS    of one rule; 60 by default\n"
    "  -l, --list             print the rules\n"
    "      --version          print the version\n";

static int take_format(const char *text)
{
    static const char *const names[] = {"text", "tap", "json"};
    for (int i = 0; i < 3; i++)
        if (strcmp(text, names[i]) == 0)
            return i;
    return -1;
}

/* The number of an option, in its range. */
static int take_number(const char *name, const char *text, int64_t least, int64_t *out)
{
    if (parse_int(text, out) == 0 && *out >= least)
        return 0;
    (void)fprintf(stderr, "sbx-conform: --%s: '%s' is no number from %lld\n", name, text, (long long)least);
    return -1;
}

enum { OPT_SEED = 256, OPT_REPEAT, OPT_LIMIT, OPT_CARD, OPT_VERSION };
static const struct option long_options[] = {{"config", required_argument, NULL, 'c'},
                                             {"section", required_argument, NULL, 's'},
                                             {"filter", required_argument, NULL, 'f'},
                                             {"format", required_argument, NULL, 'o'},
                                             {"list", no_argument, NULL, 'l'},
                                             {"help", no_argument, NULL, 'h'},
                                             {"seed", required_argument, NULL, OPT_SEED},
                                             {"repeat", required_argument, NULL, OPT_REPEAT},
                                             {"limit", required_argument, NULL, OPT_LIMIT},
                                             {"card", no_argument, NULL, OPT_CARD},
                                             {"version", no_argument, NULL, OPT_VERSION},
                                             {NULL, 0, NULL, 0}};

static int take_long(struct options *options, int option)
{
    switch (option) {
    case OPT_SEED:
        return take_number("seed", optarg, 0, &options->seed);
    case OPT_REPEAT:
        return take_number("repeat", optarg, 1, &options->repeat);
    case OPT_LIMIT:
        return take_number("limit", optarg, 1, &options->limit_s);
    case OPT_CARD:
        options->card = 1;
        return 0;
    case OPT_VERSION:
        options->version = 1;
        return 0;
    default:
        return -1;
    }
}

static int take_option(struct options *options, int option)
{
    switch (option) {
    case 'c':
        options->config = optarg;
        return 0;
    case 's':
        options->section = optarg;
        return 0;
    case 'f':
        if (options->filter_count == FILTERS_MAX)
            return -1;
        options->filters[options->filter_count++] = optarg;
        return 0;
    case 'o':
        options->format = take_format(optarg);
        return options->format;
    case 'l':
        options->list = 1;
        return 0;
    default:
        return take_long(options, option);
    }
}

static int is_wanted(const struct options *options, const struct rule_group *group, const struct rule *rule)
{
    char number[16];
    (void)snprintf(number, sizeof number, "%u", rule->number);
    for (size_t i = 0; i < options->filter_count; i++)
        if (fnmatch(options->filters[i], number, 0) == 0 || fnmatch(options->filters[i], rule->name, 0) == 0 ||
            fnmatch(options->filters[i], group->name, 0) == 0)
            return 1;
    return options->filter_count == 0;
}

static size_t count_wanted(const struct options *options)
{
    size_t count = 0;
    for (size_t g = 0; g < rule_group_count; g++)
        for (size_t i = 0; i < rule_groups[g]->count; i++)
            count += (size_t)is_wanted(options, rule_groups[g], &rule_groups[g]->rules[i]);
    return count * (size_t)options->repeat;
}

/* Every wanted rule, `repeat` times; the outcomes go to `all`. -1: a process could not be started. */
static int run_all(const struct options *options, const struct subject *subject, struct outcome *all, size_t *done)
{
    for (size_t g = 0; g < rule_group_count; g++)
        for (size_t i = 0; i < rule_groups[g]->count; i++)
            for (int64_t k = 0; k < options->repeat; k++) {
                const struct rule *rule = &rule_groups[g]->rules[i];
                if (!is_wanted(options, rule_groups[g], rule))
                    continue;
                if (runner_run(subject, rule, (uint64_t)(options->seed + k), &all[*done]) != 0) {
                    (void)fprintf(stderr, "sbx-conform: no further process can be started\n");
                    return -1;
                }
                all[*done].group = rule_groups[g]->name;
                if (!options->card)
                    report_one(options->format, &all[*done], *done);
                (*done)++;
            }
    return 0;
}

static int run(const struct options *options, const struct subject *subject)
{
    size_t planned = count_wanted(options);
    size_t done = 0;
    CLEANUP_BUF struct buf offers;
    CLEANUP_FREE struct outcome *all = calloc(planned + 1, sizeof *all);
    buf_init(&offers, 1 << 16);
    if (all == NULL)
        return EXIT_USAGE;
    if (planned == 0) {
        (void)fprintf(stderr, "sbx-conform: no rule matches; --list prints them\n");
        return EXIT_USAGE;
    }
    if (!options->card)
        report_begin(options->format, subject, planned, (uint64_t)options->seed);
    int failed = run_all(options, subject, all, &done) != 0;
    if (runner_offers(subject, &offers) != 0 || buf_append(&offers, "", 0) != 0)
        failed = 1;
    const char *text = offers.data != NULL ? offers.data : "";
    if (options->card)
        report_card(subject, all, done, text);
    else
        report_end(options->format, subject, all, done, text);
    for (size_t i = 0; i < done; i++)
        failed |= all[i].verdict == VERDICT_FAIL;
    return failed ? EXIT_FAILED : 0;
}

/* The name of the section: what was asked for, or the file's name without .so. */
static void section_name(const struct options *options, const char *path, char name[SBX_ID_SIZE])
{
    const char *slash = strrchr(path, '/');
    const char *from = options->section != NULL ? options->section : slash != NULL ? slash + 1 : path;
    size_t len = strnlen(from, SBX_ID_SIZE - 1);
    if (options->section == NULL && len > 3 && strcmp(from + len - 3, ".so") == 0)
        len -= 3;
    memcpy(name, from, len);
    name[len] = '\0';
}

static int run_configured(const struct options *options, const char *path)
{
    char name[SBX_ID_SIZE];
    struct config config = {0};
    CLEANUP_BUF struct buf secrets;
    buf_init(&secrets, 1 << 16);
    section_name(options, path, name);
    struct subject subject = {.path = path, .instance = name, .limit_s = (unsigned)options->limit_s};
    subject.arena =
        mmap(NULL, (size_t)CHUNK_SIZE * CHUNK_COUNT, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (subject.arena == MAP_FAILED)
        return EXIT_USAGE;
    if (options->config != NULL && config_read(options->config, name, &config) != 0)
        return EXIT_USAGE;
    int code = EXIT_USAGE;
    if (options->config == NULL || (runner_secrets(&subject, &secrets) == 0 && buf_append(&secrets, "", 0) == 0 &&
                                    config_resolve(&config, secrets.data) == 0)) {
        subject.configured = options->config != NULL;
        subject.config = (struct sbx_kvs){config.items, config.count};
        code = run(options, &subject);
    }
    config_finish(&config);
    return code;
}

int main(int argc, char **argv)
{
    struct options options = {.seed = -1, .repeat = 1, .limit_s = LIMIT_DEFAULT_S};
    char path[PATH_MAX];
    int option;
    while ((option = getopt_long(argc, argv, "c:s:f:o:lh", long_options, NULL)) != -1) {
        if (option == 'h')
            return fputs(usage, stdout) < 0;
        if (take_option(&options, option) < 0)
            return (void)fputs(usage, stderr), EXIT_USAGE;
    }
    if (options.version)
        return printf("sbx-conform %s, ABI %u.%u\n", SBX_VERSION, SBX_ABI_MAJOR, SBX_ABI_MINOR) < 0;
    if (options.list) {
        report_list();
        return 0;
    }
    if (optind + 1 != argc)
        return (void)fputs(usage, stderr), EXIT_USAGE;
    /* An absolute path, as hosts load (H1). */
    if (realpath(argv[optind], path) == NULL) {
        (void)fprintf(stderr, "sbx-conform: %s: %s\n", argv[optind], strerror(errno));
        return EXIT_USAGE;
    }
    if (options.seed < 0)
        options.seed = time(NULL) % 1000000;
    (void)signal(SIGPIPE, SIG_IGN);
    return run_configured(&options, path);
}
