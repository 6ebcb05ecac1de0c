/* SPDX-License-Identifier: BSD-3-Clause */
/* Entries of FT_REC_MATCH, FT_REC_MATCH_TEXT and FT_REC_FLOOD records.
 *
 * Entries lie back to back without alignment; each begins with struct ft_match_id (or
 * struct ft_flood), which says what it is about and how long it is. They merge by
 * what the id says: counts add up, times by least and greatest, distinct counts as
 * sets. Readers take octets of any content. */
#ifndef FLUXTAP_REC_MATCH_H
#define FLUXTAP_REC_MATCH_H

#include <fluxtap/dns.h>

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* A small distinct count on the wire: one octet, how many hashes follow (8 octets
 * each), or FT_FEW_DENSE and registers of six bits, four in three octets. */
#define FT_FEW_P 10u
#define FT_FEW_REGS (1u << FT_FEW_P)
#define FT_FEW_EXACT 96u
#define FT_FEW_DENSE 255u
#define FT_FEW_PACKED (FT_FEW_REGS * 6u / 8u)
#define FT_FEW_WIRE_CAP (1u + FT_FEW_PACKED)
static_assert(FT_FEW_EXACT * 8u <= FT_FEW_PACKED, "both forms have room");

/* What a blocklist's answer says (DOMAIN.md section 5). */
#define FT_DNSBL_RESULTS(X)                                                                        \
	X(NOT_LISTED)                                                                              \
	X(LISTED)                                                                                  \
	X(REFUSED) X(DNSBL_WILDCARD) X(DATA) X(NODATA) X(REFERRAL) X(TRUNCATED) X(ERROR) X(TIMEOUT)
enum ft_dnsbl_result {
#define X(n) FT_DNSBL_##n,
	FT_DNSBL_RESULTS(X)
#undef X
	    FT_DNSBL_RESULT_CAP
};
#define FT_DNSBL_FORMS 4u /* enum dnsbl_form of dataplane/ruleset.h */

enum ft_match_part {
	FT_MATCH_COUNTS = 1, /* struct ft_match_counts */
	FT_MATCH_NAMES,      /* a small distinct count */
	FT_MATCH_CLIENTS,    /* likewise */
	FT_MATCH_TEXT,       /* struct ft_match_text */
	FT_MATCH_PART_CAP
};

/* Which record it belongs to. The keys are this run's and the same on all its workers. */
struct ft_match_id {
	uint8_t part;    /* enum ft_match_part */
	uint8_t vantage; /* enum ft_vantage */
	uint16_t bytes;  /* of the entry, this included */
	uint32_t rule;
	uint64_t domain_key;
	uint64_t subject_key; /* 0: no dnsbl rule */
	uint64_t order;       /* the same in every run: which records stay when they are too many */
	uint8_t form;         /* enum dnsbl_form */
	uint8_t result;       /* enum ft_dnsbl_result */
	uint8_t spare[6];
};
static_assert(sizeof(struct ft_match_id) == 40, "match id");

#define FT_MATCH_CODES 8u   /* the lowest ones of a blocklist's answers */
#define FT_MATCH_SAMPLES 8u /* names with the lowest hashes */

struct ft_match_counts {
	uint64_t by_class[FT_CLASS_CAP]; /* sums up to the queries */
	uint64_t first_us, last_us;
	uint32_t code[FT_MATCH_CODES]; /* IPv4 addresses as numbers, rising; 0: none */
};
static_assert(sizeof(struct ft_match_counts) == 14 * 8 + 16 + 32, "match counts");

/* A name, and what of it is the domain and the blocklist's zone; behind it the folded
 * name and the subject's text. */
struct ft_match_text {
	uint64_t name_sketch;
	uint8_t name_len; /* octets, 1..255 */
	uint8_t domain_off, zone_off;
	uint8_t subject_len; /* characters; 0: none */
	uint8_t spare[4];
};
static_assert(sizeof(struct ft_match_text) == 16, "match text");
#define FT_MATCH_ENTRY_CAP                                                                         \
	(sizeof(struct ft_match_id) + (FT_FEW_WIRE_CAP > 526u ? FT_FEW_WIRE_CAP : 526u))
static_assert(FT_MATCH_ENTRY_CAP <= 1024, "entries are of at most 1,024 octets");

/* An entry as read. What is behind the id stays where it was. */
struct ft_match_entry {
	struct ft_match_id id;
	struct ft_match_counts counts; /* of FT_MATCH_COUNTS */
	struct ft_match_text text;     /* of FT_MATCH_TEXT */
	const uint8_t *data;           /* distinct count, or name and subject */
	size_t bytes;                  /* of data */
};

/* True where the octets are one whole folded name in which labels begin at a and b. */
static inline int ft_match_name_sound(const uint8_t *name, size_t len, size_t a, size_t b)
{
	size_t at = 0;
	int has_a = 0, has_b = 0;

	for (;;) {
		has_a |= at == a;
		has_b |= at == b;
		if (at >= len || name[at] >= 64)
			return 0;
		if (name[at] == 0)
			return at + 1 == len && has_a && has_b;
		at += 1u + name[at];
	}
}

static inline int ft_match_read_text(struct ft_match_entry *e)
{
	if (e->bytes < sizeof(e->text))
		return 0;
	memcpy(&e->text, e->data, sizeof(e->text));
	e->data += sizeof(e->text);
	e->bytes -= sizeof(e->text);
	if (e->bytes != (size_t)e->text.name_len + e->text.subject_len ||
	    !ft_match_name_sound(e->data, e->text.name_len, e->text.domain_off, e->text.zone_off))
		return 0;
	for (size_t i = e->text.name_len; i < e->bytes; i++)
		if (e->data[i] < 0x20 || e->data[i] > 0x7e)
			return 0;
	return 1;
}

/* Reads the entry at body[*at..bytes) and moves *at behind it. 1; 0 at the end; -1 for
 * octets that are no entry. */
static inline int ft_match_next(const uint8_t *body, size_t bytes, size_t *at,
				struct ft_match_entry *e)
{
	const size_t left = bytes - *at;

	if (left == 0)
		return 0;
	if (left < sizeof(e->id))
		return -1;
	memcpy(&e->id, body + *at, sizeof(e->id));
	if (e->id.bytes < sizeof(e->id) || e->id.bytes > left || e->id.part < FT_MATCH_COUNTS ||
	    e->id.part >= FT_MATCH_PART_CAP || e->id.vantage >= FT_VANTAGE_CAP ||
	    e->id.form >= FT_DNSBL_FORMS || e->id.result >= FT_DNSBL_RESULT_CAP)
		return -1;
	e->data = body + *at + sizeof(e->id);
	e->bytes = e->id.bytes - sizeof(e->id);
	*at += e->id.bytes;
	if (e->id.part == FT_MATCH_COUNTS) {
		if (e->bytes != sizeof(e->counts))
			return -1;
		memcpy(&e->counts, e->data, sizeof(e->counts));
	}
	if (e->id.part == FT_MATCH_TEXT && !ft_match_read_text(e))
		return -1;
	return 1;
}

/* Writes an entry of a part into out (FT_MATCH_ENTRY_CAP): the id, then body, then
 * more. Returns its octets. */
static inline uint16_t ft_match_write(uint8_t *out, struct ft_match_id id, enum ft_match_part part,
				      const void *body, size_t body_bytes)
{
	id.part = (uint8_t)part;
	id.bytes = (uint16_t)(sizeof(id) + body_bytes);
	memcpy(out, &id, sizeof(id));
	memcpy(out + sizeof(id), body, body_bytes);
	return id.bytes;
}

#endif
