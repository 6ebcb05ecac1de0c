/* SPDX-License-Identifier: BSD-3-Clause */
/* What set `integrity` remembers, in a snapshot. */
#include "integrity_stat.h"

#include <errno.h>
#include <string.h>

#define STATE_MAGIC 0x3159544947544e49ull /* "INTGITY1" */

static int put(state_write_fn *write, void *ctx, uint64_t v)
{
	return write(ctx, &v, sizeof(v));
}

static int save_one(const struct watched *w, state_write_fn *write, void *ctx)
{
	const uint64_t head[] = {w->key, w->qtype, w->last_auth_us};
	int result = write(ctx, head, sizeof(head));

	if (result == 0)
		result = write(ctx, &w->cover, sizeof(w->cover));
	for (unsigned k = 0; k < SIDES && result == 0; k++)
		result = integrity_machine_save(&w->side[k], write, ctx);
	return result;
}

int integrity_save(const void *stat, state_write_fn *write, void *ctx)
{
	const struct integrity *s = stat;
	const uint64_t head[] = {STATE_MAGIC,     s->begin_us, s->day, s->day_left_out,
				 s->day_loss_ppm, s->alarms,   s->n,   s->hosts};
	int result = write(ctx, head, sizeof(head));

	if (result == 0 && s->hosts != 0)
		result = write(ctx, s->host, s->hosts * sizeof(*s->host));
	for (size_t i = 0; i < s->n && result == 0; i++)
		result = save_one(&s->v[i], write, ctx);
	return result == 0 ? put(write, ctx, STATE_MAGIC) : result;
}

/* Into the RRset that it was of, or into nothing where that is not watched any more. */
static int load_one(struct integrity *s, state_read_fn *read, void *ctx)
{
	struct watched gone = {0};
	uint64_t head[3];
	int result = read(ctx, head, sizeof(head));

	if (result != 0)
		return result;
	struct watched *w =
	    head[1] <= UINT16_MAX ? integrity_find(s, head[0], (uint16_t)head[1]) : NULL;
	if (w == NULL)
		w = &gone;
	w->last_auth_us = head[2];
	result = read(ctx, &w->cover, sizeof(w->cover));
	for (unsigned k = 0; k < SIDES && result == 0; k++) {
		if (w->made[k])
			integrity_machine_fini(&w->side[k]);
		integrity_machine_init(&w->side[k], (uint16_t)head[1], k == PARENT, 0);
		w->made[k] = true;
		result = integrity_machine_load(&w->side[k], read, ctx);
		if (result == 0 && w != &gone)
			integrity_machine_config(&w->side[k], w->entry);
	}
	if (w == &gone)
		integrity_watched_fini(&gone);
	return result;
}

int integrity_load(void *stat, state_read_fn *read, void *ctx)
{
	struct integrity *s = stat;
	uint64_t head[8], tail = 0;
	int result = read(ctx, head, sizeof(head));

	if (result != 0 || head[0] != STATE_MAGIC || head[7] > HOSTS_CAP || head[6] > UINT32_MAX)
		return result != 0 ? result : -EBADMSG;
	result = integrity_adopt_list(s, head[1]);
	if (result != 0)
		return result;
	for (uint64_t i = 0; i < head[7] && result == 0; i++) {
		struct host h;
		result = read(ctx, &h, sizeof(h));
		if (result == 0)
			result = integrity_host_add(s, h.key, h.addr);
	}
	for (uint64_t i = 0; i < head[6] && result == 0; i++)
		result = load_one(s, read, ctx);
	if (result == 0)
		result = read(ctx, &tail, sizeof(tail));
	if (result == 0 && tail != STATE_MAGIC)
		result = -EBADMSG;
	if (result != 0) { /* nothing unsound: all anew */
		for (size_t i = 0; i < s->n; i++)
			integrity_watched_fini(&s->v[i]);
		s->n = s->hosts = 0;
		s->list = NULL;
		s->serial = 0;
		return result;
	}
	s->begin_us = head[1];
	s->day = head[2];
	s->day_left_out = head[3];
	s->day_loss_ppm = head[4];
	atomic_store_explicit(&s->alarms, head[5], memory_order_relaxed);
	return 0;
}
