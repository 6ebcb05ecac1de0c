/* SPDX-License-Identifier: BSD-3-Clause */
#include "flux_ip.h"

#include "flux_ip_state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MAGIC 0x31504946u /* FIP1 */

int flux_ip_save(const void *stat, uint8_t **out, size_t *bytes)
{
	const struct flux_ip *s = stat;
	const struct flux_day *d = (const struct flux_day *)s->days;
	const struct keep *nets = (const struct keep *)s->nets;
	struct flux_out o = {0};
	const uint32_t magic = MAGIC;

	flux_put_octets(&o, &magic, sizeof(magic));
	flux_put(&o, d != NULL);
	if (d != NULL) {
		const uint64_t head[] = {
		    d->keep.head.number, d->owners, d->left_out,   d->lost,
		    d->loss_ppm,         d->end_s,  d->keep.shift, d->candidate_shift};
		for (size_t i = 0; i < sizeof(head) / sizeof(*head); i++)
			flux_put(&o, head[i]);
	}
	for (size_t i = 0; d != NULL && i < d->keep.n; i++) {
		const struct flux_item *x = keep_at(&d->keep, i);
		if (x->owner == NULL)
			continue;
		flux_put(&o, 1);
		flux_owner_write(x->owner, &o);
	}
	flux_put(&o, 0);
	for (size_t i = 0; nets != NULL && i < nets->n; i++) {
		const struct flux_net *x = keep_at(nets, i);
		flux_put(&o, 1);
		flux_put_octets(&o, &x->keep.key, 8);
		flux_put_octets(&o, x->reg, sizeof(x->reg));
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

static int load_owners(struct flux_ip *s, struct flux_day *d, struct ft_reader *r)
{
	while (ft_get_varint(r, 1) == 1) {
		bool fresh, left_out;
		struct flux_owner *o = flux_owner_read(r);
		if (o == NULL)
			return -errno;
		struct flux_item *i = keep_get(&d->keep, flux_ip_item_key(o->owner_key, o->what),
					       o->owner_key, &fresh, &left_out);
		if (i == NULL || !fresh) {
			flux_owner_destroy(o);
			if (i != NULL)
				return -EBADMSG;
			if (!left_out)
				return -ENOMEM;
			d->left_out++;
			continue;
		}
		i->owner = o;
		flux_ip_account(s, d, i, 0, false);
	}
	return r->bad ? -EBADMSG : 0;
}

static int load_nets(struct flux_ip *s, uint64_t number, struct ft_reader *r)
{
	while (ft_get_varint(r, 1) == 1) {
		const uint64_t key = ft_get_u64(r);
		const uint8_t *reg = ft_get_bytes(r, 1u << NET_P);
		bool fresh, left_out;
		if (reg == NULL)
			return -EBADMSG;
		for (unsigned i = 0; i < 1u << NET_P; i++)
			if (reg[i] > 64 - NET_P + 1)
				return -EBADMSG;
		struct keep *nets = keep_row(&s->nets, number, &s->net_set);
		struct flux_net *net =
		    nets != NULL ? keep_get(nets, key, key, &fresh, &left_out) : NULL;
		if (net != NULL)
			memcpy(net->reg, reg, sizeof(net->reg));
	}
	return r->bad || r->at != r->end ? -EBADMSG : 0;
}

int flux_ip_load(void *stat, const uint8_t *data, size_t bytes)
{
	struct flux_ip *s = stat;
	struct ft_reader r = ft_reader_init(data, bytes);
	int result = 0;

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
	uint64_t head[8];
	for (unsigned i = 0; i < 8; i++)
		head[i] = ft_get_varint(&r, i == 0   ? UINT32_MAX
					    : i == 4 ? 1000000
					    : i >= 6 ? 63
						     : UINT64_MAX >> 1);
	if (r.bad || head[5] <= head[0] * DAY_S || head[5] > (head[0] + 1) * DAY_S)
		return -EBADMSG;
	struct flux_day *d = (struct flux_day *)keep_row(&s->days, head[0], &s->set);
	if (d == NULL)
		return -ENOMEM;
	d->owners = head[1];
	d->left_out = head[2];
	d->lost = head[3];
	d->loss_ppm = head[4];
	d->end_s = head[5];
	d->keep.shift = (unsigned)head[6];
	d->candidate_shift = (unsigned)head[7];
	result = load_owners(s, d, &r);
	if (result == 0)
		result = load_nets(s, head[0], &r);
	if (result != 0)
		flux_ip_pop_day(s);
	return result;
}
