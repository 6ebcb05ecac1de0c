/* SPDX-License-Identifier: BSD-3-Clause */
#include "pair.h"

#include "fetch.h"
#include "mem.h"
#include "name.h"
#include "qname.h"
#include "sketch.h"

#include <emmintrin.h>
#include <errno.h>
#include <stdlib.h>

#define NONE UINT32_MAX
/* A wheel of 64 buckets of 131 ms: 8.4 s, more than the longest wait and the
 * batch that may stand between. */
#define WHEEL_SHIFT 17
#define WHEEL_CAP 64u

/* Where a slot stands beside the wheel: in its queue and before its group, in its
 * queue and behind another of its group, or nowhere any more because its time is up. */
enum place { PLACE_HEAD, PLACE_BEHIND, PLACE_STALE };

/* A waiting query. Slots with one key, name and type form a group: its oldest
 * stands in the bucket's chain, the others hang behind it. Beside that each stands
 * in the queue of its key's bucket, which responses without a question go along. */
struct slot {
	/* line 1: to find it */
	_Alignas(CACHE_LINE) uint64_t key;
	uint64_t name_key;
	uint64_t deadline_us;
	uint32_t chain_next, chain_prev; /* groups of a bucket; of group heads only */
	uint32_t dup_next, dup_prev;     /* within the group, oldest first */
	uint32_t dup_last;               /* of the group; kept in its head */
	uint32_t wheel_next, wheel_prev;
	uint32_t bucket; /* of the chain */
	uint32_t wheel_bucket;
	uint32_t place; /* enum place */
	/* line 2: to count it */
	struct query q;
	uint32_t queue_next, queue_prev; /* oldest first */
};
static_assert(offsetof(struct slot, q) == CACHE_LINE, "line 2 begins here");
static_assert(sizeof(struct slot) == 2 * CACHE_LINE, "two lines a waiting query");

/* Who asked, and for what: needed again only if no response says so. */
struct asked {
	struct addr client, server;
	uint8_t cookie[PAIR_COOKIE_CAP];
	uint8_t name_len;
	uint8_t name[FT_NAME_CAP]; /* as on the wire, where it has no pointer in it; else folded */
};

/* Both ends of a queue, as slot number + 1: 0 means none, see head_get. */
struct queue {
	uint32_t first, last;
};

struct pair {
	uint64_t hash_key, wait_us, interval_us;
	uint32_t entries, buckets; /* buckets: power of two */
	uint32_t free_first;       /* stack through dup_next: the slot used last is used next */
	uint32_t used;             /* slots ever taken from the untouched end */
	size_t held;
	uint64_t wheel_now;        /* first wheel turn not yet settled */
	uint32_t wheel[WHEEL_CAP]; /* first slot of each bucket */
	uint32_t *heads;      /* first group of each bucket by key, name and type: see head_get */
	struct queue *queues; /* of each bucket by key alone */
	struct slot *slots;
	struct asked *asked; /* of each slot */
	struct retry *retry;
	bool joins;
	struct retry_left left[MSG_CAP]; /* of what was handed out */
	uint8_t cookie[MSG_CAP][PAIR_COOKIE_CAP];
	uint8_t name[MSG_CAP]
		    [NAME_BUF_BYTES + NAME_PAD_BYTES]; /* the other of a name's two forms */
};

/* Heads hold slot number + 1, so that fresh zeroed memory is an empty table. */
static uint32_t head_get(const struct pair *p, uint32_t bucket)
{
	return p->heads[bucket] - 1;
}

static void head_put(struct pair *p, uint32_t bucket, uint32_t slot)
{
	p->heads[bucket] = slot + 1;
}

struct pair *pair_create(size_t entries, uint64_t wait_us, uint64_t interval_us, uint64_t hash_key,
			 bool joins)
{
	struct pair *p;
	uint32_t buckets = 1024;

	if (entries == 0 || entries >= NONE / 2 || wait_us > 5000000 || interval_us == 0) {
		errno = EINVAL;
		return NULL;
	}
	/* Far fewer than entries: few queries wait where answers come, and then both
	 * indexes stay in the L2 cache; where all wait, a chain holds eight. */
	while (buckets < entries / 8)
		buckets *= 2;
	p = calloc(1, sizeof(*p));
	if (p == NULL)
		return NULL;
	p->hash_key = hash_key;
	p->wait_us = wait_us;
	p->interval_us = interval_us;
	p->entries = (uint32_t)entries;
	p->buckets = buckets;
	p->free_first = NONE;
	memset(p->wheel, 0xff, sizeof(p->wheel));
	p->heads = mem_map(buckets * sizeof(*p->heads));
	p->queues = mem_map(buckets * sizeof(*p->queues));
	p->slots = mem_map(entries * sizeof(*p->slots));
	p->asked = mem_map(entries * sizeof(*p->asked));
	dd_init();
	p->joins = joins;
	p->retry = retry_create(entries, joins);
	if (p->heads == NULL || p->queues == NULL || p->slots == NULL || p->asked == NULL ||
	    p->retry == NULL) {
		pair_destroy(p);
		errno = ENOMEM;
		return NULL;
	}
	return p;
}

void pair_destroy(struct pair *p)
{
	if (p == NULL)
		return;
	retry_destroy(p->retry);
	mem_unmap(p->asked, p->entries * sizeof(*p->asked));
	mem_unmap(p->slots, p->entries * sizeof(*p->slots));
	mem_unmap(p->queues, p->buckets * sizeof(*p->queues));
	mem_unmap(p->heads, p->buckets * sizeof(*p->heads));
	free(p);
}

size_t pair_held(const struct pair *p)
{
	return p->held;
}

static uint32_t slot_take(struct pair *p)
{
	const uint32_t s = p->free_first;

	if (s != NONE) {
		p->free_first = p->slots[s].dup_next;
		return s;
	}
	return p->used < p->entries ? p->used++ : NONE;
}

static void wheel_add(struct pair *p, uint32_t s)
{
	struct slot *e = &p->slots[s];
	uint64_t turn = e->deadline_us >> WHEEL_SHIFT;

	if (turn < p->wheel_now)
		turn = p->wheel_now; /* the bucket that is looked at next */
	e->wheel_bucket = (uint16_t)(turn % WHEEL_CAP);
	e->wheel_prev = NONE;
	e->wheel_next = p->wheel[e->wheel_bucket];
	if (e->wheel_next != NONE)
		p->slots[e->wheel_next].wheel_prev = s;
	p->wheel[e->wheel_bucket] = s;
}

static void wheel_del(struct pair *p, uint32_t s)
{
	const struct slot *e = &p->slots[s];

	if (e->wheel_prev != NONE)
		p->slots[e->wheel_prev].wheel_next = e->wheel_next;
	else
		p->wheel[e->wheel_bucket] = e->wheel_next;
	if (e->wheel_next != NONE)
		p->slots[e->wheel_next].wheel_prev = e->wheel_prev;
}

/* Puts slot `s` into the place that `old` has in its bucket's chain. */
static void chain_replace(struct pair *p, uint32_t old, uint32_t s)
{
	const struct slot *o = &p->slots[old];
	struct slot *e = &p->slots[s];

	e->place = PLACE_HEAD;
	e->chain_next = o->chain_next;
	e->chain_prev = o->chain_prev;
	e->dup_prev = NONE;
	e->dup_last = o->dup_last;
	if (e->chain_prev != NONE)
		p->slots[e->chain_prev].chain_next = s;
	else
		head_put(p, e->bucket, s);
	if (e->chain_next != NONE)
		p->slots[e->chain_next].chain_prev = s;
}

static void chain_del(struct pair *p, uint32_t s)
{
	const struct slot *e = &p->slots[s];

	if (e->chain_prev != NONE)
		p->slots[e->chain_prev].chain_next = e->chain_next;
	else
		head_put(p, e->bucket, e->chain_next);
	if (e->chain_next != NONE)
		p->slots[e->chain_next].chain_prev = e->chain_prev;
}

/* The head of the group of a key, name and type. Chains are short whatever the
 * traffic: all three decide the bucket, and the run's secret is in two of them. */
static uint32_t group_get(const struct pair *p, uint32_t bucket, uint64_t key, uint64_t name_key,
			  uint16_t qtype)
{
	uint32_t s = head_get(p, bucket);

	while (s != NONE && (p->slots[s].key != key || p->slots[s].name_key != name_key ||
			     p->slots[s].q.qtype != qtype))
		s = p->slots[s].chain_next;
	return s;
}

static struct queue *queue_of(const struct pair *p, uint64_t key)
{
	return &p->queues[key & (p->buckets - 1)];
}

static void queue_add(struct pair *p, uint32_t s)
{
	struct slot *e = &p->slots[s];
	struct queue *queue = queue_of(p, e->key);

	e->queue_prev = queue->last - 1;
	e->queue_next = NONE;
	if (e->queue_prev != NONE)
		p->slots[e->queue_prev].queue_next = s;
	else
		queue->first = s + 1;
	queue->last = s + 1;
}

static void queue_del(struct pair *p, uint32_t s)
{
	const struct slot *e = &p->slots[s];
	struct queue *queue = queue_of(p, e->key);

	if (e->queue_prev != NONE)
		p->slots[e->queue_prev].queue_next = e->queue_next;
	else
		queue->first = e->queue_next + 1;
	if (e->queue_next != NONE)
		p->slots[e->queue_next].queue_prev = e->queue_prev;
	else
		queue->last = e->queue_prev + 1;
}

/* Takes a slot out of its group and its queue, so that no response finds it any more. */
static void index_del(struct pair *p, uint32_t s)
{
	struct slot *e = &p->slots[s];

	if (e->place != PLACE_STALE)
		queue_del(p, s);
	if (e->place == PLACE_HEAD && e->dup_next != NONE) {
		chain_replace(p, s, e->dup_next);
	} else if (e->place == PLACE_HEAD) {
		chain_del(p, s);
	} else if (e->place == PLACE_BEHIND) {
		p->slots[e->dup_prev].dup_next = e->dup_next;
		if (e->dup_next != NONE)
			p->slots[e->dup_next].dup_prev = e->dup_prev;
		else
			p->slots[group_get(p, e->bucket, e->key, e->name_key, e->q.qtype)]
			    .dup_last = e->dup_prev;
	}
	e->place = PLACE_STALE;
}

static void slot_remove(struct pair *p, uint32_t s)
{
	index_del(p, s);
	wheel_del(p, s);
	p->slots[s].dup_next = p->free_first;
	p->free_first = s;
	p->held--;
}

/* The same for a query and its response: client first, server second. */
static uint64_t key_of(const struct pair *p, const struct msg *m)
{
	const uint32_t both = (uint32_t)m->sport << 16 | m->dport,
		       turn = (uint32_t)m->dns_flags >> 15 << 4;
	const uint64_t ports = (uint32_t)(both << turn | (uint32_t)((uint64_t)both << turn >> 32));
	const uint64_t rest = ports << 32 | (uint64_t)m->id << 1 | m->tcp;
	return hash_fold(addr_fold(msg_client(m), p->hash_key) ^ rest, 0x9e3779b97f4a7c15ull) ^
	       addr_fold(msg_server(m), ~p->hash_key);
}

static uint32_t bucket_of(const struct pair *p, const struct msg *m, uint64_t key)
{
	return (uint32_t)hash_fold(key ^ m->qtype, m->name_key ^ p->hash_key) & (p->buckets - 1);
}

/* Whether a query's time is up is decided by the event clock at the response's
 * packet and not by how far the wheel has turned, so that the split into batches
 * and workers never shows. Stale ones that a search meets leave the index, each
 * once, and settle with the wheel: the clock never goes back, nothing would find
 * them later either. */
static bool is_stale(const struct slot *e, const struct msg *m)
{
	return e->deadline_us < m->now_us;
}

/* Packets that are out of order say by their own times that the response came too late,
 * whatever the clock was. In order, this says the same as the clock. */
static bool is_too_old(const struct pair *p, const struct slot *e, const struct msg *m)
{
	return m->ts_us > e->q.ts_us + p->wait_us;
}

/* A query that comes behind later packets gets its time on the clock all the same, as far
 * as its interval stays open. */
static uint64_t deadline_of(const struct pair *p, const struct msg *m)
{
	if (m->now_us == m->t_us)
		return m->t_us + p->wait_us;
	const uint64_t end_us = (m->t_us / p->interval_us + 1) * p->interval_us;
	return (m->now_us < end_us ? m->now_us : end_us) + p->wait_us;
}

/* What its late response will be known by. */
static uint64_t late_key(uint64_t key, uint64_t name_key, uint16_t qtype)
{
	return hash_fold(key ^ qtype, name_key ^ 0x9e3779b97f4a7c15ull);
}

/* Its time is up, and nothing finds it any more. */
static void outlive(struct pair *p, uint32_t s)
{
	const struct slot *e = &p->slots[s];

	if (e->place == PLACE_STALE)
		return;
	if (e->q.has_name)
		retry_late_put(p->retry, late_key(e->key, e->name_key, e->q.qtype),
			       e->deadline_us + RETRY_LATE_US);
	index_del(p, s);
}

/* The oldest query of the response's name and type. */
static uint32_t find_same(struct pair *p, uint64_t key, uint32_t bucket, const struct msg *m)
{
	uint32_t s = group_get(p, bucket, key, m->name_key, m->qtype);

	while (s != NONE && (is_stale(&p->slots[s], m) || is_too_old(p, &p->slots[s], m))) {
		const uint32_t next = p->slots[s].dup_next;
		outlive(p, s);
		s = next;
	}
	return s;
}

/* The oldest query of the response's key: a response without a question answers any
 * (RFC 7873 5.2.2 and servers that refuse before they parse). On its way are as many
 * queries of other keys as there are to a bucket on average, at most one. */
static uint32_t find_any(struct pair *p, uint64_t key, const struct msg *m)
{
	uint32_t s = queue_of(p, key)->first - 1;

	while (s != NONE) {
		const struct slot *e = &p->slots[s];
		const uint32_t next = e->queue_next;
		if (is_stale(e, m) || (e->key == key && is_too_old(p, e, m)))
			outlive(p, s);
		else if (e->key == key)
			break;
		s = next;
	}
	return s;
}

static void fill_query(struct slot *e, const struct msg *m)
{
	e->q = (struct query){
	    .t_us = m->t_us,
	    .ts_us = m->ts_us,
	    .client_sketch = m->client_sketch,
	    .name_sketch = m->verdict != NULL ? m->verdict->name_sketch : 0,
	    .edns = m->edns,
	    .bytes = (uint16_t)m->len,
	    .qtype = m->qtype,
	    .qclass = m->qclass,
	    .opcode = msg_opcode(m),
	    .transport = (uint8_t)msg_transport(m),
	    .vantage = m->vantage,
	    .rd = (m->dns_flags & DNS_RD) != 0,
	    .has_name = m->name_len != 0,
	    .malformed = m->malformed,
	    .cd = (m->dns_flags & DNS_CD) != 0,
	    .port = m->sport,
	};
}

/* Looks at the first sixteen octets: who mixes case (0x20) does so in all labels. */
static bool has_capitals(const struct msg *m, const uint8_t *name)
{
	const uint32_t n = m->name_len < 16 ? m->name_len : 16;

	if (!m->plain)
		return false;
	if (m->len < 12 + 16)
		return memcmp(m->data + 12, name, n) != 0;
	const __m128i raw = _mm_loadu_si128((const void *)(m->data + 12)),
		      folded = _mm_loadu_si128((const void *)name);
	const uint32_t same = (uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(raw, folded));
	return (~same & ((1u << n) - 1)) != 0;
}

static void keep_cookie(struct asked *a, const struct msg *m)
{
	const uint8_t *option = m->data + m->cookie_off;
	const uint32_t len = (uint32_t)option[0] << 8 | option[1];

	if (pair_cookie_is_legal(len))
		memcpy(a->cookie, option + 2, len);
}

static uint8_t cookie_len(const struct msg *m)
{
	const uint8_t *option = m->data + m->cookie_off;
	const uint32_t len = (uint32_t)option[0] << 8 | option[1];

	return (uint8_t)(len < PAIR_COOKIE_CAP + 1 ? len + 1 : PAIR_COOKIE_CAP + 2);
}

/* Copies a name of n octets, of which `room` may be read, into NAME_PAD_BYTES or more: two
 * pieces, whatever the length, and no branch on it. */
static void copy_name(uint8_t *to, const uint8_t *name, uint32_t n, uint32_t room)
{
	const uint32_t more = n < 16 ? 0 : n < 32 ? n - 16 : 16;

	if (room < 16) {
		memcpy(to, name, n);
		return;
	}
	memcpy(to, name, 16);
	memcpy(to + more, name + more, 16);
	if (n > 32)
		memcpy(to + 32, name + 32, n - 32);
}

static void fill_asked(struct asked *a, const struct msg *m, const uint8_t *name)
{
	a->client = m->src;
	a->server = m->dst;
	if (m->cookie_off != 0)
		keep_cookie(a, m);
	a->name_len = m->name_len;
	/* Few need it: they fold it once more. */
	if (m->plain)
		copy_name(a->name, m->data + QNAME_AT, m->name_len, m->len - QNAME_AT);
	else
		copy_name(a->name, name, m->name_len, NAME_PAD_BYTES);
}

/* Not for duplicates: they are no question of their own. */
static void look_for_retry(struct pair *p, uint32_t s, const struct msg *m)
{
	struct query *q = &p->slots[s].q;
	const uint8_t vantage = pair_vantage(m->vantage, q->rd);

	q->retry = retry_put(p->retry, s, pair_group(q->client_sketch, q->name_sketch, q->qtype),
			     q->t_us, &m->dst, vantage);
}

/* The query's node: it was answered, or its time is up. */
static void leave_retry(struct pair *p, uint32_t s, bool answered, struct txn *t, uint32_t number)
{
	const struct query *q = &p->slots[s].q;

	t->left = NULL;
	if (!p->joins || !q->has_name || q->dup)
		return;
	if (q->retry) {
		p->left[number % MSG_CAP] = p->retry->left[s];
		t->left = &p->left[number % MSG_CAP];
	}
	if (answered)
		retry_del(p->retry, s);
	else
		retry_expire(p->retry, s);
}

static void put_query(struct pair *p, struct msg *m, const uint8_t *name, uint64_t key,
		      uint32_t bucket)
{
	const uint32_t s = slot_take(p);

	if (s == NONE) {
		m->drop = FT_MSG_PAIR_FULL;
		return;
	}
	struct slot *e = &p->slots[s];
	e->key = key;
	e->name_key = m->name_key;
	e->deadline_us = deadline_of(p, m);
	e->bucket = bucket;
	e->dup_next = NONE;
	fill_query(e, m);
	e->q.capitals = has_capitals(m, name);
	if (m->cookie_off != 0)
		e->q.cookie = cookie_len(m);
	fill_asked(&p->asked[s], m, name);
	wheel_add(p, s);
	queue_add(p, s);
	p->held++;
	const uint32_t first = head_get(p, bucket);
	const uint32_t group = group_get(p, bucket, key, m->name_key, m->qtype);
	const struct slot *last_alike = group != NONE ? &p->slots[p->slots[group].dup_last] : NULL;
	e->q.dup = last_alike != NULL && !is_stale(last_alike, m) && !is_too_old(p, last_alike, m);
	if (p->joins && e->q.has_name && !e->q.dup)
		look_for_retry(p, s, m);
	if (group != NONE) {
		const uint32_t last = p->slots[group].dup_last;
		e->place = PLACE_BEHIND;
		e->dup_prev = last;
		p->slots[last].dup_next = s;
		p->slots[group].dup_last = s;
		return;
	}
	e->place = PLACE_HEAD;
	e->dup_prev = NONE;
	e->dup_last = s;
	e->chain_prev = NONE;
	e->chain_next = first;
	if (first != NONE)
		p->slots[first].chain_prev = s;
	head_put(p, bucket, s);
}

static void fill_response(struct txn *t, const struct msg *m, const uint8_t *name)
{
	t->response = m;
	t->client = &m->dst;
	t->server = &m->src;
	t->name = name;
	t->raw = NULL;
	t->name_len = m->name_len;
	t->verdict = m->verdict;
	t->has_response = true;
	t->settled_us = t->response_us = m->t_us;
	t->aa = (m->dns_flags & DNS_AA) != 0;
	t->ra = (m->dns_flags & DNS_RA) != 0;
	t->rd = (m->dns_flags & DNS_RD) != 0;
	t->malformed = m->malformed != 0;
	t->tc = !m->tcp && (m->dns_flags & DNS_TC) != 0;
	t->class = m->class;
	t->rcode = m->rcode;
	t->bytes = (uint16_t)m->len;
	t->vantage = m->vantage;
}

static const uint8_t *fold_name(struct pair *p, const struct asked *a, uint32_t number)
{
	uint8_t *name = p->name[number % MSG_CAP];

	(void)name_read_plain(a->name, a->name_len, name);
	return name;
}

/* number: of the transaction, among those handed out. */
static void settle_timeout(struct pair *p, uint32_t s, uint64_t settled_us, struct txn *t,
			   uint32_t number)
{
	const struct asked *a = &p->asked[s];

	t->q = p->slots[s].q;
	t->has_query = true;
	t->has_response = false;
	t->settled_us = settled_us;
	t->response = NULL;
	t->client = &a->client;
	t->server = &a->server;
	t->raw = a->name;
	t->name = fold_name(p, a, number);
	t->name_len = a->name_len;
	t->verdict = NULL;
	t->late = t->tc = false;
	t->cookie = a->cookie;
	leave_retry(p, s, false, t, number);
	outlive(p, s);
	slot_remove(p, s);
}

/* The slot is the next query's: what it was asked for goes into the batch's arena, where a
 * message without a name leaves room for one, and as on the wire beside it. */
static void keep_name(struct pair *p, struct msgs *batch, const struct asked *a, struct txn *t,
		      uint32_t number)
{
	uint8_t *name = batch->names + batch->names_used;

	memcpy(p->name[number], a->name, a->name_len);
	(void)name_read_plain(a->name, a->name_len, name);
	batch->names_used += a->name_len;
	t->raw = p->name[number];
	t->name = name;
	t->name_len = a->name_len;
}

static void take_response(struct pair *p, struct msgs *batch, const struct msg *m, uint64_t key,
			  uint32_t bucket, struct txn *t, uint32_t number)
{
	const uint32_t s = m->name_len != 0 ? find_same(p, key, bucket, m) : find_any(p, key, m);

	t->has_query = s != NONE;
	fill_response(t, m, batch->names + m->name_off);
	t->late = false;
	if (s == NONE) {
		t->left = NULL;
		t->late = m->name_len != 0 &&
			  retry_late_take(p->retry, late_key(key, m->name_key, m->qtype), m->t_us);
		return;
	}
	leave_retry(p, s, true, t, number);
	t->q = p->slots[s].q;
	if (t->q.cookie != 0) { /* the slot is the next query's */
		memcpy(p->cookie[number], p->asked[s].cookie, PAIR_COOKIE_CAP);
		t->cookie = p->cookie[number];
	}
	if (t->q.t_us > t->settled_us) /* captured out of order */
		t->settled_us = t->q.t_us;
	t->rtt_us = m->ts_us > t->q.ts_us ? m->ts_us - t->q.ts_us : 0;
	t->rtt_bin = dd_bin(t->rtt_us);
	if (m->name_len == 0)
		keep_name(p, batch, &p->asked[s], t, number);
	slot_remove(p, s);
}

STAGE uint32_t pair_step(struct pair *p, struct msgs *batch, struct txn *out)
{
	uint64_t key[MSG_CAP];
	uint32_t bucket[MSG_CAP], n = 0;

	for (uint32_t i = 0; i < batch->n; i++) {
		key[i] = key_of(p, &batch->m[i]);
		bucket[i] = bucket_of(p, &batch->m[i], key[i]);
		fetch_read(&p->heads[bucket[i]]);
		fetch_read(queue_of(p, key[i]));
	}
	for (uint32_t i = 0; i < batch->n; i++) {
		const uint32_t s = head_get(p, bucket[i]);
		if (s != NONE) {
			fetch_read(&p->slots[s]);
			fetch_read(&p->slots[s].q);
		}
		const struct queue *queue = queue_of(p, key[i]);
		if (queue->first != 0) {
			fetch_read(&p->slots[queue->first - 1].q);
			fetch_read(&p->slots[queue->last - 1].q);
		}
	}
	for (uint32_t i = 0; i < batch->n; i++) {
		struct msg *m = &batch->m[i];
		if (m->drop != FT_MSG_KEPT)
			continue;
		if (msg_is_response(m))
			take_response(p, batch, m, key[i], bucket[i], &out[n], n), n++;
		else
			put_query(p, m, batch->names + m->name_off, key[i], bucket[i]);
	}
	return n;
}

uint32_t pair_expire(struct pair *p, uint64_t now_us, struct txn *out, uint32_t cap)
{
	const uint64_t turn = now_us >> WHEEL_SHIFT;
	uint32_t n = 0;

	if (turn > p->wheel_now + WHEEL_CAP)
		p->wheel_now = turn - WHEEL_CAP; /* a jump: every bucket once is enough */
	while (p->wheel_now < turn) {
		uint32_t s = p->wheel[p->wheel_now % WHEEL_CAP];
		while (s != NONE) {
			const uint32_t next = p->slots[s].wheel_next;
			if (n == cap)
				return n;
			if (p->slots[s].deadline_us < now_us)
				settle_timeout(p, s, p->slots[s].deadline_us, &out[n], n), n++;
			s = next;
		}
		p->wheel_now++;
	}
	return n;
}

uint32_t pair_flush(struct pair *p, uint64_t end_us, struct txn *out, uint32_t cap)
{
	uint32_t n = 0;

	for (uint32_t b = 0; b < WHEEL_CAP; b++) {
		while (p->wheel[b] != NONE) {
			const uint32_t s = p->wheel[b];
			const uint64_t deadline = p->slots[s].deadline_us;
			if (n == cap)
				return n;
			settle_timeout(p, s, deadline < end_us ? deadline : end_us, &out[n], n),
			    n++;
		}
	}
	return n;
}
