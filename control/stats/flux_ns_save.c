/* SPDX-License-Identifier: BSD-3-Clause */
#include "flux_ns.h"

#include "flux_ns_state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MAGIC 0x31534e46u /* FNS1 */

int flux_ns_save(const void *stat, uint8_t **out, size_t *bytes)
{
	const struct flux_ns *s = stat;
	const struct ns_day *d = (const struct ns_day *)s->days;
	const struct keep *hosts = (const struct keep *)s->hosts;
	struct flux_out o = {0};
	const uint32_t magic = MAGIC;

	flux_put_octets(&o, &magic, sizeof(magic));
	flux_put(&o, d != NULL);
	if (d != NULL) {
		const uint64_t head[] = {d->keep.head.number, d->entries, d->left_out,  d->lost,
					 d->loss_ppm,         d->end_s,   d->keep.shift};
		for (size_t i = 0; i < sizeof(head) / sizeof(*head); i++)
			flux_put(&o, head[i]);
	}
	for (size_t i = 0; d != NULL && i < d->keep.n; i++) {
		const struct ns_item *x = keep_at(&d->keep, i);
		if (x->moves == NULL)
			continue;
		flux_put(&o, 1);
		moves_write(x->moves, &o);
	}
	flux_put(&o, 0);
	for (size_t i = 0; hosts != NULL && i < hosts->n; i++) {
		flux_put(&o, 1);
		flux_put_octets(&o, &((const struct keep_item *)keep_at(hosts, i))->key, 8);
	}
	flux_put(&o, 0);
	if (o.short_of_memory) {
		free(o.p);
		return -ENOMEM;
	}
	*out = o.p;
	*bytes = o.n;
	return 0;
}

static int load_entries(struct flux_ns *s, struct ns_day *d, struct ft_reader *r)
{
	(void)s;
	while (ft_get_varint(r, 1) == 1) {
		bool fresh, left_out;
		struct moves *m = moves_read(r);
		if (m == NULL)
			return -errno;
		struct ns_item *i = keep_get(&d->keep, flux_ns_item_key(m->name_key, m->what),
					     m->name_key, &fresh, &left_out);
		if (i == NULL || !fresh) {
			moves_destroy(m);
			if (i != NULL || !left_out)
				return i != NULL ? -EBADMSG : -ENOMEM;
			d->left_out++;
			continue;
		}
		i->moves = m;
		i->keep.rank = m->told != 0 ? 0 : i->keep.rank;
		d->bytes += moves_bytes(m);
	}
	return r->bad ? -EBADMSG : 0;
}

static int load_hosts(struct flux_ns *s, uint64_t number, struct ft_reader *r)
{
	while (ft_get_varint(r, 1) == 1) {
		const uint64_t key = ft_get_u64(r);
		struct keep *hosts = keep_row(&s->hosts, number, &s->host_set);
		bool fresh, left_out;
		if (hosts == NULL)
			return -ENOMEM;
		(void)keep_get(hosts, key, key, &fresh, &left_out);
	}
	return r->bad || r->at != r->end ? -EBADMSG : 0;
}

int flux_ns_load(void *stat, const uint8_t *data, size_t bytes)
{
	struct flux_ns *s = stat;
	struct ft_reader r = ft_reader_init(data, bytes);
	uint64_t head[7] = {0};

	if (s->days != NULL)
		return -EBUSY;
	const uint32_t magic = ft_get_u32(&r);
	const bool has_day = ft_get_varint(&r, 1) == 1;
	if (magic != MAGIC || r.bad)
		return -EBADMSG;
	if (!has_day)
		return ft_get_varint(&r, 0) == 0 && ft_get_varint(&r, 0) == 0 && !r.bad &&
			       r.at == r.end
			   ? 0
			   : -EBADMSG;
	for (unsigned i = 0; i < 7; i++)
		head[i] = ft_get_varint(&r, i == 0   ? UINT32_MAX
					    : i == 4 ? 1000000
					    : i == 6 ? 63
						     : UINT64_MAX >> 1);
	if (r.bad || head[5] <= head[0] * DAY_S || head[5] > (head[0] + 1) * DAY_S)
		return -EBADMSG;
	struct ns_day *d = (struct ns_day *)keep_row(&s->days, head[0], &s->set);
	if (d == NULL)
		return -ENOMEM;
	d->entries = head[1];
	d->left_out = head[2];
	d->lost = head[3];
	d->loss_ppm = head[4];
	d->end_s = head[5];
	d->keep.shift = (unsigned)head[6];
	int result = load_entries(s, d, &r);
	if (result == 0)
		result = load_hosts(s, head[0], &r);
	if (result != 0)
		flux_ns_pop_day(s);
	return result;
}
