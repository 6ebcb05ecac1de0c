/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Qnames of the generator: each a pure function of its rank (or serial number), so that no table of
 * strings is needed. Called from the generator's thread; owns nothing; never allocates.
 */
#ifndef FLUXTAP_GEN_NAME_H
#define FLUXTAP_GEN_NAME_H

#include "gen_rand.h"

enum { GEN_NAME_CAP = 255 };

/* An uncompressed wire name and where its parts begin, for pointers into it. */
struct gen_name {
	uint8_t len;
	uint8_t zone_off; /* registered domain */
	uint8_t tld_off;  /* its public suffix; the root's octet for names of one label */
	bool is_reverse;  /* in-addr.arpa: asked for PTR */
	uint8_t wire[GEN_NAME_CAP];
};

/* Kinds of unusual names. */
enum gen_name_odd {
	GEN_NAME_ROOT,
	GEN_NAME_TLD,
	GEN_NAME_LONGEST,     /* 255 octets in labels of 63 */
	GEN_NAME_DEEP,        /* 255 octets in labels of one */
	GEN_NAME_BYTES,       /* any octets, NUL, dot and backslash among them */
	GEN_NAME_UPPER,       /* upper case and the octets beside the letters, which do not fold */
	GEN_NAME_SERVICE,     /* _ldap._tcp. */
	GEN_NAME_HIGH_OCTETS, /* octets of 0x80 and more */
	GEN_NAME_ODDS
};

/* The name of `rank` (from 1 on); distinct for distinct ranks. */
void gen_name_rank(struct gen_name *n, uint32_t rank);

/* A name from its text; the last label is its zone. */
void gen_name_text(struct gen_name *n, const char *text);

/* The serial-th random-looking name under a victim zone; distinct for distinct serials. */
void gen_name_victim(struct gen_name *n, uint64_t serial, uint64_t seed);

void gen_name_odd(struct gen_name *n, enum gen_name_odd kind, struct gen_rng *r);

/* Gives each letter a random case (draft-vixie-dnsext-dns0x20). */
void gen_name_mix_case(struct gen_name *n, struct gen_rng *r);

/* A 64-bit hash of the name with A-Z folded. */
uint64_t gen_name_hash(const struct gen_name *n);

/* A stable property: about 30 % of the queries drawn by Zipf go to names that do not exist. */
bool gen_name_is_absent(uint32_t rank);

#endif
