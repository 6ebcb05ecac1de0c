/* SPDX-License-Identifier: BSD-3-Clause */
/* Entries of FT_REC_TAP: what came with the same tags, the outer headers that tell one
 * tap from another. Entries of one tag and interval add up. Readers take any octets. */
#ifndef FLUXTAP_REC_TAP_H
#define FLUXTAP_REC_TAP_H

#include <fluxtap/varint.h>

/* The outermost tunnel. X(NAME, text) */
#define FT_TUNNELS(X)                                                                              \
	X(NONE, "none")                                                                            \
	X(MPLS, "mpls")     /* id: outermost label */                                              \
	X(PPPOE, "pppoe")   /* without an id: a session is a subscriber, no tap */                 \
	X(GRE, "gre")       /* id: key */                                                          \
	X(ERSPAN, "erspan") /* id: session */                                                      \
	X(VXLAN, "vxlan")   /* id: VNI */                                                          \
	X(GENEVE, "geneve") /* id: VNI */                                                          \
	X(L2TP, "l2tp")     /* id: tunnel, without its sessions */                                 \
	X(IPIP, "ipip")     /* IPv4 or IPv6 in either; no id */

enum ft_tunnel {
#define X(n, t) FT_TUNNEL_##n,
	FT_TUNNELS(X)
#undef X
	    FT_TUNNEL_CAP
};

#define FT_TAG_VLANS 2u /* the outermost ones */

/* Tags in 64 bits, 0 without any: tunnel (4), has an id (1), VLANs (2), one bit free, VLAN
 * ids outermost first (12 each), tunnel id (32). */
static inline enum ft_tunnel ft_tag_tunnel(uint64_t tag)
{
	return (enum ft_tunnel)(tag & 15);
}

static inline bool ft_tag_has_id(uint64_t tag)
{
	return (tag >> 4 & 1) != 0;
}

static inline uint32_t ft_tag_id(uint64_t tag)
{
	return (uint32_t)(tag >> 32);
}

static inline unsigned ft_tag_vlans(uint64_t tag)
{
	return tag >> 5 & 3;
}

static inline unsigned ft_tag_vlan(uint64_t tag, unsigned i)
{
	return tag >> (8 + 12 * i) & 0xfff;
}

/* One VLAN tag more; those beyond the outermost are not kept. */
static inline uint64_t ft_tag_add_vlan(uint64_t tag, uint16_t tci)
{
	const unsigned n = ft_tag_vlans(tag);

	if (n == FT_TAG_VLANS || ft_tag_tunnel(tag) != FT_TUNNEL_NONE)
		return tag;
	return (tag + (1u << 5)) | (uint64_t)(tci & 0xfff) << (8 + 12 * n);
}

/* A tunnel's header; one inside another is not kept. */
static inline uint64_t ft_tag_add_tunnel(uint64_t tag, enum ft_tunnel kind, bool has_id,
					 uint32_t id)
{
	if (ft_tag_tunnel(tag) != FT_TUNNEL_NONE)
		return tag;
	return tag | (uint64_t)kind | (has_id ? (uint64_t)id << 32 | 1u << 4 : 0);
}

/* Could decode have made it? */
static inline bool ft_tag_is_sound(uint64_t tag)
{
	const unsigned n = ft_tag_vlans(tag);

	return tag != 0 && ft_tag_tunnel(tag) < FT_TUNNEL_CAP && n <= FT_TAG_VLANS &&
	       (tag >> 7 & 1) == 0 && (n == 2 || ft_tag_vlan(tag, 1) == 0) &&
	       (n != 0 || ft_tag_vlan(tag, 0) == 0) &&
	       (ft_tag_has_id(tag) ? ft_tag_tunnel(tag) != FT_TUNNEL_NONE : ft_tag_id(tag) == 0);
}

struct ft_tap {
	uint64_t tag;
	uint64_t packets, bytes; /* of frames, as on the wire */
	uint64_t messages;       /* that these packets completed */
};
#define FT_TAP_ENTRY_CAP (1 + sizeof(uint64_t) + 3 * FT_VARINT_CAP)

static inline uint8_t *ft_tap_write(uint8_t *p, const struct ft_tap *t)
{
	uint8_t *at = ft_put_u64(p + 1, t->tag);

	at = ft_put_varint(at, t->packets);
	at = ft_put_varint(at, t->bytes);
	at = ft_put_varint(at, t->messages);
	return ft_entry_close_brief(p, at);
}

/* The body of an entry; false where it cannot be. */
static inline bool ft_tap_read(struct ft_reader *body, struct ft_tap *t)
{
	t->tag = ft_get_u64(body);
	t->packets = ft_get_varint(body, INT64_MAX);
	t->bytes = ft_get_varint(body, INT64_MAX);
	t->messages = ft_get_varint(body, INT64_MAX);
	return !body->bad && body->at == body->end && ft_tag_is_sound(t->tag);
}

#endif
