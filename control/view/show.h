/* SPDX-License-Identifier: BSD-3-Clause */
/* The live view of one probe, put together: the store, the watch and HTTP, as `run` uses
 * them. Control's main thread, but for show_put, which any of control's threads may call. */
#ifndef CONTROL_VIEW_SHOW_H
#define CONTROL_VIEW_SHOW_H

#include "../config.h"
#include "../segment.h"
#include "watch.h"

#include <jansson.h>
#include <stddef.h>

struct show;

struct show_opts {
	const struct config *config; /* http, http_token, socket, interval_s */
	const struct segment *segment;
	bool live;
	const char *source; /* a line for people; must outlive the show */
	/* Packets that worker i's source has lost so far. */
	uint64_t (*source_dropped)(void *ctx, unsigned worker);
	void *ctx;
	const _Atomic uint32_t *sample_level;
};

/* Listens, and serves nobody yet. Without HTTP and socket it keeps no records. NULL, *code
 * the exit code, and a sentence in err. */
struct show *show_create(const struct show_opts *o, int *code, char *err, size_t cap);
/* Begins to serve, on the CPUs of the calling thread. 0 or -errno. */
int show_start(struct show *s);
/* Logs where HTTP is to be found; nothing without it. */
void show_say(const struct show *s);
/* A record that is being exported; borrowed. */
void show_put(struct show *s, const char *set, const json_t *record);
/* An interval is written. */
void show_closed(struct show *s, uint64_t start_s, uint64_t end_s, const struct watch_export *e);
/* To be called in control's loop. */
void show_step(struct show *s, const struct watch_export *e);
/* What the control socket answers to `view`; NULL: nothing. `show` is a struct show. */
json_t *show_json(void *show);
/* Ends HTTP; before anything that it reads. Accepts NULL. */
void show_destroy(struct show *s);

#endif
