/* SPDX-License-Identifier: BSD-3-Clause */
#include "settings.h"

#include "cat.h"
#include "config.h"
#include "ctl_cli.h"
#include "pin/pin_cli.h"
#include "rules_cli.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const setting_group_texts[GROUP_CAP] = {
    [GROUP_SOURCE] = "Where packets come from (exactly one kind)",
    [GROUP_PLACE] = "Where the work is done",
    [GROUP_OUTPUT] = "What comes out",
    [GROUP_DNS] = "What is looked at, and how",
    [GROUP_LIMIT] = "Memory limits",
    [GROUP_OTHER] = "Options",
};

#define ALL_SOURCES .sources = SOURCE_ALL
#define RUN .commands = COMMAND_RUN
#define TALK .commands = COMMAND_RELOAD | COMMAND_STATUS | COMMAND_TOP
#define RULES .group = GROUP_OTHER, .commands = COMMAND_RULES
#define RULES_FIELD(f) .off = offsetof(struct rules_options, f)
#define RUN_BENCH .commands = COMMAND_RUN | COMMAND_BENCH
#define FIELD(f) .off = offsetof(struct config, f)
#define NUMBER(lo, hi, u) .range = {lo, hi, u}

/* What `rules` shares with `run` and `bench`. */
#define RULES_HELP "Match names by the rules in this list file."
#define PSL_HELP "The list of public suffixes, in the format of publicsuffix.org."
#define PSL_DEFAULT "the system's, of the package publicsuffix"
#define CACHE_HELP                                                                                 \
	"Keep compiled expressions in this directory, so that the next start is quicker. Nobody "  \
	"but you and root may be able to write to it. \"off\": keep none."
#define CACHE_DEFAULT "$XDG_CACHE_HOME/fluxtap, else /var/cache/fluxtap, else ~/.cache/fluxtap"

const struct setting settings_table[] = {
    {"pcap", "FILE", VALUE_TEXTS, .group = GROUP_SOURCE, .commands = COMMAND_RUN | COMMAND_BENCH,
     .sources = SOURCE_PCAP, FIELD(pcap),
     .help = "Read a capture file: pcap or pcapng, also in gzip or zstd; \"-\" is standard "
	     "input. Give it again for more files; they are merged by time."},
    {"xdp", "SPEC", VALUE_TEXT, .group = GROUP_SOURCE, RUN, .sources = SOURCE_XDP, FIELD(xdp),
     .help = "Watch a network interface through AF_XDP: "
	     "IFACE[,mode=tap|host][,queues=LIST][,copy|zerocopy]. For mode=tap also hwstamp (the "
	     "device's time stamps, where its driver has them) and busypoll (the workers poll the "
	     "driver, where it lets them; sets napi_defer_hard_irqs and gro_flush_timeout of the "
	     "interface meanwhile)."},
    {"dpdk", "DEVARGS", VALUE_TEXT, .group = GROUP_SOURCE, RUN, .sources = SOURCE_DPDK, FIELD(dpdk),
     .help = "Watch a DPDK port: a PCI address, or a virtual device such as net_af_xdp or "
	     "net_pcap with its arguments."},
    {"cores", "LIST", VALUE_CPUS, .group = GROUP_PLACE, RUN_BENCH, ALL_SOURCES, FIELD(cores),
     .def_text = "the last CPU that fluxtap may use",
     .help = "The CPUs for workers, one worker on each, such as 2-5,8."},
    {"control-core", "LIST", VALUE_CPUS, .group = GROUP_PLACE, RUN_BENCH, ALL_SOURCES,
     FIELD(control_core), .def_text = "one thread, left to the kernel",
     .help = "The CPUs for control, which merges and exports: one thread on each, that share "
	     "the keys among them."},
    {"no-huge", NULL, VALUE_FLAG, .group = GROUP_PLACE, RUN_BENCH, ALL_SOURCES, FIELD(no_huge),
     .help = "Use ordinary memory pages only; enough for tests and small set-ups."},
    {"duration", "S", VALUE_U32, NUMBER(1, 31536000, "seconds"), .group = GROUP_PLACE, RUN,
     ALL_SOURCES, FIELD(duration_s), .def_text = "until the input ends or a signal comes",
     .help = "Stop after so many seconds."},
    {"out", "DIR", VALUE_TEXT, .def = "fluxtap-out", .group = GROUP_OUTPUT, RUN, ALL_SOURCES,
     FIELD(out), .help = "Write records below this directory; it is made if need be."},
    {"interval", "S", VALUE_U32, NUMBER(1, 86400, "seconds"), .def = "60", .group = GROUP_OUTPUT,
     RUN_BENCH, ALL_SOURCES, FIELD(interval_s), .check = value_check_interval,
     .help = "Length of an interval, aligned to UTC; must divide a day."},
    {"probe", "NAME", VALUE_TEXT, .def_text = "the host's name", .group = GROUP_OUTPUT, RUN,
     ALL_SOURCES, FIELD(probe), .check = value_check_probe,
     .help = "The probe's name in records and file names: letters, digits, \"-\", \"_\", \".\"."},
    {"socket", "PATH|auto|off", VALUE_TEXT, .def = "auto", .group = GROUP_OUTPUT, RUN, ALL_SOURCES,
     FIELD(socket),
     .help = "The control socket, for \"fluxtap reload\", status and top. auto: "
	     "/run/fluxtap/PROBE.sock, or, where "
	     "that directory cannot be written to, .fluxtap.sock below --out; none in a file run."},
    {"state", "auto|on|off", VALUE_TEXT, .def = "auto", .group = GROUP_OUTPUT, RUN, ALL_SOURCES,
     FIELD(state), .check = value_check_guard,
     .help = "Keep what is remembered over intervals (the day of flux, sinkholes' and spikes' "
	     "pasts) in .state-PROBE.zst below --out, and go on from there after a restart. auto: "
	     "in live runs."},
    {"http", "ADDR:PORT|auto|off", VALUE_TEXT, .def = "auto", .group = GROUP_OUTPUT, RUN,
     ALL_SOURCES, FIELD(http), .check = value_check_http,
     .help = "Serve a page, /metrics, /healthz and /readyz over HTTP. auto: at 127.0.0.1:9530 in "
	     "live runs, unless another program has that port; none in a file run."},
    {"http-token", "FILE", VALUE_TEXT, .group = GROUP_OUTPUT, RUN, ALL_SOURCES, FIELD(http_token),
     .help = "Whoever reads figures over HTTP must have the token in this file's first line, and "
	     "send \"Authorization: Bearer TOKEN\". /healthz, /readyz and the page without its "
	     "figures need none."},
    {"quiet", NULL, VALUE_FLAG, .group = GROUP_OUTPUT, RUN, ALL_SOURCES, FIELD(quiet),
     .help = "Neither show progress nor print a summary."},
    {"log-level", "error|warning|info|debug", VALUE_TEXT, .def = "info", .group = GROUP_OUTPUT, RUN,
     ALL_SOURCES, FIELD(log_level), .check = value_check_log_level,
     .help = "How much is said while it runs, on standard error or to the journal. --quiet is "
	     "warning."},
    {"keep", "DAYS|SIZE", VALUE_TEXT, .group = GROUP_OUTPUT, RUN, ALL_SOURCES, FIELD(keep),
     .check = value_check_keep, .def_text = "all",
     .help = "Remove this probe's oldest exported files: those older than so many days (30d), or "
	     "those beyond a size of all sets together (20G; K, M, G, T), or both (30d,20G). The "
	     "files of the last interval stay."},
    {"user", "NAME", VALUE_TEXT, .group = GROUP_PLACE, RUN, ALL_SOURCES, FIELD(user),
     .help = "Become this user at the start, before anything is opened, with the capabilities that "
	     "opening needs; those go, too, once it is open. Never root."},
    {"seccomp", "on|off|log", VALUE_TEXT, .def = "on", .group = GROUP_PLACE, RUN, ALL_SOURCES,
     FIELD(seccomp), .check = value_check_seccomp,
     .help = "Allow only the system calls that a running probe makes; any other one ends it. log: "
	     "the kernel notes them instead (dmesg, audit)."},
    {"auth", "PREFIX,...", VALUE_PREFIXES, .group = GROUP_DNS, RUN, ALL_SOURCES, FIELD(auth),
     .help = "Addresses of authoritative servers watched here. Once --auth or --resolvers is "
	     "given, addresses alone decide the vantage of a message."},
    {"resolvers", "PREFIX,...", VALUE_PREFIXES, .group = GROUP_DNS, RUN, ALL_SOURCES,
     FIELD(resolvers), .help = "Addresses of resolvers watched here."},
    {"monitors", "PREFIX,...", VALUE_PREFIXES, .group = GROUP_DNS, RUN, ALL_SOURCES,
     FIELD(monitors),
     .help = "Addresses of clients that may look into resolvers' caches (queries with RD=0): "
	     "health checks and forwarders. Set ttl reports none of them."},
    {"ports", "LIST", VALUE_PORTS, .def = "53", .group = GROUP_DNS, RUN_BENCH, ALL_SOURCES,
     FIELD(ports), .help = "The UDP and TCP ports that carry DNS."},
    {"timeout-ms", "MS", VALUE_U32, NUMBER(100, 5000, "milliseconds"), .def = "5000",
     .group = GROUP_DNS, RUN_BENCH, ALL_SOURCES, FIELD(timeout_ms),
     .help = "How long a query waits for its response before it counts as unanswered."},
    {"dedup", "off|MS", VALUE_TEXT, .def = "off", .group = GROUP_DNS, RUN_BENCH, ALL_SOURCES,
     FIELD(dedup), .check = value_check_dedup,
     .help = "Where several mirror ports give the same packet, count it once: copies that come "
	     "less than so many milliseconds after the first, whatever tags and tunnels they are "
	     "in, are dropped as \"duplicate\". Give the most that copies are apart, 1 to 1000; a "
	     "client that sends the very same packet again so soon looks like a copy, too."},
    {"flood-guard", "auto|on|off", VALUE_TEXT, .def = "auto", .group = GROUP_DNS, RUN_BENCH,
     ALL_SOURCES, FIELD(flood_guard), .check = value_check_guard,
     .help = "While a domain is under a random-subdomain attack, try expressions and shapes on one "
	     "in 64 of its new names only. All other rules see every name, and traffic is counted "
	     "in full. auto: on in live runs and in bench, off for files, so that a file gives the "
	     "same records with any number of workers."},
    {"sample", "auto|1|1/2^s", VALUE_TEXT, .def = "auto", .group = GROUP_DNS, RUN, ALL_SOURCES,
     FIELD(sample), .check = value_check_sample,
     .help = "Share of flows (a client and a server) kept in the tables of domains, clients and "
	     "servers, down to 1/65536. auto: all of them, and fewer only while a live run cannot "
	     "keep up. Nothing else is sampled, and queries for names that a rule hits never are."},
    {"sample-key", "N", VALUE_U64, NUMBER(0, UINT64_MAX, NULL), .def = "0", .group = GROUP_DNS, RUN,
     ALL_SOURCES, FIELD(sample_key),
     .help = "Secret that chooses the flows. Probes with the same number keep the same flows."},
    {"rules", "FILE", VALUE_TEXTS, .group = GROUP_DNS, RUN_BENCH, ALL_SOURCES, FIELD(rules),
     .help = RULES_HELP " Give it again for more files."},
    {"sinkholes", "FILE", VALUE_TEXT, .group = GROUP_DNS, RUN_BENCH, ALL_SOURCES, FIELD(sinkholes),
     .help = "Follow the sinkholes of this list: a line each of \"GROUP ip PREFIX\", \"GROUP ns "
	     "NAME\", \"GROUP cname NAME\" (what their answers carry) or \"GROUP name NAME\" (a "
	     "name or domain to follow whatever answers it)."},
    {"watch", "FILE", VALUE_TEXT, .group = GROUP_DNS, RUN_BENCH, ALL_SOURCES, FIELD(watch),
     .help = "Watch the RRsets of this list for changes: a line each of \"OWNER TYPE[,TYPE...] "
	     "[allow=...] [baseline=RDATA[|RDATA...]]\". allow: rdata, prefixes of addresses, "
	     "suffixes of names; without a baseline the first 24 hours are learned."},
    {"sinkhole-hour", "S", VALUE_U32, NUMBER(1, 3600, "seconds"), .def = "3600", .group = GROUP_DNS,
     RUN_BENCH, ALL_SOURCES, FIELD(sinkhole_hour_s),
     .help = "How long an hour is for set sinkhole, which compares 24 of them before a change of "
	     "answers with 24 after it. Less is for traffic whose time was compressed."},
    {"dga-chance", "PERCENT", VALUE_U32, NUMBER(1, 50, "percent"), .def = "15", .group = GROUP_DNS,
     RUN, ALL_SOURCES, FIELD(dga_p0_percent),
     .help =
	 "Share of an ordinary client's registered domains that do not exist and look generated "
	 "by chance. Set dga finds a client sooner with less, and has fewer false alarms with "
	 "more."},
    {"psl", "FILE", VALUE_TEXT, .group = GROUP_DNS, RUN_BENCH, ALL_SOURCES, FIELD(psl),
     .def_text = PSL_DEFAULT, .help = PSL_HELP},
    {"rule-cache", "DIR|off", VALUE_TEXT, .group = GROUP_DNS, RUN_BENCH, ALL_SOURCES,
     FIELD(rule_cache), .def_text = CACHE_DEFAULT, .help = CACHE_HELP},
    {"asn", "FILE", VALUE_TEXT, .group = GROUP_DNS, RUN, ALL_SOURCES, FIELD(asn),
     .help =
	 "Which autonomous system addresses belong to, for flux: a MaxMind DB (GeoLite2-ASN), or "
	 "lines \"PREFIX ASN\". Without it networks of 16 bits stand for systems, and records "
	 "say asn_missing."},
    {"cdn", "FILE", VALUE_TEXT, .group = GROUP_DNS, RUN, ALL_SOURCES, FIELD(cdn),
     .help = "Names of content networks, one a line, each with all that is below it: their "
	     "addresses move, and that is no flux."},
    {"cookie-secret", "FILE", VALUE_TEXT, .group = GROUP_DNS, RUN, ALL_SOURCES,
     FIELD(cookie_secret),
     .help =
	 "Secrets of your own name servers, a line of 32 hexadecimal digits for each (up to 4): "
	 "set cookie then says how many server cookies were made with them."},
    {"doh", "FILE", VALUE_TEXT, .group = GROUP_DNS, RUN, ALL_SOURCES, FIELD(doh),
     .help = "Servers of DNS over HTTPS, for set transport: a line each, an address, a prefix, a "
	     "name as clients send it in TLS, or \"*.NAME\". Names make --xdp look at all of port "
	     "443; addresses do not."},
    {"channels", "auto|all", VALUE_TEXT, .def = "auto", .group = GROUP_DNS, RUN_BENCH, ALL_SOURCES,
     FIELD(channels), .check = value_check_channels,
     .help = "What the error channels (nxdomain, dnserror) hold: auto leaves out traffic between "
	     "stubs and their resolver (S2R), all takes it in."},
    {"sketch-seed", "N", VALUE_U64, NUMBER(0, UINT64_MAX, NULL), .def = "0", .group = GROUP_DNS,
     RUN, ALL_SOURCES, FIELD(sketch_seed),
     .help = "Seed of the distinct counts; the same on all probes whose counts are to be merged."},
    {"pair-entries", "N", VALUE_U32, NUMBER(1024, 16777216, "entries"), .def = "524288",
     .group = GROUP_LIMIT, RUN_BENCH, ALL_SOURCES, FIELD(pair_entries),
     .help = "Queries that may wait for their response, in each worker."},
    {"verdict-entries", "N", VALUE_U32, NUMBER(1024, 67108864, "names"), .def = "1048576",
     .group = GROUP_LIMIT, RUN_BENCH, ALL_SOURCES, FIELD(verdict_entries),
     .help = "Names for which each worker remembers what the rules said, 64 bytes each."},
    {"dedup-entries", "N", VALUE_U32, NUMBER(1024, 67108864, "packets"), .def = "262144",
     .group = GROUP_LIMIT, RUN_BENCH, ALL_SOURCES, FIELD(dedup_entries),
     .help = "Packets that each worker remembers for --dedup, 16 bytes each; twice as many as come "
	     "within the window are enough. What is forgotten too soon counts again."},
    {"domain-entries", "N", VALUE_U32, NUMBER(64, 16777216, "entries"), .def = "65536",
     .group = GROUP_LIMIT, RUN_BENCH, ALL_SOURCES, FIELD(domain_entries),
     .help = "Registered domains that each worker counts at a time. A table that is too small "
	     "sends more records to control, and none of them is wrong; the same holds for the "
	     "next five."},
    {"client-entries", "N", VALUE_U32, NUMBER(64, 16777216, "entries"), .def = "65536",
     .group = GROUP_LIMIT, RUN_BENCH, ALL_SOURCES, FIELD(client_entries),
     .help = "Clients that each worker counts at a time."},
    {"server-entries", "N", VALUE_U32, NUMBER(64, 16777216, "entries"), .def = "8192",
     .group = GROUP_LIMIT, RUN_BENCH, ALL_SOURCES, FIELD(server_entries),
     .help = "Servers that each worker counts at a time."},
    {"rrset-entries", "N", VALUE_U32, NUMBER(64, 16777216, "entries"), .def = "131072",
     .group = GROUP_LIMIT, RUN_BENCH, ALL_SOURCES, FIELD(rrset_entries),
     .help = "RRsets that each worker follows at a time."},
    {"error-entries", "N", VALUE_U32, NUMBER(64, 16777216, "entries"), .def = "65536",
     .group = GROUP_LIMIT, RUN_BENCH, ALL_SOURCES, FIELD(error_entries),
     .help =
	 "Different errors (records of nxdomain and dnserror) that each worker counts at a time."},
    {"match-entries", "N", VALUE_U32, NUMBER(64, 1048576, "entries"), .def = "4096",
     .group = GROUP_LIMIT, RUN_BENCH, ALL_SOURCES, FIELD(match_entries),
     .help = "Pairs of a rule and a domain it hit that each worker counts at a time, about 2.3 KB "
	     "each."},
    {"table-keys", "N", VALUE_U32, NUMBER(1, 67108864, "keys"), .def = "262144",
     .group = GROUP_LIMIT, RUN_BENCH, ALL_SOURCES, FIELD(table_keys),
     .help = "Domains, clients and servers, so many of each, that control keeps one by one in an "
	     "interval; the rest is counted together."},
    {"top-clients", "N", VALUE_U32, NUMBER(0, 1000, "clients"), .def = "10", .group = GROUP_OUTPUT,
     RUN_BENCH, ALL_SOURCES, FIELD(top_clients),
     .help = "Clients that set client names of each group of types, by interval and by day."},
    {"top-domains", "N", VALUE_U32, NUMBER(0, 1048576, "domains"), .def = "500",
     .group = GROUP_OUTPUT, RUN_BENCH, ALL_SOURCES, FIELD(top_domains),
     .help = "Registered domains in an interval's set `domain`: so many by queries, and as many by "
	     "NXDOMAIN answers."},
    {"rrset-keys", "N", VALUE_U32, NUMBER(1024, 33554432, "keys"), .def = "524288",
     .group = GROUP_LIMIT, RUN_BENCH, ALL_SOURCES, FIELD(rrset_keys),
     .help = "Observations of RRsets, and names of them, that control keeps one by one in an "
	     "interval, about 150 octets each; above that whole owners are left out."},
    {"flux-mb", "MB", VALUE_U32, NUMBER(4, 65536, "MiB"), .def = "256", .group = GROUP_LIMIT,
     RUN_BENCH, ALL_SOURCES, FIELD(flux_mb),
     .help = "What control may use to follow owners of CNAMEs over a day; 768 are enough for 16 "
	     "million. Above that it follows every second, fourth, ... owner."},
    {"flux-sliding", NULL, VALUE_FLAG, .group = GROUP_OUTPUT, RUN_BENCH, ALL_SOURCES,
     FIELD(flux_sliding),
     .help =
	 "Say also which owners of CNAMEs change 8 times within any 24 hours, not only in a UTC "
	 "day; takes about as much of --flux-mb again."},
    {"sinkhole-domains", "N", VALUE_U32, NUMBER(16, 16777216, "domains"), .def = "16384",
     .group = GROUP_LIMIT, RUN_BENCH, ALL_SOURCES, FIELD(sinkhole_domains),
     .help = "Domains of sinkholes whose past is remembered, about 2 KB each."},
    {"sinkhole-history", "N", VALUE_U32, NUMBER(0, 16777216, "domains"), .def = "65536",
     .group = GROUP_LIMIT, RUN_BENCH, ALL_SOURCES, FIELD(sinkhole_history),
     .help = "Other domains whose past is remembered, about 1.2 KB each, in case their answers "
	     "turn into those of a sinkhole; only with a list that has ip, ns or cname."},
    {"frag-datagrams", "N", VALUE_U32, NUMBER(1, 65536, "datagrams"), .def = "256",
     .group = GROUP_LIMIT, RUN_BENCH, ALL_SOURCES, FIELD(frag_datagrams),
     .help = "Fragmented IP datagrams in reassembly, in each worker."},
    {"tcp-connections", "N", VALUE_U32, NUMBER(16, 4194304, "connections"), .def = "32768",
     .group = GROUP_LIMIT, RUN_BENCH, ALL_SOURCES, FIELD(tcp_connections),
     .help = "TCP connections followed at a time, in each worker."},
    {"tcp-buffer-mb", "MB", VALUE_U32, NUMBER(1, 4096, "MiB"), .def = "32", .group = GROUP_LIMIT,
     RUN_BENCH, ALL_SOURCES, FIELD(tcp_buffer_mb),
     .help = "MiB for TCP bytes that do not make a message yet, in each worker."},
    {"ring-mb", "MB", VALUE_U32, NUMBER(1, 256, "MiB"), .def = "16", .group = GROUP_LIMIT,
     RUN_BENCH, ALL_SOURCES, FIELD(ring_mb), .check = value_check_power_of_two,
     .help =
	 "MiB of the ring from each worker to control; a power of two. It holds what comes while "
	 "control closes an interval."},
    {"config", "FILE", VALUE_TEXT, .group = GROUP_OTHER, RUN, ALL_SOURCES, FIELD(file),
     .command_line_only = true,
     .help = "Read settings from a YAML file: the same keys as here, one \"key: value\" a line. "
	     "What stands on the command line wins."},
    {"seconds", "N", VALUE_U32, NUMBER(1, 3600, "seconds"), .def = "10", .group = GROUP_OTHER,
     .commands = COMMAND_BENCH, FIELD(bench_seconds), .help = "Measure for so long."},
    {"flood", NULL, VALUE_FLAG, .group = GROUP_OTHER, .commands = COMMAND_BENCH, FIELD(bench_flood),
     .help = "Measure a flood instead of the ordinary mix: 2 million queries, each for a name that "
	     "never came before. One pass at most."},
    {"json", NULL, VALUE_FLAG, .group = GROUP_OTHER, .commands = COMMAND_BENCH, FIELD(bench_json),
     .help = "Print one JSON object instead of a table."},
    {"set", "NAME,...", VALUE_WORDS, .group = GROUP_OTHER, .commands = COMMAND_CAT,
     .off = offsetof(struct cat_options, set), .def_text = "all",
     .help = "Print the records of these sets only."},
    {"socket", "PATH", VALUE_TEXT, .group = GROUP_OTHER, TALK,
     .off = offsetof(struct ctl_options, socket), .def_text = "the only one in /run/fluxtap",
     .help = "The probe's control socket."},
    {"probe", "NAME", VALUE_TEXT, .group = GROUP_OTHER, TALK,
     .off = offsetof(struct ctl_options, probe), .check = value_check_probe,
     .help = "The probe whose socket it is: /run/fluxtap/NAME.sock."},
    {"out", "DIR", VALUE_TEXT, .group = GROUP_OTHER, TALK, .off = offsetof(struct ctl_options, out),
     .def_text = "fluxtap-out",
     .help = "The probe's --out, where its socket is looked for if there is none in /run/fluxtap."},
    {"json", NULL, VALUE_FLAG, .group = GROUP_OTHER, .commands = COMMAND_STATUS,
     .off = offsetof(struct ctl_options, json),
     .help = "Print one JSON object instead of text for people."},
    {"rules", "FILE", VALUE_TEXTS, RULES, RULES_FIELD(rules),
     .help = RULES_HELP " Give it again for more files. Needed by \"test\"."},
    {"psl", "FILE", VALUE_TEXT, RULES, RULES_FIELD(psl), .def_text = PSL_DEFAULT, .help = PSL_HELP},
    {"rule-cache", "DIR|off", VALUE_TEXT, RULES, RULES_FIELD(rule_cache), .def_text = CACHE_DEFAULT,
     .help = CACHE_HELP},
    /* A text: the CPUs of the machine count, not those that this process may use. */
    {"cores", "LIST", VALUE_TEXT, .group = GROUP_OTHER, .commands = COMMAND_PIN,
     .off = offsetof(struct pin_options, cores),
     .def_text = "the last CPU of the interface's NUMA node",
     .help = "For \"plan\" and \"apply\": the CPUs for workers, one worker on each, such as 2-5,8; "
	     "the same as for \"fluxtap run\"."},
    {"json", NULL, VALUE_FLAG, .group = GROUP_OTHER, .commands = COMMAND_PIN,
     .off = offsetof(struct pin_options, json),
     .help = "For \"show\" and \"plan\": print one JSON object instead of a table."},
    {"force", NULL, VALUE_FLAG, .group = GROUP_OTHER, .commands = COMMAND_PIN,
     .off = offsetof(struct pin_options, force),
     .help = "For \"apply\": change the interface even if the default route leaves by it. Many "
	     "drivers take the link down for a second or two."},
    {"schema", NULL, VALUE_FLAG, .group = GROUP_OTHER, .commands = COMMAND_CAT,
     .off = offsetof(struct cat_options, schema),
     .help = "Print the JSON Schema of all records, and nothing else."},
};
const size_t settings_len = sizeof settings_table / sizeof *settings_table;
static_assert(sizeof settings_table / sizeof *settings_table <= SETTINGS_CAP, "settings cap");

const char *settings_command(unsigned command)
{
	switch (command) {
	case COMMAND_RUN: return "run";
	case COMMAND_BENCH: return "bench";
	case COMMAND_CAT: return "cat";
	case COMMAND_RELOAD: return "reload";
	case COMMAND_STATUS: return "status";
	case COMMAND_TOP: return "top";
	case COMMAND_RULES: return "rules";
	case COMMAND_PIN: return "pin";
	default: return "report";
	}
}

const struct setting *settings_find(unsigned command, const char *key, size_t len)
{
	for (size_t i = 0; i < settings_len; i++) {
		const struct setting *s = &settings_table[i];

		if ((s->commands & command) && strlen(s->key) == len &&
		    memcmp(s->key, key, len) == 0)
			return s;
	}
	return NULL;
}

/* Edits (insert, delete, replace) between two short texts; 99 if one is long. */
static unsigned distance(const char *a, const char *b)
{
	unsigned row[33];
	const size_t na = strlen(a), nb = strlen(b);

	if (na > 32 || nb > 32)
		return 99;
	for (unsigned j = 0; j <= nb; j++)
		row[j] = j;
	for (size_t i = 1; i <= na; i++) {
		unsigned diagonal = row[0];

		row[0] = (unsigned)i;
		for (size_t j = 1; j <= nb; j++) {
			const unsigned replace = diagonal + (a[i - 1] != b[j - 1]);
			unsigned best = row[j] < row[j - 1] ? row[j] + 1 : row[j - 1] + 1;

			diagonal = row[j];
			row[j] = replace < best ? replace : best;
		}
	}
	return row[nb];
}

const char *settings_nearest(unsigned command, const char *key, bool file_only)
{
	unsigned best = (unsigned)strlen(key) / 3 + 1;
	const char *nearest = NULL;

	for (size_t i = 0; i < settings_len; i++) {
		const struct setting *s = &settings_table[i];
		const unsigned d = distance(key, s->key);

		if ((s->commands & command) && !(file_only && s->command_line_only) && d < best) {
			best = d;
			nearest = s->key;
		}
	}
	return nearest;
}

void settings_keys(unsigned command, const char *prefix, bool file_only, char *out, size_t cap)
{
	size_t len = 0;

	out[0] = '\0';
	for (size_t i = 0; i < settings_len && len < cap; i++) {
		const struct setting *s = &settings_table[i];

		if (!(s->commands & command) || (file_only && s->command_line_only))
			continue;
		len += (size_t)snprintf(out + len, cap - len, "%s%s%s", len ? " " : "", prefix,
					s->key);
	}
}

int settings_put(const struct setting *s, const char *text, void *base, char *why, size_t cap)
{
	void *field = (char *)base + s->off;
	const int rc = value_put(s->type, &s->range, text, field, why, cap);

	if (rc != 0 || s->check == NULL)
		return rc;
	return s->check(field, why, cap);
}

void settings_clear(const struct setting *s, void *base)
{
	value_clear(s->type, (char *)base + s->off);
}

static int refuse_option(const struct settings_args *a, const char *name, char *err, size_t cap)
{
	const char *command = settings_command(a->command);
	const char *nearest =
	    strncmp(name, "--", 2) == 0 ? settings_nearest(a->command, name + 2, false) : NULL;
	char q[VALUE_QUOTE_CAP], keys[2048];

	value_quote(q, name);
	settings_keys(a->command, "--", false, keys, sizeof keys);
	if (keys[0] == '\0')
		snprintf(err, cap, "%s: \"fluxtap %s\" has no options but --help", q, command);
	else if (nearest != NULL)
		snprintf(err, cap,
			 "%s is no option of \"fluxtap %s\"; did you mean --%s? There are: %s", q,
			 command, nearest, keys);
	else
		snprintf(err, cap, "%s is no option of \"fluxtap %s\"; there are: %s", q, command,
			 keys);
	return -EINVAL;
}

int settings_args_next(struct settings_args *a, const struct setting **s, const char **value,
		       char *err, size_t cap)
{
	*s = NULL;
	*value = a->at < a->argc ? a->argv[a->at++] : NULL;
	if (*value == NULL)
		return ARGS_END;
	if (a->plain || (*value)[0] != '-' || strcmp(*value, "-") == 0)
		return ARGS_OPERAND;
	if (strcmp(*value, "--") == 0) {
		a->plain = true;
		return settings_args_next(a, s, value, err, cap);
	}
	if (strcmp(*value, "--help") == 0 || strcmp(*value, "-h") == 0)
		return ARGS_HELP;

	const char *name = *value, *equals = strchr(name, '=');
	const size_t len = equals ? (size_t)(equals - name) : strlen(name);

	if (strncmp(name, "--", 2) == 0)
		*s = settings_find(a->command, name + 2, len - 2);
	if (*s == NULL) {
		char bare[48];

		snprintf(bare, sizeof bare, "%.*s", len < sizeof bare ? (int)len : (int)sizeof bare,
			 name);
		return refuse_option(a, bare, err, cap);
	}
	if (equals != NULL) {
		*value = equals + 1;
	} else if ((*s)->type == VALUE_FLAG) {
		*value = "true";
	} else if (a->at == a->argc || strncmp(a->argv[a->at], "--", 2) == 0) {
		snprintf(err, cap, "--%s: no value; give --%s %s", (*s)->key, (*s)->key, (*s)->arg);
		return -EINVAL;
	} else {
		*value = a->argv[a->at++];
	}
	return ARGS_OPTION;
}
