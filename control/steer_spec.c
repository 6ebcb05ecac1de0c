/* SPDX-License-Identifier: BSD-3-Clause */
#include "steer_spec.h"

#include <errno.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if_arp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

int steer_fail(char *err, size_t cap, int rc, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	(void)vsnprintf(err, cap, format, args);
	va_end(args);
	return -rc;
}

static int fail_interface(const char *name, char *err, size_t cap)
{
	struct if_nameindex *all = if_nameindex();
	char list[256] = "";
	size_t at = 0;

	for (const struct if_nameindex *i = all; i != NULL && i->if_index != 0; i++) {
		const int n =
		    snprintf(list + at, sizeof(list) - at, "%s%s", at != 0 ? ", " : "", i->if_name);

		if (n < 0 || (size_t)n >= sizeof(list) - at)
			break;
		at += (size_t)n;
	}
	list[at] = '\0';
	if_freenameindex(all);
	return steer_fail(err, cap, EINVAL, "--xdp %s: no such interface; there are: %s", name,
			  list);
}

/* N or N-M into the set of queues; false if it is neither. */
static bool queues_read(const char *text, bool *set)
{
	char *end;
	unsigned long lo, hi;

	if (*text < '0' || *text > '9')
		return false;
	lo = hi = strtoul(text, &end, 10);
	if (*end == '-' && end[1] >= '0' && end[1] <= '9')
		hi = strtoul(end + 1, &end, 10);
	if (*end != '\0' || lo > hi || hi >= FT_XDP_QUEUE_CAP)
		return false;
	memset(set + lo, true, hi - lo + 1);
	return true;
}

static const struct {
	const char *text;
	unsigned word;
	int mode; /* the only mode it belongs to, or -1 */
} words[] = {
    {"mode=tap", 0, -1},
    {"mode=host", 0, -1},
    {"tunnels=on", 0, -1},
    {"tunnels=off", WORD_PLAIN, -1},
    {"copy", WORD_COPY, STEER_TAP},
    {"zerocopy", WORD_ZEROCOPY, STEER_TAP},
    {"native", WORD_NATIVE, STEER_TAP},
    {"generic", WORD_GENERIC, STEER_TAP},
    {"rss", WORD_RSS, STEER_TAP},
    {"busypoll", WORD_BUSYPOLL, STEER_TAP},
    {"hwstamp", WORD_HWSTAMP, STEER_TAP},
    {"promisc=on", 0, STEER_TAP},
    {"promisc=off", WORD_STILL, STEER_TAP},
    {"clsact", WORD_CLSACT, STEER_HOST},
};

static int spec_check(const struct steer_spec *p, char *err, size_t cap)
{
	const unsigned w = p->words;

	if ((w & WORD_COPY) && (w & WORD_ZEROCOPY))
		return steer_fail(err, cap, EINVAL, "--xdp %s: copy or zerocopy, not both",
				  p->ifname);
	if ((w & WORD_NATIVE) && (w & WORD_GENERIC))
		return steer_fail(err, cap, EINVAL, "--xdp %s: native or generic, not both",
				  p->ifname);
	if ((w & WORD_ZEROCOPY) && (w & WORD_GENERIC))
		return steer_fail(err, cap, EINVAL, "--xdp %s: zerocopy needs native XDP",
				  p->ifname);
	if ((w & WORD_HWSTAMP) && (w & WORD_GENERIC))
		return steer_fail(err, cap, EINVAL, "--xdp %s: hwstamp needs native XDP",
				  p->ifname);
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if ((w & words[i].word) != 0 && words[i].mode >= 0 && words[i].mode != (int)p->mode)
			return steer_fail(err, cap, EINVAL, "--xdp %s: `%s` is for mode=%s",
					  p->ifname, words[i].text,
					  words[i].mode == STEER_TAP ? "tap" : "host");
	if (p->n_queues != 0 && p->mode == STEER_HOST)
		return steer_fail(err, cap, EINVAL, "--xdp %s: `queues=` is for mode=tap",
				  p->ifname);
	return 0;
}

static int word_read(struct steer_spec *p, const char *word, char *err, size_t cap)
{
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strcmp(word, words[i].text) != 0)
			continue;
		p->words |= words[i].word;
		if (strncmp(word, "mode=", 5) == 0)
			p->mode = strcmp(word + 5, "host") == 0 ? STEER_HOST : STEER_TAP;
		return 0;
	}
	return steer_fail(
	    err, cap, EINVAL,
	    "--xdp %s: `%s` is none of mode=tap|host, queues=LIST, copy, zerocopy, native, "
	    "generic, rss, busypoll, hwstamp, tunnels=on|off, promisc=on|off",
	    p->ifname, word);
}

static int text_read(struct steer_spec *p, const char *spec, char *err, size_t cap)
{
	bool set[FT_XDP_QUEUE_CAP] = {false}, in_queues = false;
	char text[512], *rest = text, *word;
	int rc;

	if (strlen(spec) >= sizeof(text))
		return steer_fail(err, cap, EINVAL, "--xdp: longer than %zu octets",
				  sizeof(text) - 1);
	memcpy(text, spec, strlen(spec) + 1);
	word = strsep(&rest, ",");
	p->ifindex = strlen(word) < IFNAMSIZ ? (int)if_nametoindex(word) : 0;
	if (p->ifindex == 0)
		return fail_interface(word, err, cap);
	memcpy(p->ifname, word, strlen(word) + 1);
	while ((word = strsep(&rest, ",")) != NULL) {
		if (strncmp(word, "queues=", 7) == 0) {
			in_queues = true;
			word += 7;
		} else if (*word < '0' || *word > '9') {
			in_queues = false;
		}
		if (!in_queues)
			rc = word_read(p, word, err, cap);
		else if (!queues_read(word, set))
			rc = steer_fail(
			    err, cap, EINVAL,
			    "--xdp %s: queues=%s: a list such as 0-3 or 0,2,5 is needed, "
			    "each below %u",
			    p->ifname, word, FT_XDP_QUEUE_CAP);
		else
			rc = 0;
		if (rc != 0)
			return rc;
	}
	for (uint32_t q = 0; q < FT_XDP_QUEUE_CAP; q++)
		if (set[q])
			p->queues[p->n_queues++] = q;
	return spec_check(p, err, cap);
}

static int interface_ioctl(const struct steer_spec *p, unsigned long what, struct ifreq *r)
{
	const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int rc;

	if (fd < 0)
		return -errno;
	memcpy(r->ifr_name, p->ifname, IFNAMSIZ);
	rc = ioctl(fd, what, r) == 0 ? 0 : -errno;
	(void)close(fd);
	return rc;
}

static uint32_t interface_queues(const struct steer_spec *p)
{
	struct ethtool_channels channels = {.cmd = ETHTOOL_GCHANNELS};
	struct ifreq r = {.ifr_data = (void *)&channels};
	char path[96];
	uint32_t n = 0;

	if (interface_ioctl(p, SIOCETHTOOL, &r) == 0)
		n = channels.rx_count + channels.combined_count;
	if (n == 0) { /* a driver without channels: count what sysfs shows */
		do
			(void)snprintf(path, sizeof(path), "/sys/class/net/%s/queues/rx-%u",
				       p->ifname, n);
		while (access(path, F_OK) == 0 && ++n < FT_XDP_QUEUE_CAP);
	}
	return n == 0 ? 1 : n < FT_XDP_QUEUE_CAP ? n : FT_XDP_QUEUE_CAP;
}

int steer_spec_mtu(const struct steer_spec *p)
{
	struct ifreq r = {0};

	return interface_ioctl(p, SIOCGIFMTU, &r) == 0 ? r.ifr_mtu : 1500;
}

bool steer_spec_up(const struct steer_spec *p)
{
	struct ifreq r = {0};

	return interface_ioctl(p, SIOCGIFFLAGS, &r) == 0 && (r.ifr_flags & IFF_UP) != 0;
}

enum link_type steer_spec_link(const struct steer_spec *p)
{
	struct ifreq r = {0};

	if (interface_ioctl(p, SIOCGIFHWADDR, &r) != 0)
		return LINK_ETHERNET;
	switch (r.ifr_hwaddr.sa_family) {
	case ARPHRD_ETHER:
	case ARPHRD_LOOPBACK: return LINK_ETHERNET;
	default: return LINK_RAW_IP; /* tun, wireguard, ipip, ppp, ... */
	}
}

/* Fills in the default queues and checks those that were asked for. */
static int spec_queues(struct steer_spec *p, unsigned workers, char *err, size_t cap)
{
	const uint32_t n = interface_queues(p);

	if (p->n_queues == 0)
		while (p->n_queues < n) {
			p->queues[p->n_queues] = (uint32_t)p->n_queues;
			p->n_queues++;
		}
	if (p->queues[p->n_queues - 1] >= n)
		return steer_fail(err, cap, EINVAL,
				  "--xdp %s: there is no queue %u: it has %u (0-%u)", p->ifname,
				  p->queues[p->n_queues - 1], n, n - 1);
	if ((p->words & WORD_RSS) != 0 && workers > p->n_queues)
		return steer_fail(
		    err, cap, EINVAL,
		    "--xdp %s: rss needs a queue for each worker: %u workers, %zu queues",
		    p->ifname, workers, p->n_queues);
	return 0;
}

int steer_spec_read(struct steer_spec *p, const char *spec, unsigned workers, char *err, size_t cap)
{
	int rc;

	*p = (struct steer_spec){0};
	rc = text_read(p, spec, err, cap);
	if (rc == 0 && (workers == 0 || workers > FT_XDP_RING_CAP))
		rc = steer_fail(err, cap, EINVAL, "--xdp %s: 1 to %u workers", p->ifname,
				FT_XDP_RING_CAP);
	if (rc == 0 && p->mode == STEER_TAP)
		rc = spec_queues(p, workers, err, cap);
	return rc;
}
