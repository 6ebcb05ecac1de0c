/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fluxtap-gen: makes DNS traffic for tests, as a capture file or on an interface, and says what is
 * in it.
 */
#include "out.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_LACKING = 3 };

struct settings {
	struct ft_gen_opts gen;
	const char *truth, *pcap, *iface;
	enum out_pace pace;
	double rate_pps;
};

static const char help[] =
    "usage: fluxtap-gen [OPTION]... (--pcap FILE | --send IFACE)\n"
    "Makes DNS traffic, the same for the same options, and says exactly what is in it.\n"
    "\n"
    "  --scenario NAME  mix (default): answered UDP transactions, Zipf names and clients\n"
    "                   flood: no qname twice, NXDOMAIN; zoo: everything, in small numbers\n"
    "                   cname-flux: a day of CNAME owners at five caching resolvers, one of\n"
    "                   each kind of change for 80000 of them, and at least two\n"
    "                   ip-flux: addresses and name servers that move\n"
    "                   botnet: names of a botnet before and after they get a sinkhole, 50 h or\n"
    "                   as many parts of a shorter duration; botnet-stages: the same names\n"
    "                   under each way to answer, an hour each\n"
    "                   errors: block list look-ups and failures of every class\n"
    "                   dga: bots that try generated names, among a small mix\n"
    "                   kumamoto: a day of a campus whose resolver stops for twelve hours\n"
    "                   cookies: DNS cookies, in the shares of a published study\n"
    "                   servers: name servers that lose, stop, are late or are asked twice\n"
    "                   transport: Fast Open, truncated answers, zone transfers, encrypted DNS\n"
    "                   hijack: 55 minutes of one, and what only looks like it\n"
    "                   caches: what falling TTLs say of resolvers, and who snoops, an hour\n"
    "                   tunnels: every wrapping, either family, UDP and TCP, whole and in\n"
    "                   fragments; syn-flood, fragment-flood, name-flood, tiny-flood: N\n"
    "                   hostile packets, and a pair of the mix after every tenth\n"
    "  --seed N         another seed, other traffic (default 1)\n"
    "  --pairs N        query/response pairs (mix 1000000, flood 2000000);\n"
    "                   zoo: scenes, some of which hold several (20000);\n"
    "                   cname-flux: 400000; ip-flux 1170: 30 rounds\n"
    "  --duration S     event time they take (mix and flood 600, zoo 300, cname-flux a day,\n"
    "                   ip-flux 3600)\n"
    "  --start EPOCH_S  event time of the first (default 2026-01-01T00:00:00Z)\n"
    "  --names N        distinct names to draw from (mix 5000000, zoo 20000,\n"
    "                   cname-flux 160000)\n"
    "  --clients N      clients (mix and flood 100000, zoo 2000)\n"
    "  --servers N      servers (8)\n"
    "  --truth FILE     write what was made, counted by interval and vantage, as JSON\n"
    "  --interval S     length of these intervals, divides 86400 (default 60)\n"
    "  --pcap FILE      write a capture file (- is standard output)\n"
    "  --send IFACE     send the frames out of an interface (needs CAP_NET_RAW)\n"
    "  --rate PPS       frames a second to send, 0 as fast as possible\n"
    "                   (default: by their event times)\n"
    "  --help           this text\n"
    "\n"
    "Exit: 0 done, 1 failed while running, 2 wrong use, 3 permission is lacking.\n";

enum option_id {
	OPTION_SCENARIO = 256,
	OPTION_SEED,
	OPTION_PAIRS,
	OPTION_DURATION,
	OPTION_START,
	OPTION_INTERVAL,
	OPTION_NAMES,
	OPTION_CLIENTS,
	OPTION_SERVERS,
	OPTION_TRUTH,
	OPTION_PCAP,
	OPTION_SEND,
	OPTION_RATE,
	OPTION_HELP,
};

static const struct option options[] = {
    {"scenario", required_argument, NULL, OPTION_SCENARIO},
    {"seed", required_argument, NULL, OPTION_SEED},
    {"pairs", required_argument, NULL, OPTION_PAIRS},
    {"duration", required_argument, NULL, OPTION_DURATION},
    {"start", required_argument, NULL, OPTION_START},
    {"interval", required_argument, NULL, OPTION_INTERVAL},
    {"names", required_argument, NULL, OPTION_NAMES},
    {"clients", required_argument, NULL, OPTION_CLIENTS},
    {"servers", required_argument, NULL, OPTION_SERVERS},
    {"truth", required_argument, NULL, OPTION_TRUTH},
    {"pcap", required_argument, NULL, OPTION_PCAP},
    {"send", required_argument, NULL, OPTION_SEND},
    {"rate", required_argument, NULL, OPTION_RATE},
    {"help", no_argument, NULL, OPTION_HELP},
    {NULL, 0, NULL, 0},
};

static const char *option_name(int id)
{
	for (const struct option *o = options; o->name; o++)
		if (o->val == id)
			return o->name;
	return "?";
}

static int read_integer(int id, const char *text, uint64_t least, uint64_t most, uint64_t *out)
{
	unsigned long long v;
	char *end;

	errno = 0;
	v = strtoull(text, &end, 10);
	if (text[0] < '0' || text[0] > '9' || *end || errno || v < least || v > most) {
		fprintf(stderr, OUT_PROGRAM ": --%s %s: expected an integer from %llu to %llu\n",
			option_name(id), text, (unsigned long long)least, (unsigned long long)most);
		return -EINVAL;
	}
	*out = v;
	return 0;
}

static int read_u32(int id, const char *text, uint32_t most, uint32_t *out)
{
	uint64_t v;

	if (read_integer(id, text, 1, most, &v) != 0)
		return -EINVAL;
	*out = (uint32_t)v;
	return 0;
}

static int read_number(int id, const char *text, double least, double *out)
{
	char *end;
	double v = strtod(text, &end);

	if (end == text || *end || !(v >= least && v <= 1e12)) {
		fprintf(stderr, OUT_PROGRAM ": --%s %s: expected a number from %g on\n",
			option_name(id), text, least);
		return -EINVAL;
	}
	*out = v;
	return 0;
}

static int read_scenario(const char *text, enum ft_gen_scenario *out)
{
	for (unsigned i = 0; i < FT_GEN_SCENARIOS; i++) {
		if (strcmp(text, ft_gen_scenario_name((enum ft_gen_scenario)i)) == 0) {
			*out = (enum ft_gen_scenario)i;
			return 0;
		}
	}
	fprintf(stderr,
		OUT_PROGRAM
		": --scenario %s: expected mix, flood, zoo, cname-flux, ip-flux, botnet "
		"botnet-stages, errors, dga, kumamoto, cookies, servers, transport, hijack, "
		"caches, tunnels, "
		"syn-flood, "
		"fragment-flood, name-flood or tiny-flood\n",
		text);
	return -EINVAL;
}

static int read_start(const char *text, uint64_t *out_us)
{
	uint64_t v;

	if (read_integer(OPTION_START, text, 1, UINT32_MAX, &v) != 0)
		return -EINVAL;
	*out_us = v * 1000000;
	return 0;
}

static int read_option(struct settings *s, int id, const char *text)
{
	switch (id) {
	case OPTION_SCENARIO: return read_scenario(text, &s->gen.scenario);
	case OPTION_SEED: return read_integer(id, text, 0, UINT64_MAX, &s->gen.seed);
	case OPTION_PAIRS: return read_integer(id, text, 1, INT32_MAX, &s->gen.pairs);
	case OPTION_DURATION: return read_number(id, text, 0.000001, &s->gen.duration_s);
	case OPTION_START: return read_start(text, &s->gen.start_us);
	case OPTION_INTERVAL: return read_u32(id, text, 86400, &s->gen.interval_s);
	case OPTION_NAMES: return read_u32(id, text, INT32_MAX, &s->gen.names);
	case OPTION_CLIENTS: return read_u32(id, text, 1 << 24, &s->gen.clients);
	case OPTION_SERVERS: return read_u32(id, text, 250, &s->gen.servers);
	case OPTION_TRUTH: s->truth = text; return 0;
	case OPTION_PCAP: s->pcap = text; return 0;
	case OPTION_SEND: s->iface = text; return 0;
	case OPTION_RATE: s->pace = OUT_PACE_RATE; return read_number(id, text, 0, &s->rate_pps);
	default: return -EINVAL; /* getopt has said what it does not know */
	}
}

static int check_settings(const struct settings *s)
{
	const char *wrong = ft_gen_opts_check(&s->gen);

	if (wrong)
		fprintf(stderr, OUT_PROGRAM ": --%s\n", wrong);
	else if (!s->pcap && !s->iface)
		fprintf(stderr,
			OUT_PROGRAM ": give --pcap FILE or --send IFACE (--help says more)\n");
	else if (s->pcap && s->iface)
		fprintf(stderr, OUT_PROGRAM ": --pcap and --send exclude each other\n");
	else if (s->pcap && s->pace == OUT_PACE_RATE)
		fprintf(stderr, OUT_PROGRAM ": --rate goes with --send\n");
	else
		return 0;
	return -EINVAL;
}

static int run(struct settings *s)
{
	struct ft_gen *g = ft_gen_create(&s->gen);
	bool is_denied = false;
	int r;

	if (!g) {
		fprintf(stderr, OUT_PROGRAM ": %s\n", strerror(errno));
		return EXIT_FAILED;
	}
	r = s->pcap ? out_pcap(g, s->pcap)
		    : out_send(g, s->iface, s->pace, s->rate_pps, &is_denied);
	if (s->truth && ft_gen_truth_get(g)) { /* after a loss too: what was meant to go out */
		int truth = out_truth(g, &s->gen, s->truth);

		r = r ? r : truth;
	}
	ft_gen_destroy(g);
	if (is_denied) {
		fprintf(stderr, OUT_PROGRAM ": sending needs CAP_NET_RAW: run it with sudo, or "
					    "setcap cap_net_raw+ep on this program\n");
		return EXIT_LACKING;
	}
	return r ? EXIT_FAILED : EXIT_DONE;
}

int main(int argc, char **argv)
{
	struct settings s = {.gen = {.seed = 1}};
	int id;

	while ((id = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (id == OPTION_HELP) {
			fputs(help, stdout);
			return EXIT_DONE;
		}
		if (read_option(&s, id, optarg) != 0)
			return EXIT_USAGE;
	}
	if (optind < argc) {
		fprintf(stderr, OUT_PROGRAM ": %s: not expected\n", argv[optind]);
		return EXIT_USAGE;
	}
	s.gen.truth = s.truth != NULL;
	ft_gen_opts_fill(&s.gen);
	if (check_settings(&s) != 0)
		return EXIT_USAGE;
	return run(&s);
}
