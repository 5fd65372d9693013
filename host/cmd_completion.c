/* SPDX-License-Identifier: MIT
 *
 * cmd_completion.c - sbxctl completion: scripts for shells, written from the tables.
 */
#include "host/cmd.h"

#include <string.h>

static int takes(const struct cmd_command *command, const struct cmd_option *option)
{
    return (option->groups & (GROUP_GLOBAL | (command == NULL ? 0 : command->groups))) != 0;
}

static void print_words(const struct cmd_command *command)
{
    const struct cmd_option *option;
    for (size_t i = 0; (option = cmd_option_at(i)) != NULL; i++)
        if (takes(command, option))
            (void)printf(" --%s", option->name);
}

/* Behind these stands a word of theirs: a pattern of case. */
static void print_options_with_values(void)
{
    const struct cmd_option *option;
    const char *gap = "";
    for (size_t i = 0; (option = cmd_option_at(i)) != NULL; i++) {
        if (option->argument == NULL)
            continue;
        (void)printf("%s--%s", gap, option->name);
        gap = " | ";
        if (option->letter != 0)
            (void)printf("%s-%c", gap, option->letter);
    }
}

static void print_bash(void)
{
    const struct cmd_command *command;
    (void)fputs("_sbxctl() {\n"
                "    local cur=${COMP_WORDS[COMP_CWORD]} command='' words='' actions='' before=0 i\n"
                "    COMPREPLY=()\n"
                "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
                "        case ${COMP_WORDS[i]} in\n"
                "        ",
                stdout);
    print_options_with_values();
    (void)fputs(")\n"
                "            ((i++))\n"
                "            [[ ${COMP_WORDS[i]} != '=' ]] || ((i++)) ;;\n"
                "        '=') ((i++)) ;;\n" /* readline has cut A=B in three */
                "        -*) ;;\n"
                "        *) if [[ -z $command ]]; then command=${COMP_WORDS[i]}; else ((before++)); fi ;;\n"
                "        esac\n"
                "    done\n"
                "    ((i == COMP_CWORD)) || return\n"
                "    case $command in\n"
                "    '') words='",
                stdout);
    for (size_t i = 0; (command = cmd_command_at(i)) != NULL; i++)
        (void)printf("%s%s", i == 0 ? "" : " ", command->name);
    print_words(NULL);
    (void)fputs("' ;;\n", stdout);
    for (size_t i = 0; (command = cmd_command_at(i)) != NULL; i++) {
        (void)printf("    %s) actions='%s' words='", command->name, command->actions == NULL ? "" : command->actions);
        print_words(command);
        (void)fputs("' ;;\n", stdout);
    }
    (void)fputs("    esac\n"
                "    if [[ -z $command || $cur == -* ]]; then\n"
                "        COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n"
                "    elif [[ -n $actions && $before -eq 0 ]]; then\n"
                "        [[ $command != tunnel ]] || actions+=\" $(sbxctl ls -q 2>/dev/null)\"\n"
                "        COMPREPLY=($(compgen -W \"$actions\" -- \"$cur\"))\n"
                "    elif [[ $command =~ ^(exec|inspect|rm|logs|wait|shell|ssh|suspend|resume|keep-alive)$ ||\n"
                "        ($command =~ ^(job|files|tunnel)$ && $before -eq 1) ]]; then\n"
                "        COMPREPLY=($(compgen -W \"$(sbxctl ls -q 2>/dev/null)\" -- \"$cur\"))\n"
                "    fi\n"
                "}\n"
                "complete -o default -F _sbxctl sbxctl\n",
                stdout);
}

static void print_zsh(void)
{
    (void)fputs("autoload -U +X bashcompinit && bashcompinit\n", stdout);
    print_bash();
}

/* Single quotes as fish wants them. */
static void print_quoted(const char *text)
{
    (void)fputc('\'', stdout);
    for (; *text != 0; text++)
        (void)printf("%s%c", *text == '\'' || *text == '\\' ? "\\" : "", *text);
    (void)fputc('\'', stdout);
}

static void print_fish(void)
{
    const struct cmd_command *command;
    const struct cmd_option *option;
    for (size_t i = 0; (command = cmd_command_at(i)) != NULL; i++) {
        (void)printf("complete -c sbxctl -f -n __fish_use_subcommand -a %s -d ", command->name);
        print_quoted(command->summary);
        (void)fputc('\n', stdout);
        if (command->actions != NULL)
            (void)printf("complete -c sbxctl -f -n '__fish_seen_subcommand_from %s' -a '%s'\n", command->name,
                         command->actions);
        for (size_t k = 0; (option = cmd_option_at(k)) != NULL; k++) {
            if (!takes(command, option))
                continue;
            (void)printf("complete -c sbxctl -n '__fish_seen_subcommand_from %s' %s-l %s ", command->name,
                         option->argument == NULL ? "" : "-r ", option->name);
            if (option->letter != 0)
                (void)printf("-s %c ", option->letter);
            (void)fputs("-d ", stdout);
            print_quoted(option->help);
            (void)fputc('\n', stdout);
        }
    }
}

int cmd_completion(struct cmd *c)
{
    static const struct {
        const char *name;
        void (*print)(void);
    } shells[] = {{"bash", print_bash}, {"zsh", print_zsh}, {"fish", print_fish}};
    for (size_t i = 0; i < sizeof shells / sizeof shells[0]; i++) {
        if (strcmp(shells[i].name, c->args[0]) != 0)
            continue;
        if (cmd_has(c, OPT_JSON))
            return cmd_usage(c, "a script for a shell has no JSON form; leave --json out");
        shells[i].print();
        return EXIT_FINE;
    }
    return cmd_usage(c, "'%s' is none of bash, zsh and fish", c->args[0]);
}
