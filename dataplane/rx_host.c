/* SPDX-License-Identifier: BSD-3-Clause */
#include "rx_xdp.h"

#include "fetch.h"

#include <fluxtap/xdp_abi.h>

#include <errno.h>
#include <linux/bpf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct rx_host {
	struct rx rx;
	struct rx_wall wall;
	/* Our position: stored (release) when a batch is given back, so that the
	 * kernel, which loads it (acquire), never overwrites a frame in use. */
	unsigned long *consumer;
	/* The kernel's: loaded (acquire); the kernel stores it (release) in reserve. */
	const unsigned long *producer;
	const uint8_t *data; /* mapped twice in a row: no record is ever in two pieces */
	unsigned long pos, mask;
	const uint64_t *lost;
	const void *lost_map;
	size_t page, lost_map_bytes;
	enum link_type link;
};

static void record_view(struct rx_host *h, const uint8_t *at, uint32_t len, struct batch *b)
{
	struct pkt *p = &b->pkt[b->n];
	struct ft_xdp_record r;

	if (len < sizeof(r))
		return;
	memcpy(&r, at, sizeof(r));
	p->data = at + sizeof(r);
	p->cap_len = r.cap_len <= len - sizeof(r) ? r.cap_len : (uint32_t)(len - sizeof(r));
	p->wire_len = r.wire_len >= p->cap_len ? r.wire_len : p->cap_len;
	p->handle = 0;
	p->link = (uint8_t)h->link;
	rx_stamp(&h->rx, p, rx_wall_us(&h->wall, r.mono_ns));
	b->n++;
}

static void host_release(struct rx *rx, struct batch *b)
{
	struct rx_host *h = (struct rx_host *)rx;

	(void)b;
	__atomic_store_n(h->consumer, h->pos, __ATOMIC_RELEASE);
}

static int host_recv(struct rx *rx, struct batch *b)
{
	struct rx_host *h = (struct rx_host *)rx;
	const unsigned long end = __atomic_load_n(h->producer, __ATOMIC_ACQUIRE);
	const unsigned long begin = h->pos;

	b->n = 0;
	while (h->pos != end && b->n < BATCH_CAP) {
		const uint8_t *at = h->data + (h->pos & h->mask);
		/* Pairs with the exchange in the kernel's submit. */
		const uint32_t word =
		    __atomic_load_n((const uint32_t *)(const void *)at, __ATOMIC_ACQUIRE);
		const uint32_t len = word & ~(BPF_RINGBUF_BUSY_BIT | BPF_RINGBUF_DISCARD_BIT);

		if ((word & BPF_RINGBUF_BUSY_BIT) != 0)
			break; /* reserved, not yet submitted */
		if ((word & BPF_RINGBUF_DISCARD_BIT) == 0)
			record_view(h, at + BPF_RINGBUF_HDR_SZ, len, b);
		h->pos += (len + BPF_RINGBUF_HDR_SZ + 7ul) & ~7ul;
		fetch_read(h->data + (h->pos & h->mask));
		fetch_read(h->data + (h->pos & h->mask) + CACHE_LINE);
	}
	if (b->n == 0 && h->pos != begin)
		host_release(rx, b);
	return (int)b->n;
}

static uint64_t host_clock(struct rx *rx)
{
	struct rx_host *h = (struct rx_host *)rx;

	return rx_wall_us(&h->wall, rx_wall_read(CLOCK_MONOTONIC)) - RX_IDLE_US;
}

static uint64_t host_dropped(struct rx *rx)
{
	const struct rx_host *h = (const struct rx_host *)rx;

	return __atomic_load_n(h->lost, __ATOMIC_RELAXED);
}

static void host_destroy(struct rx *rx)
{
	struct rx_host *h = (struct rx_host *)rx;

	if (h == NULL)
		return;
	if (h->lost_map != NULL)
		(void)munmap((void *)(uintptr_t)h->lost_map, h->lost_map_bytes);
	if (h->producer != NULL)
		(void)munmap((void *)(uintptr_t)h->producer, h->page + 2 * (h->mask + 1));
	if (h->consumer != NULL)
		(void)munmap(h->consumer, h->page);
	free(h);
}

static const struct rx_ops host_ops = {host_recv, host_release, host_clock, host_dropped,
				       host_destroy};

struct rx *rx_host_create(const struct rx_host_opts *o)
{
	struct rx_host *h = calloc(1, sizeof(*h));
	void *p;
	int rc;

	if (h == NULL)
		return NULL;
	h->rx.ops = &host_ops;
	h->rx.live = true;
	h->link = o->link;
	h->mask = o->ring_bytes - 1;
	h->page = (size_t)sysconf(_SC_PAGESIZE);
	p = mmap(NULL, h->page, PROT_READ | PROT_WRITE, MAP_SHARED, o->ring_fd, 0);
	if (p == MAP_FAILED)
		goto undo;
	h->consumer = p;
	p = mmap(NULL, h->page + 2 * o->ring_bytes, PROT_READ, MAP_SHARED, o->ring_fd,
		 (off_t)h->page);
	if (p == MAP_FAILED)
		goto undo;
	h->producer = p;
	h->data = (const uint8_t *)p + h->page;
	h->lost_map_bytes = (o->lost_map_bytes + h->page - 1) / h->page * h->page;
	p = mmap(NULL, h->lost_map_bytes, PROT_READ, MAP_SHARED, o->lost_fd, 0);
	if (p == MAP_FAILED)
		goto undo;
	h->lost_map = p;
	h->lost = (const uint64_t *)(const void *)((const uint8_t *)p + o->lost_off);
	rx_wall_measure(&h->wall);
	return &h->rx;
undo:
	rc = errno;
	host_destroy(&h->rx);
	errno = rc;
	return NULL;
}

uint64_t rx_host_steps(const struct rx *rx)
{
	const struct rx_host *h = (const struct rx_host *)rx;

	return atomic_load_explicit(&h->wall.steps, memory_order_relaxed);
}
