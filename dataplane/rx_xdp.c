/* SPDX-License-Identifier: BSD-3-Clause */
#include "rx_xdp.h"

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
#define BUSY_TRIES 20                /* a socket that was closed just now frees its queue late */
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
};

struct rx_xdp {
	struct rx rx;
	struct rx_wall wall;
	struct xsk *from; /* of the batch that is out */
	size_t n;
	enum link_type link;
	uint8_t *linear; /* BATCH_CAP slots for frames in pieces */
	struct xsk q[];
};

void rx_wall_measure(struct rx_wall *w)
{
	const uint64_t before = rx_wall_read(CLOCK_MONOTONIC);
	const uint64_t real = rx_wall_read(CLOCK_REALTIME);
	const uint64_t after = rx_wall_read(CLOCK_MONOTONIC);
	const int64_t noise_ns = 10000; /* of the measurement; a smaller step is none */
	const int64_t seen = (int64_t)(real - (before + (after - before) / 2));
	const int64_t elapsed = (int64_t)(after - w->measured_ns);

	if (w->measured_ns == 0) {
		w->offset_ns = w->target_ns = seen;
		w->measured_ns = after;
		return;
	}
	w->measured_ns = after;
	if (after - before < (uint64_t)noise_ns &&
	    (seen - w->target_ns > noise_ns || w->target_ns - seen > noise_ns)) {
		w->target_ns = seen;
		atomic_store_explicit(&w->steps,
				      atomic_load_explicit(&w->steps, memory_order_relaxed) + 1,
				      memory_order_relaxed);
	}
	if (w->target_ns >= w->offset_ns)
		w->offset_ns = w->target_ns;
	else if (w->offset_ns - w->target_ns > elapsed / 100)
		w->offset_ns -= elapsed / 100; /* 1 % slower until it has caught up */
	else
		w->offset_ns = w->target_ns;
}

/* The program's time in front of the frame, 0 without one. */
static uint64_t meta_take(uint8_t *frame)
{
	struct ft_xdp_meta meta;

	memcpy(&meta, frame - sizeof(meta), sizeof(meta));
	if (meta.magic != FT_XDP_META_MAGIC)
		return 0;
	memset(frame - sizeof(meta), 0, sizeof(meta.magic));
	return meta.mono_ns;
}

static uint64_t meta_peek(const uint8_t *frame)
{
	struct ft_xdp_meta meta;

	memcpy(&meta, frame - sizeof(meta), sizeof(meta));
	return meta.magic == FT_XDP_META_MAGIC ? meta.mono_ns : 0;
}

/* The time of the frame that waits first; UINT64_MAX where none does. */
static uint64_t head_ns(struct xsk *x)
{
	uint32_t idx;

	if (xsk_ring_cons__peek(&x->rx, 1, &idx) == 0)
		return UINT64_MAX;
	const uint64_t ns = meta_peek(x->area + xsk_ring_cons__rx_desc(&x->rx, idx)->addr);
	xsk_ring_cons__cancel(&x->rx, 1);
	return ns;
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

static void wake(struct xsk *x)
{
	if (xsk_ring_prod__needs_wakeup(&x->fill))
		(void)recvfrom(xsk_socket__fd(x->socket), NULL, 0, MSG_DONTWAIT, NULL, NULL);
}

/* Joins a frame in pieces in slot `slot`; returns the descriptors it takes, 0
 * while its last one is missing. Its chunks go back at once. */
static uint32_t join(struct rx_xdp *s, struct xsk *x, uint32_t idx, uint32_t avail, struct pkt *p,
		     uint32_t slot, uint64_t *mono_ns)
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
			*mono_ns = meta_take(piece);
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

/* One batch from one queue. Two passes, so that the lines of all frames are on
 * their way before the first is read. */
static int take(struct rx_xdp *s, struct xsk *x, uint64_t limit_ns, struct batch *b)
{
	uint64_t mono_ns[BATCH_CAP];
	uint32_t idx = 0, used = 0, n = 0;
	const uint32_t avail = xsk_ring_cons__peek(&x->rx, x->ring_len, &idx);

	while (used < avail && n < BATCH_CAP) {
		const struct xdp_desc *d = xsk_ring_cons__rx_desc(&x->rx, idx + used);
		struct pkt *p = &b->pkt[n];
		uint32_t step = 1;

		if (n > 0 && limit_ns != UINT64_MAX && meta_peek(x->area + d->addr) > limit_ns)
			break;
		if ((d->options & XDP_PKT_CONTD) == 0) {
			p->data = x->area + d->addr;
			p->cap_len = p->wire_len = d->len;
			p->handle = d->addr;
			__builtin_prefetch(p->data - sizeof(struct ft_xdp_meta), 1);
			__builtin_prefetch(p->data);
		} else if ((step = join(s, x, idx + used, avail - used, p, n, &mono_ns[n])) == 0) {
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
			mono_ns[i] = meta_take(x->area + p->handle);
		if (mono_ns[i] == 0) {
			if (now_ns == 0)
				now_ns = rx_wall_read(CLOCK_MONOTONIC);
			mono_ns[i] = now_ns;
		}
		rx_stamp(&s->rx, p, rx_wall_us(&s->wall, mono_ns[i]));
	}
	b->n = n;
	return (int)n;
}

/* From the queue whose first frame is the oldest, up to the first of the next:
 * a response must not overtake its query on another queue. */
static int xdp_recv(struct rx *rx, struct batch *b)
{
	struct rx_xdp *s = (struct rx_xdp *)rx;
	uint64_t oldest_ns = UINT64_MAX, next_ns = UINT64_MAX;
	struct xsk *from = NULL;

	b->n = 0;
	for (size_t i = 0; i < s->n; i++) {
		const uint64_t ns = head_ns(&s->q[i]);

		if (ns == UINT64_MAX) {
			wake(&s->q[i]);
		} else if (from == NULL || ns < oldest_ns) {
			next_ns = oldest_ns;
			oldest_ns = ns;
			from = &s->q[i];
		} else if (ns < next_ns) {
			next_ns = ns;
		}
	}
	if (from == NULL)
		return 0;
	s->from = from;
	return take(s, from, next_ns, b);
}

static void xdp_release(struct rx *rx, struct batch *b)
{
	struct rx_xdp *s = (struct rx_xdp *)rx;
	uint64_t addr[BATCH_CAP];
	uint32_t n = 0;

	for (uint32_t i = 0; i < b->n; i++)
		if (b->pkt[i].handle != LINEAR_HANDLE)
			addr[n++] = b->pkt[i].handle;
	fill_put(s->from, addr, n);
	wake(s->from);
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

static int xsk_open(struct xsk *x, const struct rx_xdp_opts *o, char *note, size_t note_cap)
{
	int rc = -ENOTSUP;

	x->area_bytes = (size_t)2 * o->ring_len * o->frame_bytes;
	x->ring_len = o->ring_len;
	x->area = mem_map(x->area_bytes);
	if (x->area == NULL)
		return -errno;
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

uint64_t rx_xdp_steps(const struct rx *rx)
{
	const struct rx_xdp *s = (const struct rx_xdp *)rx;

	return atomic_load_explicit(&s->wall.steps, memory_order_relaxed);
}
