/* SPDX-License-Identifier: BSD-3-Clause */
/* The packet sources that a configuration asks for, one for each worker: capture
 * files, XDP or a DPDK port, with a fan-out where the source is only one.
 * Control's main thread. */
#ifndef CONTROL_SOURCE_H
#define CONTROL_SOURCE_H

#include "../dataplane/rx.h"
#include "config.h"
#include "doh_list.h"

#include <stdint.h>

struct source;

/* Opens the source for c->cores.n workers; doh: what it shall hand over besides. On failure NULL; *code is the exit
 * code and err a sentence. */
struct source *source_create(const struct config *c, const struct doh_file *doh, int *code,
			     char *err, size_t cap);
/* After the workers have ended. Accepts NULL. */
void source_destroy(struct source *s);
/* Starts the fan-out's reader, where there is one. 0 or -errno. */
int source_start(struct source *s, int cpu);
/* Asks the reader to end. */
void source_stop(struct source *s);
/* What worker i receives from; owned by the source. */
struct rx *source_rx(const struct source *s, unsigned i);
/* Packets lost so far by the source that feeds worker i: a source that feeds all
 * of them is accounted to worker 0. */
uint64_t source_dropped(const struct source *s, unsigned i);
/* A line for the operator; "" for files. */
const char *source_note(const struct source *s);
/* What the BPF programs made of the frames, as a line; "" for other sources. */
const char *source_counts(const struct source *s, char *buf, size_t cap);
/* What went wrong midway, once the workers have ended; "" if nothing did. */
const char *source_error(const struct source *s);
/* Octets of capture files read and in all; zeros for other sources. */
void source_progress(const struct source *s, uint64_t *done, uint64_t *total);
/* To be called now and then between start and stop. False: nothing will come any more,
 * and source_error says why. */
bool source_tend(struct source *s);
/* Capabilities that source_destroy needs (rights.h). */
uint64_t source_keeps(const struct source *s);
bool source_is_live(const struct source *s);

#endif
