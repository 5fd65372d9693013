/* SPDX-License-Identifier: MIT
 *
 * main.c - sbxctl: parse, run the command, answer its exit code.
 */
#include "host/cmd.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>

/* Descriptors 0 to 2 are never free for a file of ours. What was closed stays useless: reading 1 and 2 or writing 0
 * fails. */
static void fill_standard(void)
{
    for (int fd = 0; fd <= 2; fd++)
        if (fcntl(fd, F_GETFD) < 0 && errno == EBADF)
            (void)open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY);
}

int main(int argc, char **argv)
{
    struct cmd c;
    int code;
    fill_standard();
    /* A line is one write, so that lines of several processes do not mix. */
    (void)setvbuf(stderr, NULL, _IOLBF, BUFSIZ);
    (void)signal(SIGPIPE, SIG_IGN);
    code = cmd_parse(&c, argc, argv);
    if (code == 0 && cmd_has(&c, OPT_HELP)) {
        c.args[0] = c.command->name;
        c.arg_count = 1;
        code = cmd_help(&c);
    } else if (code == 0) {
        code = c.command->run(&c);
    }
    code = cmd_close_output(&c, code);
    cmd_finish(&c);
    return code;
}
