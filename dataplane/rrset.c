/* SPDX-License-Identifier: BSD-3-Clause */
#include "rrset.h"

#include "name.h"
#include "qname.h"

#define CLASS_IN 1u
#define CHAIN_CAP 17u /* names of a chain of CNAMEs */
#define COUNT_FACTOR 0x9e3779b97f4a7c15ull
static_assert(MSG_RR_CAP == 64 && FT_RRSET_RECORDS_CAP == MSG_RR_CAP, "a bit a record");

/* What is known of the records while they are read. */
struct reading {
	const struct rrset_source *s;
	uint64_t owner[MSG_RR_CAP], rdata[MSG_RR_CAP]; /* hashes; of a name: as a name's key */
	uint8_t type[MSG_RR_CAP];                      /* enum ft_rrset_type */
	uint64_t sound;                                /* those of which all this is filled */
	uint64_t tail; /* those whose owner is the asked name or above it, and not the root */
	/* The pointer that was the last owner, 0: none, and what it led to. */
	uint16_t pointer;
	bool pointer_tail;
	bool others; /* owners beside the asked name */
	uint64_t pointer_key;
};

static enum ft_rrset_type type_of(const struct rr *rr)
{
	if (rr->class != CLASS_IN)
		return FT_RRSET_TYPE_CAP;
	switch (rr->type) {
	case FT_QTYPE_A: return rr->rdlen == 4 ? FT_RRSET_A : FT_RRSET_TYPE_CAP;
	case FT_QTYPE_AAAA: return rr->rdlen == 16 ? FT_RRSET_AAAA : FT_RRSET_TYPE_CAP;
	case FT_QTYPE_CNAME: return FT_RRSET_CNAME;
	case FT_QTYPE_NS: return FT_RRSET_NS;
	default: return FT_RRSET_TYPE_CAP;
	}
}

static bool type_is_name(enum ft_rrset_type type)
{
	return type == FT_RRSET_CNAME || type == FT_RRSET_NS;
}

/* A name that ends where the rdata ends; its length, or 0. */
static uint32_t read_target(const struct msg *m, const struct rr *rr, uint8_t *out)
{
	struct cursor c = cursor_init(m->data, rr->rdata_off, m->len);
	uint32_t n = 0;

	if (name_read(&c, out, &n) != FT_MSG_KEPT || c.off != (uint32_t)rr->rdata_off + rr->rdlen)
		return 0;
	return n;
}

static bool read_rdata(struct reading *r, uint32_t i)
{
	const struct msg *m = r->s->m;
	const struct rr *rr = &r->s->rr[i];
	uint8_t name[NAME_BUF_BYTES];
	uint64_t lo, hi;
	uint32_t v4;

	switch ((enum ft_rrset_type)r->type[i]) {
	case FT_RRSET_A:
		memcpy(&v4, m->data + rr->rdata_off, sizeof(v4));
		r->rdata[i] = hash_mix(v4 ^ r->s->name_seed);
		return true;
	case FT_RRSET_AAAA:
		memcpy(&lo, m->data + rr->rdata_off, sizeof(lo));
		memcpy(&hi, m->data + rr->rdata_off + 8, sizeof(hi));
		r->rdata[i] = hash_mix(hash_mix(lo ^ r->s->name_seed) ^ hi);
		return true;
	case FT_RRSET_CNAME:
	case FT_RRSET_NS: {
		const uint32_t n = read_target(m, rr, name);
		r->rdata[i] = n != 0 ? name_hash(name, n, r->s->name_seed) : 0;
		return n != 0;
	}
	case FT_RRSET_TYPE_CAP: break;
	}
	return false;
}

/* The long way; false where the name is damaged. */
static bool read_owner_name(struct reading *r, uint32_t off, uint64_t *key, bool *tail)
{
	const struct rrset_source *s = r->s;
	struct cursor c = cursor_init(s->m->data, off, s->m->len);
	uint8_t name[NAME_BUF_BYTES];
	uint32_t n = 0;

	if (name_read(&c, name, &n) != FT_MSG_KEPT)
		return false;
	*key = name_hash(name, n, s->name_seed);
	*tail = n > 1 && qname_offset_of(s->name, s->m->name_len, name, n) < s->m->name_len;
	return true;
}

/* Where a pointer leads, without reading the name again where it is known. */
static bool read_owner_pointer(struct reading *r, uint32_t i, uint16_t pointer, uint64_t *key,
			       bool *tail)
{
	const struct rrset_source *s = r->s;
	const uint32_t to = pointer & 0x3fffu;
	const uint32_t at = qname_offset(s->m, s->name, to);

	if (at + 1u < s->m->name_len) {
		*key = name_hash(s->name + at, s->m->name_len - at, s->name_seed);
		*tail = true;
		return true;
	}
	/* The target of a CNAME or NS before. Whether that is above the question does not
	 * matter but for delegations, which go the long way. */
	for (uint64_t left = type_is_name(r->type[i]) ? 0 : r->sound; left != 0; left &= left - 1) {
		const unsigned j = (unsigned)__builtin_ctzll(left);
		if (s->rr[j].rdata_off != to || !type_is_name(r->type[j]))
			continue;
		*key = r->rdata[j];
		*tail = false;
		return true;
	}
	if (!read_owner_name(r, s->rr[i].owner_off, key, tail))
		return false;
	r->pointer = pointer;
	r->pointer_key = *key;
	r->pointer_tail = *tail;
	return true;
}

static bool read_owner(struct reading *r, uint32_t i)
{
	const struct rrset_source *s = r->s;
	const uint32_t off = s->rr[i].owner_off;
	const uint16_t pointer = load_u16_be(s->m->data + off); /* type and more follow */
	bool tail = true;

	if (pointer == QNAME_POINTER) {
		r->owner[i] = s->m->name_key;
		r->tail |= (uint64_t)(s->m->name_len > 1) << i;
		return true;
	}
	r->others = true;
	if (pointer < 0xc000) {
		if (!read_owner_name(r, off, &r->owner[i], &tail))
			return false;
	} else if (pointer == r->pointer) {
		r->owner[i] = r->pointer_key;
		tail = r->pointer_tail;
	} else if (!read_owner_pointer(r, i, pointer, &r->owner[i], &tail)) {
		return false;
	}
	r->tail |= (uint64_t)tail << i;
	return true;
}

static void read_records(struct reading *r, uint8_t last_section)
{
	const struct rrset_source *s = r->s;

	for (uint32_t i = 0; i < s->m->rrs && s->rr[i].section <= last_section; i++) {
		const enum ft_rrset_type type = type_of(&s->rr[i]);
		if (type == FT_RRSET_TYPE_CAP)
			continue;
		r->type[i] = (uint8_t)type;
		if (read_owner(r, i) && read_rdata(r, i))
			r->sound |= 1ull << i;
	}
}

/* Records whose owner is the asked name or one that CNAMEs lead to from there. */
static uint64_t follow_chain(const struct reading *r)
{
	uint64_t name[CHAIN_CAP], found = 0;
	uint32_t names = 1;

	if (!r->others)
		return r->sound;
	name[0] = r->s->m->name_key;
	for (uint32_t at = 0; at < names; at++) {
		for (uint64_t left = r->sound & ~found; left != 0; left &= left - 1) {
			const unsigned i = (unsigned)__builtin_ctzll(left);
			if (r->owner[i] != name[at])
				continue;
			found |= 1ull << i;
			if (r->type[i] == FT_RRSET_CNAME && names < CHAIN_CAP)
				name[names++] = r->rdata[i];
		}
	}
	return found;
}

/* The delegation in the authority section, and addresses of its servers. */
static uint64_t follow_referral(const struct reading *r)
{
	uint64_t found = 0, glue = 0;

	for (uint64_t left = r->sound; left != 0; left &= left - 1) {
		const unsigned i = (unsigned)__builtin_ctzll(left);
		const uint8_t section = r->s->rr[i].section;
		if (section == RR_AUTHORITY && r->type[i] == FT_RRSET_NS && (r->tail >> i & 1) != 0)
			found |= 1ull << i;
		if (section == RR_ADDITIONAL && !type_is_name(r->type[i]))
			glue |= 1ull << i;
	}
	const uint64_t delegation = found;
	for (; glue != 0; glue &= glue - 1) {
		const unsigned i = (unsigned)__builtin_ctzll(glue);
		for (uint64_t left = delegation; left != 0; left &= left - 1) {
			if (r->rdata[__builtin_ctzll(left)] != r->owner[i])
				continue;
			found |= 1ull << i;
			break;
		}
	}
	return found;
}

/* Takes the records of the first one's owner and type out of *left. */
static void take_set(const struct reading *r, uint64_t *left, struct rrset *out)
{
	const unsigned first = (unsigned)__builtin_ctzll(*left);

	*out = (struct rrset){
	    .owner_key = r->owner[first], .what = r->type[first], .ttl_min = UINT32_MAX};
	for (uint64_t rest = *left; rest != 0; rest &= rest - 1) {
		const unsigned i = (unsigned)__builtin_ctzll(rest);
		/* RFC 2181 section 8. */
		const uint32_t ttl = r->s->rr[i].ttl > INT32_MAX ? 0 : r->s->rr[i].ttl;
		bool twice = false;
		if (r->owner[i] != out->owner_key || r->type[i] != out->what)
			continue;
		*left &= ~(1ull << i);
		out->ttl_min = ttl < out->ttl_min ? ttl : out->ttl_min;
		out->ttl_max = ttl > out->ttl_max ? ttl : out->ttl_max;
		for (uint64_t m = out->members; m != 0 && !twice; m &= m - 1)
			twice = r->rdata[__builtin_ctzll(m)] == r->rdata[i];
		if (twice)
			continue;
		out->members |= 1ull << i;
		out->records++;
		out->set_key += r->rdata[i];
	}
	out->set_key += out->records * COUNT_FACTOR;
}

uint32_t rrset_read(const struct rrset_source *s, struct rrset *out, bool *cut)
{
	const struct msg *m = s->m;
	const bool referral = m->class == FT_CLASS_REFERRAL;
	struct reading r;
	uint32_t n = 0, answers = 0;

	while (answers < m->rrs && s->rr[answers].section == RR_ANSWER)
		answers++;
	*cut = referral ? m->malformed || m->rrs == MSG_RR_CAP : answers < m->ancount;
	if (*cut || (!referral && answers == 0))
		return 0;
	r.s = s;
	r.sound = r.tail = 0;
	r.pointer = 0;
	r.others = false;
	read_records(&r, referral ? RR_ADDITIONAL : RR_ANSWER);
	for (uint64_t left = referral ? follow_referral(&r) : follow_chain(&r); left != 0; n++) {
		take_set(&r, &left, &out[n]);
		out[n].what |= referral ? FT_RRSET_REFERRAL : 0;
	}
	return n;
}

static int compare_octets(const uint8_t *a, uint32_t a_len, const uint8_t *b, uint32_t b_len)
{
	const int d = memcmp(a, b, a_len < b_len ? a_len : b_len);

	return d != 0 ? d : (a_len > b_len) - (a_len < b_len);
}

/* One rdata as a text holds it (at most 256 octets); how many. */
static uint32_t write_rdata(const struct rrset_source *s, unsigned i, enum ft_rrset_type type,
			    uint8_t *out)
{
	const struct rr *rr = &s->rr[i];

	if (!type_is_name(type)) {
		memcpy(out, s->m->data + rr->rdata_off, rr->rdlen);
		return rr->rdlen;
	}
	uint8_t name[NAME_BUF_BYTES];
	const uint32_t n = read_target(s->m, rr, name);
	out[0] = (uint8_t)n;
	memcpy(out + 1, name, n);
	return n + 1;
}

/* The set's rdata in rising order, each once; sets of one member are the most. */
static void write_sorted(const struct rrset_source *s, const struct rrset *set, uint8_t *out,
			 uint32_t room, struct ft_rrset_text *t)
{
	uint8_t all[MSG_RR_CAP * (FT_NAME_CAP + 1)];
	struct {
		uint16_t off, len;
	} at[MSG_RR_CAP];
	uint32_t n = 0, used = 0;

	for (uint64_t left = set->members; left != 0; left &= left - 1, n++) {
		const uint32_t len = write_rdata(s, (unsigned)__builtin_ctzll(left),
						 set->what & FT_RRSET_TYPE, all + used);
		uint32_t i = n;
		for (; i > 0 &&
		       compare_octets(all + used, len, all + at[i - 1].off, at[i - 1].len) < 0;
		     i--)
			at[i] = at[i - 1];
		at[i].off = (uint16_t)used;
		at[i].len = (uint16_t)len;
		used += len;
	}
	t->rdata = out;
	t->rdata_bytes = t->texts = 0;
	for (; t->texts < n && t->rdata_bytes + at[t->texts].len <= room; t->texts++) {
		memcpy(out + t->rdata_bytes, all + at[t->texts].off, at[t->texts].len);
		t->rdata_bytes += at[t->texts].len;
	}
}

void rrset_text(const struct rrset_source *s, const struct rrset *set, uint8_t *room,
		struct ft_rrset_text *out)
{
	const struct rr *first = &s->rr[__builtin_ctzll(set->members)];

	if (load_u16_be(s->m->data + first->owner_off) == QNAME_POINTER) {
		out->owner = s->name;
		out->owner_len = s->m->name_len;
	} else {
		struct cursor c = cursor_init(s->m->data, first->owner_off, s->m->len);
		out->owner = room;
		out->owner_len = 0;
		(void)name_read(&c, room, &out->owner_len); /* it could be read before */
	}
	write_sorted(s, set, room + NAME_BUF_BYTES,
		     FT_ENTRY_CAP - FT_RRSET_TEXT_FIXED_CAP - NAME_BUF_BYTES, out);
	if (out->texts < set->records)
		out->first.what |= FT_RRSET_CUT;
}
