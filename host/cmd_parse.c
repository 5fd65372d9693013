/* SPDX-License-Identifier: MIT
 *
 * cmd_parse.c - from words to an invocation. Options stand anywhere before `--` or before the words that belong to the
 * command to run; the first `--` ends them.
 */
#include "host/cmd.h"

#include <stdlib.h>
#include <string.h>

struct parser {
    struct cmd *c;
    char **argv;
    size_t argc;
    size_t at;
};

static int fits(const struct parser *p, const struct cmd_option *option)
{
    uint32_t groups = GROUP_GLOBAL | (p->c->command == NULL ? 0 : p->c->command->groups);
    return (option->groups & groups) != 0 || (option->id == OPT_VERSION && p->c->command == NULL);
}

static const struct cmd_option *find_long(const struct parser *p, const char *name, size_t length)
{
    const struct cmd_option *option;
    for (size_t i = 0; (option = cmd_option_at(i)) != NULL; i++)
        if (strlen(option->name) == length && memcmp(option->name, name, length) == 0 && fits(p, option))
            return option;
    return NULL;
}

static const struct cmd_option *find_letter(const struct parser *p, char letter)
{
    const struct cmd_option *option;
    for (size_t i = 0; (option = cmd_option_at(i)) != NULL; i++)
        if (option->letter == letter && letter != 0 && fits(p, option))
            return option;
    return NULL;
}

static int store(struct cmd *c, const struct cmd_option *option, const char *value)
{
    c->value[option->id] = value;
    if (option->repeat == 0)
        return 0;
    struct cmd_word *more = realloc(c->repeated, (c->repeated_count + 1) * sizeof *more);
    if (more == NULL)
        return cmd_no_memory(c);
    c->repeated = more;
    more[c->repeated_count++] = (struct cmd_word){.id = option->id, .value = value};
    return 0;
}

static int unknown(struct parser *p, const char *shown, const char *name)
{
    const struct cmd_command *command = p->c->command;
    const struct cmd_option *other = NULL;
    const char *nearest;
    if (command == NULL) {
        /* An option of some command, in front of it. */
        for (size_t i = 0; (other = cmd_option_at(i)) != NULL; i++)
            if (name != NULL && strcmp(other->name, name) == 0)
                return cmd_usage(p->c, "option '%s' belongs behind its command", shown);
        return cmd_usage(p->c, "unknown option '%s'; 'sbxctl help' lists them", shown);
    }
    nearest = name == NULL ? NULL : cmd_nearest(command, name);
    if (nearest != NULL)
        return cmd_usage(p->c, "unknown option '%s'; did you mean '--%s'?", shown, nearest);
    return cmd_usage(p->c, "unknown option '%s'; 'sbxctl help %s' lists them", shown, command->name);
}

/* The next word as an option's value. One that is itself an option is taken for a value forgotten. */
static int take_value(struct parser *p, const struct cmd_option *option, const char **value)
{
    const char *next = p->at < p->argc ? p->argv[p->at] : NULL;
    if (next != NULL && strcmp(next, "--") == 0)
        next = NULL;
    if (next != NULL && strncmp(next, "--", 2) == 0 && find_long(p, next + 2, strcspn(next + 2, "=")) != NULL)
        next = NULL;
    if (next == NULL)
        return cmd_usage(p->c, "option '--%s' wants a value: --%s %s", option->name, option->name, option->argument);
    p->at++;
    *value = next;
    return 0;
}

static int parse_long(struct parser *p, const char *word)
{
    size_t length = strcspn(word + 2, "=");
    const char *value = word[2 + length] == '=' ? word + 2 + length + 1 : NULL;
    const struct cmd_option *option = find_long(p, word + 2, length);
    if (option == NULL) {
        char shown[80];
        (void)snprintf(shown, sizeof shown, "%.*s", (int)(length > 60 ? 62 : length + 2), word);
        return unknown(p, shown, shown + 2);
    }
    if (option->argument == NULL) {
        if (value != NULL)
            return cmd_usage(p->c, "option '--%s' takes no value", option->name);
        return store(p->c, option, "");
    }
    if (value == NULL) {
        int code = take_value(p, option, &value);
        if (code != 0)
            return code;
    }
    return store(p->c, option, value);
}

static int parse_letters(struct parser *p, const char *word)
{
    for (const char *s = word + 1; *s != 0; s++) {
        const struct cmd_option *option = find_letter(p, *s);
        const char *value = s + 1;
        int code;
        if (option == NULL) {
            char shown[] = {'-', *s, 0};
            return unknown(p, shown, NULL);
        }
        if (option->argument == NULL) {
            code = store(p->c, option, "");
            if (code != 0)
                return code;
            continue;
        }
        code = *value == 0 ? take_value(p, option, &value) : 0;
        return code != 0 ? code : store(p->c, option, value);
    }
    return 0;
}

static int parse_command(struct parser *p, const char *word)
{
    p->c->command = cmd_find(word);
    if (p->c->command != NULL)
        return 0;
    const char *nearest = cmd_nearest(NULL, word);
    if (nearest != NULL)
        return cmd_usage(p->c, "no such command '%s'; did you mean '%s'?", word, nearest);
    return cmd_usage(p->c, "no such command '%s'; 'sbxctl help' lists them", word);
}

/* Whether every later word is an argument. */
static int ends_options(const struct cmd *c)
{
    const struct cmd_command *command = c->command;
    if (command->verbatim_action != NULL && strcmp(command->verbatim_action, c->args[0]) != 0)
        return 0;
    return command->verbatim != NO_VERBATIM && c->arg_count > command->verbatim;
}

/* Options in front of the command's own words, and those words. */
static int parse_words(struct parser *p)
{
    struct cmd *c = p->c;
    int verbatim = 0, code = 0;
    while (code == 0 && p->at < p->argc) {
        const char *word = p->argv[p->at++];
        if (!verbatim && strcmp(word, "--") == 0) {
            verbatim = 1;
        } else if (!verbatim && strncmp(word, "--", 2) == 0) {
            code = parse_long(p, word);
        } else if (!verbatim && word[0] == '-' && word[1] != 0) {
            code = parse_letters(p, word);
        } else if (c->command == NULL) {
            code = parse_command(p, word);
            verbatim = 0;
        } else {
            c->args[c->arg_count++] = word;
            verbatim = verbatim || ends_options(c);
        }
    }
    return code;
}

static int check_words(struct cmd *c)
{
    const struct cmd_command *command = c->command;
    if (c->arg_count < command->least)
        return cmd_usage(c, "missing argument; usage: sbxctl %s [OPTION...] %s", command->name, command->arguments);
    if (c->arg_count > command->most)
        return cmd_usage(c, "too many arguments, beginning with '%s'; usage: sbxctl %s [OPTION...]%s%s",
                         c->args[command->most], command->name, *command->arguments == 0 ? "" : " ",
                         command->arguments);
    return 0;
}

/* Stands in the place of --json while it is only known that the word occurs somewhere. */
static const char maybe[] = "maybe";

/* Whether --json stands somewhere: even a bad line is answered in that form. */
static void look_for_json(struct cmd *c, size_t argc, char **argv)
{
    for (size_t i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
        if (strcmp(argv[i], "--json") == 0)
            c->value[OPT_JSON] = maybe;
}

int cmd_parse(struct cmd *c, int argc, char **argv)
{
    struct parser p = {.c = c, .argv = argv, .argc = argc < 0 ? 0 : (size_t)argc, .at = 1};
    int code;
    *c = (struct cmd){.signal_fd = -1, .call = SBX_INIT(c->call)};
    c->args = calloc(p.argc + 2, sizeof *c->args);
    if (c->args == NULL)
        return cmd_no_memory(c);
    look_for_json(c, p.argc, argv);
    code = parse_words(&p);
    if (code != 0)
        return code;
    if (cmd_has(c, OPT_VERSION))
        c->command = cmd_find("version");
    if (c->command == NULL && cmd_has(c, OPT_HELP)) { /* of sbxctl, and not of the command help */
        c->command = cmd_find("help");
        c->value[OPT_HELP] = NULL;
    }
    if (c->command == NULL)
        return cmd_usage(c, "no command given; 'sbxctl help' lists them");
    if (c->value[OPT_JSON] == maybe)
        c->value[OPT_JSON] = NULL;
    return cmd_has(c, OPT_HELP) ? 0 : check_words(c);
}

void cmd_finish(struct cmd *c)
{
    signals_close(c);
    free(c->repeated);
    free(c->args);
    *c = (struct cmd){.signal_fd = -1};
}
