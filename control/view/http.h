/* SPDX-License-Identifier: BSD-3-Clause */
/* HTTP: /metrics, /healthz, /readyz, /api/view.json and the page at /. The door of
 * libmicrohttpd, with a thread of its own.
 *
 * Reads copies (glance.h), so that no client can hold control up. Connections, their
 * memory and the time that each may take are bounded; what is served is made at most four
 * times a second. With a token, /metrics and /api/ want it as "Authorization: Bearer". */
#ifndef CONTROL_VIEW_HTTP_H
#define CONTROL_VIEW_HTTP_H

#include "glance.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HTTP_DEFAULT "127.0.0.1:9530"
#define HTTP_CONNECTIONS 32u
#define HTTP_PATIENCE_S 20u /* for a request to come, an answer to be taken */

struct http;

/* Listens at "ADDR:PORT"; token_file: its first line is the token, NULL: none. Nobody is
 * served yet. NULL and a sentence in err: *bad_use tells a wrong setting from a port that
 * cannot be had. */
struct http *http_create(const char *at, const char *token_file, bool *bad_use, char *err,
			 size_t cap);
/* Starts the thread, which stays on the CPUs of the calling one. 0 or -errno. */
int http_start(struct http *h, const struct glancer *g);
/* Shows out who takes too long; control calls it now and then. Accepts NULL. */
void http_tend(struct http *h);
/* Ends the thread. Accepts NULL. */
void http_destroy(struct http *h);
/* It listens beyond this host, and anybody may read. */
bool http_is_open(const struct http *h);

#endif
