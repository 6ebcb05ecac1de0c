/* SPDX-License-Identifier: BSD-3-Clause */
/* A machine of tests/golden/pin (its README.md has the formats): sysfs and procfs in a
 * folder of their own, and a driver that stands in for the real one.
 *
 * The driver keeps the kernel's rules: limits; a table that somebody set blocks fewer
 * queues; one that nobody set follows their number; queues get new interrupts when their
 * number changes. Its n-th write can be made to fail. For tests alone: asserts. */
#ifndef TESTS_UNIT_PIN_MACHINE_H
#define TESTS_UNIT_PIN_MACHINE_H

#include "pin/pin.h"

#include <errno.h>
#include <ftw.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct pin_machine {
	char root[64], ifname[16];
	char routes[4][16];
	struct pin_nic nic;
	bool table_set;         /* by somebody, as the kernel remembers */
	const char *irq_format; /* of queues; NULL: interrupts stay when queues change */
	unsigned irq_first, irqs;
	unsigned writes, fail_at; /* fail_at: 0 none */
	int fail_with;
	bool fail_on;    /* and every one after it */
	unsigned refuse; /* bits of enum pin_part: -EOPNOTSUPP */
	struct pin_door door;
};

static inline void pin_machine_path(const char *root, const char *path, char out[1024])
{
	(void)snprintf(out, 1024, "%.60s%.900s", root, path);
}

/* Makes the folders above a path. */
static inline void pin_machine_above(char *full)
{
	for (char *at = full + 1; (at = strchr(at, '/')) != NULL; at++) {
		*at = '\0';
		(void)mkdir(full, 0755);
		*at = '/';
	}
}

static inline void pin_machine_file(const char *root, const char *path, const char *text)
{
	char full[1024];

	pin_machine_path(root, path, full);
	pin_machine_above(full);
	FILE *f = fopen(full, "we");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static inline char *pin_machine_read(const char *path)
{
	FILE *f = fopen(path, "re");
	char *text = calloc(1, 1 << 20);

	assert_non_null(text);
	if (f == NULL)
		fail_msg("%s: %s", path, strerror(errno));
	(void)fread(text, 1, (1 << 20) - 1, f);
	(void)fclose(f);
	return text;
}

/* `rest` with % and %%+N, %%-N made numbers. */
static inline void pin_machine_fill(const char *rest, int n, char *out, size_t cap)
{
	size_t len = 0;

	while (*rest != '\0' && len + 16 < cap) {
		if (strncmp(rest, "%%", 2) == 0) {
			char *end;
			const long by = strtol(rest + 2, &end, 10);
			len += (size_t)snprintf(out + len, cap - len, "%ld", n + by);
			rest = end;
		} else if (*rest == '%') {
			len += (size_t)snprintf(out + len, cap - len, "%d", n);
			rest++;
		} else {
			out[len++] = *rest++;
		}
	}
	out[len] = '\0';
}

/* One "PATH TEXT" or "PATH -> TARGET". */
static inline void pin_machine_line(const char *root, const char *line)
{
	char full[1024], text[1024];
	const size_t n = strcspn(line, " ");
	const char *rest = line[n] == ' ' ? line + n + 1 : "";

	if (strncmp(rest, "-> ", 3) == 0) {
		(void)snprintf(full, sizeof(full), "%s%.*s", root, (int)n, line);
		pin_machine_above(full);
		assert_int_equal(symlink(rest + 3, full), 0);
		return;
	}
	(void)snprintf(full, sizeof(full), "%.*s", (int)n, line);
	(void)snprintf(text, sizeof(text), "%s\n", rest);
	pin_machine_file(root, full, text);
}

static inline void pin_machine_tree(const char *root, const char *path)
{
	char *all = pin_machine_read(path), *save = NULL;
	char line[1024], filled[1024], text[65536];

	for (char *at = strtok_r(all, "\n", &save); at != NULL; at = strtok_r(NULL, "\n", &save)) {
		const size_t n = strlen(at);
		int lo, hi, from = 0, to = 0;

		assert_int_equal(*at, '/');
		if (n > 3 && strcmp(at + n - 3, " <<") == 0) {
			size_t len = 0;
			text[0] = '\0';
			for (char *l;
			     (l = strtok_r(NULL, "\n", &save)) != NULL && strcmp(l, ".") != 0;)
				len += (size_t)snprintf(text + len, sizeof(text) - len, "%s\n", l);
			at[n - 3] = '\0';
			pin_machine_file(root, at, text);
			continue;
		}
		const char *open = strchr(at, '['), *space = strchr(at, ' ');
		if (open == NULL || (space != NULL && space < open)) {
			pin_machine_line(root, at);
			continue;
		}
		from = (int)(open - at);
		assert_int_equal(sscanf(open, "[%d-%d]%n", &lo, &hi, &to), 2);
		for (int i = lo; i <= hi; i++) {
			(void)snprintf(line, sizeof(line), "%.*s%d%s", from, at, i, open + to);
			pin_machine_fill(line, i, filled, sizeof(filled));
			pin_machine_line(root, filled);
		}
	}
	free(all);
}

static inline uint32_t pin_machine_u32(const json_t *o, const char *key)
{
	return (uint32_t)json_integer_value(json_object_get(o, key));
}

static inline void pin_machine_text(const json_t *o, const char *key, char *out, size_t cap)
{
	const char *text = json_string_value(json_object_get(o, key));

	(void)snprintf(out, cap, "%s", text != NULL ? text : "");
}

static inline void pin_machine_rss(const json_t *o, struct pin_rss *rss)
{
	const char *key = json_string_value(json_object_get(o, "key"));
	const json_t *table = json_object_get(o, "table");
	unsigned octet;

	rss->function = PIN_TOEPLITZ;
	rss->xfrm = (uint8_t)pin_machine_u32(o, "xfrm");
	for (; key != NULL && sscanf(key + 2 * (size_t)rss->key_len, "%2x", &octet) == 1;)
		rss->key[rss->key_len++] = (uint8_t)octet;
	rss->table_len = pin_machine_u32(table, "entries");
	for (uint32_t i = 0; i < rss->table_len; i++)
		rss->table[i] = i % pin_machine_u32(table, "equal");
}

static inline void pin_machine_nic(const json_t *o, struct pin_nic *n)
{
	const json_t *p = json_object_get(o, "driver"), *v;
	json_t *features = json_object_get(o, "features");
	const char *name;

	pin_machine_text(p, "name", n->driver, sizeof(n->driver));
	pin_machine_text(p, "version", n->version, sizeof(n->version));
	pin_machine_text(p, "firmware", n->firmware, sizeof(n->firmware));
	pin_machine_text(p, "bus", n->bus, sizeof(n->bus));
	if ((p = json_object_get(o, "channels")) != NULL) {
		n->has |= PIN_HAS_CHANNELS;
		n->channels.rx = pin_machine_u32(p, "rx");
		n->channels.tx = pin_machine_u32(p, "tx");
		n->channels.other = pin_machine_u32(p, "other");
		n->channels.combined = pin_machine_u32(p, "combined");
		n->channels.rx_max = pin_machine_u32(p, "rx_max");
		n->channels.tx_max = pin_machine_u32(p, "tx_max");
		n->channels.combined_max = pin_machine_u32(p, "combined_max");
	}
	if ((p = json_object_get(o, "rings")) != NULL) {
		n->has |= PIN_HAS_RINGS;
		n->rings.rx = pin_machine_u32(p, "rx");
		n->rings.tx = pin_machine_u32(p, "tx");
		n->rings.rx_max = pin_machine_u32(p, "rx_max");
		n->rings.tx_max = pin_machine_u32(p, "tx_max");
	}
	if ((p = json_object_get(o, "coalesce")) != NULL) {
		n->has |= PIN_HAS_COALESCE;
		n->coalesce.adaptive_rx = json_is_true(json_object_get(p, "adaptive_rx"));
		n->coalesce.adaptive_tx = json_is_true(json_object_get(p, "adaptive_tx"));
		n->coalesce.rx_usecs = pin_machine_u32(p, "rx_usecs");
		n->coalesce.rx_frames = pin_machine_u32(p, "rx_frames");
		n->coalesce.tx_usecs = pin_machine_u32(p, "tx_usecs");
		n->coalesce.tx_frames = pin_machine_u32(p, "tx_frames");
	}
	if ((p = json_object_get(o, "rss")) != NULL) {
		n->has |= PIN_HAS_RSS;
		pin_machine_rss(p, &n->rss);
	}
	p = json_object_get(o, "flows");
	for (int i = 0; i < PIN_FLOWS; i++) {
		const char *over = json_string_value(json_object_get(p, pin_flow_names[i]));
		n->flow[i] = over == NULL                ? PIN_FLOW_UNKNOWN
			     : strcmp(over, "sdfn") == 0 ? PIN_HASH_ADDRESSES | PIN_HASH_PORTS
							 : PIN_HASH_ADDRESSES;
	}
	json_object_foreach(features, name, v)
	{
		struct pin_feature *f = &n->feature[n->features++];
		const char *how = json_string_value(v);
		(void)snprintf(f->name, sizeof(f->name), "%s", name);
		f->active = f->wanted = strncmp(how, "on", 2) == 0;
		f->changeable = strstr(how, "fixed") == NULL;
	}
	if ((p = json_object_get(o, "rules")) != NULL) {
		n->has |= PIN_HAS_RULES;
		n->rules = (uint32_t)json_integer_value(p);
	}
	if ((p = json_object_get(o, "xdp")) != NULL) {
		n->has |= PIN_HAS_XDP;
		n->xdp = (uint64_t)json_integer_value(p);
	}
}

static inline int pin_machine_get(void *ctx, const char *ifname, struct pin_nic *out)
{
	const struct pin_machine *m = ctx;

	assert_string_equal(ifname, m->ifname);
	*out = m->nic;
	return 0;
}

static inline int pin_machine_route(void *ctx, const char *ifname)
{
	const struct pin_machine *m = ctx;

	for (size_t i = 0; i < 4; i++)
		if (m->routes[i][0] != '\0' && strcmp(m->routes[i], ifname) == 0)
			return 1;
	return 0;
}

/* New interrupts for so many queues, with new numbers and the affinity of all. */
static inline void pin_machine_irqs(struct pin_machine *m, unsigned queues)
{
	char path[256], full[1024], text[65536] = "           CPU0       CPU1\n", name[64];
	size_t len = strlen(text);

	for (unsigned i = 0; i < m->irqs; i++) {
		const char *const files[] = {"/smp_affinity_list", "/effective_affinity_list", ""};
		for (size_t k = 0; k < 3; k++) {
			(void)snprintf(path, sizeof(path), "/proc/irq/%u%s", m->irq_first + i,
				       files[k]);
			pin_machine_path(m->root, path, full);
			assert_int_equal(remove(full), 0);
		}
	}
	m->irq_first += 100;
	m->irqs = queues;
	for (unsigned i = 0; i < queues; i++) {
		const unsigned n = m->irq_first + i;
		(void)snprintf(path, sizeof(path), "/proc/irq/%u/smp_affinity_list", n);
		pin_machine_file(m->root, path, "0-15\n");
		(void)snprintf(path, sizeof(path), "/proc/irq/%u/effective_affinity_list", n);
		pin_machine_file(m->root, path, "0\n");
		(void)snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/msi_irqs/%u",
			       m->nic.bus, n);
		pin_machine_file(m->root, path, "msix\n");
		(void)snprintf(name, sizeof(name), "%.40s%u", m->irq_format, i);
		len += (size_t)snprintf(text + len, sizeof(text) - len,
					"%4u:          1          2   PCI-MSIX   7-edge   %s\n", n,
					name);
	}
	(void)snprintf(text + len, sizeof(text) - len,
		       " 116:          1          2   PCI-MSIX   7-edge   i40e-%s:misc\n",
		       m->nic.bus);
	pin_machine_file(m->root, "/proc/interrupts", text);
}

static inline int pin_machine_set_rss(struct pin_machine *m, const struct pin_rss *want)
{
	struct pin_rss *rss = &m->nic.rss;
	const uint32_t queues = m->nic.channels.rx + m->nic.channels.combined;

	if ((m->nic.has & PIN_HAS_RSS) == 0)
		return -EOPNOTSUPP;
	if ((want->key_len != 0 && want->key_len != rss->key_len) ||
	    (want->table_len != 0 && want->table_len != rss->table_len))
		return -EINVAL;
	for (uint32_t i = 0; i < want->table_len; i++)
		if (want->table[i] >= queues)
			return -EINVAL;
	m->table_set = want->table_len > 0;
	for (uint32_t i = 0; i < rss->table_len; i++)
		rss->table[i] = m->table_set ? want->table[i] : i % queues;
	memcpy(rss->key, want->key, want->key_len);
	if (want->function != 0)
		rss->function = want->function;
	return 0;
}

static inline int pin_machine_set_queues(struct pin_machine *m, const struct pin_nic *want)
{
	const uint32_t queues = want->channels.rx + want->channels.combined;
	struct pin_rss *rss = &m->nic.rss;

	if (want->channels.combined > m->nic.channels.combined_max ||
	    want->channels.rx > m->nic.channels.rx_max || queues == 0)
		return -EINVAL;
	for (uint32_t i = 0; i < rss->table_len && m->table_set; i++)
		if (rss->table[i] >= queues)
			return -EINVAL;
	for (uint32_t i = 0; i < rss->table_len && !m->table_set; i++)
		rss->table[i] = i % queues;
	m->nic.channels.rx = want->channels.rx;
	m->nic.channels.tx = want->channels.tx;
	m->nic.channels.combined = want->channels.combined;
	if (m->irq_format != NULL)
		pin_machine_irqs(m, queues);
	return 0;
}

static inline int pin_machine_set(void *ctx, const char *ifname, enum pin_part part, unsigned index,
				  const struct pin_nic *want)
{
	struct pin_machine *m = ctx;

	assert_string_equal(ifname, m->ifname);
	m->writes++;
	if (m->fail_at != 0 && (m->writes == m->fail_at || (m->fail_on && m->writes > m->fail_at)))
		return m->fail_with;
	if ((m->refuse & 1u << part) != 0)
		return -EOPNOTSUPP;
	switch (part) {
	case PIN_CHANNELS: return pin_machine_set_queues(m, want);
	case PIN_RINGS:
		if (want->rings.rx > m->nic.rings.rx_max)
			return -EINVAL;
		m->nic.rings.rx = want->rings.rx;
		m->nic.rings.tx = want->rings.tx;
		return 0;
	case PIN_COALESCE: m->nic.coalesce = want->coalesce; return 0;
	case PIN_FEATURE:
		assert_true(index < m->nic.features);
		if (!m->nic.feature[index].changeable)
			return -EOPNOTSUPP;
		m->nic.feature[index].wanted = m->nic.feature[index].active =
		    want->feature[index].wanted;
		return 0;
	case PIN_FLOW:
		assert_true(index < PIN_FLOWS);
		m->nic.flow[index] = want->flow[index];
		return 0;
	case PIN_RSS: return pin_machine_set_rss(m, &want->rss);
	default: return -EINVAL;
	}
}

/* The machine tests/golden/pin/NAME. */
static inline struct pin_machine *pin_machine_create(const char *name)
{
	struct pin_machine *m = calloc(1, sizeof(*m));
	char path[512];
	json_error_t error;
	const char *source = getenv("FLUXTAP_SOURCE");

	assert_non_null(m);
	assert_non_null(source);
	(void)snprintf(m->root, sizeof(m->root), "/tmp/fluxtap-pin-XXXXXX");
	assert_non_null(mkdtemp(m->root));
	(void)snprintf(path, sizeof(path), "%s/tests/golden/pin/%s/machine", source, name);
	pin_machine_tree(m->root, path);
	pin_machine_line(m->root, "/run/lock/some");
	(void)snprintf(path, sizeof(path), "%s/tests/golden/pin/%s/nic.json", source, name);
	json_t *o = json_load_file(path, JSON_REJECT_DUPLICATES, &error);
	if (o == NULL)
		fail_msg("%s:%d: %s", path, error.line, error.text);
	pin_machine_text(o, "interface", m->ifname, sizeof(m->ifname));
	for (size_t i = 0; i < json_array_size(json_object_get(o, "default_routes")) && i < 4; i++)
		(void)snprintf(
		    m->routes[i], sizeof(m->routes[i]), "%s",
		    json_string_value(json_array_get(json_object_get(o, "default_routes"), i)));
	pin_machine_nic(o, &m->nic);
	json_decref(o);
	m->door = (struct pin_door){.root = m->root,
				    .ctx = m,
				    .nic_read = pin_machine_get,
				    .nic_write = pin_machine_set,
				    .carries_default = pin_machine_route};
	m->fail_with = -EIO;
	return m;
}

static inline int pin_machine_remove(const char *path, const struct stat *st, int flag,
				     struct FTW *w)
{
	(void)st;
	(void)flag;
	(void)w;
	return remove(path);
}

static inline void pin_machine_destroy(struct pin_machine *m)
{
	assert_int_equal(nftw(m->root, pin_machine_remove, 16, FTW_DEPTH | FTW_PHYS), 0);
	free(m);
}

#endif
