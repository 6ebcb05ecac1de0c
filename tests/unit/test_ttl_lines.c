/* SPDX-License-Identifier: BSD-3-Clause */
/* Lines of falling TTLs against a plain reference that knows the whole day at once;
 * snapshots and entries at every truncation length. */
#include "stats/ttl_lines.h"

#include "guard.h"

#include <fluxtap/rec_ttl.h>

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define S 1000000ull
#define BEGIN_US (20000ull * 86400 * S)
#define ANSWERS 3000u
#define WIDE_US (S + 20000)

static uint64_t seed = 11;

static uint32_t rnd(uint32_t n)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)((seed >> 33) % n);
}

struct answer {
	uint64_t t_us;
	uint32_t ttl_s;
};

/* Caches that hold an entry or do not, asked at random. The first answer has the full TTL. */
static unsigned make(struct answer *a, unsigned caches, uint32_t ttl_s, uint32_t gap_us)
{
	uint64_t end_us[16] = {0}, begin_us[16] = {0}, t_us = BEGIN_US;
	unsigned n = 0;

	for (unsigned i = 0; i < caches; i++)
		begin_us[i] = BEGIN_US + (i == 0 ? 0 : rnd(400 * (uint32_t)S));
	for (unsigned asked = 0; asked < ANSWERS; asked++, t_us += 1 + rnd(gap_us)) {
		const unsigned c = asked == 0 ? 0 : rnd(caches);
		if (t_us >= end_us[c] && t_us >= begin_us[c]) {
			end_us[c] = t_us + ttl_s * S;
			begin_us[c] = end_us[c] + rnd(200 * (uint32_t)S);
		}
		if (t_us < end_us[c])
			a[n++] = (struct answer){t_us, (uint32_t)((end_us[c] - t_us) / S)};
	}
	return n;
}

struct cluster {
	uint64_t first, x_first, x_min, x_max;
};

static int order_ends(const void *left, const void *right)
{
	const struct cluster *a = left, *b = right;

	return (a->x_max > b->x_max) - (a->x_max < b->x_max);
}

struct want {
	uint64_t fills, live, idles, idle_sum;
};

static struct want reference(const struct answer *a, unsigned n, uint32_t max_s)
{
	struct cluster *c = calloc(n + 1, sizeof(*c));
	uint64_t *expiry = calloc(n + 1, sizeof(*expiry));
	struct want w = {0};

	for (unsigned i = 0; i < n; i++) {
		const uint64_t x = a[i].t_us + a[i].ttl_s * S;
		uint64_t nearest = UINT64_MAX, best = UINT64_MAX;
		for (uint64_t k = 0; k < w.fills; k++) {
			const uint64_t off = (uint64_t)llabs((long long)(x - c[k].x_first));
			if (off <= WIDE_US && off < nearest) {
				nearest = off;
				best = k;
			}
		}
		if (best == UINT64_MAX) {
			c[w.fills++] = (struct cluster){a[i].t_us, x, x, x};
			continue;
		}
		c[best].x_min = x < c[best].x_min ? x : c[best].x_min;
		c[best].x_max = x > c[best].x_max ? x : c[best].x_max;
	}
	for (unsigned i = 0; i < w.fills; i++) {
		uint64_t live = 1;
		for (unsigned k = 0; k < w.fills; k++)
			live += k != i && c[k].first <= c[i].first && c[i].first + S < c[k].x_min;
		w.live = live > w.live ? live : w.live;
	}
	qsort(c, w.fills, sizeof(*c), order_ends);
	for (unsigned i = 0; i < w.fills; i++) {
		const uint64_t origin = c[i].x_first - max_s * S;
		unsigned oldest = UINT32_MAX;
		for (unsigned k = 0; k < i; k++)
			if (expiry[k] != 0 && (oldest == UINT32_MAX || expiry[k] < expiry[oldest]))
				oldest = k;
		if (oldest != UINT32_MAX && expiry[oldest] <= origin + S) {
			w.idle_sum += origin > expiry[oldest] ? origin - expiry[oldest] : 0;
			w.idles++;
			expiry[oldest] = 0;
		}
		expiry[i] = c[i].x_min;
	}
	free(expiry);
	free(c);
	return w;
}

static void test_reference(void **state)
{
	static struct answer a[ANSWERS];

	(void)state;
	for (unsigned run = 0; run < 60; run++) {
		const uint32_t ttl_s = 30 + rnd(600);
		const unsigned n =
		    make(a, 1 + run % 16, ttl_s, (uint32_t)(1 + rnd(5)) * (uint32_t)S);
		const struct want w = reference(a, n, ttl_s);
		struct ttl_lines l = {0};
		struct ttl_report r;

		for (unsigned i = 0; i < n; i++)
			assert_int_equal(ttl_lines_add(&l, a[i].t_us, a[i].ttl_s), 0);
		assert_int_equal(ttl_lines_end(&l), 0);
		ttl_lines_report(&l, UINT64_MAX, 0, &r);
		assert_int_equal(r.answers, n);
		assert_int_equal(r.fills, w.fills);
		assert_int_equal(r.live, w.live);
		assert_int_equal(r.idles, w.idles);
		if (w.idles != 0)
			assert_int_equal(r.idle_us, (w.idle_sum + w.idles / 2) / w.idles);
		assert_false(r.stretched);
		ttl_lines_fini(&l);
	}
}

struct octets {
	uint8_t v[65536];
	size_t n, at;
};

static int put(void *ctx, const void *data, size_t len)
{
	struct octets *o = ctx;

	assert_true(o->n + len <= sizeof(o->v));
	memcpy(o->v + o->n, data, len);
	o->n += len;
	return 0;
}

static int get(void *ctx, void *data, size_t len)
{
	struct octets *o = ctx;

	if (o->n - o->at < len)
		return -EBADMSG;
	memcpy(data, o->v + o->at, len);
	o->at += len;
	return 0;
}

static void test_snapshot(void **state)
{
	static struct answer a[ANSWERS];
	static struct octets o;
	const unsigned n = make(a, 8, 200, 2 * (uint32_t)S);
	struct ttl_lines l = {0}, other = {0};
	struct ttl_report x, y;

	(void)state;
	for (unsigned i = 0; i < n / 2; i++)
		assert_int_equal(ttl_lines_add(&l, a[i].t_us, a[i].ttl_s), 0);
	assert_int_equal(ttl_lines_save(&l, put, &o), 0);
	const size_t whole = o.n;
	for (o.n = 0; o.n < whole; o.n++) {
		struct ttl_lines broken = {0};
		o.at = 0;
		assert_true(ttl_lines_load(&broken, get, &o) < 0);
		ttl_lines_fini(&broken);
	}
	o.at = 0;
	assert_int_equal(ttl_lines_load(&other, get, &o), 0);
	for (unsigned i = n / 2; i < n; i++) {
		assert_int_equal(ttl_lines_add(&l, a[i].t_us, a[i].ttl_s), 0);
		assert_int_equal(ttl_lines_add(&other, a[i].t_us, a[i].ttl_s), 0);
	}
	memset(&x, 0, sizeof(x));
	memset(&y, 0, sizeof(y));
	ttl_lines_report(&l, UINT64_MAX, 0, &x);
	ttl_lines_report(&other, UINT64_MAX, 0, &y);
	assert_int_equal(x.fills, y.fills);
	assert_int_equal(x.live, y.live);
	assert_int_equal(x.idle_us, y.idle_us);
	assert_int_equal(x.answers, y.answers);
	ttl_lines_fini(&l);
	ttl_lines_fini(&other);
}

static void test_entries(void **state)
{
	struct ft_ttl_rec a = {.vantage = 2,
			       .addr = {0x20, 1, [15] = 9},
			       .off_us = 59999999,
			       .type = 257,
			       .ttl = 86400,
			       .owner_len = 13,
			       .owner = (const uint8_t *)"\7example\3com",
			       .name = 0x1122334455667788};
	uint8_t out[FT_TTL_ENTRY_CAP];

	(void)state;
	for (unsigned kind = 0; kind < 2; kind++) {
		a.flags = kind == 0 ? FT_TTL_AA : FT_SNOOP_HIT | FT_SNOOP_WATCHED;
		const uint8_t *end = kind == 0 ? ft_ttl_write(&a, out) : ft_snoop_write(&a, out);
		const size_t n = (size_t)(end - out) - 1;
		for (size_t cut = 0; cut <= n; cut++) {
			struct ft_ttl_rec b = {0};
			uint8_t *p = guard_copy(out + 1, cut);
			struct ft_reader r = ft_reader_init(p, cut);
			const bool whole = kind == 0 ? ft_ttl_read(&r, &b) : ft_snoop_read(&r, &b);
			assert_int_equal(whole, cut == n);
			if (whole) {
				assert_int_equal(b.flags, a.flags);
				assert_memory_equal(b.addr, a.addr, 16);
				assert_int_equal(b.off_us, a.off_us);
				assert_int_equal(kind == 0 ? b.ttl : b.name,
						 kind == 0 ? a.ttl : a.name);
			}
			guard_free(p, cut);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_reference),
	    cmocka_unit_test(test_snapshot),
	    cmocka_unit_test(test_entries),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
