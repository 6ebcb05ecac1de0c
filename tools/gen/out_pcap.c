/* SPDX-License-Identifier: BSD-3-Clause */
#include "out.h"

#include <errno.h>
#include <pcap/pcap.h>
#include <stdio.h>
#include <string.h>

enum { SNAP_LEN = 65535 };

static int complain(const char *file, int error)
{
	fprintf(stderr, OUT_PROGRAM ": --pcap %s: %s\n", file, strerror(error));
	return -error;
}

static int dump_frames(struct ft_gen *g, pcap_dumper_t *dumper)
{
	struct ft_gen_frame f;
	int r;

	while ((r = ft_gen_next(g, &f)) == 1) {
		struct pcap_pkthdr h = {
		    .ts = {.tv_sec = (time_t)(f.ts_us / 1000000),
			   .tv_usec = (suseconds_t)(f.ts_us % 1000000)},
		    .caplen = f.len,
		    .len = f.len,
		};

		pcap_dump((u_char *)dumper, &h, f.data);
		if (ferror(pcap_dump_file(dumper)))
			return -(errno ? errno : EIO);
	}
	if (r == 0 && pcap_dump_flush(dumper) != 0)
		r = -(errno ? errno : EIO);
	return r;
}

int out_pcap(struct ft_gen *g, const char *file)
{
	pcap_t *dead = pcap_open_dead(DLT_EN10MB, SNAP_LEN);
	pcap_dumper_t *dumper;
	int r;

	if (!dead)
		return complain(file, ENOMEM);
	dumper = pcap_dump_open(dead, file);
	if (!dumper) {
		fprintf(stderr, OUT_PROGRAM ": --pcap %s\n", pcap_geterr(dead));
		r = -EIO;
		goto close_dead;
	}
	r = dump_frames(g, dumper);
	if (r < 0)
		complain(file, -r);
	pcap_dump_close(dumper);
close_dead:
	pcap_close(dead);
	return r;
}
