/* SPDX-License-Identifier: MIT
 *
 * wrong_stream.h - the part of wrong.c that is about what goes in and comes out: a source that is not ready.
 */
#ifndef WRONG_STREAM_H
#define WRONG_STREAM_H

#if defined(WRONG_QUIET_SOURCE)
/* Waits for its input before it begins, and never asks again. */
static sbx_status wrong_exec(EXEC_HEAD)
{
    char byte;
    sbx_status status = SBX_OK;
    if (args->in != NULL && args->in->read(args->in->user, &byte, 1) == SBX_AGAIN)
        while ((status = check(call)) == SBX_OK)
            (void)usleep(20000);
    return status == SBX_OK ? command_exec(h, call, args, out) : status;
}
#define WRONG_EXEC wrong_exec
#endif

#endif /* WRONG_STREAM_H */
