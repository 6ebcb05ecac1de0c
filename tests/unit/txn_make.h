/* SPDX-License-Identifier: BSD-3-Clause */
/* Random DNS messages over a few names, compressed in every way there is, damaged now
 * and then. For tests alone. */
#ifndef TESTS_UNIT_TXN_MAKE_H
#define TESTS_UNIT_TXN_MAKE_H

#include "wire.h"

#include <stdio.h>

static uint64_t make_state;

static inline uint32_t make_rand(uint32_t n)
{
	make_state = make_state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)((make_state >> 33) % n);
}

static const char *const make_names[] = {
    "example.com",
    "www.example.com",
    "a.www.example.com",
    "ns1.example.com",
    "ns2.example.com",
    "cdn.example.net",
    "edge.cdn.example.net",
    "net",
    "com",
    "",
    "x.y.z.w.v.u.t.s.r.q.p.o.n.m.l.k.j.i.h.g.f.e.d.c.b.a.example.org",
};
#define MAKE_NAMES (sizeof(make_names) / sizeof(*make_names))

struct make {
	struct wire w;
	unsigned qname;
	uint32_t seen[MAKE_NAMES]; /* where each was written in full; 0: nowhere */
	unsigned damage;           /* one name in so many; 0: none */
};

/* Labels of `name` in random case, `n` characters of it. */
static inline void make_labels(struct make *m, const char *name, size_t n)
{
	char text[256];

	memcpy(text, name, n);
	text[n] = '\0';
	for (size_t i = 0; i < n; i++)
		if (text[i] >= 'a' && text[i] <= 'z' && make_rand(3) == 0)
			text[i] = (char)(text[i] - 32);
	wire_labels(&m->w, text);
}

static inline void make_damaged(struct make *m)
{
	static const uint8_t hostile[][2] = {{0xc0, 0}, {0xff, 0xff}, {0xc0, 11}, {0xc0, 13}};

	if (make_rand(4) == 0)
		wire_pointer(&m->w, m->w.n); /* to itself */
	else
		wire_octets(&m->w, hostile[make_rand(4)], 2);
}

/* The longest end of `name` that the question has, too: its offset in the question's
 * text, and in *own that in name. */
static inline size_t make_shared(const struct make *m, const char *name, size_t *own)
{
	const char *q = make_names[m->qname];

	for (const char *p = name; *p != '\0'; p += strcspn(p, "."), p += *p == '.') {
		const size_t n = strlen(p), qn = strlen(q);
		if (n <= qn && strcmp(q + qn - n, p) == 0 && (n == qn || q[qn - n - 1] == '.')) {
			*own = (size_t)(p - name);
			return qn - n;
		}
	}
	return SIZE_MAX;
}

static inline void make_name(struct make *m, unsigned i)
{
	const char *name = make_names[i];
	size_t own = 0;
	const size_t shared = make_shared(m, name, &own);
	const unsigned how = make_rand(4);

	if (m->damage != 0 && make_rand(m->damage) == 0) {
		make_damaged(m);
	} else if (how == 0 && m->seen[i] != 0) {
		wire_pointer(&m->w, m->seen[i]);
	} else if (how != 1 && shared != SIZE_MAX) {
		make_labels(m, name, own);
		wire_pointer(&m->w, 12 + (uint32_t)shared); /* a dot is a length octet */
	} else {
		if (m->seen[i] == 0 && m->w.n < 0x3f00)
			m->seen[i] = m->w.n;
		make_labels(m, name, strlen(name));
		wire_u8(&m->w, 0);
	}
}

static inline void make_begin(struct make *m, unsigned id, unsigned flags, unsigned qname,
			      unsigned qtype)
{
	wire_init(&m->w, false);
	memset(m->seen, 0, sizeof(m->seen));
	m->qname = qname;
	wire_header(&m->w, id, flags, 1, 0, 0, 0);
	make_labels(m, make_names[qname], strlen(make_names[qname]));
	wire_u8(&m->w, 0);
	wire_u16(&m->w, qtype);
	wire_u16(&m->w, 1);
}

/* A record of section 0..2 of the type; number: of the name or address it holds. */
static inline void make_record(struct make *m, unsigned section, unsigned owner, unsigned type,
			       uint32_t ttl, unsigned number)
{
	const uint32_t count_at = 6 + 2 * section;

	make_name(m, owner);
	wire_u16(&m->w, type);
	wire_u16(&m->w, make_rand(40) == 0 ? 3 : 1);
	wire_u32(&m->w, ttl);
	const uint32_t len_at = m->w.n;
	wire_u16(&m->w, 0);
	if (type == 1)
		wire_u32(&m->w, 0xc6336400u + number);
	else if (type == 28)
		wire_fill(&m->w, number + 1, 16);
	else
		make_name(m, number % MAKE_NAMES);
	if (type == 6) { /* SOA: a second name and five numbers */
		wire_u8(&m->w, 0);
		wire_fill(&m->w, 1, 20);
	}
	if (make_rand(60) == 0 && m->damage != 0)
		wire_u8(&m->w, 7); /* one octet too many */
	wire_put16(&m->w, len_at, m->w.n - len_at - 2);
	wire_put16(&m->w, count_at, (m->w.b[count_at] * 256u + m->w.b[count_at + 1]) + 1);
}

#endif
