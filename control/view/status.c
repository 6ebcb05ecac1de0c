/* SPDX-License-Identifier: BSD-3-Clause */
#include "status.h"

#include "../../dataplane/worker.h"
#include "../exit.h"
#include "../report.h"
#include "../settings.h"
#include "glance.h"
#include "target.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BETWEEN_NS 500000000

static const char *number(uint64_t n)
{
	static char text[12][REPORT_NUMBER_CAP];
	static unsigned next;

	return report_number(text[next++ % 12], n);
}

static double per_second(uint64_t now, uint64_t before, const struct counts *a,
			 const struct counts *b)
{
	const double s = (double)(a->mono_us - b->mono_us) / 1e6;

	return s > 0 && now >= before ? (double)(now - before) / s : 0;
}

static const char *rate(uint64_t now, uint64_t before, const struct counts *a,
			const struct counts *b)
{
	return number((uint64_t)llround(per_second(now, before, a, b)));
}

static void print_drops(FILE *out, const struct counts *c, unsigned base, unsigned cap,
			const struct ft_drop_text *text)
{
	for (unsigned i = 1; i < cap; i++) {
		const uint64_t n = counts_sum(c, base + i);
		if (n != 0)
			(void)fprintf(out, "    %17s  %s\n", number(n), text[i].text);
	}
}

static uint64_t dropped(const struct counts *c, unsigned base, unsigned cap)
{
	uint64_t sum = 0;

	for (unsigned i = 1; i < cap; i++)
		sum += counts_sum(c, base + i);
	return sum;
}

static void print_books(FILE *out, const struct counts *c)
{
	(void)fprintf(
	    out, "  packets   %s received, %s carried, %s left early, %s lost by the source\n",
	    number(counts_sum(c, FT_CTR_RX_PACKETS)), number(counts_sum(c, FT_CTR_CARRIED)),
	    number(dropped(c, FT_CTR_PKT_DROP, FT_PKT_DROP_CAP)), number(counts_source_dropped(c)));
	print_drops(out, c, FT_CTR_PKT_DROP, FT_PKT_DROP_CAP, ft_pkt_drop_texts);
	(void)fprintf(out, "  messages  %s found, %s counted, %s left early\n",
		      number(counts_sum(c, FT_CTR_MESSAGES)), number(counts_sum(c, FT_CTR_COUNTED)),
		      number(dropped(c, FT_CTR_MSG_DROP, FT_MSG_DROP_CAP)));
	print_drops(out, c, FT_CTR_MSG_DROP, FT_MSG_DROP_CAP, ft_msg_drop_texts);
	(void)fprintf(out, "  records   %s from workers, %s lost to a full ring\n",
		      number(counts_sum(c, FT_CTR_RECORDS)),
		      number(counts_sum(c, FT_CTR_RING_FULL_RECORDS)));
	(void)fprintf(out, "  export    %s records, %s given up%s\n", number(c->records_written),
		      number(c->records_lost), c->export_failing ? "; IT FAILS NOW" : "");
}

static void print_workers(FILE *out, const struct counts *now, const struct counts *before)
{
	(void)fprintf(out,
		      "\n  worker      packets/s    messages/s   lost/s   busy   ring  rules\n");
	for (unsigned i = 0; i < now->workers; i++) {
		const struct counts_worker *w = &now->worker[i], *b = &before->worker[i];
		const uint64_t busy = w->turns - b->turns, idle = w->idle_turns - b->idle_turns;
		const uint64_t lost = w->source_dropped + w->total[FT_CTR_RING_FULL_RECORDS];
		const uint64_t lost_before = b->source_dropped + b->total[FT_CTR_RING_FULL_RECORDS];
		(void)fprintf(
		    out, "  %6u %14s %13s %8s %5.0f%% %5.1f%% %6" PRIu64 "%s\n", i,
		    rate(w->total[FT_CTR_RX_PACKETS], b->total[FT_CTR_RX_PACKETS], now, before),
		    rate(w->total[FT_CTR_MESSAGES], b->total[FT_CTR_MESSAGES], now, before),
		    rate(lost, lost_before, now, before),
		    busy + idle != 0 ? 100.0 * (double)busy / (double)(busy + idle) : 0,
		    w->ring_bytes != 0 ? 100.0 * (double)w->ring_used / (double)w->ring_bytes : 0,
		    w->generation, w->ended ? "  ended" : "");
	}
}

static uint64_t count_of(const json_t *o, const char *key)
{
	return report_count(o, key);
}

static void print_interval(FILE *out, const json_t *view)
{
	const json_t *in = json_object_get(view, "interval");
	const json_t *p50 = json_object_get(in, "p50_us"), *p99 = json_object_get(in, "p99_us");
	const time_t begin = (time_t)count_of(in, "start"), end = (time_t)count_of(in, "end");
	uint64_t queries = 0, responses = 0, unanswered = 0;
	struct tm from = {0}, to = {0};
	char a[16] = "", b[16] = "";
	const char *vantage;
	json_t *t;

	if (!json_is_object(in)) {
		(void)fprintf(out, "  interval  the first one is still open\n");
		return;
	}
	if (gmtime_r(&begin, &from) != NULL && gmtime_r(&end, &to) != NULL) {
		(void)strftime(a, sizeof(a), "%H:%M:%S", &from);
		(void)strftime(b, sizeof(b), "%H:%M:%S", &to);
	}
	json_object_foreach(json_object_get(in, "traffic"), vantage, t)
	{
		queries += count_of(t, "queries");
		responses += count_of(t, "responses");
		unanswered += count_of(t, "unanswered");
	}
	(void)fprintf(out, "  interval  %s to %s UTC: %s queries, %s responses, %s unanswered", a,
		      b, number(queries), number(responses), number(unanswered));
	if (json_is_number(p50) && json_is_number(p99))
		(void)fprintf(out, "; delay p50 %.3f ms, p99 %.3f ms",
			      json_number_value(p50) / 1000, json_number_value(p99) / 1000);
	(void)fprintf(out, "%s\n",
		      json_is_false(json_object_get(json_object_get(in, "ledger"), "closes"))
			  ? "\n            THE BOOKS DO NOT CLOSE, which is a fault in fluxtap"
			  : "");
}

static void print_said(FILE *out, const json_t *view, const json_t *status)
{
	const json_t *rules = json_object_get(status, "rules");
	const json_t *onsets = json_object_get(view, "flux_onsets");

	print_interval(out, view);
	(void)fprintf(
	    out,
	    "  findings  flux: %s names, %s addresses, %s name servers; %s spikes, %s floods; "
	    "%s unauthorised changes\n",
	    number(count_of(onsets, "cname")), number(count_of(onsets, "ip")),
	    number(count_of(onsets, "ns")), number(count_of(view, "spikes")),
	    number(count_of(view, "floods")), number(count_of(view, "unauthorised_changes")));
	(void)fprintf(out, "  rules     %s expressions, %s listed names\n",
		      number(count_of(rules, "patterns")), number(count_of(rules, "listed_names")));
	(void)fprintf(out, "  process   %s MiB, %.1f s of CPU\n",
		      number(count_of(view, "resident_bytes") >> 20),
		      json_number_value(json_object_get(view, "cpu_s")));
}

static void print_state(FILE *out, const struct counts *c, const json_t *view)
{
	const char *why = report_text(view, "why");

	if (view == NULL)
		(void)fprintf(out, "  state     it runs, and has no control socket that answers\n");
	else if (json_is_true(json_object_get(view, "ready")))
		(void)fprintf(out, "  state     ready, nothing lost lately\n");
	else
		(void)fprintf(out, "  state     NOT READY: %s\n", why);
	if (c->sample_level != 0)
		(void)fprintf(out, "  sampling  1 in %s flows is in the tables\n",
			      number(1ull << (c->sample_level & 63)));
}

void status_print(FILE *out, const struct counts *now, const struct counts *before,
		  const json_t *view, const json_t *status)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_REALTIME, &t);
	const uint64_t up_s = (uint64_t)t.tv_sec - now->started_us / 1000000;
	(void)fprintf(out,
		      "probe %s, pid %" PRIu64 ", up %" PRIu64 " h %" PRIu64 " min %" PRIu64 " s\n",
		      now->probe, now->pid, up_s / 3600, up_s / 60 % 60, up_s % 60);
	if (view != NULL)
		(void)fprintf(out, "  source    %s\n", report_text(view, "source"));
	print_state(out, now, view);
	(void)fprintf(out, "  now       %s packets/s, %s messages/s\n",
		      rate(counts_sum(now, FT_CTR_RX_PACKETS),
			   counts_sum(before, FT_CTR_RX_PACKETS), now, before),
		      rate(counts_sum(now, FT_CTR_MESSAGES), counts_sum(before, FT_CTR_MESSAGES),
			   now, before));
	print_books(out, now);
	if (view != NULL)
		print_said(out, view, status);
	print_workers(out, now, before);
}

/* Without a socket, what the segment says. */
static json_t *json_of(const struct counts *now)
{
	struct glance *g = calloc(1, sizeof(*g));
	json_t *o;

	if (g == NULL)
		return NULL;
	g->counts = *now;
	g->version = g->source = "";
	(void)snprintf(g->why, sizeof(g->why), "no control socket answers");
	o = glance_json(g, false);
	free(g);
	return o;
}

static void add_rates(json_t *o, const struct counts *now, const struct counts *before)
{
	static const enum ft_counter shown[] = {FT_CTR_RX_PACKETS, FT_CTR_RX_BYTES, FT_CTR_MESSAGES,
						FT_CTR_RECORDS, FT_CTR_RING_FULL_RECORDS};
	json_t *rates = json_object();

	for (unsigned i = 0; i < sizeof(shown) / sizeof(*shown); i++)
		(void)json_object_set_new(
		    rates, ft_counter_texts[shown[i]].name,
		    json_real(per_second(counts_sum(now, shown[i]), counts_sum(before, shown[i]),
					 now, before)));
	(void)json_object_set_new(
	    rates, "source_dropped",
	    json_real(per_second(counts_source_dropped(now), counts_source_dropped(before), now,
				 before)));
	(void)json_object_set_new(o, "per_second", rates);
}

static int print(const struct target *t, struct counts *c, bool as_json)
{
	const struct timespec pause = {.tv_nsec = BETWEEN_NS};
	char err[PATH_MAX + 256];
	int code = EXIT_FAILED;

	if (counts_take(&t->file, &c[1]) != 0)
		return code;
	(void)nanosleep(&pause, NULL);
	if (counts_take(&t->file, &c[0]) != 0)
		return code;
	json_t *view = target_ask(t, "view", err, sizeof(err));
	json_t *status = target_ask(t, "status", err, sizeof(err));
	code =
	    view == NULL || json_is_true(json_object_get(view, "ready")) ? EXIT_DONE : EXIT_FAILED;
	if (as_json) {
		json_t *o = view != NULL ? json_incref(view) : json_of(&c[0]);
		json_t *rules = json_object_get(status, "rules");
		if (rules != NULL)
			(void)json_object_set(o, "rules", rules);
		add_rates(o, &c[0], &c[1]);
		(void)json_dumpf(o, stdout, JSON_INDENT(2));
		(void)putchar('\n');
		json_decref(o);
	} else {
		status_print(stdout, &c[0], &c[1], view, status);
	}
	json_decref(view);
	json_decref(status);
	return code;
}

int status_main(int argc, char **argv)
{
	struct ctl_options o = {0};
	struct target t;
	char err[PATH_MAX + 256];
	int code = ctl_cli_options(COMMAND_STATUS, argc, argv, &o);

	if (code < 0) {
		struct counts *c = calloc(2, sizeof(*c));
		code = EXIT_FAILED;
		if (c == NULL)
			(void)fprintf(stderr, "fluxtap status: not enough memory\n");
		else if (target_open(&t, &o, err, sizeof(err)) != 0)
			(void)fprintf(stderr, "fluxtap status: %s\n", err);
		else {
			code = print(&t, c, o.json);
			target_close(&t);
		}
		free(c);
	}
	ctl_cli_options_fini(&o);
	return code;
}
