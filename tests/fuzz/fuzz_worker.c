/* SPDX-License-Identifier: BSD-3-Clause */
/* The whole way of a packet: whatever frames come, whenever they say they came,
 * the ledger closes in every interval, nothing is left held, every block can be
 * read, and the records do not depend on how the source cuts its batches.
 *
 * Input: octet 0 sets the start of time and the tables' sizes. Then frames:
 * [link 3 bits | unit 2 | back | cut | ip] [time step] [length, 2, little-endian]
 * [octets]. `unit` is 1 us, 10 ms, 1 s or 37 h; `back` runs the time backwards;
 * `cut`: the wire's frame was longer; `ip`: the same octets once more as raw IP. */
#include "rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);

#define CHECK(x) ((x) ? (void)0 : check_failed(#x, __LINE__, NULL))
#define CHECK_TEXT(x, text) ((x) ? (void)0 : check_failed(#x, __LINE__, text))
#define FRAMES_CAP 600u
#define RING_BYTES ((size_t)4 << 20)

static void check_failed(const char *what, int line, const char *text)
{
	fprintf(stderr, "fuzz_worker.c:%d: %s\n%s\n", line, what, text != NULL ? text : "");
	abort();
}

struct source {
	struct rx rx;
	struct pkt frame[FRAMES_CAP];
	uint32_t n, at;
	uint32_t most; /* frames of a batch */
};

static int source_recv(struct rx *rx, struct batch *b)
{
	struct source *s = (struct source *)rx;

	for (b->n = 0; b->n < s->most && s->at < s->n; b->n++, s->at++) {
		b->pkt[b->n] = s->frame[s->at];
		rx_stamp(rx, &b->pkt[b->n], s->frame[s->at].ts_us);
	}
	return b->n != 0 ? (int)b->n : RX_END;
}

static void source_release(struct rx *rx, struct batch *b)
{
	(void)rx;
	(void)b;
}

static uint64_t source_zero(struct rx *rx)
{
	(void)rx;
	return 0;
}

static const struct rx_ops source_ops = {
    .recv = source_recv,
    .release = source_release,
    .clock = source_zero,
    .dropped = source_zero,
};

/* In a block of exactly its size, so that a sanitizer sees every overrun. */
static void add_frame(struct source *s, uint8_t how, const uint8_t *data, uint32_t len,
		      uint64_t t_us)
{
	uint8_t *copy = malloc(len != 0 ? len : 1);

	if (copy == NULL)
		abort();
	memcpy(copy, data, len);
	s->frame[s->n++] = (struct pkt){
	    .data = copy,
	    .ts_us = t_us,
	    .cap_len = len,
	    .wire_len = len + (how & 0x40 ? 100 : 0),
	    .link = (uint8_t)(how & 0x80 ? LINK_RAW_IP : (how & 7) % LINK_TYPE_CAP),
	};
}

static void read_frames(struct source *s, const uint8_t *in, size_t size, uint64_t t_us)
{
	static const uint64_t units[4] = {1, 10000, 1000000, 37ull * 3600 * 1000000};

	for (size_t at = 0; at + 4 <= size && s->n + 2 <= FRAMES_CAP;) {
		const uint64_t step = in[at + 1] * units[in[at] >> 3 & 3];
		uint32_t len = (uint32_t)in[at + 2] | (uint32_t)in[at + 3] << 8;
		const uint8_t how = in[at];
		at += 4;
		if (len > size - at)
			len = (uint32_t)(size - at);
		if ((how & 0x20) == 0)
			t_us += step;
		else
			t_us -= step < t_us ? step : t_us;
		add_frame(s, how & 0x7f, in + at, len, t_us);
		if (how & 0x80)
			add_frame(s, how, in + at, len, t_us);
		at += len;
	}
}

static void forget_frames(struct source *s)
{
	for (uint32_t i = 0; i < s->n; i++)
		free((void *)(uintptr_t)s->frame[i].data);
	s->n = 0;
}

/* The records of a run as text, without the fields that go by blocks. */
static char *text_of(const struct rig *r)
{
	static const char *const exempt[] = {"records", "merged", "blocks", "block_bytes",
					     "block_bytes_raw"};
	json_t *all = json_array();

	for (size_t i = 0; i < r->n; i++) {
		for (size_t k = 0; k < sizeof(exempt) / sizeof(*exempt); k++)
			json_object_del(r->record[i].json, exempt[k]);
		json_array_append(all, r->record[i].json);
	}
	char *text = json_dumps(all, JSON_INDENT(1));
	json_decref(all);
	if (text == NULL)
		abort();
	return text;
}

static char *run(struct source *s, uint8_t sizes, uint32_t most)
{
	static struct rig rig;
	const size_t few = (size_t)(sizes >> 2 & 3);

	s->rx = (struct rx){.ops = &source_ops};
	s->at = 0;
	s->most = most;
	rig_init(&rig, 1, 1, RING_BYTES, false);
	struct worker_settings set = rig_settings(&rig, 0, &s->rx);
	set.wait_us = sizes & 2 ? 1000000 : 5000000;
	set.pair_entries = 3 + 20 * few;
	set.datagrams = 2 + few;
	set.connections = 2 + 4 * few;
	set.stream_bytes = few << 12;
	struct worker *w = worker_create(&set);
	CHECK(w != NULL);
	while (worker_turn(w) != RX_END)
		CHECK(drain_step(rig.drain));
	CHECK(!drain_step(rig.drain));
	worker_destroy(w);

	const struct ledger_sums *l = rig_sums(&rig);
	CHECK(drain_bad_blocks(rig.drain) == 0);
	CHECK_TEXT(l->broken == 0, l->broken_text);
	CHECK(l->sum.c[FT_CTR_RX_PACKETS] == s->n);
	CHECK(l->sum.c[FT_CTR_HELD] == 0 && l->sum.c[FT_CTR_HELD_PACKETS] == 0);
	CHECK(l->sum.c[FT_CTR_RECORDS] == l->merged);
	CHECK(l->sum.c[FT_CTR_RING_FULL_RECORDS] == 0);
	CHECK(rig.in_order);
	char *text = text_of(&rig);
	rig_fini(&rig);
	return text;
}

/* The first line in which two texts differ. */
static void compare(const char *a, const char *b)
{
	char text[400];
	size_t line = 0, i = 0;

	if (strcmp(a, b) == 0)
		return;
	for (; a[i] == b[i]; i++)
		line = a[i] == '\n' ? i + 1 : line;
	const size_t from = line > 100 ? line - 100 : 0;
	(void)snprintf(text, sizeof(text), "%.180s\n---\n%.180s", a + from, b + from);
	CHECK_TEXT(strcmp(a, b) == 0, text);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
	static struct source source;

	if (size < 1)
		return 0;
	read_frames(&source, input + 1, size - 1, input[0] & 1 ? 0 : 1700000000000000);
	char *whole = run(&source, input[0], BATCH_CAP);
	char *single = run(&source, input[0], 1);
	compare(whole, single);
	free(whole);
	free(single);
	forget_frames(&source);
	return 0;
}
