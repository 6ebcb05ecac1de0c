/* SPDX-License-Identifier: BSD-3-Clause */
/* Capture files: every format, every cut, every way to be wrong. */
#include "rx.h"
#include "test_rx_pcap_make.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[] = "/tmp/test_rx_pcap_XXXXXX";

static const char *path_of(const char *name)
{
	static char path[4][128];
	static unsigned next;
	char *p = path[next++ % 4];

	(void)snprintf(p, sizeof(path[0]), "%s/%s", dir, name);
	return p;
}

static const char *write_file(const char *name, const void *p, size_t n)
{
	const char *path = path_of(name);
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_int_equal(fwrite(p, 1, n, f), n);
	assert_int_equal(fclose(f), 0);
	return path;
}

/* What a source gave until its end. */
struct got {
	unsigned n;
	uint8_t tag[64]; /* first octet of each frame */
	uint64_t ts_us[64];
	uint8_t link;
	char error[RX_TEXT_CAP];
};

static void read_source(struct rx *rx, struct got *g)
{
	struct batch b;
	uint64_t clock_us = 0;
	int rc;

	memset(g, 0, sizeof(*g));
	while ((rc = rx->ops->recv(rx, &b)) != RX_END) {
		assert_int_equal(rc, b.n);
		for (uint32_t i = 0; i < b.n && g->n < 64; i++, g->n++) {
			const struct pkt *p = &b.pkt[i];

			assert_true(p->wire_len >= p->cap_len);
			clock_us = p->ts_us > clock_us ? p->ts_us : clock_us;
			assert_int_equal(p->clock_us, clock_us);
			g->tag[g->n] = p->cap_len > 0 ? p->data[0] : 0;
			g->ts_us[g->n] = p->ts_us;
			g->link = p->link;
		}
		if (rc > 0)
			rx->ops->release(rx, &b);
		else
			assert_int_equal(rx->ops->clock(rx), 0);
	}
	assert_int_equal(rx->ops->recv(rx, &b), RX_END); /* and stays there */
	assert_int_equal(rx->ops->dropped(rx), 0);
	memcpy(g->error, rx->error, sizeof(g->error));
}

/* 0, or -errno of the creation with its sentence in g->error. */
static int read_paths(const char *const *paths, size_t n, struct got *g)
{
	char err[RX_TEXT_CAP] = "";
	struct rx *rx = rx_pcap_create(paths, n, err, sizeof(err));

	if (rx == NULL) {
		const int code = errno;

		memset(g, 0, sizeof(*g));
		memcpy(g->error, err, sizeof(err));
		assert_true(err[0] != '\0');
		return -code;
	}
	assert_false(rx->live);
	read_source(rx, g);

	uint64_t done, total;

	rx_pcap_progress(rx, &done, &total);
	if (g->error[0] == '\0' && total > 0)
		assert_int_equal(done, total);
	rx->ops->destroy(rx);
	return 0;
}

static int read_bytes(const struct bytes *b, size_t n, struct got *g)
{
	const char *path = write_file("one", b->p, n);

	return read_paths(&path, 1, g);
}

static void check_frames(const struct got *g, unsigned n, unsigned tag)
{
	assert_int_equal(g->n, n);
	for (unsigned i = 0; i < n; i++) {
		assert_int_equal(g->tag[i], tag + i);
		assert_int_equal(g->ts_us[i], T0_S * 1000000ull + i * 1000000ull + i + 7);
	}
}

static void test_formats(void **state)
{
	(void)state;
	for (unsigned kind = 0; kind < 8; kind++) {
		struct bytes *b = bytes_new((kind & 1) != 0);
		struct got g;

		if ((kind & 4) != 0)
			make_pcapng(b, (kind & 2) != 0 ? 9 : 0, 'a');
		else
			make_pcap(b, (kind & 2) != 0, 1, 'a');
		assert_int_equal(read_bytes(b, b->n, &g), 0);
		assert_string_equal(g.error, "");
		check_frames(&g, FRAMES, 'a');
		free(b);
	}
}

static void test_packed(void **state)
{
	static const uint8_t skippable[] = {0x5a, 0x2a, 0x4d, 0x18, 2, 0, 0, 0, 'h', 'i'};
	struct bytes *b = bytes_new(false), *half = bytes_new(false), *z = bytes_new(false);
	struct got g;

	(void)state;
	make_pcap(b, false, 1, 'a');
	pack_gzip(b, z);
	assert_int_equal(read_bytes(z, z->n, &g), 0);
	check_frames(&g, FRAMES, 'a');
	/* Two members, the boundary within a packet, and padding behind. */
	z->n = 0;
	half->n = 50;
	memcpy(half->p, b->p, 50);
	pack_gzip(half, z);
	half->n = b->n - 50;
	memcpy(half->p, b->p + 50, half->n);
	pack_gzip(half, z);
	put8(z, "\0\0\0\0\0", 5);
	assert_int_equal(read_bytes(z, z->n, &g), 0);
	assert_string_equal(g.error, "");
	check_frames(&g, FRAMES, 'a');
	/* Rubbish behind the last member is damage. */
	put8(z, "rubbish", 7);
	assert_int_equal(read_bytes(z, z->n, &g), 0);
	assert_non_null(strstr(g.error, "gzip"));
	check_frames(&g, FRAMES, 'a');
	/* zstd: a skippable frame, then two others. */
	z->n = 0;
	put8(z, skippable, sizeof(skippable));
	half->n = 50;
	memcpy(half->p, b->p, 50);
	pack_zstd(half, z);
	half->n = b->n - 50;
	memcpy(half->p, b->p + 50, half->n);
	pack_zstd(half, z);
	assert_int_equal(read_bytes(z, z->n, &g), 0);
	assert_string_equal(g.error, "");
	check_frames(&g, FRAMES, 'a');
	free(b);
	free(half);
	free(z);
}

struct trickle {
	int fd;
	const struct bytes *b;
};

static void *trickle_main(void *arg)
{
	const struct trickle *t = arg;

	for (size_t i = 0; i < t->b->n; i++) {
		assert_int_equal(write(t->fd, t->b->p + i, 1), 1);
		if (i % 16 == 0)
			(void)usleep(1000);
	}
	(void)usleep(150000); /* longer than one recv waits */
	(void)close(t->fd);
	return NULL;
}

/* Standard input is a pipe that gives octet by octet. */
static void read_stdin(const struct bytes *b, struct got *g)
{
	const char *path = "-";
	int ends[2], before = dup(STDIN_FILENO);
	pthread_t thread;

	assert_int_equal(pipe(ends), 0);
	assert_true(dup2(ends[0], STDIN_FILENO) >= 0);
	(void)close(ends[0]);

	struct trickle t = {.fd = ends[1], .b = b};

	assert_int_equal(pthread_create(&thread, NULL, trickle_main, &t), 0);
	assert_int_equal(read_paths(&path, 1, g), 0);
	(void)pthread_join(thread, NULL);
	if (before >= 0) {
		(void)dup2(before, STDIN_FILENO);
		(void)close(before);
	}
}

static void test_stdin(void **state)
{
	struct bytes *b = bytes_new(false), *z = bytes_new(false);
	struct got g;

	(void)state;
	make_pcap(b, false, 1, 'a');
	read_stdin(b, &g);
	assert_string_equal(g.error, "");
	check_frames(&g, FRAMES, 'a');
	pack_gzip(b, z);
	read_stdin(z, &g);
	check_frames(&g, FRAMES, 'a');
	z->n = 0;
	make_pcapng(b, 9, 'a');
	pack_zstd(b, z);
	read_stdin(z, &g);
	assert_string_equal(g.error, "");
	check_frames(&g, FRAMES, 'a');
	b->n -= 3;
	read_stdin(b, &g);
	check_frames(&g, FRAMES - 1, 'a');
	assert_ptr_equal(strstr(g.error, "-: offset "), g.error);
	free(b);
	free(z);
}

static void put_at(struct bytes *b, uint64_t us, char tag)
{
	put_pcap_frame(b, us, &tag, 1, false);
}

static void test_merge(void **state)
{
	/* c's own times run backwards: it is delivered in its order. */
	static const uint64_t times[3][4] = {{10, 20, 30, 40}, {10, 20, 25, 50}, {30, 5, 60, 1}};
	struct bytes *b = bytes_new(false);
	const char *paths[4];
	struct got g;

	(void)state;
	for (unsigned f = 0; f < 3; f++) {
		const char name[] = {(char)('a' + f), '\0'};

		b->n = 0;
		put_pcap_header(b, false, f == 2 ? 101 : 1);
		for (unsigned i = 0; i < 4; i++)
			put_at(b, times[f][i], (char)('a' + f));
		paths[f] = write_file(name, b->p, b->n);
	}
	assert_int_equal(read_paths(paths, 3, &g), 0);
	assert_int_equal(g.n, 12);
	assert_memory_equal(g.tag, "ababbaccabcc", 12);

	const char *turned[] = {paths[1], paths[0]};

	assert_int_equal(read_paths(turned, 2, &g), 0);
	assert_memory_equal(g.tag, "bababaab", 8);
	free(b);
}

/* At every length: no crash, what came whole is delivered, the rest is said. */
static void test_cut_plain(void **state)
{
	struct bytes *b = bytes_new(false);
	char want[RX_TEXT_CAP];
	struct got g;

	(void)state;
	for (unsigned ng = 0; ng < 2; ng++) {
		size_t start = ng ? 48 : 24;
		unsigned whole = 0;

		if (ng)
			make_pcapng(b, 0, 'a');
		else
			make_pcap(b, false, 1, 'a');
		for (size_t n = 0; n <= b->n; n++) {
			const size_t frame =
			    ng ? 32 + (frame_len(whole) + 3) / 4 * 4 : 16 + frame_len(whole);

			if (n == start + frame) {
				start = n;
				whole++;
			}

			const int rc = read_bytes(b, n, &g);

			if (n < (ng ? 28 : 24)) {
				assert_int_equal(rc, -EINVAL);
				assert_non_null(strstr(g.error,
						       ": not a capture file (pcap or pcapng, "
						       "plain, gzip or zstd)"));
				continue;
			}
			if (ng && n > 28 && n < 48) { /* within the interface block */
				assert_int_equal(rc, -EINVAL);
				continue;
			}
			assert_int_equal(rc, 0);
			check_frames(&g, whole, 'a');
			(void)snprintf(want, sizeof(want),
				       "%s: offset %zu: breaks off in the middle of a packet",
				       path_of("one"), start);
			assert_string_equal(g.error, n == start || (ng && n == 28) ? "" : want);
		}
		assert_int_equal(whole, FRAMES);
	}
	free(b);
}

static void test_cut_packed(void **state)
{
	struct bytes *b = bytes_new(false), *z = bytes_new(false);
	struct got g;

	(void)state;
	make_pcap(b, true, 1, 'a');
	for (unsigned zstd = 0; zstd < 2; zstd++) {
		z->n = 0;
		if (zstd)
			pack_zstd(b, z);
		else
			pack_gzip(b, z);
		for (size_t n = 0; n < z->n; n++) {
			const int rc = read_bytes(z, n, &g);

			/* Without its magic it is no capture at all. */
			assert_int_equal(rc, n < (zstd ? 4 : 2) ? -EINVAL : 0);
			assert_true(rc != 0 || strstr(g.error, "breaks off") != NULL);
			check_frames(&g, g.n, 'a');
		}
		assert_int_equal(read_bytes(z, z->n, &g), 0);
		check_frames(&g, FRAMES, 'a');
	}
	free(b);
	free(z);
}

/* Every octet in turn made wrong in several ways: nothing crashes or hangs. */
static void test_damage(void **state)
{
	static const uint8_t wrong[] = {0x00, 0xff, 0x80, 0x01};
	struct bytes *made[6];
	struct got g;

	(void)state;
	for (unsigned k = 0; k < 6; k++)
		made[k] = bytes_new(false);
	make_pcap(made[0], false, 1, 'a');
	made[1]->big = true;
	make_pcap(made[1], true, 1, 'a');
	make_pcapng(made[2], 9, 'a');
	pack_gzip(made[0], made[3]);
	pack_zstd(made[2], made[4]);
	make_pcapng(made[5], 0, 'a');
	put_idb(made[5], 101, 0); /* another link type: libpcap refuses it midway */
	put_epb(made[5], 1, 1, "x", 1);
	assert_int_equal(read_bytes(made[5], made[5]->n, &g), 0);
	check_frames(&g, FRAMES, 'a');
	assert_non_null(strstr(g.error, ": offset "));
	for (unsigned k = 0; k < 6; k++) {
		struct bytes *b = made[k];

		for (size_t i = 0; i < b->n; i++) {
			const uint8_t right = b->p[i];

			for (size_t w = 0; w < sizeof(wrong); w++) {
				b->p[i] = wrong[w];
				(void)read_bytes(b, b->n, &g);
			}
			b->p[i] = right;
		}
		free(b);
	}
}

static void test_empty(void **state)
{
	struct bytes *b = bytes_new(false), *z = bytes_new(false);
	struct got g;

	(void)state;
	put_pcap_header(b, false, 1);
	assert_int_equal(read_bytes(b, b->n, &g), 0);
	assert_int_equal(g.n, 0);
	assert_string_equal(g.error, "");
	pack_zstd(b, z);
	assert_int_equal(read_bytes(z, z->n, &g), 0);
	assert_string_equal(g.error, "");
	b->n = 0;
	put_shb(b);
	assert_int_equal(read_bytes(b, b->n, &g), 0);
	assert_string_equal(g.error, "");
	put_idb(b, 1, 0);
	assert_int_equal(read_bytes(b, b->n, &g), 0);
	assert_int_equal(g.n, 0);
	free(b);
	free(z);
}

static void refused(const char *path, int code, const char *words)
{
	char want[RX_TEXT_CAP];
	struct got g;

	assert_int_equal(read_paths(&path, 1, &g), -code);
	(void)snprintf(want, sizeof(want), "%s: %s", path, words);
	assert_string_equal(g.error, want);
}

static void test_refused(void **state)
{
	static const char no_capture[] = "not a capture file (pcap or pcapng, plain, gzip or zstd)";
	static const uint8_t gz_rubbish[] = {0x1f, 0x8b, 8, 0, 'r', 'u', 'b', 'b', 'i', 's', 0xff};
	struct bytes *b = bytes_new(false), *z = bytes_new(false);
	struct got g;

	(void)state;
	refused(path_of("missing"), ENOENT, "No such file or directory");
	refused(dir, EISDIR, "Is a directory");
	refused(write_file("text", "hello, world, this is text\n", 27), EINVAL, no_capture);
	refused(write_file("nothing", "", 0), EINVAL, no_capture);
	refused(write_file("rubbish", gz_rubbish, sizeof(gz_rubbish)), EINVAL, no_capture);
	put8(b, "hello", 5);
	pack_zstd(b, z);
	refused(write_file("packed", z->p, z->n), EINVAL, no_capture);
	if (geteuid() != 0) {
		const char *path = write_file("closed", "x", 1);

		assert_int_equal(chmod(path, 0), 0);
		refused(path, EACCES, "Permission denied");
	}
	make_pcap(b, false, 105, 'a');
	assert_int_equal(read_bytes(b, b->n, &g), -ENOTSUP);
	assert_non_null(strstr(g.error, "IEEE802_11"));
	make_pcap(b, false, 9999, 'a');
	assert_int_equal(read_bytes(b, b->n, &g), -ENOTSUP);
	assert_non_null(strstr(g.error, "9999"));
	free(b);
	free(z);
}

static void test_links(void **state)
{
	static const struct {
		uint32_t dlt;
		enum link_type link;
	} links[] = {{1, LINK_ETHERNET}, {12, LINK_RAW_IP},  {14, LINK_RAW_IP}, {101, LINK_RAW_IP},
		     {228, LINK_RAW_IP}, {229, LINK_RAW_IP}, {113, LINK_SLL},   {276, LINK_SLL2},
		     {0, LINK_NULL},     {108, LINK_NULL},   {9, LINK_PPP}};
	struct bytes *b = bytes_new(false);
	struct got g;

	(void)state;
	for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++) {
		make_pcap(b, false, links[i].dlt, 'a');
		assert_int_equal(read_bytes(b, b->n, &g), 0);
		assert_int_equal(g.n, FRAMES);
		assert_int_equal(g.link, links[i].link);
	}
	free(b);
}

/* One file breaks off; the others go on to their ends, then it is said. */
static void test_others_go_on(void **state)
{
	struct bytes *b = bytes_new(false);
	const char *paths[3];
	struct got g;

	(void)state;
	make_pcap(b, false, 1, 'a');
	paths[0] = write_file("cut", b->p, 24 + 36 + 5);
	paths[1] = write_file("whole", b->p, b->n);
	assert_int_equal(read_paths(paths, 2, &g), 0);
	assert_int_equal(g.n, FRAMES + 1);
	assert_ptr_equal(strstr(g.error, paths[0]), g.error);
	assert_non_null(strstr(g.error, ": offset 60: breaks off"));
	paths[2] = write_file("cut2", b->p, 24 + 3);
	assert_int_equal(read_paths(paths, 3, &g), 0);
	assert_int_equal(g.n, FRAMES + 1);
	assert_non_null(strstr(g.error, "(and 1 more)"));
	free(b);
}

/* Frames as large as libpcap allows: a batch holds what the arena can. */
static void test_large(void **state)
{
	struct bytes *b = bytes_new(false);
	uint8_t *frame = malloc(262144);
	const char *path;
	struct batch batch;
	char err[RX_TEXT_CAP];
	unsigned n = 0;
	int rc;

	(void)state;
	assert_non_null(frame);
	memset(frame, 'z', 262144);
	put_pcap_header(b, false, 1);
	for (unsigned i = 0; i < 3; i++)
		put_pcap_frame(b, i, frame, 262144, false);
	put_u32(b, T0_S);
	put_u32(b, 0);
	put_u32(b, 262145); /* larger than libpcap allows */
	put_u32(b, 262145);
	path = write_file("large", b->p, b->n);

	struct rx *rx = rx_pcap_create(&path, 1, err, sizeof(err));

	assert_non_null(rx);
	while ((rc = rx->ops->recv(rx, &batch)) > 0) {
		for (uint32_t i = 0; i < batch.n; i++, n++) {
			assert_int_equal(batch.pkt[i].cap_len, 262144);
			assert_memory_equal(batch.pkt[i].data, frame, 262144);
		}
		rx->ops->release(rx, &batch);
	}
	assert_int_equal(n, 3);
	assert_int_equal(rc, RX_END);
	assert_non_null(strstr(rx->error, "offset 786504: "));
	rx->ops->destroy(rx);
	free(frame);
	free(b);
}

/* Times no calendar knows, and seconds beyond 2038 (pcap has 32 bits, no sign). */
static void test_odd_times(void **state)
{
	struct bytes *b = bytes_new(false);
	struct got g;

	(void)state;
	put_pcap_header(b, false, 1);
	for (unsigned i = 0; i < 2; i++) {
		put_u32(b, UINT32_MAX);
		put_u32(b, i == 0 ? 5 : UINT32_MAX);
		put_u32(b, 1);
		put_u32(b, 0); /* shorter on the wire than here */
		put8(b, "x", 1);
	}
	assert_int_equal(read_bytes(b, b->n, &g), 0);
	assert_int_equal(g.n, 2);
	assert_int_equal(g.ts_us[0], UINT32_MAX * 1000000ull + 5);
	assert_int_equal(g.ts_us[1], UINT32_MAX * 1000000ull + 999999);
	b->n = 0;
	put_shb(b);
	put_idb(b, 1, 1);
	put_epb(b, 0, UINT64_MAX, "x", 1);
	assert_int_equal(read_bytes(b, b->n, &g), 0);
	assert_int_equal(g.n, 1);
	assert_true(g.ts_us[0] <= 253402300801000000ull);
	free(b);
}

static int make_dir(void **state)
{
	(void)state;
	return mkdtemp(dir) != NULL ? 0 : -1;
}

static int remove_dir(void **state)
{
	static const char *const names[] = {"one",     "a",       "b",      "c",      "text",
					    "nothing", "rubbish", "packed", "closed", "cut",
					    "cut2",    "whole",   "large"};

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		(void)unlink(path_of(names[i]));
	return rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_formats),      cmocka_unit_test(test_packed),
	    cmocka_unit_test(test_stdin),        cmocka_unit_test(test_merge),
	    cmocka_unit_test(test_cut_plain),    cmocka_unit_test(test_cut_packed),
	    cmocka_unit_test(test_damage),       cmocka_unit_test(test_empty),
	    cmocka_unit_test(test_refused),      cmocka_unit_test(test_links),
	    cmocka_unit_test(test_others_go_on), cmocka_unit_test(test_large),
	    cmocka_unit_test(test_odd_times),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
