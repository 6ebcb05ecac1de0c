/* SPDX-License-Identifier: BSD-3-Clause */
/* Plans for the machines of tests/golden/pin, whose plans were derived by hand; lists of
 * CPUs and interrupts, hostile ones too; and what makes a hash symmetric, against a plain
 * Toeplitz hash. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "guard.h"
#include "pin/pin_irqs.h"
#include "pin/pin_plan.h"
#include "pin/pin_print.h"
#include "pin_machine.h"

#include <dirent.h>

static int cpus(const char *text, struct pin_cpus *out)
{
	uint8_t *p = guard_copy(text, strlen(text));
	const int rc = pin_cpus_parse((const char *)p, strlen(text), out);

	guard_free(p, strlen(text));
	return rc;
}

static void test_cpus(void **state)
{
	static const struct {
		const char *text, *says;
		unsigned count;
	} good[] = {
	    {"0", "0", 1},         {"0-3,8\n", "0-3,8", 5},       {"", "none", 0},
	    {"\n", "none", 0},     {"(null)\n", "none", 0},       {"7,5,6", "5-7", 3},
	    {"1,3,5", "1,3,5", 3}, {"8190-8191", "8190-8191", 2}, {"0-63,64-127", "0-127", 128},
	    {"0,0-1", "0-1", 2}};
	static const char *const bad[] = {
	    "a",   "0-",   "-1",     "0,",          ",0",   "3-1",
	    "0 1", "8192", "0-8192", "99999999999", "0--1", "1-2-3",
	    "0;1", "0x1",  "(nul)",  "4294967296",  "0,,1", "18446744073709551616"};
	struct pin_cpus set;
	char list[PIN_LIST_CAP];

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
		assert_int_equal(cpus(good[i].text, &set), 0);
		assert_int_equal(pin_cpus_count(&set), good[i].count);
		assert_string_equal(pin_cpus_text(&set, list), good[i].says);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		memset(&set, 0x55, sizeof(set));
		if (cpus(bad[i], &set) != -EINVAL)
			fail_msg("\"%s\" was read", bad[i]);
		assert_true(pin_cpus_has(&set, 2)); /* left as it was */
	}
	/* Every other CPU of all does not fit into a message, but into a state. */
	set = (struct pin_cpus){0};
	for (unsigned i = 0; i < PIN_CPU_CAP; i += 2)
		pin_cpus_add(&set, i);
	assert_non_null(strstr(pin_cpus_text(&set, list), "..."));
	char *full = malloc(PIN_LIST_MAX);
	struct pin_cpus again;
	assert_true(pin_cpus_list(&set, full, PIN_LIST_MAX));
	assert_int_equal(cpus(full, &again), 0);
	assert_true(pin_cpus_equal(&set, &again));
	free(full);
}

static void test_cores(void **state)
{
	static const struct {
		const char *text, *says;
	} bad[] = {{"", "no list"},
		   {"x", "no list"},
		   {"1,", "no list"},
		   {"2-1", "no list"},
		   {"1,1", "CPU 1 is given twice"},
		   {"0-3,2", "CPU 2 is given twice"},
		   {"0-64", "more than 64"}};
	struct pin_cores c;
	char err[256], list[PIN_LIST_CAP];

	(void)state;
	assert_int_equal(pin_cores_parse("8,2-4,1", &c, err, sizeof(err)), 0);
	assert_int_equal(c.n, 5);
	assert_int_equal(c.v[0], 8);
	assert_int_equal(c.v[3], 4);
	assert_string_equal(pin_cores_text(&c, list), "8,2-4,1");
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		assert_int_equal(pin_cores_parse(bad[i].text, &c, err, sizeof(err)), -EINVAL);
		if (strstr(err, bad[i].says) == NULL)
			fail_msg("\"%s\": %s", bad[i].text, err);
	}
}

static void test_irqs(void **state)
{
	static const char text[] =
	    "            CPU0       CPU1\n"
	    "   0:         44          0   IO-APIC   2-edge      timer\n"
	    " 100:          1          2   IR-PCI-MSIX-0000:65:00.0   7-edge   i40e-eth1-TxRx-0\n"
	    "\n"
	    " 101:          1          2\n"
	    "4294967296:    1          2   x  y  too-big\n"
	    "  1 2:         1          2   x  y  broken\n"
	    " 102:          1          2   PCI   1-fasteoi   a, b\r\n"
	    ":              1              none\n"
	    "NMI:          0          0   Non-maskable interrupts\n"
	    "ERR:          0\n"
	    " 103: 1 2 x y last";
	static const struct {
		unsigned number;
		const char *name;
	} want[] = {{0, "timer"}, {100, "i40e-eth1-TxRx-0"}, {102, "b"}, {103, "last"}};
	struct pin_irq irq;

	(void)state;
	/* Cut anywhere: never read beyond the end, and all whole lines are found. */
	for (size_t len = 0; len < sizeof(text); len++) {
		uint8_t *p = guard_copy(text, len);
		size_t at = 0, found = 0;
		while (pin_irqs_next((const char *)p, len, &at, &irq) > 0) {
			assert_true(found < 4);
			assert_int_equal(irq.number, want[found].number);
			if (at < len)
				assert_string_equal(irq.name, want[found].name);
			found++;
		}
		assert_int_equal(at, len);
		if (len == sizeof(text) - 1)
			assert_int_equal(found, 4);
		guard_free(p, len);
	}
}

static void test_classify(void **state)
{
	static const struct {
		const char *name;
		enum pin_role role;
		unsigned queue;
	} names[] = {{"i40e-eth1-TxRx-12", PIN_ROLE_RX, 12},
		     {"ice-eth1-TxRx-0", PIN_ROLE_RX, 0},
		     {"eth1-TxRx-3", PIN_ROLE_RX, 3},
		     {"eth1-Tx-Rx-3", PIN_ROLE_RX, 3},
		     {"eth1-rx-1", PIN_ROLE_RX, 1},
		     {"eth1-tx-1", PIN_ROLE_TX, 1},
		     {"eth1-5", PIN_ROLE_RX, 5},
		     {"bnxt_en-eth1-TxRx-2", PIN_ROLE_RX, 2},
		     {"mlx5_comp7@pci:0000:03:00.0", PIN_ROLE_RX, 7},
		     {"mlx5_async0@pci:0000:03:00.0", PIN_ROLE_OTHER, 0},
		     {"virtio1-input.1", PIN_ROLE_RX, 1},
		     {"virtio1-output.1", PIN_ROLE_TX, 1},
		     {"virtio1-config", PIN_ROLE_OTHER, 0},
		     {"i40e-0000:65:00.0:misc", PIN_ROLE_OTHER, 0},
		     {"eth1", PIN_ROLE_OTHER, 0}, /* the digit is the interface's own */
		     {"eth1-TxRx-99999999999", PIN_ROLE_OTHER, 0},
		     {"", PIN_ROLE_OTHER, 0},
		     {"@", PIN_ROLE_OTHER, 0},
		     {"gve-ntfy-blk3@pci:0000:00:04.0", PIN_ROLE_UNKNOWN, 0},
		     {"ena-mgmnt@pci:0000:00:05.0", PIN_ROLE_OTHER, 0},
		     {"virtio1-virtqueues", PIN_ROLE_UNKNOWN, 0},
		     {"7", PIN_ROLE_UNKNOWN, 0}};
	struct pin_irq irq;

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		irq = (struct pin_irq){.number = 1};
		(void)snprintf(irq.name, sizeof(irq.name), "%s", names[i].name);
		pin_irqs_classify(&irq, "eth1");
		if (irq.role != names[i].role || irq.queue != names[i].queue)
			fail_msg("%s: role %d, queue %u", names[i].name, irq.role, irq.queue);
	}
}

/* Microsoft's definition: for each set bit of the input, the 32 bits of the key there. */
static uint32_t toeplitz(const struct pin_rss *rss, const uint8_t *in, size_t len)
{
	uint32_t hash = 0;

	for (size_t bit = 0; bit < len * 8; bit++) {
		if ((in[bit / 8] >> (7 - bit % 8) & 1) == 0)
			continue;
		for (size_t k = 0; k < 32; k++) {
			const size_t at = bit + k;
			hash ^= (uint32_t)(rss->key[at / 8 % rss->key_len] >> (7 - at % 8) & 1)
				<< (31 - k);
		}
	}
	return hash;
}

/* What the device hashes: <linux/ethtool.h> on RXH_XFRM_. */
static uint32_t device_hash(const struct pin_nic *nic, bool mlx5, size_t addr, const uint8_t *a,
			    const uint8_t *b, const uint8_t pa[2], const uint8_t pb[2])
{
	const int xfrm = mlx5 ? 2 : nic->rss.xfrm;
	uint8_t in[64];
	size_t len = 2 * addr;

	for (size_t i = 0; i < addr; i++) {
		in[i] = (uint8_t)(xfrm == 1 ? a[i] ^ b[i] : xfrm == 2 ? a[i] | b[i] : a[i]);
		in[addr + i] = (uint8_t)(xfrm != 0 ? a[i] ^ b[i] : b[i]);
	}
	if ((nic->flow[PIN_UDP4] & PIN_HASH_PORTS) != 0) {
		for (size_t i = 0; i < 2; i++) {
			in[len + i] = (uint8_t)(xfrm == 1   ? pa[i] ^ pb[i]
						: xfrm == 2 ? pa[i] | pb[i]
							    : pa[i]);
			in[len + 2 + i] = (uint8_t)(xfrm != 0 ? pa[i] ^ pb[i] : pb[i]);
		}
		len += 4;
	}
	return toeplitz(&nic->rss, in, len);
}

static uint64_t random_state = 88172645463325252ull;
static uint8_t random_octet(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (uint8_t)(random_state >> 24);
}

/* Whether both directions always meet, and whether flows are spread over 16 queues so that
 * none has more than a quarter of them. */
static void hash_flows(const struct pin_nic *nic, bool mlx5, bool *meet, bool *spread)
{
	unsigned most = 0;

	*meet = true;
	for (size_t addr = 4; addr <= 16; addr += 12) {
		unsigned queue[16] = {0};
		for (int n = 0; n < 4000; n++) {
			/* Servers of one network, clients from anywhere in 10/8 or 2001:db8::/32.
			 */
			uint8_t a[16] = {10}, b[16] = {192, 0, 2}, pa[2], pb[2] = {0, 53};
			a[1] = random_octet();
			for (size_t i = addr - 2; i < addr; i++)
				a[i] = random_octet();
			b[addr - 1] = random_octet();
			pa[0] = random_octet();
			pa[1] = random_octet();
			const uint32_t there = device_hash(nic, mlx5, addr, a, b, pa, pb);
			*meet = *meet && there == device_hash(nic, mlx5, addr, b, a, pb, pa);
			queue[there % 16]++;
		}
		for (size_t i = 0; i < 16; i++)
			most = queue[i] > most ? queue[i] : most;
	}
	*spread = most < 1000;
}

static void test_symmetric(void **state)
{
	static const uint8_t period4[4] = {0x6d, 0x5a, 0x56, 0xda};
	enum { RANDOM, PERIOD2, PERIOD4, ZERO };
	struct pin_nic *nic = calloc(1, sizeof(*nic));
	bool meet, spread;
	const char *why;
	unsigned good = 0;

	(void)state;
	assert_non_null(nic);
	for (unsigned kind = 0; kind < 2 * 2 * 3 * 4; kind++) {
		const bool ports = kind & 1, mlx5 = kind & 2;
		const unsigned key = kind / 12;
		nic->rss = (struct pin_rss){.function = PIN_TOEPLITZ,
					    .key_len = kind % 5 < 2 ? 52 : 40,
					    .xfrm = (uint8_t)(mlx5 ? 0 : kind / 4 % 3)};
		(void)snprintf(nic->driver, sizeof(nic->driver), "%s", mlx5 ? "mlx5_core" : "ice");
		for (int i = 0; i < PIN_FLOWS; i++)
			nic->flow[i] = PIN_HASH_ADDRESSES | (ports ? PIN_HASH_PORTS : 0);
		for (uint32_t i = 0; i < nic->rss.key_len; i++)
			nic->rss.key[i] = key == RANDOM    ? random_octet()
					  : key == PERIOD2 ? period4[i % 2]
					  : key == PERIOD4 ? period4[i % 4]
							   : 0;
		const bool symmetric = pin_symmetric(nic, &why);
		hash_flows(nic, mlx5, &meet, &spread);
		/* What it calls symmetric is, and is of use. */
		if (symmetric && !(meet && spread))
			fail_msg("kind %u: called \"%s\"", kind, why);
		/* What it does not call so is not, or is useless, or spoilt. */
		if (!symmetric && meet && spread && strstr(why, "spoilt") == NULL)
			fail_msg("kind %u is symmetric and called \"%s\"", kind, why);
		good += symmetric;
	}
	assert_true(good > 5);
	/* A xor of what is equal is nothing: all packets in one queue. */
	nic->rss.xfrm = 1;
	(void)snprintf(nic->driver, sizeof(nic->driver), "ice");
	for (uint32_t i = 0; i < nic->rss.key_len; i++)
		nic->rss.key[i] = period4[i % 2];
	hash_flows(nic, false, &meet, &spread);
	assert_false(spread);
	assert_false(pin_symmetric(nic, &why));
	nic->rss.xfrm = 0;
	assert_true(pin_symmetric(nic, &why));
	nic->rss.function = PIN_XOR;
	assert_false(pin_symmetric(nic, &why));
	free(nic);
}

/* Blanks and line ends are all alike. */
static void squeeze(char *text)
{
	char *out = text;

	for (const char *in = text; *in != '\0'; in++) {
		const bool blank = *in == ' ' || *in == '\n';
		if (!blank)
			*out++ = *in;
		else if (out > text && out[-1] != ' ')
			*out++ = ' ';
	}
	while (out > text && out[-1] == ' ')
		out--;
	*out = '\0';
}

static char *plan_text(const struct pin_facts *f, const struct pin_cores *cores)
{
	char *text = NULL, err[512];
	size_t len;
	struct pin_plan plan;
	FILE *out = open_memstream(&text, &len);

	assert_non_null(out);
	const int rc = pin_plan_make(f, cores, &plan, err, sizeof(err));
	if (rc != 0) {
		assert_int_equal(rc, -EINVAL);
		(void)fputs(err, out);
	} else {
		pin_print_plan(out, f, &plan);
		pin_plan_fini(&plan);
	}
	assert_int_equal(fclose(out), 0);
	return text;
}

static unsigned golden_of(const char *name)
{
	struct pin_machine *m = pin_machine_create(name);
	struct pin_facts *f = calloc(1, sizeof(*f));
	char dir[512], path[1024], list[256], err[512];
	unsigned plans = 0;
	struct dirent *e;

	assert_non_null(f);
	if (pin_read(&m->door, m->ifname, f, err, sizeof(err)) != 0)
		fail_msg("%s: %s", name, err);
	(void)snprintf(dir, sizeof(dir), "%s/tests/golden/pin/%s", getenv("FLUXTAP_SOURCE"), name);
	DIR *d = opendir(dir);
	assert_non_null(d);
	while ((e = readdir(d)) != NULL) {
		struct pin_cores cores = {.n = 0};
		if (strncmp(e->d_name, "plan_", 5) != 0)
			continue;
		(void)snprintf(list, sizeof(list), "%.*s", (int)strlen(e->d_name) - 9,
			       e->d_name + 5);
		if (strcmp(list, "none") != 0)
			assert_int_equal(pin_cores_parse(list, &cores, err, sizeof(err)), 0);
		(void)snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
		char *want = pin_machine_read(path), *got = plan_text(f, &cores);
		squeeze(want);
		squeeze(got);
		if (strcmp(want, got) != 0)
			fail_msg("%s\n want: %s\n\n  got: %s", path, want, got);
		free(want);
		free(got);
		plans++;
	}
	(void)closedir(d);
	assert_int_equal(m->writes, 0); /* a plan changes nothing */
	pin_fini(f);
	free(f);
	pin_machine_destroy(m);
	return plans;
}

static void test_golden(void **state)
{
	static const char *const names[] = {"i40e",  "ice",    "symmetric", "mlx5",
					    "ixgbe", "virtio", "veth"};
	unsigned plans = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		plans += golden_of(names[i]);
	assert_int_equal(plans, 11);
}

/* The words of a machine in show, and the look of a plan on 80 columns. */
static void test_looks(void **state)
{
	static const char *const said[] = {
	    "eth1: up, 40000 Mb/s, MTU 1500, 3c:fd:fe:00:00:01\n",
	    "  driver         i40e 6.1.0-18-amd64, firmware 8.30 0x8000a49d 1.2926.0\n",
	    "  device         PCI 0000:65:00.0, bound to i40e (DPDK would want vfio-pci)\n",
	    "  NUMA           node 0, CPUs 0-7\n",
	    "  XDP            native, zero-copy (as newest kernels have it)\n",
	    "  queues         combined 16 of 16\n",
	    "  rings          rx 512 of 4096, tx 512 of 4096\n",
	    "  coalescing     adaptive-rx on, rx-usecs 50, rx-frames 0\n",
	    "  RSS hash       toeplitz, not symmetric\n",
	    "udp4: addresses and ports, tcp4: addresses and ports,",
	    "  RSS key        1f:7e:3d:90:a6:c4:b2:15:83:e7:d0:5a:4c:9b:6f:28:71:d3:e8:05\n"
	    "                 4a:b9:c6:",
	    "  RSS table      512 entries, equal over 16 queues\n",
	    "  IRQs            100  i40e-eth1-TxRx-0                 CPUs 0-15, now 0\n",
	    "                  115  i40e-eth1-TxRx-15                CPUs 0-15, now 15\n"
	    "                  116  i40e-0000:65:00.0:misc           CPUs 0-15, now 0\n",
	    "  CPUs           0-15\n                 node 0: 0-7\n                 node 1: 8-15\n",
	    "  isolated       2-5\n",
	    "  nohz_full      2-5\n",
	    "  governor       powersave on CPUs 0-15\n",
	    "  irqbalance     does not run\n"};
	struct pin_machine *m = pin_machine_create("i40e");
	struct pin_facts *f = calloc(1, sizeof(*f));
	struct pin_cores cores = {.v = {2, 3}, .n = 2};
	char err[512], *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	(void)state;
	assert_non_null(f);
	assert_int_equal(pin_read(&m->door, m->ifname, f, err, sizeof(err)), 0);
	pin_print_facts(out, f);
	assert_int_equal(fclose(out), 0);
	for (size_t i = 0; i < sizeof(said) / sizeof(*said); i++)
		if (strstr(text, said[i]) == NULL)
			fail_msg("show does not say %s but\n%s", said[i], text);
	free(text);
	text = plan_text(f, &cores);
	for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n"))
		if (strlen(line) > 79 && strstr(line, "      ethtool -X") == NULL)
			fail_msg("a line of a plan is too long: %s", line);
	free(text);
	pin_fini(f);
	free(f);
	pin_machine_destroy(m);
}

static struct pin_plan plan_of(struct pin_machine *m, struct pin_facts *f, unsigned workers)
{
	struct pin_cores cores = {.n = workers};
	struct pin_plan plan;
	char err[512];

	for (unsigned i = 0; i < workers; i++)
		cores.v[i] = (uint16_t)(1 + i);
	assert_int_equal(pin_read(&m->door, m->ifname, f, err, sizeof(err)), 0);
	assert_int_equal(pin_plan_make(f, &cores, &plan, err, sizeof(err)), 0);
	return plan;
}

static const struct pin_change *find(const struct pin_plan *p, const char *begin)
{
	for (size_t i = 0; i < p->changes; i++)
		if (strncmp(p->change[i].what, begin, strlen(begin)) == 0)
			return &p->change[i];
	return NULL;
}

/* Rules that no machine of golden/pin needs. */
static void test_more_rules(void **state)
{
	struct pin_facts *f = calloc(1, sizeof(*f));
	struct pin_machine *m = pin_machine_create("symmetric");
	bool meet, spread;

	(void)state;
	assert_non_null(f);
	/* A device that mixes first, with the key of one that does not: another key. */
	for (uint32_t i = 0; i < m->nic.rss.key_len; i++)
		m->nic.rss.key[i] = i % 2 == 0 ? 0x6d : 0x5a;
	struct pin_plan p = plan_of(m, f, 4);
	assert_int_equal(p.changes, 1);
	assert_string_equal(p.change[0].what, "RSS: symmetric key");
	assert_true(p.rss);
	memcpy(m->nic.rss.key, p.key, m->nic.rss.key_len);
	hash_flows(&m->nic, false, &meet, &spread);
	assert_true(meet && spread);
	pin_plan_fini(&p);
	pin_fini(f);

	/* Another function; a delay that is long; a table that is not equal. */
	m->nic.rss.function = PIN_XOR;
	m->nic.coalesce.rx_usecs = 65;
	m->nic.rss.table[3] = 0;
	p = plan_of(m, f, 4);
	assert_int_equal(p.changes, 2);
	assert_string_equal(p.change[0].what, "coalescing: rx-usecs 65 -> 50");
	assert_string_equal(p.change[1].what, "RSS: function toeplitz, table over 4 queues");
	assert_string_equal(p.change[1].command, "ethtool -X eth1 hfunc toeplitz equal 4");
	pin_plan_fini(&p);
	pin_fini(f);

	/* That table also names queues that two workers do not need. */
	p = plan_of(m, f, 2);
	assert_string_equal(p.change[0].what, "queues: combined 4 -> 2");
	assert_string_equal(p.change[0].command,
			    "ethtool -X eth1 default && ethtool -L eth1 combined 2");
	pin_plan_fini(&p);
	pin_fini(f);
	pin_machine_destroy(m);

	/* More queues need interrupts that are not there yet. A driver of which nothing is
	 * known may refuse. */
	m = pin_machine_create("symmetric");
	(void)snprintf(m->nic.driver, sizeof(m->nic.driver), "marvellous");
	m->nic.has &= ~(unsigned)PIN_HAS_XDP;
	m->nic.flow[PIN_TCP6] |= PIN_HASH_PORTS;
	p = plan_of(m, f, 6);
	assert_string_equal(find(&p, "queues")->command, "ethtool -L eth1 combined 6");
	assert_true(find(&p, "hash of tcp6")->tentative);
	assert_true(find(&p, "IRQ of queue 4, once there is one: -> 5")->tentative);
	assert_non_null(find(&p, "IRQ of queue 5, once there is one: -> 6"));
	assert_null(find(&p, "IRQ 6"));
	assert_non_null(strstr(p.note[0].text, "driver marvellous is not known here"));
	pin_plan_fini(&p);
	pin_fini(f);

	/* A key that nobody can set; a hash that nobody knows. */
	m->nic.rss.key_len = 0;
	m->nic.rss.xfrm = 0;
	p = plan_of(m, f, 4);
	assert_false(p.rss);
	assert_non_null(strstr(p.note[0].text, "lets nobody set the key"));
	pin_plan_fini(&p);
	pin_fini(f);
	m->nic.flow[PIN_UDP4] = PIN_FLOW_UNKNOWN;
	p = plan_of(m, f, 4);
	assert_false(p.rss);
	assert_non_null(strstr(p.note[0].text, "does not say what its hash is over"));
	pin_plan_fini(&p);
	pin_fini(f);

	/* Down, without interrupts. */
	pin_machine_file(m->root, "/sys/class/net/eth1/flags", "0x1002\n");
	pin_machine_file(m->root, "/proc/interrupts", "");
	p = plan_of(m, f, 1);
	assert_null(find(&p, "IRQ"));
	assert_non_null(strstr(p.note[p.notes - 1].text, "eth1 is down"));
	pin_plan_fini(&p);
	pin_fini(f);
	free(f);
	pin_machine_destroy(m);
}

/* Control's CPU: no thread of a worker's core before the node, the node before isolation,
 * that before nearness. */
static void test_control(void **state)
{
	static const struct {
		const char *machine, *cores;
		int control;
	} cases[] = {
	    {"ice", "0,9", 10},     /* 1 and 8 are threads of the workers' cores */
	    {"ice", "0-7", 8},      /* only such threads are left: the nearest */
	    {"i40e", "6-7", 1},     /* 5 is isolated, 8 on the other node */
	    {"i40e", "0-1,6-7", 2}, /* on this node all that are left are isolated */
	    {"i40e", "0-7", 8},     {"i40e", "0-15", -1},
	};
	struct pin_facts *f = calloc(1, sizeof(*f));
	struct pin_cores cores;
	struct pin_plan p;
	char err[512];

	(void)state;
	assert_non_null(f);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct pin_machine *m = pin_machine_create(cases[i].machine);
		assert_int_equal(pin_cores_parse(cases[i].cores, &cores, err, sizeof(err)), 0);
		assert_int_equal(pin_read(&m->door, m->ifname, f, err, sizeof(err)), 0);
		assert_int_equal(pin_plan_make(f, &cores, &p, err, sizeof(err)), 0);
		if (p.control != cases[i].control)
			fail_msg("%s %s: control on %d", cases[i].machine, cases[i].cores,
				 p.control);
		pin_plan_fini(&p);
		pin_fini(f);
		pin_machine_destroy(m);
	}
	free(f);
}

/* Files that are no lists, and devices that DPDK has. */
static void test_odd_machines(void **state)
{
	struct pin_machine *m = pin_machine_create("ixgbe");
	struct pin_facts *f = calloc(1, sizeof(*f));
	char err[512], ifname[16], bound[32];

	(void)state;
	assert_non_null(f);
	assert_int_equal(pin_pci_find(m->root, "0000:05:00.1", ifname, bound), 0);
	assert_string_equal(bound, "ixgbe");
	assert_int_equal(pin_pci_find(m->root, "0000:05:00.2", ifname, bound), -ENODEV);
	assert_int_equal(pin_pci_find(m->root, "../../../../", ifname, bound), -ENODEV);
	pin_machine_line(m->root, "/sys/bus/pci/devices/0000:05:00.0/class 0x020000");
	pin_machine_line(
	    m->root,
	    "/sys/bus/pci/devices/0000:05:00.0/driver -> ../../../bus/pci/drivers/vfio-pci");
	assert_int_equal(pin_pci_find(m->root, "0000:05:00.0", ifname, bound), 0);
	assert_string_equal(bound, "vfio-pci");
	assert_string_equal(ifname, "");
	assert_int_equal(pin_read(&m->door, "ens2f0", f, err, sizeof(err)), -ENODEV);
	assert_string_equal(err,
			    "there is no interface \"ens2f0\"; there are: ens2f1; bound for DPDK: "
			    "0000:05:00.0 (vfio-pci)");
	pin_machine_file(m->root, "/proc/irq/33/smp_affinity_list", "0-\n");
	assert_int_equal(pin_read(&m->door, "ens2f1", f, err, sizeof(err)), -EINVAL);
	assert_non_null(strstr(err, "/proc/irq/33/smp_affinity_list: \"0-\" is no list of CPUs"));
	pin_machine_file(m->root, "/proc/irq/33/smp_affinity_list", "0\n");
	pin_machine_file(m->root, "/sys/devices/system/cpu/online", "\n");
	assert_int_equal(pin_read(&m->door, "ens2f1", f, err, sizeof(err)), -EINVAL);
	assert_non_null(strstr(err, "does not say which CPUs there are"));
	pin_machine_destroy(m);

	/* Without a list of the device's own the names must do: whole names. */
	m = pin_machine_create("veth");
	pin_machine_file(
	    m->root, "/proc/interrupts",
	    "CPU0\n 1: 0 x y vb-rx-0\n 2: 0 x y vb1-rx-0\n 3: 0 x y xvb-rx-0\n 4: 0 x y 7vb\n"
	    " 5: 0 x y drv-vb\n");
	assert_int_equal(pin_read(&m->door, "vb", f, err, sizeof(err)), 0);
	assert_int_equal(f->irqs, 2);
	assert_int_equal(f->irq[0].number, 1);
	assert_int_equal(f->irq[1].number, 5);
	pin_fini(f);
	/* A device with one for everything, and one with two that nobody can tell apart. */
	pin_machine_file(m->root, "/proc/interrupts", " 1: 0 x y vb\n");
	assert_int_equal(pin_read(&m->door, "vb", f, err, sizeof(err)), 0);
	assert_int_equal(f->irqs, 1);
	assert_int_equal(f->irq[0].role, PIN_ROLE_RX);
	pin_fini(f);
	pin_machine_file(m->root, "/proc/interrupts", " 1: 0 x y a@vb\n 2: 0 x y vb-block7\n");
	struct pin_cores cores = {.v = {2}, .n = 1};
	struct pin_plan p;
	assert_int_equal(pin_read(&m->door, "vb", f, err, sizeof(err)), 0);
	assert_int_equal(pin_plan_make(f, &cores, &p, err, sizeof(err)), 0);
	assert_non_null(strstr(p.note[0].text, "the interrupts of 1 queue cannot be told"));
	pin_plan_fini(&p);
	pin_fini(f);
	pin_machine_destroy(m);

	m = pin_machine_create("virtio"); /* a bus between the PCI device and its interface */
	assert_int_equal(pin_pci_find(m->root, "0000:00:03.0", ifname, bound), 0);
	assert_string_equal(ifname, "eth0");
	free(f);
	pin_machine_destroy(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_cpus),      cmocka_unit_test(test_cores),
	    cmocka_unit_test(test_irqs),      cmocka_unit_test(test_classify),
	    cmocka_unit_test(test_symmetric), cmocka_unit_test(test_golden),
	    cmocka_unit_test(test_looks),     cmocka_unit_test(test_more_rules),
	    cmocka_unit_test(test_control),   cmocka_unit_test(test_odd_machines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
