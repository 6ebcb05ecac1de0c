/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Frames of the generator: Ethernet, tags, IPv4, IPv6, UDP, TCP and fragments around a payload, put
 * into the queue. Called from the generator's thread; a lack of memory is remembered in the
 * generator and seen by ft_gen_next.
 */
#ifndef FLUXTAP_GEN_FRAME_H
#define FLUXTAP_GEN_FRAME_H

#include <stdbool.h>
#include <stdint.h>

struct ft_gen;

enum {
	GEN_MTU = 1500,
	GEN_DNS_PORT = 53,
};

enum gen_dir { GEN_TO_SERVER, GEN_TO_CLIENT };

/* One address: four octets or sixteen, the rest zero. */
struct gen_addr {
	uint8_t b[16];
};

/* What stands around the payloads of a flow. */
struct gen_path {
	struct gen_addr client, server;
	uint16_t client_port, server_port;
	uint16_t mtu; /* octets of an IP packet */
	bool is_v6, is_tcp;
	uint8_t tags;          /* VLAN tags: 0 to 2 */
	uint8_t ip4_options;   /* octets, a multiple of 4 */
	bool has_hop_by_hop;   /* IPv6 extension headers */
	bool has_dest_options; /* only where nothing is fragmented */
	bool is_reversed;      /* fragments: the last comes first */
	bool lacks_checksum;   /* UDP over IPv4 */
	uint8_t wrap;          /* see gen_wrap.h; then without tags */
	bool is_wrap_v6;       /* family of its outer IP headers */
	uint16_t wrap_mtu;     /* the outermost of them comes in fragments above this; 0: whole */
};

enum gen_tcp_flag { GEN_FIN = 1, GEN_SYN = 2, GEN_RST = 4, GEN_PSH = 8, GEN_ACK = 16 };

struct gen_segment {
	uint32_t seq, ack;
	uint8_t flags;
	bool has_timestamps;
	uint32_t clock;        /* of the time-stamp option */
	const uint8_t *option; /* one more, or NULL */
	uint8_t option_len;
};

enum {
	GEN_L4_ROOM = 64,   /* headers in front of a payload */
	GEN_UDP_HEADER = 8, /* the payload of a datagram begins at g->l4 + this */
	GEN_FRAGMENT_GAP_US = 3,
};

/* Sends the `len` octets at g->l4 + GEN_UDP_HEADER, in fragments where they do not fit; returns
 * when the last goes. */
uint64_t gen_frame_udp(struct ft_gen *g, const struct gen_path *path, enum gen_dir dir,
		       uint64_t ts_us, uint32_t len);

/* Sends one segment; it has to fit the MTU. */
void gen_frame_tcp(struct ft_gen *g, const struct gen_path *path, enum gen_dir dir, uint64_t ts_us,
		   const struct gen_segment *segment, const uint8_t *data, uint32_t len);

/* Sends `len` octets at g->l4 as the payload of IP under `protocol`, unfragmented, without touching
 * them. */
void gen_frame_ip(struct ft_gen *g, const struct gen_path *path, enum gen_dir dir, uint64_t ts_us,
		  uint8_t protocol, uint32_t len);

/* Sends an Ethernet payload of any type, padded to the least frame. */
void gen_frame_raw(struct ft_gen *g, uint64_t ts_us, uint16_t ethertype, const uint8_t *data,
		   uint32_t len);

/* Sends `len` octets at g->l4, a multiple of 8, as the first fragment of a datagram. */
void gen_frame_first(struct ft_gen *g, const struct gen_path *path, uint64_t ts_us, uint32_t ident,
		     uint8_t protocol, uint32_t len);

/* Sends a frame as it is. */
void gen_frame_whole(struct ft_gen *g, uint64_t ts_us, const uint8_t *data, uint32_t len);

/* The checksum of the `len` octets at g->l4 under the pseudo header of `path`. */
uint16_t gen_frame_l4_checksum(const struct ft_gen *g, const struct gen_path *path,
			       uint8_t protocol, uint32_t len);

#endif
