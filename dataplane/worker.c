/* SPDX-License-Identifier: BSD-3-Clause */
/* The way of a packet. Read process_batch() first: receive, decode, and, for
 * every batch of messages, step_messages(): parse, match, pair, tally. */
#include "fetch.h"
#include "parse.h"
#include "vantage.h"
#include "worker_state.h"

#include <sched.h>
#include <time.h>

#define HOUSEKEEP_US 250000u /* of event time between two looks at what has expired */
#define PUBLISH_US 100000u
#define IDLE_SPINS 2000u /* empty turns before the core rests for a moment */
#define LATE_PACKETS (1u << 20)
#define LATE_EMPTY                                                                                 \
	2u /* looks without a packet, a while apart, that end a worker that is stopped             \
	    */

const char *const worker_stage_texts[STAGE_CAP] = {
    "receive", "decode", "parse", "match", "pair", "tables", "rrsets", "errors", "tally", "seal",
};

static void lap(struct worker *w, enum worker_stage stage)
{
	if (!w->timed)
		return;
	const uint64_t now = timing_now();
	w->timing.ticks[stage] += now - w->lap;
	w->lap = now;
}

/* Stage 6. A time-out, and a response that leaves out the question, come without
 * their name's verdict. */
STAGE static void count_settled(struct worker *w, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		struct txn *t = &w->txn[i];
		if (t->verdict == NULL && t->name_len != 0)
			t->verdict = match_get(w->match, t->name, t->name_len);
	}
	lap(w, STAGE_PAIR);
	/* The keyed tables first: tally_step may close an interval for want of room. */
	tables_note(w->tables, dga_step(w->dga, w->msgs, w->txn, n));
	tables_step(w->tables, w->txn, n);
	lap(w, STAGE_TABLES);
	rrsets_step(w->rrsets, w->msgs, w->txn, n);
	lap(w, STAGE_RRSETS);
	errors_step(w->errors, w->msgs, w->txn, n);
	lap(w, STAGE_ERRORS);
	matches_step(w->matches, w->msgs, w->txn, n);
	if (w->sinks != NULL)
		sinks_step(w->sinks, w->msgs, w->txn, n);
	flood_step(w->flood, w->txn, n);
	cookies_step(w->cookies, w->txn, n);
	resolvers_step(w->resolvers, w->txn, n);
	reverse_step(w->tally, w->txn, n);
	transport_step(w->transport, w->txn, n);
	ttls_step(w->ttls, w->msgs, w->txn, n);
	if (w->integrity != NULL)
		integrity_step(w->integrity, w->msgs, w->txn, n);
	tally_step(w->tally, w->txn, n);
}

STAGE static void count_ledger(struct worker *w, const struct msgs *b)
{
	for (uint32_t i = 0; i < b->n; i++) {
		const struct msg *m = &b->m[i];
		struct ft_ledger *l = tally_ledger(w->tally, m->t_us);
		l->c[FT_CTR_MESSAGES]++;
		if (m->drop != FT_MSG_KEPT)
			l->c[FT_CTR_MSG_DROP + m->drop]++;
	}
}

/* Stages 3 to 6 over the messages gathered so far. */
static void step_messages(struct worker *w)
{
	struct msgs *b = w->msgs;

	if (b->n == 0)
		return;
	lap(w, STAGE_DECODE);
	parse_step(b, w->set.hash_key);
	lap(w, STAGE_PARSE);
	if (w->tap != NULL)
		w->tap(w->tap_ctx, b);
	match_step(w->match, b);
	lap(w, STAGE_MATCH);
	const uint32_t settled = pair_step(w->pair, b, w->txn);
	lap(w, STAGE_PAIR);
	count_ledger(w, b);
	transport_look(w->transport, b);
	count_settled(w, settled);
	transport_follow(w->transport, b);
	lap(w, STAGE_TALLY);
	b->n = 0;
	b->copy_used = 0;
}

/* Adds a message; bytes that do not stay are copied. */
static void add_message(struct worker *w, const struct flow *flow, uint64_t ts_us, uint64_t t_us,
			const uint8_t *data, uint32_t len, bool stays)
{
	struct msgs *b = w->msgs;

	if (b->n == MSG_CAP || (!stays && b->copy_used + len > MSG_COPY_BYTES))
		step_messages(w);
	if (!stays) {
		memcpy(b->copy + b->copy_used, data, len);
		data = b->copy + b->copy_used;
		b->copy_used += len;
	}
	struct msg *m = &b->m[b->n++];
	m->data = data;
	m->len = len < UINT16_MAX ? (uint16_t)len : UINT16_MAX; /* no message is longer */
	m->ts_us = ts_us;
	m->t_us = t_us;
	m->now_us = w->clock.now_us;
	m->src = flow->src;
	m->dst = flow->dst;
	m->sport = flow->sport;
	m->dport = flow->dport;
	m->v6 = flow->v6;
	m->tcp = flow->tcp;
}

struct segment_ctx {
	struct segment seg; /* first: the callback gets its address */
	uint64_t ts_us, t_us;
	bool in_frame; /* the segment's octets stay until the batch is released */
};

void worker_stream_message(void *ctx, const struct segment *seg, const uint8_t *data, uint32_t len,
			   bool in_frame)
{
	const struct segment_ctx *s = (const struct segment_ctx *)seg;
	struct worker *w = ctx;

	w->found++;
	transport_tcp_message(w->transport, s->t_us);
	add_message(w, seg->flow, s->ts_us, s->t_us, data, len, in_frame && s->in_frame);
}

void worker_defrag_settle(void *ctx, uint64_t held_us, uint64_t settled_us, enum ft_pkt_drop why)
{
	struct worker *w = ctx;

	tally_ledger(w->tally, settled_us)
	    ->c[why == FT_PKT_CARRIED ? (unsigned)FT_CTR_CARRIED : FT_CTR_PKT_DROP + why]++;
	tally_held(w->tally, FT_CTR_HELD_PACKETS, held_us, settled_us);
}

/* At each segment, so that the interval does not depend on how batches are cut. */
static void count_stream(struct worker *w, uint64_t t_us)
{
	const struct stream_stats *now = stream_stats_get(w->stream);

	if (now->gaps == w->stream_seen.gaps && now->lost_bytes == w->stream_seen.lost_bytes &&
	    now->evicted == w->stream_seen.evicted)
		return;
	struct ft_ledger *l = tally_ledger(w->tally, t_us);
	l->c[FT_CTR_TCP_GAPS] += now->gaps - w->stream_seen.gaps;
	l->c[FT_CTR_TCP_LOST_BYTES] += now->lost_bytes - w->stream_seen.lost_bytes;
	l->c[FT_CTR_TCP_EVICTED] += now->evicted - w->stream_seen.evicted;
	w->stream_seen = *now;
}

static void count_handshake(struct worker *w, const struct flow *flow, uint64_t t_us)
{
	const uint8_t vantage = vantage_of_addrs(w->set.vantage, &flow->src, &flow->dst);

	servers_handshake(w->servers, &flow->dst,
			  vantage != FT_VANTAGE_CAP ? vantage : FT_VANTAGE_X, t_us,
			  stream_handshake_us(w->stream));
}

/* What decode found in these frames, up to the next thing that takes it. Returns what
 * became of the packet. in_frame: d->data lies in the frame and not in defrag's buffer. */
static enum ft_pkt_drop dispatch(struct worker *w, const struct pkt *p, const struct on_wire *o,
				 const struct decoded *d, bool in_frame)
{
	const uint64_t t_us = o->t_us;

	switch (d->kind) {
	case DECODE_UDP:
		w->found++;
		transport_udp(w->transport, o);
		add_message(w, &d->flow, p->ts_us, t_us, d->data, d->len, in_frame);
		return FT_PKT_CARRIED;
	case DECODE_CRYPT: return transport_crypt(w->transport, o, d);
	case DECODE_TCP: {
		transport_tcp(w->transport, o, d);
		const struct segment_ctx s = {
		    .seg = {.flow = &d->flow,
			    .seq = d->tcp_seq,
			    .flags = d->tcp_flags,
			    .data = d->data,
			    .len = d->len,
			    .now_us = w->clock.now_us,
			    .ts_us = p->ts_us},
		    .ts_us = p->ts_us,
		    .t_us = t_us,
		    .in_frame = in_frame,
		};
		const enum ft_pkt_drop drop = stream_put(w->stream, &s.seg);
		if (stream_handshake_us(w->stream) != 0)
			count_handshake(w, &d->flow, t_us);
		count_stream(w, t_us);
		return drop;
	}
	case DECODE_FRAGMENT:
	case DECODE_DROP: break;
	}
	return d->drop;
}

/* A fragment; where it makes its datagram whole, that goes on at once. Its wait counts
 * from the clock on: an older interval that is still open may close before it ends. */
static enum ft_pkt_drop take_fragment(struct worker *w, const struct pkt *p, uint64_t t_us,
				      struct decoded *d)
{
	struct datagram whole;
	const struct fragment f = {
	    .src = &d->flow.src,
	    .dst = &d->flow.dst,
	    .id = d->frag_id,
	    .v6 = d->flow.v6,
	    .proto = d->proto,
	    .more = d->frag_more,
	    .off = d->frag_off,
	    .data = d->data,
	    .len = d->len,
	    .frame_bytes = p->wire_len,
	    .t_us = w->clock.now_us,
	    .now_us = w->clock.now_us,
	};
	const enum ft_pkt_drop drop = defrag_put(w->defrag, &f, &whole);

	if (drop != FT_PKT_CARRIED)
		return drop;
	decode_datagram(whole.data, whole.len, whole.proto, &w->set.ports, d);
	/* Fragments inside a reassembled tunnel would need the buffer twice. */
	if (d->kind == DECODE_FRAGMENT)
		return FT_PKT_TUNNEL_DEPTH;
	const struct on_wire o = {t_us, p->ts_us, whole.frames, whole.frame_bytes};
	return dispatch(w, p, &o, d, false);
}

/* Stage 2 for packets that are not common, and for all while copies are looked for. */
static STAGE void take_other(struct worker *w, const struct pkt *p, uint64_t t_us,
			     struct decoded *d, bool common)
{
	enum ft_pkt_drop drop;

	const struct on_wire o = {t_us, p->ts_us, 1, p->wire_len};

	if (common)
		d->tag = 0;
	w->found = 0;
	transport_rest(w->transport, t_us, p->wire_len);
	if (w->dedup != NULL && d->kind != DECODE_DROP && dedup_seen(w->dedup, p, d, common))
		drop = FT_PKT_DUPLICATE;
	else if (d->kind == DECODE_FRAGMENT)
		drop = take_fragment(w, p, t_us, d);
	else
		drop = dispatch(w, p, &o, d, true);
	if (d->tag != 0) {
		const struct ft_tap tap = {
		    .tag = d->tag, .packets = 1, .bytes = p->wire_len, .messages = w->found};
		taps_count(w->taps, t_us, &tap);
	}
	if (drop == FT_PKT_HELD) {
		tally_held(w->tally, FT_CTR_HELD_PACKETS, t_us, w->clock.now_us);
		return;
	}
	tally_ledger(w->tally, t_us)
	    ->c[drop == FT_PKT_CARRIED ? (unsigned)FT_CTR_CARRIED : FT_CTR_PKT_DROP + drop]++;
}

/* Stage 2 for one packet; the ledger says where it went. */
static void take_packet(struct worker *w, const struct pkt *p)
{
	struct decoded d;
	const uint64_t t_us = clock_effective(&w->clock, p->ts_us);
	struct ft_ledger *l = tally_ledger(w->tally, t_us);

	l->c[FT_CTR_RX_PACKETS]++;
	l->c[FT_CTR_RX_BYTES] += p->wire_len;
	l->c[FT_CTR_LATE] += t_us != p->ts_us;
	const bool common = decode_frame(p, &w->set.ports, &d);
	if (common && w->dedup == NULL) { /* without another look-up */
		l->c[FT_CTR_CARRIED]++;
		add_message(w, &d.flow, p->ts_us, t_us, d.data, d.len, true);
		return;
	}
	take_other(w, p, t_us, &d, common);
}

/* Settles what has waited too long, then emits what has closed. In steps, one for
 * each turn, unless `whole`: the clock is about to move on by a lot. */
STAGE static void housekeep(struct worker *w, bool whole)
{
	uint32_t n;

	if (w->clock.now_us >= w->housekeep_us) {
		w->housekeep_us = w->clock.now_us + HOUSEKEEP_US;
		defrag_expire(w->defrag, w->clock.now_us);
		do {
			n = pair_expire(w->pair, w->clock.now_us, w->txn, MSG_CAP);
			count_settled(w, n);
		} while (n == MSG_CAP);
		transport_expire(w->transport, w->clock.now_us, false);
	}
	enum close_result r;
	do
		r = tally_close(w->tally, false);
	while (whole && r == CLOSE_MORE);
	if (r == CLOSE_DONE && w->clock.now_us > LAG_US)
		atomic_store_explicit(&w->set.shm->closed_us, w->clock.now_us - LAG_US,
				      memory_order_release);
}

/* Moves the event clock. A step that could close a row, or make the waiting rows
 * too many, first settles everything that stands before it. */
static void advance(struct worker *w, uint64_t now_us)
{
	if (now_us <= w->clock.now_us)
		return;
	if (now_us < w->housekeep_us) {
		w->clock.now_us = now_us;
		return;
	}
	step_messages(w);
	w->clock.now_us = now_us;
	housekeep(w,
		  now_us - w->housekeep_us > HOUSEKEEP_US * 4 || w->set.interval_us < 4 * LAG_US);
}

static void publish(struct worker *w)
{
	struct ft_shm_worker *s = w->set.shm;

	atomic_store_explicit(&s->clock_us, w->clock.now_us, memory_order_relaxed);
	for (unsigned i = 0; i < FT_CTR_CAP; i++) {
		uint64_t sum = w->tally->done.c[i];
		for (unsigned r = 0; r < TALLY_ROWS; r++)
			sum += w->tally->row[r].ledger.c[i];
		atomic_store_explicit(&s->total[i], sum, memory_order_relaxed);
	}
	static_assert((unsigned)STAGE_CAP <= FT_SHM_STAGES, "room for all stages");
	for (unsigned i = 0; i < STAGE_CAP; i++)
		atomic_store_explicit(&s->stage_ticks[i], w->timing.ticks[i], memory_order_relaxed);
	atomic_store_explicit(&s->timed_packets, w->timing.packets, memory_order_relaxed);
}

static void process_batch(struct worker *w)
{
	struct batch *b = &w->batch;

	for (uint32_t i = 0; i < b->n; i++) {
		/* Three lines hold most DNS packets; four packets ahead hide the memory. */
		if (i + 4 < b->n) {
			fetch_read(b->pkt[i + 4].data);
			fetch_read(b->pkt[i + 4].data + CACHE_LINE);
			fetch_read(b->pkt[i + 4].data + 2 * CACHE_LINE);
		}
		advance(w, b->pkt[i].clock_us);
		take_packet(w, &b->pkt[i]);
	}
	step_messages(w);
}

/* The input has ended: everything that waits settles, every row closes. */
STAGE static int flush(struct worker *w)
{
	const struct timespec pause = {.tv_nsec = 200000};
	uint32_t n;

	step_messages(w);
	defrag_flush(w->defrag, w->clock.now_us);
	do {
		n = pair_flush(w->pair, w->clock.now_us, w->txn, MSG_CAP);
		count_settled(w, n);
	} while (n == MSG_CAP);
	transport_expire(w->transport, w->clock.now_us, true);
	stream_expire(w->stream, UINT64_MAX);
	count_stream(w, w->clock.now_us);
	enum close_result r;
	while ((r = tally_close(w->tally, true)) != CLOSE_DONE) {
		if (r == CLOSE_STUCK) {
			if (atomic_load_explicit(&w->abandon, memory_order_relaxed))
				break;
			nanosleep(&pause, NULL);
		}
	}
	publish(w);
	struct timespec cpu;
	if (clock_gettime(CLOCK_THREAD_CPUTIME_ID, &cpu) == 0)
		atomic_store_explicit(&w->cpu_ns,
				      (uint64_t)cpu.tv_sec * 1000000000u + (uint64_t)cpu.tv_nsec,
				      memory_order_relaxed);
	if (w->set.seat != NULL)
		seat_adopted(w->set.seat, SEAT_ENDED);
	/* Pairs with control's acquire load: all blocks are in the ring. */
	atomic_store_explicit(&w->set.shm->closed_us, UINT64_MAX, memory_order_release);
	atomic_store_explicit(&w->set.shm->ended, 1, memory_order_release);
	return RX_END;
}

static void count_turn(_Atomic uint64_t *turns)
{
	atomic_store_explicit(turns, atomic_load_explicit(turns, memory_order_relaxed) + 1,
			      memory_order_relaxed);
}

static void rest(struct worker *w)
{
	const struct timespec pause = {.tv_nsec = 50000};

	count_turn(&w->set.shm->idle_turns);
	if (++w->idle < IDLE_SPINS)
#if defined(__x86_64__)
		_mm_pause();
#else
		sched_yield();
#endif
	else
		nanosleep(&pause, NULL); /* nothing to lose: the source's queues are empty */
}

/* Names are matched by one generation of rules in each turn. */
static void adopt(struct worker *w)
{
	const struct rules_slot *next =
	    w->set.seat != NULL ? seat_get(w->set.seat, w->rules) : NULL;

	if (next == w->rules)
		return;
	w->rules = next;
	match_adopt(w->match, next->rules, next->scratch);
	matches_adopt(w->matches, next->rules, next->scratch);
	dga_adopt(w->dga, next->rules);
	ttls_adopt(w->ttls, next->rules);
	if (w->sinks != NULL)
		sinks_adopt(w->sinks, next->rules, next->scratch);
	if (w->integrity != NULL)
		integrity_adopt(w->integrity, next->rules);
	seat_adopted(w->set.seat, next->generation);
	atomic_store_explicit(&w->set.shm->generation, next->generation, memory_order_relaxed);
}

/* Who is stopped takes in what a live source has at hand: frames that a driver is handing over
 * right now, too, but no more than the deepest queue holds, as not every source can be closed
 * before its reader ends. As rx_ops.recv. */
static int receive_late(struct worker *w)
{
	const struct timespec pause = {.tv_nsec = 1000000};
	struct rx *rx = w->set.rx;
	int n = 0;

	if (!rx->live || atomic_load_explicit(&w->abandon, memory_order_relaxed))
		return RX_END;
	for (; n == 0 && w->late < LATE_PACKETS && w->late_empty < LATE_EMPTY; w->late_empty++) {
		if (w->late_empty != 0)
			nanosleep(&pause, NULL);
		n = rx->ops->recv(rx, &w->batch);
	}
	if (n <= 0)
		return RX_END;
	w->late += (uint32_t)n;
	w->late_empty = 0;
	return n;
}

STAGE int worker_turn(struct worker *w)
{
	struct rx *rx = w->set.rx;
	uint64_t begin = 0;

	if (w->input_ended)
		return RX_END;
	adopt(w);
	w->timed = w->set.timing || w->to_timed == 0;
	if (w->timed)
		begin = w->lap = timing_now();
	const bool stop = atomic_load_explicit(&w->stop, memory_order_acquire);
	const int n = stop ? receive_late(w) : rx->ops->recv(rx, &w->batch);
	if (n == RX_END) {
		w->input_ended = true;
		if (!stop) /* others may have seen later packets: all end at one time */
			advance(w, rx->ops->clock(rx));
		return flush(w);
	}
	if (n > 0) {
		lap(w, STAGE_RECEIVE);
		process_batch(w);
		lap(w, STAGE_TALLY);
		rx->ops->release(rx, &w->batch);
		lap(w, STAGE_RECEIVE);
		w->idle = 0;
		w->to_timed = (w->to_timed - 1) % TIMING_EVERY;
		count_turn(&w->set.shm->turns);
	} else {
		w->timed = false; /* the cost of a packet is asked for, not that of waiting */
		advance(w, rx->ops->clock(rx));
		rest(w);
	}
	housekeep(w, n == 0 && !rx->live); /* a silent pipe leaves the time for all of it */
	if (w->clock.now_us >= w->publish_us) {
		w->publish_us = w->clock.now_us + PUBLISH_US;
		publish(w);
	}
	if (w->timed && n > 0) {
		const uint64_t seal = w->lap;
		lap(w, STAGE_SEAL);
		w->timing.packets += (uint64_t)n;
		if (w->lap - seal > w->timing.seal_max)
			w->timing.seal_max = w->lap - seal;
		timing_turn(&w->timing, w->lap - begin);
	}
	return n;
}
