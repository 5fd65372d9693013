/* SPDX-License-Identifier: MIT
 *
 * fields.c - the list of fields that a request is, read without trust and without allocating.
 */
#include <stdio.h>
#include <string.h>

#include "guest/request.h"

#define BIT(tag) (UINT64_C(1) << (tag))

static const uint64_t NUMBERS = BIT(F_OP) | BIT(F_TIMEOUT_MS) | BIT(F_FLAGS) | BIT(F_ROWS) | BIT(F_COLS) |
                                BIT(F_OFFSET) | BIT(F_LIMIT) | BIT(F_MAX_SIZE) | BIT(F_MODE) | BIT(F_LENGTH) |
                                BIT(F_DEADLINE_MS) | BIT(F_STREAM) | BIT(F_PORT) | BIT(F_SIGNAL);
static const uint64_t TEXTS =
    BIT(F_ARG) | BIT(F_ENV) | BIT(F_CWD) | BIT(F_USER) | BIT(F_PATH) | BIT(F_TO) | BIT(F_ID) | BIT(F_NAME);
static const uint64_t REPEATED = BIT(F_ARG) | BIT(F_ENV);

static sbx_status refuse(char *message, sbx_status status, const char *what, unsigned tag)
{
    (void)snprintf(message, GUEST_MESSAGE_MAX, "request: %s %u", what, tag);
    return status;
}

static sbx_status take(struct fields *f, const struct wire_field_view *v, char *message)
{
    if (v->tag == 0 || v->tag >= 64 || ((NUMBERS | TEXTS) >> v->tag & 1u) == 0)
        return refuse(message, SBX_E_UNSUPPORTED, "unknown field", v->tag);
    uint64_t bit = BIT(v->tag);
    if ((f->present & bit) != 0 && (REPEATED & bit) == 0)
        return refuse(message, SBX_E_INVALID, "repeated field", v->tag);
    f->present |= bit;
    if ((NUMBERS & bit) != 0) {
        int ok = 1;
        f->number[v->tag] = wire_number(v, &ok);
        return ok ? SBX_OK : refuse(message, SBX_E_INVALID, "not a number in field", v->tag);
    }
    if (v->len > 0 && memchr(v->data, '\0', v->len) != NULL)
        return refuse(message, v->tag == F_PATH || v->tag == F_TO ? SBX_E_BAD_PATH : SBX_E_INVALID,
                      "a NUL byte in field", v->tag);
    f->text[v->tag] = *v;
    f->arg_count += v->tag == F_ARG;
    f->env_count += v->tag == F_ENV;
    return SBX_OK;
}

sbx_status fields_parse(struct fields *f, const unsigned char *payload, size_t len, char *message)
{
    struct wire_field_view v;
    int more;
    memset(f, 0, sizeof *f);
    f->payload = payload;
    f->payload_len = len;
    while ((more = wire_next_field(&payload, &len, &v)) == 1) {
        if (f->present == 0 && v.tag != F_OP)
            return refuse(message, SBX_E_INVALID, "no operation before field", v.tag);
        sbx_status status = take(f, &v, message);
        if (status != SBX_OK)
            return status;
    }
    if (more == 0 && f->present != 0)
        return SBX_OK;
    (void)snprintf(message, GUEST_MESSAGE_MAX, "request: malformed fields");
    return SBX_E_INVALID;
}

sbx_status fields_check(const struct fields *f, const struct request_kind *kind, char *message)
{
    for (unsigned tag = 1; tag < 64; tag++) {
        if (tag != F_OP && (f->present & ~kind->takes) >> tag & 1u)
            return refuse(message, SBX_E_UNSUPPORTED, "this operation does not take field", tag);
        if ((kind->requires & ~f->present) >> tag & 1u)
            return refuse(message, SBX_E_INVALID, "this operation needs field", tag);
    }
    if ((f->number[F_FLAGS] & ~kind->flags) != 0)
        return refuse(message, SBX_E_UNSUPPORTED, "unknown flags in field", F_FLAGS);
    return SBX_OK;
}

int fields_text(const struct fields *f, enum wire_field tag, char *buf, size_t size)
{
    const struct wire_field_view *v = &f->text[tag];
    if (v->len >= size)
        return -1;
    if (v->len > 0)
        memcpy(buf, v->data, v->len);
    buf[v->len] = '\0';
    return 0;
}
