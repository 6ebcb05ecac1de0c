/* SPDX-License-Identifier: BSD-3-Clause */
#include "capfile.h"
#include "rx.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ARENA_BYTES ((size_t)512 << 10)
#define PIPE_WAIT_MS 100 /* so that a silent pipe does not keep the worker from ending */

static_assert(ARENA_BYTES >= CAPFILE_FRAME_BYTES, "the largest frame fits an empty arena");

/* A file is in one of three places: waiting to be read (pending), with its next
 * packet at hand (heap), or ended (neither). */
struct rx_pcap {
	struct rx rx;
	size_t n;
	struct capfile **files;
	struct cap_packet *heads; /* by file; valid while the file is in the heap */
	size_t *heap;             /* files by the time of their heads, then by their order */
	size_t heap_n;
	size_t *pending; /* files to be read; the last one first */
	size_t pending_n;
	uint8_t *arena; /* copies of a batch: libpcap's own buffer is reused */
	size_t broken_n;
	char broken[RX_TEXT_CAP]; /* the first failure */
};

static bool earlier(const struct rx_pcap *s, size_t a, size_t b)
{
	const uint64_t ta = s->heads[a].ts_us, tb = s->heads[b].ts_us;

	return ta < tb || (ta == tb && a < b);
}

static void heap_push(struct rx_pcap *s, size_t file)
{
	size_t at = s->heap_n++;

	for (; at > 0 && earlier(s, file, s->heap[(at - 1) / 2]); at = (at - 1) / 2)
		s->heap[at] = s->heap[(at - 1) / 2];
	s->heap[at] = file;
}

static void heap_pop(struct rx_pcap *s)
{
	const size_t last = s->heap[--s->heap_n];
	size_t at = 0;

	for (size_t child = 1; child < s->heap_n; child = 2 * at + 1) {
		if (child + 1 < s->heap_n && earlier(s, s->heap[child + 1], s->heap[child]))
			child++;
		if (!earlier(s, s->heap[child], last))
			break;
		s->heap[at] = s->heap[child];
		at = child;
	}
	s->heap[at] = last;
}

/* Reads the next packet of every pending file. False where a pipe had nothing. */
static bool heads_fill(struct rx_pcap *s, int wait_ms)
{
	while (s->pending_n > 0) {
		const size_t i = s->pending[s->pending_n - 1];
		char words[RX_TEXT_CAP];
		const int rc =
		    capfile_next(s->files[i], &s->heads[i], wait_ms, words, sizeof(words));

		if (rc == -EAGAIN)
			return false;
		s->pending_n--;
		if (rc > 0)
			heap_push(s, i);
		else if (rc < 0 && s->broken_n++ == 0)
			memcpy(s->broken, words, sizeof(words));
	}
	return true;
}

static int pcap_end(struct rx_pcap *s)
{
	/* Only now, because others may look at rx.error once the source has ended. */
	if (s->broken_n == 1)
		memcpy(s->rx.error, s->broken, sizeof(s->broken));
	else if (s->broken_n > 1)
		(void)snprintf(s->rx.error, sizeof(s->rx.error), "%.220s (and %zu more)", s->broken,
			       s->broken_n - 1);
	return RX_END;
}

static int pcap_recv(struct rx *rx, struct batch *b)
{
	struct rx_pcap *s = (struct rx_pcap *)rx;
	size_t used = 0;

	b->n = 0;
	while (b->n < BATCH_CAP) {
		if (!heads_fill(s, b->n > 0 ? 0 : PIPE_WAIT_MS))
			return (int)b->n;
		if (s->heap_n == 0)
			return b->n > 0 ? (int)b->n : pcap_end(s);

		const size_t i = s->heap[0];
		const struct cap_packet *head = &s->heads[i];

		if (used + head->cap_len > ARENA_BYTES)
			break;

		struct pkt *p = &b->pkt[b->n++];

		memcpy(s->arena + used, head->data, head->cap_len);
		p->data = s->arena + used;
		p->cap_len = head->cap_len;
		p->wire_len = head->wire_len;
		p->handle = 0;
		p->link = (uint8_t)capfile_link(s->files[i]);
		rx_stamp(rx, p, head->ts_us);
		used += (head->cap_len + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE;
		heap_pop(s);
		s->pending[s->pending_n++] = i;
	}
	return (int)b->n;
}

static void pcap_release(struct rx *rx, struct batch *b)
{
	(void)rx;
	(void)b;
}

/* Packets alone move a file's clock. */
static uint64_t pcap_clock(struct rx *rx)
{
	(void)rx;
	return 0;
}

static uint64_t pcap_dropped(struct rx *rx)
{
	(void)rx;
	return 0;
}

static void pcap_destroy(struct rx *rx)
{
	struct rx_pcap *s = (struct rx_pcap *)rx;

	if (s == NULL)
		return;
	for (size_t i = 0; s->files != NULL && i < s->n; i++)
		capfile_close(s->files[i]);
	free(s->arena);
	free(s->pending);
	free(s->heap);
	free(s->heads);
	free(s->files);
	free(s);
}

static const struct rx_ops pcap_ops = {
    .recv = pcap_recv,
    .release = pcap_release,
    .clock = pcap_clock,
    .dropped = pcap_dropped,
    .destroy = pcap_destroy,
};

struct rx *rx_pcap_create(const char *const *paths, size_t n, char *err, size_t err_cap)
{
	struct rx_pcap *s = calloc(1, sizeof(*s));
	int code = ENOMEM;

	(void)snprintf(err, err_cap, "%s", strerror(code));
	if (s == NULL)
		goto undo;
	s->rx.ops = &pcap_ops;
	s->n = n;
	s->files = calloc(n, sizeof(struct capfile *));
	s->heads = calloc(n, sizeof(*s->heads));
	s->heap = calloc(n, sizeof(*s->heap));
	s->pending = calloc(n, sizeof(*s->pending));
	s->arena = aligned_alloc(CACHE_LINE, ARENA_BYTES + CACHE_LINE);
	if (s->files == NULL || s->heads == NULL || s->heap == NULL || s->pending == NULL ||
	    s->arena == NULL)
		goto undo;
	for (size_t i = 0; i < n; i++) {
		s->files[i] = capfile_open(paths[i], err, err_cap);
		if (s->files[i] == NULL) {
			code = errno;
			goto undo;
		}
		s->pending[n - 1 - i] = i;
	}
	s->pending_n = n;
	if (err_cap > 0)
		err[0] = '\0';
	return &s->rx;
undo:
	pcap_destroy(s != NULL ? &s->rx : NULL);
	errno = code;
	return NULL;
}

void rx_pcap_progress(const struct rx *rx, uint64_t *done, uint64_t *total)
{
	const struct rx_pcap *s = (const struct rx_pcap *)rx;
	bool known = true;

	*done = 0;
	*total = 0;
	for (size_t i = 0; i < s->n; i++) {
		*done += capfile_done(s->files[i]);
		*total += capfile_total(s->files[i]);
		known = known && capfile_total(s->files[i]) > 0;
	}
	if (!known)
		*total = 0;
}
