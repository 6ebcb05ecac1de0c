/* SPDX-License-Identifier: BSD-3-Clause */
/* Set `tap`: what came in by outer headers, VLAN and tunnel, so that taps can be told
 * apart. Intervals in which something was tagged have a record for each combination, one
 * for what had no tags, and one for the combinations beyond the budget. */
#include "../envelope.h"
#include "../keyed_merge.h"
#include "rows.h"
#include "stat.h"

#include <fluxtap/rec_tap.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define KEYS 1024u /* combinations of an interval that stand one by one */

static const char *const tunnel_texts[FT_TUNNEL_CAP] = {
#define X(n, t) t,
    FT_TUNNELS(X)
#undef X
};

struct row {
	struct stat_row head;
	struct keyed_merge *sums; /* struct ft_tap by tag */
	struct ft_tap all, other;
};

struct taps {
	const struct stat_run *run;
	struct stat_row *rows;
};

static void add(struct ft_tap *to, const struct ft_tap *from)
{
	to->packets += from->packets;
	to->bytes += from->bytes;
	to->messages += from->messages;
}

static void leave(void *ctx, const void *acc)
{
	add(&((struct row *)ctx)->other, acc);
}

static void *tap_create(const struct stat_run *run)
{
	struct taps *s = calloc(1, sizeof(*s));

	if (s != NULL)
		s->run = run;
	return s;
}

static void drop_row(struct taps *s)
{
	struct row *r = rows_pop(&s->rows);

	keyed_merge_destroy(r->sums);
	free(r);
}

static void tap_destroy(void *stat)
{
	struct taps *s = stat;

	if (s == NULL)
		return;
	while (s->rows != NULL)
		drop_row(s);
	free(s);
}

static struct row *get_row(struct taps *s, uint64_t number)
{
	struct row *r = rows_get(&s->rows, number, sizeof(*r));

	if (r == NULL || r->sums != NULL)
		return r;
	const struct keyed_merge_settings set = {
	    .key_bytes = sizeof(uint64_t),
	    .acc_bytes = sizeof(struct ft_tap),
	    .budget = KEYS,
	    .seed = s->run->sample_key,
	    .leave = leave,
	    .ctx = r,
	};
	r->sums = keyed_merge_create(&set);
	return r->sums != NULL ? r : NULL;
}

/* Tags as octets whose order is that of VLANs, tunnel and id. */
static uint64_t key_of(uint64_t tag)
{
	const uint64_t key =
	    (uint64_t)ft_tag_vlans(tag) << 62 | (uint64_t)ft_tag_vlan(tag, 0) << 50 |
	    (uint64_t)ft_tag_vlan(tag, 1) << 38 | (uint64_t)ft_tag_tunnel(tag) << 34 |
	    (uint64_t)ft_tag_has_id(tag) << 33 | ft_tag_id(tag);

	return __builtin_bswap64(key);
}

static int tap_record(void *stat, const struct stat_record *rec)
{
	struct taps *s = stat;
	struct ft_reader entries = ft_reader_init(rec->body, rec->bytes), body;
	struct ft_tap t;
	void *acc;

	if (rec->hdr->type != FT_REC_TAP)
		return 0;
	struct row *r = get_row(s, rec->hdr->row);
	if (r == NULL)
		return -ENOMEM;
	while (ft_entry_next(&entries, &body)) {
		if (!ft_tap_read(&body, &t))
			return -EBADMSG;
		const uint64_t key = key_of(t.tag);
		const int got = keyed_merge_get(r->sums, &key, &acc);
		if (got < 0)
			return got;
		add(&r->all, &t);
		if (got == 0) {
			((struct ft_tap *)acc)->tag = t.tag;
			add(acc, &t);
		} else {
			add(&r->other, &t);
		}
	}
	return entries.bad ? -EBADMSG : 0;
}

static uint64_t tap_first_row(const void *stat)
{
	return rows_first(((const struct taps *)stat)->rows);
}

static void write_tap(const struct taps *s, const struct stat_interval *in, const char *kind,
		      const struct ft_tap *t)
{
	json_t *o =
	    envelope_create("tap", s->run->probe, "ALL", in->start_s, in->end_s, 1, in->loss_ppm);
	json_t *vlans = json_array();

	json_object_set_new(o, "kind", json_string(kind));
	for (unsigned i = 0; i < ft_tag_vlans(t->tag); i++)
		json_array_append_new(vlans, json_integer(ft_tag_vlan(t->tag, i)));
	json_object_set_new(o, "vlan", vlans);
	json_object_set_new(o, "tunnel",
			    ft_tag_tunnel(t->tag) != FT_TUNNEL_NONE
				? json_string(tunnel_texts[ft_tag_tunnel(t->tag)])
				: json_null());
	json_object_set_new(o, "id",
			    ft_tag_has_id(t->tag) ? json_integer(ft_tag_id(t->tag)) : json_null());
	json_object_set_new(o, "packets", json_integer((json_int_t)t->packets));
	json_object_set_new(o, "bytes", json_integer((json_int_t)t->bytes));
	json_object_set_new(o, "messages", json_integer((json_int_t)t->messages));
	s->run->write(s->run->ctx, "tap", in->start_s, o);
}

/* What the ledger has more than the tags; unknown where some of their records were lost. */
static void write_rest(const struct taps *s, const struct stat_interval *in, const struct row *r)
{
	const uint64_t *c = in->ledger != NULL ? in->ledger->c : NULL;

	if (c == NULL || c[FT_CTR_RING_FULL_RECORDS] != 0 ||
	    c[FT_CTR_RX_PACKETS] <= r->all.packets || c[FT_CTR_RX_BYTES] < r->all.bytes ||
	    c[FT_CTR_MESSAGES] < r->all.messages)
		return;
	const struct ft_tap rest = {
	    .packets = c[FT_CTR_RX_PACKETS] - r->all.packets,
	    .bytes = c[FT_CTR_RX_BYTES] - r->all.bytes,
	    .messages = c[FT_CTR_MESSAGES] - r->all.messages,
	};
	write_tap(s, in, "untagged", &rest);
}

static void tap_close(void *stat, struct stat_interval *in)
{
	struct taps *s = stat;
	size_t n;

	if (!rows_is_first(s->rows, in->row))
		return;
	struct row *r = rows_find(s->rows, in->row);
	const void *const *sums = r->sums != NULL ? keyed_merge_sorted(r->sums, &n) : NULL;
	for (size_t i = 0; sums != NULL && i < n; i++)
		write_tap(s, in, "tap", sums[i]);
	write_rest(s, in, r);
	if (r->other.packets != 0)
		write_tap(s, in, "other", &r->other);
	drop_row(s);
}

const struct stat_ops stat_tap = {
    .set = "tap",
    .create = tap_create,
    .record = tap_record,
    .first_row = tap_first_row,
    .close = tap_close,
    .destroy = tap_destroy,
};
