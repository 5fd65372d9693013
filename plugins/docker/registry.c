/* SPDX-License-Identifier: MIT
 *
 * registry.c - see registry.h. The file is the Docker client's: "auths" maps a registry to base64 of "user:password",
 * or to a token; "credsStore" and "credHelpers" name programs that have them instead.
 */
#include "plugins/docker/registry.h"

#include "plugins/common/json.h"

#include <fcntl.h>
#include <resolv.h>
#include <stdio.h>
#include <sys/stat.h>

enum { FILE_LIMIT = 1 << 20, SECRET_LIMIT = 64 * 1024, HOST_SIZE = 256 };

static const char hub[] = "docker.io"; /* of images that name no registry */

static void wipe_buf(struct buf *b)
{
    if (b->data != NULL)
        explicit_bzero(b->data, b->cap);
    buf_finish(b);
}

static void registry_of(const char *image, char *out, size_t size)
{
    size_t len = strcspn(image, "/");
    int is_host = image[len] == '/' && (memchr(image, '.', len) != NULL || memchr(image, ':', len) != NULL ||
                                        (len == 9 && memcmp(image, "localhost", 9) == 0));
    (void)snprintf(out, size, "%.*s", is_host ? (int)len : (int)sizeof hub - 1, is_host ? image : hub);
}

/* Whether a name of the file, such as "https://index.docker.io/v1/", means that registry. */
static int is_for(const char *name, const char *registry)
{
    static const char *const hubs[] = {"index.docker.io", "registry-1.docker.io"};
    const char *scheme = strstr(name, "://");
    name = scheme != NULL ? scheme + 3 : name;
    size_t len = strcspn(name, "/");
    for (size_t i = 0; i < sizeof hubs / sizeof hubs[0]; i++)
        if (strcmp(registry, hub) == 0 && len == strlen(hubs[i]) && memcmp(name, hubs[i], len) == 0)
            return 1;
    return len == strlen(registry) && memcmp(name, registry, len) == 0;
}

/* 0 or an errno; EPERM for a file of somebody else. */
static int read_file(const char *path, struct buf *to)
{
    struct stat st;
    CLEANUP_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &st) != 0)
        return errno;
    if (!S_ISREG(st.st_mode))
        return EINVAL;
    if (st.st_uid != geteuid() && st.st_uid != 0)
        return EPERM;
    char *space = buf_space(to, FILE_LIMIT); /* at once: a buffer that grows leaves copies */
    if (space == NULL)
        return ENOMEM;
    for (;;) {
        ssize_t n = read(fd, space + to->len, FILE_LIMIT - to->len);
        if (n == 0)
            return 0;
        if (n < 0 && errno != EINTR)
            return errno;
        to->len += n > 0 ? (size_t)n : 0;
        if (to->len == FILE_LIMIT)
            return EFBIG;
    }
}

static void put_member(struct buf *to, const char *name, const char *value)
{
    if (value == NULL || value[0] == '\0')
        return;
    (void)buf_format(to, "%s\"%s\":", to->len > 1 ? "," : "", name);
    json_put_text(to, value);
}

/* {"username":...,"password":...,"serveraddress":...}, with a token where there is one. */
static void put_login(struct buf *to, const struct cJSON *entry, const char *registry)
{
    CLEANUP(wipe_buf) struct buf pair;
    const char *auth = json_text(entry, "auth"), *user = json_text(entry, "username");
    const char *password = json_text(entry, "password");
    buf_init(&pair, SECRET_LIMIT);
    char *space = auth != NULL && auth[0] != '\0' ? buf_space(&pair, strlen(auth) + 1) : NULL;
    int len = space != NULL ? b64_pton(auth, (unsigned char *)space, strlen(auth)) : -1;
    if (len > 0) {
        space[len] = '\0';
        char *colon = strchr(space, ':');
        if (colon != NULL)
            *colon = '\0';
        user = space;
        password = colon != NULL ? colon + 1 : space + len;
    }
    (void)buf_space(to, SECRET_LIMIT - 1); /* as above */
    (void)buf_text(to, "{");
    put_member(to, "username", user);
    put_member(to, "password", password);
    put_member(to, "identitytoken", json_text(entry, "identitytoken"));
    int is_empty = to->len == 1;
    put_member(to, "serveraddress", registry);
    (void)buf_text(to, "}");
    if (is_empty)
        buf_consume(to, to->len);
}

/* The header: base64 with the two letters that URLs allow. */
static void put_header(struct buf *to, const struct buf *login)
{
    static const char name[] = "X-Registry-Auth: ";
    size_t room = (login->len + 2) / 3 * 4 + 1;
    (void)buf_text(to, name);
    char *space = buf_space(to, room);
    int len = space != NULL ? b64_ntop((const unsigned char *)login->data, login->len, space, room) : -1;
    if (len < 0) {
        buf_consume(to, to->len);
        return;
    }
    for (int i = 0; i < len; i++)
        space[i] = space[i] == '+' ? '-' : space[i] == '/' ? '_' : space[i];
    to->len += (size_t)len;
}

/* The program that has the registry's credentials, or NULL. */
static const char *helper_of(const struct cJSON *config, const char *registry)
{
    for (const struct cJSON *at = json_first(json_member(config, "credHelpers")); at != NULL; at = json_next(at))
        if (is_for(json_key(at), registry))
            return json_value(at);
    return json_text(config, "credsStore");
}

static void take_config(const struct cJSON *config, const char *path, const char *registry, struct registry_login *out)
{
    CLEANUP(wipe_buf) struct buf login;
    buf_init(&login, SECRET_LIMIT);
    for (const struct cJSON *at = json_first(json_member(config, "auths")); at != NULL; at = json_next(at)) {
        if (login.len == 0 && is_for(json_key(at), registry))
            put_login(&login, at, registry);
        json_wipe_text(json_text(at, "auth"));
        json_wipe_text(json_text(at, "password"));
        json_wipe_text(json_text(at, "identitytoken"));
    }
    const char *helper = helper_of(config, registry);
    if (login.len > 0 && login.failed == 0)
        put_header(&out->header, &login);
    if (out->header.len > 0)
        (void)snprintf(out->note, sizeof out->note, "; the credentials of '%s' for %s were sent", path, registry);
    else if (helper != NULL)
        (void)snprintf(out->note, sizeof out->note,
                       "; credentials for %s are with the helper '%s', which is not asked: `docker pull` it first",
                       registry, helper);
    else
        (void)snprintf(out->note, sizeof out->note,
                       "; '%s' has no credentials for %s: `docker login` puts them there, or `docker pull` it first",
                       path, registry);
}

void registry_find_login(const char *folder, const char *image, struct registry_login *out)
{
    char registry[HOST_SIZE], reason[128];
    CLEANUP_FREE char *path = NULL;
    CLEANUP_JSON struct cJSON *config = NULL;
    CLEANUP(wipe_buf) struct buf text;
    buf_init(&out->header, SECRET_LIMIT * 2);
    buf_init(&text, FILE_LIMIT + 1);
    registry_of(image, registry, sizeof registry);
    if (asprintf(&path, "%s/config.json", folder != NULL ? folder : "~/.docker") < 0) {
        path = NULL;
        return;
    }
    int error = folder != NULL ? read_file(path, &text) : ENOENT;
    if (error == 0 && json_parse(NULL, "open", text.data, text.len, &config) != SBX_OK)
        error = EBADMSG;
    if (error == 0 || error == ENOENT)
        take_config(config, path, registry, out);
    else
        (void)snprintf(out->note, sizeof out->note, "; no credentials for %s, because '%s' cannot be used: %s",
                       registry, path, error == EBADMSG ? "it is no JSON" : strerror_r(error, reason, sizeof reason));
}

void registry_finish(struct registry_login *login)
{
    wipe_buf(&login->header);
}
