/* SPDX-License-Identifier: BSD-3-Clause */
/* The control socket: a line in, a line of JSON out.
 *
 * A stream socket in the file system, mode 0600. Served by control's thread between
 * other things: ctl_step never waits. Clients are few, their lines short, and one that
 * says nothing for a while is shown out. A socket that a killed probe left is replaced;
 * one that answers is not. */
#ifndef CONTROL_CTL_H
#define CONTROL_CTL_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#define CTL_CLIENTS 16u
#define CTL_LINE_CAP 256u /* octets of a request, line feed included */

struct ctl;

/* A request. Answered with ctl_answer, now or later; until then the client's next
 * request waits. */
typedef void (*ctl_request_fn)(void *ctx, uint64_t client, const char *line);

/* Listens at path; its directory must be there. NULL and a sentence in err. */
struct ctl *ctl_create(const char *path, ctl_request_fn request, void *ctx, char *err, size_t cap);
/* Removes the socket. Accepts NULL. */
void ctl_destroy(struct ctl *c);

void ctl_step(struct ctl *c);
/* Takes the answer over; a client that has gone does not get it. */
void ctl_answer(struct ctl *c, uint64_t client, json_t *answer);
/* {"ok":false,"error":text} */
void ctl_refuse(struct ctl *c, uint64_t client, const char *text);

#endif
