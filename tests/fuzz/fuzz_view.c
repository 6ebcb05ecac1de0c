/* SPDX-License-Identifier: BSD-3-Clause */
/* The live view: any record goes in and comes out as metrics, JSON and a screen; `top` takes
 * any answer for a view; addresses and Host headers are any text. The first octet says
 * which, the rest is JSON or the text. */
#include "view/glance.h"
#include "view/http_addr.h"
#include "view/metrics.h"
#include "view/top_model.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static struct counts counts = {.workers = 2, .mono_us = 1};
static struct top_frame frame;

static void check_frame(const json_t *view, unsigned size)
{
	struct top_input in = {.now = &counts, .before = &counts, .view = view, .note = ""};

	for (unsigned t = 0; t < TOP_TABS; t++) {
		in.tab = t;
		top_frame_fill(&frame, 24 + (int)(size % 3) * 18, 80 + (int)(size % 5) * 30, &in);
		for (int y = 0; y < frame.rows; y++)
			for (int x = 0; x < frame.cols; x++)
				if (frame.ch[y][x] < ' ' || frame.ch[y][x] > '~')
					abort();
	}
}

static void check_record(const char *set, const json_t *record)
{
	struct view *v = view_create();
	struct glance *g = calloc(1, sizeof(*g));
	size_t len;

	if (v == NULL || g == NULL)
		abort();
	for (unsigned i = 0; i < 3; i++) {
		view_put(v, set, record);
		view_close(v, i, i + 1, 0);
	}
	g->counts = counts;
	g->version = g->source = "";
	view_copy(v, &g->data);
	char *text = metrics_text(g, true, &len);
	if (text == NULL || strlen(text) != len || strcmp(text + len - 6, "# EOF\n") != 0)
		abort();
	free(text);
	json_t *o = glance_json(g, true);
	text = json_dumps(o, 0);
	if (text == NULL)
		abort();
	free(text);
	check_frame(o, (unsigned)len);
	json_decref(o);
	free(g);
	view_destroy(v);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const char *const sets[] = {"ledger",   "traffic", "flux",   "sinkhole",
					   "nxdomain", "match",   "domain", "client"};
	struct sockaddr_storage a;
	socklen_t n;

	if (len < 1)
		return 0;
	char *text = malloc(len);
	if (text == NULL)
		return 0;
	memcpy(text, data + 1, len - 1);
	text[len - 1] = '\0';
	json_t *o = data[0] % 10 < 9 ? json_loads(text, 0, NULL) : NULL;
	if (data[0] % 10 == 9) {
		(void)http_addr_read(text, &a, &n);
		(void)http_addr_host_is_local(text);
	} else if (o != NULL && data[0] % 10 == 8) {
		check_frame(o, (unsigned)len);
	} else if (o != NULL) {
		check_record(sets[data[0] % 10], o);
	}
	json_decref(o);
	free(text);
	return 0;
}
