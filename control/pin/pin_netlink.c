/* SPDX-License-Identifier: BSD-3-Clause */
#include "pin_netlink.h"

#include <errno.h>
#include <linux/genetlink.h>
#include <linux/rtnetlink.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

/* <linux/netdev.h> is younger than the headers of Debian 12. */
#define NETDEV_DEV_GET 1
#define NETDEV_IFINDEX 1
#define NETDEV_XDP_FEATURES 3
#define ANSWER_CAP 65536u
#define ALIGNED(n) (((size_t)(n) + 3) & ~(size_t)3) /* of all headers of netlink */
#define ATTR_HEAD ALIGNED(sizeof(struct nlattr))

/* Called with each message of an answer; not 0 ends the reading and is its result. */
typedef int (*message_fn)(const struct nlmsghdr *m, void *ctx);

static int open_netlink(int protocol)
{
	const struct timeval wait = {.tv_sec = 5};
	const int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);

	if (fd < 0)
		return -errno;
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	return fd;
}

/* Sends a request and hands out the answer until it is done. */
static int ask(int fd, struct nlmsghdr *request, message_fn each, void *ctx)
{
	_Alignas(struct nlmsghdr) static char answer[ANSWER_CAP];
	const bool dump = (request->nlmsg_flags & NLM_F_DUMP) == NLM_F_DUMP;

	if (send(fd, request, request->nlmsg_len, 0) != (ssize_t)request->nlmsg_len)
		return -errno;
	for (;;) {
		const ssize_t n = recv(fd, answer, sizeof(answer), 0);
		if (n < 0)
			return -errno;
		for (size_t at = 0; at + sizeof(struct nlmsghdr) <= (size_t)n;) {
			const struct nlmsghdr *m = (const void *)(answer + at);
			if (m->nlmsg_len < sizeof(*m) || m->nlmsg_len > (size_t)n - at)
				return -EBADMSG;
			at += ALIGNED(m->nlmsg_len);
			if (m->nlmsg_type == NLMSG_DONE)
				return 0;
			if (m->nlmsg_type == NLMSG_ERROR)
				return ((const struct nlmsgerr *)NLMSG_DATA(m))->error;
			const int rc = each(m, ctx);
			if (rc != 0 || !dump)
				return rc;
		}
	}
}

struct hop_of {
	unsigned ifindex;
};

/* Whether a way of the route goes by the interface. */
static bool is_hop(const struct rtattr *a, unsigned ifindex)
{
	const char *at = RTA_DATA(a), *end = (const char *)a + a->rta_len;
	unsigned oif;

	if (a->rta_type == RTA_OIF && end - at >= (long)sizeof(oif)) {
		memcpy(&oif, at, sizeof(oif));
		return oif == ifindex;
	}
	while (a->rta_type == RTA_MULTIPATH && end - at >= (long)sizeof(struct rtnexthop)) {
		const struct rtnexthop *h = (const void *)at;
		if (h->rtnh_ifindex == (int)ifindex)
			return true;
		if (h->rtnh_len < sizeof(*h))
			break;
		at += ALIGNED(h->rtnh_len);
	}
	return false;
}

static int by_us(const struct nlmsghdr *m, void *ctx)
{
	const struct hop_of *us = ctx;
	const struct rtmsg *r = NLMSG_DATA(m);
	const char *end = (const char *)m + m->nlmsg_len;

	if (m->nlmsg_type != RTM_NEWROUTE || m->nlmsg_len < NLMSG_LENGTH(sizeof(*r)) ||
	    r->rtm_type != RTN_UNICAST || r->rtm_dst_len > 1 || (r->rtm_flags & RTM_F_CLONED) != 0)
		return 0;
	for (const char *at = (const char *)(r + 1); end - at >= (long)sizeof(struct rtattr);) {
		const struct rtattr *a = (const void *)at;
		if (a->rta_len < sizeof(*a) || a->rta_len > end - at)
			break;
		if (is_hop(a, us->ifindex))
			return 1;
		at += ALIGNED(a->rta_len);
	}
	return 0;
}

int pin_netlink_default(unsigned ifindex)
{
	static const unsigned char families[] = {AF_INET, AF_INET6};
	struct hop_of us = {ifindex};
	int rc = 0;

	/* A socket for each: what is left of an answer must not meet the next question. */
	for (size_t i = 0; i < sizeof(families) && rc == 0; i++) {
		struct {
			struct nlmsghdr h;
			struct rtmsg r;
		} request = {
		    .h = {.nlmsg_len = sizeof(request),
			  .nlmsg_type = RTM_GETROUTE,
			  .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
		    .r = {.rtm_family = families[i]},
		};
		const int fd = open_netlink(NETLINK_ROUTE);
		if (fd < 0)
			return fd;
		rc = ask(fd, &request.h, by_us, &us);
		(void)close(fd);
		if (rc == -EAFNOSUPPORT || rc == -EOPNOTSUPP) /* no such family in this kernel */
			rc = 0;
	}
	return rc;
}

struct wanted {
	unsigned short attribute;
	unsigned char octets;
	unsigned char value[8];
	bool found;
};

static int take(const struct nlmsghdr *m, void *ctx)
{
	struct wanted *w = ctx;
	const struct nlattr *a =
	    (const void *)((const char *)NLMSG_DATA(m) + ALIGNED(sizeof(struct genlmsghdr)));
	long left = (long)m->nlmsg_len - (long)((const char *)a - (const char *)m);

	while (left >= (long)sizeof(*a) && a->nla_len >= sizeof(*a) && a->nla_len <= left) {
		if ((a->nla_type & NLA_TYPE_MASK) == w->attribute &&
		    a->nla_len >= ATTR_HEAD + w->octets) {
			memcpy(w->value, (const char *)a + ATTR_HEAD, w->octets);
			w->found = true;
		}
		left -= (long)ALIGNED(a->nla_len);
		a = (const void *)((const char *)a + ALIGNED(a->nla_len));
	}
	return 0;
}

/* A generic netlink question with one attribute. */
static int ask_generic(int fd, unsigned short family, unsigned char command,
		       const struct nlattr *attribute, struct wanted *w)
{
	struct {
		struct nlmsghdr h;
		struct genlmsghdr g;
		char attribute[64];
	} request = {
	    .h = {.nlmsg_type = family, .nlmsg_flags = NLM_F_REQUEST},
	    .g = {.cmd = command, .version = 1},
	};

	memcpy(request.attribute, attribute, attribute->nla_len);
	request.h.nlmsg_len =
	    (unsigned)(sizeof(request.h) + sizeof(request.g) + ALIGNED(attribute->nla_len));
	const int rc = ask(fd, &request.h, take, w);
	return rc != 0 ? rc : w->found ? 0 : -EOPNOTSUPP;
}

int pin_netlink_xdp(unsigned ifindex, uint64_t *features)
{
	static const struct {
		struct nlattr a;
		char name[8];
	} by_name = {{.nla_len = ATTR_HEAD + 7, .nla_type = CTRL_ATTR_FAMILY_NAME}, "netdev"};
	const struct {
		struct nlattr a;
		unsigned ifindex;
	} by_index = {{.nla_len = ATTR_HEAD + 4, .nla_type = NETDEV_IFINDEX}, ifindex};
	struct wanted id = {.attribute = CTRL_ATTR_FAMILY_ID, .octets = 2};
	struct wanted xdp = {.attribute = NETDEV_XDP_FEATURES, .octets = 8};
	unsigned short family;
	const int fd = open_netlink(NETLINK_GENERIC);

	if (fd < 0)
		return fd;
	int rc = ask_generic(fd, GENL_ID_CTRL, CTRL_CMD_GETFAMILY, &by_name.a, &id);
	memcpy(&family, id.value, sizeof(family));
	if (rc == 0)
		rc = ask_generic(fd, family, NETDEV_DEV_GET, &by_index.a, &xdp);
	if (rc == 0)
		memcpy(features, xdp.value, sizeof(*features));
	(void)close(fd);
	return rc == -ENOENT ? -EOPNOTSUPP : rc;
}
