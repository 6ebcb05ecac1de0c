/* SPDX-License-Identifier: BSD-3-Clause */
/* Interfaces with different snapshot lengths: octet by octet, and as libpcap reads them. */
#include "capfile.h"
#include "guard.h"
#include "pcapng.h"
#include "test_rx_pcap_make.h"

#include <errno.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAX_BYTES 262144u
#define SMALL 96u
#define PACKETS_CAP 8

static const uint8_t frame[400] = {'f'};

static void put_iface(struct bytes *b, uint32_t snaplen)
{
	const size_t at = b->n + 12;

	put_idb(b, 1, 0);

	const size_t end = b->n;

	b->n = at;
	put_u32(b, snaplen);
	b->n = end;
}

/* A packet of which snaplen octets were kept. */
static void put_spb(struct bytes *b, uint32_t wire_len, uint32_t snaplen)
{
	const uint32_t len = wire_len < snaplen ? wire_len : snaplen, padded = (len + 3) / 4 * 4;

	put_u32(b, 3);
	put_u32(b, 16 + padded);
	put_u32(b, wire_len);
	put8(b, frame, len);
	put8(b, "\0\0\0", padded - len);
	put_u32(b, 16 + padded);
}

/* The obsolete packet block. */
static void put_pb(struct bytes *b, unsigned iface, uint32_t len)
{
	put_u32(b, 2);
	put_u32(b, 32 + len);
	put_u16(b, iface);
	put_u16(b, 0);
	put_u32(b, 0);
	put_u32(b, 1);
	put_u32(b, len);
	put_u32(b, len);
	put8(b, frame, len);
	put_u32(b, 32 + len);
}

/* A block of a type that no one knows, as short as one can be. */
static void put_unknown(struct bytes *b)
{
	put_u32(b, 0x0bad);
	put_u32(b, 12);
	put_u32(b, 12);
}

/* Every kind of block, the first interface's snapshot length the smaller. */
static struct bytes *make_mixed(bool big)
{
	struct bytes *b = bytes_new(big);

	put_shb(b);
	put_unknown(b);
	put_iface(b, SMALL);
	put_unknown(b);
	put_iface(b, 300);
	put_epb(b, 1, 1, frame, 299);
	put_spb(b, 350, SMALL);
	put_pb(b, 0, 60);
	put_shb(b);
	put_iface(b, 200);
	put_epb(b, 0, 2, frame, 199);
	return b;
}

/* Passes all of in, which arrives cut at the position; want octets at most at a time. */
static void pass(const struct bytes *in, size_t cut, size_t want, struct bytes *out)
{
	struct pcapng g = {0};
	const size_t ends[2] = {cut, in->n};
	size_t from = 0;

	out->n = 0;
	for (unsigned i = 0; i < 2; i++) {
		const size_t len = ends[i] - from;
		uint8_t *p = guard_copy(in->p + from, len);
		size_t off = 0, n;

		if (i == 0) {
			uint8_t *all = guard_copy(in->p, in->n);

			if (!pcapng_look(&g, p, len))
				(void)pcapng_look(&g, all, in->n);
			assert_memory_equal(p, in->p, len);
			assert_memory_equal(all, in->p, in->n);
			guard_free(all, in->n);
		}
		while ((n = pcapng_pass(&g, p + off, len - off, want)) > 0) {
			assert_true(n <= want && n <= len - off);
			put8(out, p + off, n);
			off += n;
		}
		assert_true(len - off < 16);
		if (i == 1) { /* the end, maybe in the head of a block */
			g.on = false;
			assert_int_equal(pcapng_pass(&g, p + off, len - off, len), len - off);
			put8(out, p + off, len - off);
		}
		guard_free(p, len);
		from += off;
	}
	assert_int_equal(out->n, in->n);
}

static uint32_t u32_at(const struct bytes *b, size_t at)
{
	uint32_t v;

	memcpy(&v, b->p + at, sizeof(v));
	return b->big ? __builtin_bswap32(v) : v;
}

static void test_split(void **state)
{
	struct bytes *whole = bytes_new(false), *out = bytes_new(false);

	(void)state;
	for (int big = 0; big < 2; big++) {
		struct bytes *in = make_mixed(big != 0);

		whole->big = in->big;
		pass(in, in->n, SIZE_MAX, whole);
		assert_int_equal(u32_at(whole, 40 + 12), 0);
		assert_int_equal(u32_at(whole, 72 + 12), 0);
		assert_int_equal(u32_at(whole, 92 + 332 + 8), SMALL);
		for (size_t cut = 0; cut <= in->n; cut++) {
			pass(in, cut, 4096, out);
			assert_memory_equal(out->p, whole->p, whole->n);
			pass(in, cut, 1 + cut % 7, out);
			assert_memory_equal(out->p, whole->p, whole->n);
		}
		free(in);
	}
	free(whole);
	free(out);
}

static void test_truncated(void **state)
{
	struct bytes *out = bytes_new(false);

	(void)state;
	for (int big = 0; big < 2; big++) {
		struct bytes *in = make_mixed(big != 0);

		for (size_t all = in->n; in->n > 0; in->n--) {
			pass(in, in->n, SIZE_MAX, out);
			pass(in, in->n / 2, 5, out);
			assert_true(in->n < all || out->n == all);
		}
		free(in);
	}
	free(out);
}

/* A length of every block in turn made nonsense: what passes has as many octets. */
static void test_nonsense(void **state)
{
	static const uint32_t lengths[] = {
	    0,         1,       4,         8,          11,
	    12,        13,      16,        18,         20,
	    28,        1 << 20, INT32_MAX, 0x80000000, UINT32_MAX - 3,
	    UINT32_MAX};
	struct bytes *out = bytes_new(false);

	(void)state;
	for (int big = 0; big < 2; big++) {
		struct bytes *in = make_mixed(big != 0);
		const size_t all = in->n;

		for (size_t at = 0, next; at < all; at = next) {
			const uint32_t was = u32_at(in, at + 4);

			next = at + was;
			for (size_t i = 0; i <= sizeof(lengths) / sizeof(lengths[0]); i++) {
				in->n = at + 4;
				put_u32(in, i < sizeof(lengths) / sizeof(lengths[0]) ? lengths[i]
										     : was);
				in->n = all;
				pass(in, all, SIZE_MAX, out);
				pass(in, all / 3, 3, out);
			}
		}
		in->n = 8;
		put_u32(in, 0xbadbad);
		in->n = all;
		pass(in, all, SIZE_MAX, out);
		assert_memory_equal(in->p, out->p, all);
		free(in);
	}
	free(out);
}

static void test_untouched(void **state)
{
	struct bytes *in = bytes_new(false), *out = bytes_new(false);

	(void)state;
	for (unsigned kind = 0; kind < 8; kind++) {
		in->n = 0;
		in->big = (kind & 1) != 0;
		put_shb(in);
		put_iface(in, SMALL);
		if ((kind & 2) != 0)
			put_iface(in, SMALL);
		put_spb(in, 350, SMALL);
		put_epb(in, 0, 1, frame, 90);
		if ((kind & 4) != 0) {
			put_shb(in);
			put_iface(in, SMALL);
		}
		pass(in, in->n, SIZE_MAX, out);
		assert_memory_equal(in->p, out->p, in->n);
	}
	in->n = 0;
	make_pcap(in, false, 1, 'a');
	pass(in, in->n / 2, SIZE_MAX, out);
	assert_memory_equal(in->p, out->p, in->n);
	free(in);
	free(out);
}

/* What a file gave until its end. */
struct got {
	unsigned n;
	uint32_t cap_len[PACKETS_CAP], wire_len[PACKETS_CAP];
	int rc; /* how it ended */
	char err[512];
};

static void read_fd(int fd, struct got *g)
{
	char path[64];
	struct cap_packet packet;

	memset(g, 0, sizeof(*g));
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);

	struct capfile *c = capfile_open(path, g->err, sizeof(g->err));

	assert_non_null(c);
	while ((g->rc = capfile_next(c, &packet, 10000, g->err, sizeof(g->err))) == 1) {
		assert_true(g->n < PACKETS_CAP);
		assert_memory_equal(packet.data, frame, packet.cap_len);
		g->cap_len[g->n] = packet.cap_len;
		g->wire_len[g->n++] = packet.wire_len;
	}
	capfile_close(c);
}

static void read_bytes(const struct bytes *b, struct got *g)
{
	FILE *f = tmpfile();

	assert_non_null(f);
	assert_int_equal(fwrite(b->p, 1, b->n, f), b->n);
	assert_int_equal(fflush(f), 0);
	read_fd(fileno(f), g);
	(void)fclose(f);
}

/* make_mixed, as it should come out. */
static void check_mixed(const struct got *g)
{
	assert_string_equal(g->err, "");
	assert_int_equal(g->rc, 0);
	assert_int_equal(g->n, 4);
	assert_int_equal(g->cap_len[0], 299);
	assert_int_equal(g->cap_len[1], SMALL);
	assert_int_equal(g->cap_len[2], 60);
	assert_int_equal(g->cap_len[3], 199);
}

static void test_read_mixed(void **state)
{
	struct got g;

	(void)state;
	for (unsigned kind = 0; kind < 6; kind++) {
		struct bytes *b = make_mixed((kind & 1) != 0), *z = bytes_new(false);

		if (kind / 2 == 1)
			pack_gzip(b, z);
		else if (kind / 2 == 2)
			pack_zstd(b, z);
		read_bytes(kind / 2 == 0 ? b : z, &g);
		check_mixed(&g);
		free(b);
		free(z);
	}
}

/* Long enough for many chunks, block borders everywhere. */
static void test_read_long(void **state)
{
	struct bytes *b = bytes_new(false);
	struct got g;

	(void)state;
	put_shb(b);
	put_iface(b, SMALL);
	put_iface(b, 0);
	for (unsigned i = 0; i < 70000; i++)
		put_unknown(b);
	put_epb(b, 1, 1, frame, 400);
	read_bytes(b, &g);
	assert_int_equal(g.n, 1);
	assert_int_equal(g.cap_len[0], 400);
	free(b);
}

/* A cut simple packet of a file with one interface keeps its wire length. */
static void test_read_simple(void **state)
{
	struct got g;

	(void)state;
	for (int big = 0; big < 2; big++) {
		struct bytes *b = bytes_new(big != 0);

		put_shb(b);
		put_iface(b, SMALL);
		put_spb(b, 350, SMALL);
		put_spb(b, 50, SMALL);
		read_bytes(b, &g);
		assert_int_equal(g.rc, 0);
		assert_int_equal(g.n, 2);
		assert_int_equal(g.cap_len[0], SMALL);
		assert_int_equal(g.wire_len[0], 350);
		assert_int_equal(g.cap_len[1], 50);
		free(b);
	}
}

/* An interface behind the first packet gets the first's: smaller ones read whole. */
static void test_read_late(void **state)
{
	struct got g;

	(void)state;
	for (int big = 0; big < 2; big++) {
		struct bytes *b = bytes_new(big != 0);

		put_shb(b);
		put_iface(b, 300);
		put_epb(b, 0, 1, frame, 300);
		put_shb(b);
		put_iface(b, SMALL);
		put_spb(b, 350, SMALL);
		put_iface(b, MAX_BYTES);
		put_epb(b, 1, 1, frame, 300);
		read_bytes(b, &g);
		assert_int_equal(g.rc, 0);
		assert_int_equal(g.n, 3);
		assert_int_equal(g.cap_len[1], SMALL);
		put_epb(b, 1, 1, frame, 301); /* more than libpcap was told of */
		read_bytes(b, &g);
		assert_int_equal(g.rc, -EIO);
		assert_int_equal(g.n, 3);
		free(b);
	}
}

/* libpcap reads no second byte order in one file, and still says so. */
static void test_read_other_order(void **state)
{
	struct got g;

	(void)state;
	for (int big = 0; big < 2; big++) {
		struct bytes *b = make_mixed(big != 0);

		b->big = !b->big;
		put_shb(b);
		put_iface(b, 200);
		put_iface(b, 100);
		put_spb(b, 300, 200);
		read_bytes(b, &g);
		assert_int_equal(g.rc, -EIO);
		assert_int_equal(g.n, 4);
		free(b);
	}
}

/* Writes in pieces of piece octets; then holds the pipe open until told to go. */
static pid_t writer(const struct bytes *b, size_t piece, int *fd, int *stop)
{
	int data[2], hold[2];

	assert_int_equal(pipe(data), 0);
	assert_int_equal(pipe(hold), 0);

	const pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		char octet;

		(void)close(hold[1]);
		for (size_t off = 0, n; off < b->n; off += n) {
			n = piece < b->n - off ? piece : b->n - off;
			if (write(data[1], b->p + off, n) != (ssize_t)n)
				_exit(1);
		}
		(void)!read(hold[0], &octet, 1);
		_exit(0);
	}
	(void)close(data[1]);
	(void)close(hold[0]);
	*fd = data[0];
	*stop = hold[1];
	return pid;
}

static void test_read_pipe(void **state)
{
	static const size_t pieces[] = {1, 7, 100, 100000};
	struct got g;

	(void)state;
	for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
		struct bytes *b = make_mixed((i & 1) != 0);
		int fd, stop;
		const pid_t pid = writer(b, pieces[i], &fd, &stop);

		(void)close(stop); /* do not hold it */
		read_fd(fd, &g);
		check_mixed(&g);
		(void)close(fd);
		assert_int_equal(waitpid(pid, NULL, 0), pid);
		free(b);
	}
}

/* A pipe that has told of its interface and then says nothing can be opened. */
static void test_read_silent_pipe(void **state)
{
	struct bytes *b = bytes_new(false);
	struct cap_packet packet;
	char err[512] = "", path[64];
	int fd, stop;

	(void)state;
	put_shb(b);
	put_iface(b, SMALL);

	const pid_t pid = writer(b, b->n, &fd, &stop);

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);

	struct capfile *c = capfile_open(path, err, sizeof(err));

	assert_non_null(c);
	assert_int_equal(capfile_next(c, &packet, 1, err, sizeof(err)), -EAGAIN);
	(void)close(stop);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	(void)close(fd);
	assert_int_equal(capfile_next(c, &packet, 1000, err, sizeof(err)), 0);
	capfile_close(c);
	free(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_split),
	    cmocka_unit_test(test_truncated),
	    cmocka_unit_test(test_nonsense),
	    cmocka_unit_test(test_untouched),
	    cmocka_unit_test(test_read_mixed),
	    cmocka_unit_test(test_read_long),
	    cmocka_unit_test(test_read_simple),
	    cmocka_unit_test(test_read_late),
	    cmocka_unit_test(test_read_other_order),
	    cmocka_unit_test(test_read_pipe),
	    cmocka_unit_test(test_read_silent_pipe),
	};

	(void)alarm(120);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
