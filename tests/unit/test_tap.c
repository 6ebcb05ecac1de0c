/* SPDX-License-Identifier: BSD-3-Clause */
/* Set `tap`: from the worker's table to records, beyond the budget, and octets that are none. */
#include "rig.h"
#include "taps.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define MORE 3000u /* tags: above what the worker's table and control's budget hold */

static void give(void *stat, const uint8_t *data, size_t n, int want)
{
	const struct ft_rec_hdr h = {.type = FT_REC_TAP, .row = 3};
	uint8_t *copy = malloc(n != 0 ? n : 1); /* of this size, for a sanitizer */
	const struct stat_record rec = {.hdr = &h, .body = copy, .bytes = n};

	assert_non_null(copy);
	memcpy(copy, data, n);
	assert_int_equal(stat_tap.record(stat, &rec), want);
	free(copy);
}

static uint64_t tag_of(unsigned i)
{
	return ft_tag_add_tunnel(ft_tag_add_vlan(0, (uint16_t)(i % 7)), FT_TUNNEL_VXLAN, true, i);
}

static void give_tag(void *stat, unsigned i, unsigned times)
{
	uint8_t entry[FT_TAP_ENTRY_CAP];
	const struct ft_tap t = {
	    .tag = tag_of(i), .packets = times, .bytes = 100 * times, .messages = times / 2};
	const uint8_t *end = ft_tap_write(entry, &t);

	give(stat, entry, (size_t)(end - entry), 0);
}

struct sums {
	uint64_t taps, packets, bytes, messages, other, untagged;
	uint64_t hash; /* of the records' texts, in their order */
};

static void sum_up(void *ctx, const char *set, uint64_t start_s, json_t *o)
{
	struct sums *s = ctx;
	const char *kind = json_string_value(json_object_get(o, "kind"));
	char *text = json_dumps(o, JSON_COMPACT);

	assert_string_equal(set, "tap");
	assert_int_equal(start_s, 180);
	s->packets += rig_number(o, "packets");
	s->bytes += rig_number(o, "bytes");
	s->messages += rig_number(o, "messages");
	s->taps += strcmp(kind, "tap") == 0;
	if (strcmp(kind, "other") == 0)
		s->other = rig_number(o, "packets");
	if (strcmp(kind, "untagged") == 0)
		s->untagged = rig_number(o, "packets");
	for (const char *c = text; *c != 0; c++)
		s->hash = s->hash * 31 + (uint8_t)*c;
	free(text);
	json_decref(o);
}

static struct sums close(const struct ft_ledger *ledger, const unsigned *order)
{
	struct sums s = {0};
	const struct stat_run run = {
	    .probe = "t", .workers = 1, .interval_s = 60, .write = sum_up, .ctx = &s};
	void *stat = stat_tap.create(&run);
	struct stat_interval in = {.row = 3, .start_s = 180, .end_s = 240, .ledger = ledger};

	assert_non_null(stat);
	for (unsigned i = 0; i < MORE; i++)
		for (unsigned part = 0; part < 2; part++) /* of each tag two entries */
			give_tag(stat, order[i], 1 + order[i] % 5 + part);
	assert_int_equal(stat_tap.first_row(stat), 3);
	stat_tap.close(stat, &in);
	assert_int_equal(stat_tap.first_row(stat), UINT64_MAX);
	stat_tap.destroy(stat);
	return s;
}

static void test_budget(void **state)
{
	static unsigned order[MORE];
	struct ft_ledger ledger = {{0}};
	uint64_t packets = 0, messages = 0;

	(void)state;
	for (unsigned i = 0; i < MORE; i++) {
		order[i] = i;
		packets += 2 * (1 + i % 5) + 1;
		messages += (1 + i % 5) / 2 + (2 + i % 5) / 2;
	}
	const struct sums a = close(NULL, order);
	assert_int_equal(a.taps, 1024);
	assert_int_equal(a.packets, packets);
	assert_int_equal(a.bytes, 100 * packets);
	assert_int_equal(a.messages, messages);
	assert_true(a.other != 0);
	assert_int_equal(a.untagged, 0);
	for (unsigned i = 0; i < MORE; i++) /* in another order the same records */
		order[i] = (i * 7919u) % MORE;
	const struct sums b = close(NULL, order);
	assert_int_equal(a.hash, b.hash);

	ledger.c[FT_CTR_RX_PACKETS] = packets + 5;
	ledger.c[FT_CTR_RX_BYTES] = 100 * packets + 70;
	ledger.c[FT_CTR_MESSAGES] = messages + 1;
	assert_int_equal(close(&ledger, order).untagged, 5);
	ledger.c[FT_CTR_RING_FULL_RECORDS] = 1; /* who knows what the lost ones were */
	assert_int_equal(close(&ledger, order).untagged, 0);
}

static void test_damage(void **state)
{
	const struct stat_run run = {.probe = "t", .workers = 1, .interval_s = 60};
	void *stat = stat_tap.create(&run);
	const struct ft_tap t = {
	    .tag = tag_of(5), .packets = 300, .bytes = 1u << 30, .messages = 200};
	uint8_t entry[FT_TAP_ENTRY_CAP + 1];
	const size_t n = (size_t)(ft_tap_write(entry, &t) - entry);

	(void)state;
	assert_non_null(stat);
	for (size_t cut = 1; cut < n; cut++) {
		give(stat, entry, cut, -EBADMSG);
		entry[0] = (uint8_t)(cut - 1); /* a shorter one */
		give(stat, entry, cut, -EBADMSG);
		entry[0] = (uint8_t)(n - 1);
	}
	give(stat, entry, 0, 0);
	give(stat, entry, n, 0);
	entry[0]++; /* and an octet too many */
	entry[n] = 0;
	give(stat, entry, n + 1, -EBADMSG);
	entry[0]--;
	memset(entry + 1, 0, 8); /* no tags */
	give(stat, entry, n, -EBADMSG);
	stat_tap.destroy(stat);
	stat_tap.destroy(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_budget),
	    cmocka_unit_test(test_damage),
	};

	return cmocka_run_group_tests_name("tap", tests, NULL, NULL);
}
