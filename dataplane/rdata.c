/* SPDX-License-Identifier: BSD-3-Clause */
#include "rdata.h"

#include "name.h"

#include <string.h>

/* Names of a type's rdata: so many octets before the first, so many names, and octets
 * behind them. */
struct form {
	uint16_t type;
	uint8_t before, names, behind;
};
static const struct form forms[] = {
    {FT_QTYPE_NS, 0, 1, 0},
    {FT_QTYPE_CNAME, 0, 1, 0},
    {FT_QTYPE_MX, 2, 1, 0},
    {FT_QTYPE_SOA, 0, 2, 20},
};

static int copy(const uint8_t *from, uint32_t n, uint8_t *out, uint32_t room)
{
	if (n > room)
		return -1;
	memcpy(out, from, n);
	return (int)n;
}

static int copy_names(const struct form *f, const struct msg *m, const struct rr *rr, uint8_t *out,
		      uint32_t room)
{
	struct cursor c = cursor_init(m->data, rr->rdata_off, m->len);
	const uint32_t end = (uint32_t)rr->rdata_off + rr->rdlen;
	uint8_t name[NAME_BUF_BYTES];
	uint32_t used = f->before, n = 0;

	if (rr->rdlen < f->before || f->before > room)
		return -1;
	memcpy(out, m->data + c.off, f->before);
	c.off += f->before;
	for (unsigned i = 0; i < f->names; i++) {
		if (name_read(&c, name, &n) != FT_MSG_KEPT || c.off > end || n > room - used)
			return -1;
		memcpy(out + used, name, n);
		used += n;
	}
	if (end - c.off != f->behind || f->behind > room - used)
		return -1;
	memcpy(out + used, m->data + c.off, f->behind);
	return (int)(used + f->behind);
}

int rdata_canonical(const struct msg *m, const struct rr *rr, uint8_t *out, uint32_t room)
{
	if ((rr->type == FT_QTYPE_A && rr->rdlen != 4) ||
	    (rr->type == FT_QTYPE_AAAA && rr->rdlen != 16))
		return -1;
	for (unsigned i = 0; i < sizeof(forms) / sizeof(*forms); i++)
		if (forms[i].type == rr->type)
			return copy_names(&forms[i], m, rr, out, room);
	return copy(m->data + rr->rdata_off, rr->rdlen, out, room);
}

bool rdata_set_add(struct rdata_set *s, const struct msg *m, const struct rr *rr)
{
	if (s->n == MSG_RR_CAP || sizeof(s->data) - s->bytes < 2)
		return false;
	uint8_t *at = s->data + s->bytes;
	const int n = rdata_canonical(m, rr, at + 2, (uint32_t)sizeof(s->data) - s->bytes - 2);
	if (n < 0)
		return false;
	at[0] = (uint8_t)n;
	at[1] = (uint8_t)(n >> 8);
	s->off[s->n++] = s->bytes;
	s->bytes += 2 + (uint32_t)n;
	return true;
}

static uint32_t len_at(const struct rdata_set *s, uint32_t off)
{
	return s->data[off] | (uint32_t)s->data[off + 1] << 8;
}

static int order(const struct rdata_set *s, uint32_t a, uint32_t b)
{
	const uint32_t x = len_at(s, a), y = len_at(s, b);
	const int d = memcmp(s->data + a + 2, s->data + b + 2, x < y ? x : y);

	return d != 0 ? d : (x > y) - (x < y);
}

void rdata_set_sort(struct rdata_set *s)
{
	uint32_t used = 0, n = 0;

	for (uint32_t i = 1; i < s->n; i++) {
		const uint32_t off = s->off[i];
		uint32_t k = i;
		for (; k > 0 && order(s, off, s->off[k - 1]) < 0; k--)
			s->off[k] = s->off[k - 1];
		s->off[k] = off;
	}
	for (uint32_t i = 0; i < s->n; i++) {
		if (i > 0 && order(s, s->off[i - 1], s->off[i]) == 0)
			continue;
		const uint32_t bytes = 2 + len_at(s, s->off[i]);
		memcpy(s->sorted + used, s->data + s->off[i], bytes);
		used += bytes;
		n++;
	}
	memcpy(s->data, s->sorted, used);
	s->bytes = used;
	s->n = n;
}
