/* SPDX-License-Identifier: BSD-3-Clause */
/* Entries of FT_REC_RRSET and FT_REC_RRSET_TEXT: when an RRset was seen.
 *
 * An RRset is (owner, type, side, set of rdata); an observation adds who saw it
 * ("view") and the minute. The first observation of a table entry may travel with
 * the text, and then the entry itself does not count it: control adds both up. Marks
 * (FT_RRSET_LONG) are entries that stand among the texts.
 * Merge: counts add, seconds and AA by OR, TTLs by minimum and maximum. */
#ifndef FLUXTAP_REC_RRSET_H
#define FLUXTAP_REC_RRSET_H

#include <fluxtap/dns.h>
#include <fluxtap/varint.h>

enum ft_rrset_type { FT_RRSET_A, FT_RRSET_AAAA, FT_RRSET_CNAME, FT_RRSET_NS, FT_RRSET_TYPE_CAP };

/* struct ft_rrset.what. */
enum {
	FT_RRSET_TYPE = 0x03,     /* enum ft_rrset_type */
	FT_RRSET_REFERRAL = 0x04, /* delegation or glue: what the parent says */
	FT_RRSET_VANTAGE = 0x18,  /* enum ft_vantage */
	FT_RRSET_VANTAGE_SHIFT = 3,
	FT_RRSET_LONG = 0x20, /* nothing but that the owner's TTL is beyond the gate */
	FT_RRSET_KEY = 0x3f,  /* what tells observations apart, the following do not */
	FT_RRSET_AA = 0x40,   /* an answer with AA=1 was among them */
	FT_RRSET_CUT = 0x80,  /* text: the rdata are not all there */
};
#define FT_RRSET_RECORDS_CAP 64u /* of one set */

struct ft_rrset {
	uint8_t what;
	uint8_t records;    /* distinct rdata in the set */
	uint32_t view;      /* hash of the address that decides the view, in every run the same */
	uint64_t owner_key; /* keyed hash of the owner, folded wire form */
	uint64_t set_key;   /* keyed fingerprint of the set of rdata */
	uint32_t minute;    /* counted from that in which the row begins */
	uint32_t ttl_min, ttl_max;
	uint64_t seconds; /* of the minute in which it was seen, one bit each; 0: FT_RRSET_LONG */
	uint64_t count;   /* observations */
};

struct ft_rrset_text {
	struct ft_rrset first; /* one observation */
	const uint8_t *owner;  /* folded wire form */
	uint32_t owner_len;
	/* Canonical rdata in rising order: 4 octets each, or 16, or names, each behind
	 * an octet of length. */
	const uint8_t *rdata;
	uint32_t rdata_bytes;
	uint32_t texts; /* rdata that are here */
};

#define FT_RRSET_ENTRY_CAP 80u /* octets of an FT_REC_RRSET entry at most: below 128 */
/* Octets of a text without owner and rdata at most. */
#define FT_RRSET_TEXT_FIXED_CAP 48u
#define FT_RRSET_SECONDS_LIST 7u /* so many are written as octets, more as a bitmap */

/* What entry and text begin with. */
static inline uint8_t *ft_rrset_put_head(uint8_t *p, const struct ft_rrset *x)
{
	p = ft_put_u8(p, x->what);
	p = ft_put_u64(p, x->owner_key);
	if ((x->what & FT_RRSET_LONG) != 0)
		return p;
	p = ft_put_varint(p, x->ttl_min);
	p = ft_put_varint(p, x->ttl_max - x->ttl_min);
	p = ft_put_u64(p, x->set_key);
	p = ft_put_u32(p, x->view);
	p = ft_put_varint(p, x->minute);
	return ft_put_u8(p, x->records);
}

/* Writes an entry into out (FT_RRSET_ENTRY_CAP). */
static inline size_t ft_rrset_write(const struct ft_rrset *x, uint8_t *out)
{
	uint8_t *p = ft_rrset_put_head(out + 1, x);
	const unsigned n = (unsigned)__builtin_popcountll(x->seconds);

	if ((x->what & FT_RRSET_LONG) == 0)
		p = ft_put_varint(p, x->count);
	if ((x->what & FT_RRSET_LONG) == 0 && n <= FT_RRSET_SECONDS_LIST) {
		p = ft_put_u8(p, (uint8_t)n);
		for (uint64_t left = x->seconds; left != 0; left &= left - 1)
			p = ft_put_u8(p, (uint8_t)__builtin_ctzll(left));
	} else if ((x->what & FT_RRSET_LONG) == 0) {
		p = ft_put_u8(p, FT_RRSET_SECONDS_LIST + 1);
		p = ft_put_u64(p, x->seconds);
	}
	return (size_t)(ft_entry_close_brief(out, p) - out);
}

/* Writes a text into out (FT_ENTRY_CAP); owner and rdata must fit. */
static inline size_t ft_rrset_text_write(const struct ft_rrset_text *x, uint8_t *out)
{
	uint8_t *p = ft_rrset_put_head(out + 1, &x->first);

	p = ft_put_u8(p, (uint8_t)__builtin_ctzll(x->first.seconds));
	p = ft_put_u8(p, (uint8_t)x->owner_len);
	p = ft_put_bytes(p, x->owner, x->owner_len);
	p = ft_put_u8(p, (uint8_t)x->texts);
	p = ft_put_bytes(p, x->rdata, x->rdata_bytes);
	return (size_t)(ft_entry_close(out, p) - out);
}

static inline void ft_rrset_get_head(struct ft_reader *r, struct ft_rrset *x)
{
	*x = (struct ft_rrset){.what = ft_get_u8(r)};
	x->owner_key = ft_get_u64(r);
	if ((x->what & FT_RRSET_LONG) != 0)
		return;
	x->ttl_min = (uint32_t)ft_get_varint(r, INT32_MAX);
	x->ttl_max = x->ttl_min + (uint32_t)ft_get_varint(r, INT32_MAX - x->ttl_min);
	x->set_key = ft_get_u64(r);
	x->view = ft_get_u32(r);
	x->minute = (uint32_t)ft_get_varint(r, 1440);
	x->records = ft_get_u8(r);
	if (x->records == 0 || x->records > FT_RRSET_RECORDS_CAP)
		r->bad = true;
}

static inline uint64_t ft_rrset_get_seconds(struct ft_reader *r, unsigned n)
{
	uint64_t seconds = 0;

	if (n == 0 || n > FT_RRSET_SECONDS_LIST + 1)
		r->bad = true;
	if (n == FT_RRSET_SECONDS_LIST + 1)
		seconds = ft_get_u64(r);
	for (unsigned i = 0; n <= FT_RRSET_SECONDS_LIST && i < n; i++) {
		const uint8_t second = ft_get_u8(r);
		seconds |= 1ull << (second & 63);
	}
	if (seconds == 0 || seconds >> 60 != 0)
		r->bad = true;
	return seconds;
}

/* Reads the body of an FT_REC_RRSET entry; false where it cannot be one. */
static inline bool ft_rrset_read(struct ft_reader *body, struct ft_rrset *x)
{
	ft_rrset_get_head(body, x);
	if ((x->what & FT_RRSET_LONG) != 0)
		return !body->bad && (x->what & FT_RRSET_CUT) == 0 && body->at == body->end;
	x->count = ft_get_varint(body, UINT64_MAX);
	x->seconds = ft_rrset_get_seconds(body, ft_get_u8(body));
	return !body->bad && (x->what & FT_RRSET_CUT) == 0 && x->count != 0 &&
	       body->at == body->end;
}

static inline bool ft_rrset_rdata_are_whole(const struct ft_rrset_text *x)
{
	struct ft_reader r = ft_reader_init(x->rdata, x->rdata_bytes);

	for (uint32_t i = 0; i < x->texts; i++) {
		if ((x->first.what & FT_RRSET_TYPE) == FT_RRSET_A) {
			(void)ft_get_bytes(&r, 4);
		} else if ((x->first.what & FT_RRSET_TYPE) == FT_RRSET_AAAA) {
			(void)ft_get_bytes(&r, 16);
		} else {
			const uint8_t n = ft_get_u8(&r);
			const uint8_t *name = ft_get_bytes(&r, n);
			if (name == NULL || !ft_name_is_whole(name, n))
				return false;
		}
	}
	return !r.bad && r.at == r.end;
}

/* Reads the body of an FT_REC_RRSET_TEXT entry; what it points at lies in the body. */
static inline bool ft_rrset_text_read(struct ft_reader *body, struct ft_rrset_text *x)
{
	ft_rrset_get_head(body, &x->first);
	x->first.count = 1;
	const uint8_t second = ft_get_u8(body);
	x->first.seconds = 1ull << (second & 63);
	x->owner_len = ft_get_u8(body);
	x->owner = ft_get_bytes(body, x->owner_len);
	x->texts = ft_get_u8(body);
	if (body->bad || second > 59 || (x->first.what & FT_RRSET_LONG) != 0)
		return false;
	x->rdata = body->at;
	x->rdata_bytes = (uint32_t)(body->end - body->at);
	const bool cut = (x->first.what & FT_RRSET_CUT) != 0;
	if (cut ? x->texts >= x->first.records : x->texts != x->first.records)
		return false;
	return ft_name_is_whole(x->owner, x->owner_len) && ft_rrset_rdata_are_whole(x);
}

#endif
