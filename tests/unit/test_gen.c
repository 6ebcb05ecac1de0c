/* SPDX-License-Identifier: BSD-3-Clause */
/* The traffic generator: the same frames for a seed, the shares of the standard mix, books that add
 * up. */
#include <fluxtap/gen.h>

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum {
	MIX_PAIRS = 100000,
	FLOOD_PAIRS = 50000,
	ZOO_SCENES = 8000,
	NAME_CELLS = 1 << 18,
	ETHER_HEADER = 14,
	DNS_HEADER = 12,
};

/* What a run looks like from outside; the frames of the mix are plain: no tags, options or
 * fragments. */
struct view {
	uint64_t frames, bytes, hash;
	uint64_t queries, responses, absent, v6, edns, dns_bytes;
	uint64_t repeats; /* queries for a name that a query before asked for */
	uint64_t first_us, last_us;
	uint64_t cell[NAME_CELLS];
};

static uint64_t hash_octets(uint64_t h, const uint8_t *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		h = (h ^ p[i]) * UINT64_C(0x100000001b3);
	return h;
}

static bool is_new_name(struct view *v, const uint8_t *p)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);
	size_t at;

	for (; *p; p += *p + 1) {
		for (unsigned i = 0; i <= *p; i++) {
			uint8_t c = p[i] >= 'A' && p[i] <= 'Z' ? p[i] | 0x20 : p[i];

			h = hash_octets(h, &c, 1);
		}
	}
	for (at = h % NAME_CELLS; v->cell[at]; at = (at + 1) % NAME_CELLS)
		if (v->cell[at] == h)
			return false;
	v->cell[at] = h;
	return true;
}

static void look_at_plain(struct view *v, const struct ft_gen_frame *f)
{
	bool is_v6 = f->data[12] == 0x86;
	const uint8_t *udp = f->data + ETHER_HEADER + (is_v6 ? 40 : 20);
	const uint8_t *dns = udp + 8;
	bool is_response = dns[2] & 0x80;

	assert_int_equal(f->data + f->len - udp, udp[4] << 8 | udp[5]);
	assert_int_equal(dns[4] << 8 | dns[5], 1);
	v->dns_bytes += (uint64_t)(f->data + f->len - dns);
	v->queries += !is_response;
	v->responses += is_response;
	v->absent += is_response && (dns[3] & 15) == 3;
	v->v6 += is_v6;
	v->edns += !is_response && (dns[10] << 8 | dns[11]) == 1;
	if (!is_response)
		v->repeats += !is_new_name(v, dns + DNS_HEADER);
}

static struct view *run(struct ft_gen *g, bool is_plain)
{
	struct view *v = calloc(1, sizeof(*v));
	struct ft_gen_frame f;
	int r;

	assert_non_null(v);
	while ((r = ft_gen_next(g, &f)) == 1) {
		if (v->frames == 0)
			v->first_us = v->last_us = f.ts_us;
		assert_true(f.ts_us >= v->last_us);
		assert_in_range(f.len, ETHER_HEADER + 1, 1514);
		v->last_us = f.ts_us;
		v->frames++;
		v->bytes += f.len;
		v->hash = hash_octets(v->hash ^ f.ts_us, f.data, f.len);
		if (is_plain)
			look_at_plain(v, &f);
	}
	assert_int_equal(r, 0);
	assert_int_equal(ft_gen_next(g, &f), 0);
	return v;
}

static uint64_t hash_of(struct ft_gen_opts o)
{
	struct ft_gen *g = ft_gen_create(&o);
	struct view *v;
	uint64_t h;

	assert_non_null(g);
	v = run(g, false);
	h = v->hash;
	assert_true((ft_gen_truth_get(g) != NULL) == o.truth);
	free(v);
	ft_gen_destroy(g);
	return h;
}

static void test_same_seed_same_frames(void **state)
{
	(void)state;
	for (unsigned s = 0; s < FT_GEN_SCENARIOS; s++) {
		struct ft_gen_opts o = {
		    .seed = 7, .pairs = 3000, .scenario = (enum ft_gen_scenario)s};
		uint64_t h = hash_of(o);

		assert_true(hash_of(o) == h);
		o.truth = true;
		o.interval_s = 10;
		assert_true(hash_of(o) == h); /* the books leave the frames alone */
		o.seed = 8;
		assert_false(hash_of(o) == h);
	}
}

/* The frames are the same on every machine: these came from one of them. */
static void test_known_frames(void **state)
{
	static const uint64_t known[FT_GEN_SCENARIOS] = {
	    UINT64_C(0xd7232072555eb315),
	    UINT64_C(0x244d6d451e76b8e7),
	    UINT64_C(0x22d42003dd9602c2),
	    [FT_GEN_CNAME_FLUX] = UINT64_C(0xfb762d00b8399a52),
	    [FT_GEN_IP_FLUX] = UINT64_C(0x13d94bb8e654d08e),
	    [FT_GEN_BOTNET] = UINT64_C(0xb7b87dae39c17a82),
	    [FT_GEN_BOTNET_STAGES] = UINT64_C(0xb4e397e32edcb2bb),
	    [FT_GEN_ERRORS] = UINT64_C(0x1949f4ae3a517b76),
	    [FT_GEN_DGA] = UINT64_C(0x5511e3276c93a010),
	    [FT_GEN_KUMAMOTO] = UINT64_C(0x679e65aaee1754a0),
	    [FT_GEN_COOKIES] = UINT64_C(0xd840d40384ab5f07),
	    [FT_GEN_NAME_SERVERS] = UINT64_C(0x7750f1994d490ae1),
	    [FT_GEN_HIJACK] = UINT64_C(0x477e004edd71bb0d),
	    [FT_GEN_CACHES] = UINT64_C(0xb2f365c0751124d4),
	    [FT_GEN_CARRY] = UINT64_C(0x80c41a0f2aaaa24c),
	    [FT_GEN_TUNNELS] = UINT64_C(0x6998c6e368c3345d),
	    [FT_GEN_SYN_FLOOD] = UINT64_C(0xdeab196bf19513fe),
	    [FT_GEN_FRAGMENT_FLOOD] = UINT64_C(0x5be473a01f53b88d),
	    [FT_GEN_NAME_FLOOD] = UINT64_C(0x31e45c2711acbf4d),
	    [FT_GEN_TINY_FLOOD] = UINT64_C(0x7a604aa149579c6a),
	    [FT_GEN_STRANGER_FLOOD] = UINT64_C(0xd08f645b083aa9c9)};

	(void)state;
	for (unsigned s = 0; s < FT_GEN_SCENARIOS; s++) {
		struct ft_gen_opts o = {
		    .seed = 1, .pairs = 2000, .scenario = (enum ft_gen_scenario)s};

		assert_int_equal(hash_of(o), known[s]);
	}
}

static void assert_near(double value, double expected, double slack)
{
	if (value < expected - slack || value > expected + slack)
		fail_msg("%g is not within %g of %g", value, slack, expected);
}

static void test_mix_shares(void **state)
{
	struct ft_gen_opts o = {.seed = 3, .pairs = MIX_PAIRS, .duration_s = 60};
	struct ft_gen *g = ft_gen_create(&o);
	struct view *v;

	(void)state;
	assert_non_null(g);
	v = run(g, true);
	assert_int_equal(v->queries, MIX_PAIRS);
	assert_int_equal(v->responses, MIX_PAIRS);
	assert_in_range(v->last_us - v->first_us, 59900000, 64000000);
	assert_near((double)v->bytes / (double)v->frames, 112, 3);
	assert_near((double)v->v6 / (double)v->frames, 0.20, 0.02);
	assert_near((double)v->edns / MIX_PAIRS, 0.80, 0.01);
	assert_near((double)v->absent / MIX_PAIRS, 0.30, 0.01);
	assert_near((double)v->repeats / MIX_PAIRS, 0.55, 0.05); /* Zipf 1.0 over 5 M */
	free(v);
	ft_gen_destroy(g);
}

/* Zipf 1.0: a name at rank r comes with probability 1 / (r * H), so that of two names rank 1 has
 * 2/3. */
static void test_zipf(void **state)
{
	struct ft_gen_opts o = {
	    .seed = 5, .pairs = 30000, .names = 2, .truth = true, .interval_s = 86400};
	struct ft_gen *g = ft_gen_create(&o);
	const struct ft_gen_truth *t;
	struct view *v;

	(void)state;
	assert_non_null(g);
	v = run(g, true);
	t = ft_gen_truth_get(g);
	assert_non_null(t);
	assert_int_equal(t->row_count, 1);
	assert_int_equal(t->rows[0].names, 2);
	assert_near((double)t->rows[0].by_class[FT_GEN_NXDOMAIN] / 30000, 1.0 / 3,
		    0.01); /* rank 2 does not exist */
	free(v);
	ft_gen_destroy(g);
}

static void test_flood_never_repeats(void **state)
{
	struct ft_gen_opts o = {.seed = 3,
				.pairs = FLOOD_PAIRS,
				.scenario = FT_GEN_FLOOD,
				.truth = true,
				.interval_s = 86400};
	struct ft_gen *g = ft_gen_create(&o);
	const struct ft_gen_truth *t;
	struct view *v;

	(void)state;
	assert_non_null(g);
	v = run(g, true);
	assert_int_equal(v->repeats, 0);
	assert_int_equal(v->absent, FLOOD_PAIRS);
	t = ft_gen_truth_get(g);
	assert_non_null(t);
	assert_int_equal(t->row_count, 1);
	assert_int_equal(t->rows[0].names, FLOOD_PAIRS);
	free(v);
	ft_gen_destroy(g);
}

static uint64_t sum_counts(const struct ft_gen_counts *c)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < c->len; i++) {
		sum += c->row[i].n;
		if (i > 0)
			assert_true(c->row[i - 1].key < c->row[i].key);
	}
	return sum;
}

static uint64_t sum_array(const uint64_t *v, size_t len)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < len; i++)
		sum += v[i];
	return sum;
}

static void check_rtt(const struct ft_gen_row *row)
{
	assert_int_equal(row->rtt_count, row->pairs);
	for (size_t i = 1; i < row->rtt_count; i++)
		assert_true(row->rtt_us[i - 1] <= row->rtt_us[i]);
	if (row->rtt_count > 0) {
		assert_in_range(row->rtt_max_us, 1, 4999999);
		assert_true(
		    row->rtt_p50_us <= row->rtt_p90_us && row->rtt_p90_us <= row->rtt_p99_us &&
		    row->rtt_p99_us <= row->rtt_p999_us && row->rtt_p999_us <= row->rtt_max_us);
	}
}

static void check_row(const struct ft_gen_row *row, uint32_t interval_s)
{
	uint64_t series = 0, asked = sum_counts(&row->by_qtype);

	assert_int_equal(row->start_s % interval_s, 0);
	assert_int_equal(row->queries, row->pairs + row->unanswered);
	assert_int_equal(row->responses, row->pairs + row->unsolicited);
	assert_int_equal(sum_array(row->by_class, FT_GEN_CLASSES), row->queries);
	assert_int_equal(row->by_class[FT_GEN_TIMEOUT], row->unanswered);
	assert_int_equal(sum_array(row->by_transport, FT_GEN_TRANSPORTS), row->queries);
	assert_int_equal(sum_counts(&row->by_opcode), row->queries);
	assert_int_equal(sum_counts(&row->by_rcode), row->responses);
	assert_true(asked <= row->queries && row->names <= asked && row->clients <= row->queries);
	assert_true(row->query_bytes >= row->queries * DNS_HEADER &&
		    row->response_bytes >= row->responses * DNS_HEADER);
	for (unsigned i = 1; i < FT_GEN_EDNS_FIELDS; i++)
		assert_true(row->edns[i] <= row->edns[FT_GEN_EDNS_QUERIES]);
	for (unsigned k = 0; k < FT_GEN_GROUPS; k++)
		for (uint32_t i = 0; row->series[k] && i < interval_s; i++)
			series += row->series[k][i];
	assert_int_equal(series, asked);
	check_rtt(row);
}

static void test_mix_books(void **state)
{
	struct ft_gen_opts o = {.seed = 9, .pairs = 20000, .duration_s = 100, .truth = true};
	struct ft_gen *g = ft_gen_create(&o);
	const struct ft_gen_truth *t;
	uint64_t pairs = 0, bytes = 0;
	struct view *v;

	(void)state;
	assert_non_null(g);
	assert_null(ft_gen_truth_get(g)); /* not yet */
	v = run(g, true);
	t = ft_gen_truth_get(g);
	assert_non_null(t);
	assert_int_equal(t->row_count, 2);
	for (size_t i = 0; i < t->row_count; i++) {
		check_row(&t->rows[i], t->interval_s);
		assert_int_equal(t->rows[i].vantage, FT_GEN_S2R);
		assert_near((double)t->rows[i].rtt_p50_us, 20000, 1000);
		pairs += t->rows[i].pairs;
		bytes += t->rows[i].query_bytes + t->rows[i].response_bytes;
	}
	assert_int_equal(pairs, 20000);
	assert_int_equal(bytes, v->dns_bytes);
	assert_int_equal(t->totals.packets, v->frames);
	assert_int_equal(t->totals.bytes, v->bytes);
	assert_int_equal(t->totals.dns_messages, v->frames);
	free(v);
	ft_gen_destroy(g);
}

/* Each kind that the zoo promises is there, and each message is in the books once. */
static void check_zoo(const struct ft_gen_truth *t)
{
	uint64_t of_class[FT_GEN_CLASSES] = {0}, of_transport[FT_GEN_TRANSPORTS] = {0},
		 edns[FT_GEN_EDNS_FIELDS] = {0};
	uint64_t of_vantage[FT_GEN_VANTAGES] = {0}, messages = 0, unsolicited = 0;

	for (size_t i = 0; i < t->row_count; i++) {
		const struct ft_gen_row *row = &t->rows[i];

		check_row(row, t->interval_s);
		for (unsigned k = 0; k < FT_GEN_CLASSES; k++)
			of_class[k] += row->by_class[k];
		for (unsigned k = 0; k < FT_GEN_TRANSPORTS; k++)
			of_transport[k] += row->by_transport[k];
		for (unsigned k = 0; k < FT_GEN_EDNS_FIELDS; k++)
			edns[k] += row->edns[k];
		of_vantage[row->vantage] += row->queries;
		messages += row->queries + row->responses;
		unsolicited += row->unsolicited;
	}
	for (unsigned k = 0; k < FT_GEN_CLASSES; k++)
		assert_true(of_class[k] > 0);
	for (unsigned k = 0; k < FT_GEN_TRANSPORTS; k++)
		assert_true(of_transport[k] > 0);
	for (unsigned k = 0; k < FT_GEN_EDNS_FIELDS; k++)
		assert_true(edns[k] > 0);
	for (unsigned k = 0; k < FT_GEN_VANTAGES; k++)
		assert_true(of_vantage[k] > 0);
	for (unsigned k = 0; k < FT_GEN_MALFORMED; k++)
		assert_true(t->totals.malformed[k] > 0);
	assert_true(unsolicited > 0);
	assert_int_equal(messages + sum_array(t->totals.malformed, FT_GEN_MALFORMED),
			 t->totals.dns_messages);
}

static void test_zoo_books(void **state)
{
	struct ft_gen_opts o = {
	    .seed = 2, .pairs = ZOO_SCENES, .scenario = FT_GEN_ZOO, .truth = true};
	struct ft_gen *g = ft_gen_create(&o);
	const struct ft_gen_truth *t;
	struct view *v;

	(void)state;
	assert_non_null(g);
	v = run(g, false);
	t = ft_gen_truth_get(g);
	assert_non_null(t);
	check_zoo(t);
	assert_int_equal(t->totals.packets, v->frames);
	assert_int_equal(t->totals.bytes, v->bytes);
	assert_true(t->totals.fragments > 0 && t->totals.tcp_packets > 0);
	assert_true(t->totals.non_dns > t->totals.non_ip && t->totals.non_ip > 0);
	free(v);
	ft_gen_destroy(g);
}

static void test_names_of_numbers(void **state)
{
	char buf[FT_GEN_NAME_BUF];

	(void)state;
	assert_string_equal(ft_gen_qtype_name(28, buf), "AAAA");
	assert_string_equal(ft_gen_qtype_name(65280, buf), "TYPE65280");
	assert_string_equal(ft_gen_qtype_name(0, buf), "TYPE0");
	assert_string_equal(ft_gen_rcode_name(23, buf), "BADCOOKIE");
	assert_string_equal(ft_gen_rcode_name(3841, buf), "RCODE3841");
	assert_string_equal(ft_gen_rcode_name(12, buf), "RCODE12");
	assert_string_equal(ft_gen_opcode_name(6, buf), "DSO");
	assert_string_equal(ft_gen_opcode_name(3, buf), "OPCODE3");
}

static void test_refused_options(void **state)
{
	static const struct ft_gen_opts bad[] = {
	    {.scenario = FT_GEN_SCENARIOS},
	    {.pairs = UINT64_C(1) << 31},
	    {.duration_s = -1},
	    {.interval_s = 7},
	    {.clients = (1 << 24) + 1},
	    {.servers = 251},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct ft_gen_opts o = bad[i];

		errno = 0;
		assert_null(ft_gen_create(&o));
		assert_int_equal(errno, EINVAL);
		ft_gen_opts_fill(&o);
		assert_non_null(ft_gen_opts_check(&o));
	}
	ft_gen_destroy(NULL);
}

/* Halfway through is a good time to stop, too. */
static void test_destroy_early(void **state)
{
	struct ft_gen_opts o = {.scenario = FT_GEN_ZOO, .truth = true};
	struct ft_gen *g = ft_gen_create(&o);
	struct ft_gen_frame f;

	(void)state;
	assert_non_null(g);
	for (unsigned i = 0; i < 1000; i++)
		assert_int_equal(ft_gen_next(g, &f), 1);
	ft_gen_destroy(g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_same_seed_same_frames),
	    cmocka_unit_test(test_known_frames),
	    cmocka_unit_test(test_mix_shares),
	    cmocka_unit_test(test_zipf),
	    cmocka_unit_test(test_flood_never_repeats),
	    cmocka_unit_test(test_mix_books),
	    cmocka_unit_test(test_zoo_books),
	    cmocka_unit_test(test_names_of_numbers),
	    cmocka_unit_test(test_refused_options),
	    cmocka_unit_test(test_destroy_early),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
