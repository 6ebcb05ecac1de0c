/* SPDX-License-Identifier: BSD-3-Clause */
/* Applying plans and putting everything back, on machines of tests/golden/pin with a driver
 * that keeps the kernel's rules, and in every way in which that can fail; states of others. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "guard.h"
#include "pin/pin_apply.h"
#include "pin_machine.h"

#define STATE "/run/fluxtap/pin-test.json"

static char told[1 << 16];

static void hear(void *ctx, const char *line)
{
	const size_t len = strlen(told);

	(void)ctx;
	(void)snprintf(told + len, sizeof(told) - len, "%s\n", line);
}
static const struct pin_teller teller = {hear, NULL};

/* All small files but those of IRQs, and IRQs by name, as plain text. */
static char snapshot_text[1 << 20];
static size_t snapshot_len;

static int snapshot_one(const char *path, const struct stat *st, int flag, struct FTW *w)
{
	char *text;

	(void)st;
	(void)w;
	if (flag != FTW_F || strstr(path, "/proc/irq/") != NULL ||
	    strstr(path, "/msi_irqs/") != NULL || strstr(path, "/proc/interrupts") != NULL ||
	    strstr(path, "/run/") != NULL)
		return 0;
	text = pin_machine_read(path);
	text[strcspn(text, "\n")] = '\0'; /* the kernel ends lines, whoever wrote them */
	snapshot_len +=
	    (size_t)snprintf(snapshot_text + snapshot_len, sizeof(snapshot_text) - snapshot_len,
			     "%s: %s\n", path, text);
	free(text);
	return 0;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Sorted lines, since folders come in any order; the caller frees. */
static char *sorted(char *text)
{
	char *lines[4096], *out = calloc(1, sizeof(snapshot_text)), *save = NULL;
	size_t n = 0, len = 0;

	assert_non_null(out);
	for (char *l = strtok_r(text, "\n", &save); l != NULL; l = strtok_r(NULL, "\n", &save)) {
		assert_true(n < 4096);
		lines[n++] = l;
	}
	qsort(lines, n, sizeof(*lines), by_text);
	for (size_t i = 0; i < n; i++)
		len += (size_t)snprintf(out + len, sizeof(snapshot_text) - len, "%s\n", lines[i]);
	return out;
}

static char *snapshot(const struct pin_machine *m)
{
	char path[1024], name[128], affinity[128];
	unsigned number;

	snapshot_len = 0;
	assert_int_equal(nftw(m->root, snapshot_one, 16, FTW_PHYS), 0);
	pin_machine_path(m->root, "/proc/interrupts", path);
	FILE *f = fopen(path, "re");
	assert_non_null(f);
	for (char line[4096]; fgets(line, sizeof(line), f) != NULL;) {
		const char *last = strrchr(line, ' ');
		if (sscanf(line, " %u:", &number) != 1 || last == NULL)
			continue;
		(void)snprintf(name, sizeof(name), "%.*s", (int)strcspn(last + 1, "\n"), last + 1);
		(void)snprintf(path, sizeof(path), "%s/proc/irq/%u/smp_affinity_list", m->root,
			       number);
		if (access(path, F_OK) != 0)
			continue;
		char *text = pin_machine_read(path);
		(void)snprintf(affinity, sizeof(affinity), "%.*s", (int)strcspn(text, "\n"), text);
		free(text);
		snapshot_len += (size_t)snprintf(snapshot_text + snapshot_len,
						 sizeof(snapshot_text) - snapshot_len, "%s on %s\n",
						 name, affinity);
	}
	(void)fclose(f);
	return sorted(snapshot_text);
}

struct before {
	struct pin_nic nic;
	bool table_set;
	char *files;
};

static struct before *remember(const struct pin_machine *m)
{
	struct before *b = calloc(1, sizeof(*b));

	assert_non_null(b);
	b->nic = m->nic;
	b->table_set = m->table_set;
	b->files = snapshot(m);
	return b;
}

static bool is_as_before(const struct pin_machine *m, const struct before *b)
{
	char *files = snapshot(m);
	const bool same = strcmp(files, b->files) == 0 && b->table_set == m->table_set &&
			  memcmp(&b->nic, &m->nic, sizeof(b->nic)) == 0;

	free(files);
	return same;
}

static void forget(struct before *b)
{
	free(b->files);
	free(b);
}

static bool has_state(const struct pin_machine *m)
{
	char path[1024];

	pin_machine_path(m->root, STATE, path);
	return access(path, F_OK) == 0;
}

static int apply(struct pin_machine *m, unsigned first, unsigned workers, struct pin_applied *a,
		 char err[1024])
{
	struct pin_facts *f = calloc(1, sizeof(*f));
	struct pin_cores cores = {.n = workers};
	struct pin_plan p;

	assert_non_null(f);
	for (unsigned i = 0; i < workers; i++)
		cores.v[i] = (uint16_t)(first + i);
	assert_int_equal(pin_read(&m->door, m->ifname, f, err, 1024), 0);
	assert_int_equal(pin_plan_make(f, &cores, &p, err, 1024), 0);
	told[0] = '\0';
	m->writes = 0;
	err[0] = '\0';
	const int rc = pin_apply(&m->door, f, &p, STATE, &teller, a, err, 1024);
	pin_plan_fini(&p);
	pin_fini(f);
	free(f);
	return rc;
}

static size_t restore(struct pin_machine *m)
{
	struct pin_state s;
	char err[1024];

	if (pin_state_read(m->root, STATE, &s, err, sizeof(err)) != 0)
		fail_msg("%s", err);
	told[0] = '\0';
	const size_t left = pin_restore(&m->door, &s, &teller);
	if (left == 0)
		assert_int_equal(pin_state_remove(m->root, STATE), 0);
	pin_state_fini(&s);
	return left;
}

static struct pin_machine *i40e(void)
{
	struct pin_machine *m = pin_machine_create("i40e");

	/* The kernel makes interrupts anew when the number of queues changes. */
	m->irq_format = "i40e-eth1-TxRx-";
	m->irq_first = 100;
	m->irqs = 16;
	return m;
}

static void check_applied(const struct pin_machine *m)
{
	const struct pin_nic *n = &m->nic;

	assert_int_equal(n->channels.combined, 4);
	assert_int_equal(n->rings.rx, 4096);
	assert_int_equal(n->rings.tx, 512);
	assert_false(n->coalesce.adaptive_rx);
	assert_true(n->coalesce.adaptive_tx);
	for (int i = 0; i < PIN_FLOWS; i++)
		assert_int_equal(n->flow[i], PIN_HASH_ADDRESSES);
	for (uint32_t i = 0; i < n->rss.key_len; i++)
		assert_int_equal(n->rss.key[i], i % 2 == 0 ? 0x6d : 0x5a);
	for (uint32_t i = 0; i < n->rss.table_len; i++)
		assert_int_equal(n->rss.table[i], i % 4);
	assert_true(m->table_set);
	char *files = snapshot(m);
	assert_non_null(strstr(files, "i40e-eth1-TxRx-0 on 2\n"));
	assert_non_null(strstr(files, "i40e-eth1-TxRx-3 on 5\n"));
	assert_non_null(strstr(files, "cpu5/cpufreq/scaling_governor: performance\n"));
	assert_non_null(strstr(files, "cpu6/cpufreq/scaling_governor: powersave\n"));
	free(files);
}

static void test_there_and_back(void **state)
{
	static const struct {
		const char *name;
		unsigned first, workers;
	} cases[] = {
	    {"ice", 1, 4}, {"mlx5", 4, 4}, {"ixgbe", 2, 2}, {"virtio", 0, 3}, {"veth", 2, 2}};
	struct pin_machine *m = i40e();
	struct before *b = remember(m);
	struct pin_applied a;
	char err[1024];

	(void)state;
	if (apply(m, 2, 4, &a, err) != 0)
		fail_msg("%s", err);
	check_applied(m);
	assert_int_equal(m->irq_first, 200); /* and still found by name */
	assert_int_equal(a.left + a.refused, 0);
	assert_true(has_state(m));
	/* Not twice: what was before would be lost. */
	assert_int_equal(apply(m, 2, 2, &a, err), -EEXIST);
	check_applied(m);
	if (restore(m) != 0)
		fail_msg("%s", told);
	if (!is_as_before(m, b))
		fail_msg("not as before: %s", told);
	assert_false(has_state(m));
	forget(b);
	pin_machine_destroy(m);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		m = pin_machine_create(cases[i].name);
		b = remember(m);
		if (apply(m, cases[i].first, cases[i].workers, &a, err) != 0)
			fail_msg("%s: %s", cases[i].name, err);
		assert_int_equal(a.left + a.refused, 0);
		assert_false(is_as_before(m, b));
		assert_int_equal(restore(m), 0);
		if (!is_as_before(m, b))
			fail_msg("%s is not as before: %s", cases[i].name, told);
		forget(b);
		pin_machine_destroy(m);
	}
}

/* A table that somebody set, and that names queues which go, comes back as it was. */
static void test_own_table(void **state)
{
	struct pin_machine *m = i40e();
	struct pin_applied a;
	char err[1024];

	(void)state;
	for (uint32_t i = 0; i < m->nic.rss.table_len; i++)
		m->nic.rss.table[i] = 15 - i % 8;
	m->table_set = true;
	struct before *b = remember(m);
	if (apply(m, 2, 4, &a, err) != 0)
		fail_msg("%s", err);
	check_applied(m);
	if (restore(m) != 0 || !is_as_before(m, b))
		fail_msg("%s", told);
	forget(b);
	pin_machine_destroy(m);
}

/* More queues than before: the kernel takes none away again while our table names them. */
static void test_more_queues(void **state)
{
	struct pin_machine *m = pin_machine_create("symmetric");
	struct before *b = remember(m);
	struct pin_applied a;
	char err[1024];

	(void)state;
	if (apply(m, 1, 6, &a, err) != 0)
		fail_msg("%s", err);
	assert_int_equal(m->nic.channels.combined, 6);
	assert_true(m->table_set);
	assert_int_equal(m->nic.rss.table[5], 5);
	assert_int_equal(a.refused, 2); /* interrupts that never came */
	if (restore(m) != 0 || !is_as_before(m, b))
		fail_msg("%s", told);
	forget(b);
	pin_machine_destroy(m);
}

/* Interrupts that were right are made anew with the queues, and moved all the same. */
static void test_undone_by_a_change(void **state)
{
	struct pin_machine *m = i40e();
	struct pin_applied a;
	char err[1024], path[64], cpu[8];

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		(void)snprintf(path, sizeof(path), "/proc/irq/%u/smp_affinity_list", 100 + i);
		(void)snprintf(cpu, sizeof(cpu), "%u\n", 2 + i);
		pin_machine_file(m->root, path, cpu);
	}
	struct before *b = remember(m);
	if (apply(m, 2, 4, &a, err) != 0)
		fail_msg("%s", err);
	check_applied(m);
	assert_int_equal(a.left, 0);
	if (restore(m) != 0 || !is_as_before(m, b))
		fail_msg("%s", told);
	forget(b);
	pin_machine_destroy(m);
}

static void test_each_failure_is_undone(void **state)
{
	unsigned failures = 0;

	(void)state;
	for (unsigned at = 1;; at++) {
		struct pin_machine *m = i40e();
		struct before *b = remember(m);
		struct pin_applied a;
		char err[1024];

		m->fail_at = at;
		const int rc = apply(m, 2, 4, &a, err);
		if (rc == 0) {
			check_applied(m);
			assert_true(has_state(m));
			/* One refusal can be got round: queues once more after a reset. */
			assert_true(m->writes < at || at == 1);
		} else {
			assert_int_equal(rc, -EIO);
			assert_true(a.undone);
			assert_true(strlen(err) > 20 && strstr(err, "ethtool -") != NULL);
			if (!is_as_before(m, b))
				fail_msg("write %u: not as before: %s", at, told);
			assert_false(has_state(m));
			failures++;
		}
		const unsigned writes = m->writes;
		forget(b);
		pin_machine_destroy(m);
		if (rc == 0 && writes < at)
			break;
	}
	assert_true(failures >= 9); /* one for each part of the plan */
}

/* The last step is a file that cannot be written to. */
static void test_file_fails(void **state)
{
	struct pin_machine *m = i40e();
	struct pin_facts *f = calloc(1, sizeof(*f));
	struct pin_cores cores = {.v = {2, 3, 4, 5}, .n = 4};
	struct pin_applied a;
	struct pin_plan p;
	char err[1024], path[1024];

	(void)state;
	assert_non_null(f);
	assert_int_equal(pin_read(&m->door, m->ifname, f, err, sizeof(err)), 0);
	assert_int_equal(pin_plan_make(f, &cores, &p, err, sizeof(err)), 0);
	pin_machine_path(m->root, "/sys/devices/system/cpu/cpu5/cpufreq/scaling_governor", path);
	assert_int_equal(remove(path), 0);
	struct before *b = remember(m);
	assert_int_equal(pin_apply(&m->door, f, &p, STATE, &teller, &a, err, sizeof(err)), -ENOENT);
	assert_true(a.undone);
	assert_non_null(strstr(err, "echo performance > /sys/devices/system/cpu/cpu5"));
	if (!is_as_before(m, b))
		fail_msg("not as before: %s", told);
	assert_false(has_state(m));
	pin_plan_fini(&p);
	pin_fini(f);
	free(f);
	forget(b);
	pin_machine_destroy(m);
}

/* The device breaks for good: what is left is told, and the state is kept for later. */
static void test_undo_fails(void **state)
{
	struct pin_machine *m = i40e();
	struct before *b = remember(m);
	struct pin_applied a;
	char err[1024];

	(void)state;
	m->fail_at = 5;
	m->fail_on = true;
	assert_int_equal(apply(m, 2, 4, &a, err), -EIO);
	assert_false(a.undone);
	assert_true(has_state(m));
	assert_non_null(strstr(told, "could not be put back: queues\n"));
	assert_non_null(strstr(told, "could not be put back: rings\n"));
	assert_true(restore(m) >= 2);
	assert_true(has_state(m));
	m->fail_at = 0;
	assert_int_equal(restore(m), 0);
	assert_true(is_as_before(m, b));
	forget(b);
	pin_machine_destroy(m);
}

/* What an unknown driver refuses is left out; what a known one refuses is a failure. */
static void test_refusals(void **state)
{
	struct pin_machine *m = pin_machine_create("ice");
	struct before *b = remember(m);
	struct pin_applied a;
	char err[1024];

	(void)state;
	m->refuse = 1u << PIN_FLOW;
	assert_int_equal(apply(m, 1, 4, &a, err), -EOPNOTSUPP);
	assert_true(a.undone && is_as_before(m, b));
	forget(b);
	(void)snprintf(m->nic.driver, sizeof(m->nic.driver), "marvellous");
	b = remember(m);
	if (apply(m, 1, 4, &a, err) != 0)
		fail_msg("%s", err);
	assert_int_equal(a.refused, 4);
	assert_int_equal(a.left, 0);
	assert_non_null(strstr(told, "left out, the driver refuses it (Operation not supported): "
				     "hash of udp4"));
	assert_int_equal(m->nic.channels.combined, 4);
	assert_int_equal(restore(m), 0);
	assert_true(is_as_before(m, b));
	forget(b);
	pin_machine_destroy(m);
}

static void test_gone(void **state)
{
	struct pin_machine *m = i40e();
	struct pin_applied a;
	char err[1024];

	(void)state;
	assert_int_equal(apply(m, 2, 4, &a, err), 0);
	/* Another interface of that name: its settings are nobody's to put back. */
	pin_machine_file(m->root, "/sys/class/net/eth1/ifindex", "77\n");
	struct pin_nic *now = calloc(1, sizeof(*now));
	assert_non_null(now);
	*now = m->nic;
	assert_int_equal(restore(m), 0);
	assert_memory_equal(now, &m->nic, sizeof(*now));
	assert_non_null(strstr(told, "eth1 of then is gone"));
	char *files = snapshot(m);
	assert_non_null(strstr(files, "cpu5/cpufreq/scaling_governor: powersave\n"));
	assert_non_null(strstr(files, "i40e-eth1-TxRx-0 on 2\n"));
	free(files);
	free(now);
	pin_machine_destroy(m);
}

static char *good_state(size_t *len)
{
	struct pin_machine *m = i40e();
	struct pin_applied a;
	char err[1024], path[1024];

	assert_int_equal(apply(m, 2, 4, &a, err), 0);
	pin_machine_path(m->root, STATE, path);
	char *text = pin_machine_read(path);
	*len = strlen(text);
	pin_machine_destroy(m);
	return text;
}

static int parse(const char *text, size_t len, char err[256])
{
	uint8_t *p = guard_copy(text, len);
	struct pin_state s;
	const int rc = pin_state_parse((const char *)p, len, &s, err, 256);

	guard_free(p, len);
	if (rc == 0)
		pin_state_fini(&s);
	return rc;
}

static void test_state_cut(void **state)
{
	size_t len;
	char *text = good_state(&len), err[256];

	(void)state;
	assert_int_equal(parse(text, len, err), 0);
	for (size_t n = 0; n + 1 < len; n++)
		if (parse(text, n, err) != -EINVAL)
			fail_msg("cut at %zu it was read", n);
	free(text);
}

/* Each of these was a good state but for one thing. */
static void test_state_hostile(void **state)
{
	static const struct {
		const char *from, *to, *says;
	} swaps[] = {
	    {"\"v\": 1", "\"v\": 2", "v "},
	    {"\"v\": 1", "\"v\": \"1\"", "v "},
	    {"\"interface\": \"eth1\"", "\"interface\": \"\"", "interface"},
	    {"\"interface\": \"eth1\"", "\"interface\": \"../eth1\"", "interface"},
	    {"\"interface\": \"eth1\"", "\"interface\": \"eth1\\u0000x\"", "JSON"},
	    {"\"interface\": \"eth1\"", "\"interface\": \"a-name-that-is-too-long\"", "interface"},
	    {"\"combined\": 16", "\"combined\": -1", "combined"},
	    {"\"combined\": 16", "\"combined\": 4294967296", "combined"},
	    {"\"combined\": 16", "\"combined\": 1e99", "combined"},
	    {"\"adaptive_rx\": true", "\"adaptive_rx\": 1", "adaptive_rx"},
	    {"\"key\": \"1f", "\"key\": \"1", "key"},
	    {"\"key\": \"1f", "\"key\": \"xy", "key"},
	    {"\"channels\": {", "\"channels\": 7, \"x\": {", "channels"},
	    {"\"table\": [", "\"table\": [ 65536,", "table"},
	    {"\"table\": [", "\"table\": [ [],", "table"},
	    {"\"flows\": {", "\"x\": {", "flows"},
	    {"\"udp4\": 240", "\"udp4\": null", "udp4"},
	    {"\"rx-gro\": true", "\"rx-gro\": 0", "features"},
	    {"\"irqs\": [", "\"irqs\": 0, \"x\": [", "irqs"},
	    {"\"cpus\": \"0-15\"", "\"cpus\": \"0-\"", "cpus"},
	    {"\"cpus\": \"0-15\"", "\"cpus\": 3", "cpus"},
	    {"\"number\": 100", "\"number\": {}", "number"},
	    {"\"files\": {", "\"files\": { \"/etc/passwd\": \"root::0:0\",", "files"},
	    {"\"files\": {", "\"files\": { \"/sys/class/net/eth1/queues/rx-0/../../mtu\": \"1\",",
	     "files"},
	    {"\"files\": {", "\"files\": { \"/sys/class/net/eth1/queues/rx-0/rps_cpus/x\": \"1\",",
	     "files"},
	    {"\"files\": {", "\"files\": { \"/sys/class/net/eth2/queues/rx-0/rps_cpus\": \"1\",",
	     "files"},
	    {"\"files\": {",
	     "\"files\": { \"/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor/../x\": \"1\",",
	     "files"},
	    {"\"files\": {", "\"files\": { \"/sys/devices/system/cpu/cpu0/online\": \"0\",",
	     "files"},
	    {"/sys/class/net/eth1/queues/rx-0/rps_cpus\": \"0000\"",
	     "/sys/class/net/eth1/queues/rx-0/rps_cpus\": 0", "files"},
	};
	size_t len;
	char *text = good_state(&len), err[256];

	(void)state;
	for (size_t i = 0; i < sizeof(swaps) / sizeof(*swaps); i++) {
		char *at = strstr(text, swaps[i].from), *odd = NULL;
		if (at == NULL)
			fail_msg("no %s in %.600s", swaps[i].from, text);
		const int n = asprintf(&odd, "%.*s%s%s", (int)(at - text), text, swaps[i].to,
				       at + strlen(swaps[i].from));
		assert_true(n > 0);
		if (parse(odd, (size_t)n, err) != -EINVAL || strstr(err, swaps[i].says) == NULL)
			fail_msg("%s: %s", swaps[i].to, err);
		free(odd);
	}
	assert_int_equal(parse("[]", 2, err), -EINVAL);
	assert_int_equal(parse("{}", 2, err), -EINVAL);
	assert_int_equal(parse("\xff\xfe", 2, err), -EINVAL);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_there_and_back),
	    cmocka_unit_test(test_own_table),
	    cmocka_unit_test(test_more_queues),
	    cmocka_unit_test(test_undone_by_a_change),
	    cmocka_unit_test(test_each_failure_is_undone),
	    cmocka_unit_test(test_file_fails),
	    cmocka_unit_test(test_undo_fails),
	    cmocka_unit_test(test_refusals),
	    cmocka_unit_test(test_gone),
	    cmocka_unit_test(test_state_cut),
	    cmocka_unit_test(test_state_hostile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
