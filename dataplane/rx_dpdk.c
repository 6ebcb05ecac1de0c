/* SPDX-License-Identifier: BSD-3-Clause */
#include "rx_dpdk.h"

#include <pthread.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <rte_mbuf_dyn.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* net_pcap makes chains of up to 64 KiB and a segment more. */
#define BOUNCE_BYTES ((size_t)72 << 10)
#define GUARD_US 100000u /* how long a frame may lie in a queue before we stamp it */
/* A device's nanoseconds are believed when they are this near to the host's
 * clock, before or after: less than GUARD_US, so that they keep its promise. */
#define NEAR_US 80000u

struct rx_dpdk {
	struct rx rx;
	struct rx_dpdk_opts opts;
	uint64_t stamp_flag; /* in mbuf.ol_flags; 0: no driver registered it */
	size_t stamp_off;
	uint16_t turn; /* which queue comes first */
	uint32_t held_n;
	struct rte_mbuf *held[BATCH_CAP]; /* the batch that is out */
	uint8_t *bounce;          /* one place for each frame of a batch; touched when needed */
	pthread_mutex_t stats;    /* one reader of the device's counters at a time */
	_Atomic uint64_t dropped; /* what the last one read; relaxed */
};

static uint64_t stamp_of(const struct rx_dpdk *s, const struct rte_mbuf *m, uint64_t now_us)
{
	uint64_t v;

	if ((m->ol_flags & s->stamp_flag) == 0)
		return now_us;
	v = *RTE_MBUF_DYNFIELD(m, s->stamp_off, const rte_mbuf_timestamp_t *);
	if (s->opts.stamps_us) /* seconds beyond 2038 were read with a sign, see capfile.c */
		return (int64_t)v < 0 ? v + ((uint64_t)1000000 << 32) : v;
	v /= 1000;
	return v - now_us + NEAR_US <= 2 * NEAR_US ? v : now_us;
}

/* Lays the segments of m one behind the other; returns their octets. */
static uint32_t join(uint8_t *to, const struct rte_mbuf *m)
{
	size_t n = 0;

	/* Not pkt_len: net_pcap keeps its lower 16 bits only. */
	for (; m != NULL; m = m->next) {
		const size_t left = BOUNCE_BYTES - n;
		const size_t len = m->data_len < left ? m->data_len : left;

		memcpy(to + n, rte_pktmbuf_mtod(m, const uint8_t *), len);
		n += len;
	}
	return (uint32_t)n;
}

static int dpdk_recv(struct rx *rx, struct batch *b)
{
	struct rx_dpdk *s = (struct rx_dpdk *)rx;
	const struct rx_dpdk_opts *o = &s->opts;
	uint16_t n = 0;

	for (uint16_t i = 0; i < o->queues && n < BATCH_CAP; i++) {
		const uint16_t q = (uint16_t)(o->first_queue + (s->turn + i) % o->queues);

		n = (uint16_t)(n + rte_eth_rx_burst(o->port, q, s->held + n,
						    (uint16_t)(BATCH_CAP - n)));
	}
	s->turn = (uint16_t)((s->turn + 1) % o->queues);
	s->held_n = b->n = n;
	if (n == 0)
		return 0;
	for (uint32_t i = 0; i < n; i++)
		rte_prefetch0(rte_pktmbuf_mtod(s->held[i], const void *));

	/* A clock that steps back is not followed. */
	const uint64_t host_us = o->live ? rx_now_us() : 0;
	const uint64_t now_us = host_us > rx->clock_us ? host_us : rx->clock_us;

	for (uint32_t i = 0; i < n; i++) {
		const struct rte_mbuf *m = s->held[i];
		struct pkt *p = &b->pkt[i];

		p->data = rte_pktmbuf_mtod(m, const uint8_t *);
		p->cap_len = m->data_len;
		if (m->nb_segs > 1) {
			uint8_t *whole = s->bounce + i * BOUNCE_BYTES;

			p->cap_len = join(whole, m);
			p->data = whole;
		}
		p->wire_len = m->pkt_len > p->cap_len ? m->pkt_len : p->cap_len;
		p->handle = (uint64_t)(uintptr_t)m;
		p->link = (uint8_t)o->link;
		rx_stamp(rx, p, stamp_of(s, m, now_us));
	}
	return (int)n;
}

static void dpdk_release(struct rx *rx, struct batch *b)
{
	struct rx_dpdk *s = (struct rx_dpdk *)rx;

	(void)b;
	rte_pktmbuf_free_bulk(s->held, s->held_n);
	s->held_n = 0;
}

static uint64_t dpdk_clock(struct rx *rx)
{
	const struct rx_dpdk *s = (const struct rx_dpdk *)rx;

	return s->opts.live ? rx_now_us() - GUARD_US : 0;
}

static uint64_t dpdk_dropped(struct rx *rx)
{
	struct rx_dpdk *s = (struct rx_dpdk *)rx;
	struct rte_eth_stats stats;

	if (s->opts.counts_drops && pthread_mutex_trylock(&s->stats) == 0) {
		if (rte_eth_stats_get(s->opts.port, &stats) == 0)
			atomic_store_explicit(&s->dropped, stats.imissed + stats.rx_nombuf,
					      memory_order_relaxed);
		(void)pthread_mutex_unlock(&s->stats);
	}
	return atomic_load_explicit(&s->dropped, memory_order_relaxed);
}

static void dpdk_destroy(struct rx *rx)
{
	(void)rx; /* see rx_dpdk_free */
}

static const struct rx_ops dpdk_ops = {
    .recv = dpdk_recv,
    .release = dpdk_release,
    .clock = dpdk_clock,
    .dropped = dpdk_dropped,
    .destroy = dpdk_destroy,
};

struct rx *rx_dpdk_create(const struct rx_dpdk_opts *o)
{
	struct rx_dpdk *s = calloc(1, sizeof(*s));
	int off, bit;

	if (s == NULL)
		return NULL;
	s->bounce = malloc(BATCH_CAP * BOUNCE_BYTES);
	if (s->bounce == NULL) {
		free(s);
		return NULL;
	}
	(void)pthread_mutex_init(&s->stats, NULL);
	s->rx.ops = &dpdk_ops;
	s->rx.live = o->live;
	s->opts = *o;
	/* Only where a driver has registered both. */
	off = rte_mbuf_dynfield_lookup(RTE_MBUF_DYNFIELD_TIMESTAMP_NAME, NULL);
	bit = rte_mbuf_dynflag_lookup(RTE_MBUF_DYNFLAG_RX_TIMESTAMP_NAME, NULL);
	if (off >= 0 && bit >= 0) {
		s->stamp_off = (size_t)off;
		s->stamp_flag = RTE_BIT64(bit);
	}
	return &s->rx;
}

void rx_dpdk_free(struct rx *rx)
{
	struct rx_dpdk *s = (struct rx_dpdk *)rx;

	if (s == NULL)
		return;
	rte_pktmbuf_free_bulk(s->held, s->held_n);
	(void)pthread_mutex_destroy(&s->stats);
	free(s->bounce);
	free(s);
}
