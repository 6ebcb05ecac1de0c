/* SPDX-License-Identifier: BSD-3-Clause */
#include "integrity_rows.h"

#include "../keyed_merge.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SEEN_CAP (1u << 18) /* of an interval: 48 MB at most */
#define TEXTS_CAP 16384u
#define ADDRS_CAP 65536u

/* Without padding: keys are compared as octets. */
struct seen_key {
	uint64_t owner_key, set_key, second;
	uint32_t ttl;
	uint16_t qtype;
	uint8_t what, facts;
	uint8_t client[16], server[16];
};
static_assert(sizeof(struct seen_key) == 64, "no padding");

struct text_key {
	uint64_t owner_key, set_key, qtype;
};

struct text {
	uint32_t total;
	uint16_t len[FT_INTEGRITY_PIECES];
	const uint8_t *piece[FT_INTEGRITY_PIECES];
	struct rdset set;
	bool whole;
};

static void leave(void *ctx, const void *acc)
{
	((struct integrity_row *)ctx)->left_out += ((const struct ft_integrity *)acc)->count;
}

static void leave_text(void *ctx, const void *acc)
{
	(void)ctx; /* its observations are counted when they are laid */
	(void)acc;
}

void integrity_row_free(struct integrity_row *r)
{
	if (r == NULL)
		return;
	keyed_merge_destroy(r->seen);
	keyed_merge_destroy(r->texts);
	free(r->addr);
	free(r);
}

static struct integrity_row *row_get(struct stat_row **rows, uint64_t number, uint64_t seed)
{
	struct stat_row **place = rows_place(rows, number);

	if (*place != NULL && (*place)->number == number)
		return (struct integrity_row *)*place;
	struct integrity_row *r = calloc(1, sizeof(*r));
	if (r == NULL)
		return NULL;
	const struct keyed_merge_settings seen = {.key_bytes = sizeof(struct seen_key),
						  .acc_bytes = sizeof(struct ft_integrity),
						  .budget = SEEN_CAP,
						  .seed = seed,
						  .leave = leave,
						  .ctx = r};
	const struct keyed_merge_settings texts = {.key_bytes = sizeof(struct text_key),
						   .acc_bytes = sizeof(struct text),
						   .budget = TEXTS_CAP,
						   .seed = seed,
						   .leave = leave_text};
	r->seen = keyed_merge_create(&seen);
	r->texts = keyed_merge_create(&texts);
	if (r->seen == NULL || r->texts == NULL) {
		integrity_row_free(r);
		return NULL;
	}
	rows_put(place, &r->head, number);
	return r;
}

static int add_seen(struct integrity_row *r, const struct ft_integrity *x)
{
	struct seen_key key = {.owner_key = x->owner_key,
			       .set_key = x->set_key,
			       .second = x->first_us / 1000000,
			       .ttl = x->ttl,
			       .qtype = x->qtype,
			       .what = x->what,
			       .facts = x->facts};
	void *acc;

	memcpy(key.client, x->client, sizeof(key.client));
	memcpy(key.server, x->server, sizeof(key.server));
	const int result = keyed_merge_get(r->seen, &key, &acc);
	if (result != 0) {
		r->left_out += result > 0 ? x->count : 0;
		return result < 0 ? result : 0;
	}
	struct ft_integrity *a = acc;
	if (a->count == 0) {
		*a = *x;
		return 0;
	}
	a->count += x->count;
	a->first_us = x->first_us < a->first_us ? x->first_us : a->first_us;
	a->last_us = x->last_us > a->last_us ? x->last_us : a->last_us;
	a->rrsig_s = x->rrsig_s < a->rrsig_s ? x->rrsig_s : a->rrsig_s;
	a->ede = x->ede > a->ede ? x->ede : a->ede;
	return 0;
}

static int add_text(struct integrity_row *r, const struct ft_integrity_text *x)
{
	const struct text_key key = {x->owner_key, x->set_key, x->qtype};
	const uint32_t i = x->off / FT_INTEGRITY_PIECE;
	void *acc;
	const int result = keyed_merge_get(r->texts, &key, &acc);

	if (result != 0)
		return result < 0 ? result : 0;
	struct text *t = acc;
	t->total = x->total;
	if (t->piece[i] != NULL)
		return 0;
	t->piece[i] = keyed_merge_keep(r->texts, x->piece, x->bytes);
	t->len[i] = (uint16_t)x->bytes;
	return t->piece[i] != NULL ? 0 : -ENOMEM;
}

static int add_addr(struct integrity_row *r, const struct ft_integrity_addr *x)
{
	if (r->addrs == r->addrs_room) {
		const size_t room = r->addrs_room != 0 ? 2 * r->addrs_room : 16;
		struct ft_integrity_addr *v =
		    room <= ADDRS_CAP ? realloc(r->addr, room * sizeof(*v)) : NULL;
		if (v == NULL)
			return room <= ADDRS_CAP ? -ENOMEM : 0;
		r->addr = v;
		r->addrs_room = room;
	}
	r->addr[r->addrs++] = *x;
	return 0;
}

static int add_one(struct integrity_row *row, uint16_t type, struct ft_reader *body)
{
	struct ft_integrity seen;
	struct ft_integrity_text text;
	struct ft_integrity_addr addr;

	switch (type) {
	case FT_REC_INTEGRITY:
		return ft_integrity_read(body, &seen) ? add_seen(row, &seen) : -EBADMSG;
	case FT_REC_INTEGRITY_TEXT:
		return ft_integrity_text_read(body, &text) ? add_text(row, &text) : -EBADMSG;
	default: return ft_integrity_addr_read(body, &addr) ? add_addr(row, &addr) : -EBADMSG;
	}
}

int integrity_rows_add(struct stat_row **rows, uint64_t seed, const struct stat_record *rec)
{
	struct ft_reader r = ft_reader_init(rec->body, rec->bytes), body;
	uint32_t left = ft_rec_records(rec->hdr);
	struct integrity_row *row = row_get(rows, rec->hdr->row, seed);
	int result = row != NULL ? 0 : -ENOMEM;

	for (; result == 0 && ft_entry_next(&r, &body); left--)
		result = left != 0 ? add_one(row, rec->hdr->type, &body) : -EBADMSG;
	return result != 0 ? result : r.bad || left != 0 ? -EBADMSG : 0;
}

/* --- laying --- */

/* Puts the pieces together; the set stays empty where one is missing. */
static int make_set(struct text *t)
{
	uint8_t *data = malloc(t->total + 1u);
	uint32_t n = 0;

	if (data == NULL)
		return -ENOMEM;
	for (unsigned i = 0; i < FT_INTEGRITY_PIECES; i++)
		if (t->piece[i] != NULL && n + t->len[i] <= t->total) {
			memcpy(data + n, t->piece[i], t->len[i]);
			n += t->len[i];
		}
	t->whole = n == t->total && ft_integrity_set_is_whole(data, n);
	if (t->whole)
		t->set = (struct rdset){data, n};
	else
		free(data);
	return 0;
}

static int order_seen(const void *left, const void *right)
{
	const struct integrity_seen *a = left, *b = right;
	const struct ft_integrity *x = a->x, *y = b->x;

	if (a->t_us != b->t_us)
		return a->t_us < b->t_us ? -1 : 1;
	if (x->owner_key != y->owner_key)
		return x->owner_key < y->owner_key ? -1 : 1;
	if (x->qtype != y->qtype)
		return x->qtype < y->qtype ? -1 : 1;
	if (a->set->bytes != b->set->bytes)
		return a->set->bytes < b->set->bytes ? -1 : 1;
	int d = a->set->bytes != 0 ? memcmp(a->set->data, b->set->data, a->set->bytes) : 0;
	if (d == 0)
		d = memcmp(x->client, y->client, sizeof(x->client));
	if (d == 0)
		d = memcmp(x->server, y->server, sizeof(x->server));
	if (d == 0)
		d = (x->ttl > y->ttl) - (x->ttl < y->ttl);
	if (d == 0)
		d = (x->what > y->what) - (x->what < y->what);
	return d != 0 ? d : (x->facts > y->facts) - (x->facts < y->facts);
}

int integrity_row_lay(struct integrity_row *r, uint64_t empty_key, struct integrity_seen **v,
		      size_t *n)
{
	static const struct rdset nothing;
	const void *acc;
	size_t at = 0;
	int result = keyed_merge_settle(r->seen);

	if (result == 0)
		result = keyed_merge_settle(r->texts);
	while (result == 0 && (acc = keyed_merge_next(r->texts, &at)) != NULL)
		result = make_set((struct text *)(uintptr_t)acc);
	*v = calloc(2 * keyed_merge_keys(r->seen) + 1, sizeof(**v));
	*n = 0;
	if (result != 0 || *v == NULL)
		return result != 0 ? result : -ENOMEM;
	for (at = 0; (acc = keyed_merge_next(r->seen, &at)) != NULL;) {
		const struct ft_integrity *x = acc;
		const struct text_key key = {x->owner_key, x->set_key, x->qtype};
		const struct text *t = keyed_merge_find(r->texts, &key);
		if (x->set_key != empty_key && (t == NULL || !t->whole)) {
			r->left_out += x->count;
			continue;
		}
		const struct rdset *set = x->set_key != empty_key ? &t->set : &nothing;
		(*v)[(*n)++] = (struct integrity_seen){x->first_us, 1, x, set};
		if (x->count > 1)
			(*v)[(*n)++] = (struct integrity_seen){x->last_us, x->count - 1, x, set};
	}
	if (*n != 0)
		qsort(*v, *n, sizeof(**v), order_seen);
	return 0;
}

void integrity_row_unlay(struct integrity_row *r, struct integrity_seen *v)
{
	const void *acc;

	for (size_t at = 0; (acc = keyed_merge_next(r->texts, &at)) != NULL;)
		rdset_fini(&((struct text *)(uintptr_t)acc)->set);
	free(v);
}
