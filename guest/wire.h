/* SPDX-License-Identifier: MIT
 *
 * wire.h - the guest protocol's numbers and its two tiny codecs (frames and fields), shared by sbx-guest and by its
 * client in plugins/common. docs/guest-protocol.md is the specification; this file is its only transcription.
 *
 * Everything is little-endian. A connection carries frames; a frame belongs to a request by its id, which the client
 * chooses (not 0; unique among its requests in flight on this connection). A request is one or more FRAME_REQUEST
 * frames (all but the last with FLAG_MORE) whose joined payload is a list of fields. Data flows in FRAME_DATA frames,
 * each direction of each stream against credit that the receiver gave; FRAME_REPLY uses that of OUT, too. The guest
 * ends every request with exactly one FRAME_END, after which its id may be used again.
 */
#ifndef SBX_GUEST_WIRE_H
#define SBX_GUEST_WIRE_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define WIRE_VERSION      1u
#define WIRE_HEADER       12u          /* u32 payload length, u8 type, u8 flags, u8 stream, u8 zero, u32 request id */
#define WIRE_MAX_PAYLOAD  65536u       /* a longer frame ends the connection */
#define WIRE_MAX_REQUEST  (4u << 20)   /* joined request payload */
#define WIRE_MAX_REQUESTS 64u          /* in flight on one connection; one more is answered SBX_E_BUSY (-14) */
#define WIRE_WINDOW       (256u << 10) /* each stream's credit at the start of a request, both directions */

/* The name of the guest's process while the sandbox is suspended: who sees the process from outside sees the state. */
#define WIRE_ASLEEP_NAME "sbx-suspended"

enum wire_frame {
    FRAME_HELLO = 1,   /* both, first on a connection, id 0: fields F_VERSION, F_NONCE (guest also F_PID, F_FEATURES) */
    FRAME_REQUEST = 2, /* client: fields; F_OP first */
    FRAME_DATA = 3,    /* both: bytes of `stream`; FLAG_EOF: nothing follows (payload may be empty) */
    FRAME_CREDIT = 4,  /* both: payload u32: that many more bytes of `stream` may be sent */
    FRAME_SIGNAL = 5,  /* client: payload u32 signal number, to the command's process group */
    FRAME_RESIZE = 6,  /* client: payload u16 rows, u16 cols */
    FRAME_CANCEL = 7,  /* client: end the request (a command: kill its whole tree); END follows as always */
    FRAME_STARTED = 8, /* guest: the command runs; F_PID */
    FRAME_REPLY = 9,   /* guest: fields of an answer or of one item of a list; any number before END */
    FRAME_END = 10     /* guest: fields: F_STATUS always; a failure F_ERRNO, F_MESSAGE; a command's end F_RESULT... */
};
enum { FLAG_MORE = 1u << 0, FLAG_EOF = 1u << 1 };
enum { STREAM_IN = 0, STREAM_OUT = 1, STREAM_ERR = 2 }; /* IN: client to guest; OUT and ERR: guest to client */

enum wire_op {
    OP_EXEC = 1,   /* F_ARG..., F_ENV..., F_CWD, F_USER, F_TIMEOUT_MS, F_FLAGS, F_ROWS, F_COLS */
    OP_READ = 2,   /* F_PATH, F_OFFSET, F_LIMIT, F_MAX_SIZE, F_USER -> REPLY with F_STAT..., then DATA on OUT */
    OP_WRITE = 3,  /* F_PATH, F_MODE, F_FLAGS, F_LENGTH, F_USER; DATA on IN up to FLAG_EOF; committed by the EOF only */
    OP_STAT = 4,   /* F_PATH, F_FLAGS (FS_NOFOLLOW), F_USER -> REPLY with F_TYPE, F_MODE, F_SIZE, F_MTIME_MS */
    OP_LIST = 5,   /* F_PATH, F_USER -> one REPLY per entry: F_NAME and what OP_STAT says of the entry itself */
    OP_MKDIR = 6,  /* F_PATH, F_MODE, F_FLAGS (FS_PARENTS), F_USER */
    OP_REMOVE = 7, /* F_PATH, F_FLAGS (FS_RECURSIVE), F_USER */
    OP_RENAME = 8, /* F_PATH, F_TO, F_USER */
    OP_TAR_GET = 9,    /* F_PATH, F_USER -> DATA on OUT: uncompressed POSIX tar, names from "./" */
    OP_TAR_PUT = 10,   /* F_PATH, F_USER; DATA on IN: uncompressed POSIX tar */
    OP_INFO = 11,      /* -> REPLY with F_PID (guest), F_DEADLINE_MS (left, 0 none), F_COUNT (processes), F_OOM */
    OP_SHUTDOWN = 12,  /* ends every process and then the guest; END is sent first */
    OP_LIFETIME = 13,  /* F_DEADLINE_MS from now; 0: none */
    OP_SUSPEND = 14,   /* F_FLAGS (SUSPEND_HOLD): every process but the guest is stopped -> REPLY with a hold */
    OP_RESUME = 15,    /* the opposite */
    OP_JOB_START = 20, /* as OP_EXEC without terminal; F_ID wanted or absent, F_LIMIT -> REPLY with F_ID, F_PID */
    OP_JOB_INFO =
        21, /* F_ID -> REPLY with F_ID, F_PID, F_RESULT, F_EXIT_CODE, F_TERM_SIGNAL, F_OUT_BYTES, F_ERR_BYTES */
    OP_JOB_WAIT = 22,   /* F_ID; END as of OP_EXEC */
    OP_JOB_KILL = 23,   /* F_ID */
    OP_JOB_SIGNAL = 24, /* F_ID, F_SIGNAL */
    OP_JOB_OUTPUT = 25, /* F_ID, F_STREAM, F_OFFSET, F_FLAGS (JOB_*) -> DATA on OUT; END with F_NEXT */
    OP_JOB_FEED = 26,   /* F_ID, F_FLAGS (JOB_FEED_END); DATA on IN */
    OP_JOB_LIST = 27,   /* -> one REPLY per job, as of OP_JOB_INFO */
    OP_JOB_FORGET = 28, /* F_ID */
    OP_SHELL_EXEC =
        30, /* F_NAME, one F_ARG: the text, F_TIMEOUT_MS, F_ENV..., F_CWD, F_USER, F_FLAGS (EXEC_MERGE, SHELL_*) */
    OP_SHELL_CLOSE = 31, /* F_NAME */
    OP_SHELL_LIST = 32,  /* -> one REPLY per shell: F_NAME, F_PID */
    OP_DIAL = 40         /* F_PORT; DATA both ways on IN and OUT */
};

/* Fields: u16 tag, u16 zero, u32 length, bytes. Numbers are u64 in 8 bytes. Texts carry no NUL and are not terminated.
 * In requests an unknown tag is refused (SBX_E_UNSUPPORTED); in replies it is skipped. */
enum wire_field {
    F_OP = 1,
    F_VERSION = 2,
    F_NONCE = 3, /* 16 bytes, echoed by the guest */
    F_PID = 4,
    F_FEATURES = 5, /* bit 1 << op for ops below 64 */
    F_ARG = 6,      /* repeated, in order; argv */
    F_ENV = 7,      /* repeated; KEY=VALUE */
    F_CWD = 8,
    F_USER = 9, /* name or number, optionally ":group"; absent: the sandbox's default user */
    F_TIMEOUT_MS = 10,
    F_FLAGS = 11, /* EXEC_* for commands, WRITE_* for OP_WRITE, FS_* for the others */
    F_ROWS = 12,
    F_COLS = 13,
    F_PATH = 14,
    F_TO = 15,
    F_OFFSET = 16,
    F_LIMIT = 17,
    F_MAX_SIZE = 18,
    F_MODE = 19,
    F_LENGTH = 20,
    F_TYPE = 21, /* SBX_FILE_* */
    F_SIZE = 22,
    F_MTIME_MS = 23,
    F_NAME = 24,
    F_DEADLINE_MS = 25,
    F_COUNT = 26,
    F_STATUS = 30, /* a status code of sbx_plugin.h, sign-extended to 64 bits */
    F_ERRNO = 31,
    F_MESSAGE = 32, /* one line, at most 400 bytes */
    F_RESULT = 33,  /* SBX_EXITED ... bits */
    F_EXIT_CODE = 34,
    F_TERM_SIGNAL = 35,
    F_OUT_BYTES = 36,
    F_ERR_BYTES = 37,
    F_OOM = 38,
    F_ID = 40,
    F_STREAM = 41,
    F_PORT = 42,
    F_SIGNAL = 43,
    F_NEXT = 44
};
enum {
    EXEC_MERGE = 1u << 0,     /* stderr is the same pipe as stdout */
    EXEC_TTY = 1u << 1,       /* a terminal of F_ROWS x F_COLS; implies EXEC_MERGE */
    EXEC_NO_STDIN = 1u << 2,  /* /dev/null, or a closed pipe where there is none; no DATA on IN */
    EXEC_STDIN_OPEN = 1u << 3 /* OP_JOB_START: keep stdin for OP_JOB_FEED */
};
enum { SUSPEND_HOLD = 1u << 0 };                     /* while the request lasts; others wait meanwhile */
enum { JOB_FOLLOW = 1u << 0, JOB_OLDEST = 1u << 1 }; /* OLDEST: where it skips, a REPLY with F_OFFSET comes first */
enum { JOB_FEED_END = 1u << 0 };                     /* the job's stdin is closed behind the data */
enum { JOB_RUNS = 1u << 16 };                        /* in F_RESULT of a job, where the bits of its end will stand */
enum { /* what the request says of these must be so in a shell that exists already */
       SHELL_SAME_ENV = 1u << 8,
       SHELL_SAME_CWD = 1u << 9,
       SHELL_SAME_USER = 1u << 10
};
enum { FS_NOFOLLOW = 1u << 0, FS_PARENTS = 1u << 1, FS_RECURSIVE = 1u << 2 };

static inline void wire_put16(unsigned char *p, uint32_t v)
{
    p[0] = (unsigned char)v;
    p[1] = (unsigned char)(v >> 8);
}
static inline void wire_put32(unsigned char *p, uint32_t v)
{
    wire_put16(p, v & 0xffffu);
    wire_put16(p + 2, v >> 16);
}
static inline void wire_put64(unsigned char *p, uint64_t v)
{
    wire_put32(p, (uint32_t)v);
    wire_put32(p + 4, (uint32_t)(v >> 32));
}
static inline uint32_t wire_get16(const unsigned char *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8;
}
static inline uint32_t wire_get32(const unsigned char *p)
{
    return wire_get16(p) | wire_get16(p + 2) << 16;
}
static inline uint64_t wire_get64(const unsigned char *p)
{
    return (uint64_t)wire_get32(p) | (uint64_t)wire_get32(p + 4) << 32;
}

struct wire_head {
    uint32_t len;
    uint8_t type;
    uint8_t flags;
    uint8_t stream;
    uint8_t zero;
    uint32_t id;
};
static inline void wire_put_head(unsigned char *p, struct wire_head h)
{
    wire_put32(p, h.len);
    p[4] = h.type;
    p[5] = h.flags;
    p[6] = h.stream;
    p[7] = 0;
    wire_put32(p + 8, h.id);
}
/* 0, or -1 for a head that no peer of this version sends: the connection is then ended. */
static inline int wire_get_head(const unsigned char *p, struct wire_head *h)
{
    h->len = wire_get32(p);
    h->type = p[4];
    h->flags = p[5];
    h->stream = p[6];
    h->zero = p[7];
    h->id = wire_get32(p + 8);
    if (h->len > WIRE_MAX_PAYLOAD || h->type < FRAME_HELLO || h->type > FRAME_END || h->zero != 0)
        return -1;
    if ((h->flags & ~(uint32_t)(FLAG_MORE | FLAG_EOF)) != 0 || h->stream > STREAM_ERR)
        return -1;
    return (h->id == 0) == (h->type == FRAME_HELLO) ? 0 : -1;
}

struct wire_field_view {
    uint32_t tag;
    uint32_t len;
    const unsigned char *data;
};
/* Takes the next field off [*p, *p + *left). 1: *f is set; 0: the end; -1: malformed. */
static inline int wire_next_field(const unsigned char **p, size_t *left, struct wire_field_view *f)
{
    if (*left == 0)
        return 0;
    if (*left < 8)
        return -1;
    f->tag = wire_get16(*p);
    f->len = wire_get32(*p + 4);
    if (wire_get16(*p + 2) != 0 || f->len > *left - 8)
        return -1;
    f->data = *p + 8;
    *p += 8 + f->len;
    *left -= 8 + (size_t)f->len;
    return 1;
}
/* The number in a field; 0 when it is not 8 bytes long (*ok is then 0, else unchanged). */
static inline uint64_t wire_number(const struct wire_field_view *f, int *ok)
{
    if (f->len != 8) {
        *ok = 0;
        return 0;
    }
    return wire_get64(f->data);
}

#endif /* SBX_GUEST_WIRE_H */
