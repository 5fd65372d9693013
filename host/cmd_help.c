/* SPDX-License-Identifier: MIT
 *
 * cmd_help.c - help, written from the tables.
 */
#include "host/cmd.h"

#include "host/json.h"

#include <stdio.h>
#include <string.h>

static void print_option(FILE *out, const struct cmd_option *option)
{
    char left[64];
    char letter[8] = "    ";
    if (option->letter != 0)
        (void)snprintf(letter, sizeof letter, "-%c, ", option->letter);
    (void)snprintf(left, sizeof left, "%s--%s%s%s", letter, option->name, option->argument == NULL ? "" : " ",
                   option->argument == NULL ? "" : option->argument);
    (void)fprintf(out, "  %-30s %s\n", left, option->help);
}

static void help_general(FILE *out)
{
    const struct cmd_command *command;
    const struct cmd_option *option;
    (void)fprintf(out, "sbxctl runs commands in sandboxes of many providers.\n\n"
                       "usage: sbxctl [OPTION...] COMMAND [ARG...]\n\ncommands:\n");
    for (size_t i = 0; (command = cmd_command_at(i)) != NULL; i++)
        (void)fprintf(out, "  %-11s %s\n", command->name, command->summary);
    (void)fprintf(out, "\noptions of every command:\n");
    for (size_t i = 0; (option = cmd_option_at(i)) != NULL; i++)
        if ((option->groups & GROUP_GLOBAL) != 0)
            print_option(out, option);
    (void)fprintf(out,
                  "\nexit codes: those of the command that was run, and for sbxctl itself 124 timed out, 125 failed,\n"
                  "126 not executable, 127 not found, 128+N ended by signal N.\n"
                  "'sbxctl help COMMAND' explains one command; sbxctl(1) is the manual.\n");
}

static void help_command(FILE *out, const struct cmd_command *command)
{
    const struct cmd_option *option;
    (void)fprintf(out, "usage: sbxctl %s [OPTION...]%s%s\n\n%s\n", command->name, *command->arguments == 0 ? "" : " ",
                  command->arguments, command->summary);
    if (command->details != NULL)
        (void)fprintf(out, "%s\n", command->details);
    (void)fprintf(out, "\noptions:\n");
    for (size_t i = 0; (option = cmd_option_at(i)) != NULL; i++)
        if ((option->groups & (command->groups | GROUP_GLOBAL)) != 0)
            print_option(out, option);
    if ((command->groups & GROUP_CALL) != 0)
        (void)fprintf(out,
                      "\nA DURATION is a number of seconds, or 500ms, 30s, 5m, 1h, 2d; a SIZE a number of bytes, or "
                      "64K, 512M, 4G.\n");
}

static int help_json(struct cmd *c, const struct cmd_command *command)
{
    const struct cmd_option *option;
    const struct cmd_command *one;
    struct json j;
    json_init(&j);
    json_flag(&j, j.root, "ok", 1);
    struct cJSON *list = json_array(&j, j.root, "commands");
    for (size_t i = 0; (one = cmd_command_at(i)) != NULL; i++) {
        if (command != NULL && one != command)
            continue;
        struct cJSON *item = json_push_object(&j, list);
        json_text(&j, item, "name", one->name);
        json_text(&j, item, "arguments", one->arguments);
        json_text(&j, item, "summary", one->summary);
        struct cJSON *options = json_array(&j, item, "options");
        for (size_t k = 0; (option = cmd_option_at(k)) != NULL; k++) {
            if ((option->groups & (one->groups | GROUP_GLOBAL)) == 0)
                continue;
            struct cJSON *entry = json_push_object(&j, options);
            char letter[2] = {option->letter, 0};
            json_text(&j, entry, "name", option->name);
            json_text(&j, entry, "letter", option->letter == 0 ? NULL : letter);
            json_text(&j, entry, "argument", option->argument);
            json_text(&j, entry, "help", option->help);
            json_flag(&j, entry, "repeat", option->repeat);
        }
    }
    return json_print(c, &j, EXIT_FINE);
}

int cmd_help(struct cmd *c)
{
    const struct cmd_command *command = NULL;
    if (c->arg_count == 1) {
        command = cmd_find(c->args[0]);
        if (command == NULL) {
            const char *nearest = cmd_nearest(NULL, c->args[0]);
            return nearest == NULL ? cmd_usage(c, "no such command '%s'; 'sbxctl help' lists them", c->args[0])
                                   : cmd_usage(c, "no such command '%s'; did you mean '%s'?", c->args[0], nearest);
        }
    }
    if (cmd_has(c, OPT_JSON))
        return help_json(c, command);
    if (command == NULL)
        help_general(stdout);
    else
        help_command(stdout, command);
    return EXIT_FINE;
}
