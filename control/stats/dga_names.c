/* SPDX-License-Identifier: BSD-3-Clause */
#include "dga_names.h"

#include "../keyed_merge.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct dga_names {
	struct keyed_merge *merge; /* by what notes have of the hash */
};

static void never_mind(void *ctx, const void *acc)
{
	(void)ctx;
	(void)acc;
}

struct dga_names *dga_names_create(uint64_t seed)
{
	struct dga_names *n = calloc(1, sizeof(*n));
	const struct keyed_merge_settings set = {.key_bytes = sizeof(uint64_t),
						 .acc_bytes = sizeof(struct dga_name),
						 .budget = DGA_NAMES_CAP,
						 .seed = seed,
						 .leave = never_mind};

	if (n == NULL)
		return NULL;
	n->merge = keyed_merge_create(&set);
	if (n->merge != NULL)
		return n;
	free(n);
	errno = ENOMEM;
	return NULL;
}

void dga_names_destroy(struct dga_names *n)
{
	if (n == NULL)
		return;
	keyed_merge_destroy(n->merge);
	free(n);
}

/* The earlier answer, whatever came first. */
static void add_answer(struct dga_name *to, const struct ft_dga_name *x)
{
	const bool had = (to->what & FT_DGA_ANSWERED) != 0;

	if (had && (x->time_us > to->time_us ||
		    (x->time_us == to->time_us &&
		     (x->addrs < to->addrs || memcmp(x->addr, to->addr, sizeof(to->addr)) >= 0))))
		return;
	to->time_us = x->time_us;
	to->addrs = x->addrs;
	memcpy(to->addr, x->addr, sizeof(to->addr));
	memcpy(to->v6, x->v6, sizeof(to->v6));
}

static int add(struct dga_names *n, const struct ft_dga_name *x)
{
	const uint64_t key = ft_note_hash(x->hash, FT_NOTE_MADE_UP);
	void *acc;
	const int r = keyed_merge_get(n->merge, &key, &acc);
	struct dga_name *to = acc;

	if (r != 0)
		return r < 0 ? r : 0;
	if (to->name == NULL) {
		to->name = keyed_merge_keep(n->merge, x->name, x->name_len);
		to->name_len = x->name_len;
		to->shapes = x->shapes;
		if (to->name == NULL)
			return -ENOMEM;
	}
	if ((x->what & FT_DGA_ANSWERED) != 0)
		add_answer(to, x);
	to->what |= x->what;
	return 0;
}

int dga_names_add(struct dga_names *n, const void *body, size_t bytes)
{
	struct ft_reader r = ft_reader_init(body, bytes), entry;
	struct ft_dga_name x;

	while (ft_entry_next(&r, &entry)) {
		if (!ft_dga_name_read(&entry, &x))
			return -EBADMSG;
		const int result = add(n, &x);
		if (result != 0)
			return result;
	}
	return r.bad ? -EBADMSG : 0;
}

const struct dga_name *dga_names_find(const struct dga_names *n, uint64_t hash)
{
	const uint64_t key = ft_note_hash(hash, FT_NOTE_MADE_UP);

	return n != NULL ? keyed_merge_find(n->merge, &key) : NULL;
}
