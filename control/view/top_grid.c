/* SPDX-License-Identifier: BSD-3-Clause */
#include "top_grid.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define COLUMNS_CAP 12u

int grid_put(struct top_frame *f, int y, int x, int end, enum top_look look, const char *text)
{
	if (end > f->cols)
		end = f->cols;
	if (y < 0 || y >= f->rows || x < 0)
		return x;
	for (; *text != '\0' && x < end; text++, x++) {
		f->ch[y][x] = *text >= ' ' && *text < 0x7f ? *text : '?';
		f->look[y][x] = (unsigned char)look;
	}
	return x;
}

int grid_line(struct top_frame *f, int y, int x, int end, enum top_look look, const char *text)
{
	if (y < f->rows - 1)
		(void)grid_put(f, y, x, end, look, text);
	return y + 1;
}

int grid_box_line(struct top_frame *f, struct grid_box *b, enum top_look look, const char *text)
{
	if (b->used >= b->height || b->y + b->used >= f->rows - 1)
		return 0;
	(void)grid_put(f, b->y + b->used++, b->x, b->x + b->width, look, text);
	return 1;
}

const char *top_number(char out[16], double n)
{
	static const char units[] = "kMGTPE";
	unsigned u = 0;

	if (n < 99999.5) {
		(void)snprintf(out, 16, n < 10 && n != floor(n) ? "%.1f" : "%.0f", n);
		return out;
	}
	for (n /= 1000; n >= 999.95 && u + 1 < sizeof(units) - 1; u++)
		n /= 1000;
	(void)snprintf(out, 16, "%.1f%c", n < 9999 ? n : 9999, units[u]);
	return out;
}

struct column {
	const char *kind, *title;
	int width;
	bool right;
};

static void cell_text(const json_t *cell, const char *kind, char *out, size_t cap)
{
	char n[16];

	if (json_is_string(cell)) {
		(void)snprintf(out, cap, "%s", json_string_value(cell));
	} else if (strcmp(kind, "second") == 0) {
		const time_t t = (time_t)json_integer_value(cell);
		struct tm tm;
		out[0] = '\0';
		if (gmtime_r(&t, &tm) != NULL)
			(void)strftime(out, cap, "%H:%M:%S", &tm);
	} else if (json_is_number(cell)) {
		(void)snprintf(out, cap, "%s", top_number(n, json_number_value(cell)));
	} else {
		(void)snprintf(out, cap, "-");
	}
}

/* Widths of the columns that fit: numbers have their own, the name takes what is left. */
static unsigned lay_out(const json_t *columns, const json_t *rows, int width, struct column *c)
{
	unsigned n = 0, name = COLUMNS_CAP;
	int used = 0;
	size_t i, r;
	json_t *column, *row;
	char text[300];

	json_array_foreach(columns, i, column)
	{
		const char *kind = json_string_value(json_object_get(column, "kind"));
		const char *title = json_string_value(json_object_get(column, "title"));
		if (n == COLUMNS_CAP || kind == NULL || title == NULL)
			break;
		c[n] = (struct column){kind, title, (int)strlen(title), strcmp(kind, "text") != 0};
		json_array_foreach(rows, r, row)
		{
			cell_text(json_array_get(row, i), kind, text, sizeof(text));
			if ((int)strlen(text) > c[n].width)
				c[n].width = (int)strlen(text);
		}
		if (name == COLUMNS_CAP && !c[n].right && c[n].width > 14)
			name = n; /* the one that may be cut */
		used += c[n].width + 2;
		n++;
	}
	if (name < n && used - 2 > width && c[name].width > 20) {
		const int spare = used - 2 - width;
		const int cut = spare < c[name].width - 20 ? spare : c[name].width - 20;
		c[name].width -= cut;
		used -= cut;
	}
	while (n > 1 && used - 2 > width)
		used -= c[--n].width + 2;
	return n;
}

static void put_cell(char *line, size_t cap, const struct column *c, const char *text)
{
	const size_t len = strlen(line);

	(void)snprintf(line + len, cap - len, "%*.*s%s", c->right ? c->width : -c->width, c->width,
		       text, "  ");
}

void grid_table(struct top_frame *f, struct grid_box b, const json_t *table, const char *title)
{
	const json_t *columns = json_object_get(table, "columns");
	const json_t *rows = json_object_get(table, "rows");
	const char *empty = json_string_value(json_object_get(table, "empty"));
	struct column c[COLUMNS_CAP];
	char line[2 * TOP_COLS_CAP] = "", text[300];
	size_t r;
	json_t *row;

	(void)grid_box_line(f, &b, LOOK_TITLE, title);
	if (json_array_size(rows) == 0) {
		(void)grid_box_line(f, &b, LOOK_DIM, empty != NULL ? empty : "not known");
		return;
	}
	const unsigned n = lay_out(columns, rows, b.width, c);
	for (unsigned i = 0; i < n; i++)
		put_cell(line, sizeof(line), &c[i], c[i].title);
	(void)grid_box_line(f, &b, LOOK_DIM, line);
	json_array_foreach(rows, r, row)
	{
		line[0] = '\0';
		for (unsigned i = 0; i < n; i++) {
			cell_text(json_array_get(row, i), c[i].kind, text, sizeof(text));
			put_cell(line, sizeof(line), &c[i], text);
		}
		(void)grid_box_line(f, &b, LOOK_PLAIN, line);
	}
}

static double ns_of(uint64_t ticks, uint64_t packets, const struct counts *now,
		    const struct counts *before)
{
	const double ns = (double)(now->mono_us - before->mono_us) * 1000;

	return packets != 0 && ns > 0 && now->ticks > before->ticks
		   ? (double)ticks / ((double)(now->ticks - before->ticks) / ns) / (double)packets
		   : 0;
}

double grid_stage_ns(const struct counts *now, const struct counts *before, unsigned worker,
		     unsigned stage)
{
	const struct counts_worker *w = &now->worker[worker], *p = &before->worker[worker];
	const bool fresh = w->timed_packets > p->timed_packets;

	return ns_of(w->stage_ticks[stage] - (fresh ? p->stage_ticks[stage] : 0),
		     w->timed_packets - (fresh ? p->timed_packets : 0), now, before);
}

double grid_stage_ns_all(const struct counts *now, const struct counts *before, unsigned stage)
{
	uint64_t ticks = 0, packets = 0;

	for (unsigned i = 0; i < now->workers; i++) {
		ticks += now->worker[i].stage_ticks[stage];
		packets += now->worker[i].timed_packets;
	}
	return ns_of(ticks, packets, now, before);
}
