/* SPDX-License-Identifier: BSD-3-Clause */
/* Drain: sound blocks become records, anything else is refused and does no harm;
 * intervals close by the watermark; a ledger that does not close is told. */
#include "guard.h"
#include "rig.h"

#include "seal.h"
#include "sketch.h"

#include <fluxtap/dns.h>

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <zstd.h>

#include <cmocka.h>

#define INTERVAL_S 60u
#define RING_BYTES ((size_t)512 << 10)
#define HEADER sizeof(struct ft_block_hdr)

static const _Atomic int never;

/* A block by hand, with whatever content. */
struct block {
	uint8_t data[HEADER + ZSTD_COMPRESSBOUND(FT_BLOCK_RAW_CAP)];
	size_t bytes;
};

static struct ft_block_hdr header_of(uint16_t worker, uint64_t row, size_t raw_bytes)
{
	return (struct ft_block_hdr){.magic = FT_BLOCK_MAGIC,
				     .version = FT_BLOCK_VERSION,
				     .worker = worker,
				     .row = row,
				     .raw_bytes = (uint32_t)raw_bytes};
}

static void make_block(struct block *b, const struct ft_block_hdr *h, const void *raw, size_t n)
{
	memcpy(b->data, h, HEADER);
	const size_t z = ZSTD_compress(b->data + HEADER, sizeof(b->data) - HEADER, raw, n, 1);
	assert_false(ZSTD_isError(z));
	b->bytes = HEADER + z;
}

/* Gives a copy that ends where memory ends. */
static int give(struct rig *r, const uint8_t *data, size_t bytes)
{
	uint8_t *copy = guard_copy(data, bytes);
	const int result = drain_block(r->drain, copy, bytes);

	guard_free(copy, bytes);
	return result;
}

static int give_record(struct rig *r, struct ft_rec_hdr h, const void *body, size_t bytes)
{
	static struct block b;
	static uint8_t raw[FT_BLOCK_RAW_CAP];

	h.bytes = (uint16_t)(sizeof(h) + bytes);
	memcpy(raw, &h, sizeof(h));
	if (bytes != 0)
		memcpy(raw + sizeof(h), body, bytes);
	const struct ft_block_hdr bh = header_of(0, h.row, h.bytes);
	make_block(&b, &bh, raw, h.bytes);
	return give(r, b.data, b.bytes);
}

/* One of each record, sealed as a worker does it. */
static void put_one_of_each(struct seal *s, uint64_t row)
{
	const struct ft_pair64 traffic[] = {{FT_TRAFFIC_QUERIES, 0, 10},
					    {FT_TRAFFIC_PAIRS, 0, 2},
					    {FT_TRAFFIC_RTT_MAX, 0, 900},
					    {FT_TRAFFIC_QTYPE + FT_QTYPE_MX, 0, 3},
					    {FT_TRAFFIC_SPARSE_QTYPE + 65280, 0, 4},
					    {FT_TRAFFIC_SPARSE_RCODE + 3841, 0, 5}};
	const struct ft_series series = {.second = 59, .count = {[FT_QGROUP_MX] = 3}};
	const struct ft_pair64 rtt[] = {{0, 0, 1}, {DD_BINS - 1, 0, 1}};
	const uint64_t clients[] = {11, 12, 13};
	static uint8_t regs[FT_DISTINCT_REGS];
	struct ft_rec_hdr h = {.vantage = FT_VANTAGE_R2A, .row = row};

	regs[5] = 3;
	h.type = FT_REC_TRAFFIC;
	seal_put(s, &h, traffic, sizeof(traffic));
	h.type = FT_REC_SERIES;
	seal_put(s, &h, &series, sizeof(series));
	h.type = FT_REC_RTT;
	seal_put(s, &h, rtt, sizeof(rtt));
	h.type = FT_REC_DISTINCT_LIST;
	h.which = FT_DISTINCT_CLIENTS;
	seal_put(s, &h, clients, sizeof(clients));
	h.type = FT_REC_DISTINCT_REGS;
	h.which = FT_DISTINCT_NAMES;
	seal_put(s, &h, regs, sizeof(regs));
}

static void put_ledger(struct seal *s, const struct ft_ledger *l, uint64_t row)
{
	const struct ft_rec_hdr h = {.type = FT_REC_LEDGER, .row = row};
	struct ft_pair64 body[FT_CTR_CAP];
	size_t n = 0;

	for (uint32_t i = 0; i < FT_CTR_CAP; i++)
		if (l->c[i] != 0)
			body[n++] = (struct ft_pair64){.id = i, .value = l->c[i]};
	seal_put(s, &h, body, n * sizeof(*body));
	assert_true(seal_push(s, row, true, NULL));
}

static void say(struct rig *r, unsigned worker, uint64_t closed_us, bool ended)
{
	struct ft_shm_worker *w = segment_worker(&r->segment, worker);

	atomic_store_explicit(&w->closed_us, closed_us, memory_order_release);
	atomic_store_explicit(&w->ended, ended, memory_order_release);
}

static void test_sound_block(void **state)
{
	struct rig r;
	struct ft_ledger l = {{0}};

	(void)state;
	rig_init(&r, 1, INTERVAL_S, RING_BYTES, false);
	struct seal *s = seal_create(segment_ring(&r.segment, 0), 0, false, &never);
	put_one_of_each(s, 7);
	assert_true(seal_push(s, 7, false, &l));
	put_one_of_each(s, 7); /* additive: once more is twice as much */
	assert_true(seal_push(s, 7, false, &l));
	put_ledger(s, &l, 7);
	say(&r, 0, UINT64_MAX, true);
	assert_false(drain_step(r.drain));
	assert_int_equal(drain_bad_blocks(r.drain), 0);
	assert_int_equal(rig_sums(&r)->broken, 0);
	assert_int_equal(rig_sums(&r)->merged, 10);
	assert_int_equal(r.n, 4); /* ledger: all and worker 0; traffic; cookie: over all */
	const json_t *t = rig_find(&r, "traffic", 7 * INTERVAL_S, "vantage", "R2A");
	assert_non_null(t);
	assert_int_equal(rig_number(t, "queries"), 20);
	assert_int_equal(rig_number(t, "clients"), 3);
	assert_int_equal(rig_number(t, "names"), 1);
	const json_t *q = json_object_get(t, "by_qtype");
	assert_int_equal(rig_number(q, "MX"), 6);
	assert_int_equal(rig_number(q, "TYPE65280"), 8);
	assert_int_equal(rig_number(json_object_get(t, "by_rcode"), "RCODE3841"), 10);
	const json_t *rtt = json_object_get(t, "rtt_us");
	assert_int_equal(rig_number(rtt, "count"), 4);
	assert_int_equal(rig_number(rtt, "max"), 900); /* not added */
	const json_t *mx = json_object_get(json_object_get(t, "series"), "MX");
	assert_int_equal(json_array_size(mx), INTERVAL_S);
	assert_int_equal(json_integer_value(json_array_get(mx, 59)), 6);
	seal_destroy(s);
	rig_fini(&r);
}

/* The content of put_one_of_each as one array, and the block made of it. */
static size_t sound_content(uint8_t *raw)
{
	struct rig r;
	struct ft_ledger l = {{0}};
	struct ft_block_hdr h;
	uint32_t bytes = 0;

	rig_init(&r, 1, INTERVAL_S, RING_BYTES, false);
	struct ft_ring *ring = segment_ring(&r.segment, 0);
	struct seal *s = seal_create(ring, 0, false, &never);
	put_one_of_each(s, 7);
	assert_true(seal_push(s, 7, false, &l));
	const uint8_t *data = ring_peek(ring, &bytes);
	assert_non_null(data);
	memcpy(&h, data, HEADER);
	assert_int_equal(ZSTD_decompress(raw, FT_BLOCK_RAW_CAP, data + HEADER, bytes - HEADER),
			 h.raw_bytes);
	seal_destroy(s);
	rig_fini(&r);
	return h.raw_bytes;
}

static void test_every_truncation(void **state)
{
	static uint8_t raw[FT_BLOCK_RAW_CAP];
	static struct block b;
	const size_t n = sound_content(raw);
	const struct ft_block_hdr h = header_of(0, 7, n);
	struct rig r;

	(void)state;
	rig_init(&r, 1, INTERVAL_S, RING_BYTES, false);
	make_block(&b, &h, raw, n);
	for (size_t bytes = 0; bytes < b.bytes; bytes++)
		assert_int_equal(give(&r, b.data, bytes), -EBADMSG);
	assert_int_equal(give(&r, b.data, b.bytes), 0);
	/* The content cut, the header saying so: sound only between two records. */
	unsigned sound = 0;
	for (size_t bytes = 0; bytes <= n; bytes += bytes < 600 || bytes + 64 > n ? 1 : 37) {
		const struct ft_block_hdr cut = header_of(0, 7, bytes);
		make_block(&b, &cut, raw, bytes);
		const int result = give(&r, b.data, b.bytes);
		assert_true(result == 0 || result == -EBADMSG);
		sound += result == 0;
	}
	assert_int_equal(sound, 6); /* none, one, ... five records */
	rig_fini(&r);
}

static void test_every_bit_of_the_header(void **state)
{
	static uint8_t raw[FT_BLOCK_RAW_CAP];
	static struct block b;
	const size_t n = sound_content(raw);
	const struct ft_block_hdr h = header_of(0, 7, n);
	struct rig r;

	(void)state;
	rig_init(&r, 1, INTERVAL_S, RING_BYTES, false);
	make_block(&b, &h, raw, n);
	for (size_t i = 0; i < HEADER * 8; i++) {
		const size_t at = i / 8;
		const bool harmless = at >= offsetof(struct ft_block_hdr, row) &&
				      at < offsetof(struct ft_block_hdr, raw_bytes);
		b.data[at] ^= (uint8_t)(1 << i % 8);
		assert_int_equal(give(&r, b.data, b.bytes), harmless ? 0 : -EBADMSG);
		b.data[at] ^= (uint8_t)(1 << i % 8);
	}
	assert_int_equal(give(&r, b.data, b.bytes), 0);
	say(&r, 0, UINT64_MAX, true);
	assert_false(drain_step(r.drain)); /* rows of any number can be closed */
	rig_fini(&r);
}

/* Every octet of the zstd frame, and every octet of the content packed anew. */
static void test_every_octet_behind_it(void **state)
{
	static uint8_t raw[FT_BLOCK_RAW_CAP];
	static struct block b;
	const size_t n = sound_content(raw);
	const struct ft_block_hdr h = header_of(0, 7, n);
	struct rig r;

	(void)state;
	rig_init(&r, 1, INTERVAL_S, RING_BYTES, false);
	make_block(&b, &h, raw, n);
	for (size_t i = HEADER * 8; i < b.bytes * 8; i++) {
		b.data[i / 8] ^= (uint8_t)(1 << i % 8);
		const int result = give(&r, b.data, b.bytes);
		assert_true(result == 0 || result == -EBADMSG);
		b.data[i / 8] ^= (uint8_t)(1 << i % 8);
	}
	rig_fini(&r);
	for (size_t i = 0; i < n; i += i < 600 ? 1 : 61) { /* the registers are all alike */
		rig_init(&r, 1, INTERVAL_S, 4096, false);
		for (unsigned bit = 0; bit < 8; bit++) {
			raw[i] ^= (uint8_t)(1 << bit);
			make_block(&b, &h, raw, n);
			const int result = give(&r, b.data, b.bytes);
			assert_true(result == 0 || result == -EBADMSG);
			raw[i] ^= (uint8_t)(1 << bit);
		}
		say(&r, 0, UINT64_MAX, true);
		assert_false(drain_step(r.drain));
		rig_fini(&r);
	}
}

static void test_out_of_range(void **state)
{
	static const struct ft_pair64 pairs[] = {{FT_TRAFFIC_DENSE_CAP, 0, 1},
						 {FT_TRAFFIC_SPARSE_RCODE - 1, 0, 1},
						 {FT_TRAFFIC_SPARSE_RCODE + 4096, 0, 1},
						 {FT_TRAFFIC_SPARSE_QTYPE - 1, 0, 1},
						 {FT_TRAFFIC_SPARSE_QTYPE + 65536, 0, 1},
						 {UINT32_MAX, 0, 1}};
	const struct ft_pair64 counter = {FT_CTR_CAP, 0, 1}, bin = {DD_BINS, 0, 1};
	const struct ft_series late = {.second = INTERVAL_S};
	static uint8_t regs[FT_DISTINCT_REGS + 8];
	struct ft_rec_hdr h = {.type = FT_REC_TRAFFIC, .row = 1};
	struct rig r;

	(void)state;
	rig_init(&r, 1, INTERVAL_S, RING_BYTES, false);
	for (size_t i = 0; i < sizeof(pairs) / sizeof(*pairs); i++)
		assert_int_equal(give_record(&r, h, &pairs[i], sizeof(*pairs)), -EBADMSG);
	assert_int_equal(give_record(&r, h, NULL, 0), 0);
	h.vantage = FT_VANTAGE_CAP;
	assert_int_equal(give_record(&r, h, NULL, 0), -EBADMSG);
	h = (struct ft_rec_hdr){.type = FT_REC_LEDGER, .row = 1};
	assert_int_equal(give_record(&r, h, &counter, sizeof(counter)), -EBADMSG);
	h.type = FT_REC_RTT;
	assert_int_equal(give_record(&r, h, &bin, sizeof(bin)), -EBADMSG);
	h.type = FT_REC_SERIES;
	assert_int_equal(give_record(&r, h, &late, sizeof(late)), -EBADMSG);
	assert_int_equal(give_record(&r, h, &late, sizeof(late) - 8), -EBADMSG);
	h.type = FT_REC_DISTINCT_REGS;
	assert_int_equal(give_record(&r, h, regs, FT_DISTINCT_REGS), 0);
	assert_int_equal(give_record(&r, h, regs, FT_DISTINCT_REGS - 8), -EBADMSG);
	assert_int_equal(give_record(&r, h, regs, FT_DISTINCT_REGS + 8), -EBADMSG);
	h.which = FT_DISTINCT_CAP;
	assert_int_equal(give_record(&r, h, regs, FT_DISTINCT_REGS), -EBADMSG);
	/* Types of a later version are for others, and are counted as merged. */
	for (unsigned type = FT_REC_TYPE_CAP; type < 65536; type = type * 2 + 1) {
		h = (struct ft_rec_hdr){.type = (uint16_t)type, .row = 1};
		assert_int_equal(give_record(&r, h, regs, 64), 0);
	}
	say(&r, 0, UINT64_MAX, true);
	assert_false(drain_step(r.drain));
	rig_fini(&r);
}

/* What a block in the ring says wrong is counted, and shows in the ledger. */
static void test_bad_block_in_the_ring(void **state)
{
	struct rig r;
	struct ft_ledger l = {{0}};

	(void)state;
	rig_init(&r, 1, INTERVAL_S, RING_BYTES, false);
	struct ft_ring *ring = segment_ring(&r.segment, 0);
	struct seal *s = seal_create(ring, 0, false, &never);
	put_one_of_each(s, 7);
	assert_true(seal_push(s, 7, false, &l));
	uint32_t bytes = 0;
	uint8_t *data = (uint8_t *)(uintptr_t)ring_peek(ring, &bytes);
	data[HEADER] ^= 0xff; /* zstd's magic */
	put_ledger(s, &l, 7);
	say(&r, 0, UINT64_MAX, true);
	assert_false(drain_step(r.drain));
	assert_int_equal(drain_bad_blocks(r.drain), 1);
	assert_int_equal(rig_sums(&r)->broken, 1);
	assert_non_null(strstr(rig_sums(&r)->broken_text, "records 5 = 0"));
	seal_destroy(s);
	rig_fini(&r);
}

/* One record in each of the rows 10 to 14, from worker 0. */
static void give_rows(struct rig *r)
{
	for (uint64_t row = 10; row < 15; row++) {
		const struct ft_rec_hdr h = {.type = FT_REC_LEDGER, .row = row};
		assert_int_equal(give_record(r, h, NULL, 0), 0);
	}
}

/* An interval closes when the slowest worker says so, and once. */
static void test_watermark(void **state)
{
	const uint64_t us = INTERVAL_S * 1000000ull;
	struct rig r;

	(void)state;
	rig_init(&r, 3, INTERVAL_S, RING_BYTES, false);
	give_rows(&r);
	assert_true(drain_step(r.drain));
	say(&r, 0, 13 * us, false);
	say(&r, 1, 20 * us, false);
	assert_true(drain_step(r.drain)); /* worker 2 has said nothing yet */
	assert_int_equal(r.intervals, 0);
	say(&r, 2, 11 * us - 1, false);
	assert_true(drain_step(r.drain));
	assert_int_equal(r.intervals, 0);
	say(&r, 2, 11 * us, false);
	assert_true(drain_step(r.drain));
	assert_int_equal(r.intervals, 1);
	assert_int_equal(r.n, 4); /* all, 0, 1, 2 */
	say(&r, 2, UINT64_MAX, true);
	assert_true(drain_step(r.drain));
	assert_int_equal(r.intervals, 3);
	assert_true(drain_step(r.drain));
	assert_int_equal(r.intervals, 3);
	say(&r, 1, UINT64_MAX, true);
	say(&r, 0, UINT64_MAX, false); /* all of its rows, but it has not ended */
	assert_true(drain_step(r.drain));
	assert_int_equal(r.intervals, 5);
	say(&r, 0, UINT64_MAX, true);
	assert_false(drain_step(r.drain));
	assert_int_equal(r.intervals, 5);
	assert_true(r.in_order);
	rig_fini(&r);
}

/* Silence is accounted for in a live run and leaves no trace in a file's. */
static void test_empty_intervals(void **state)
{
	const uint64_t us = INTERVAL_S * 1000000ull;

	(void)state;
	for (unsigned live = 0; live < 2; live++) {
		struct rig r;
		rig_init(&r, 1, INTERVAL_S, RING_BYTES, live);
		say(&r, 0, 9 * us, false);
		assert_true(drain_step(r.drain));
		assert_int_equal(r.intervals, 0); /* nothing before the first packet */
		give_rows(&r);
		say(&r, 0, 18 * us + 1, false);
		assert_true(drain_step(r.drain));
		assert_int_equal(r.intervals, live ? 8 : 5);
		r.source_dropped[0] = 5; /* silence may be loss */
		say(&r, 0, 19 * us, false);
		assert_true(drain_step(r.drain));
		assert_int_equal(r.intervals, live ? 9 : 5);
		const json_t *o = rig_find(&r, "ledger", 18 * INTERVAL_S, "worker", "all");
		assert_int_equal(o != NULL, live);
		if (live) {
			assert_int_equal(rig_number(o, "source_dropped"), 5);
			assert_int_equal(rig_number(o, "rx_packets"), 0);
			assert_int_equal(rig_number(o, "loss_ppm"), 1000000);
		}
		assert_int_equal(rig_sums(&r)->broken, 0);
		assert_true(r.in_order);
		rig_fini(&r);
	}
}

/* Two intervals whose ledgers close, level handed over from one to the other; then
 * the same with one counter wrong by one. */
static uint64_t broken_with(unsigned interval, unsigned counter, uint64_t by, char *text)
{
	struct ft_ledger l[2] = {{{0}}};
	struct rig r;

	rig_init(&r, 1, INTERVAL_S, RING_BYTES, false);
	struct seal *s = seal_create(segment_ring(&r.segment, 0), 0, false, &never);
	for (uint64_t row = 0; row < 2; row++) {
		uint64_t *c = l[row].c;
		put_one_of_each(s, row);
		assert_true(seal_push(s, row, false, &l[row]));
		c[FT_CTR_RX_PACKETS] = 100;
		c[FT_CTR_HELD_PACKETS] = row == 0 ? 4 : 0;
		c[FT_CTR_PKT_DROP + FT_PKT_NOT_IP] = 5;
		c[FT_CTR_CARRIED] = row == 0 ? 91 : 99;
		c[FT_CTR_MESSAGES] = 80;
		c[FT_CTR_HELD] = row == 0 ? 6 : 0;
		c[FT_CTR_MSG_DROP + FT_MSG_SHORT] = 1;
		c[FT_CTR_COUNTED] = row == 0 ? 73 : 85;
		c[FT_CTR_RECORDS] += 3; /* of a block that found no room */
		c[FT_CTR_RING_FULL_RECORDS] = 3;
		if (row == interval)
			c[counter] += by;
		put_ledger(s, &l[row], row);
	}
	say(&r, 0, UINT64_MAX, true);
	assert_false(drain_step(r.drain));
	const uint64_t broken = rig_sums(&r)->broken;
	memcpy(text, rig_sums(&r)->broken_text, sizeof(rig_sums(&r)->broken_text));
	seal_destroy(s);
	rig_fini(&r);
	return broken;
}

static void test_three_equations(void **state)
{
	static const struct {
		unsigned counter, broken; /* in the first interval; the levels show twice */
	} wrong[] = {
	    {FT_CTR_RX_PACKETS, 1},   {FT_CTR_CARRIED, 1},      {FT_CTR_HELD_PACKETS, 2},
	    {FT_CTR_PKT_DROP + 1, 1}, {FT_CTR_MSG_DROP - 1, 1}, {FT_CTR_MESSAGES, 1},
	    {FT_CTR_COUNTED, 1},      {FT_CTR_HELD, 2},         {FT_CTR_MSG_DROP + 1, 1},
	    {FT_CTR_CAP - 1, 1},      {FT_CTR_RECORDS, 1},      {FT_CTR_RING_FULL_RECORDS, 1},
	    {FT_CTR_RX_BYTES, 0},     {FT_CTR_LATE, 0},         {FT_CTR_BLOCKS, 0},
	    {FT_CTR_MALFORMED, 0}};
	char text[256];

	(void)state;
	assert_int_equal(broken_with(0, 0, 0, text), 0);
	assert_string_equal(text, "");
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		assert_int_equal(broken_with(0, wrong[i].counter, 1, text), wrong[i].broken);
		assert_int_equal(strstr(text, "interval 0, worker 0") != NULL,
				 wrong[i].broken != 0);
		assert_int_equal(broken_with(1, wrong[i].counter, UINT64_MAX, text) != 0,
				 wrong[i].broken != 0);
	}
	assert_int_equal(broken_with(0, FT_CTR_COUNTED, 1, text), 1);
	assert_non_null(strstr(text, "messages 80 = 81"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_sound_block),
	    cmocka_unit_test(test_every_truncation),
	    cmocka_unit_test(test_every_bit_of_the_header),
	    cmocka_unit_test(test_every_octet_behind_it),
	    cmocka_unit_test(test_out_of_range),
	    cmocka_unit_test(test_bad_block_in_the_ring),
	    cmocka_unit_test(test_watermark),
	    cmocka_unit_test(test_empty_intervals),
	    cmocka_unit_test(test_three_equations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
