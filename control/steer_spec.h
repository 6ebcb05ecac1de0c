/* SPDX-License-Identifier: BSD-3-Clause */
/* What --xdp asks for, and what the interface is: no libbpf, no root needed.
 *
 * Control's thread, from steer.c alone. Owns nothing. */
#ifndef CONTROL_STEER_SPEC_H
#define CONTROL_STEER_SPEC_H

#include "../dataplane/rx.h"

#include <fluxtap/xdp_abi.h>

#include <net/if.h>

enum steer_mode { STEER_TAP, STEER_HOST };
enum steer_word { /* bits of steer_spec.words */
		  WORD_COPY = 1,
		  WORD_ZEROCOPY = 2,
		  WORD_NATIVE = 4,
		  WORD_GENERIC = 8,
		  WORD_RSS = 16,
		  WORD_CLSACT = 32,
		  WORD_STILL = 64,  /* promisc=off */
		  WORD_PLAIN = 128, /* tunnels=off */
		  WORD_BUSYPOLL = 256,
		  WORD_HWSTAMP = 512
};

struct steer_spec {
	char ifname[IFNAMSIZ];
	int ifindex;
	enum steer_mode mode;
	unsigned words;                    /* enum steer_word */
	uint32_t queues[FT_XDP_QUEUE_CAP]; /* ascending */
	size_t n_queues;                   /* 0: all */
};

/* Writes the sentence and returns -rc, so that callers can `return steer_fail(...)`. */
__attribute__((format(printf, 4, 5))) int steer_fail(char *err, size_t cap, int rc,
						     const char *format, ...);
/* Reads IFACE[,WORD...], fills in the interface's queues where none are named, and
 * checks all against the interface. 0, or -EINVAL with a sentence in err. */
int steer_spec_read(struct steer_spec *p, const char *spec, unsigned workers, char *err,
		    size_t cap);
int steer_spec_mtu(const struct steer_spec *p);
bool steer_spec_up(const struct steer_spec *p);
enum link_type steer_spec_link(const struct steer_spec *p);

#endif
