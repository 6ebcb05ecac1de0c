/* SPDX-License-Identifier: BSD-3-Clause */
#include "rx_xdp.h"

#include "fetch.h"
#include "mem.h"

#include <fluxtap/xdp_abi.h>

#include <errno.h>
#include <linux/if_xdp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <xdp/xsk.h>

/* Newer than some headers that we build with (kernel 6.6). */
#ifndef XDP_USE_SG
#define XDP_USE_SG (1 << 4)
#endif
#ifndef XDP_PKT_CONTD
#define XDP_PKT_CONTD (1 << 0)
#endif

#define LINEAR_BYTES ((size_t)65664) /* a whole GSO frame, in whole cache lines */
#define LINEAR_HANDLE UINT64_MAX     /* nothing to give back */
#define BACK_CAP (4 * BATCH_CAP)
#define POLL_US 20 /* only that it be above 0: sockets that do not block poll once */
#define POLL_BUDGET 64
#define BUSY_TRIES 20 /* a socket that was closed just now frees its queue late */
#define BUSY_WAIT_NS 50000000

struct xsk {
	struct xsk_ring_prod fill;
	struct xsk_ring_cons comp, rx; /* libxdp insists on a completion ring */
	struct xsk_umem *umem;
	struct xsk_socket *socket;
	uint8_t *area;
	size_t area_bytes;
	uint32_t ring_len, queue;
	bool zerocopy, pieces; /* pieces: one frame may take several descriptors */
	bool busy;             /* busy polling was asked for */
	_Atomic bool polled;   /* the kernel can: stored by control; relaxed */
	bool huge;             /* the umem lies in huge pages */
	uint32_t back_n;
	uint64_t back[BACK_CAP]; /* chunks that we are done with */
};

struct rx_xdp {
	struct rx rx;
	struct rx_wall wall;
	struct rx_device_clock device;
	struct xsk *from; /* of the batch that is out */
	size_t n;
	enum link_type link;
	uint8_t *linear; /* BATCH_CAP slots for frames in pieces */
	struct xsk q[];
};

/* What stands in front of the frame; magic 0 where nothing does. */
static struct ft_xdp_meta meta_take(uint8_t *frame)
{
	struct ft_xdp_meta meta;

	memcpy(&meta, frame - sizeof(meta), sizeof(meta));
	if (meta.magic != FT_XDP_META_MAGIC && meta.magic != FT_XDP_META_DEVICE)
		return (struct ft_xdp_meta){0};
	memset(frame - sizeof(meta), 0, sizeof(meta.magic));
	return meta;
}

/* CLOCK_MONOTONIC of a frame that waits. */
static uint64_t meta_peek(const struct rx_xdp *s, const uint8_t *frame)
{
	struct ft_xdp_meta meta;

	memcpy(&meta, frame - sizeof(meta), sizeof(meta));
	if (meta.magic == FT_XDP_META_MAGIC)
		return meta.time_ns;
	return meta.magic == FT_XDP_META_DEVICE ? rx_device_peek(&s->device, meta.time_ns) : 0;
}

/* CLOCK_MONOTONIC of a frame that has been taken; *now_ns is read when needed. */
static uint64_t meta_mono(struct rx_xdp *s, const struct ft_xdp_meta *meta, uint64_t *now_ns)
{
	uint64_t mono_ns = 0;

	if (meta->magic == FT_XDP_META_MAGIC)
		return meta->time_ns;
	if (*now_ns == 0)
		*now_ns = rx_wall_read(CLOCK_MONOTONIC);
	if (meta->magic == FT_XDP_META_DEVICE)
		mono_ns = rx_device_mono(&s->device, meta->time_ns, *now_ns);
	return mono_ns != 0 ? mono_ns : *now_ns;
}

/* The time of the frame that waits first; UINT64_MAX where none does. */
static uint64_t head_ns(const struct rx_xdp *s, struct xsk *x)
{
	uint32_t idx;

	if (xsk_ring_cons__peek(&x->rx, 1, &idx) == 0)
		return UINT64_MAX;
	const uint64_t ns = meta_peek(s, x->area + xsk_ring_cons__rx_desc(&x->rx, idx)->addr);
	xsk_ring_cons__cancel(&x->rx, 1);
	return ns;
}

static bool is_empty(struct xsk *x)
{
	uint32_t idx;

	if (xsk_ring_cons__peek(&x->rx, 1, &idx) == 0)
		return true;
	xsk_ring_cons__cancel(&x->rx, 1);
	return false;
}

/* The fill ring has as many places as there are chunks, so there is always room. */
static void fill_put(struct xsk *x, const uint64_t *addr, uint32_t n)
{
	uint32_t idx;

	if (n == 0 || xsk_ring_prod__reserve(&x->fill, n, &idx) != n)
		return;
	for (uint32_t i = 0; i < n; i++)
		*xsk_ring_prod__fill_addr(&x->fill, idx + i) = addr[i];
	xsk_ring_prod__submit(&x->fill, n);
}

/* Chunks go back in numbers, so that the line that the kernel reads seldom moves. */
static void fill_flush(struct xsk *x)
{
	fill_put(x, x->back, x->back_n);
	x->back_n = 0;
}

/* Nothing waits: gives back what we still hold, and lets the kernel run the driver
 * where that is ours to do (busy polling) or where it asks for it. */
static void wake(struct xsk *x)
{
	if (x->back_n != 0)
		fill_flush(x);
	if (atomic_load_explicit(&x->polled, memory_order_relaxed) ||
	    xsk_ring_prod__needs_wakeup(&x->fill))
		(void)recvfrom(xsk_socket__fd(x->socket), NULL, 0, MSG_DONTWAIT, NULL, NULL);
}

/* Joins a frame in pieces in slot `slot`; returns the descriptors it takes, 0
 * while its last one is missing. Its chunks go back at once. */
static uint32_t join(struct rx_xdp *s, struct xsk *x, uint32_t idx, uint32_t avail, struct pkt *p,
		     uint32_t slot, struct ft_xdp_meta *meta)
{
	uint8_t *to = s->linear + slot * LINEAR_BYTES;
	uint32_t n = 0;
	size_t at = 0;

	while (n < avail && (xsk_ring_cons__rx_desc(&x->rx, idx + n)->options & XDP_PKT_CONTD) != 0)
		n++;
	if (n++ == avail)
		return 0;
	p->wire_len = 0;
	for (uint32_t i = 0; i < n; i++) {
		const struct xdp_desc *d = xsk_ring_cons__rx_desc(&x->rx, idx + i);
		uint8_t *piece = x->area + d->addr;
		const size_t len = at + d->len <= LINEAR_BYTES ? d->len : LINEAR_BYTES - at;

		if (i == 0)
			*meta = meta_take(piece);
		memcpy(to + at, piece, len);
		at += len;
		p->wire_len += d->len;
		const uint64_t addr = d->addr;
		fill_put(x, &addr, 1);
	}
	p->data = to;
	p->cap_len = (uint32_t)at;
	p->handle = LINEAR_HANDLE;
	return n;
}

/* The descriptors and the lines in front of the next frames come in. */
static void prefetch_heads(struct xsk *x, uint32_t idx, uint32_t n)
{
	for (uint32_t i = 0; i < n && i < BATCH_CAP; i++)
		fetch_write(x->area + xsk_ring_cons__rx_desc(&x->rx, idx + i)->addr -
			    sizeof(struct ft_xdp_meta));
}

/* One batch from one queue. Two passes, so that the lines of all frames are on
 * their way before the first is read. */
static int take(struct rx_xdp *s, struct xsk *x, uint64_t limit_ns, struct batch *b)
{
	struct ft_xdp_meta meta[BATCH_CAP];
	uint32_t idx = 0, used = 0, n = 0;
	const uint32_t avail = xsk_ring_cons__peek(&x->rx, x->ring_len, &idx);

	prefetch_heads(x, idx, avail);
	while (used < avail && n < BATCH_CAP) {
		const struct xdp_desc *d = xsk_ring_cons__rx_desc(&x->rx, idx + used);
		struct pkt *p = &b->pkt[n];
		uint32_t step = 1;

		if (n > 0 && limit_ns != UINT64_MAX && meta_peek(s, x->area + d->addr) > limit_ns)
			break;
		if ((d->options & XDP_PKT_CONTD) == 0) {
			p->data = x->area + d->addr;
			p->cap_len = p->wire_len = d->len;
			p->handle = d->addr;
			fetch_read(p->data);
		} else if ((step = join(s, x, idx + used, avail - used, p, n, &meta[n])) == 0) {
			break;
		}
		p->link = (uint8_t)s->link;
		used += step;
		n++;
	}
	xsk_ring_cons__cancel(&x->rx, avail - used);
	xsk_ring_cons__release(&x->rx, used);

	uint64_t now_ns = 0;
	for (uint32_t i = 0; i < n; i++) {
		struct pkt *p = &b->pkt[i];

		if (p->handle != LINEAR_HANDLE)
			meta[i] = meta_take(x->area + p->handle);
		rx_stamp(&s->rx, p, rx_wall_us(&s->wall, meta_mono(s, &meta[i], &now_ns)));
	}
	b->n = n;
	return (int)n;
}

/* The queue whose first frame is the oldest, or NULL; *next_ns is the first of the
 * queue after it. */
static struct xsk *oldest(struct rx_xdp *s, uint64_t *next_ns)
{
	uint64_t oldest_ns = UINT64_MAX;
	struct xsk *from = NULL;

	for (size_t i = 0; i < s->n; i++) {
		const uint64_t ns = head_ns(s, &s->q[i]);

		if (ns == UINT64_MAX)
			continue;
		if (from == NULL || ns < oldest_ns) {
			*next_ns = oldest_ns;
			oldest_ns = ns;
			from = &s->q[i];
		} else if (ns < *next_ns) {
			*next_ns = ns;
		}
	}
	return from;
}

/* From the queue whose first frame is the oldest, up to the first of the next:
 * a response must not overtake its query on another queue. */
static int xdp_recv(struct rx *rx, struct batch *b)
{
	struct rx_xdp *s = (struct rx_xdp *)rx;
	uint64_t next_ns = UINT64_MAX;

	b->n = 0;
	s->from = s->n > 1 ? oldest(s, &next_ns) : &s->q[0];
	if (s->from != NULL)
		(void)take(s, s->from, next_ns, b);
	/* Not before: while a system call runs, frames come in on the other queues. */
	for (size_t i = 0; i < s->n; i++)
		if (is_empty(&s->q[i]))
			wake(&s->q[i]);
	return (int)b->n;
}

static void xdp_release(struct rx *rx, struct batch *b)
{
	struct rx_xdp *s = (struct rx_xdp *)rx;
	struct xsk *x = s->from;

	for (uint32_t i = 0; i < b->n; i++)
		if (b->pkt[i].handle != LINEAR_HANDLE)
			x->back[x->back_n++] = b->pkt[i].handle;
	if (x->back_n + BATCH_CAP > BACK_CAP)
		fill_flush(x);
	if (xsk_ring_prod__needs_wakeup(&x->fill)) /* it may wait for these very chunks */
		wake(x);
}

static uint64_t xdp_clock(struct rx *rx)
{
	struct rx_xdp *s = (struct rx_xdp *)rx;

	return rx_wall_us(&s->wall, rx_wall_read(CLOCK_MONOTONIC)) - RX_IDLE_US;
}

/* rx_dropped: the frame did not fit, or (copy mode) found the fill ring empty;
 * rx_ring_full: the worker was late. rx_fill_ring_empty_descs counts the empty
 * fill ring once more in copy mode, and attempts of the driver to refill, not
 * packets, in zero-copy mode: left out. */
static uint64_t xdp_dropped(struct rx *rx)
{
	const struct rx_xdp *s = (const struct rx_xdp *)rx;
	uint64_t sum = 0;

	for (size_t i = 0; i < s->n; i++) {
		struct xdp_statistics st = {0};
		socklen_t len = sizeof(st);

		if (getsockopt(xsk_socket__fd(s->q[i].socket), SOL_XDP, XDP_STATISTICS, &st,
			       &len) == 0)
			sum += st.rx_dropped + st.rx_ring_full;
	}
	return sum;
}

static void xsk_close(struct xsk *x)
{
	if (x->socket != NULL)
		xsk_socket__delete(x->socket);
	if (x->umem != NULL)
		(void)xsk_umem__delete(x->umem);
	x->socket = NULL;
	x->umem = NULL;
}

static void xdp_destroy(struct rx *rx)
{
	struct rx_xdp *s = (struct rx_xdp *)rx;

	if (s == NULL)
		return;
	for (size_t i = 0; i < s->n; i++) {
		xsk_close(&s->q[i]);
		mem_unmap(s->q[i].area, s->q[i].area_bytes);
	}
	mem_unmap(s->linear, BATCH_CAP * LINEAR_BYTES);
	free(s);
}

static const struct rx_ops xdp_ops = {xdp_recv, xdp_release, xdp_clock, xdp_dropped, xdp_destroy};

/* Opens umem and socket with these bind flags: 0 or -errno, nothing left open. */
static int xsk_try(struct xsk *x, const struct rx_xdp_opts *o, uint16_t bind_flags)
{
	const struct xsk_umem_config umem = {
	    .fill_size = 2 * o->ring_len, /* the driver holds some of them */
	    .comp_size = 64,
	    .frame_size = o->frame_bytes,
	};
	const struct xsk_socket_config socket = {
	    .rx_size = o->ring_len,
	    .libxdp_flags = XSK_LIBXDP_FLAGS__INHIBIT_PROG_LOAD,
	    .bind_flags = (uint16_t)(XDP_USE_NEED_WAKEUP | bind_flags),
	};
	int rc = xsk_umem__create(&x->umem, x->area, x->area_bytes, &x->fill, &x->comp, &umem);

	if (rc != 0) {
		x->umem = NULL;
		return rc;
	}
	rc = xsk_socket__create(&x->socket, o->ifname, x->queue, x->umem, &x->rx, NULL, &socket);
	if (rc != 0) {
		x->socket = NULL;
		xsk_close(x);
	}
	return rc;
}

/* The same, waiting for a queue that its last owner is about to give up. */
static int xsk_try_busy(struct xsk *x, const struct rx_xdp_opts *o, uint16_t bind_flags)
{
	const struct timespec wait = {.tv_nsec = BUSY_WAIT_NS};
	int rc = xsk_try(x, o, bind_flags);

	for (int i = 0; rc == -EBUSY && i < BUSY_TRIES; i++) {
		(void)nanosleep(&wait, NULL);
		rc = xsk_try(x, o, bind_flags);
	}
	return rc;
}

/* The worker, not an interrupt, makes the driver look at its queue (kernel 5.11), where
 * the driver lets it. */
static int xsk_busy_poll(struct xsk *x)
{
	const int fd = xsk_socket__fd(x->socket), on = 1, us = POLL_US, budget = POLL_BUDGET;

	if (setsockopt(fd, SOL_SOCKET, SO_PREFER_BUSY_POLL, &on, sizeof(on)) != 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_BUSY_POLL, &us, sizeof(us)) != 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_BUSY_POLL_BUDGET, &budget, sizeof(budget)) != 0)
		return -errno;
	x->busy = true;
	return 0;
}

static int xsk_open(struct xsk *x, const struct rx_xdp_opts *o, char *note, size_t note_cap)
{
	int rc = -ENOTSUP;

	x->area_bytes = (size_t)2 * o->ring_len * o->frame_bytes;
	x->ring_len = o->ring_len;

	const size_t huge = mem_mapped(MEM_HUGE);

	x->area = mem_map(x->area_bytes);
	if (x->area == NULL)
		return -errno;
	x->huge = mem_mapped(MEM_HUGE) > huge;
	for (int zerocopy = o->copy != RX_XDP_COPY; zerocopy >= 0; zerocopy--) {
		const uint16_t way = zerocopy ? XDP_ZEROCOPY : XDP_COPY;

		if (!zerocopy && o->copy == RX_XDP_ZEROCOPY)
			break;
		x->pieces = true;
		rc = xsk_try_busy(x, o, way | XDP_USE_SG);
		if (rc == -EINVAL || rc == -EOPNOTSUPP) {
			x->pieces = false;
			rc = xsk_try_busy(x, o, way);
		}
		x->zerocopy = zerocopy != 0;
		if (rc == 0 || rc == -EPERM || rc == -ENOBUFS)
			break;
		if (zerocopy)
			(void)snprintf(note, note_cap, "zero-copy refused: %s", strerror(-rc));
	}
	if (rc != 0)
		return rc;
	for (uint64_t i = 0; i < 2 * o->ring_len; i++) {
		const uint64_t addr = i * o->frame_bytes;
		fill_put(x, &addr, 1);
	}
	return 0;
}

static void explain(const struct rx_xdp_opts *o, uint32_t queue, int rc, char *err, size_t err_cap)
{
	const char *why = strerror(-rc), *cure = "";

	if (rc == -ENOBUFS || rc == -ENOMEM)
		cure = "; not enough memory may be locked: ulimit -l unlimited";
	else if (rc == -EBUSY)
		cure = "; another AF_XDP socket holds this queue: ss --xdp -p shows whose";
	else if (rc == -ENOPROTOOPT)
		why = "no preferred busy polling before Linux 5.11: leave out `busypoll`";
	else if (o->copy == RX_XDP_ZEROCOPY && rc != -EPERM)
		why = "the driver has no zero-copy AF_XDP here: leave out `zerocopy`";
	(void)snprintf(err, err_cap, "AF_XDP socket on queue %u: %s%s", queue, why, cure);
}

struct rx *rx_xdp_create(const struct rx_xdp_opts *o, char *err, size_t err_cap)
{
	struct rx_xdp *s = calloc(1, sizeof(*s) + o->n_queues * sizeof(s->q[0]));
	int rc = -ENOMEM;

	if (s == NULL)
		goto fail;
	s->rx.ops = &xdp_ops;
	s->rx.live = true;
	s->link = o->link;
	s->linear = mem_map(BATCH_CAP * LINEAR_BYTES);
	if (s->linear == NULL)
		goto fail;
	rx_wall_measure(&s->wall);
	for (size_t i = 0; i < o->n_queues; i++) {
		struct xsk *x = &s->q[i];

		s->n = i + 1;
		x->queue = o->queues[i];
		rc = xsk_open(x, o, s->rx.note, sizeof(s->rx.note));
		if (rc == 0 && o->busy_poll)
			rc = xsk_busy_poll(x);
		if (rc == 0)
			rc = xsk_socket__update_xskmap(x->socket, o->sockets_fd);
		if (rc != 0) {
			explain(o, x->queue, rc, err, err_cap);
			goto undo;
		}
	}
	return &s->rx;
fail:
	(void)snprintf(err, err_cap, "AF_XDP: %s", strerror(-rc));
undo:
	xdp_destroy(&s->rx);
	errno = rc == -EOPNOTSUPP || (rc == -EINVAL && o->copy == RX_XDP_ZEROCOPY) ? ENOTSUP : -rc;
	return NULL;
}

bool rx_xdp_zerocopy(const struct rx *rx)
{
	const struct rx_xdp *s = (const struct rx_xdp *)rx;

	for (size_t i = 0; i < s->n; i++)
		if (!s->q[i].zerocopy)
			return false;
	return true;
}

bool rx_xdp_polls(struct rx *rx)
{
	struct rx_xdp *s = (struct rx_xdp *)rx;
	bool any = false;

	for (size_t i = 0; i < s->n; i++) {
		struct xsk *x = &s->q[i];
		unsigned id = 0;
		socklen_t len = sizeof(id);

		if (x->busy && !atomic_load_explicit(&x->polled, memory_order_relaxed) &&
		    getsockopt(xsk_socket__fd(x->socket), SOL_SOCKET, SO_INCOMING_NAPI_ID, &id,
			       &len) == 0 &&
		    id != 0)
			atomic_store_explicit(&x->polled, true, memory_order_relaxed);
		any = any || atomic_load_explicit(&x->polled, memory_order_relaxed);
	}
	return any;
}

void rx_xdp_memory(const struct rx *rx, size_t *huge_bytes, size_t *all_bytes)
{
	const struct rx_xdp *s = (const struct rx_xdp *)rx;

	*huge_bytes = *all_bytes = 0;
	for (size_t i = 0; i < s->n; i++) {
		*all_bytes += s->q[i].area_bytes;
		*huge_bytes += s->q[i].huge ? s->q[i].area_bytes : 0;
	}
}

void rx_xdp_stamps(const struct rx *rx, uint64_t *believed, uint64_t *odd)
{
	const struct rx_xdp *s = (const struct rx_xdp *)rx;

	*believed = atomic_load_explicit(&s->device.believed, memory_order_relaxed);
	*odd = atomic_load_explicit(&s->device.odd, memory_order_relaxed);
}

bool rx_xdp_gone(const struct rx *rx)
{
	const struct rx_xdp *s = (const struct rx_xdp *)rx;
	int error = 0;
	socklen_t len = sizeof(error);

	/* A socket whose device is unregistered; one that is only down has no error. */
	return getsockopt(xsk_socket__fd(s->q[0].socket), SOL_SOCKET, SO_ERROR, &error, &len) ==
		   0 &&
	       error == ENETDOWN;
}

uint64_t rx_xdp_steps(const struct rx *rx)
{
	const struct rx_xdp *s = (const struct rx_xdp *)rx;

	return atomic_load_explicit(&s->wall.steps, memory_order_relaxed);
}
