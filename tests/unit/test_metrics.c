/* SPDX-License-Identifier: BSD-3-Clause */
/* Metrics as text: every line read back by a small reader of our own, in both formats. The
 * rules are those of the OpenMetrics 1.0 specification and of Prometheus' text format 0.0.4;
 * tests/net runs promtool over a live probe's. */
#include "glance_make.h"
#include "view/metrics.h"

#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

struct family {
	char name[96], type[16];
	bool help, closed;
};

static struct family families[256];
static unsigned families_len;
static char samples[4096][256]; /* name and labels, to see that none comes twice */
static unsigned samples_len;

static struct family *family_of(const char *name)
{
	for (unsigned i = 0; i < families_len; i++)
		if (strcmp(families[i].name, name) == 0)
			return &families[i];
	assert_in_range(families_len, 0, 255);
	struct family *f = &families[families_len++];
	memset(f, 0, sizeof(*f));
	(void)snprintf(f->name, sizeof(f->name), "%s", name);
	return f;
}

/* The end of `{key="value",...}`; checks names and escapes. */
static const char *read_labels(const char *at)
{
	if (*at != '{')
		return at;
	do {
		at++;
		assert_true(isalpha((unsigned char)*at) || *at == '_');
		at += strspn(at, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");
		assert_memory_equal(at, "=\"", 2);
		for (at += 2; *at != '"'; at++) {
			assert_true(*at != '\0' && *at != '\n');
			if (*at == '\\') {
				at++;
				assert_true(*at == 'n' || *at == '\\' || *at == '"');
			}
		}
		at++;
	} while (*at == ',');
	assert_int_equal(*at, '}');
	return at + 1;
}

static void read_comment(char *line, bool open)
{
	char name[96], type[16];

	if (strcmp(line, "# EOF") == 0)
		return;
	if (sscanf(line, "# TYPE %95s %15s", name, type) == 2) {
		struct family *f = family_of(name);
		assert_true(f->help); /* HELP first, by our own habit */
		assert_string_equal(f->type, "");
		(void)snprintf(f->type, sizeof(f->type), "%s", type);
		assert_true(open || strcmp(type, "info") != 0);
	} else if (sscanf(line, "# UNIT %95s %15s", name, type) == 2) {
		assert_true(open);
		const size_t n = strlen(name), u = strlen(type);
		assert_true(n > u + 1 && name[n - u - 1] == '_');
		assert_string_equal(name + n - u, type);
	} else {
		assert_int_equal(sscanf(line, "# HELP %95s", name), 1);
		struct family *f = family_of(name);
		assert_false(f->help);
		f->help = true;
	}
}

static void read_sample(const char *line, bool open)
{
	char name[96] = "", base[96];
	const size_t len = strcspn(line, "{ ");
	struct family *f = &families[families_len - 1]; /* samples stand behind their type */
	char *end;

	assert_in_range(len, 1, sizeof(name) - 1);
	memcpy(name, line, len);
	(void)snprintf(base, sizeof(base), "%s", name);
	const char *at = read_labels(line + len);
	assert_int_equal(*at, ' ');
	const double x = strtod(at + 1, &end);
	assert_int_equal(*end, '\0');
	assert_true(x >= 0 || isnan(x));
	const size_t n = strlen(f->name);
	assert_memory_equal(name, f->name, n);
	if (strcmp(f->type, "counter") == 0)
		assert_string_equal(open ? name + n : name + strlen(name) - 6, "_total");
	else if (strcmp(f->type, "info") == 0)
		assert_string_equal(name + n, "_info");
	else if (strcmp(f->type, "histogram") == 0)
		assert_true(strcmp(name + n, "_bucket") == 0 || strcmp(name + n, "_sum") == 0 ||
			    strcmp(name + n, "_count") == 0);
	else
		assert_string_equal(name + n, "");
	for (unsigned i = 0; i < samples_len; i++)
		assert_int_not_equal(strncmp(samples[i], line, (size_t)(at - line) + 1), 0);
	assert_in_range(samples_len, 0, 4095);
	(void)snprintf(samples[samples_len++], sizeof(samples[0]), "%s", line);
}

static void read_all(const struct glance *g, bool open)
{
	size_t len;
	char *text = metrics_text(g, open, &len), *save = NULL;

	assert_non_null(text);
	assert_int_equal(strlen(text), len);
	assert_int_equal(text[len - 1], '\n');
	assert_int_equal(len > 6 && strcmp(text + len - 6, "# EOF\n") == 0, open);
	families_len = samples_len = 0;
	for (char *l = strtok_r(text, "\n", &save); l != NULL; l = strtok_r(NULL, "\n", &save)) {
		for (const char *p = l; *p != '\0'; p++)
			assert_in_range(*p, 0x20, 0x7e);
		if (l[0] == '#')
			read_comment(l, open);
		else
			read_sample(l, open);
	}
	free(text);
}

static double value_of(const char *sample)
{
	const size_t len = strlen(sample);

	for (unsigned i = 0; i < samples_len; i++)
		if (strncmp(samples[i], sample, len) == 0 && samples[i][len] == ' ')
			return strtod(samples[i] + len, NULL);
	fail_msg("no sample %s", sample);
	return NAN;
}

static void check_value(const char *sample, double want)
{
	const double have = value_of(sample);

	if (fabs(have - want) > 1e-9 * fabs(want) + 1e-12)
		fail_msg("%s is %.17g, not %.17g", sample, have, want);
}

static void check_values(void)
{
	check_value("fluxtap_build_info{version=\"9.9\",probe=\"tap1\"}", 1);
	check_value("fluxtap_packets_total{worker=\"1\"}", 1000 + FT_CTR_RX_PACKETS + 1);
	check_value("fluxtap_packets_dropped_total{worker=\"0\",reason=\"not_dns\"}",
		    FT_CTR_PKT_DROP + FT_PKT_NOT_DNS + 1);
	check_value("fluxtap_packets_dropped_total{worker=\"2\",reason=\"tcp_full\"}",
		    2000 + FT_CTR_PKT_DROP + FT_PKT_TCP_FULL + 1);
	check_value("fluxtap_messages_dropped_total{worker=\"0\",reason=\"name_loop\"}",
		    FT_CTR_MSG_DROP + FT_MSG_NAME_LOOP + 1);
	check_value("fluxtap_ring_full_records_total{worker=\"0\"}", FT_CTR_RING_FULL_RECORDS + 1);
	check_value("fluxtap_source_dropped_packets_total{worker=\"2\"}", 2);
	check_value("fluxtap_worker_turns_total{worker=\"0\",kind=\"idle\"}", 70);
	/* The third stage: 1920 ticks at 2 GHz. */
	check_value("fluxtap_stage_seconds_total{worker=\"0\",stage=\"parse\"}", 960e-9);
	check_value("fluxtap_stage_packets_total{worker=\"0\"}", 32);
	check_value("fluxtap_queries_total{vantage=\"S2R\"}", 7);
	check_value("fluxtap_queries_total{vantage=\"AUTH\"}", 0);
	check_value("fluxtap_response_bytes_total{vantage=\"S2R\"}", 10 * VIEW_RESPONSE_BYTES + 7);
	check_value("fluxtap_queries_by_qtype_total{vantage=\"S2R\",qtype=\"AAAA\"}", 20);
	check_value("fluxtap_responses_by_rcode_total{vantage=\"S2R\",rcode=\"NOERROR\"}", 45);
	check_value("fluxtap_transactions_total{vantage=\"S2R\",class=\"NXDOMAIN\"}", 15);
	check_value("fluxtap_interval_clients{vantage=\"S2R\"}", 12);
	check_value("fluxtap_sinkhole_queries_total{group=\"a\\\"b\\\\c\\nd\",vantage=\"AUTH\"}",
		    66);
	check_value(
	    "fluxtap_sinkhole_queries_per_second{group=\"a\\\"b\\\\c\\nd\",vantage=\"AUTH\"}", 1.1);
	check_value("fluxtap_flux_onsets_total{kind=\"ns\"}", 4);
	check_value("fluxtap_floods_total", 2);
	check_value("fluxtap_unauthorised_changes_total", 3);
	check_value("fluxtap_export_records_total", 55);
	check_value("fluxtap_ready", 1);
	check_value("process_resident_memory_bytes", 123456);
	check_value("process_cpu_seconds_total", 1.25);
	check_value("fluxtap_start_time_seconds", 1.7e9);
}

static void test_both_formats(void **state)
{
	struct glance *g = glance_make(3);

	(void)state;
	read_all(g, true);
	check_values();
	read_all(g, false);
	check_values();
	free(g);
}

/* The most there can be: no line is lost, none comes twice. */
static void test_all_workers(void **state)
{
	struct glance *g = glance_make(FT_WORKER_CAP);

	(void)state;
	read_all(g, true);
	check_value("fluxtap_packets_total{worker=\"63\"}", 63001);
	free(g);
}

/* Bounds are those of the sketch: a bucket holds exactly the times up to its bound. */
static void test_histogram(void **state)
{
	static const uint64_t times[] = {0,      1,      9,       10,      100,
					 101,    999,    1000,    5000,    12345,
					 100000, 999999, 4999999, 5000000, 70000000};
	struct glance *g = glance_make(1);
	uint64_t *rtt = g->data.total[FT_VANTAGE_R2A].rtt;
	unsigned buckets = 0;
	double sum = 0, last = -1;

	(void)state;
	dd_init();
	for (size_t i = 0; i < sizeof(times) / sizeof(*times); i++) {
		rtt[dd_bin(times[i])] += i + 1;
		sum += (double)times[i] * (double)(i + 1) / 1e6;
	}
	read_all(g, true);
	for (unsigned s = 0; s < samples_len; s++) {
		static const char begin[] =
		    "fluxtap_response_time_seconds_bucket{vantage=\"R2A\",le=\"";
		uint64_t want = 0;
		if (strncmp(samples[s], begin, sizeof(begin) - 1) != 0)
			continue;
		const double le = strtod(samples[s] + sizeof(begin) - 1, NULL); /* "+Inf", too */
		for (size_t i = 0; i < sizeof(times) / sizeof(*times); i++)
			want += (double)times[i] / 1e6 <= le ? i + 1 : 0;
		assert_true(le > last);
		last = le;
		assert_int_equal(strtoull(strchr(samples[s], ' ') + 1, NULL, 10), want);
		buckets++;
	}
	assert_true(isinf(last));
	assert_in_range(buckets, 20, 50);
	check_value("fluxtap_response_time_seconds_count{vantage=\"R2A\"}", 120);
	/* Within the sketch's error, but for what is beyond its last bin. */
	assert_true(fabs(value_of("fluxtap_response_time_seconds_sum{vantage=\"R2A\"}") - sum) <
		    0.011 * sum);
	free(g);
}

static void test_accept(void **state)
{
	(void)state;
	/* What Prometheus 2.x sends. */
	assert_true(metrics_wants_open("application/openmetrics-text;version=1.0.0;q=0.75,"
				       "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"));
	assert_false(metrics_wants_open("text/plain"));
	assert_false(metrics_wants_open("*/*"));
	assert_false(metrics_wants_open(NULL));
	assert_false(metrics_wants_open(""));
	assert_false(metrics_wants_open("application/openmetrics-text;q=0,text/plain"));
	assert_true(metrics_wants_open("text/plain;q=0,application/openmetrics-text"));
}

/* What the page reads is JSON whatever names hold. */
static void test_json(void **state)
{
	struct glance *g = glance_make(2);
	json_t *o = glance_json(g, true);
	char *text = json_dumps(o, JSON_COMPACT);

	(void)state;
	assert_non_null(text);
	json_t *again = json_loads(text, 0, NULL);
	assert_true(json_equal(o, again));
	const json_t *t = json_object_get(json_object_get(o, "tables"), "flux");
	assert_int_equal(json_array_size(json_object_get(t, "rows")), 2);
	const json_t *row = json_array_get(json_object_get(t, "rows"), 1);
	assert_int_equal(json_array_size(row), json_array_size(json_object_get(t, "columns")));
	assert_string_equal(json_string_value(json_array_get(row, 1)), EVIL_NAME);
	assert_int_equal(json_array_size(json_object_get(o, "points")), 1);
	assert_int_equal(
	    json_integer_value(json_object_get(json_object_get(o, "totals"), "rx_packets")),
	    1 + 1001);
	json_decref(again);
	json_decref(o);
	free(text);
	g->data.intervals = 0;
	o = glance_json(g, false);
	assert_true(json_is_null(json_object_get(o, "interval")));
	assert_null(json_object_get(o, "points"));
	json_decref(o);
	free(g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_both_formats), cmocka_unit_test(test_all_workers),
	    cmocka_unit_test(test_histogram),    cmocka_unit_test(test_accept),
	    cmocka_unit_test(test_json),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
