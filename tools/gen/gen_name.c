/* SPDX-License-Identifier: BSD-3-Clause */
#include "gen_name.h"

#include <string.h>

enum {
	SYLLABLES = 90,
	LEAST_CORE = SYLLABLES * SYLLABLES, /* so that every core has three syllables or more */
	NAMES_PER_ZONE = 4,
	PTR_ONE_IN = 24,
	HEAD_RANKS = 1000, /* up to here a pattern says what is absent: a hash would give the few
			      top names too much say */
	VICTIMS = 6,
};

struct text {
	uint8_t len;
	char s[15];
};

#define TEXT(s)                                                                                    \
	{                                                                                          \
		sizeof(s) - 1, s                                                                   \
	}

/* 64 rows, drawn evenly; wire form without the root's octet */
static const struct text tlds[] = {
    TEXT("\3com"),  TEXT("\3com"),  TEXT("\3com"),    TEXT("\3com"),    TEXT("\3com"),
    TEXT("\3com"),  TEXT("\3com"),  TEXT("\3com"),    TEXT("\3com"),    TEXT("\3com"),
    TEXT("\3com"),  TEXT("\3com"),  TEXT("\3com"),    TEXT("\3com"),    TEXT("\3com"),
    TEXT("\3com"),  TEXT("\3com"),  TEXT("\3com"),    TEXT("\3com"),    TEXT("\3com"),
    TEXT("\3com"),  TEXT("\3com"),  TEXT("\3com"),    TEXT("\3com"),    TEXT("\3com"),
    TEXT("\3com"),  TEXT("\3com"),  TEXT("\3com"),    TEXT("\3net"),    TEXT("\3net"),
    TEXT("\3net"),  TEXT("\3net"),  TEXT("\3net"),    TEXT("\3net"),    TEXT("\3org"),
    TEXT("\3org"),  TEXT("\3org"),  TEXT("\3org"),    TEXT("\3org"),    TEXT("\2de"),
    TEXT("\2de"),   TEXT("\2de"),   TEXT("\2de"),     TEXT("\2de"),     TEXT("\2de"),
    TEXT("\4info"), TEXT("\4info"), TEXT("\2co\2uk"), TEXT("\2co\2uk"), TEXT("\2co\2jp"),
    TEXT("\2nl"),   TEXT("\2nl"),   TEXT("\2fr"),     TEXT("\2fr"),     TEXT("\2ru"),
    TEXT("\2ru"),   TEXT("\2io"),   TEXT("\2eu"),     TEXT("\2cn"),     TEXT("\2ch"),
    TEXT("\2at"),   TEXT("\2it"),   TEXT("\6online"), TEXT("\3xyz"),
};

static const struct text hosts[] = {
    TEXT("\4mail"), TEXT("\3api"),   TEXT("\3cdn"),    TEXT("\3ns1"),
    TEXT("\1m"),    TEXT("\3img"),   TEXT("\6static"), TEXT("\4smtp"),
    TEXT("\4imap"), TEXT("\5login"), TEXT("\3app"),    TEXT("\4blog"),
    TEXT("\4shop"), TEXT("\3dev"),   TEXT("\6update"), TEXT("\3ftp"),
};

static const struct text regions[] = {
    TEXT("\4edge"), TEXT("\2eu"), TEXT("\2us"),  TEXT("\2ap"),
    TEXT("\4prod"), TEXT("\2s3"), TEXT("\3gcp"), TEXT("\1a"),
};

/* each begins so that no syllable can follow from it: what stands before it stays readable, names
 * stay distinct */
static const struct text closings[] = {
    TEXT(""),      TEXT(""),   TEXT(""),      TEXT(""),   TEXT(""),  TEXT(""),
    TEXT(""),      TEXT(""),   TEXT("n"),     TEXT("r"),  TEXT("s"), TEXT("-online"),
    TEXT("-shop"), TEXT("24"), TEXT("-blog"), TEXT("tv"),
};

static const char syllables[SYLLABLES * 2 + 1] =
    "babebibobucacecicocudadedidodufafefifofugagegigoguhahehihohujajejijojukakekikokulalelilolu"
    "mamemimomunaneninonupapepipopurarerirorusasesisosutatetitotuvavevivovuwawewiwowuzazezizozu";

/* Copies whole rows: rows are of one size and a name has room behind it. */
static void append_text(struct gen_name *n, const struct text *t)
{
	memcpy(n->wire + n->len, t->s, sizeof(t->s));
	n->len = (uint8_t)(n->len + t->len);
}

static void append_root(struct gen_name *n)
{
	n->wire[n->len++] = 0;
}

static void append_tld(struct gen_name *n, uint64_t h)
{
	n->tld_off = n->len;
	append_text(n, &tlds[h & 63]);
	append_root(n);
}

static void append_decimal_label(struct gen_name *n, unsigned v)
{
	uint8_t *p = n->wire + n->len;
	unsigned len = 0;

	if (v >= 100)
		p[++len] = (uint8_t)('0' + v / 100);
	if (v >= 10)
		p[++len] = (uint8_t)('0' + v / 10 % 10);
	p[++len] = (uint8_t)('0' + v % 10);
	p[0] = (uint8_t)len;
	n->len = (uint8_t)(n->len + len + 1);
}

static void name_reverse(struct gen_name *n, uint32_t rank)
{
	static const uint8_t tail[] = "\7in-addr\4arpa";
	uint32_t address = rank * UINT32_C(0x9e3779b1);

	n->is_reverse = true;
	append_decimal_label(n, address & 0xff);
	n->zone_off = n->len;
	for (unsigned i = 8; i < 32; i += 8)
		append_decimal_label(n, address >> i & 0xff);
	n->tld_off = n->len;
	memcpy(n->wire + n->len, tail, sizeof(tail));
	n->len = (uint8_t)(n->len + sizeof(tail));
}

static void append_core(struct gen_name *n, uint32_t serial, uint64_t h)
{
	uint8_t len_at = n->len++;

	for (uint32_t v = serial + LEAST_CORE; v > 0; v /= SYLLABLES) {
		memcpy(n->wire + n->len, syllables + 2 * (v % SYLLABLES), 2);
		n->len = (uint8_t)(n->len + 2);
	}
	append_text(n, &closings[h & 15]);
	n->wire[len_at] = (uint8_t)(n->len - len_at - 1);
}

void gen_name_rank(struct gen_name *n, uint32_t rank)
{
	uint64_t h = gen_mix64(rank);
	uint32_t zone = (rank - 1) / NAMES_PER_ZONE;
	uint64_t zone_h = gen_mix64(zone ^ UINT64_C(0x5a0e) << 32);
	static const struct text www = TEXT("\3www");

	n->len = 0;
	n->is_reverse = rank > PTR_ONE_IN && h % PTR_ONE_IN == 0;
	if (n->is_reverse) {
		name_reverse(n, rank);
		return;
	}
	switch ((rank - 1) % NAMES_PER_ZONE) { /* the four names of a zone differ in their labels */
	case 0: break;
	case 1: append_text(n, &www); break;
	case 2: append_text(n, &hosts[h >> 8 & 15]); break;
	default:
		append_text(n, &hosts[h >> 8 & 15]);
		append_text(n, &regions[h >> 12 & 7]);
		break;
	}
	n->zone_off = n->len;
	append_core(n, zone, zone_h);
	append_tld(n, zone_h >> 8);
}

void gen_name_text(struct gen_name *n, const char *text)
{
	n->len = 0;
	n->is_reverse = false;
	for (const char *p = text; *p != '\0';) {
		const size_t len = strcspn(p, ".");
		n->zone_off = n->tld_off = n->len;
		n->wire[n->len++] = (uint8_t)len;
		memcpy(n->wire + n->len, p, len);
		n->len = (uint8_t)(n->len + len);
		p += len + (p[len] == '.');
	}
	n->wire[n->len++] = 0;
}

void gen_name_victim(struct gen_name *n, uint64_t serial, uint64_t seed)
{
	static const char digits[] = "abcdefghijklmnopqrstuvwxyz234567";
	uint64_t victim_h = gen_mix64(seed ^ serial % VICTIMS);
	uint64_t x = serial + seed % UINT32_MAX;

	/* a bijection of 60 bits: twelve digits of five bits */
	for (unsigned i = 0; i < 3; i++) {
		x = x * UINT64_C(0x9e3779b97f4a7c15) & ((UINT64_C(1) << 60) - 1);
		x ^= x >> 29;
	}
	n->is_reverse = false;
	n->wire[0] = 12;
	for (unsigned i = 0; i < 12; i++)
		n->wire[1 + i] = (uint8_t)digits[x >> (5 * i) & 31];
	n->len = 13;
	n->zone_off = n->len;
	append_core(n, (uint32_t)(victim_h & 0xfffff), victim_h >> 20);
	append_tld(n, victim_h >> 32);
}

/* Labels of `label_len` random letters until the name has `total` octets with its root. */
static void fill_labels(struct gen_name *n, unsigned label_len, unsigned total, struct gen_rng *r)
{
	while (n->len + 1U < total) {
		unsigned room = total - 1 - n->len - 1;
		unsigned len = room < label_len ? room : label_len;

		if (room - len == 1) /* a single octet would be left, too few for a label */
			len--;
		n->zone_off = n->len;
		n->wire[n->len++] = (uint8_t)len;
		for (unsigned i = 0; i < len; i++)
			n->wire[n->len++] = (uint8_t)('a' + gen_rng_below(r, 26));
	}
	n->tld_off = n->len;
	append_root(n);
}

static void append_octets(struct gen_name *n, const uint8_t *octets, unsigned len)
{
	n->wire[n->len++] = (uint8_t)len;
	memcpy(n->wire + n->len, octets, len);
	n->len = (uint8_t)(n->len + len);
}

void gen_name_odd(struct gen_name *n, enum gen_name_odd kind, struct gen_rng *r)
{
	static const uint8_t bytes[] = {0,   '.',  '\\', ' ', '"', ';', '(', '@',
					'$', 0x7f, '\n', '*', '_', '=', '%'};
	static const uint8_t edges[] = {'A', 'Z', '@', '[', '`', '{', 'a', 'z', 'Q'};
	uint32_t serial = gen_rng_below(r, 1 << 20);
	uint8_t high[24];

	memset(n, 0, sizeof(*n));
	switch (kind) {
	case GEN_NAME_ROOT: append_root(n); return;
	case GEN_NAME_LONGEST: fill_labels(n, 63, GEN_NAME_CAP, r); return;
	case GEN_NAME_DEEP: fill_labels(n, 1, GEN_NAME_CAP, r); return;
	case GEN_NAME_TLD:
		append_tld(n, serial);
		n->tld_off = n->len;
		n->tld_off--;
		return;
	case GEN_NAME_BYTES: append_octets(n, bytes, sizeof(bytes)); break;
	case GEN_NAME_UPPER: append_octets(n, edges, sizeof(edges)); break;
	case GEN_NAME_HIGH_OCTETS:
		for (unsigned i = 0; i < sizeof(high); i++)
			high[i] = (uint8_t)(0x80 | gen_rng_next(r) >> 32);
		append_octets(n, high, sizeof(high));
		break;
	case GEN_NAME_SERVICE:
	default:
		append_octets(n, (const uint8_t *)"_ldap", 5);
		append_octets(n, (const uint8_t *)"_tcp", 4);
		break;
	}
	n->zone_off = n->len;
	append_core(n, serial, serial);
	append_tld(n, serial);
}

void gen_name_mix_case(struct gen_name *n, struct gen_rng *r)
{
	uint64_t coins = 0;
	unsigned label_left = 0;

	for (unsigned i = 0; i < n->len; i++) {
		uint8_t c = n->wire[i];

		if (i % 64 == 0)
			coins = gen_rng_next(r);
		if (label_left == 0) {
			label_left = c;
			continue;
		}
		label_left--;
		if ((c | 0x20) >= 'a' && (c | 0x20) <= 'z' && (coins >> (i % 64) & 1))
			n->wire[i] = c ^ 0x20;
	}
}

uint64_t gen_name_hash(const struct gen_name *n)
{
	uint64_t h = n->len;

	/* an octet of length is at most 63, below 'A', so that folding all octets alike is right */
	for (unsigned i = 0; i < n->len; i += 8) {
		uint64_t word = 0;

		for (unsigned k = 0; k < 8 && i + k < n->len; k++) {
			uint8_t c = n->wire[i + k];

			if (c >= 'A' && c <= 'Z')
				c |= 0x20;
			word |= (uint64_t)c << (8 * k);
		}
		h = gen_mix64(h ^ word) + i;
	}
	return h;
}

bool gen_name_is_absent(uint32_t rank)
{
	if (rank <= HEAD_RANKS)
		return rank % 10 == 2 || rank % 10 == 4 || rank % 10 == 9;
	return gen_mix64(rank ^ UINT64_C(0xab5e) << 40) % 10 < 3;
}
