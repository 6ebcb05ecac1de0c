/* SPDX-License-Identifier: BSD-3-Clause */
#include "gen_state.h"
#include "gen_wrap.h"

#include <endian.h>
#include <string.h>

enum {
	ETHER_HEADER = 14,
	ETHER_LEAST = 60,
	TAG_LEN = 4,
	IP4_HEADER = 20,
	IP6_HEADER = 40,
	FRAGMENT_HEADER = 8,
	EXT_HEADER = 8,
	TCP_HEADER = 20,
	TCP_TIMESTAMPS = 12,
	TCP_MSS_OPTION = 4,
	PROTO_UDP = 17,
	PROTO_TCP = 6,
	PROTO_HOP_BY_HOP = 0,
	PROTO_FRAGMENT = 44,
	PROTO_DEST_OPTIONS = 60,
	ETHERTYPE_IP4 = 0x0800,
	ETHERTYPE_IP6 = 0x86dd,
	ETHERTYPE_VLAN = 0x8100,
	ETHERTYPE_QINQ = 0x88a8,
	IP4_DF = 0x4000,
	IP4_MF = 0x2000,
};

/* One IP packet to come: which part of the datagram at g->l4 it carries. */
struct part {
	uint32_t off, len;
	uint32_t ident;
	bool is_fragment, is_last;
	uint8_t protocol;
};

static uint8_t *put_u16(uint8_t *p, unsigned v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
	return p + 2;
}

static uint8_t *put_u32(uint8_t *p, uint32_t v)
{
	return put_u16(put_u16(p, v >> 16), v & 0xffff);
}

/* Adds up 32-bit words as they lie in memory; the fold and the swap come at the end. */
static uint64_t sum_octets(const uint8_t *p, uint32_t len, uint64_t sum)
{
	uint32_t word;

	for (; len >= 4; len -= 4, p += 4) {
		memcpy(&word, p, 4);
		sum += word;
	}
	word = 0;
	memcpy(&word, p, len);
	return sum + word;
}

static uint16_t sum_fold(uint64_t sum)
{
	sum = (sum & UINT32_MAX) + (sum >> 32);
	sum = (sum & UINT32_MAX) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~be16toh((uint16_t)sum);
}

uint16_t gen_frame_l4_checksum(const struct ft_gen *g, const struct gen_path *path,
			       uint8_t protocol, uint32_t len)
{
	uint32_t octets = path->is_v6 ? 16 : 4;
	uint8_t tail[8] = {0};
	uint64_t sum;

	put_u32(tail, len);
	tail[7] = protocol;
	sum = sum_octets(path->client.b, octets, 0);
	sum = sum_octets(path->server.b, octets, sum);
	sum = sum_octets(tail, sizeof(tail), sum);
	return sum_fold(sum_octets(g->l4, len, sum));
}

static uint8_t *write_ether(uint8_t *p, const struct gen_path *path, enum gen_dir dir)
{
	static const uint8_t mac[2][6] = {{2, 0, 0, 0, 0, 1}, {2, 0, 0, 0, 0, 2}};

	memcpy(p, mac[dir == GEN_TO_SERVER], 6);
	memcpy(p + 6, mac[dir == GEN_TO_CLIENT], 6);
	p += 12;
	for (unsigned i = 0; i < path->tags; i++) {
		p = put_u16(p, i + 1 < path->tags ? ETHERTYPE_QINQ : ETHERTYPE_VLAN);
		p = put_u16(p, 100 + i);
	}
	return put_u16(p, path->is_v6 ? ETHERTYPE_IP6 : ETHERTYPE_IP4);
}

static uint32_t ip_header_len(const struct gen_path *path, bool is_fragment)
{
	if (!path->is_v6)
		return IP4_HEADER + path->ip4_options;
	return IP6_HEADER + (path->has_hop_by_hop ? (uint32_t)EXT_HEADER : 0) +
	       (is_fragment              ? (uint32_t)FRAGMENT_HEADER
		: path->has_dest_options ? (uint32_t)EXT_HEADER
					 : 0);
}

static uint8_t *write_ip4(uint8_t *p, const struct gen_path *path, enum gen_dir dir,
			  const struct part *part)
{
	uint8_t *begin = p;
	uint32_t header = IP4_HEADER + path->ip4_options;
	unsigned frag =
	    part->off / 8 | (part->is_fragment ? (part->is_last ? 0U : IP4_MF) : IP4_DF);

	*p++ = (uint8_t)(4 << 4 | header / 4);
	*p++ = 0;
	p = put_u16(p, header + part->len);
	p = put_u16(p, part->ident);
	p = put_u16(p, frag);
	*p++ = dir == GEN_TO_SERVER ? 57 : 63;
	*p++ = part->protocol;
	p = put_u16(p, 0);
	memcpy(p, dir == GEN_TO_SERVER ? path->client.b : path->server.b, 4);
	memcpy(p + 4, dir == GEN_TO_SERVER ? path->server.b : path->client.b, 4);
	p += 8;
	if (path->ip4_options) { /* router alert (RFC 2113), then no-operations */
		p = put_u32(p, UINT32_C(0x94040000));
		memset(p, 1, path->ip4_options - 4U);
		p += path->ip4_options - 4U;
	}
	put_u16(begin + 10, sum_fold(sum_octets(begin, header, 0)));
	return p;
}

/* An options header whose eight octets are padding (RFC 8200, section 4.2). */
static uint8_t *write_ext(uint8_t *p, uint8_t next)
{
	static const uint8_t pad[7] = {0, 1, 4, 0, 0, 0, 0};

	*p++ = next;
	memcpy(p, pad, sizeof(pad));
	return p + sizeof(pad);
}

static uint8_t *write_ip6(uint8_t *p, const struct gen_path *path, enum gen_dir dir,
			  const struct part *part)
{
	bool has_dest = path->has_dest_options && !part->is_fragment;
	uint8_t next = part->is_fragment ? PROTO_FRAGMENT
		       : has_dest        ? PROTO_DEST_OPTIONS
					 : part->protocol;

	p = put_u32(p, UINT32_C(6) << 28 | (part->ident & 0xfffff));
	p = put_u16(p, ip_header_len(path, part->is_fragment) - IP6_HEADER + part->len);
	*p++ = path->has_hop_by_hop ? PROTO_HOP_BY_HOP : next;
	*p++ = dir == GEN_TO_SERVER ? 57 : 63;
	memcpy(p, dir == GEN_TO_SERVER ? path->client.b : path->server.b, 16);
	memcpy(p + 16, dir == GEN_TO_SERVER ? path->server.b : path->client.b, 16);
	p += 32;
	if (path->has_hop_by_hop)
		p = write_ext(p, next);
	if (has_dest)
		p = write_ext(p, part->protocol);
	if (part->is_fragment) {
		*p++ = part->protocol;
		*p++ = 0;
		p = put_u16(p, part->off | !part->is_last);
		p = put_u32(p, part->ident);
	}
	return p;
}

static struct gen_slot *open_slot(struct ft_gen *g, uint32_t len)
{
	struct gen_slot *slot = gen_queue_get(&g->queue, len);

	if (!slot)
		g->is_short_of_memory = true;
	return slot;
}

static void close_slot(struct ft_gen *g, uint64_t ts_us, struct gen_slot *slot)
{
	g->totals->packets++;
	g->totals->bytes += slot->len;
	if (gen_queue_push(&g->queue, ts_us, slot) != 0)
		g->is_short_of_memory = true;
}

static uint64_t send_wrapped(struct ft_gen *g, const struct gen_path *path, enum gen_dir dir,
			     uint64_t ts_us, const struct part *part)
{
	uint8_t packet[GEN_MTU];
	uint8_t *p =
	    path->is_v6 ? write_ip6(packet, path, dir, part) : write_ip4(packet, path, dir, part);

	memcpy(p, g->l4 + part->off, part->len);
	g->totals->fragments += part->is_fragment;
	return gen_wrap_send(g, path, dir, ts_us, packet, (uint32_t)(p - packet) + part->len);
}

/* Returns when its last frame goes. */
static uint64_t send_part(struct ft_gen *g, const struct gen_path *path, enum gen_dir dir,
			  uint64_t ts_us, const struct part *part)
{
	if (path->wrap != 0)
		return send_wrapped(g, path, dir, ts_us, part);
	uint32_t head =
	    ETHER_HEADER + path->tags * (uint32_t)TAG_LEN + ip_header_len(path, part->is_fragment);
	struct gen_slot *slot = open_slot(g, head + part->len);
	uint8_t *p;

	if (!slot)
		return ts_us;
	p = write_ether(slot->data, path, dir);
	p = path->is_v6 ? write_ip6(p, path, dir, part) : write_ip4(p, path, dir, part);
	memcpy(p, g->l4 + part->off, part->len);
	g->totals->fragments += part->is_fragment;
	close_slot(g, ts_us, slot);
	return ts_us;
}

/* Sends `len` octets at g->l4 in as many packets as they need; returns the time of the last one
 * sent. */
static uint64_t send_parts(struct ft_gen *g, const struct gen_path *path, enum gen_dir dir,
			   uint64_t ts_us, uint8_t protocol, uint32_t len)
{
	struct part part = {.len = len, .is_last = true, .protocol = protocol};
	uint32_t room, count;

	part.ident = (uint32_t)gen_mix64(g->totals->packets ^ g->id_salt) &
		     (path->is_v6 ? UINT32_MAX : 0xffff);
	if (ip_header_len(path, false) + len <= path->mtu) {
		return send_part(g, path, dir, ts_us, &part);
	}
	part.is_fragment = true;
	room = (path->mtu - ip_header_len(path, true)) / 8 * 8;
	count = (len + room - 1) / room;
	for (uint32_t i = 0; i < count; i++) {
		uint32_t k = path->is_reversed ? count - 1 - i : i;

		if (i > 0)
			ts_us += GEN_FRAGMENT_GAP_US;
		part.off = k * room;
		part.is_last = k + 1 == count;
		part.len = part.is_last ? len - part.off : room;
		ts_us = send_part(g, path, dir, ts_us, &part);
	}
	return ts_us;
}

uint64_t gen_frame_udp(struct ft_gen *g, const struct gen_path *path, enum gen_dir dir,
		       uint64_t ts_us, uint32_t len)
{
	bool is_up = dir == GEN_TO_SERVER;
	uint8_t *p = g->l4;
	uint16_t sum;

	len += GEN_UDP_HEADER;
	p = put_u16(p, is_up ? path->client_port : path->server_port);
	p = put_u16(p, is_up ? path->server_port : path->client_port);
	p = put_u16(p, len);
	put_u16(p, 0);
	if (path->is_v6 || !path->lacks_checksum) {
		sum = gen_frame_l4_checksum(g, path, PROTO_UDP, len);
		put_u16(p, sum ? sum : 0xffff);
	}
	return send_parts(g, path, dir, ts_us, PROTO_UDP, len);
}

static uint8_t *write_tcp_options(uint8_t *p, const struct gen_segment *segment)
{
	if (segment->flags & GEN_SYN) {
		p = put_u16(p, 0x0204);
		p = put_u16(p, 1440);
	}
	if (segment->has_timestamps) {
		p = put_u32(p, 0x0101080a);
		p = put_u32(p, segment->clock);
		p = put_u32(p, segment->flags & GEN_ACK ? segment->clock - 20 : 0);
	}
	if (segment->option_len != 0) {
		memcpy(p, segment->option, segment->option_len);
		p += segment->option_len;
		for (unsigned i = segment->option_len; i % 4 != 0; i++)
			*p++ = 1; /* no operation */
	}
	return p;
}

void gen_frame_tcp(struct ft_gen *g, const struct gen_path *path, enum gen_dir dir, uint64_t ts_us,
		   const struct gen_segment *segment, const uint8_t *data, uint32_t len)
{
	bool is_up = dir == GEN_TO_SERVER;
	uint8_t *p = g->l4;
	uint32_t header = TCP_HEADER + (segment->flags & GEN_SYN ? (uint32_t)TCP_MSS_OPTION : 0) +
			  (segment->has_timestamps ? (uint32_t)TCP_TIMESTAMPS : 0) +
			  (segment->option_len + 3u) / 4 * 4;

	p = put_u16(p, is_up ? path->client_port : path->server_port);
	p = put_u16(p, is_up ? path->server_port : path->client_port);
	p = put_u32(p, segment->seq);
	p = put_u32(p, segment->flags & GEN_ACK ? segment->ack : 0);
	*p++ = (uint8_t)(header / 4 << 4);
	*p++ = segment->flags;
	p = put_u16(p, 64000);
	p = put_u32(p, 0);
	p = write_tcp_options(p, segment);
	if (len > 0)
		memcpy(p, data, len);
	put_u16(g->l4 + 16, gen_frame_l4_checksum(g, path, PROTO_TCP, header + len));
	g->totals->tcp_packets += path->server_port == GEN_DNS_PORT;
	send_parts(g, path, dir, ts_us, PROTO_TCP, header + len);
}

void gen_frame_ip(struct ft_gen *g, const struct gen_path *path, enum gen_dir dir, uint64_t ts_us,
		  uint8_t protocol, uint32_t len)
{
	send_parts(g, path, dir, ts_us, protocol, len);
}

void gen_frame_first(struct ft_gen *g, const struct gen_path *path, uint64_t ts_us, uint32_t ident,
		     uint8_t protocol, uint32_t len)
{
	const struct part part = {.len = len,
				  .ident = path->is_v6 ? ident : ident & 0xffff,
				  .is_fragment = true,
				  .protocol = protocol};

	send_part(g, path, GEN_TO_SERVER, ts_us, &part);
}

void gen_frame_whole(struct ft_gen *g, uint64_t ts_us, const uint8_t *data, uint32_t len)
{
	struct gen_slot *slot = open_slot(g, len);

	if (!slot)
		return;
	memcpy(slot->data, data, len);
	close_slot(g, ts_us, slot);
}

void gen_frame_raw(struct ft_gen *g, uint64_t ts_us, uint16_t ethertype, const uint8_t *data,
		   uint32_t len)
{
	static const uint8_t macs[12] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 1};
	uint32_t total =
	    ETHER_HEADER + len < ETHER_LEAST ? (uint32_t)ETHER_LEAST : ETHER_HEADER + len;
	struct gen_slot *slot = open_slot(g, total);

	if (!slot)
		return;
	memset(slot->data, 0, total);
	memcpy(slot->data, macs, sizeof(macs));
	put_u16(slot->data + 12, ethertype);
	memcpy(slot->data + ETHER_HEADER, data, len);
	close_slot(g, ts_us, slot);
}
