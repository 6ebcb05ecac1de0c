/* SPDX-License-Identifier: BSD-3-Clause */
#include "live.h"

#include "ctl.h"
#include "log.h"

#include <fluxtap/counters.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* A client that waits for its reload. */
struct asked {
	uint64_t client, ticket; /* client 0: free place */
};

struct live {
	struct live_opts set;
	struct reload *reload;
	struct ctl *ctl; /* NULL: no socket */
	time_t begin_s;  /* monotonic */
	struct asked asked[CTL_CLIENTS];
};

static time_t now_s(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec;
}

void live_socket_path(const char *probe, const char *out, bool make, char *path, size_t cap)
{
	if (make)
		(void)mkdir(LIVE_RUN_DIR, 0755);
	if (access(LIVE_RUN_DIR, W_OK) == 0)
		(void)snprintf(path, cap, LIVE_RUN_DIR "/%s.sock", probe);
	else
		(void)snprintf(path, cap, "%s/.fluxtap.sock", out);
}

static json_t *result_json(const struct reload_result *x)
{
	if (x->error != NULL)
		return json_pack("{s:b, s:s, s:I}", "ok", 0, "error", x->error, "generation",
				 (json_int_t)x->generation);
	return json_pack("{s:b, s:I, s:I, s:I, s:I, s:I}", "ok", 1, "generation",
			 (json_int_t)x->generation, "patterns", (json_int_t)x->patterns,
			 "listed_names", (json_int_t)x->listed_names, "load_us",
			 (json_int_t)x->load_us, "swap_us", (json_int_t)x->swap_us);
}

static void reload_done(void *ctx, const struct reload_result *x)
{
	struct live *l = ctx;

	if (x->error != NULL)
		log_error("reload-refused", LOG_FIELDS(LOG_NUM("generation", x->generation)),
			  "reload: %s; the old rules stay in use", x->error);
	else
		log_info("reload",
			 LOG_FIELDS(LOG_NUM("generation", x->generation),
				    LOG_NUM("patterns", x->patterns),
				    LOG_NUM("listed_names", x->listed_names),
				    LOG_NUM("load_us", x->load_us), LOG_NUM("swap_us", x->swap_us)),
			 "reload: %zu expressions and %zu listed names in use after %.1f s",
			 x->patterns, x->listed_names, (double)(x->load_us + x->swap_us) / 1e6);
	for (unsigned i = 0; i < CTL_CLIENTS; i++) {
		if (l->asked[i].client == 0 || l->asked[i].ticket > x->ticket)
			continue;
		ctl_answer(l->ctl, l->asked[i].client, result_json(x));
		l->asked[i].client = 0;
	}
}

static void ask_reload(struct live *l, uint64_t client)
{
	/* As many places as the socket has clients, and each asks once at a time; but one
	 * that has gone keeps its place until its reload is through. */
	for (unsigned i = 0; i < CTL_CLIENTS; i++) {
		if (l->asked[i].client != 0)
			continue;
		l->asked[i] = (struct asked){client, reload_request(l->reload)};
		return;
	}
	ctl_refuse(l->ctl, client, "too many reloads at a time");
}

static json_t *totals_json(const struct live *l)
{
	json_t *o = json_object();

	for (unsigned c = 0; c < FT_CTR_PLAIN_CAP; c++) {
		uint64_t sum = 0;
		for (unsigned i = 0; i < l->set.workers; i++)
			sum += atomic_load_explicit(&segment_worker(l->set.segment, i)->total[c],
						    memory_order_relaxed);
		json_object_set_new(o, ft_counter_texts[c].name, json_integer((json_int_t)sum));
	}
	return o;
}

static json_t *workers_json(const struct live *l)
{
	json_t *a = json_array();

	for (unsigned i = 0; i < l->set.workers; i++) {
		const struct ft_shm_worker *w = segment_worker(l->set.segment, i);
		json_array_append_new(
		    a, json_pack(
			   "{s:i, s:I, s:I, s:b}", "worker", (int)i, "generation",
			   (json_int_t)atomic_load_explicit(&w->generation, memory_order_relaxed),
			   "clock_us",
			   (json_int_t)atomic_load_explicit(&w->clock_us, memory_order_relaxed),
			   "ended", atomic_load_explicit(&w->ended, memory_order_relaxed) != 0));
	}
	return a;
}

static json_t *status_json(const struct live *l)
{
	const struct reload_state s = reload_state_get(l->reload);
	json_t *rules =
	    json_pack("{s:I, s:I, s:I, s:I, s:I, s:b, s:s}", "generation", (json_int_t)s.generation,
		      "patterns", (json_int_t)s.patterns, "listed_names",
		      (json_int_t)s.listed_names, "loaded", (json_int_t)s.loaded, "failed",
		      (json_int_t)s.failed, "busy", s.busy, "error", s.error);

	return json_pack("{s:b, s:I, s:s, s:s, s:I, s:o, s:o, s:o}", "ok", 1, "pid",
			 (json_int_t)getpid(), "probe", l->set.probe, "segment",
			 l->set.segment->name, "uptime_s", (json_int_t)(now_s() - l->begin_s),
			 "rules", rules, "workers", workers_json(l), "totals", totals_json(l));
}

static void answer_view(struct live *l, uint64_t client)
{
	json_t *view = l->set.view(l->set.ctx);

	if (view != NULL)
		ctl_answer(l->ctl, client, view);
	else
		ctl_refuse(l->ctl, client, "not enough memory");
}

static void request(void *ctx, uint64_t client, const char *line)
{
	struct live *l = ctx;

	if (strcmp(line, "reload") == 0)
		ask_reload(l, client);
	else if (strcmp(line, "status") == 0)
		ctl_answer(l->ctl, client, status_json(l));
	else if (strcmp(line, "view") == 0 && l->set.view != NULL)
		answer_view(l, client);
	else
		ctl_refuse(l->ctl, client, "no such request; there are: reload status view");
}

struct live *live_create(const struct live_opts *o, bool *bad_rules, char *err, size_t cap)
{
	struct live *l = calloc(1, sizeof(*l));
	const struct reload_opts reload = {
	    .rules = o->rules, .workers = o->workers, .done = reload_done, .ctx = l};

	*bad_rules = false;
	(void)snprintf(err, cap, "not enough memory");
	if (l == NULL)
		return NULL;
	l->set = *o;
	l->begin_s = now_s();
	l->reload = reload_create(&reload);
	if (l->reload == NULL)
		goto fail;
	if (reload_first(l->reload, err, cap) != 0) {
		*bad_rules = true;
		goto fail;
	}
	if (o->socket != NULL) {
		l->ctl = ctl_create(o->socket, request, l, err, cap);
		if (l->ctl == NULL)
			goto fail;
	}
	return l;
fail:
	live_destroy(l);
	return NULL;
}

void live_destroy(struct live *l)
{
	if (l == NULL)
		return;
	ctl_destroy(l->ctl);
	reload_destroy(l->reload);
	free(l);
}

struct rules_seat *live_seat(struct live *l, unsigned worker)
{
	return reload_seat(l->reload, worker);
}

void live_hangup(struct live *l)
{
	(void)reload_request(l->reload);
}

void live_step(struct live *l)
{
	if (l->ctl != NULL)
		ctl_step(l->ctl);
	reload_step(l->reload);
}

struct reload_state live_rules(const struct live *l)
{
	return reload_state_get(l->reload);
}
