/* SPDX-License-Identifier: MIT
 *
 * service.h - a service on a unix socket that says what the test wrote down, byte for byte.
 */
#ifndef TESTS_COMMON_SERVICE_H
#define TESTS_COMMON_SERVICE_H

#include <pthread.h>
#include <stddef.h>

struct service {
    char dir[64];
    char path[80];
    int listen_fd;
    int stop[2];
    pthread_t thread;
    const char *reply; /* to every request; NULL: none, the connection stays open */
    size_t reply_len;
    int keep;       /* the connection is kept after a reply, else closed */
    int requests;   /* how many came */
    char last[512]; /* the beginning of the last one */
};
/* Serves one connection at a time until service_close. */
void service_open(struct service *s, const char *reply, size_t reply_len, int keep);
void service_close(struct service *s);

#endif /* TESTS_COMMON_SERVICE_H */
