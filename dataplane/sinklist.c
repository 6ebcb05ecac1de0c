/* SPDX-License-Identifier: BSD-3-Clause */
#include "sinklist.h"

#include "name.h"

#include <errno.h>
#include <stdlib.h>

#define CLASS_IN 1u
#define FIRST_BITS 65536u

/* The names of one kind. */
struct names {
	struct nameset *set; /* NULL: none */
	uint64_t depths[2];  /* bit d: some entry has d labels */
};

struct sinklist {
	struct sinklist_prefix *prefix; /* by bits, address, tag */
	size_t n;
	size_t from[130];             /* of each length; [129]: n */
	uint64_t v4[FIRST_BITS / 64]; /* first two octets that some prefix has */
	uint64_t v6[FIRST_BITS / 64];
	struct names ns, cname;
	uint64_t name_seed;
};

static int compare(const void *left, const void *right)
{
	const struct sinklist_prefix *a = left, *b = right;

	if (a->bits != b->bits)
		return a->bits < b->bits ? -1 : 1;
	const int d = memcmp(&a->addr, &b->addr, sizeof(a->addr));
	return d != 0 ? d : (a->tag > b->tag) - (a->tag < b->tag);
}

static bool is_v4(const struct addr *a)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

	return memcmp(a->b, mapped, sizeof(mapped)) == 0;
}

static void mark(uint64_t *map, const uint8_t *first, unsigned bits)
{
	const uint32_t begin = load_u16_be(first), n = bits >= 16 ? 1 : 1u << (16 - bits);

	for (uint32_t i = begin; i < begin + n && i < FIRST_BITS; i++)
		map[i / 64] |= 1ull << i % 64;
}

static int put_prefixes(struct sinklist *s, const struct sinklist_parts *parts)
{
	s->prefix = calloc(parts->prefixes + 1, sizeof(*s->prefix));
	if (s->prefix == NULL)
		return -ENOMEM;
	s->n = parts->prefixes;
	if (s->n != 0)
		memcpy(s->prefix, parts->prefix, s->n * sizeof(*s->prefix));
	qsort(s->prefix, s->n, sizeof(*s->prefix), compare);
	for (size_t i = 0; i < s->n; i++) {
		const struct sinklist_prefix *p = &s->prefix[i];
		for (unsigned b = p->bits + 1u; b < 130; b++)
			s->from[b] = i + 1;
		if (p->bits >= 96 && is_v4(&p->addr))
			mark(s->v4, p->addr.b + 12, p->bits - 96u);
		else
			mark(s->v6, p->addr.b, p->bits);
	}
	return 0;
}

static int put_names(struct names *to, struct nameset_entry *entry, size_t n)
{
	for (size_t i = 0; i < n; i++)
		to->depths[entry[i].note / 64] |= 1ull << entry[i].note % 64;
	if (n != 0)
		to->set = nameset_create(entry, n);
	return n == 0 || to->set != NULL ? 0 : -ENOMEM;
}

struct sinklist *sinklist_create(const struct sinklist_parts *parts)
{
	struct sinklist *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->name_seed = parts->name_seed;
	if (put_prefixes(s, parts) == 0 && put_names(&s->ns, parts->ns, parts->servers) == 0 &&
	    put_names(&s->cname, parts->cname, parts->aliases) == 0)
		return s;
	sinklist_destroy(s);
	errno = ENOMEM;
	return NULL;
}

void sinklist_destroy(struct sinklist *s)
{
	if (s == NULL)
		return;
	free(s->prefix);
	nameset_destroy(s->ns.set);
	nameset_destroy(s->cname.set);
	free(s);
}

struct hits {
	struct sinklist_hit *hit;
	uint32_t n;
};

static void add_hit(struct hits *h, uint32_t tag, uint8_t signal)
{
	uint32_t i = 0;

	while (i < h->n && h->hit[i].tag != tag)
		i++;
	if (i == SINKLIST_HITS)
		return;
	if (i == h->n)
		h->hit[h->n++] = (struct sinklist_hit){.tag = tag};
	h->hit[i].signals |= signal;
}

/* The first prefix of a length that is not below the address. */
static size_t find(const struct sinklist *s, unsigned bits, const struct addr *a)
{
	size_t lo = s->from[bits], hi = s->from[bits + 1];

	while (lo < hi) {
		const size_t mid = lo + (hi - lo) / 2;
		if (memcmp(&s->prefix[mid].addr, a, sizeof(*a)) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static void look_up_addr(const struct sinklist *s, const struct addr *a, struct hits *h)
{
	struct addr cut = *a;

	for (unsigned bits = 128;; bits--) {
		if (bits < 128)
			cut.b[bits / 8] &= (uint8_t) ~(0x80u >> bits % 8);
		if (s->from[bits] < s->from[bits + 1])
			for (size_t i = find(s, bits, &cut);
			     i < s->from[bits + 1] &&
			     memcmp(&s->prefix[i].addr, &cut, sizeof(cut)) == 0;
			     i++)
				add_hit(h, s->prefix[i].tag, FT_SINK_IP);
		if (bits == 0)
			return;
	}
}

static bool has_first(const uint64_t *map, const uint8_t *first)
{
	const uint32_t i = load_u16_be(first);

	return (map[i / 64] >> i % 64 & 1) != 0;
}

static void look_up_name(const struct sinklist *s, const struct names *names, const struct msg *m,
			 const struct rr *rr, uint8_t signal, struct hits *h)
{
	struct cursor c = cursor_init(m->data, rr->rdata_off, m->len);
	uint8_t name[NAME_BUF_BYTES];
	const uint32_t *tags;
	uint32_t n = 0, labels = 0;

	if (name_read(&c, name, &n) != FT_MSG_KEPT || c.off != (uint32_t)rr->rdata_off + rr->rdlen)
		return;
	for (uint32_t at = 0; name[at] != 0; at += name[at] + 1u)
		labels++;
	for (uint32_t at = 0;; at += name[at] + 1u, labels--) {
		if ((names->depths[labels / 64] >> labels % 64 & 1) != 0) {
			const uint64_t key = name_hash(name + at, n - at, s->name_seed);
			const uint32_t k = nameset_get(names->set, key, &tags);
			for (uint32_t i = 0; i < k; i++)
				add_hit(h, tags[i], signal);
		}
		if (name[at] == 0)
			return;
	}
}

uint32_t sinklist_look(const struct sinklist *s, const struct msg *m, const struct rr *rr,
		       struct sinklist_hit *hit)
{
	struct hits h = {hit, 0};

	for (uint32_t i = 0; i < m->rrs && rr[i].section <= RR_AUTHORITY; i++) {
		const struct rr *r = &rr[i];
		const uint8_t *data = m->data + r->rdata_off;
		if (r->class != CLASS_IN)
			continue;
		if (r->type == FT_QTYPE_NS && s->ns.set != NULL)
			look_up_name(s, &s->ns, m, r, FT_SINK_NS, &h);
		if (r->section != RR_ANSWER)
			continue;
		if (r->type == FT_QTYPE_A && r->rdlen == 4 && has_first(s->v4, data)) {
			const struct addr a = addr_from_v4(data);
			look_up_addr(s, &a, &h);
		} else if (r->type == FT_QTYPE_AAAA && r->rdlen == 16 && has_first(s->v6, data)) {
			const struct addr a = addr_from_v6(data);
			look_up_addr(s, &a, &h);
		} else if (r->type == FT_QTYPE_CNAME && s->cname.set != NULL) {
			look_up_name(s, &s->cname, m, r, FT_SINK_CNAME, &h);
		}
	}
	return h.n;
}
