/* SPDX-License-Identifier: BSD-3-Clause */
/* The screen of `fluxtap top` at the two sizes it is made for and at all others: what stands
 * where, what is red, and that nothing leaves the grid. And the page of `fluxtap status`. */
#include "glance_make.h"
#include "view/status.h"
#include "view/top_grid.h"
#include "view/top_model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

static struct top_frame f;
static struct counts now, before;

static struct top_input input(const json_t *view)
{
	return (struct top_input){.now = &now, .before = &before, .view = view, .note = ""};
}

static json_t *begin(unsigned workers)
{
	struct glance *g = glance_make(workers);
	json_t *o = glance_json(g, false);

	memset(&now, 0, sizeof(now));
	memset(&before, 0, sizeof(before));
	glance_counts(&now, workers, 3); /* 3 s and 1 s: rates are those of 2 x in 2 s */
	glance_counts(&before, workers, 1);
	free(g);
	return o;
}

static char *line(int y)
{
	static char text[TOP_COLS_CAP + 1];

	memcpy(text, f.ch[y], (size_t)f.cols);
	text[f.cols] = '\0';
	return text;
}

/* The row in which a text stands, -1: nowhere; *x: its column. */
static int find(const char *text, int *x)
{
	for (int y = 0; y < f.rows; y++) {
		const char *at = strstr(line(y), text);
		if (at != NULL) {
			if (x != NULL)
				*x = (int)(at - line(y));
			return y;
		}
	}
	return -1;
}

static void check_there(const char *text)
{
	if (find(text, NULL) < 0)
		fail_msg("\"%s\" is not on the screen of %d x %d", text, f.cols, f.rows);
}

static enum top_look look_of(const char *text)
{
	int x = 0;
	const int y = find(text, &x);

	assert_true(y >= 0);
	return (enum top_look)f.look[y][x];
}

/* Printable within the grid; nothing outside of it was touched. */
static void check_grid(void)
{
	for (int y = 0; y < TOP_ROWS_CAP; y++)
		for (int x = 0; x < TOP_COLS_CAP; x++) {
			if (y < f.rows && x < f.cols)
				assert_in_range(f.ch[y][x], ' ', '~');
			else if (y >= f.rows)
				assert_int_equal(f.ch[y][x], '!');
			else
				assert_int_equal(f.ch[y][x], ' ');
		}
}

static void fill(int rows, int cols, const struct top_input *in)
{
	memset(f.ch, '!', sizeof(f.ch));
	top_frame_fill(&f, rows, cols, in);
	check_grid();
}

static void check_overview(void)
{
	check_there("tap1");
	check_there("pid 4711");
	check_there("ready: nothing lost lately");
	check_there("worker  packets/s");
	check_there("     0 ");
	check_there("Books");
	check_there("lost by the source");
	check_there("short"); /* the first reason */
	check_there("DATA        75.0%");
	check_there("AAAA        33.3%");
	check_there("ns per packet");
	check_there("receive");
	check_there("seal");
	check_there("1 overview");
}

static void test_80x24(void **state)
{
	json_t *view = begin(2);
	struct top_input in = input(view);

	(void)state;
	fill(24, 80, &in);
	check_overview();
	/* Worker 1: 1001 packets a second, 2002 in two seconds. */
	check_there("     1       1001");
	assert_int_equal(look_of("     1       1001"),
			 LOOK_BAD);                      /* its source loses one a second */
	assert_int_equal(look_of("     0  "), LOOK_BAD); /* its ring is full */
	assert_int_equal(look_of("lost by the source"), LOOK_BAD);
	assert_int_equal(look_of("messages    "), LOOK_PLAIN);
	assert_int_equal(find("1 overview", NULL), 23);
	json_decref(view);
}

static void test_200x60(void **state)
{
	json_t *view = begin(2);
	struct top_input in = input(view);

	(void)state;
	fill(60, 200, &in);
	check_overview();
	check_there("truncated");
	check_there("name_long");
	assert_int_equal(look_of("name_long"), LOOK_BAD);
	check_there("Domains asked for most");
	check_there("Who changes too often");
	check_there("Sinkholes");
	check_there("plain.example.");
	assert_int_equal(find("1 overview", NULL), 59);
	json_decref(view);
}

static void test_tabs(void **state)
{
	json_t *view = begin(3);
	struct top_input in = input(view);

	(void)state;
	in.tab = TAB_NAMES;
	fill(24, 80, &in);
	check_there("Domains asked for most");
	check_there("Names that do not exist");
	check_there("Clients that ask most");
	check_there("?[31m<script>"); /* as it is, but for what a terminal would obey */
	in.tab = TAB_FINDINGS;
	fill(24, 80, &in);
	check_there("Who changes too often");
	check_there("01:01:01"); /* when */
	check_there("Sinkholes");
	check_there("Spikes and floods");
	check_there("Rule hits");
	in.tab = TAB_BOOKS;
	fill(60, 200, &in);
	check_there("since the start");
	check_there("worker  2");
	/* rx_packets: 3 x (1 + 1001 + 2001) in all, and each worker's. */
	check_there(
	    "rx_packets                      9009             3          3003          6003");
	assert_int_equal(look_of("frag_overlap"), LOOK_BAD);
	assert_int_equal(look_of("not_dns"), LOOK_PLAIN); /* no loss */
	assert_int_equal(look_of("rx_bytes"), LOOK_PLAIN);
	in.help = true;
	fill(24, 80, &in);
	check_there("another view");
	json_decref(view);
}

static void test_states(void **state)
{
	json_t *view = begin(1);
	struct top_input in = input(view);

	(void)state;
	(void)json_object_set_new(view, "ready", json_false());
	(void)json_object_set_new(view, "why", json_string("losing: the source dropped 7"));
	fill(24, 80, &in);
	assert_int_equal(look_of("losing: the source dropped 7"), LOOK_BAD);
	in.note = "probe tap1 ended at 12:00:00";
	fill(24, 80, &in);
	assert_int_equal(look_of("probe tap1 ended"), LOOK_BAD);
	assert_int_equal(find("losing", NULL), -1);
	in.note = "";
	in.paused = true;
	fill(24, 80, &in);
	check_there("PAUSED");
	in.view = NULL; /* no socket */
	fill(24, 80, &in);
	check_there("no control socket answers");
	check_there("packets");
	now.heartbeat_us = 0;
	now.mono_us += 60000000;
	fill(24, 80, &in);
	check_there("has not moved");
	in.now = NULL; /* no probe yet */
	in.note = "no probe runs here; waiting";
	for (unsigned t = 0; t < TOP_TABS; t++) {
		in.tab = t;
		fill(24, 80, &in);
		check_there("waiting");
	}
	json_decref(view);
}

/* Any terminal, with one worker and with all there can be. */
static void test_all_sizes(void **state)
{
	(void)state;
	for (unsigned workers = 1; workers <= FT_WORKER_CAP; workers += FT_WORKER_CAP - 1) {
		json_t *view = begin(workers);
		struct top_input in = input(view);
		for (unsigned t = 0; t < TOP_TABS; t++) {
			in.tab = t;
			for (int rows = 0; rows < 70; rows += 3)
				for (int cols = 0; cols < 220; cols += 7)
					fill(rows, cols, &in);
			fill(-1, -1, &in);
			fill(100000, 100000, &in);
		}
		json_decref(view);
	}
}

/* An answer that is no view: whoever has the socket may say anything. */
static void test_nonsense(void **state)
{
	static const char *const texts[] = {
	    "{}",
	    "{\"tables\":7,\"interval\":[],\"why\":{},\"workers\":\"x\"}",
	    "{\"tables\":{\"domain\":{\"columns\":[1,{},{\"kind\":7,\"title\":\"x\"}],\"rows\":[1,"
	    "2]}}}",
	    "{\"tables\":{\"domain\":{\"columns\":[{\"kind\":\"second\",\"title\":\"t\"}],"
	    "\"rows\":[[\"x\"],[-9e30],[9223372036854775807],[],[null]]}},"
	    "\"interval\":{\"traffic\":{\"S2R\":{\"by_class\":{\"\":-5,\"X\":1e300},\"by_qtype\":9}"
	    "}}}",
	};

	(void)state;
	json_decref(begin(2));
	for (unsigned i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		json_t *view = json_loads(texts[i], 0, NULL);
		struct top_input in = input(view);
		assert_non_null(view);
		for (unsigned t = 0; t < TOP_TABS; t++) {
			in.tab = t;
			fill(24, 80, &in);
			fill(60, 200, &in);
		}
		json_decref(view);
	}
}

static void test_numbers(void **state)
{
	static const struct {
		double n;
		const char *text;
	} cases[] = {
	    {0, "0"},           {7, "7"},          {7.25, "7.2"},       {99999, "99999"},
	    {100000, "100.0k"}, {1234567, "1.2M"}, {999999999, "1.0G"}, {1e300, "9999.0E"}};
	char out[16];

	(void)state;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		assert_string_equal(top_number(out, cases[i].n), cases[i].text);
}

static void test_stage_ns(void **state)
{
	(void)state;
	json_decref(begin(2));
	/* 640 ticks at 2 GHz over 32 packets. */
	assert_true(fabs(grid_stage_ns(&now, &before, 0, 0) - 10) < 1e-9);
	assert_true(fabs(grid_stage_ns_all(&now, &before, 1) - 20) < 1e-9);
	now.worker[0].timed_packets = before.worker[0].timed_packets = 0;
	assert_true(fabs(grid_stage_ns(&now, &before, 0, 0)) < 1e-9);
}

static void test_status(void **state)
{
	json_t *view = begin(2);
	json_t *status = json_pack("{s:{s:i, s:i}}", "rules", "patterns", 12, "listed_names", 3456);
	char *text = NULL;
	size_t len;

	(void)state;
	FILE *out = open_memstream(&text, &len);
	status_print(out, &now, &before, view, status);
	(void)fclose(out);
	assert_non_null(strstr(text, "probe tap1, pid 4711"));
	assert_non_null(strstr(text, "ready, nothing lost lately"));
	assert_non_null(strstr(text, "1,002 packets/s")); /* 1 + 1001 */
	assert_non_null(strstr(text, "3,006 received"));  /* three times that */
	assert_non_null(strstr(text, "12 expressions, 3,456 listed names"));
	assert_non_null(strstr(text, "22:13:20 to 22:14:20 UTC: 7 queries, 17 responses"));
	assert_non_null(strstr(text, "IP fragments overlap"));
	for (const char *p = text, *end; *p != '\0'; p = end + 1) {
		end = strchr(p, '\n');
		assert_non_null(end);
	}
	free(text);
	out = open_memstream(&text, &len);
	status_print(out, &now, &before, NULL, NULL); /* no socket */
	(void)fclose(out);
	assert_non_null(strstr(text, "no control socket that answers"));
	free(text);
	json_decref(status);
	json_decref(view);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_80x24),     cmocka_unit_test(test_200x60),
	    cmocka_unit_test(test_tabs),      cmocka_unit_test(test_states),
	    cmocka_unit_test(test_all_sizes), cmocka_unit_test(test_nonsense),
	    cmocka_unit_test(test_numbers),   cmocka_unit_test(test_stage_ns),
	    cmocka_unit_test(test_status),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
