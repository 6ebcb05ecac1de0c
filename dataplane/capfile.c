/* SPDX-License-Identifier: BSD-3-Clause */
#include "capfile.h"
#include "pcapng.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pcap/pcap.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#define CHUNK_BYTES ((size_t)128 << 10)
#define WORDS_CAP 160
#define LOOK_WAIT_MS 100
#define SECOND_CAP 253402300800 /* the year 10000: later times are nonsense */

enum packing { PACKING_NONE, PACKING_GZIP, PACKING_ZSTD };

/* Octets on their way, CHUNK_BYTES of room; end is exclusive. */
struct span {
	uint8_t *p;
	size_t off, end;
};

/* Octets go file -> raw -> (decompressor -> plain) -> libpcap. */
struct capfile {
	char *path;
	int fd;
	bool waits; /* a pipe, socket or terminal: may have nothing for long */
	bool ended;
	enum packing packing;
	enum link_type link;
	FILE *file;   /* what libpcap reads from: a stream over cookie_read */
	pcap_t *pcap; /* NULL: without packets; a pcapng without interfaces, or words say why */
	_Atomic uint64_t raw_bytes; /* reader stores relaxed, any thread loads */
	uint64_t total_bytes;
	uint64_t off; /* uncompressed octets handed to the stream */
	struct span raw, plain;
	bool raw_ended;
	int read_errno;
	z_stream z;
	ZSTD_DStream *zstd;
	bool inside;    /* a gzip member or zstd frame has begun and not ended */
	bool gzip_more; /* at least one member lies behind */
	struct pcapng pcapng;
	bool breaks_off;       /* the packed stream does; words say so */
	char words[WORDS_CAP]; /* why the packed stream cannot be read on; empty: it can */
};

/* Moves what is left to the front; returns the room behind it. */
static size_t span_room(struct span *s)
{
	if (s->off > 0)
		memmove(s->p, s->p + s->off, s->end - s->off);
	s->end -= s->off;
	s->off = 0;
	assert(s->end < CHUNK_BYTES);
	return CHUNK_BYTES - s->end;
}

static atomic_bool stopped;

void capfile_stop(void)
{
	atomic_store_explicit(&stopped, true, memory_order_relaxed);
}

/* Waits for a pipe. False: nobody is to wait any more. */
static bool wait_for_octets(const struct capfile *c)
{
	struct pollfd p = {.fd = c->fd, .events = POLLIN};

	while (!atomic_load_explicit(&stopped, memory_order_relaxed)) {
		const int n = poll(&p, 1, LOOK_WAIT_MS);

		if (n > 0 || (n < 0 && errno != EINTR))
			return true; /* read says what it is */
	}
	return false;
}

/* Puts at least one more octet into raw: 1, or 0 at the end, or -1 + read_errno. */
static int raw_more(struct capfile *c)
{
	const size_t room = span_room(&c->raw);
	ssize_t got;

	if (c->raw_ended)
		return 0;
	if (c->waits && !wait_for_octets(c)) {
		c->read_errno = ECANCELED;
		return -1;
	}
	do {
		got = read(c->fd, c->raw.p + c->raw.end, room);
	} while (got < 0 && errno == EINTR);
	if (got < 0) {
		c->read_errno = errno;
		return -1;
	}
	c->raw_ended = got == 0;
	c->raw.end += (size_t)got;
	atomic_store_explicit(&c->raw_bytes, c->raw_bytes + (uint64_t)got, memory_order_relaxed);
	return got > 0;
}

/* Makes sure that raw holds an octet; returns as raw_more. */
static int raw_fill(struct capfile *c)
{
	return c->raw.off < c->raw.end ? 1 : raw_more(c);
}

static enum packing packing_of(const uint8_t *p, size_t len)
{
	if (len >= 2 && p[0] == 0x1f && p[1] == 0x8b)
		return PACKING_GZIP; /* RFC 1952, 2.3.1 */
	if (len >= 4 && p[1] == 0xb5 && p[2] == 0x2f && p[3] == 0xfd && p[0] == 0x28)
		return PACKING_ZSTD; /* RFC 8878, 3.1.1 */
	if (len >= 4 && p[1] == 0x2a && p[2] == 0x4d && p[3] == 0x18 && (p[0] & 0xf0) == 0x50)
		return PACKING_ZSTD; /* RFC 8878, 3.1.2: a skippable frame in front */
	return PACKING_NONE;
}

/* Between two gzip members: true when another one begins. Zeros are padding. */
static bool gzip_next_member(struct capfile *c)
{
	while (raw_fill(c) > 0) {
		if (!c->gzip_more || c->raw.p[c->raw.off] != 0) {
			(void)inflateReset(&c->z);
			return c->inside = true;
		}
		c->raw.off++;
	}
	return false;
}

/* One step of inflate: puts octets into plain; words are set when it failed. */
static void gzip_step(struct capfile *c)
{
	c->z.next_in = c->raw.p + c->raw.off;
	c->z.avail_in = (uInt)(c->raw.end - c->raw.off);
	c->z.next_out = c->plain.p + c->plain.end;
	c->z.avail_out = (uInt)(CHUNK_BYTES - c->plain.end);

	int rc = inflate(&c->z, Z_NO_FLUSH);

	c->raw.off = c->raw.end - c->z.avail_in;
	c->plain.end = CHUNK_BYTES - c->z.avail_out;
	if (rc == Z_STREAM_END) {
		c->inside = false;
		c->gzip_more = true;
	} else if (rc != Z_OK && rc != Z_BUF_ERROR) {
		(void)snprintf(c->words, sizeof(c->words), "the gzip stream is damaged (%s)",
			       c->z.msg != NULL ? c->z.msg : zError(rc));
	}
}

static void zstd_step(struct capfile *c)
{
	ZSTD_inBuffer in = {c->raw.p + c->raw.off, c->raw.end - c->raw.off, 0};
	ZSTD_outBuffer out = {c->plain.p, CHUNK_BYTES, c->plain.end};
	size_t rc = ZSTD_decompressStream(c->zstd, &out, &in);

	c->raw.off += in.pos;
	c->plain.end = out.pos;
	if (ZSTD_isError(rc))
		(void)snprintf(c->words, sizeof(c->words), "the zstd stream is damaged (%s)",
			       ZSTD_getErrorName(rc));
	c->inside = rc != 0;
}

/* Puts at least one more octet into plain: 1, or 0 at the end, or -1. What came out
 * together with an error is given out first. */
static int plain_more(struct capfile *c)
{
	const bool gzip = c->packing == PACKING_GZIP;
	const size_t room = span_room(&c->plain);

	while (CHUNK_BYTES - c->plain.end == room) {
		if (c->words[0] != '\0')
			return -1;
		if (gzip && !c->inside && !gzip_next_member(c))
			return c->read_errno != 0 ? -1 : 0;

		const int have = raw_fill(c);

		if (have < 0 || (have == 0 && !c->inside))
			return have;
		/* Without input the decompressor may still give what it holds. */
		(gzip ? gzip_step : zstd_step)(c);
		if (have == 0 && CHUNK_BYTES - c->plain.end == room && c->inside &&
		    c->words[0] == '\0') {
			c->breaks_off = true;
			(void)snprintf(c->words, sizeof(c->words), "the %s stream breaks off",
				       gzip ? "gzip" : "zstd");
		}
	}
	return 1;
}

/* Where libpcap's octets come from. */
static struct span *source(struct capfile *c)
{
	return c->packing != PACKING_NONE ? &c->plain : &c->raw;
}

static int source_more(struct capfile *c)
{
	return c->packing != PACKING_NONE ? plain_more(c) : raw_more(c);
}

/* Fills the stream's buffer (fopencookie). */
static ssize_t cookie_read(void *cookie, char *buf, size_t len)
{
	struct capfile *c = cookie;
	struct span *s = source(c);
	size_t n;

	while ((n = pcapng_pass(&c->pcapng, s->p + s->off, s->end - s->off, len)) == 0) {
		const int have = source_more(c);

		if (have <= 0 && s->off == s->end) {
			errno = c->read_errno != 0 ? c->read_errno : EIO;
			return have;
		}
		if (have <= 0) /* ends in the head of a block */
			c->pcapng.on = false;
	}
	memcpy(buf, s->p + s->off, n);
	s->off += n;
	c->off += n;
	return (ssize_t)n;
}

/* Tells the position, for ftello, and moves nowhere. */
static int cookie_seek(void *cookie, off_t *off, int whence)
{
	if (whence != SEEK_CUR || *off != 0) {
		errno = ESPIPE;
		return -1;
	}
	*off = (off_t)((const struct capfile *)cookie)->off;
	return 0;
}

/* How many octets libpcap has read: what the stream has, less what it still holds. */
static uint64_t position(const struct capfile *c)
{
	return (uint64_t)ftello(c->file);
}

static bool link_from_dlt(int dlt, enum link_type *link)
{
	switch (dlt) {
	case DLT_EN10MB: *link = LINK_ETHERNET; return true;
	case 12: /* DLT_RAW, whose number differs between systems */
	case 14:
	case 101:
	case DLT_IPV4:
	case DLT_IPV6: *link = LINK_RAW_IP; return true;
	case DLT_LINUX_SLL: *link = LINK_SLL; return true;
	case DLT_LINUX_SLL2: *link = LINK_SLL2; return true;
	case DLT_NULL:
	case DLT_LOOP: *link = LINK_NULL; return true;
	case DLT_PPP: *link = LINK_PPP; return true;
	default: return false;
	}
}

static int refuse(struct capfile *c, int code, const char *why, char *err, size_t err_cap)
{
	(void)snprintf(err, err_cap, "%s: %s", c->path, why);
	return -code;
}

/* Opens the descriptor and learns what it is. */
static int open_file(struct capfile *c, char *err, size_t err_cap)
{
	struct stat st;

	c->fd = strcmp(c->path, "-") == 0 ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3)
					  : open(c->path, O_RDONLY | O_CLOEXEC);
	if (c->fd < 0 || fstat(c->fd, &st) < 0) {
		const int code = errno;

		return refuse(c, code, strerror(code), err, err_cap);
	}
	if (S_ISDIR(st.st_mode))
		return refuse(c, EISDIR, strerror(EISDIR), err, err_cap);
	c->waits = !S_ISREG(st.st_mode);
	if (!c->waits) {
		const off_t at = lseek(c->fd, 0, SEEK_CUR);

		c->total_bytes =
		    (uint64_t)(at > 0 && at < st.st_size ? st.st_size - at : st.st_size);
	}
	return 0;
}

static int open_packing(struct capfile *c, char *err, size_t err_cap)
{
	int rc = 0;

	c->raw.p = malloc(CHUNK_BYTES);
	if (c->raw.p == NULL)
		return refuse(c, ENOMEM, strerror(ENOMEM), err, err_cap);
	while (c->raw.end < 4 && raw_more(c) > 0)
		;
	if (c->read_errno != 0)
		return refuse(c, c->read_errno, strerror(c->read_errno), err, err_cap);
	c->packing = packing_of(c->raw.p, c->raw.end);
	if (c->packing == PACKING_NONE)
		return 0;
	c->plain.p = malloc(CHUNK_BYTES);
	if (c->packing == PACKING_ZSTD)
		c->zstd = ZSTD_createDStream();
	else if (inflateInit2(&c->z, 15 + 16) != Z_OK) /* 32 KiB window, gzip header */
		rc = -ENOMEM;
	if (c->plain.p == NULL || rc != 0 || (c->packing == PACKING_ZSTD && c->zstd == NULL))
		return refuse(c, ENOMEM, strerror(ENOMEM), err, err_cap);
	return 0;
}

/* Looks at the interfaces ahead of the first packet. A pipe that has told of one and
 * then falls silent is not waited for: its first packet may be hours away. */
static void look_ahead(struct capfile *c)
{
	struct pollfd p = {.fd = c->fd, .events = POLLIN};
	const struct span *s = source(c);

	while (!pcapng_look(&c->pcapng, s->p, s->end) && s->end < CHUNK_BYTES) {
		if ((c->waits && c->pcapng.iface && poll(&p, 1, LOOK_WAIT_MS) == 0) ||
		    source_more(c) <= 0)
			return;
	}
}

/* Hands the octets to libpcap, which reads the header. */
static int open_pcap(struct capfile *c, char *err, size_t err_cap)
{
	const cookie_io_functions_t io = {.read = cookie_read, .seek = cookie_seek};
	char words[PCAP_ERRBUF_SIZE] = "";

	look_ahead(c);
	c->file = fopencookie(c, "r", io);
	if (c->file == NULL)
		return refuse(c, ENOMEM, strerror(ENOMEM), err, err_cap);
	(void)__fsetlocking(c->file, FSETLOCKING_BYCALLER);
	c->pcap = pcap_fopen_offline(c->file, words);
	if (c->pcap == NULL) {
		if (c->read_errno != 0)
			return refuse(c, c->read_errno, strerror(c->read_errno), err, err_cap);
		if (strstr(words, "has no Interface Description Blocks") != NULL) {
			c->ended = true;
			return 0;
		}
		if (c->breaks_off) /* before its head could be read */
			return 0;
		return refuse(c, EINVAL, "not a capture file (pcap or pcapng, plain, gzip or zstd)",
			      err, err_cap);
	}

	const int dlt = pcap_datalink(c->pcap);

	if (!link_from_dlt(dlt, &c->link)) {
		const char *name = pcap_datalink_val_to_name(dlt);

		if (name != NULL)
			(void)snprintf(words, sizeof(words), "link type %s (%s) is not supported",
				       name, pcap_datalink_val_to_description_or_dlt(dlt));
		else
			(void)snprintf(words, sizeof(words), "link type %d is not supported", dlt);
		return refuse(c, ENOTSUP, words, err, err_cap);
	}
	return 0;
}

struct capfile *capfile_open(const char *path, char *err, size_t err_cap)
{
	struct capfile *c = calloc(1, sizeof(*c));
	int rc = -ENOMEM;

	if (c == NULL || (c->path = strdup(path)) == NULL) {
		(void)snprintf(err, err_cap, "%s: %s", path, strerror(ENOMEM));
		goto undo;
	}
	c->fd = -1;
	rc = open_file(c, err, err_cap);
	if (rc == 0)
		rc = open_packing(c, err, err_cap);
	if (rc == 0)
		rc = open_pcap(c, err, err_cap);
	if (rc == 0)
		return c;
undo:
	capfile_close(c);
	errno = -rc;
	return NULL;
}

void capfile_close(struct capfile *c)
{
	if (c == NULL)
		return;
	if (c->pcap != NULL)
		pcap_close(c->pcap); /* and the stream with it */
	else if (c->file != NULL)
		(void)fclose(c->file);
	if (c->z.state != NULL)
		(void)inflateEnd(&c->z);
	(void)ZSTD_freeDStream(c->zstd);
	if (c->path != NULL && c->fd >= 0)
		(void)close(c->fd);
	free(c->plain.p);
	free(c->raw.p);
	free(c->path);
	free(c);
}

/* False when reading now would wait for a pipe. */
static bool ready(const struct capfile *c, uint64_t off, int wait_ms)
{
	struct pollfd p = {.fd = c->fd, .events = POLLIN};

	if (!c->waits || c->raw_ended || c->raw.off < c->raw.end || c->plain.off < c->plain.end ||
	    off < c->off)
		return true;
	return poll(&p, 1, wait_ms) > 0;
}

/* pcap has 32 bits of seconds without a sign, which libpcap reads with one. */
static uint64_t packet_time_us(const struct timeval *tv)
{
	int64_t s = tv->tv_sec, us = tv->tv_usec;

	if (s < 0)
		s = s >= INT32_MIN ? s + ((int64_t)1 << 32) : 0;
	if (s >= SECOND_CAP)
		s = SECOND_CAP;
	if (us < 0 || us > 999999)
		us = 999999;
	return (uint64_t)s * 1000000u + (uint64_t)us;
}

/* The rest cannot be read: says where the broken packet begins, and why. */
static int broken(struct capfile *c, uint64_t off, char *err, size_t err_cap)
{
	const char *words = c->pcap != NULL ? pcap_geterr(c->pcap) : c->words;

	if (c->read_errno != 0)
		words = strerror(c->read_errno);
	else if (c->words[0] != '\0')
		words = c->words;
	else if (strncmp(words, "truncated", 9) == 0)
		words = "breaks off in the middle of a packet";
	(void)snprintf(err, err_cap, "%s: offset %llu: %s", c->path, (unsigned long long)off,
		       words);
	c->ended = true;
	return -EIO;
}

int capfile_next(struct capfile *c, struct cap_packet *out, int wait_ms, char *err, size_t err_cap)
{
	struct pcap_pkthdr *h;
	const u_char *data;

	if (c->ended)
		return 0;
	if (c->pcap == NULL)
		return broken(c, 0, err, err_cap);

	const uint64_t off = position(c);

	if (!ready(c, off, wait_ms))
		return -EAGAIN;

	const int rc = pcap_next_ex(c->pcap, &h, &data);

	if (rc == PCAP_ERROR_BREAK || (rc != 1 && c->read_errno == ECANCELED)) { /* the end */
		c->ended = true;
		return 0;
	}
	if (rc != 1)
		return broken(c, off, err, err_cap);
	out->data = data;
	out->ts_us = packet_time_us(&h->ts);
	out->cap_len = h->caplen < CAPFILE_FRAME_BYTES ? h->caplen : CAPFILE_FRAME_BYTES;
	out->wire_len = h->len > h->caplen ? h->len : h->caplen;
	return 1;
}

enum link_type capfile_link(const struct capfile *c)
{
	return c->link;
}

bool capfile_packed(const struct capfile *c)
{
	return c->packing != PACKING_NONE;
}

uint64_t capfile_done(const struct capfile *c)
{
	return atomic_load_explicit(&c->raw_bytes, memory_order_relaxed);
}

uint64_t capfile_total(const struct capfile *c)
{
	return c->total_bytes;
}
