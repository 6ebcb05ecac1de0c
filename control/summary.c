/* SPDX-License-Identifier: BSD-3-Clause */
#include "summary.h"

#include "../dataplane/mem.h"
#include "../dataplane/sketch.h"
#include "process.h"
#include "report.h"

#include <fluxtap/dns.h>

#include <inttypes.h>
#include <time.h>

static const char *number(uint64_t n)
{
	static char text[8][REPORT_NUMBER_CAP];
	static unsigned next;

	return report_number(text[next++ % 8], n);
}

static double percent(uint64_t part, uint64_t whole)
{
	return whole != 0 ? 100.0 * (double)part / (double)whole : 0;
}

static void print_time(FILE *f, const struct ledger_sums *l)
{
	const time_t first = (time_t)l->first_s, end = (time_t)l->end_s;
	struct tm tm;
	char a[32], b[32];

	if (l->intervals == 0)
		return;
	(void)strftime(a, sizeof(a), "%Y-%m-%d %H:%M:%S", gmtime_r(&first, &tm));
	(void)strftime(b, sizeof(b), "%Y-%m-%d %H:%M:%S", gmtime_r(&end, &tm));
	(void)fprintf(f, "  time       %s to %s UTC, %s interval%s\n", a, b, number(l->intervals),
		      l->intervals == 1 ? "" : "s");
}

static void print_drops(FILE *f, const struct ledger_sums *l)
{
	for (unsigned i = 1; i < FT_PKT_DROP_CAP; i++)
		if (l->sum.c[FT_CTR_PKT_DROP + i] != 0)
			(void)fprintf(f, "    %14s packets   %s\n",
				      number(l->sum.c[FT_CTR_PKT_DROP + i]),
				      ft_pkt_drop_texts[i].text);
	for (unsigned i = 1; i < FT_MSG_DROP_CAP; i++)
		if (l->sum.c[FT_CTR_MSG_DROP + i] != 0)
			(void)fprintf(f, "    %14s messages  %s\n",
				      number(l->sum.c[FT_CTR_MSG_DROP + i]),
				      ft_msg_drop_texts[i].text);
}

static void print_classes(FILE *f, const uint64_t *dense, uint64_t queries)
{
	(void)fprintf(f, "  classes   ");
	for (unsigned i = 0; i < FT_CLASS_CAP; i++)
		if (dense[FT_TRAFFIC_CLASS + i] != 0)
			(void)fprintf(f, " %s %.1f %%", ft_class_texts[i],
				      percent(dense[FT_TRAFFIC_CLASS + i], queries));
	(void)fprintf(f, "\n");
}

static void print_traffic(FILE *f, const struct traffic_sums *t)
{
	const uint64_t *d = t->dense;
	const uint64_t queries = d[FT_TRAFFIC_QUERIES], pairs = d[FT_TRAFFIC_PAIRS];

	(void)fprintf(f, "  queries    %s, %.2f %% without an answer\n", number(queries),
		      percent(d[FT_TRAFFIC_UNANSWERED], queries));
	(void)fprintf(f, "  responses  %s, %s of them unsolicited\n",
		      number(d[FT_TRAFFIC_RESPONSES]), number(d[FT_TRAFFIC_UNSOLICITED]));
	if (queries != 0)
		print_classes(f, d, queries);
	if (pairs != 0)
		(void)fprintf(f, "  delay      p50 %.3f ms, p99 %.3f ms, max %.3f ms\n",
			      dd_quantile(t->rtt, pairs, 0.5) / 1000,
			      dd_quantile(t->rtt, pairs, 0.99) / 1000,
			      (double)d[FT_TRAFFIC_RTT_MAX] / 1000);
}

static void print_losses(FILE *f, const struct ledger_sums *l)
{
	const uint64_t ring = l->sum.c[FT_CTR_RING_FULL_RECORDS];

	(void)fprintf(f, "  lost       %s packets by the source, %s records by a full ring\n",
		      number(l->source_dropped), number(ring));
	if (l->broken == 0)
		(void)fprintf(
		    f, "  ledger     closes: every packet, message and record is accounted for\n");
	else
		(void)fprintf(f, "  ledger     DOES NOT CLOSE in %s rows; first: %s\n",
			      number(l->broken), l->broken_text);
}

void summary_print(FILE *f, const struct summary *s)
{
	const uint64_t *c = s->ledger->sum.c;
	const uint64_t most = process_memory().most_bytes;

	(void)fprintf(f, "fluxtap: %s packets, %s messages in %.2f s\n",
		      number(c[FT_CTR_RX_PACKETS]), number(c[FT_CTR_MESSAGES]), s->seconds);
	print_time(f, s->ledger);
	if (s->steered[0] != 0)
		(void)fprintf(f, "  interface  %s\n", s->steered);
	(void)fprintf(f, "  packets    %s carried DNS (%.2f %%), %s bytes in all\n",
		      number(c[FT_CTR_CARRIED]), percent(c[FT_CTR_CARRIED], c[FT_CTR_RX_PACKETS]),
		      number(c[FT_CTR_RX_BYTES]));
	print_drops(f, s->ledger);
	print_traffic(f, s->traffic);
	print_losses(f, s->ledger);
	if (most != 0)
		(void)fprintf(f, "  memory     %s MiB at most (%s MiB on huge pages)\n",
			      number(most >> 20), number(mem_mapped(MEM_HUGE) >> 20));
	if (s->state[0] != '\0')
		(void)fprintf(f, "  state      %s\n", s->state);
	if (s->retain.removed_files != 0)
		(void)fprintf(f, "  keep       %s old files removed (%.1f MB), %s left (%.1f MB)\n",
			      number(s->retain.removed_files),
			      (double)s->retain.removed_bytes / 1e6, number(s->retain.files),
			      (double)s->retain.bytes / 1e6);
	(void)fprintf(f, "  output     %s records in %s (read them with: fluxtap cat %s)\n",
		      number(s->records), s->out, s->out);
}

void summary_progress(FILE *f, uint64_t done, uint64_t total, uint64_t messages, double seconds)
{
	const double rate = (double)messages / seconds / 1e6;

	if (total == 0) { /* a pipe does not say how long it is */
		(void)fprintf(f, "\r\033[K%.1f MB read  %.2f M messages/s", (double)done / 1e6,
			      rate);
	} else {
		const double share = (double)done / (double)total;
		(void)fprintf(f, "\r\033[K%3.0f %%  %.2f M messages/s", 100 * share, rate);
		if (share > 0)
			(void)fprintf(f, "  %.0f s left", seconds / share - seconds);
	}
	(void)fflush(f);
}
