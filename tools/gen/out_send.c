/* SPDX-License-Identifier: BSD-3-Clause */
#include "out.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
	BATCH = 64,
	FRAME_CAP = 1536,
	SEND_BUFFER = 8 << 20,
	RETRY_NS = 50000,
	NAP_LEAST_NS = 20000,
	SECOND_NS = 1000000000,
};

struct sender {
	const char *iface;
	int fd;
	struct sockaddr_ll to;
	struct mmsghdr msg[BATCH];
	struct iovec iov[BATCH];
	uint8_t frame[BATCH][FRAME_CAP];
	unsigned len;
	uint64_t taken, refused;
};

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * SECOND_NS + (uint64_t)t.tv_nsec;
}

static void sleep_until(uint64_t due_ns)
{
	struct timespec t = {.tv_sec = (time_t)(due_ns / SECOND_NS),
			     .tv_nsec = (long)(due_ns % SECOND_NS)};

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR)
		;
}

static int complain(const char *iface, int error)
{
	fprintf(stderr, OUT_PROGRAM ": --send %s: %s\n", iface, strerror(error));
	return -error;
}

static int sender_init(struct sender *s, const char *iface)
{
	int size = SEND_BUFFER;

	memset(s, 0, sizeof(*s));
	s->iface = iface;
	s->to.sll_family = AF_PACKET;
	s->to.sll_protocol = htons(ETH_P_ALL);
	s->to.sll_ifindex = (int)if_nametoindex(iface);
	if (s->to.sll_ifindex == 0)
		return complain(iface, errno);
	s->fd = socket(AF_PACKET, SOCK_RAW, 0); /* protocol 0: it never receives */
	if (s->fd < 0)
		return complain(iface, errno);
	setsockopt(s->fd, SOL_SOCKET, SO_SNDBUF, &size,
		   sizeof(size)); /* a small one works too, with more calls */
	for (unsigned i = 0; i < BATCH; i++) {
		s->iov[i].iov_base = s->frame[i];
		s->msg[i].msg_hdr.msg_iov = &s->iov[i];
		s->msg[i].msg_hdr.msg_iovlen = 1;
		s->msg[i].msg_hdr.msg_name = &s->to;
		s->msg[i].msg_hdr.msg_namelen = sizeof(s->to);
	}
	return 0;
}

/* Sends what is gathered; a full queue is tried again, a frame that the kernel refuses is counted
 * and skipped. */
static int flush(struct sender *s)
{
	unsigned at = 0;
	int error = 0;

	while (at < s->len) {
		int n = sendmmsg(s->fd, s->msg + at, s->len - at, 0);

		if (n > 0) {
			at += (unsigned)n;
			s->taken += (unsigned)n;
			continue;
		}
		if (errno == EINTR)
			continue;
		if (errno == ENOBUFS || errno == EAGAIN) {
			sleep_until(now_ns() + RETRY_NS);
			continue;
		}
		error = errno;
		if (error != EMSGSIZE) {
			complain(s->iface, error);
			break;
		}
		s->refused++;
		at++;
	}
	s->refused += s->len - at;
	s->len = 0;
	return error && error != EMSGSIZE ? -error : 0;
}

static int push(struct sender *s, const struct ft_gen_frame *f)
{
	if (f->len > FRAME_CAP) {
		s->refused++;
		return 0;
	}
	memcpy(s->frame[s->len], f->data, f->len);
	s->iov[s->len].iov_len = f->len;
	s->len++;
	return s->len == BATCH ? flush(s) : 0;
}

/* When the n-th frame is due, after the first. */
static uint64_t due_ns(enum out_pace pace, double rate_pps, uint64_t n, uint64_t since_us)
{
	if (pace == OUT_PACE_EVENT)
		return since_us * 1000;
	return rate_pps > 0 ? (uint64_t)((double)n / rate_pps * 1e9) : 0;
}

static int send_frames(struct ft_gen *g, struct sender *s, enum out_pace pace, double rate_pps)
{
	uint64_t begin_ns = now_ns(), seen_ns = begin_ns, first_us = 0, n = 0;
	struct ft_gen_frame f;
	int r, sent = 0;

	while (sent == 0 && (r = ft_gen_next(g, &f)) == 1) {
		uint64_t at_ns;

		if (n == 0)
			first_us = f.ts_us;
		at_ns = begin_ns + due_ns(pace, rate_pps, n++, f.ts_us - first_us);
		if (at_ns > seen_ns)
			seen_ns = now_ns();
		if (at_ns > seen_ns) {
			sent = flush(s);
			if (at_ns > seen_ns + NAP_LEAST_NS)
				sleep_until(at_ns);
		}
		if (sent == 0)
			sent = push(s, &f);
	}
	if (sent == 0 && r == 0)
		sent = flush(s);
	return sent ? sent : r;
}

/* The twelfth figure of the interface's line; /proc/net, unlike /sys, is always of our own
 * namespace. */
static uint64_t interface_drops(const char *iface)
{
	FILE *file = fopen("/proc/net/dev", "r");
	unsigned long long n = 0;
	char line[512], name[IF_NAMESIZE];

	if (!file)
		return 0;
	while (fgets(line, sizeof(line), file)) {
		char *figures = strchr(line, ':');

		if (!figures || sscanf(line, " %15[^: ]", name) != 1 || strcmp(name, iface) != 0)
			continue;
		if (sscanf(figures + 1, "%*u %*u %*u %*u %*u %*u %*u %*u %*u %*u %*u %llu", &n) !=
		    1)
			n = 0;
		break;
	}
	fclose(file);
	return n;
}

int out_send(struct ft_gen *g, const char *iface, enum out_pace pace, double rate_pps,
	     bool *is_denied)
{
	static struct sender sender;
	uint64_t drops, begin_ns;
	double took_s;
	int r = sender_init(&sender, iface);

	*is_denied = r == -EPERM || r == -EACCES;
	if (r != 0)
		return r;
	drops = interface_drops(iface);
	begin_ns = now_ns();
	r = send_frames(g, &sender, pace, rate_pps);
	took_s = (double)(now_ns() - begin_ns) / 1e9;
	close(sender.fd);
	drops = interface_drops(iface) - drops;
	fprintf(stderr, OUT_PROGRAM ": %s: %llu frames handed to the kernel in %.3f s (%.0f/s)\n",
		iface, (unsigned long long)sender.taken, took_s,
		took_s > 0 ? (double)sender.taken / took_s : 0);
	if (sender.refused > 0)
		fprintf(stderr, OUT_PROGRAM ": %s: %llu frames were not taken\n", iface,
			(unsigned long long)sender.refused);
	if (drops > 0)
		fprintf(stderr, OUT_PROGRAM ": %s: the interface counted %llu drops meanwhile\n",
			iface, (unsigned long long)drops);
	if (r == 0 && (sender.refused > 0 || drops > 0))
		r = -EIO;
	return r;
}
