/* SPDX-License-Identifier: BSD-3-Clause */
/* The tables of RRsets and errors over any responses: whatever they emit is taken by
 * the statistics, and none is lost on the way.
 *
 * Input: messages, each behind two octets: its length, and what it is (bit 0: there
 * was a query; bits 1-3: client; bit 4: a second later; bit 5: time-out instead). */
#include "txn_rig.h"

#include "stats/errors.h"
#include "stats/rrsets.h"
#include "vantage.h"

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);
const char *__lsan_default_suppressions(void);

/* The rig is for all inputs, and hangs on memory that is mapped. */
const char *__lsan_default_suppressions(void)
{
	return "leak:txn_rig_init";
}

#define CHECK(x) ((x) ? (void)0 : check_failed(#x, __LINE__))
#define T0 1767225600000000u

static void check_failed(const char *what, int line)
{
	fprintf(stderr, "fuzz_rrsets.c:%d: %s\n", line, what);
	abort();
}

static uint64_t observations, errors;

/* One transaction of a response that was read, or of nothing. */
static void one(struct txn_rig *r, const uint8_t *data, uint32_t len, unsigned how)
{
	struct txn_rig_worker *w = &r->w[0];
	struct addr client = {{(uint8_t)(how >> 1 & 7)}}, server = {{9}};
	struct msg *m = &w->msgs->m[0];
	uint8_t *copy = txn_rig_need(malloc(len + 1)); /* of this size, for the sanitizer */
	const bool timeout = (how & 32) != 0;

	r->now_us += (how & 16) != 0 ? 1000000 : 1;
	w->clock.now_us = r->now_us;
	(void)tally_ledger(w->tally, r->now_us);
	memcpy(copy, data, len);
	*m = (struct msg){.data = copy, .len = (uint16_t)len, .t_us = r->now_us};
	w->msgs->n = 1;
	parse_step(w->msgs, TXN_RIG_SEED);
	if (m->drop == FT_MSG_KEPT && (m->dns_flags & DNS_QR) != 0) {
		struct txn t = {
		    .q = {.t_us = r->now_us, .vantage = FT_VANTAGE_CAP},
		    .settled_us = r->now_us,
		    .response_us = r->now_us,
		    .has_query = timeout || (how & 1) != 0,
		    .has_response = !timeout,
		    .aa = (m->dns_flags & DNS_AA) != 0,
		    .class = m->class,
		    .vantage = FT_VANTAGE_CAP,
		    .rcode = m->rcode,
		    .name_len = m->name_len,
		    .name = w->msgs->names + m->name_off,
		    .client = &client,
		    .server = &server,
		    .response = timeout ? NULL : m,
		};
		rrsets_step(w->rrsets, w->msgs, &t, 1);
		errors_step(w->errors, w->msgs, &t, 1);
	}
	while (tally_close(w->tally, false) == CLOSE_MORE)
		;
	txn_rig_drain(r, w); /* aborts where a statistic refuses */
	w->msgs->n = 0;
	free(copy);
}

static void count_rrset(void *ctx, const struct ft_rrset *x)
{
	struct ft_rrset_text t;

	observations += x->count;
	CHECK((x->what & FT_RRSET_LONG) != 0 || x->seconds != 0);
	if ((x->what & FT_RRSET_LONG) == 0)
		CHECK(rrsets_text_get(ctx, x->owner_key, x->set_key, x->what, &t));
}

static void count_error(void *ctx, const struct error_row *x)
{
	(void)ctx;
	errors += x->count;
	CHECK(x->clients >= 1 && x->clients <= 8);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
	static struct txn_rig r; /* of all inputs; each has hours of its own */
	uint64_t row;

	if (r.workers == 0) {
		txn_rig_init(&r, 1, 64, 60, ERRORS_ALL);
		r.now_us = T0;
	}
	r.now_us += 7200000000u - r.now_us % 7200000000u;
	const uint64_t first = r.now_us / 60000000;
	const uint64_t seen = rrsets_stats_get(r.w[0].rrsets)->seen;
	const uint64_t wrong = errors_stats_get(r.w[0].errors)->seen;
	while (size >= 3) {
		const uint32_t len = input[0] < size - 2 ? input[0] : (uint32_t)size - 2;
		one(&r, input + 2, len, input[1]);
		input += 2 + len;
		size -= 2 + len;
	}
	txn_rig_end(&r);
	observations = errors = 0;
	for (row = first; row <= r.now_us / 60000000; row++) {
		struct stat_parts p = parts_take(STAT_RRSETS, r.rrsets, row);
		struct stat_parts e = parts_take(STAT_ERRORS, r.errors, row);
		rrsets_each(&p, RRSETS_KINDS, count_rrset, &p);
		errors_each(&e, count_error, NULL);
		parts_fini(STAT_RRSETS, &p);
		parts_fini(STAT_ERRORS, &e);
	}
	CHECK(observations == rrsets_stats_get(r.w[0].rrsets)->seen - seen);
	CHECK(errors == errors_stats_get(r.w[0].errors)->seen - wrong);
	merge_rrsets.destroy(r.rrsets);
	merge_errors.destroy(r.errors);
	r.rrsets = txn_rig_need(merge_rrsets.create(&r.run, 1));
	r.errors = txn_rig_need(merge_errors.create(&r.run, 1));
	return 0;
}
