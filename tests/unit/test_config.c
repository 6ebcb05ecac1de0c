/* SPDX-License-Identifier: BSD-3-Clause */
/* Settings: every message is read, every file is cut at every length. */
#include "config.h"
#include "help.h"
#include "man.h"
#include "settings.h"

#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define ARGS_MAX 16
static char dir[] = "/tmp/fluxtap-config-XXXXXX";
static char yaml_path[64];

/* Splits at blanks and parses as `run` (or `bench`). */
static int parse(const char *line, struct config *c, char *err, size_t cap)
{
	char text[512], *argv[ARGS_MAX + 1];
	int argc = 0;

	snprintf(text, sizeof text, "%s", line);
	for (char *rest, *word = strtok_r(text, " ", &rest); word && argc < ARGS_MAX;
	     word = strtok_r(NULL, " ", &rest))
		argv[argc++] = word;
	argv[argc] = NULL;
	err[0] = '\0';
	return strcmp(argv[0], "bench") == 0 ? config_parse_bench(argc, argv, c, err, cap)
					     : config_parse_run(argc, argv, c, err, cap);
}

static void write_yaml(const char *text, size_t len)
{
	FILE *f = fopen(yaml_path, "w");

	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, len, f), len);
	fclose(f);
}

static unsigned last_cpu(void)
{
	struct config_u16s cpus;
	unsigned last;

	assert_int_equal(value_allowed_cpus(&cpus), 0);
	last = cpus.v[cpus.n - 1];
	free(cpus.v);
	return last;
}

static void assert_refused(int rc, const char *err, const char *wanted)
{
	if (rc != -EINVAL || strstr(err, wanted) == NULL)
		print_error("rc %d, got \"%s\", wanted \"%s\"\n", rc, err, wanted);
	assert_int_equal(rc, -EINVAL);
	assert_non_null(strstr(err, wanted));
}

static void test_defaults(void **state)
{
	struct config c;
	char err[1024], host[64] = "";

	(void)state;
	assert_int_equal(parse("run --pcap a.pcap", &c, err, sizeof err), 0);
	assert_int_equal(c.pcap.n, 1);
	assert_string_equal(c.pcap.v[0], "a.pcap");
	assert_null(c.xdp);
	assert_null(c.dpdk);
	assert_int_equal(c.cores.n, 1);
	assert_int_equal(c.cores.v[0], last_cpu());
	assert_int_equal(c.control_core.n, 0);
	assert_false(c.no_huge);
	assert_false(c.quiet);
	assert_int_equal(c.duration_s, 0);
	assert_string_equal(c.out, "fluxtap-out");
	assert_int_equal(c.interval_s, 60);
	assert_string_equal(c.http, "auto");
	assert_null(c.http_token);
	assert_string_equal(c.sample, "auto");
	assert_int_equal(c.auth.n + c.resolvers.n, 0);
	assert_int_equal(c.ports.n, 1);
	assert_int_equal(c.ports.v[0], 53);
	assert_int_equal(c.timeout_ms, 5000);
	assert_int_equal(c.sketch_seed, 0);
	assert_int_equal(c.pair_entries, 524288);
	assert_int_equal(c.frag_datagrams, 256);
	assert_int_equal(c.tcp_connections, 32768);
	assert_int_equal(c.tcp_buffer_mb, 32);
	assert_int_equal(c.ring_mb, 16);
	gethostname(host, sizeof host - 1);
	assert_int_equal(strlen(c.probe), strlen(host));
	config_fini(&c);
	config_fini(&c); /* harmless */
	assert_int_equal(parse("bench", &c, err, sizeof err), 0);
	assert_int_equal(c.bench_seconds, 10);
	config_fini(&c);
	assert_int_equal(parse("bench --pcap a --seconds 3 --json", &c, err, sizeof err), 0);
	assert_true(c.bench_json);
	assert_int_equal(c.bench_seconds, 3);
	config_fini(&c);
}

static void test_values(void **state)
{
	static const uint8_t v4[16] = {[10] = 0xff, 0xff, 192, 0, 2, 0};
	static const uint8_t v6[16] = {0x20, 0x01, 0x0d, 0xb8};
	struct config c;
	char err[1024], line[256];

	(void)state;
	snprintf(
	    line, sizeof line,
	    "run --pcap=a,b --pcap - --auth 192.0.2.0/24,2001:db8::/32 --auth=10.0.0.1 --cores %u "
	    "--resolvers 0.0.0.0/0,::/0",
	    last_cpu());
	assert_int_equal(parse(line, &c, err, sizeof err), 0);
	assert_int_equal(c.pcap.n, 2);
	assert_string_equal(c.pcap.v[0], "a,b");
	assert_int_equal(c.auth.n, 3);
	assert_memory_equal(c.auth.v[0].addr, v4, 16);
	assert_int_equal(c.auth.v[0].bits, 120);
	assert_memory_equal(c.auth.v[1].addr, v6, 16);
	assert_int_equal(c.auth.v[1].bits, 32);
	assert_int_equal(c.auth.v[2].bits, 128);
	assert_int_equal(c.resolvers.v[0].bits, 96);
	assert_int_equal(c.resolvers.v[1].bits, 0);
	config_fini(&c);
	assert_int_equal(
	    parse("run --xdp eth0,mode=tap --ports 53,5353 --quiet --no-huge=no --probe a.B-c_1 "
		  "--sketch-seed 18446744073709551615 --interval 86400",
		  &c, err, sizeof err),
	    0);
	assert_string_equal(c.xdp, "eth0,mode=tap");
	assert_int_equal(c.ports.n, 2);
	assert_int_equal(c.ports.v[1], 5353);
	assert_true(c.quiet);
	assert_false(c.no_huge);
	assert_string_equal(c.probe, "a.B-c_1");
	assert_true(c.sketch_seed == UINT64_MAX);
	config_fini(&c);
	/* The last one wins where only one can be. */
	assert_int_equal(parse("run --pcap a --out x --out y", &c, err, sizeof err), 0);
	assert_string_equal(c.out, "y");
	config_fini(&c);
}

static void test_refusals(void **state)
{
	static const struct {
		const char *line, *wanted;
	} cases[] = {
	    {"run", "no source of packets; give --pcap FILE, --xdp SPEC or --dpdk DEVARGS"},
	    {"run --pcap a --xdp eth0", "--pcap and --xdp cannot be used together; give one kind"},
	    {"run --xdp a --dpdk b", "--xdp and --dpdk cannot be used together"},
	    {"run --pcap a --dpdk b", "--pcap and --dpdk cannot be used together"},
	    {"run --pcap a --xdp b --dpdk c", "--pcap, --xdp and --dpdk cannot be used together"},
	    {"run --pcap - --pcap -",
	     "--pcap: \"-\" is given twice; standard input can be read once"},
	    {"run a.pcap",
	     "\"a.pcap\" does not belong to an option; capture files are given with --pcap"},
	    {"run --pcap a -- --out", "\"--out\" does not belong to an option"},
	    {"run --pcap", "--pcap: no value; give --pcap FILE"},
	    {"run --pcap --quiet", "--pcap: no value; give --pcap FILE"},
	    {"run --pcap=", "--pcap: the value is empty; give one"},
	    {"run --nonsense x",
	     "\"--nonsense\" is no option of \"fluxtap run\"; there are: --pcap --xdp"},
	    {"run --intervall 5", "did you mean --interval?"},
	    {"run --zzz x", "there are: "},
	    {"run -q", "\"-q\" is no option"},
	    {"run --pcap a --cores 999",
	     "--cores: CPU 999 does not exist or this process may not use it; there are CPUs "},
	    {"run --pcap a --cores x", "\"x\" is no CPU and no range such as 0-3; there are CPUs"},
	    {"run --pcap a --cores 3-1", "\"3-1\" is no CPU and no range"},
	    {"run --pcap a --cores 0-", "\"0-\" is no CPU"},
	    {"run --pcap a --cores -1", "\"-1\" is no CPU"},
	    {"run --pcap a --cores 99999999999999999999999", "does not exist"},
	    {"run --pcap a --control-core 999", "--control-core: CPU 999"},
	    {"run --pcap a --interval 7",
	     "--interval: 7 seconds do not divide a day; 6 or 8 would be right"},
	    {"run --pcap a --interval 0",
	     "--interval: \"0\" is out of range; give a whole number of seconds from 1 to 86400"},
	    {"run --pcap a --interval 86401", "is out of range"},
	    {"run --pcap a --interval 60s",
	     "\"60s\" is not a whole number; give a whole number of seconds"},
	    {"run --pcap a --interval -5", "\"-5\" is not a whole number"},
	    {"run --pcap a --interval 99999999999999999999999", "is out of range"},
	    {"run --pcap a --auth 192.0.2.1/24", "--auth: \"192.0.2.1/24\" has bits set beyond its "
						 "length; 192.0.2.0/24 would be right"},
	    {"run --pcap a --auth 2001:db8::1/32", "2001:db8::/32 would be right"},
	    {"run --pcap a --auth 192.0.2.0/33", "no usable length; give one from /0 to /32"},
	    {"run --pcap a --auth ::/129", "no usable length; give one from /0 to /128"},
	    {"run --pcap a --auth ::/", "no usable length"},
	    {"run --pcap a --auth ::/4-8", "no usable length"},
	    {"run --pcap a --auth example.com",
	     "\"example.com\" is no address or prefix; give one such as 192.0.2.0/24"},
	    {"run --pcap a --resolvers 1.2.3.4,,5.6.7.8",
	     "--resolvers: an item of the list is empty"},
	    {"run --pcap a --resolvers 1.2.3.4,", "an item of the list is empty"},
	    {"run --pcap a --ports 0",
	     "--ports: \"0\" is out of range; give a whole number from 1 to 65535"},
	    {"run --pcap a --ports 53,53", "port 53 is given twice; give it once"},
	    {"run --pcap a --probe a/b", "--probe: \"a/b\" is no probe name; give 1 to 63 letters"},
	    {"run --pcap a --probe "
	     "0123456789012345678901234567890123456789012345678901234567890123",
	     "is no probe name"},
	    {"run --pcap a --sample 1/3", "\"1/3\" is no share; give auto, 1, or 1/2^s"},
	    {"run --pcap a --sample 1/2^17", "down to 1/65536"},
	    {"run --pcap a --sample 1/131072", "is no share"},
	    {"run --pcap a --sample 1/0", "is no share"},
	    {"run --pcap a --sample 1/", "is no share"},
	    {"run --pcap a --sample 1/2^", "is no share"},
	    {"run --pcap a --sample 1/-4", "is no share"},
	    {"run --pcap a --sample 2", "is no share"},
	    {"run --pcap a --http localhost:9530", "is no address and port; give off, or such as"},
	    {"run --pcap a --http 127.0.0.1", "is no address and port"},
	    {"run --pcap a --http 127.0.0.1:0", "is no address and port"},
	    {"run --pcap a --ring-mb 6", "6 is no power of two; 4 or 8 would be right"},
	    {"run --pcap a --ring-mb 512", "give a whole number of MiB from 1 to 256"},
	    {"run --pcap a --timeout-ms 5001", "from 100 to 5000"},
	    {"run --pcap a --pair-entries 1000", "from 1024 to 16777216"},
	    {"run --pcap a --quiet=maybe",
	     "--quiet: \"maybe\" is neither yes nor no; give true or false"},
	    {"run --pcap a --config /nonexistent/x.yaml",
	     "/nonexistent/x.yaml: No such file or directory; give a file"},
	    {"run --pcap a --config /", "/: Is a directory"},
	    {"bench --xdp eth0", "\"--xdp\" is no option of \"fluxtap bench\"; there are: --pcap "},
	    {"bench --seconds 0", "from 1 to 3600"},
	};
	struct config c;
	char err[1024];

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		assert_refused(parse(cases[i].line, &c, err, sizeof err), err, cases[i].wanted);
		assert_null(strchr(err, '\n'));
	}
}

static void test_yaml(void **state)
{
	static const char text[] = "# a probe\n"
				   "pcap: [a.pcap, \"b,c.pcap\"]\n"
				   "interval: 30\n"
				   "auth: 192.0.2.0/24, 2001:db8::/32\n"
				   "resolvers:\n  - 10.0.0.1\n  - 10.1.0.0/16\n"
				   "quiet: yes\nprobe: tap1\nhttp: off\nports: [53, 5353]\n";
	struct config c;
	char err[1024], line[256];

	(void)state;
	write_yaml(text, sizeof text - 1);
	snprintf(line, sizeof line, "run --config %s", yaml_path);
	assert_int_equal(parse(line, &c, err, sizeof err), 0);
	assert_int_equal(c.pcap.n, 2);
	assert_string_equal(c.pcap.v[1], "b,c.pcap");
	assert_int_equal(c.interval_s, 30);
	assert_int_equal(c.auth.n, 2);
	assert_int_equal(c.resolvers.n, 2);
	assert_true(c.quiet);
	assert_int_equal(c.ports.n, 2);
	config_fini(&c);
	/* The command line wins: values, lists, and the kind of source. */
	snprintf(line, sizeof line,
		 "run --interval 10 --config %s --auth 10.0.0.1 --dpdk net_null0 --quiet=no",
		 yaml_path);
	assert_int_equal(parse(line, &c, err, sizeof err), 0);
	assert_int_equal(c.interval_s, 10);
	assert_int_equal(c.auth.n, 1);
	assert_int_equal(c.pcap.n, 0);
	assert_string_equal(c.dpdk, "net_null0");
	assert_false(c.quiet);
	assert_string_equal(c.probe, "tap1");
	config_fini(&c);
	/* Nothing in it. */
	write_yaml("# nothing\n", 10);
	snprintf(line, sizeof line, "run --pcap a --config %s", yaml_path);
	assert_int_equal(parse(line, &c, err, sizeof err), 0);
	config_fini(&c);
}

static void test_yaml_refusals(void **state)
{
	static const struct {
		const char *text, *wanted;
	} cases[] = {
	    {"quiet: true\nintervall: 3\n",
	     "F:2: intervall: unknown key; did you mean \"interval\"?"},
	    {"control_core: 0", "F:1: control_core: unknown key; did you mean \"control-core\"?"},
	    {"nonsense: x", "F:1: nonsense: unknown key; there are: pcap xdp dpdk cores"},
	    {"interval: 60\n\ninterval: 30\n",
	     "F:3: interval: given twice; it stands in line 1 already"},
	    {"interval: [3]",
	     "F:1: interval: a list where one value is wanted; write \"interval: 60\""},
	    {"ports: {a: b}",
	     "F:1: ports: a nested block where one value is wanted; write \"ports: 53\""},
	    {"ports: [[53]]", "F:1: ports: a list where one value is wanted"},
	    {"ports: &a [*a]", "F:1: ports: a list where one value is wanted"},
	    {"pcap: []", "F:1: pcap: the list is empty; give at least one item"},
	    {"out:", "F:1: out: no value; write \"out: fluxtap-out\" or remove the line"},
	    {"pcap:\n  -\n", "F:2: pcap: no value"},
	    {"out: \"\"", "F:1: out: the value is empty"},
	    {"out: \"a\\0b\"", "F:1: out: the value holds a NUL character; remove it"},
	    {"auth:\n - 10.0.0.0/8\n - 10.0.0.1/8\n",
	     "F:3: auth: \"10.0.0.1/8\" has bits set beyond its length; 10.0.0.0/8 would be right"},
	    {"interval: 7", "F:1: interval: 7 seconds do not divide a day; 6 or 8 would be right"},
	    {"duration: 60s",
	     "F:1: duration: \"60s\" is not a whole number; give a whole number of seconds"},
	    {"no-huge: maybe", "F:1: no-huge: \"maybe\" is neither yes nor no; give true or false"},
	    {"config: x", "F:1: config: not possible inside a configuration file; give --config on "
			  "the command line"},
	    {"? [a]\n: b", "F:1: a list where a key is wanted; write \"key: value\""},
	    {"hello", "F:1: this is no list of settings; write one \"key: value\" a line"},
	    {"- out: x", "F:1: this is no list of settings"},
	    {"out: x\n---\nquiet: true\n",
	     "F:3: a second document begins; put all settings into one"},
	    {"out: x\n bad: y\n",
	     "F:2: syntax: mapping values are not allowed in this context; write"},
	    {"{", "syntax: did not find expected node content; write"},
	    {"out: [a", "syntax: "},
	    {"out: \x80\n", "F:1: syntax: "},
	    {"out: x\nprobe: \x01\n", "F:2: syntax: "},
	    {"out: *nowhere", "F:1: syntax: found undefined alias"},
	    {"\"in\\eterval\": 3", "F:1: in?terval: unknown key"},
	};
	struct config c;
	char err[1024];

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		err[0] = '\0';
		assert_refused(config_parse_yaml("F", cases[i].text, strlen(cases[i].text), &c, err,
						 sizeof err),
			       err, cases[i].wanted);
	}
}

/* Whatever is left of a file: settings, or a sentence that names file and line. */
static void test_yaml_cut(void **state)
{
	static const char text[] =
	    "pcap: [a.pcap, 'b']\ninterval: \"30\"\nauth: &x\n  - 10.0.0.0/8\n"
	    "resolvers: [10.1.0.1, 2001:db8::/32]\n# note\nquiet: true\n"
	    "out: >-\n  records\nhttp: off\n";
	struct config c;
	char err[1024];

	(void)state;
	for (size_t len = 0; len < sizeof text; len++) {
		char *exact = malloc(len ? len : 1); /* so that a sanitizer sees a byte too many */

		memcpy(exact, text, len);
		err[0] = '\0';
		const int rc = config_parse_yaml("F", exact, len, &c, err, sizeof err);

		free(exact);
		assert_true(rc == 0 || rc == -EINVAL);
		if (rc != 0)
			assert_int_equal(strncmp(err, "F:", 2), 0);
		config_fini(&c);
	}
}

static void test_yaml_large(void **state)
{
	const size_t len = (2u << 20);
	char *text = malloc(len), line[128], err[1024];
	struct config c;

	(void)state;
	memset(text, '#', len);
	write_yaml(text, len);
	snprintf(line, sizeof line, "run --pcap a --config %s", yaml_path);
	assert_refused(parse(line, &c, err, sizeof err), err,
		       "larger than 1024 KiB; this is no configuration file");
	memset(text, '[', len); /* nested without end */
	assert_refused(config_parse_yaml("F", text, len / 2, &c, err, sizeof err), err,
		       "F:1: nested too deep");
	free(text);
}

static char *captured(void (*print)(FILE *))
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	print(f);
	fclose(f);
	return text;
}

static void print_run(FILE *f)
{
	help_command(f, COMMAND_RUN);
}

static void print_page(FILE *f)
{
	assert_int_equal(man_print(f, "fluxtap.1"), 0);
}

static void test_help(void **state)
{
	char *top = captured(help_print), *run = captured(print_run), *mdoc = captured(print_page);
	char *const texts[] = {top, run};
	char key[64];

	(void)state;
	assert_non_null(strstr(top, "Examples:"));
	assert_non_null(strstr(top, "Exit codes:"));
	for (size_t i = 0; i < settings_len; i++) {
		if (settings_table[i].commands & COMMAND_RUN) {
			snprintf(key, sizeof key, "--%s", settings_table[i].key);
			assert_non_null(strstr(run, key));
		}
		snprintf(key, sizeof key, ".It Fl \\-%s", settings_table[i].key);
		assert_non_null(strstr(mdoc, key));
	}
	for (size_t i = 0; i < 2; i++) {
		for (char *line = strtok(texts[i], "\n"); line; line = strtok(NULL, "\n"))
			assert_in_range(strlen(line), 0, 80);
	}
	free(top);
	free(run);
	free(mdoc);
}

static int set_up(void **state)
{
	(void)state;
	if (mkdtemp(dir) == NULL)
		return -1;
	snprintf(yaml_path, sizeof yaml_path, "%s/f.yaml", dir);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	unlink(yaml_path);
	return rmdir(dir);
}

static void test_sample_level(void **state)
{
	(void)state;
	assert_int_equal(value_sample_level("auto"), VALUE_SAMPLE_AUTO);
	assert_int_equal(value_sample_level("1"), 0);
	assert_int_equal(value_sample_level("1/1"), 0);
	assert_int_equal(value_sample_level("1/8"), 3);
	assert_int_equal(value_sample_level("1/65536"), 16);
	assert_int_equal(value_sample_level("1/2^0"), 0);
	assert_int_equal(value_sample_level("1/2^5"), 5);
	assert_int_equal(value_sample_level("1/2^16"), 16);
	assert_int_equal(value_sample_level("1/8 "), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_sample_level), cmocka_unit_test(test_defaults),
	    cmocka_unit_test(test_values),       cmocka_unit_test(test_refusals),
	    cmocka_unit_test(test_yaml),         cmocka_unit_test(test_yaml_refusals),
	    cmocka_unit_test(test_yaml_cut),     cmocka_unit_test(test_yaml_large),
	    cmocka_unit_test(test_help),
	};

	return cmocka_run_group_tests_name("config", tests, set_up, tear_down);
}
