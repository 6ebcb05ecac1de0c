/* SPDX-License-Identifier: BSD-3-Clause */
/* Capture files of any octets, as the source reads them (plain, gzip, zstd; pcap, pcapng):
 * refused with a sentence that names the file, or read to an end; frames lie within what they
 * say, the clock never goes back, and the second reading is like the first.
 *
 * Input: behind the first octet the file. Octet 0: bit 0: the same file twice, merged;
 * bits 1 and 2: 1 packs it with gzip, 2 with zstd, so that packed files are sound at all. */
#include "rx.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);

#define CHECK(x) ((x) ? (void)0 : check_failed(#x, __LINE__))
#define FRAMES_CAP 100000u

static void check_failed(const char *what, int line)
{
	fprintf(stderr, "fuzz_pcap.c:%d: %s\n", line, what);
	abort();
}

/* Every octet of a frame is looked at. */
static uint64_t sum_up(uint64_t sum, const struct pkt *p)
{
	for (uint32_t i = 0; i < p->cap_len; i++)
		sum = sum * 31 + p->data[i];
	return (sum * 31 + p->ts_us) * 31 + p->wire_len;
}

/* Frames, and a sum over them; refused files have none. */
static uint32_t read_all(const char *const *paths, size_t n, uint64_t *sum)
{
	char err[RX_TEXT_CAP] = "";
	uint64_t clock_us = 0, done, total;
	struct batch b;
	uint32_t frames = 0;
	int got;

	*sum = 0;
	errno = 0;
	struct rx *rx = rx_pcap_create(paths, n, err, sizeof(err));
	if (rx == NULL) {
		CHECK(errno == EINVAL || errno == ENOTSUP || errno == EIO);
		CHECK(strstr(err, paths[0]) != NULL);
		return 0;
	}
	while ((got = rx->ops->recv(rx, &b)) != RX_END) {
		CHECK(got >= 0 && (uint32_t)got == b.n && b.n <= BATCH_CAP);
		for (uint32_t i = 0; i < b.n; i++) {
			const struct pkt *p = &b.pkt[i];
			CHECK(p->link < LINK_TYPE_CAP && p->wire_len >= p->cap_len);
			CHECK(p->clock_us >= clock_us && p->clock_us >= p->ts_us);
			clock_us = p->clock_us;
			*sum = sum_up(*sum, p);
		}
		frames += b.n;
		CHECK(frames < FRAMES_CAP); /* a file has an end */
		if (got > 0)
			rx->ops->release(rx, &b);
	}
	CHECK(rx->error[0] == '\0' || strstr(rx->error, paths[0]) != NULL);
	rx_pcap_progress(rx, &done, &total);
	CHECK(done <= total);
	(void)rx->ops->dropped(rx);
	rx->ops->destroy(rx);
	return frames;
}

static size_t pack(unsigned how, const uint8_t *in, size_t n, uint8_t *out, size_t cap)
{
	if (how == 2)
		return ZSTD_compress(out, cap, in, n, 1);
	if (how != 1) {
		memcpy(out, in, n);
		return n;
	}
	z_stream z = {.next_in = (Bytef *)(uintptr_t)in, .avail_in = (uInt)n};
	CHECK(deflateInit2(&z, 1, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK);
	z.next_out = out;
	z.avail_out = (uInt)cap;
	CHECK(deflate(&z, Z_FINISH) == Z_STREAM_END);
	const size_t bytes = z.total_out;
	deflateEnd(&z);
	return bytes;
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
	static uint8_t packed[1 << 17];
	static int fd = -1;
	char path[32];
	uint64_t first, again;

	if (size < 1 || size > 65536)
		return 0;
	if (fd < 0)
		fd = memfd_create("capture", MFD_CLOEXEC);
	const size_t n = pack(input[0] >> 1 & 3, input + 1, size - 1, packed, sizeof(packed));
	CHECK(fd >= 0 && ftruncate(fd, 0) == 0 && pwrite(fd, packed, n, 0) == (ssize_t)n);
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	const char *const paths[] = {path, path};
	const size_t files = 1 + (input[0] & 1);
	const uint32_t frames = read_all(paths, files, &first);
	CHECK(read_all(paths, files, &again) == frames && again == first);
	return 0;
}
