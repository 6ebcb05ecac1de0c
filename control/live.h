/* SPDX-License-Identifier: BSD-3-Clause */
/* A running probe that can be talked to: the requests of the control socket, and
 * SIGHUP.
 *
 * Control's thread calls live_step in its loop; it never waits. Knows `status`, `view`
 * and `reload`; logs how each reload ended. */
#ifndef CONTROL_LIVE_H
#define CONTROL_LIVE_H

#include "reload.h"
#include "segment.h"

#include <jansson.h>

#define LIVE_RUN_DIR "/run/fluxtap"

struct live;

struct live_opts {
	const char *socket; /* path; NULL: none, SIGHUP alone */
	const char *probe;
	unsigned workers;
	const struct segment *segment;
	struct rules *rules; /* not owned; may hold no lists */
	/* What the live views show, the caller's to release; NULL: no memory. May be NULL. */
	json_t *(*view)(void *ctx);
	void *ctx;
};

/* Loads the first rules. NULL and a sentence in err: *bad_rules says whether a list
 * file is to blame (exit 2) or the machine (exit 3). */
struct live *live_create(const struct live_opts *o, bool *bad_rules, char *err, size_t cap);
/* When all workers have been joined. Accepts NULL. */
void live_destroy(struct live *l);

/* For worker_settings. */
struct rules_seat *live_seat(struct live *l, unsigned worker);
void live_hangup(struct live *l);
void live_step(struct live *l);
struct reload_state live_rules(const struct live *l);

/* The usual place of a probe's socket: /run/fluxtap/PROBE.sock, whose directory it makes
 * where it can and `make` says so; .fluxtap.sock in `out` where /run/fluxtap cannot be
 * written to. */
void live_socket_path(const char *probe, const char *out, bool make, char *path, size_t cap);

#endif
