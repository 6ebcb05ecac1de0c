/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Ways out of the generator program: a capture file, a network interface, the truth as JSON.
 * Called from its only thread; each says on standard error what went wrong.
 */
#ifndef FLUXTAP_GEN_OUT_H
#define FLUXTAP_GEN_OUT_H

#include <fluxtap/gen.h>

#define OUT_PROGRAM "fluxtap-gen"

/* Writes all frames to a pcap file ("-": standard output). Returns 0 or -errno. */
int out_pcap(struct ft_gen *g, const char *file);

enum out_pace { OUT_PACE_EVENT, OUT_PACE_RATE };

/*
 * Hands all frames to an interface through a packet socket: by their own times, or `rate_pps` a
 * second (0: as fast as the kernel takes them). Says on standard error how many the kernel took.
 * Returns 0, or -errno where a frame could not be sent or the interface counted drops meanwhile;
 * *is_denied: for lack of permission.
 */
int out_send(struct ft_gen *g, const char *iface, enum out_pace pace, double rate_pps,
	     bool *is_denied);

/* Writes the books and what they are of. Returns 0 or -errno. */
int out_truth(struct ft_gen *g, const struct ft_gen_opts *opts, const char *file);

#endif
