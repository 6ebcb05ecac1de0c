/* SPDX-License-Identifier: BSD-3-Clause */
#include "../../dataplane/rx_xdp.h"
#include "xdp_lab.h"

#include <bpf/bpf.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <stddef.h>
#include <stdio.h>
#include <unistd.h>

/* A program that stamps as a device would whose clock is `ahead_ns` away from ours. */
static int stamper_load(int sockets_fd, uint64_t ahead_ns)
{
#define WIDE(reg, from, v)                                                                         \
	{.code = BPF_LD | BPF_DW | BPF_IMM, .dst_reg = (reg), .src_reg = (from), .imm = (int)(v)}, \
	{                                                                                          \
		.imm = (int)((uint64_t)(v) >> 32)                                                  \
	}
#define CALL(f)                                                                                    \
	{                                                                                          \
		.code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_##f                                    \
	}
#define COPY(to, from)                                                                             \
	{                                                                                          \
		.code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = (to), .src_reg = (from)            \
	}
#define LOAD(to, from, at)                                                                         \
	{                                                                                          \
		.code = BPF_LDX | BPF_MEM | BPF_W, .dst_reg = (to), .src_reg = (from), .off = (at) \
	}
#define STORE(to, at, from)                                                                        \
	{                                                                                          \
		.code = BPF_STX | BPF_MEM | BPF_DW, .dst_reg = (to), .src_reg = (from),            \
		.off = (at)                                                                        \
	}
	const struct bpf_insn in[] = {
	    COPY(6, 1), /* the context */
	    CALL(ktime_get_ns),
	    COPY(7, 0),
	    WIDE(8, 0, ahead_ns),
	    {.code = BPF_ALU64 | BPF_ADD | BPF_X, .dst_reg = 7, .src_reg = 8},
	    COPY(1, 6),
	    {.code = BPF_ALU64 | BPF_MOV | BPF_K,
	     .dst_reg = 2,
	     .imm = -(int)sizeof(struct ft_xdp_meta)},
	    CALL(xdp_adjust_meta),
	    {.code = BPF_JMP | BPF_JNE | BPF_K, .dst_reg = 0, .off = 15}, /* no room */
	    LOAD(2, 6, offsetof(struct xdp_md, data_meta)),
	    LOAD(3, 6, offsetof(struct xdp_md, data)),
	    COPY(4, 2),
	    {.code = BPF_ALU64 | BPF_ADD | BPF_K, .dst_reg = 4, .imm = sizeof(struct ft_xdp_meta)},
	    {.code = BPF_JMP | BPF_JGT | BPF_X, .dst_reg = 4, .src_reg = 3, .off = 10},
	    WIDE(5, 0, FT_XDP_META_DEVICE),
	    STORE(2, offsetof(struct ft_xdp_meta, magic), 5),
	    STORE(2, offsetof(struct ft_xdp_meta, time_ns), 7),
	    WIDE(1, BPF_PSEUDO_MAP_FD, (uint32_t)sockets_fd),
	    LOAD(2, 6, offsetof(struct xdp_md, rx_queue_index)),
	    {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 3, .imm = XDP_PASS},
	    CALL(redirect_map),
	    {.code = BPF_JMP | BPF_EXIT},
	    {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = XDP_PASS},
	    {.code = BPF_JMP | BPF_EXIT},
	};

	return bpf_prog_load(BPF_PROG_TYPE_XDP, "stamper", "GPL", in, sizeof(in) / sizeof(in[0]),
			     NULL);
}

#define STAMPED 4096u /* frames at a time: they fit into the socket's ring */

/* Sends STAMPED frames through the program, and looks at their times: each lies between
 * the begin and the end of it all, in order. Returns how many do not. */
static unsigned stamped(int fd, int ifindex, struct rx *rx)
{
	static const uint8_t frame[112]; /* nobody reads it */
	struct xdp_md in = {.data_end = sizeof(frame), .ingress_ifindex = (uint32_t)ifindex};
	struct bpf_test_run_opts o = {
	    .sz = sizeof(o),
	    .data_in = frame,
	    .data_size_in = sizeof(frame),
	    .ctx_in = &in,
	    .ctx_size_in = sizeof(in),
	    .repeat = STAMPED,
	    .flags = BPF_F_TEST_XDP_LIVE_FRAMES,
	};
	const uint64_t begin_us = rx_now_us() - 1;
	unsigned n = 0, bad = 0;
	uint64_t last_us = 0;
	struct batch b;

	if (bpf_prog_test_run_opts(fd, &o) != 0)
		return UINT32_MAX;
	while (rx->ops->recv(rx, &b) > 0) {
		for (uint32_t i = 0; i < b.n; i++, n++) {
			const uint64_t t_us = b.pkt[i].ts_us;

			bad += t_us < begin_us || t_us > rx_now_us() || t_us < last_us;
			last_us = t_us;
		}
		rx->ops->release(rx, &b);
	}
	return n == STAMPED ? bad : UINT32_MAX;
}

/* Device clocks anywhere, and one that is set while we run: refused so often as rx_clock.h
 * says, and then followed. The times told lie right all along. */
int lab_stamps(const char *name)
{
	static const uint64_t ahead_ns[] = {0, 37000000000ull, 1780000000000000000ull,
					    0ull - 3600000000000ull};
	const uint32_t queue = 0;
	const int ifindex = (int)if_nametoindex(name);
	const int map = bpf_map_create(BPF_MAP_TYPE_XSKMAP, "sockets", 4, 4, 1, NULL);
	const struct rx_xdp_opts o = {
	    .ifname = name,
	    .queues = &queue,
	    .n_queues = 1,
	    .sockets_fd = map,
	    .frame_bytes = 2048,
	    .ring_len = 2 * STAMPED,
	    .copy = RX_XDP_COPY,
	    .link = LINK_ETHERNET,
	};
	struct bpf_link_create_opts drv = {.sz = sizeof(drv), .flags = XDP_FLAGS_DRV_MODE};
	unsigned bad = 0;
	char err[256] = "";
	int fd = stamper_load(map, ahead_ns[0]);
	const int link = bpf_link_create(fd, ifindex, BPF_XDP, &drv);
	struct rx *rx = link >= 0 ? rx_xdp_create(&o, err, sizeof(err)) : NULL;

	if (rx == NULL) {
		printf("FAILED: map %d program %d link %d %s\n", map, fd, link, err);
		return 3;
	}
	for (size_t i = 0; i < sizeof(ahead_ns) / sizeof(ahead_ns[0]); i++) {
		uint64_t believed, odd;

		if (i > 0) {
			(void)close(fd);
			fd = stamper_load(map, ahead_ns[i]);
			bad += bpf_link_update(link, fd, NULL) != 0;
		}
		const unsigned wrong = stamped(fd, ifindex, rx);
		rx_xdp_stamps(rx, &believed, &odd);
		printf("clock %zu: %u wrong, %lu stamps believed, %lu not\n", i, wrong, believed,
		       odd);
		bad += wrong != 0 || odd != i * RX_DEVICE_ODD_RUN ||
		       believed + odd != (i + 1) * STAMPED;
	}
	rx->ops->destroy(rx);
	(void)close(link);
	(void)close(fd);
	(void)close(map);
	printf(bad == 0 ? "ok: stamps\n" : "NOT OK: stamps\n");
	return bad != 0;
}
