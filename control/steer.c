/* SPDX-License-Identifier: BSD-3-Clause */
#include "steer.h"

#include "../dataplane/rx_xdp.h"
#include "busypoll.h"
#include "steer_spec.h"

/* One long string literal: the object file. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpedantic"
#pragma GCC diagnostic ignored "-Woverlength-strings"
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wsign-conversion"
#include "steer.skel.h"
#pragma GCC diagnostic pop

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/if_link.h>
#include <linux/if_packet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include <xdp/libxdp.h>

/* Newer than some headers that we build with (kernel 6.6). */
#define ATTACH_TCX_INGRESS ((enum bpf_attach_type)46)
#define ATTACH_TCX_EGRESS ((enum bpf_attach_type)47)
#define DEV_BOUND (1u << 6)    /* BPF_F_XDP_DEV_BOUND_ONLY, kernel 6.3 */
#define ATTACH_FIRST (1u << 3) /* BPF_F_BEFORE, relative to nothing */

#define RING_BYTES ((size_t)16 << 20) /* host mode, a worker: 0.2 s of 0.5 M packets/s */
#define TC_PRIORITY 61953             /* clsact: ours, so that a start replaces what a crash left */
#define TC_HANDLE 1
#define NOTE_CAP 1024
#define REASON_CAP 128

/* DNS over TLS and QUIC, and ports of the latter's drafts: RFC 7858, RFC 9250. */
static const uint16_t crypt_ports[] = {853, 784, 8853};

struct steer {
	struct steer_spec spec;
	struct steer_bpf *bpf;
	int link_fd[2];             /* XDP, or tcx in and out; -1 */
	struct bpf_tc_hook hook[2]; /* clsact; ifindex 0: none */
	bool hook_made;             /* the qdisc is ours */
	int promisc_fd;
	bool generic;
	bool crypt, doh_all; /* as in steer_opts */
	bool device; /* the program asks the device for its time stamps */
	struct busypoll busypoll;
	bool gone;                  /* the interface */
	bool polls, tended;         /* the kernel polls for us; and the interface is set for it */
	char reason[REASON_CAP];    /* why not native */
	char no_stamps[REASON_CAP]; /* why not the device's, where they were asked for */
	char note[NOTE_CAP];
	struct rx *source[FT_XDP_RING_CAP];
	bool taken[FT_XDP_RING_CAP];
	size_t n_sources;
};

/* ---- load and attach ---- */

static int fail_permission(const struct steer_spec *p, int rc, char *err, size_t cap)
{
	char self[256] = "fluxtap";
	const ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (n > 0)
		self[n] = '\0';
	return steer_fail(err, cap, rc,
			  "--xdp %s needs root or CAP_BPF+CAP_PERFMON+CAP_NET_ADMIN+CAP_NET_RAW: "
			  "run with sudo, or: "
			  "setcap cap_bpf,cap_perfmon,cap_net_admin,cap_net_raw,cap_ipc_lock+ep %s",
			  p->ifname, self);
}

static int print_nothing(enum libbpf_print_level level, const char *format, va_list args)
{
	(void)level;
	(void)format;
	(void)args;
	return 0;
}

static int print_nothing_xdp(enum libxdp_print_level level, const char *format, va_list args)
{
	(void)level;
	(void)format;
	(void)args;
	return 0;
}

static struct bpf_program *tap_program(const struct steer *s)
{
	return s->device ? s->bpf->progs.steer_tap_device : s->bpf->progs.steer_tap;
}

/* Opens and loads what the mode needs. `pieces`: programs may see frames in
 * several pieces (kernel 5.18). */
static int bpf_try(struct steer *s, bool pieces)
{
	const bool host = s->spec.mode == STEER_HOST;
	uint32_t flags;
	int rc;

	s->bpf = steer_bpf__open();
	if (s->bpf == NULL)
		return -errno;
	(void)bpf_program__set_autoload(s->bpf->progs.steer_tap, !host && !s->device);
	(void)bpf_program__set_autoload(s->bpf->progs.steer_tap_device, s->device);
	(void)bpf_program__set_autoload(s->bpf->progs.steer_in, host);
	(void)bpf_program__set_autoload(s->bpf->progs.steer_out, host);
	(void)bpf_map__set_autocreate(s->bpf->maps.sockets, !host);
	(void)bpf_map__set_autocreate(s->bpf->maps.rings, host);
	flags = pieces ? bpf_program__flags(tap_program(s)) : 0;
	if (s->device) { /* its driver's own function is compiled into the program */
		bpf_program__set_ifindex(tap_program(s), (uint32_t)s->spec.ifindex);
		flags |= DEV_BOUND;
	}
	(void)bpf_program__set_flags(tap_program(s), flags);
	rc = steer_bpf__load(s->bpf);
	if (rc != 0) {
		steer_bpf__destroy(s->bpf);
		s->bpf = NULL;
	}
	return rc;
}

static int bpf_load(struct steer *s, char *err, size_t cap)
{
	const struct rlimit unlimited = {RLIM_INFINITY, RLIM_INFINITY};
	int rc;

	(void)setrlimit(RLIMIT_MEMLOCK, &unlimited); /* where we may; else the limit holds */
	(void)libbpf_set_print(print_nothing);
	(void)libxdp_set_print(print_nothing_xdp);
	steer_bpf__destroy(s->bpf);
	s->bpf = NULL;
	rc = bpf_try(s, true);
	if (rc != 0 && s->device)
		return rc; /* the caller does without */
	if (rc == -EINVAL && s->spec.mode == STEER_TAP)
		rc = bpf_try(s, false);
	if (rc == -EPERM || rc == -EACCES)
		return fail_permission(&s->spec, -rc, err, cap);
	if (rc != 0)
		return steer_fail(
		    err, cap, rc == -EINVAL ? ENOTSUP : -rc,
		    "--xdp %s: the kernel refuses the BPF program (%s); Linux 5.15 or later "
		    "with CONFIG_BPF_SYSCALL is needed: uname -r",
		    s->spec.ifname, strerror(-rc));
	return 0;
}

static int fail_attached(const struct steer_spec *p, char *err, size_t cap)
{
	struct bpf_xdp_query_opts q = {.sz = sizeof(q)};
	const char *how = "xdp";

	if (bpf_xdp_query(p->ifindex, 0, &q) == 0 && q.attach_mode == XDP_ATTACHED_SKB)
		how = "xdpgeneric";
	return steer_fail(
	    err, cap, EBUSY,
	    "--xdp %s: it has an XDP program already (id %u): end the process that holds it "
	    "(bpftool link show), or: ip link set dev %s %s off",
	    p->ifname, q.prog_id, p->ifname, how);
}

static int tap_attach(struct steer *s, char *err, size_t cap)
{
	const int fd = bpf_program__fd(tap_program(s));
	struct bpf_xdp_query_opts q = {.sz = sizeof(q)};
	struct bpf_link_create_opts o = {.sz = sizeof(o)};
	int rc = -ENOTSUP;

	if (bpf_xdp_query(s->spec.ifindex, 0, &q) == 0 && q.attach_mode != XDP_ATTACHED_NONE)
		return fail_attached(&s->spec, err, cap);
	if ((s->spec.words & WORD_GENERIC) == 0) {
		o.flags = XDP_FLAGS_DRV_MODE;
		rc = bpf_link_create(fd, s->spec.ifindex, BPF_XDP, &o);
		if (rc < 0)
			(void)snprintf(s->reason, sizeof(s->reason), " (native refused: %s)",
				       strerror(-rc));
	}
	if (rc < 0 && rc != -EPERM && rc != -EBUSY && (s->spec.words & WORD_NATIVE) == 0) {
		o.flags = XDP_FLAGS_SKB_MODE;
		rc = bpf_link_create(fd, s->spec.ifindex, BPF_XDP, &o);
		s->generic = true;
	}
	s->link_fd[0] = rc;
	if (rc >= 0)
		return 0;
	if (rc == -EPERM)
		return fail_permission(&s->spec, EPERM, err, cap);
	if (rc == -EBUSY || rc == -EEXIST)
		return fail_attached(&s->spec, err, cap);
	return steer_fail(err, cap, rc == -EINVAL || rc == -EOPNOTSUPP ? ENOTSUP : -rc,
			  "--xdp %s: cannot attach the XDP program (%s)%s", s->spec.ifname,
			  strerror(-rc),
			  (s->spec.words & WORD_NATIVE) != 0 ? "; leave out `native`" : "");
}

/* A tap sees frames for others. The socket receives nothing; the interface
 * leaves promiscuous mode with it, however we end. */
static int promisc_open(struct steer *s, char *err, size_t cap)
{
	const struct packet_mreq m = {.mr_ifindex = s->spec.ifindex, .mr_type = PACKET_MR_PROMISC};

	if ((s->spec.words & WORD_STILL) != 0)
		return 0;
	s->promisc_fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	if (s->promisc_fd < 0 && errno == EPERM)
		return fail_permission(&s->spec, EPERM, err, cap);
	if (s->promisc_fd < 0 ||
	    setsockopt(s->promisc_fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &m, sizeof(m)) != 0)
		return steer_fail(err, cap, errno,
				  "--xdp %s: no promiscuous mode (%s); do without: promisc=off",
				  s->spec.ifname, strerror(errno));
	return 0;
}

/* Classic tc: outlives a crash, but the next start replaces it. */
static int clsact_attach(struct steer *s, size_t i, int fd, bool out)
{
	struct bpf_tc_hook hook = {
	    .sz = sizeof(hook),
	    .ifindex = s->spec.ifindex,
	    .attach_point = out ? BPF_TC_EGRESS : BPF_TC_INGRESS,
	};
	struct bpf_tc_opts o = {
	    .sz = sizeof(o),
	    .prog_fd = fd,
	    .flags = BPF_TC_F_REPLACE,
	    .handle = TC_HANDLE,
	    .priority = TC_PRIORITY,
	};
	int rc = bpf_tc_hook_create(&hook);

	if (rc == 0)
		s->hook_made = true;
	else if (rc != -EEXIST)
		return rc;
	rc = bpf_tc_attach(&hook, &o);
	if (rc == 0)
		s->hook[i] = hook;
	return rc;
}

static int host_attach_one(struct steer *s, size_t i, int fd, bool out)
{
	const enum bpf_attach_type type = out ? ATTACH_TCX_EGRESS : ATTACH_TCX_INGRESS;
	struct bpf_link_create_opts o = {.sz = sizeof(o), .flags = ATTACH_FIRST};
	int rc = -EINVAL;

	if ((s->spec.words & WORD_CLSACT) == 0)
		rc = bpf_link_create(fd, s->spec.ifindex, type, &o);
	s->link_fd[i] = rc;
	if (rc >= 0 || rc == -EPERM)
		return rc < 0 ? rc : 0;
	return clsact_attach(s, i, fd, out);
}

static int host_attach(struct steer *s, char *err, size_t cap)
{
	const bool lo = strcmp(s->spec.ifname, "lo") == 0; /* what goes out comes in again */
	int rc = host_attach_one(s, 0, bpf_program__fd(s->bpf->progs.steer_in), false);

	if (rc == 0 && !lo)
		rc = host_attach_one(s, 1, bpf_program__fd(s->bpf->progs.steer_out), true);
	if (rc == -EPERM)
		return fail_permission(&s->spec, EPERM, err, cap);
	if (rc != 0)
		return steer_fail(
		    err, cap, -rc,
		    "--xdp %s: cannot attach the tc program (%s): modprobe sch_ingress cls_bpf",
		    s->spec.ifname, strerror(-rc));
	return 0;
}

/* ---- sources ---- */

static int tap_sources(struct steer *s, unsigned workers, char *err, size_t cap)
{
	const struct steer_spec *p = &s->spec;
	const size_t n = (p->words & WORD_RSS) != 0 ? workers : 1;
	struct rx_xdp_opts o = {
	    .ifname = p->ifname,
	    .sockets_fd = bpf_map__fd(s->bpf->maps.sockets),
	    .frame_bytes = steer_spec_mtu(p) <= 1700 ? 2048 : 4096,
	    /* About 128 MiB in all at most, for 16 queues and ordinary frames. */
	    .ring_len = p->n_queues <= 2   ? 16384
			: p->n_queues <= 4 ? 8192
			: p->n_queues <= 8 ? 4096
					   : 2048,
	    .copy = (p->words & WORD_ZEROCOPY) != 0             ? RX_XDP_ZEROCOPY
		    : (p->words & WORD_COPY) != 0 || s->generic ? RX_XDP_COPY
								: RX_XDP_ANY,
	    .link = steer_spec_link(p),
	    .busy_poll = (p->words & WORD_BUSYPOLL) != 0,
	};
	uint32_t queues[FT_XDP_QUEUE_CAP];
	char why[RX_TEXT_CAP] = "";

	if (s->generic && o.copy == RX_XDP_ZEROCOPY)
		return steer_fail(
		    err, cap, ENOTSUP,
		    "--xdp %s: no zero-copy without native XDP%s: leave out `zerocopy`", p->ifname,
		    s->reason);
	for (size_t i = 0; i < n; i++) {
		o.queues = queues;
		o.n_queues = 0;
		for (size_t q = i; q < p->n_queues; q += n)
			queues[o.n_queues++] = p->queues[q];
		s->source[i] = rx_xdp_create(&o, why, sizeof(why));
		if (s->source[i] == NULL && errno == EPERM)
			return fail_permission(p, EPERM, err, cap);
		if (s->source[i] == NULL && errno == ENETDOWN)
			return steer_fail(err, cap, ENETDOWN,
					  "--xdp %s: it is down: ip link set dev %s up", p->ifname,
					  p->ifname);
		if (s->source[i] == NULL)
			return steer_fail(err, cap, errno == EINVAL ? ENOTSUP : errno,
					  "--xdp %s: %s", p->ifname, why);
		s->n_sources = i + 1;
	}
	return 0;
}

static int host_sources(struct steer *s, unsigned workers, char *err, size_t cap)
{
	const struct bpf_map *bss = s->bpf->maps.bss;
	const struct rx_host_opts fixed = {
	    .ring_bytes = RING_BYTES,
	    .lost_fd = bpf_map__fd(bss),
	    .lost_map_bytes = bpf_map__value_size(bss),
	    .link = steer_spec_link(&s->spec),
	};
	int rc = 0;

	for (uint32_t i = 0; i < workers && rc == 0; i++) {
		struct rx_host_opts o = fixed;

		o.ring_fd =
		    bpf_map_create(BPF_MAP_TYPE_RINGBUF, "steer_ring", 0, 0, RING_BYTES, NULL);
		if (o.ring_fd < 0) {
			rc = o.ring_fd;
			break;
		}
		o.lost_off =
		    (size_t)((const char *)&s->bpf->bss->ring_lost[i] - (const char *)s->bpf->bss);
		s->source[i] = rx_host_create(&o);
		if (s->source[i] == NULL) {
			rc = -errno;
		} else {
			s->n_sources = i + 1;
			rc = bpf_map_update_elem(bpf_map__fd(s->bpf->maps.rings), &i, &o.ring_fd,
						 BPF_ANY);
		}
		(void)close(o.ring_fd); /* the outer map and the mapping hold it */
	}
	if (rc == -EPERM)
		return fail_permission(&s->spec, EPERM, err, cap);
	if (rc != 0)
		return steer_fail(err, cap, -rc,
				  "--xdp %s: no ring buffers of %zu MiB (%s): ulimit -l unlimited",
				  s->spec.ifname, RING_BYTES >> 20, strerror(-rc));
	return 0;
}

static void tap_note(struct steer *s, const char *down)
{
	const struct steer_spec *p = &s->spec;
	const char *why = s->source[0]->note;
	char words[REASON_CAP + 256] = "";
	size_t huge = 0, all = 0;
	bool zerocopy = true;

	for (size_t i = 0; i < s->n_sources; i++) {
		size_t some_huge, some;

		zerocopy = zerocopy && rx_xdp_zerocopy(s->source[i]);
		rx_xdp_memory(s->source[i], &some_huge, &some);
		huge += some_huge;
		all += some;
	}
	(void)snprintf(words, sizeof(words), "%s%s, umem %zu MiB in %s pages",
		       s->device ? ", device time stamps" : "", s->no_stamps, all >> 20,
		       huge == 0     ? "ordinary"
		       : huge == all ? "huge"
				     : "huge and ordinary");
	(void)snprintf(s->note, sizeof(s->note), "%s: tap mode, %s XDP%s, %s%s%s%s, %zu %s%s%s%s",
		       p->ifname, s->generic ? "generic" : "native", s->reason,
		       zerocopy ? "zero-copy" : "copy", !zerocopy && *why != '\0' ? " (" : "",
		       zerocopy ? "" : why, !zerocopy && *why != '\0' ? ")" : "", p->n_queues,
		       p->n_queues == 1 ? "queue" : "queues",
		       (p->words & WORD_STILL) != 0 ? "" : ", promiscuous", words, down);
}

static void note_write(struct steer *s)
{
	const struct steer_spec *p = &s->spec;
	const char *down = steer_spec_up(p) ? "" : ", the interface is down";

	if (p->mode == STEER_HOST) {
		(void)snprintf(s->note, sizeof(s->note), "%s: host mode, %s%s%s", p->ifname,
			       s->link_fd[0] >= 0 ? "tcx" : "tc clsact",
			       strcmp(p->ifname, "lo") == 0
				   ? " on the way in alone (lo shows every packet twice)"
				   : " on the way in and out",
			       down);
		return;
	}
	tap_note(s, down);
}

/* ---- life ---- */

static void settings_init(struct steer *s, const struct steer_opts *o)
{
	volatile struct ft_xdp_settings *set = &s->bpf->data->settings;
	uint64_t key = 0;

	(void)getrandom(&key, sizeof(key), 0);
	set->hash_key = key;
	set->workers = o->workers;
	set->raw_ip = steer_spec_link(&s->spec) == LINK_RAW_IP;
	set->tunnels = (s->spec.words & WORD_PLAIN) == 0;
	s->crypt = o->crypt;
	s->doh_all = o->doh_all;
	steer_ports_set(s, o->ports, o->n_ports);
}

/* The servers of DoH. */
static int doh_init(struct steer *s, const struct steer_opts *o, char *err, size_t cap)
{
	const int fd = bpf_map__fd(s->bpf->maps.doh);
	const uint8_t there = 1;
	int rc = 0;

	for (size_t i = 0; i < o->n_doh && rc == 0; i++)
		rc = bpf_map_update_elem(fd, &o->doh[i], &there, BPF_ANY);
	if (rc != 0)
		return steer_fail(err, cap, rc == -ENOSPC ? EINVAL : -rc,
				  "--doh: the XDP program takes at most %u addresses (%s)",
				  FT_XDP_DOH_CAP, strerror(-rc));
	s->bpf->data->settings.doh = o->n_doh != 0;
	return 0;
}

static int tap_load(struct steer *s, const struct steer_opts *o, char *err, size_t cap)
{
	int rc = bpf_load(s, err, cap);

	if (rc != 0)
		return rc;
	settings_init(s, o);
	rc = doh_init(s, o, err, cap);
	return rc != 0 ? rc : tap_attach(s, err, cap);
}

/* XDP before the sockets, whose zero-copy mode depends on it. A frame without a
 * socket goes to the kernel. */
static int tap_open(struct steer *s, const struct steer_opts *o, char *err, size_t cap)
{
	int rc;

	s->device = (s->spec.words & WORD_HWSTAMP) != 0;
	rc = tap_load(s, o, err, cap);
	if (s->device && rc != 0 && rc != -EPERM && rc != -EBUSY) {
		(void)snprintf(s->no_stamps, sizeof(s->no_stamps), ", no device time stamps (%s)",
			       strerror(-rc));
		s->device = s->generic = false;
		s->reason[0] = '\0';
		rc = tap_load(s, o, err, cap);
	}
	if (rc == 0)
		rc = tap_sources(s, o->workers, err, cap);
	if (rc == 0)
		rc = promisc_open(s, err, cap);
	return rc;
}

/* Rings before the programs that fill them. */
static int host_open(struct steer *s, const struct steer_opts *o, char *err, size_t cap)
{
	int rc = bpf_load(s, err, cap);

	if (rc != 0)
		return rc;
	settings_init(s, o);
	rc = host_sources(s, o->workers, err, cap);
	return rc == 0 ? host_attach(s, err, cap) : rc;
}

struct steer *steer_create(const struct steer_opts *o, char *err, size_t err_cap)
{
	struct steer *s = calloc(1, sizeof(*s));
	int rc;

	if (s == NULL)
		return NULL;
	s->link_fd[0] = s->link_fd[1] = s->promisc_fd = -1;
	rc = steer_spec_read(&s->spec, o->spec, o->workers, err, err_cap);
	if (rc == 0) {
		rc = s->spec.mode == STEER_HOST ? host_open(s, o, err, err_cap)
						: tap_open(s, o, err, err_cap);
		if (rc == -EINVAL) /* the kernel's, not the operator's */
			rc = -ENOTSUP;
	}
	if (rc != 0) {
		steer_destroy(s);
		errno = -rc;
		return NULL;
	}
	note_write(s);
	return s;
}

void steer_destroy(struct steer *s)
{
	if (s == NULL)
		return;
	busypoll_restore(&s->busypoll);
	if (s->promisc_fd >= 0)
		(void)close(s->promisc_fd);
	for (size_t i = 0; i < 2; i++) {
		struct bpf_tc_opts o = {
		    .sz = sizeof(o), .handle = TC_HANDLE, .priority = TC_PRIORITY};

		if (s->link_fd[i] >= 0)
			(void)close(s->link_fd[i]);
		if (s->hook[i].ifindex != 0)
			(void)bpf_tc_detach(&s->hook[i], &o);
	}
	if (s->hook_made && s->hook[0].ifindex != 0) {
		s->hook[0].attach_point =
		    BPF_TC_INGRESS | BPF_TC_EGRESS; /* both: the qdisc itself */
		(void)bpf_tc_hook_destroy(&s->hook[0]);
	}
	for (size_t i = 0; i < s->n_sources; i++)
		if (!s->taken[i])
			s->source[i]->ops->destroy(s->source[i]);
	steer_bpf__destroy(s->bpf);
	free(s);
}

size_t steer_source_count(const struct steer *s)
{
	return s->n_sources;
}

struct rx *steer_source(struct steer *s, size_t i)
{
	s->taken[i] = true;
	return s->source[i];
}

bool steer_needs_admin(const struct steer *s)
{
	return s->hook[0].ifindex != 0 || s->hook[1].ifindex != 0 ||
	       (s->spec.words & WORD_BUSYPOLL) != 0;
}

const char *steer_note(const struct steer *s)
{
	return s->note;
}

void steer_counters_get(const struct steer *s, struct steer_counters *out)
{
	*out = (struct steer_counters){0};
	for (size_t i = 0; i < FT_XDP_CPU_CAP; i++) {
		const struct ft_xdp_counters *c = &s->bpf->bss->counters[i];

		out->seen += __atomic_load_n(&c->seen, __ATOMIC_RELAXED);
		out->taken += __atomic_load_n(&c->taken, __ATOMIC_RELAXED);
		out->passed += __atomic_load_n(&c->passed, __ATOMIC_RELAXED);
		out->filtered += __atomic_load_n(&c->filtered, __ATOMIC_RELAXED);
		out->unclaimed += __atomic_load_n(&c->unclaimed, __ATOMIC_RELAXED);
		out->lost += __atomic_load_n(&c->lost, __ATOMIC_RELAXED);
	}
}

void steer_tend(struct steer *s)
{
	const bool before = s->polls;

	for (size_t i = 0; s->spec.mode == STEER_TAP && i < s->n_sources; i++)
		s->gone = rx_xdp_gone(s->source[i]) || s->gone;
	if ((s->spec.words & WORD_BUSYPOLL) == 0)
		return;
	for (size_t i = 0; i < s->n_sources; i++)
		s->polls = rx_xdp_polls(s->source[i]) || s->polls;
	if (s->polls && !before)
		s->tended = busypoll_set(&s->busypoll, s->spec.ifname) == 0;
}

bool steer_is_gone(const struct steer *s)
{
	return s->gone;
}

uint64_t steer_clock_steps(const struct steer *s)
{
	uint64_t most = 0; /* each source sees them all */

	for (size_t i = 0; i < s->n_sources; i++) {
		const uint64_t n = s->spec.mode == STEER_HOST ? rx_host_steps(s->source[i])
							      : rx_xdp_steps(s->source[i]);
		most = n > most ? n : most;
	}
	return most;
}

const char *steer_polling(const struct steer *s)
{
	if ((s->spec.words & WORD_BUSYPOLL) == 0)
		return "";
	if (!s->polls)
		return ", no busy polling: the driver does not offer it";
	return s->tended ? ", busy polling" : ", busy polling without holding interrupts back";
}

bool steer_stamps_get(const struct steer *s, uint64_t *believed, uint64_t *odd)
{
	*believed = *odd = 0;
	for (size_t i = 0; s->device && i < s->n_sources; i++) {
		uint64_t good, bad;

		rx_xdp_stamps(s->source[i], &good, &bad);
		*believed += good;
		*odd += bad;
	}
	return s->device;
}

void steer_ports_set(struct steer *s, const uint16_t *ports, size_t n)
{
	uint64_t bits[FT_XDP_PORT_WORDS] = {0};

	for (size_t i = 0; i < n; i++)
		bits[ports[i] / 64] |= 1ull << ports[i] % 64;
	for (size_t i = 0; s->crypt && i < sizeof(crypt_ports) / sizeof(*crypt_ports); i++)
		bits[crypt_ports[i] / 64] |= 1ull << crypt_ports[i] % 64;
	if (s->doh_all)
		bits[FT_XDP_HTTPS_PORT / 64] |= 1ull << FT_XDP_HTTPS_PORT % 64;
	for (size_t i = 0; i < FT_XDP_PORT_WORDS; i++)
		__atomic_store_n((uint64_t *)(uintptr_t)&s->bpf->data->ports[i], bits[i],
				 __ATOMIC_RELAXED);
}

void steer_stop(struct steer *s)
{
	s->bpf->data->settings.prefixes = FT_XDP_NOTHING;
}

void steer_tunnels_set(struct steer *s, bool on)
{
	s->bpf->data->settings.tunnels = on;
}

int steer_sample_set(struct steer *s, unsigned shift, uint64_t key)
{
	if (shift > FT_XDP_SAMPLE_CAP)
		return -EINVAL;
	s->bpf->data->settings.sample_shift = 0; /* never the old share with the new key */
	s->bpf->data->settings.sample_key = key;
	s->bpf->data->settings.sample_shift = (uint8_t)shift;
	return 0;
}

int steer_prefixes_set(struct steer *s, const struct ft_xdp_prefix *list, size_t n)
{
	const int fd = bpf_map__fd(s->bpf->maps.prefixes);
	struct ft_xdp_prefix key;
	const uint8_t there = 1;
	int rc = 0;

	s->bpf->data->settings.prefixes = 0;
	while (bpf_map_get_next_key(fd, NULL, &key) == 0 && rc == 0)
		rc = bpf_map_delete_elem(fd, &key);
	for (size_t i = 0; i < n && rc == 0; i++)
		rc = bpf_map_update_elem(fd, &list[i], &there, BPF_ANY);
	if (rc == 0)
		s->bpf->data->settings.prefixes = n != 0;
	return rc;
}
