/* SPDX-License-Identifier: BSD-3-Clause */
/* Does a plan, and puts back what was before.
 *
 * The only place that changes anything. Both work until they are done: the caller blocks
 * signals. */
#ifndef CONTROL_PIN_PIN_APPLY_H
#define CONTROL_PIN_PIN_APPLY_H

#include "pin_state.h"

/* Told of each step, a line each. */
struct pin_teller {
	void (*say)(void *ctx, const char *line);
	void *ctx;
};

struct pin_applied {
	size_t done, refused; /* changes made; left out since the driver refuses them */
	size_t left;          /* changes that did not hold */
	bool undone;          /* where it failed: everything is as before */
};

/* Remembers what is (at `path` below the root), then does the plan, and what had to be done
 * again since one change undid another. On failure everything is put back: -errno and a
 * sentence. -EEXIST: a plan was applied already, nothing was done. */
int pin_apply(const struct pin_door *d, const struct pin_facts *f, const struct pin_plan *p,
	      const char *path, const struct pin_teller *t, struct pin_applied *out, char *err,
	      size_t cap);

/* Puts everything back that differs from the state; how many things could not be, each of
 * which was told. An interface that is gone took its settings along. */
size_t pin_restore(const struct pin_door *d, const struct pin_state *s, const struct pin_teller *t);

#endif
