/* SPDX-License-Identifier: BSD-3-Clause */
/* Where HTTP listens: "ADDR:PORT" as an operator writes it. Pure. */
#ifndef CONTROL_VIEW_HTTP_ADDR_H
#define CONTROL_VIEW_HTTP_ADDR_H

#include <stdbool.h>
#include <sys/socket.h>

/* "192.0.2.1:9530", "[2001:db8::1]:9530". Puts it into *out and its length into *len; 0 or -EINVAL.
 */
int http_addr_read(const char *text, struct sockaddr_storage *out, socklen_t *len);
bool http_addr_is_loopback(const struct sockaddr_storage *a);

/* Whether a Host header may ask a server that listens on loopback: an address or localhost,
 * with or without a port. A name of somebody else's choice could have been pointed here by
 * a page in the operator's browser (DNS rebinding). NULL: no header, no browser. */
bool http_addr_host_is_local(const char *host);

#endif
