/* SPDX-License-Identifier: MIT
 *
 * http.c - see http.h. Each worker is one of libcurl's multi handles with one transfer: the wait is then ours, and the
 * connection stays with the worker. Nothing process-wide is touched but curl_global_init, which counts its users and
 * takes its own lock.
 */
#include "plugins/common/http_inside.h"

#include "base/cleanup.h"

#include <fcntl.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>

enum { IDLE_MAX = 32, CONNECT_MS = 10000, ASK_MS = 200 };

/* --- the service ------------------------------------------------------------------------------------------------- */

static int copy_options(struct http *http, const struct http_options *options)
{
    const char **const to[] = {&http->options.base, &http->options.unix_path, &http->options.ca, &http->options.cert,
                               &http->options.key};
    http->options = *options;
    for (size_t i = 0; i < sizeof to / sizeof to[0]; i++) {
        if (*to[i] == NULL)
            continue;
        http->texts[i] = strdup(*to[i]);
        if (http->texts[i] == NULL)
            return -1;
        *to[i] = http->texts[i];
    }
    return 0;
}

sbx_status http_open(const struct http_options *options, struct sbx_call *call, struct http **out)
{
    const curl_version_info_data *version = curl_version_info(CURLVERSION_NOW);
    if ((version->features & CURL_VERSION_THREADSAFE) == 0)
        return call_fail(call, SBX_E_UNSUPPORTED, "open: this libcurl (%s) cannot be started beside other threads",
                         version->version);
    struct http *http = calloc(1, sizeof *http);
    if (http == NULL || pthread_mutex_init(&http->lock, NULL) != 0) {
        free(http);
        return call_fail(call, SBX_E_NO_MEMORY, "open: no memory");
    }
    http->owner = getpid();
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        (void)pthread_mutex_destroy(&http->lock);
        free(http);
        return call_fail(call, SBX_E_UNAVAILABLE, "open: libcurl cannot be started");
    }
    if (copy_options(http, options) != 0) {
        http_close(http);
        return call_fail(call, SBX_E_NO_MEMORY, "open: no memory");
    }
    http->is_tls = strncmp(http->options.base, "https:", 6) == 0;
    *out = http;
    return SBX_OK;
}

void http_worker_destroy(struct worker *worker)
{
    if (worker == NULL)
        return;
    curl_easy_cleanup(worker->easy);
    for (size_t i = 0; i < HTTP_MANY - 1; i++)
        curl_easy_cleanup(worker->more[i]);
    (void)curl_multi_cleanup(worker->multi);
    free(worker);
}

/* In a forked copy of the process: the connections are its parent's. They are not even given back, since over TLS that
 * would take leave in the parent's name. */
static void claim(struct http *http)
{
    pid_t self = getpid();
    if (http->owner == self)
        return;
    http->owner = self;
    http->idle = NULL;
    http->idle_count = 0;
}

void http_close(struct http *http)
{
    if (http == NULL)
        return;
    claim(http);
    while (http->idle != NULL) {
        struct worker *worker = http->idle;
        http->idle = worker->next;
        http_worker_destroy(worker);
    }
    curl_global_cleanup();
    (void)pthread_mutex_destroy(&http->lock);
    for (size_t i = 0; i < sizeof http->texts / sizeof http->texts[0]; i++)
        free(http->texts[i]);
    free(http);
}

/* libcurl makes the two sockets that wake a multi handle without close-on-exec, and tells nobody which they are (rule
 * P3). A pair takes the lowest free numbers, so these are looked at before and marked behind; what a thread of the host
 * has put there meanwhile is no unnamed local socket, or loses nothing but its way into a child. */
static CURLM *make_multi(void)
{
    int low[2];
    for (size_t i = 0; i < 2; i++)
        low[i] = open("/dev/null", O_RDONLY | O_CLOEXEC);
    for (size_t i = 0; i < 2; i++)
        if (low[i] >= 0)
            (void)close(low[i]);
    CURLM *multi = curl_multi_init();
    for (size_t i = 0; multi != NULL && i < 2; i++) {
        struct sockaddr_storage name;
        socklen_t len = sizeof name;
        int flags = low[i] >= 0 ? fcntl(low[i], F_GETFD) : -1;
        if (flags >= 0 && (flags & FD_CLOEXEC) == 0 && getsockname(low[i], (struct sockaddr *)&name, &len) == 0 &&
            name.ss_family == AF_UNIX && len == sizeof name.ss_family)
            (void)fcntl(low[i], F_SETFD, flags | FD_CLOEXEC);
    }
    return multi;
}

struct worker *http_worker_make(void)
{
    struct worker *worker = calloc(1, sizeof *worker);
    if (worker == NULL)
        return NULL;
    worker->multi = make_multi();
    worker->easy = curl_easy_init();
    if (worker->multi == NULL || worker->easy == NULL) {
        http_worker_destroy(worker);
        return NULL;
    }
    return worker;
}

struct worker *http_worker_borrow(struct http *http)
{
    (void)pthread_mutex_lock(&http->lock);
    claim(http);
    struct worker *worker = http->idle;
    if (worker != NULL) {
        http->idle = worker->next;
        http->idle_count--;
    }
    (void)pthread_mutex_unlock(&http->lock);
    return worker != NULL ? worker : http_worker_make();
}

void http_worker_give_back(struct http *http, struct worker *worker)
{
    int kept = 0;
    (void)pthread_mutex_lock(&http->lock);
    if (http->idle_count < IDLE_MAX) {
        worker->next = http->idle;
        http->idle = worker;
        http->idle_count++;
        kept = 1;
    }
    (void)pthread_mutex_unlock(&http->lock);
    if (!kept)
        http_worker_destroy(worker);
}

/* --- what libcurl asks for -----------------------------------------------------------------------------------------
 */

static curl_socket_t open_socket(void *user, curlsocktype purpose, struct curl_sockaddr *address)
{
    (void)user;
    (void)purpose;
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

static size_t take_body(char *data, size_t size, size_t count, void *user)
{
    struct transfer *t = user;
    size_t len = size * count;
    long status = 0;
    (void)curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
    if (t->request->piece != NULL && status >= 200 && status < 300) {
        t->stopped = t->request->piece(t->request->user, data, len) != 0;
        return t->stopped ? 0 : len;
    }
    if (buf_append(&t->reply->body, data, len) == 0)
        return len;
    t->too_large = t->reply->body.failed == EFBIG;
    return 0;
}

/* The value of the one header that is wanted, if this line is it. */
void http_keep_header(const char *line, size_t len, const char *wanted, char *value, size_t size)
{
    size_t name = strlen(wanted), at = name + 1, end = len;
    if (len <= name || line[name] != ':' || strncasecmp(line, wanted, name) != 0)
        return;
    while (at < end && (line[at] == ' ' || line[at] == '\t'))
        at++;
    while (end > at && strchr("\r\n ", line[end - 1]) != NULL)
        end--;
    if (end - at >= size)
        return;
    memcpy(value, line + at, end - at);
    value[end - at] = '\0';
}

static size_t take_header(char *data, size_t size, size_t count, void *user)
{
    struct transfer *t = user;
    size_t len = size * count;
    t->header_bytes += len;
    t->head_came = len <= 2 && len > 0 && data[len - 1] == '\n';
    if (t->header_bytes > HEADERS_MAX) {
        t->too_large = 1;
        return 0;
    }
    if (t->request->head != NULL)
        t->request->head(t->request->user, data, len);
    for (size_t i = 0; i < HTTP_WANTED; i++)
        if (t->request->wanted[i] != NULL)
            http_keep_header(data, len, t->request->wanted[i], t->reply->header[i], sizeof t->reply->header[i]);
    return len;
}

/* --- one request ------------------------------------------------------------------------------------------------- */

void http_set_service(const struct http *http, CURL *easy)
{
    const struct http_options *o = &http->options;
    (void)curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    (void)curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    (void)curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    (void)curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, open_socket);
    (void)curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)(o->connect_ms != 0 ? o->connect_ms : CONNECT_MS));
    if (o->unix_path != NULL)
        (void)curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, o->unix_path);
    (void)curl_easy_setopt(easy, CURLOPT_PROXY, ""); /* the service is named, not found through a proxy */
    if (o->ca != NULL)
        (void)curl_easy_setopt(easy, CURLOPT_CAINFO, o->ca);
    if (o->cert != NULL)
        (void)curl_easy_setopt(easy, CURLOPT_SSLCERT, o->cert);
    if (o->key != NULL)
        (void)curl_easy_setopt(easy, CURLOPT_SSLKEY, o->key);
    (void)curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, o->no_verify ? 0L : 1L);
    (void)curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, o->no_verify ? 0L : 2L);
}

/* A reply may come before all was sent: the rest is not sent then. */
static size_t give_body(char *data, size_t size, size_t count, void *user)
{
    struct transfer *t = user;
    ssize_t n = pread(t->request->body_fd, data, size * count, t->sent);
    if (n < 0)
        return CURL_READFUNC_ABORT;
    t->sent += n;
    return (size_t)n;
}

static sbx_status set_upload(struct transfer *t, struct sbx_call *call)
{
    struct stat st;
    if (fstat(t->request->body_fd, &st) != 0)
        return call_fail_errno(call, errno, "%s: the file to send", t->request->what);
    (void)curl_easy_setopt(t->easy, CURLOPT_UPLOAD, 1L);
    (void)curl_easy_setopt(t->easy, CURLOPT_READFUNCTION, give_body);
    (void)curl_easy_setopt(t->easy, CURLOPT_READDATA, t);
    (void)curl_easy_setopt(t->easy, CURLOPT_INFILESIZE_LARGE, (curl_off_t)st.st_size);
    return SBX_OK;
}

/* Asking again changes nothing. */
static int is_harmless(const struct http_request *r)
{
    return strcmp(r->method, "GET") == 0 || strcmp(r->method, "HEAD") == 0;
}

/* libcurl sends a request once more when a connection that it had kept ends without a reply. Only what changes nothing
 * may be sent twice: the first may have arrived. */
static int permit(void *user, char *remote, char *local, int remote_port, int local_port)
{
    struct transfer *t = user;
    (void)remote;
    (void)local;
    (void)remote_port;
    (void)local_port;
    return ++t->attempts == 1 || is_harmless(t->request) ? CURL_PREREQFUNC_OK : CURL_PREREQFUNC_ABORT;
}

static void set_method(struct transfer *t)
{
    const struct http_request *r = t->request;
    if (strcmp(r->method, "POST") == 0) {
        (void)curl_easy_setopt(t->easy, CURLOPT_POST, 1L);
        (void)curl_easy_setopt(t->easy, CURLOPT_POSTFIELDS, r->body != NULL ? r->body : "");
        (void)curl_easy_setopt(t->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)(r->body != NULL ? r->body_len : 0));
    } else if (strcmp(r->method, "HEAD") == 0) {
        (void)curl_easy_setopt(t->easy, CURLOPT_NOBODY, 1L);
    } else if (strcmp(r->method, "GET") != 0) {
        (void)curl_easy_setopt(t->easy, CURLOPT_CUSTOMREQUEST, r->method);
    }
}

static int add_header(struct curl_slist **headers, const char *line)
{
    struct curl_slist *more = line == NULL ? *headers : curl_slist_append(*headers, line);
    if (more == NULL)
        return -1;
    *headers = more;
    return 0;
}

void http_headers_free(struct curl_slist *headers)
{
    for (struct curl_slist *line = headers; line != NULL; line = line->next)
        explicit_bzero(line->data, strlen(line->data));
    curl_slist_free_all(headers);
}

static int make_headers(const struct http_request *r, struct curl_slist **headers)
{
    char type[256];
    (void)snprintf(type, sizeof type, "Content-Type: %s",
                   r->upload              ? "application/x-tar"
                   : r->body_type != NULL ? r->body_type
                                          : "application/json");
    if (add_header(headers, "Expect:") != 0 || add_header(headers, r->header) != 0 ||
        add_header(headers, r->body != NULL || r->upload ? type : NULL) != 0)
        return -1;
    for (size_t i = 0; r->headers != NULL && r->headers[i] != NULL; i++)
        if (add_header(headers, r->headers[i]) != 0)
            return -1;
    return 0;
}

sbx_status http_set_request(struct transfer *t, const char *url, struct curl_slist **headers)
{
    if (make_headers(t->request, headers) != 0)
        return SBX_E_NO_MEMORY;
    (void)curl_easy_setopt(t->easy, CURLOPT_HTTPHEADER, *headers);
    (void)curl_easy_setopt(t->easy, CURLOPT_ERRORBUFFER, t->why);
    (void)curl_easy_setopt(t->easy, CURLOPT_WRITEFUNCTION, take_body);
    (void)curl_easy_setopt(t->easy, CURLOPT_WRITEDATA, t);
    (void)curl_easy_setopt(t->easy, CURLOPT_HEADERFUNCTION, take_header);
    (void)curl_easy_setopt(t->easy, CURLOPT_HEADERDATA, t);
    (void)curl_easy_setopt(t->easy, CURLOPT_PREREQFUNCTION, permit);
    (void)curl_easy_setopt(t->easy, CURLOPT_PREREQDATA, t);
    set_method(t);
    return curl_easy_setopt(t->easy, CURLOPT_URL, url) == CURLE_OK ? SBX_OK : SBX_E_NO_MEMORY;
}

sbx_status http_wait_more(CURLM *multi, struct sbx_call *call, int64_t until_ns)
{
    struct curl_waitfd token = {.fd = -1, .events = CURL_WAIT_POLLIN};
    int64_t ms = ASK_MS, end_ns = until_ns;
    if (call != NULL && call->deadline_ns != 0 && (end_ns == 0 || call->deadline_ns < end_ns))
        end_ns = call->deadline_ns;
    if (end_ns != 0) {
        int64_t left = (end_ns - clock_now_ns() + 999999) / 1000000;
        ms = left < 0 ? 0 : left < ms ? left : ms;
    }
    if (call != NULL && (call->flags & SBX_CALL_HAS_CANCEL_FD) != 0)
        token.fd = call->cancel_fd;
    (void)curl_multi_poll(multi, &token, token.fd >= 0 ? 1 : 0, (int)ms, NULL);
    return call_check(call);
}

/* SBX_OK: libcurl is through, and says how in *code. */
static sbx_status drive(struct worker *worker, struct sbx_call *call, CURLcode *code)
{
    sbx_status status = curl_multi_add_handle(worker->multi, worker->easy) == CURLM_OK
                            ? SBX_OK
                            : call_fail(call, SBX_E_NO_MEMORY, "http: no memory");
    for (int running = 1, left = 0; status == SBX_OK;) {
        if (curl_multi_perform(worker->multi, &running) != CURLM_OK) {
            status = call_fail(call, SBX_E_FAILED, "http: libcurl cannot go on");
            break;
        }
        const CURLMsg *message = curl_multi_info_read(worker->multi, &left);
        if (message != NULL && message->msg == CURLMSG_DONE) {
            *code = message->data.result;
            break;
        }
        status = http_wait_more(worker->multi, call, 0);
    }
    return status;
}

void http_quiet_begin(struct quiet *quiet)
{
    sigset_t pipe_only, pending;
    (void)sigemptyset(&pipe_only);
    (void)sigaddset(&pipe_only, SIGPIPE);
    (void)sigpending(&pending);
    quiet->was_pending = sigismember(&pending, SIGPIPE) == 1;
    (void)pthread_sigmask(SIG_BLOCK, &pipe_only, &quiet->before);
}

void http_quiet_end(const struct quiet *quiet)
{
    sigset_t pipe_only, pending;
    (void)sigemptyset(&pipe_only);
    (void)sigaddset(&pipe_only, SIGPIPE);
    (void)sigpending(&pending);
    if (!quiet->was_pending && sigismember(&pending, SIGPIPE) == 1)
        (void)sigtimedwait(&pipe_only, NULL, &(const struct timespec){0});
    (void)pthread_sigmask(SIG_SETMASK, &quiet->before, NULL);
}

sbx_status http_drive(const struct http *http, struct worker *worker, struct sbx_call *call, CURLcode *code)
{
    struct quiet quiet;
    if (!http->is_tls)
        return drive(worker, call, code);
    http_quiet_begin(&quiet);
    sbx_status status = drive(worker, call, code);
    http_quiet_end(&quiet);
    return status;
}

static const char *reason(const struct transfer *t, CURLcode code)
{
    if (code == CURLE_ABORTED_BY_CALLBACK)
        return "the connection ended";
    return t->why[0] != '\0' ? t->why : curl_easy_strerror(code);
}

static int is_certificate_trouble(const struct http *http, const struct transfer *t, CURLcode code)
{
    return code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CERTPROBLEM ||
           code == CURLE_SSL_CACERT_BADFILE ||
           (http->is_tls && (code == CURLE_RECV_ERROR || code == CURLE_SSL_CONNECT_ERROR) &&
            strstr(t->why, "alert") != NULL);
}

/* What a transfer that did not end well means for who asked. */
sbx_status http_judge(const struct http *http, const struct transfer *t, CURLcode code, struct sbx_call *call)
{
    const struct http_request *r = t->request;
    long sent = 0, os_errno = 0;
    if (code == CURLE_OK && t->head_came)
        return SBX_OK;
    if (code == CURLE_OK)
        code = CURLE_PARTIAL_FILE;
    (void)curl_easy_getinfo(t->easy, CURLINFO_REQUEST_SIZE, &sent);
    (void)curl_easy_getinfo(t->easy, CURLINFO_OS_ERRNO, &os_errno);
    if (t->stopped)
        return call_fail(call, SBX_E_STOPPED, "%s: stopped by the caller", r->what);
    if (t->too_large) {
        (void)call_fail(call, SBX_E_TOO_LARGE, "%s: the service's answer is too long", r->what);
        if (!is_harmless(r))
            call_maybe_applied(call, NULL);
        return SBX_E_TOO_LARGE;
    }
    if (code == CURLE_OUT_OF_MEMORY || t->reply->body.failed == ENOMEM)
        return call_fail(call, SBX_E_NO_MEMORY, "%s: no memory", r->what);
    if (is_certificate_trouble(http, t, code))
        return call_fail(call, SBX_E_AUTH, "%s: certificates: %s", r->what, reason(t, code));
    const char *where = http->options.unix_path != NULL ? http->options.unix_path : http->options.base;
    if (sent == 0 && t->attempts <= 1) {
        char text[128];
        (void)call_fail(call, SBX_E_UNAVAILABLE, "%s: cannot reach '%s': %s", r->what, where,
                        os_errno != 0 ? strerror_r((int)os_errno, text, sizeof text) : reason(t, code));
        call_os_errno(call, (int)os_errno);
        return SBX_E_UNAVAILABLE;
    }
    if (is_harmless(r))
        return call_fail(call, SBX_E_UNAVAILABLE, "%s: no whole answer from '%s': %s", r->what, where, reason(t, code));
    sbx_status status = call_fail(call, SBX_E_UNKNOWN, "%s: asked of '%s', but no whole answer came: %s", r->what,
                                  where, reason(t, code));
    call_maybe_applied(call, NULL);
    return status;
}

static sbx_status run(struct http *http, struct worker *worker, struct transfer *t, const char *url,
                      struct sbx_call *call)
{
    struct curl_slist *headers = NULL;
    CURLcode code = CURLE_OK;
    curl_easy_reset(worker->easy);
    http_set_service(http, worker->easy);
    sbx_status status = http_set_request(t, url, &headers);
    if (status != SBX_OK)
        (void)call_fail(call, status, "%s: no memory", t->request->what);
    else if (t->request->upload)
        status = set_upload(t, call);
    if (status == SBX_OK)
        status = http_drive(http, worker, call, &code);
    (void)curl_multi_remove_handle(worker->multi, worker->easy);
    if (status != SBX_OK && t->attempts > 0 && !is_harmless(t->request))
        call_maybe_applied(call, NULL);
    if (status == SBX_OK)
        status = http_judge(http, t, code, call);
    (void)curl_easy_getinfo(worker->easy, CURLINFO_RESPONSE_CODE, &t->reply->status);
    http_headers_free(headers);
    return status;
}

sbx_status http_run(struct http *http, struct sbx_call *call, const struct http_request *request,
                    struct http_reply *reply)
{
    memset(reply, 0, sizeof *reply);
    buf_init(&reply->body, request->reply_limit != 0 ? request->reply_limit : REPLY_LIMIT);
    sbx_status status = call_check(call);
    if (status != SBX_OK)
        return status;
    struct transfer t = {.request = request, .reply = reply};
    CLEANUP_BUF struct buf url;
    buf_init(&url, 1 << 16);
    (void)buf_format(&url, "%s%s", http->options.base, request->path);
    struct worker *worker = url.failed == 0 ? http_worker_borrow(http) : NULL;
    if (worker == NULL)
        return call_fail(call, SBX_E_NO_MEMORY, "%s: no memory", request->what);
    t.easy = worker->easy;
    status = run(http, worker, &t, url.data, call);
    http_worker_give_back(http, worker);
    return status;
}

void http_reply_finish(struct http_reply *reply)
{
    if (reply->body.data != NULL)
        explicit_bzero(reply->body.data, reply->body.len); /* it may be a key */
    buf_finish(&reply->body);
}

void http_put_escaped(struct buf *to, const char *text)
{
    for (const unsigned char *p = (const unsigned char *)text; *p != '\0'; p++) {
        int plain = (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9') ||
                    strchr("-._~", *p) != NULL;
        (void)buf_format(to, plain ? "%c" : "%%%02X", *p);
    }
}

int http_is_loopback(const char *host, size_t len)
{
    static const char *const names[] = {"localhost", "127.0.0.1", "[::1]"};
    const char *end = memrchr(host, ':', len);
    if (end != NULL && memchr(end, ']', len - (size_t)(end - host)) == NULL)
        len = (size_t)(end - host);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strlen(names[i]) == len && strncasecmp(names[i], host, len) == 0)
            return 1;
    return 0;
}
