/* SPDX-License-Identifier: BSD-3-Clause */
/* DPDK without huge pages, NIC or root: virtual devices through the ports room. */
#include "ports.h"
#include "rx.h"
#include "test_rx_pcap_make.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <unistd.h>

#define MANY 3000u

static char dir[] = "/tmp/test_rx_dpdk_XXXXXX";
static bool works;        /* the environment has started here */
static cpu_set_t allowed; /* before it did */

static void path_of(const char *name, char path[128])
{
	(void)snprintf(path, 128, "%s/%s", dir, name);
}

static void write_capture(const char *name, const void *p, size_t n)
{
	char path[128];
	FILE *f;

	path_of(name, path);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(p, 1, n, f), n);
	assert_int_equal(fclose(f), 0);
}

/* Frames of 1 to 9,000 octets: in one segment, in two, in several. */
static void write_many(const char *name)
{
	static uint8_t frame[9001];
	struct bytes *b = bytes_new(false);
	char path[128];
	FILE *f;

	path_of(name, path);
	f = fopen(path, "w");
	assert_non_null(f);
	put_pcap_header(b, true, 1);
	for (unsigned i = 0; i < MANY; i++) {
		const uint32_t len = i % 100 == 0 ? 1 + i * 3 : 1 + i % 300;

		memset(frame, (int)i, len);
		frame[len - 1] = 0xaa;
		put_pcap_frame(b, i * 1234567ull, frame, len, true);
		assert_int_equal(fwrite(b->p, 1, b->n, f), b->n);
		b->n = 0;
	}
	assert_int_equal(fclose(f), 0);
	free(b);
}

static struct ports *open_port(const char *devargs, unsigned workers, char *err)
{
	const struct ports_opts o = {.devargs = devargs, .no_huge = true, .workers = workers};

	return ports_create(&o, err, RX_TEXT_CAP);
}

/* The next frame of a source; false at its end, or when nothing has come for long. */
struct reader {
	struct rx *rx;
	struct batch b;
	uint32_t at;
	bool out; /* b is not released yet */
};

static const struct pkt *next_pkt(struct reader *r)
{
	for (unsigned tries = 0; !r->out || r->at == r->b.n; tries++) {
		int rc;

		if (r->out)
			r->rx->ops->release(r->rx, &r->b);
		r->out = false;
		r->at = 0;
		rc = r->rx->ops->recv(r->rx, &r->b);
		if (rc == RX_END || tries == 100)
			return NULL;
		r->out = rc > 0;
	}
	return &r->b.pkt[r->at++];
}

static void *same_as_pcap(void *arg)
{
	struct ports *p = arg;
	static struct reader a, b;
	char path[128], err[RX_TEXT_CAP];
	const char *paths[] = {path};
	const struct pkt *x, *y;
	unsigned n = 0;

	path_of("many", path);
	memset(&a, 0, sizeof(a));
	memset(&b, 0, sizeof(b));
	a.rx = rx_pcap_create(paths, 1, err, sizeof(err));
	b.rx = ports_source(p, 0);
	assert_non_null(a.rx);
	while ((x = next_pkt(&a)) != NULL) {
		y = next_pkt(&b);
		assert_non_null(y);
		assert_int_equal(x->ts_us, y->ts_us);
		assert_int_equal(x->clock_us, y->clock_us);
		assert_int_equal(x->cap_len, y->cap_len);
		assert_int_equal(x->link, y->link);
		assert_memory_equal(x->data, y->data, x->cap_len);
		n++;
	}
	assert_int_equal(n, MANY);
	assert_null(next_pkt(&b));
	assert_int_equal(b.rx->ops->clock(b.rx), 0);
	assert_int_equal(b.rx->ops->dropped(b.rx), 0);
	a.rx->ops->destroy(a.rx);
	b.rx->ops->destroy(b.rx); /* the port owns it */
	return NULL;
}

/* The same frames and times as rx_pcap, on a thread that DPDK does not know; and
 * again on a port opened anew, which also shows that all buffers came back. */
static void test_same_as_pcap(void **state)
{
	char args[384], path[128], err[RX_TEXT_CAP];

	(void)state;
	if (!works)
		skip();
	path_of("many", path);
	for (unsigned i = 0; i < 3; i++) {
		struct ports *p;
		pthread_t thread;

		(void)snprintf(args, sizeof(args), "net_pcap%s,rx_pcap=%s", i == 1 ? "7" : "",
			       path);
		p = open_port(args, 1 + i, err);
		assert_non_null(p);
		assert_int_equal(ports_source_count(p), 1);
		assert_false(ports_source(p, 0)->live);
		assert_non_null(strstr(ports_note(p), "net_pcap"));
		assert_int_equal(strstr(ports_note(p), "software") != NULL, i > 0);
		assert_string_equal(ports_source(p, 0)->note, ports_note(p));
		assert_int_equal(pthread_create(&thread, NULL, same_as_pcap, p), 0);
		(void)pthread_join(thread, NULL);
		ports_destroy(p);
	}
}

static void test_raw_ip(void **state)
{
	struct bytes *b = bytes_new(false);
	char args[384], path[128], err[RX_TEXT_CAP];
	static struct reader r;
	const struct pkt *x;
	unsigned n = 0;

	(void)state;
	if (!works)
		skip();
	make_pcap(b, false, 101, 'a');
	write_capture("raw", b->p, b->n);
	make_pcap(b, false, 1, 'a');
	write_capture("ether", b->p, b->n);
	path_of("raw", path);
	(void)snprintf(args, sizeof(args), "net_pcap0,rx_pcap=%s,rx_pcap=%s", path, path);

	struct ports *p = open_port(args, 1, err);

	assert_non_null(p);
	r.rx = ports_source(p, 0);
	for (; (x = next_pkt(&r)) != NULL; n++)
		assert_int_equal(x->link, LINK_RAW_IP);
	assert_int_equal(n, 2 * FRAMES); /* both files */
	ports_destroy(p);
	(void)snprintf(args, sizeof(args), "net_pcap0,rx_pcap=%s,rx_pcap=%s/ether", path, dir);
	assert_null(open_port(args, 1, err));
	assert_int_equal(errno, EINVAL);
	assert_non_null(strstr(err, "link type"));
	free(b);
}

static void refused(const char *devargs, int code, const char *words)
{
	char err[RX_TEXT_CAP] = "";

	assert_null(open_port(devargs, 1, err));
	assert_int_equal(errno, code);
	if (strstr(err, words) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", err, words);
}

/* These need no environment. */
static void test_bad_devargs(void **state)
{
	static char longer[2000];
	struct bytes *b = bytes_new(false), *z = bytes_new(false);
	char args[384];

	(void)state;
	memset(longer, 'x', sizeof(longer) - 1);
	refused("", EINVAL, "PCI address");
	refused(",rx_pcap=x", EINVAL, "PCI address");
	refused(longer, EINVAL, "PCI address");
	refused("net pcap", EINVAL, "no name of a device");
	refused("net_pcap0", EINVAL, "rx_pcap=FILE");
	refused("net_pcap0,foo=1", EINVAL, "bad argument \"foo\"");
	refused("net_pcap0,rx_pcap", EINVAL, "bad argument \"rx_pcap\"");
	refused("net_pcap0,rx_pcap=/nonesuch/f.pcap", EINVAL, "/nonesuch/f.pcap: No such file");
	(void)snprintf(args, sizeof(args), "net_pcap0,rx_pcap=%s", dir);
	refused(args, EINVAL, "Is a directory");
	make_pcap(b, false, 1, 'a');
	pack_gzip(b, z);
	write_capture("packed", z->p, z->n);
	(void)snprintf(args, sizeof(args), "net_pcap0,rx_pcap=%s/packed", dir);
	refused(args, EINVAL, "--pcap");
	free(b);
	free(z);
}

static void test_bad_devices(void **state)
{
	(void)state;
	if (!works)
		skip();
	refused("net_nonesuch0", EINVAL, "no such driver");
	refused("garbage", EINVAL, "no such driver");
	refused("0000:ff:1f.7", ENODEV, "no such device, or");
	refused("net_af_xdp0,iface=nonesuch0", ENODEV, "nonesuch0");
}

/* A live port: packets without time stamps get the host's. */
static void test_live(void **state)
{
	char err[RX_TEXT_CAP];
	static struct reader r;
	uint64_t before_us = rx_now_us();

	(void)state;
	if (!works)
		skip();

	struct ports *p = open_port("net_null", 2, err);

	assert_non_null(p);
	r.rx = ports_source(p, 0);
	assert_true(r.rx->live);
	for (unsigned i = 0; i < 100000; i++) {
		const struct pkt *x = next_pkt(&r);

		assert_non_null(x);
		assert_true(x->ts_us >= before_us);
		before_us = x->ts_us;
	}
	assert_true(r.rx->ops->clock(r.rx) <= before_us);
	assert_true(r.rx->ops->clock(r.rx) + 1000000 > before_us);
	ports_destroy(p);
	p = open_port("net_ring", 1, err);
	assert_non_null(p);
	assert_int_equal(ports_source(p, 0)->ops->recv(ports_source(p, 0), &r.b), 0);
	ports_destroy(p);
}

/* Starting DPDK pins the thread that does so: it must be set free again. */
static void test_affinity(void **state)
{
	cpu_set_t set;

	(void)state;
	assert_int_equal(sched_getaffinity(0, sizeof(set), &set), 0);
	assert_true(CPU_EQUAL(&set, &allowed));
}

static int start(void **state)
{
	const struct ports_opts huge = {.devargs = "net_null0", .workers = 1};
	char err[RX_TEXT_CAP] = "";
	struct ports *p;

	(void)state;
	if (mkdtemp(dir) == NULL)
		return -1;
	(void)sched_getaffinity(0, sizeof(allowed), &allowed);
	write_many("many");
	/* Before anything else: without huge pages it is refused with the command. */
	p = ports_create(&huge, err, sizeof(err));
	if (p == NULL && (errno != ENOMEM || strstr(err, "sysctl -w vm.nr_hugepages=512, or use "
							 "--no-huge") == NULL)) {
		(void)fprintf(stderr, "%s\n", err);
		return -1;
	}
	ports_destroy(p);
	p = open_port("net_null0", 1, err);
	works = p != NULL;
	if (!works)
		(void)fprintf(stderr, "skipped, DPDK cannot start here: %s\n", err);
	ports_destroy(p);
	return 0;
}

static int remove_dir(void **state)
{
	static const char *const names[] = {"many", "raw", "ether", "packed"};
	char path[128];

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		path_of(names[i], path);
		(void)unlink(path);
	}
	return rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_same_as_pcap), cmocka_unit_test(test_raw_ip),
	    cmocka_unit_test(test_bad_devargs),  cmocka_unit_test(test_bad_devices),
	    cmocka_unit_test(test_live),         cmocka_unit_test(test_affinity),
	};

	return cmocka_run_group_tests(tests, start, remove_dir);
}
