/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Wrappings: tags and tunnels around an IP packet, from the inside out, each octet as its RFC
 * says. Called from the generator's thread.
 */
#ifndef FLUXTAP_GEN_WRAP_H
#define FLUXTAP_GEN_WRAP_H

#include "gen_frame.h"

struct ft_gen;

/* How many wrappings there are; number 0 is none. */
unsigned gen_wrap_count(void);
/* What it is called, and what a probe should say of its outermost headers: VLAN ids (-1: none),
 * tunnel (NULL: none) and its id (-1: none). has_ip: there is an IP header around the tunnel, of
 * either family, which may come in fragments. too_deep: more tunnels than a probe has to follow. */
struct gen_wrap_facts {
	const char *name;
	int vlan[2];
	const char *tunnel;
	int64_t id;
	bool has_ip, too_deep;
};
struct gen_wrap_facts gen_wrap_facts(unsigned wrap);

/* Sends an IP packet as path->wrap says; returns when the last frame goes. */
uint64_t gen_wrap_send(struct ft_gen *g, const struct gen_path *path, enum gen_dir dir,
		       uint64_t ts_us, const uint8_t *packet, uint32_t len);

#endif
