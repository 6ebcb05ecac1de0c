/* SPDX-License-Identifier: BSD-3-Clause */
/* Stage 0: the BPF programs on an interface, and the sources that they feed.
 *
 * Control's thread. Owns the programs, their maps and links; the kernel detaches
 * everything when the process dies (but for the filters of a kernel before 6.6,
 * which the next start replaces). The only door of control/ to libbpf. */
#ifndef CONTROL_STEER_H
#define CONTROL_STEER_H

#include "../dataplane/rx.h"

#include <fluxtap/xdp_abi.h>

#include <stddef.h>
#include <stdint.h>

/* IFACE[,WORD...]. Words: mode=tap|host, tunnels=on|off. Tap alone: queues=LIST
 * (0-3, or 0,2,5), copy, zerocopy, native, generic, promisc=on|off, rss (the
 * operator vouches that the NIC's hash is symmetric over the two addresses: a
 * source for each worker), busypoll (the workers drive the device, where its
 * driver offers that; changes two settings of the interface meanwhile), hwstamp (the device's time
 * stamps, where it has them). Host alone: clsact (as on a kernel before 6.6). */
struct steer_opts {
	const char *spec;
	unsigned workers;      /* at least 1 */
	const uint16_t *ports; /* UDP and TCP ports of DNS, host order */
	size_t n_ports;
	bool crypt; /* also the ports of DNS over TLS and QUIC */
	/* Port 443 of these servers; doh_all: of all, for names have to be looked at. */
	const struct ft_xdp_prefix *doh;
	size_t n_doh;
	bool doh_all;
};

struct steer;

/* Loads, configures, attaches and opens the sources. On failure NULL, nothing
 * is left attached, err has a sentence, and errno is EINVAL (bad spec, unknown
 * interface or queue) or else says what the machine lacks (EPERM, EBUSY, ENOTSUP,
 * ENOMEM, ENOBUFS, ENETDOWN, ...; err ends with the command that gives it). */
struct steer *steer_create(const struct steer_opts *o, char *err, size_t err_cap);
/* Detaches everything and leaves the interface as it was. Destroys the sources
 * that were not taken; the others may be destroyed before or afterwards. Accepts NULL. */
void steer_destroy(struct steer *s);

/* 1 (tap without rss; the caller fans out), else the number of workers. */
size_t steer_source_count(const struct steer *s);
/* Source i, below steer_source_count; from then on the caller's to destroy. */
struct rx *steer_source(struct steer *s, size_t i);
/* One line for the operator: mode, native or generic, zero-copy or copy, queues. */
/* Whether steer_destroy needs CAP_NET_ADMIN: to take a tc filter away, or to put the interface's
 * polling back. A link goes with its file descriptor. */
bool steer_needs_admin(const struct steer *s);
const char *steer_note(const struct steer *s);

/* Summed over all CPUs, since creation. */
struct steer_counters {
	uint64_t seen;      /* frames looked at = taken + passed + filtered + unclaimed + lost */
	uint64_t taken;     /* tap: redirected to a socket; host: copied */
	uint64_t passed;    /* not DNS */
	uint64_t filtered;  /* by prefix or sampling */
	uint64_t unclaimed; /* tap: DNS on a queue outside queues=LIST */
	uint64_t lost;      /* host: no room in a ring (tap: ask the sources' dropped) */
};
/* No system call, no capability needed. */
void steer_counters_get(const struct steer *s, struct steer_counters *out);

/* To be called now and then while the sources live: looks for the interface, and sets the interface for busy polling
 * once the kernel is able to; steer_destroy puts the settings back. */
void steer_tend(struct steer *s);
/* The interface is no more (tap mode alone can tell); steer_tend finds out. */
bool steer_is_gone(const struct steer *s);
/* Steps of the host's clock that were seen; any thread. */
uint64_t steer_clock_steps(const struct steer *s);
/* What came of `busypoll`, to follow other words; "" without it. */
const char *steer_polling(const struct steer *s);
/* The device's time stamps so far: those in use and those that were not believed, being
 * more than a second off. False without hwstamp. Only while the sources live. */
bool steer_stamps_get(const struct steer *s, uint64_t *believed, uint64_t *odd);

/* Settings, in force from the next frame on. The ports of encrypted DNS stay as they are. */
void steer_ports_set(struct steer *s, const uint16_t *ports, size_t n);
/* From now on nothing is taken; what was taken is in the sources still. */
void steer_stop(struct steer *s);
void steer_tunnels_set(struct steer *s, bool on);
/* Of all address pairs take a share of 2^-shift, chosen by flow_hash with `key`;
 * 0 takes all. -EINVAL where shift is above FT_XDP_SAMPLE_CAP. */
int steer_sample_set(struct steer *s, unsigned shift, uint64_t key);
/* Only flows with an end in one of the prefixes; n == 0: all. Replaces the list
 * before; on failure (-errno) nothing is filtered. Needs what bpf(2) needs. */
int steer_prefixes_set(struct steer *s, const struct ft_xdp_prefix *list, size_t n);

#endif
