/* SPDX-License-Identifier: BSD-3-Clause */
#include "top_model.h"

#include "../../dataplane/worker.h"
#include "top_grid.h"
#include "view.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define WIDE 130 /* columns from which panels stand side by side in three */
#define STALE_US 10000000u

static double rate_of(const struct top_input *in, uint64_t now, uint64_t before)
{
	const double s = (double)(in->now->mono_us - in->before->mono_us) / 1e6;

	return s > 0 && now >= before ? (double)(now - before) / s : 0;
}

static void draw_header(struct top_frame *f, const struct top_input *in)
{
	const char *why = json_string_value(json_object_get(in->view, "why"));
	char text[512] = "fluxtap top", when[32];
	const time_t now = time(NULL);
	struct tm tm;
	int x;

	for (x = 0; x < f->cols; x++)
		f->look[0][x] = LOOK_BAR;
	if (in->now != NULL) {
		const uint64_t s = (uint64_t)now - in->now->started_us / 1000000;
		(void)snprintf(text, sizeof(text), " %s  pid %llu  up %llu:%02llu:%02llu",
			       in->now->probe, (unsigned long long)in->now->pid,
			       (unsigned long long)(s / 3600), (unsigned long long)(s / 60 % 60),
			       (unsigned long long)(s % 60));
	}
	x = grid_put(f, 0, 0, f->cols, LOOK_BAR, text);
	(void)strftime(when, sizeof(when), "%H:%M:%S ", localtime_r(&now, &tm));
	(void)grid_put(f, 0, f->cols - (int)strlen(when), f->cols, LOOK_BAR, when);
	if (in->paused)
		(void)grid_put(f, 0, f->cols - 18, f->cols, LOOK_BAR, " PAUSED ");
	if (in->note[0] != '\0')
		(void)grid_put(f, 1, 1, f->cols, LOOK_BAD, in->note);
	else if (in->now != NULL && in->now->mono_us - in->now->heartbeat_us > STALE_US &&
		 in->now->mono_us > in->now->heartbeat_us)
		(void)grid_put(f, 1, 1, f->cols, LOOK_BAD,
			       "control has not moved for more than 10 s");
	else if (in->view == NULL)
		(void)grid_put(f, 1, 1, f->cols, LOOK_DIM,
			       "no control socket answers: counters alone");
	else if (json_is_true(json_object_get(in->view, "ready")))
		(void)grid_put(f, 1, 1, f->cols, LOOK_GOOD, "ready: nothing lost lately");
	else
		(void)grid_put(f, 1, 1, f->cols, LOOK_BAD, why != NULL ? why : "not ready");
}

static void draw_footer(struct top_frame *f, const struct top_input *in)
{
	static const char *const tabs[TOP_TABS] = {"1 overview", "2 books", "3 names",
						   "4 findings"};
	const int y = f->rows - 1;
	int x = 1;

	for (unsigned i = 0; i < TOP_TABS; i++)
		x = grid_put(f, y, x, f->cols, i == in->tab ? LOOK_BAR : LOOK_DIM, tabs[i]) + 2;
	(void)grid_put(f, y, x + 2, f->cols, LOOK_DIM, "Tab  p pause  ? help  q quit");
}

static const char *rate_text(char out[16], const struct top_input *in, uint64_t now,
			     uint64_t before)
{
	return top_number(out, rate_of(in, now, before));
}

/* Rates of each worker; returns the row behind. */
static int draw_workers(struct top_frame *f, const struct top_input *in, int y, int most)
{
	char a[16], b[16], c[16], d[16], line[160];
	const struct counts *now = in->now;

	y = grid_line(f, y, 0, f->cols, LOOK_TITLE,
		      "worker  packets/s  messages/s  lost/s   Mbit/s   busy   ring  ns/packet");
	for (unsigned i = 0; i < now->workers && most > 0; i++, most--) {
		const struct counts_worker *w = &now->worker[i], *p = &in->before->worker[i];
		const uint64_t busy = w->turns - p->turns, idle = w->idle_turns - p->idle_turns;
		const uint64_t lost = w->source_dropped + w->total[FT_CTR_RING_FULL_RECORDS];
		const uint64_t before = p->source_dropped + p->total[FT_CTR_RING_FULL_RECORDS];
		double ns = 0;
		for (unsigned s = 0; s < STAGE_CAP; s++)
			ns += grid_stage_ns(in->now, in->before, i, s);
		if (i + 1 < now->workers && most == 1) {
			(void)snprintf(line, sizeof(line), "  ... and %u more", now->workers - i);
			return grid_line(f, y, 0, f->cols, LOOK_DIM, line);
		}
		(void)snprintf(
		    line, sizeof(line), "%6u %10s  %10s %7s %8.1f %5.0f%% %5.1f%% %10s%s", i,
		    rate_text(a, in, w->total[FT_CTR_RX_PACKETS], p->total[FT_CTR_RX_PACKETS]),
		    rate_text(b, in, w->total[FT_CTR_MESSAGES], p->total[FT_CTR_MESSAGES]),
		    rate_text(c, in, lost, before),
		    rate_of(in, w->total[FT_CTR_RX_BYTES], p->total[FT_CTR_RX_BYTES]) * 8e-6,
		    busy + idle != 0 ? 100.0 * (double)busy / (double)(busy + idle) : 0,
		    w->ring_bytes != 0 ? 100.0 * (double)w->ring_used / (double)w->ring_bytes : 0,
		    ns > 0 ? top_number(d, ns) : "-", w->ended ? " ended" : "");
		y = grid_line(f, y, 0, f->cols, lost > before ? LOOK_BAD : LOOK_PLAIN, line);
	}
	return y;
}

/* One line of the books: what, how many a second, how many in all. */
static int book(struct top_frame *f, struct grid_box *b, const struct top_input *in,
		const char *what, uint64_t now, uint64_t before, bool loss)
{
	char r[16], n[24], line[160];
	const enum top_look look = loss && now != 0 ? LOOK_BAD : LOOK_PLAIN;

	(void)snprintf(n, sizeof(n), "%llu", (unsigned long long)now);
	(void)snprintf(line, sizeof(line), "%-20.20s %7s/s %*s", what,
		       rate_text(r, in, now, before), b->width > 48 ? 14 : b->width - 32, n);
	return grid_box_line(f, b, look, line);
}

static void book_counter(struct top_frame *f, struct grid_box *b, const struct top_input *in,
			 const char *what, unsigned counter, bool loss)
{
	(void)book(f, b, in, what, counts_sum(in->now, counter), counts_sum(in->before, counter),
		   loss);
}

/* Where everything went; what was lost is red. Reasons that never came are left out. */
static void draw_books(struct top_frame *f, struct grid_box b, const struct top_input *in)
{
	const struct counts *now = in->now, *p = in->before;

	(void)grid_box_line(f, &b, LOOK_TITLE, "Books");
	book_counter(f, &b, in, "packets", FT_CTR_RX_PACKETS, false);
	(void)book(f, &b, in, "lost by the source", counts_source_dropped(now),
		   counts_source_dropped(p), true);
	book_counter(f, &b, in, "messages", FT_CTR_MESSAGES, false);
	book_counter(f, &b, in, "counted", FT_CTR_COUNTED, false);
	book_counter(f, &b, in, "lost to full rings", FT_CTR_RING_FULL_RECORDS, true);
	(void)book(f, &b, in, "records written", now->records_written, p->records_written, false);
	(void)book(f, &b, in, "lost by export", now->records_lost, p->records_lost, true);
	for (unsigned i = 1; i < FT_MSG_DROP_CAP; i++)
		if (counts_sum(now, FT_CTR_MSG_DROP + i) != 0)
			book_counter(f, &b, in, ft_msg_drop_texts[i].metric, FT_CTR_MSG_DROP + i,
				     true);
	for (unsigned i = 1; i < FT_PKT_DROP_CAP; i++)
		if (counts_sum(now, FT_CTR_PKT_DROP + i) != 0) /* what is no DNS is no loss */
			book_counter(f, &b, in, ft_pkt_drop_texts[i].metric, FT_CTR_PKT_DROP + i,
				     i != FT_PKT_NOT_DNS && i != FT_PKT_NOT_IP);
}

struct share {
	const char *key;
	double n;
};

/* The last interval's counts over all vantage points, the largest first. */
static unsigned shares_of(const json_t *view, const char *what, struct share *out, unsigned cap)
{
	const json_t *traffic = json_object_get(json_object_get(view, "interval"), "traffic");
	const char *vantage, *key;
	json_t *t, *n;
	unsigned len = 0;

	json_object_foreach((json_t *)(uintptr_t)traffic, vantage, t)
	{
		json_object_foreach(json_object_get(t, what), key, n)
		{
			unsigned i = 0;
			while (i < len && strcmp(out[i].key, key) != 0)
				i++;
			if (i == cap)
				continue;
			if (i == len)
				out[len++] = (struct share){key, 0};
			out[i].n += json_number_value(n);
		}
	}
	for (unsigned i = 1; i < len; i++)
		for (unsigned k = i; k > 0 && out[k].n > out[k - 1].n; k--) {
			const struct share s = out[k];
			out[k] = out[k - 1];
			out[k - 1] = s;
		}
	return len;
}

static void draw_shares(struct top_frame *f, struct grid_box b, const struct top_input *in,
			const char *title, const char *what)
{
	struct share s[VIEW_MIX_CAP];
	const unsigned n = shares_of(in->view, what, s, VIEW_MIX_CAP);
	double sum = 0;

	for (unsigned i = 0; i < n; i++)
		sum += s[i].n;
	(void)grid_box_line(f, &b, LOOK_TITLE, title);
	if (n == 0)
		(void)grid_box_line(f, &b, LOOK_DIM, "no interval yet");
	for (unsigned i = 0; i < n && sum > 0; i++) {
		char line[160], bar[64] = "";
		const int most = b.width > 40 ? 24 : b.width - 20;
		const double share = s[i].n / sum;
		if (most > 0 && share > 0 && share <= 1)
			memset(bar, '#', (size_t)lround(share * most));
		(void)snprintf(line, sizeof(line), "%-10.10s %5.1f%% %s", s[i].key,
			       100 * s[i].n / sum, bar);
		(void)grid_box_line(f, &b, LOOK_PLAIN, line);
	}
}

/* ns per packet by stage, over all workers. */
static void draw_stages(struct top_frame *f, struct grid_box b, const struct top_input *in)
{
	double ns[STAGE_CAP], sum = 0;
	char line[256] = "";
	size_t len = 0;

	for (unsigned s = 0; s < STAGE_CAP; s++)
		sum += ns[s] = grid_stage_ns_all(in->now, in->before, s);
	(void)snprintf(line, sizeof(line), "ns per packet: %.0f", sum);
	(void)grid_box_line(f, &b, LOOK_TITLE, line);
	for (unsigned s = 0; s < STAGE_CAP; s++) {
		char part[32];
		const int n =
		    snprintf(part, sizeof(part), "%-8s%6.0f   ", worker_stage_texts[s], ns[s]);
		if (len != 0 && len + (size_t)n - 3 > (size_t)b.width) {
			(void)grid_box_line(f, &b, LOOK_PLAIN, line);
			len = 0;
		}
		len += (size_t)snprintf(line + len, sizeof(line) - len, "%s", part);
	}
	(void)grid_box_line(f, &b, LOOK_PLAIN, line);
}

static void draw_table(struct top_frame *f, struct grid_box b, const struct top_input *in,
		       enum view_table t)
{
	grid_table(f, b, json_object_get(json_object_get(in->view, "tables"), view_tables[t].key),
		   view_tables[t].title);
}

/* A box in `columns` equal parts of the width. */
static struct grid_box part(const struct top_frame *f, int y, int height, int i, int columns)
{
	const int width = f->cols / columns;

	return (struct grid_box){
	    .y = y, .x = i * width, .width = width - (i + 1 < columns ? 2 : 0), .height = height};
}

static void draw_overview(struct top_frame *f, const struct top_input *in, int y, int end)
{
	const int workers = (end - y) / 4 > 2 ? (end - y) / 4 : 2;
	const bool wide = f->cols >= WIDE;

	y = draw_workers(f, in, y, workers) + 1;
	const int stages = wide ? 0 : f->cols >= 80 ? 4 : 0;
	const int left = end - y - stages;
	const int wanted = 18; /* the books as a rule, and the types that matter */
	const int middle = wide        ? (left / 2 < wanted ? left / 2 : wanted)
			   : left > 22 ? left - 10
				       : left;
	draw_books(f, part(f, y, middle, 0, wide ? 4 : 2), in);
	draw_shares(f, part(f, y, wide ? middle : (middle + 1) / 2, 1, wide ? 4 : 2), in,
		    "Answers, last interval", "by_class");
	if (wide) {
		draw_shares(f, part(f, y, middle, 2, 4), in, "Types", "by_qtype");
		draw_stages(f, part(f, y, middle, 3, 4), in);
	} else {
		draw_shares(f, part(f, y + (middle + 1) / 2, middle / 2, 1, 2), in, "Types",
			    "by_qtype");
	}
	y += middle;
	if (stages != 0) {
		draw_stages(f, part(f, y, stages, 0, 1), in);
		y += stages;
	}
	if (end - y < 3)
		return;
	draw_table(f, part(f, y, end - y, 0, wide ? 3 : 1), in, VIEW_DOMAIN);
	if (wide) {
		draw_table(f, part(f, y, end - y, 1, 3), in, VIEW_FLUX);
		draw_table(f, part(f, y, end - y, 2, 3), in, VIEW_SINKHOLE);
	}
}

/* Every counter, a column for each worker as far as there is room. */
static void draw_all_books(struct top_frame *f, const struct top_input *in, int y, int end)
{
	char line[TOP_COLS_CAP], n[24];
	const unsigned room = f->cols > 50 ? (unsigned)(f->cols - 38) / 14 : 0;
	const unsigned shown = in->now->workers < room ? in->now->workers : room;
	int len = snprintf(line, sizeof(line), "%-22s %13s", "since the start", "all");

	for (unsigned i = 0; i < shown && in->now->workers > 1; i++)
		len += snprintf(line + len, sizeof(line) - (size_t)len, " %10s %2u", "worker", i);
	y = grid_line(f, y, 0, f->cols, LOOK_TITLE, line);
	for (unsigned c = 0; c < FT_CTR_CAP && y < end; c++) {
		const bool message = c >= FT_CTR_MSG_DROP;
		const unsigned reason = c < FT_CTR_PKT_DROP ? 1
					: message           ? c - FT_CTR_MSG_DROP
							    : c - FT_CTR_PKT_DROP;
		const char *name = c < FT_CTR_PLAIN_CAP ? ft_counter_texts[c].name
				   : message            ? ft_msg_drop_texts[reason].metric
							: ft_pkt_drop_texts[reason].metric;
		const uint64_t sum = counts_sum(in->now, c);
		if (c == FT_CTR_HELD || c == FT_CTR_HELD_PACKETS || reason == 0 ||
		    (c >= FT_CTR_PLAIN_CAP && sum == 0))
			continue;
		(void)snprintf(n, sizeof(n), "%llu", (unsigned long long)sum);
		len = snprintf(line, sizeof(line), "%-22s %13s", name, n);
		for (unsigned i = 0; i < shown && in->now->workers > 1; i++)
			len += snprintf(line + len, sizeof(line) - (size_t)len, " %13llu",
					(unsigned long long)in->now->worker[i].total[c]);
		const bool loss = c == FT_CTR_RING_FULL_RECORDS ||
				  (c >= FT_CTR_PLAIN_CAP && c != FT_CTR_PKT_DROP + FT_PKT_NOT_DNS &&
				   c != FT_CTR_PKT_DROP + FT_PKT_NOT_IP);
		y = grid_line(f, y, 0, f->cols, loss && sum != 0 ? LOOK_BAD : LOOK_PLAIN, line);
	}
	if (y < end) {
		(void)snprintf(line, sizeof(line), "%-22s %13llu", "source_dropped",
			       (unsigned long long)counts_source_dropped(in->now));
		(void)grid_line(f, y, 0, f->cols,
				counts_source_dropped(in->now) != 0 ? LOOK_BAD : LOOK_PLAIN, line);
	}
}

#define EMPTY_HEIGHT 3

static int rows_of(const struct top_input *in, enum view_table t)
{
	const json_t *table =
	    json_object_get(json_object_get(in->view, "tables"), view_tables[t].key);

	return (int)json_array_size(json_object_get(table, "rows"));
}

/* Tables one below the other, or two in a row where it is wide. Those without rows leave
 * their room to the others. */
static void draw_tables(struct top_frame *f, const struct top_input *in, int y, int end,
			const enum view_table *t, int n)
{
	const int columns = f->cols >= WIDE ? 2 : 1;
	int empty = 0, lines = 0;

	for (int i = 0; i < n; i += columns, lines++)
		empty += rows_of(in, t[i]) == 0 &&
			 (columns == 1 || i + 1 >= n || rows_of(in, t[i + 1]) == 0);
	const int full = lines > empty ? (end - y - empty * EMPTY_HEIGHT) / (lines - empty) : 0;
	for (int i = 0; i < n; i += columns) {
		const bool second = columns == 2 && i + 1 < n;
		const bool none = rows_of(in, t[i]) == 0 && (!second || rows_of(in, t[i + 1]) == 0);
		const int height = none ? EMPTY_HEIGHT : full;
		draw_table(f, part(f, y, height - 1, 0, columns), in, t[i]);
		if (second)
			draw_table(f, part(f, y, height - 1, 1, columns), in, t[i + 1]);
		y += height;
	}
}

static void draw_help(struct top_frame *f, int y)
{
	static const char *const lines[] = {
	    "1 2 3 4, Tab  another view",
	    "p             hold still, and go on",
	    "?             this page, and back",
	    "q             quit",
	    "",
	    "Rates are of the last second, read from the probe's shared memory. Types, answers,",
	    "names and findings are of the last whole interval, and come over the control socket.",
	    "Red is what was lost or damaged, since the start. lost/s: by the source, or to a full",
	    "ring. busy: turns of the worker's loop that found packets. ns/packet: one turn in",
	    "1,024 is timed, stage by stage.",
	    "",
	    "books         every counter; what comes in is carried, dropped by a reason, or held",
	    "names         what is asked for most, and what does not exist",
	    "findings      flux, sinkholes, spikes and floods, hits of rules",
	};

	for (unsigned i = 0; i < sizeof(lines) / sizeof(*lines); i++)
		y = grid_line(f, y, 2, f->cols, LOOK_PLAIN, lines[i]);
}

void top_frame_fill(struct top_frame *f, int rows, int cols, const struct top_input *in)
{
	static const enum view_table names[] = {VIEW_DOMAIN, VIEW_NXDOMAIN, VIEW_CLIENT};
	static const enum view_table findings[] = {VIEW_FLUX, VIEW_SINKHOLE, VIEW_SPIKE,
						   VIEW_MATCH};

	f->rows = rows < 0 ? 0 : rows < TOP_ROWS_CAP ? rows : TOP_ROWS_CAP;
	f->cols = cols < 0 ? 0 : cols < TOP_COLS_CAP ? cols : TOP_COLS_CAP;
	for (int y = 0; y < f->rows; y++) {
		memset(f->ch[y], ' ', sizeof(f->ch[y]));
		memset(f->look[y], LOOK_PLAIN, sizeof(f->look[y]));
	}
	if (f->rows < 4 || f->cols < 20)
		return; /* nothing that could be read */
	draw_header(f, in);
	draw_footer(f, in);
	const int y = 3, end = f->rows - 1;
	if (in->help)
		draw_help(f, y);
	else if (in->now == NULL)
		return;
	else if (in->tab == TAB_OVERVIEW)
		draw_overview(f, in, y, end);
	else if (in->tab == TAB_BOOKS)
		draw_all_books(f, in, y, end);
	else if (in->tab == TAB_NAMES)
		draw_tables(f, in, y, end, names, 3);
	else
		draw_tables(f, in, y, end, findings, 4);
}
