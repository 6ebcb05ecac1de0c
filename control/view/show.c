/* SPDX-License-Identifier: BSD-3-Clause */
#include "show.h"

#include "../exit.h"
#include "../log.h"
#include "glance.h"
#include "http.h"
#include "view.h"

#include <stdlib.h>
#include <string.h>

struct show {
	struct show_opts set;
	struct view *view; /* NULL: nobody looks */
	struct watch *watch;
	struct http *http; /* NULL: off */
	struct glancer glancer;
	uint64_t lost_told;
};

/* Off, or as the setting says; auto: only in live runs. */
static bool is_off(const struct show_opts *o, const char *setting)
{
	return strcmp(setting, "off") == 0 || (strcmp(setting, "auto") == 0 && !o->live);
}

/* Where it listens. */
static const char *address(const struct config *c)
{
	return strcmp(c->http, "auto") == 0 ? HTTP_DEFAULT : c->http;
}

/* The port that nobody asked for may be another probe's; that is no reason not to start. */
static int open_http(struct show *s, char *err, size_t cap)
{
	const struct config *c = s->set.config;
	bool bad_use;

	if (is_off(&s->set, c->http))
		return EXIT_DONE;
	s->http = http_create(address(c), c->http_token, &bad_use, err, cap);
	if (s->http != NULL)
		return EXIT_DONE;
	if (bad_use)
		return EXIT_USAGE;
	if (strcmp(c->http, "auto") != 0)
		return EXIT_MACHINE;
	log_warning("http-off", LOG_NO_FIELDS, "%s; it runs without", err);
	return EXIT_DONE;
}

struct show *show_create(const struct show_opts *o, int *code, char *err, size_t cap)
{
	const struct watch_opts watch = {
	    .segment = o->segment,
	    .source_dropped = o->source_dropped,
	    .ctx = o->ctx,
	    .sample_level = o->sample_level,
	};
	struct show *s = calloc(1, sizeof(*s));

	*code = EXIT_MACHINE;
	(void)snprintf(err, cap, "not enough memory");
	if (s == NULL)
		return NULL;
	s->set = *o;
	*code = open_http(s, err, cap);
	if (*code != EXIT_DONE)
		goto fail;
	*code = EXIT_MACHINE;
	(void)snprintf(err, cap, "not enough memory");
	s->watch = watch_create(&watch);
	if (s->watch == NULL)
		goto fail;
	if (s->http == NULL && is_off(o, o->config->socket))
		return s;
	s->view = view_create();
	if (s->view == NULL)
		goto fail;
	s->glancer = (struct glancer){
	    .segment = o->segment,
	    .view = s->view,
	    .watch = s->watch,
	    .version = FLUXTAP_VERSION,
	    .source = o->source,
	    .interval_s = o->config->interval_s,
	};
	glancer_init(&s->glancer);
	return s;
fail:
	show_destroy(s);
	return NULL;
}

int show_start(struct show *s)
{
	return s->http != NULL ? http_start(s->http, &s->glancer) : 0;
}

void show_say(const struct show *s)
{
	if (s->http != NULL)
		log_info("http", LOG_FIELDS(LOG_TEXT("address", address(s->set.config))),
			 "http://%s/ has a page, /metrics and more%s", address(s->set.config),
			 http_is_open(s->http)
			     ? "; whoever reaches it may read it all, see --http-token"
			     : "");
}

void show_put(struct show *s, const char *set, const json_t *record)
{
	if (s != NULL)
		view_put(s->view, set, record);
}

void show_closed(struct show *s, uint64_t start_s, uint64_t end_s, const struct watch_export *e)
{
	view_close(s->view, start_s, end_s, e->lost - s->lost_told);
	s->lost_told = e->lost;
}

void show_step(struct show *s, const struct watch_export *e)
{
	if (watch_step(s->watch, counts_now_us(), e))
		http_tend(s->http);
}

json_t *show_json(void *show)
{
	const struct show *s = show;
	struct glance *g = s->view != NULL ? glance_take(&s->glancer) : NULL;
	json_t *o = g != NULL ? glance_json(g, false) : NULL;

	free(g);
	return o;
}

void show_destroy(struct show *s)
{
	if (s == NULL)
		return;
	http_destroy(s->http); /* before what it reads */
	watch_destroy(s->watch);
	view_destroy(s->view);
	free(s);
}
