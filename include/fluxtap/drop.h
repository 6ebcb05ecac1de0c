/* SPDX-License-Identifier: BSD-3-Clause */
/* The one list of reasons why a packet or a message leaves early.
 *
 * Each reason is an enum value, a metric name and a text, all made from one
 * line here. A drop that has no reason in this list cannot be written down, so
 * the ledger would not close; add the line first. */
#ifndef FLUXTAP_DROP_H
#define FLUXTAP_DROP_H

/* Packets: reasons to leave in stage 2 (decode). X(NAME, metric, text) */
#define FT_PKT_DROPS(X)                                                                            \
	X(TRUNCATED, truncated, "cut by the capture's snap length")                                \
	X(NOT_IP, not_ip, "neither IPv4 nor IPv6 under the link layer")                            \
	X(BAD_LINK, bad_link, "link-layer or tunnel header is damaged")                            \
	X(BAD_IP, bad_ip, "IP header is damaged or its length is impossible")                      \
	X(BAD_L4, bad_l4, "UDP or TCP header is damaged or its length is impossible")              \
	X(NOT_DNS, not_dns, "IP, but no DNS port or another protocol")                             \
	X(EMPTY, empty, "UDP datagram without a payload")                                          \
	X(DUPLICATE, duplicate, "a copy of a packet that another mirror port gave (--dedup)")      \
	X(TUNNEL_DEPTH, tunnel_depth, "more tunnels inside one another than allowed")              \
	X(FRAG_BAD, frag_bad, "IP fragment with an impossible offset or length")                   \
	X(FRAG_OVERLAP, frag_overlap, "IP fragments overlap; the datagram is given up")            \
	X(FRAG_DUPLICATE, frag_duplicate, "exact copy of an IP fragment already held")             \
	X(FRAG_TIMEOUT, frag_timeout, "IP fragments whose datagram never became whole")            \
	X(FRAG_FULL, frag_full, "pushed out of the IP fragment table by newer ones")               \
	X(TCP_MIDSTREAM, tcp_midstream, "TCP bytes of a stream whose beginning is unknown")        \
	X(TCP_GAP, tcp_gap, "TCP bytes after a gap, before the stream could resume")               \
	X(TCP_FULL, tcp_full, "TCP bytes for which the reassembly budget had no room")             \
	X(ENCRYPTED, encrypted, "DNS over TLS, QUIC or HTTPS: counted by its headers alone")

/* Messages: reasons to leave in stages 3 (parse) and 4 (pair). */
#define FT_MSG_DROPS(X)                                                                            \
	X(SHORT, short, "shorter than a DNS header")                                               \
	X(QUESTION_CUT, question_cut, "the message ends inside its question section")              \
	X(BAD_LABEL, bad_label, "a label type that no standard defines")                           \
	X(NAME_LOOP, name_loop, "a compression pointer that does not lead backwards")              \
	X(NAME_LONG, name_long, "a name of more than 255 octets")                                  \
	X(PAIR_FULL, pair_full, "no room for one more waiting query")

enum ft_pkt_drop {
	FT_PKT_CARRIED = 0, /* not dropped */
#define X(n, m, t) FT_PKT_##n,
	FT_PKT_DROPS(X)
#undef X
	    FT_PKT_DROP_CAP,
	FT_PKT_HELD = 255 /* waits as a fragment; settles later */
};

enum ft_msg_drop {
	FT_MSG_KEPT = 0,
#define X(n, m, t) FT_MSG_##n,
	FT_MSG_DROPS(X)
#undef X
	    FT_MSG_DROP_CAP
};

struct ft_drop_text {
	const char *metric, *text;
};

/* Indexed by the enums above; entry 0 is the "not dropped" one. */
static const struct ft_drop_text ft_pkt_drop_texts[FT_PKT_DROP_CAP] = {{"carried", "went on"},
#define X(n, m, t) {#m, t},
								       FT_PKT_DROPS(X)
#undef X
};
static const struct ft_drop_text ft_msg_drop_texts[FT_MSG_DROP_CAP] = {{"kept", "went on"},
#define X(n, m, t) {#m, t},
								       FT_MSG_DROPS(X)
#undef X
};

#endif
