/* SPDX-License-Identifier: BSD-3-Clause */
/* What was before `pin apply`: a JSON file below /run, so that a reboot, which undoes
 * everything, takes it along.
 *
 * A state owns its lists until pin_state_fini. The file is written before the first change,
 * as a whole and never over another. It is believed only where nobody else could have
 * written it, and its paths only where they are ones that pin changes. */
#ifndef CONTROL_PIN_PIN_STATE_H
#define CONTROL_PIN_PIN_STATE_H

#include "pin_plan.h"

struct pin_state {
	struct pin_facts was; /* ifname, ifindex, driver and what can be changed; no more */
	bool rss;             /* key or table are going to be set */
	long long applied_us; /* since 1970 */
};

/* Its path below the root, by interface and network namespace. */
void pin_state_path(const char *ifname, char out[PIN_PATH_CAP]);

/* What is to be remembered of the facts before a plan is done. */
int pin_state_make(const struct pin_facts *f, const struct pin_plan *p, struct pin_state *s);
void pin_state_fini(struct pin_state *s);

/* -EEXIST where there is a file already; -errno and a sentence. */
int pin_state_write(const char *root, const char *path, const struct pin_state *s, char *err,
		    size_t cap);
/* -ENOENT where there is none; -errno and a sentence. */
int pin_state_read(const char *root, const char *path, struct pin_state *s, char *err, size_t cap);
int pin_state_remove(const char *root, const char *path);

/* The contents of a file, from memory; -EINVAL and a sentence. */
int pin_state_parse(const char *text, size_t len, struct pin_state *s, char *err, size_t cap);

#endif
