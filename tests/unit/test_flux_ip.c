/* SPDX-License-Identifier: BSD-3-Clause */
/* Addresses in flux: the boundaries of the score, what speaks for a content network, and
 * random streams against a plain reading of the same sights without any bound. */
#include "flux_addr_rig.h"
#include "guard.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define assert_near(a, b, d) assert_true(fabs((a) - (b)) <= (d))

static struct flux_rig rig;

/* An address text that stays: system `as` of 64, number n of its many networks of 16. */
static const char *address(unsigned as, unsigned n)
{
	static char text[64][256][24];

	if (text[as][n][0] == '\0')
		(void)sprintf(text[as][n], "%u.%u.%u.%u", 64 + as, n % 16, n, 7 + as);
	return text[as][n];
}

static char asn_text[8192];

static void begin(bool with_asn, const char *cdn)
{
	char *p = asn_text;

	for (unsigned as = 0; as < 64; as++)
		p += sprintf(p, "%u.0.0.0/8 %u\n2001:db8:%x::/48 %u\n", 64 + as, 64500 + as, as,
			     64500 + as);
	for (unsigned k = 0; k < 10; k++) /* systems that share networks of 16 bits */
		p += sprintf(p, "200.4.%u.0/24 %u\n200.5.%u.0/24 %u\n", k, 70 + k, k, 70 + k);
	p += sprintf(p, "201.0.0.0/8 90\n");
	flux_rig_init(&rig, 60, with_asn ? asn_text : NULL, cdn);
}

/* n addresses of `systems` systems, some in each of the answers every `ttl` seconds. */
static void plant(const char *owner, unsigned n, unsigned systems, unsigned answers, uint32_t ttl)
{
	for (unsigned k = 0, at = 0; k < answers; k++) {
		const unsigned upto = n * (k + 1) / answers;
		struct sight s = {.owner = owner,
				  .aa = true,
				  .vantage = FT_VANTAGE_R2A,
				  .view = 1,
				  .t_s = 100 + k * (ttl + 1),
				  .ttl = ttl};
		for (; at < upto; at++)
			s.rdata[s.n++] = address(at % systems, at);
		flux_rig_see(&rig, &s);
	}
}

static double f_of(unsigned n, unsigned systems)
{
	return 1.32 * n + 18.54 * systems;
}

static void test_boundaries(void **state)
{
	static const struct {
		const char *owner;
		unsigned n, systems;
		bool crosses;
	} rows[] = {
	    {"a.example.", 10, 7, true},  {"b.example.", 9, 7, false},
	    {"c.example.", 5, 5, false},  {"d.example.", 8, 8, true},
	    {"e.example.", 24, 6, true},  {"f.example.", 23, 6, false},
	    {"g.example.", 38, 5, true},  {"h.example.", 37, 5, false},
	    {"i.example.", 7, 7, false},  {"j.example.", 100, 1, true},
	    {"k.example.", 93, 1, false}, {"l.example.", 94, 1, true},
	};

	(void)state;
	begin(true, NULL);
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		plant(rows[i].owner, rows[i].n, rows[i].systems, 2, 300);
	flux_rig_run(&rig, 1, 1);
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		const json_t *day = flux_rig_find(&rig, "ip", rows[i].owner, "A", "day");
		const json_t *onset = flux_rig_find(&rig, "ip", rows[i].owner, "A", "onset");
		const double f = f_of(rows[i].n, rows[i].systems);
		assert_int_equal(f > 142.38, rows[i].crosses);
		assert_int_equal(day != NULL, rows[i].crosses);
		assert_int_equal(onset != NULL, rows[i].crosses);
		if (day == NULL)
			continue;
		assert_near(flux_rig_number(day, "f_holz"), f, 0.0006);
		assert_true(flux_rig_number(day, "n_a") == rows[i].n);
		assert_true(flux_rig_number(day, "n_asn") == rows[i].systems);
		/* The first answer of two may have the better ratio. */
		assert_true(flux_rig_number(day, "s_zeek") >=
			    f * rows[i].systems / rows[i].n - 0.001);
		const bool cdn = rows[i].systems == 1;
		assert_string_equal(flux_rig_string(day, "class"), cdn ? "" : "FLUX");
		assert_string_equal(flux_rig_string(onset, "class"), cdn ? "" : "FLUX");
		assert_string_equal(flux_rig_string(day, "suppressed_by"), cdn ? "top_asn" : "");
		assert_true(flux_rig_number(onset, "end") >
			    flux_rig_number(onset, "first_us") / 1e6);
	}
	/* The published figures. */
	assert_near(flux_rig_number(flux_rig_find(&rig, "ip", "a.example.", "A", "day"), "f_holz"),
		    142.98, 0.001);
	const json_t *j = flux_rig_find(&rig, "ip", "j.example.", "A", "day");
	assert_near(flux_rig_number(j, "f_holz"), 150.54, 0.001);
	flux_rig_fini(&rig);
	/* All hundred in one answer of 50 and another: Zeek's figure over both. */
	begin(true, NULL);
	for (unsigned k = 0; k < 2; k++) {
		struct sight s = {.owner = "z.example.",
				  .aa = true,
				  .vantage = FT_VANTAGE_R2A,
				  .view = 1,
				  .t_s = 100,
				  .ttl = 60};
		for (unsigned i = 0; i < 50; i++)
			s.rdata[s.n++] = address(0, k * 50 + i);
		flux_rig_see(&rig, &s);
	}
	flux_rig_run(&rig, 1, 1);
	assert_near(flux_rig_number(flux_rig_find(&rig, "ip", "z.example.", "A", "day"), "s_zeek"),
		    1.505, 0.001);
	flux_rig_fini(&rig);
}

/* Beyond the score it takes five networks of 16 bits, and no system that has half. */
static void test_spread(void **state)
{
	static char text[3][12][24];
	static const char *const owners[] = {"four.example.", "five.example.", "half.example."};

	(void)state;
	begin(true, NULL);
	for (unsigned o = 0; o < 3; o++)
		for (unsigned k = 0; k < 2; k++) {
			struct sight s = {.owner = owners[o],
					  .aa = true,
					  .vantage = FT_VANTAGE_R2A,
					  .view = 1,
					  .t_s = 100 + 100 * k,
					  .ttl = 60};
			for (unsigned i = 6 * k; i < 6 * k + 6; i++) {
				/* 12 addresses; two, three networks of ours beside two others */
				if (o == 2)
					(void)sprintf(text[o][i], "%u.%u.%u.1",
						      i % 2 != 0 ? 201 : 64 + i, i, i);
				else if (i % 6 < 2 + o)
					(void)sprintf(text[o][i], "%u.1.1.%u", 64 + i % 6, i);
				else
					(void)sprintf(text[o][i], "200.%u.%u.1", 4 + i % 2, i % 10);
				s.rdata[s.n++] = text[o][i];
			}
			flux_rig_see(&rig, &s);
		}
	flux_rig_run(&rig, 1, 1);
	for (unsigned o = 0; o < 3; o++) {
		const json_t *day = flux_rig_find(&rig, "ip", owners[o], "A", "day");
		assert_non_null(day);
		assert_true(flux_rig_number(day, "n_a") == 12);
		assert_true(o == 2 || flux_rig_number(day, "n_16") == 4 + o);
		assert_true(o != 2 || flux_rig_number(day, "top_asn_share") == 0.5);
		assert_true(o != 2 || flux_rig_number(day, "top_asn") == 90);
		assert_string_equal(flux_rig_string(day, "suppressed_by"), "");
		assert_string_equal(flux_rig_string(day, "class"), o == 1 ? "FLUX" : "");
	}
	flux_rig_fini(&rig);
}

/* Nothing but two epochs of one view counts. */
static void test_epochs_and_views(void **state)
{
	(void)state;
	begin(true, NULL);
	plant("three.example.", 12, 8, 3, 300); /* 4 a time: two epochs have 8 of 12 */
	plant("four.example.", 12, 6, 4, 300);  /* 3 a time: 6 of 12 */
	for (unsigned view = 0; view < 3; view++) {
		struct sight s = {.owner = "split.example.",
				  .aa = true,
				  .vantage = FT_VANTAGE_R2A,
				  .view = view,
				  .t_s = 50,
				  .ttl = 60};
		for (unsigned i = 0; i < 4; i++)
			s.rdata[s.n++] = address(view * 4 + i, i);
		flux_rig_see(&rig, &s);
	}
	/* Within one TTL all answers are one epoch: the third is still with the first. */
	for (unsigned k = 0; k < 4; k++) {
		struct sight s = {.owner = "cache.example.",
				  .vantage = FT_VANTAGE_S2R,
				  .view = 9,
				  .t_s = 1000 + k * 50,
				  .ttl = 300 - k * 50};
		for (unsigned i = 0; i < 3; i++)
			s.rdata[s.n++] = address(k * 3 + i, i);
		flux_rig_see(&rig, &s);
	}
	flux_rig_run(&rig, 1, 1);
	assert_non_null(flux_rig_find(&rig, "ip", "three.example.", "A", "day"));
	assert_null(flux_rig_find(&rig, "ip", "four.example.", "A", "day"));
	assert_null(flux_rig_find(&rig, "ip", "split.example.", "A", "day"));
	const json_t *c = flux_rig_find(&rig, "ip", "cache.example.", "A", "day");
	assert_non_null(c);
	assert_near(flux_rig_number(c, "f_holz"), f_of(12, 12), 0.001);
	assert_string_equal(flux_rig_string(c, "vantage"), "S2R");
	flux_rig_fini(&rig);
}

/* 10 addresses of 10 systems in each answer, the same ones again and again. */
static void plant_static(const char *owner, unsigned views, unsigned answers)
{
	for (unsigned k = 0; k < views * answers; k++) {
		const unsigned view = k % views;
		struct sight s = {.owner = owner,
				  .aa = true,
				  .vantage = FT_VANTAGE_R2A,
				  .view = view,
				  .t_s = 100 + k / views * 61,
				  .ttl = 60};
		for (unsigned i = 0; i < 10; i++)
			s.rdata[s.n++] = address(i, view + 1);
		flux_rig_see(&rig, &s);
	}
}

static void test_suppressed(void **state)
{
	static char owner[2600][32];

	(void)state;
	begin(true, "# content\ncdn.example\n");
	plant("edge1.CDN.example.", 20, 10, 2, 300);
	plant("notcdn.example.", 20, 10, 2, 300);
	plant_static("few.example.", 1, 19);
	plant_static("saturated.example.", 1, 20);
	plant_static("geo.example.", 3, 4);
	plant_static("twoviews.example.", 2, 4);
	for (unsigned i = 0; i < 2600; i++) { /* domains on the networks of shared.test */
		struct sight s = {.owner = owner[i],
				  .aa = true,
				  .vantage = FT_VANTAGE_R2A,
				  .view = 1,
				  .t_s = 50,
				  .ttl = 60,
				  .n = 8};
		(void)sprintf(owner[i], "www.d%u.test.", i);
		for (unsigned k = 0; k < 8; k++)
			s.rdata[k] = address(20 + k, 5);
		if (i % 2 == 0)
			s.n = 6;
		flux_rig_see(&rig, &s);
	}
	for (unsigned k = 0; k < 2; k++) {
		struct sight s = {.owner = "many.test.",
				  .aa = true,
				  .vantage = FT_VANTAGE_R2A,
				  .view = 1,
				  .t_s = 100 + k * 61,
				  .ttl = 60,
				  .n = 4};
		for (unsigned i = 0; i < 4; i++)
			s.rdata[i] = address(20 + 4 * k + i, 5);
		flux_rig_see(&rig, &s);
	}
	flux_rig_run(&rig, 1, 1);
	static const struct {
		const char *owner, *why;
	} rows[] = {{"edge1.cdn.example.", "cdn_list"},
		    {"notcdn.example.", ""},
		    {"few.example.", ""},
		    {"saturated.example.", "saturated"},
		    {"geo.example.", "geo"},
		    {"twoviews.example.", ""},
		    {"many.test.", "shared"}};
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		const json_t *day = flux_rig_find(&rig, "ip", rows[i].owner, "A", "day");
		assert_non_null(day);
		assert_string_equal(flux_rig_string(day, "suppressed_by"), rows[i].why);
		assert_string_equal(flux_rig_string(day, "class"),
				    strcmp(rows[i].owner, "notcdn.example.") == 0 ? "FLUX" : "");
	}
	flux_rig_fini(&rig);
}

/* Without a table the networks of 16 bits stand for systems, at 0.7 each. */
static void test_no_asn(void **state)
{
	(void)state;
	begin(false, NULL);
	plant("ten.example.", 10, 10, 2, 300);
	plant("nine.example.", 9, 9, 2, 300);
	flux_rig_run(&rig, 1, 1);
	const json_t *ten = flux_rig_find(&rig, "ip", "ten.example.", "A", "day");
	assert_non_null(ten);
	assert_null(flux_rig_find(&rig, "ip", "nine.example.", "A", "day"));
	assert_near(flux_rig_number(ten, "f_holz"), 13.2 + 18.54 * 0.7 * 10, 0.001);
	assert_true(json_is_true(json_object_get(ten, "asn_missing")));
	assert_true(json_is_null(json_object_get(ten, "n_asn")));
	assert_string_equal(flux_rig_string(ten, "class"), "FLUX");
	flux_rig_fini(&rig);
}

/* A mark that the owner's TTL is long counts where no authority says otherwise. */
static void send_mark(struct flux_rig *r, uint64_t row)
{
	static const char *const owners[] = {"long.example.", "both.example."};

	if (row != FLUX_RIG_DAY / 60)
		return;
	for (unsigned i = 0; i < 2; i++) {
		uint8_t name[FT_NAME_CAP], out[FT_RRSET_ENTRY_CAP];
		const char *why;
		const uint32_t n =
		    name_from_text(owners[i], (uint32_t)strlen(owners[i]), name, &why);
		const struct ft_rrset x = {.what = FT_RRSET_A | FT_RRSET_LONG |
						   FT_VANTAGE_S2R << FT_RRSET_VANTAGE_SHIFT,
					   .owner_key = name_hash(name, n, r->seed)};
		const size_t bytes = ft_rrset_write(&x, out);
		flux_rig_give(r, row + 1, FT_REC_RRSET_TEXT, out, bytes);
	}
}

static void test_gate(void **state)
{
	static const char *const owners[] = {"long.example.", "both.example.", "short.example."};

	(void)state;
	begin(true, NULL);
	for (unsigned i = 0; i < 3; i++) {
		for (unsigned k = 0; k < 2; k++) {
			struct sight s = {.owner = owners[i],
					  .aa = i == 1 && k == 0,
					  .vantage = FT_VANTAGE_S2R,
					  .view = 3,
					  .t_s = 10 + 100 * k,
					  .ttl = 30,
					  .n = 6};
			for (unsigned a = 0; a < 6; a++)
				s.rdata[a] = address(k * 6 + a, a);
			flux_rig_see(&rig, &s);
		}
	}
	rig.between = send_mark;
	flux_rig_run(&rig, 1, 1);
	assert_null(flux_rig_find(&rig, "ip", "long.example.", "A", "day"));
	assert_non_null(flux_rig_find(&rig, "ip", "both.example.", "A", "day"));
	assert_non_null(flux_rig_find(&rig, "ip", "short.example.", "A", "day"));
	flux_rig_fini(&rig);
}

/* Random streams. */

#define OWNERS 24u
static char owner_text[OWNERS][32];

static void plant_random(uint64_t seed)
{
	begin(true, NULL);
	rig.random = seed;
	for (unsigned o = 0; o < OWNERS; o++) {
		const unsigned pool = 4 + (unsigned)(flux_rig_random(&rig) % 40);
		const unsigned views = 1 + (unsigned)(flux_rig_random(&rig) % 8);
		const unsigned sights = 20 + (unsigned)(flux_rig_random(&rig) % 60);
		const uint32_t ttl = (uint32_t)(flux_rig_random(&rig) % 4) * 150;
		const uint32_t span = o % 3 == 0 ? 86400 : 9000;
		(void)sprintf(owner_text[o], "o%u.example.", o);
		for (unsigned i = 0; i < sights; i++) {
			const uint32_t t = (uint32_t)(flux_rig_random(&rig) % span);
			struct sight s = {.owner = owner_text[o],
					  .aa = true,
					  .vantage = FT_VANTAGE_R2A,
					  .view = (uint32_t)(flux_rig_random(&rig) % views),
					  .t_s = t,
					  .ttl = ttl + t / 60 % 3};
			const unsigned n = 1 + (unsigned)(flux_rig_random(&rig) % 9);
			for (unsigned k = 0; k < n; k++) {
				const unsigned x = (unsigned)(flux_rig_random(&rig) % pool);
				const char *a = address(x % 16, x);
				bool twice = false;
				for (unsigned j = 0; j < s.n; j++)
					twice |= s.rdata[j] == a;
				if (!twice)
					s.rdata[s.n++] = a;
			}
			flux_rig_see(&rig, &s);
		}
	}
}

static bool has(const struct sight *s, const char *a)
{
	for (unsigned i = 0; i < s->n; i++)
		if (s->rdata[i] == a)
			return true;
	return false;
}

/* What a plain reading says of an owner. */
struct plain_facts {
	double f, s;
	unsigned n_a, n_asn, n_24, n_16, single, epochs, views, half;
	double churn;
	unsigned first_s, last_s;
};

/* Scores over the two epochs of a view, second by second. */
static void plain_view(const char *owner, uint32_t view, struct plain_facts *out)
{
	static bool at[86400];
	bool now[16][64] = {{false}}, before[16][64] = {{false}};
	uint32_t begin_s = 0, ttl = 0;
	bool any = false;

	memset(at, 0, sizeof(at));
	for (size_t i = 0; i < rig.sights; i++)
		if (rig.sight[i].owner == owner && rig.sight[i].view == view)
			at[rig.sight[i].t_s] = true;
	for (uint32_t t = 0; t < 86400; t++) {
		uint32_t most = 0;
		if (!at[t])
			continue;
		for (size_t i = 0; i < rig.sights; i++) {
			const struct sight *s = &rig.sight[i];
			if (s->owner == owner && s->view == view && s->t_s == t)
				most = s->ttl > most ? s->ttl : most;
		}
		if (!any || t > begin_s + ttl || (t == begin_s + ttl && ttl != 0)) {
			memcpy(before, now, sizeof(now));
			memset(now, 0, sizeof(now));
			begin_s = t;
			ttl = most;
			out->epochs++;
		}
		any = true;
		for (size_t i = 0; i < rig.sights; i++) {
			const struct sight *s = &rig.sight[i];
			if (s->owner != owner || s->view != view || s->t_s != t)
				continue;
			for (unsigned as = 0; as < 16; as++)
				for (unsigned k = 0; k < 64; k++)
					now[as][k] |= has(s, address(as, k));
		}
		unsigned n = 0, systems = 0;
		for (unsigned as = 0; as < 16; as++) {
			bool system = false;
			for (unsigned k = 0; k < 64; k++) {
				n += now[as][k] || before[as][k];
				system |= now[as][k] || before[as][k];
			}
			systems += system;
		}
		const double f = 1.32 * n + 18.54 * systems;
		out->f = f > out->f ? f : out->f;
		out->s = f * systems / n > out->s ? f * systems / n : out->s;
	}
	out->views += any;
}

static void plain_day(const char *owner, struct plain_facts *out)
{
	bool wide[16][16] = {{false}}, system[16] = {false};
	bool hour[24][16][64];
	unsigned first[16][64];

	memset(hour, 0, sizeof(hour));
	memset(first, 0xff, sizeof(first));
	out->first_s = UINT32_MAX;
	for (size_t i = 0; i < rig.sights; i++) {
		const struct sight *s = &rig.sight[i];
		if (s->owner != owner)
			continue;
		out->single = s->n > out->single ? s->n : out->single;
		out->first_s = s->t_s < out->first_s ? s->t_s : out->first_s;
		out->last_s = s->t_s > out->last_s ? s->t_s : out->last_s;
		for (unsigned as = 0; as < 16; as++)
			for (unsigned k = 0; k < 64; k++) {
				if (!has(s, address(as, k)))
					continue;
				hour[s->t_s / 3600][as][k] = true;
				first[as][k] = s->t_s < first[as][k] ? s->t_s : first[as][k];
			}
	}
	for (unsigned as = 0; as < 16; as++)
		for (unsigned k = 0; k < 64; k++) {
			if (first[as][k] == UINT32_MAX)
				continue;
			out->n_a++;
			out->n_24++; /* each is in a /24 of its own */
			system[as] = wide[as][k % 16] = true;
			out->half +=
			    first[as][k] <= out->first_s + (out->last_s - out->first_s) / 2;
		}
	for (unsigned as = 0; as < 16; as++) {
		out->n_asn += system[as];
		for (unsigned k = 0; k < 16; k++)
			out->n_16 += wide[as][k];
	}
	double sum = 0;
	unsigned pairs = 0;
	for (unsigned h = 1; h < 24; h++) {
		unsigned any = 0, both = 0, x = 0, y = 0;
		for (unsigned as = 0; as < 16; as++)
			for (unsigned k = 0; k < 64; k++) {
				x += hour[h][as][k];
				y += hour[h - 1][as][k];
				any += hour[h][as][k] || hour[h - 1][as][k];
				both += hour[h][as][k] && hour[h - 1][as][k];
			}
		if (x == 0 || y == 0)
			continue;
		sum += 1 - (double)both / any;
		pairs++;
	}
	out->churn = pairs != 0 ? sum / pairs : -1;
}

static void check_owner(const char *owner)
{
	struct plain_facts p = {0};
	const json_t *day = flux_rig_find(&rig, "ip", owner, "A", "day");

	for (uint32_t view = 0; view < 8; view++)
		plain_view(owner, view, &p);
	plain_day(owner, &p);
	assert_int_equal(day != NULL, p.f > 142.38);
	if (day == NULL)
		return;
	assert_near(flux_rig_number(day, "f_holz"), p.f, 0.0006);
	assert_near(flux_rig_number(day, "s_zeek"), p.s, 0.0006);
	assert_true(flux_rig_number(day, "n_a") == p.n_a);
	assert_true(flux_rig_number(day, "n_asn") == p.n_asn);
	assert_true(flux_rig_number(day, "n_24") == p.n_24);
	assert_true(flux_rig_number(day, "n_16") == p.n_16);
	assert_true(flux_rig_number(day, "views") == p.views);
	assert_true(flux_rig_number(day, "epochs") == p.epochs);
	assert_near(flux_rig_number(day, "growth"), (double)p.n_a / p.half, 0.0006);
	assert_true(flux_rig_number(day, "n_single") >= p.single);
	assert_true(flux_rig_number(day, "first_us") == (FLUX_RIG_DAY + (double)p.first_s) * 1e6);
	assert_true(flux_rig_number(day, "last_us") == (FLUX_RIG_DAY + (double)p.last_s) * 1e6);
	if (p.churn < 0)
		assert_true(json_is_null(json_object_get(day, "churn")));
	else
		assert_near(flux_rig_number(day, "churn"), p.churn, 0.0006);
}

static int compare_texts(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* All records as one text, in an order that does not depend on how they came. */
static char *all_records(void)
{
	char **line = flux_rig_need(calloc(rig.n + 1, sizeof(*line)));
	size_t bytes = 1;

	for (size_t i = 0; i < rig.n; i++) {
		line[i] = flux_rig_need(json_dumps(rig.record[i], 0));
		bytes += strlen(line[i]) + 1;
	}
	qsort(line, rig.n, sizeof(*line), compare_texts);
	char *all = flux_rig_need(calloc(1, bytes)), *p = all;
	for (size_t i = 0; i < rig.n; i++) {
		p += sprintf(p, "%s\n", line[i]);
		free(line[i]);
	}
	free(line);
	return all;
}

/* Saves and loads both kinds: what is loaded goes on as if nothing had been. */
static void swap(struct flux_rig *r, uint64_t row)
{
	uint8_t *ip, *ns;
	size_t ip_bytes, ns_bytes;

	if (row % 7 != 0)
		return;
	assert_int_equal(flux_ip_save(r->ip, &ip, &ip_bytes), 0);
	assert_int_equal(flux_ns_save(r->ns, &ns, &ns_bytes), 0);
	stat_flux_ip.destroy(r->ip);
	stat_flux_ns.destroy(r->ns);
	r->ip = flux_rig_need(stat_flux_ip.create(&r->run));
	r->ns = flux_rig_need(stat_flux_ns.create(&r->run));
	assert_int_equal(flux_ip_load(r->ip, ip, ip_bytes), 0);
	assert_int_equal(flux_ns_load(r->ns, ns, ns_bytes), 0);
	free(ip);
	free(ns);
}

static void test_random(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 3; seed++) {
		plant_random(seed);
		flux_rig_run(&rig, 1, 1);
		for (unsigned o = 0; o < OWNERS; o++)
			check_owner(owner_text[o]);
		char *first = all_records();
		assert_true(strlen(first) > 2000);
		for (unsigned again = 0; again < 3; again++) {
			flux_rig_forget(&rig);
			rig.seed = FLUX_RIG_SEED + again + 1; /* keys differ in every run */
			rig.between = again == 2 ? swap : NULL;
			flux_rig_run(&rig, again == 0 ? 1 : 4, 77 + again);
			char *text = all_records();
			assert_string_equal(text, first);
			free(text);
		}
		free(first);
		flux_rig_fini(&rig);
	}
}

/* Many clients: the busiest eight views stay, whatever the keys of a run. */
static void test_many_views(void **state)
{
	char *first = NULL;

	(void)state;
	begin(true, NULL);
	for (unsigned view = 0; view < 30; view++)
		for (unsigned k = 0; k < 1 + view % 5; k++) {
			struct sight s = {.owner = "busy.example.",
					  .aa = true,
					  .vantage = FT_VANTAGE_X,
					  .view = view,
					  .t_s = 10 + view + 70 * k,
					  .ttl = 30,
					  .n = 5};
			for (unsigned i = 0; i < 5; i++)
				s.rdata[i] = address((view + k * 5 + i) % 40, view % 3);
			flux_rig_see(&rig, &s);
		}
	for (unsigned again = 0; again < 4; again++) {
		flux_rig_forget(&rig);
		rig.seed = FLUX_RIG_SEED + again;
		flux_rig_run(&rig, 1 + again, again);
		const json_t *day = flux_rig_find(&rig, "ip", "busy.example.", "A", "day");
		assert_non_null(day);
		assert_true(flux_rig_number(day, "views") == 30);
		char *text = all_records();
		if (first != NULL)
			assert_string_equal(text, first);
		else
			first = strdup(text);
		free(text);
	}
	free(first);
	flux_rig_fini(&rig);
}

/* IPv6 counts by /64; two days are two records. */
static void test_v6_and_days(void **state)
{
	static char text[64][48];

	(void)state;
	begin(true, NULL);
	for (unsigned day = 0; day < 2; day++)
		for (unsigned k = 0; k < 2; k++) {
			struct sight s = {.owner = "six.example.",
					  .type = FT_RRSET_AAAA,
					  .aa = true,
					  .vantage = FT_VANTAGE_AUTH,
					  .view = 1,
					  .t_s = day * 86400 + 86000 + k * 200,
					  .ttl = 100,
					  .n = 10};
			for (unsigned i = 0; i < 10; i++) {
				const unsigned net = k * 5 + i / 2; /* two of each /64 */
				(void)sprintf(text[k * 10 + i], "2001:db8:%x:%x::%x", net, net,
					      i + 1);
				s.rdata[i] = text[k * 10 + i];
			}
			flux_rig_see(&rig, &s);
		}
	flux_rig_run(&rig, 1, 1);
	unsigned days = 0;
	for (size_t i = 0; i < rig.n; i++) {
		if (strcmp(flux_rig_string(rig.record[i], "state"), "day") != 0)
			continue;
		days++;
		assert_true(flux_rig_number(rig.record[i], "n_a") == 10);
		assert_true(flux_rig_number(rig.record[i], "n_single") == 5);
		assert_near(flux_rig_number(rig.record[i], "f_holz"), f_of(10, 10), 0.001);
		assert_true(flux_rig_number(rig.record[i], "n_24") == 10); /* of 48 bits */
		assert_true(flux_rig_number(rig.record[i], "n_16") == 1);
	}
	assert_int_equal(days, 2);
	flux_rig_fini(&rig);
}

static size_t most_bytes;

static void shrink(struct flux_rig *r, uint64_t row)
{
	(void)row;
	most_bytes = flux_ip_bytes(r->ip) > most_bytes ? flux_ip_bytes(r->ip) : most_bytes;
	flux_ip_set_budget(r->ip, 300, 60000, 30000);
}

/* Above the budget names are left out and counted, never half a name. */
static void test_budget(void **state)
{
	static char owner[900][24];
	uint64_t left_out = 0;

	(void)state;
	begin(true, NULL);
	for (unsigned o = 0; o < 900; o++) {
		(void)sprintf(owner[o], "n%u.example.", o);
		for (unsigned k = 0; k < 2; k++) {
			struct sight s = {.owner = owner[o],
					  .aa = true,
					  .vantage = FT_VANTAGE_R2A,
					  .view = 1,
					  .t_s = 61 + o / 4 + 61 * k,
					  .ttl = 60,
					  .n = 6};
			for (unsigned i = 0; i < 6; i++)
				s.rdata[i] = address(6 * k + i, o % 200);
			flux_rig_see(&rig, &s);
		}
	}
	struct sight s = {.owner = "first.example.",
			  .aa = true,
			  .vantage = FT_VANTAGE_R2A,
			  .t_s = 1,
			  .ttl = 60,
			  .n = 1,
			  .rdata = {address(0, 0)}};
	flux_rig_see(&rig, &s); /* a row before, so that the budget is there in time */
	rig.between = shrink;
	flux_rig_run(&rig, 1, 1);
	unsigned days = 0;
	for (size_t i = 0; i < rig.n; i++) {
		const json_t *r = rig.record[i];
		if (strcmp(flux_rig_string(r, "kind"), "ALL") == 0 &&
		    strcmp(flux_rig_string(r, "of"), "ip") == 0)
			left_out = (uint64_t)flux_rig_number(r, "left_out");
		if (strcmp(flux_rig_string(r, "state"), "day") != 0)
			continue;
		days++;
		assert_true(flux_rig_number(r, "n_a") == 12);
	}
	assert_true(days > 10 && days < 300);
	assert_true(left_out >= 600);
	assert_true(most_bytes < 200000);
	flux_rig_fini(&rig);
}

static uint8_t *saved;
static size_t saved_bytes;

static void take(struct flux_rig *r, uint64_t row)
{
	(void)row;
	free(saved);
	assert_int_equal(flux_ip_save(r->ip, &saved, &saved_bytes), 0);
}

/* Every length but the whole is refused, and so is other damage or it does no harm. */
static void test_damaged_snapshot(void **state)
{
	struct flux_rig r;

	(void)state;
	begin(true, NULL);
	plant("a.example.", 12, 8, 3, 300);
	plant("b.example.", 3, 2, 1, 300);
	rig.between = take;
	flux_rig_run(&rig, 1, 1);
	flux_rig_init(&r, 60, NULL, NULL);
	assert_true(saved_bytes > 200);
	for (size_t n = 0; n <= saved_bytes + 1; n++) {
		uint8_t *longer = flux_rig_need(calloc(1, saved_bytes + 1));
		memcpy(longer, saved, saved_bytes);
		uint8_t *copy = guard_copy(longer, n);
		void *ip = flux_rig_need(stat_flux_ip.create(&r.run));
		assert_int_equal(flux_ip_load(ip, copy, n), n == saved_bytes ? 0 : -EBADMSG);
		stat_flux_ip.destroy(ip);
		guard_free(copy, n);
		free(longer);
	}
	for (size_t n = 0; n < 20000; n++) {
		uint8_t *copy = flux_rig_need(malloc(saved_bytes));
		memcpy(copy, saved, saved_bytes);
		copy[flux_rig_random(&rig) % saved_bytes] = (uint8_t)flux_rig_random(&rig);
		void *ip = flux_rig_need(stat_flux_ip.create(&r.run));
		const int result = flux_ip_load(ip, copy, saved_bytes);
		assert_true(result == 0 || result == -EBADMSG);
		if (result == 0)
			stat_flux_ip.end(ip);
		stat_flux_ip.destroy(ip);
		free(copy);
	}
	flux_rig_fini(&r);
	flux_rig_fini(&rig);
	free(saved);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_boundaries),       cmocka_unit_test(test_spread),
	    cmocka_unit_test(test_epochs_and_views), cmocka_unit_test(test_suppressed),
	    cmocka_unit_test(test_no_asn),           cmocka_unit_test(test_gate),
	    cmocka_unit_test(test_random),           cmocka_unit_test(test_many_views),
	    cmocka_unit_test(test_v6_and_days),      cmocka_unit_test(test_budget),
	    cmocka_unit_test(test_damaged_snapshot),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
