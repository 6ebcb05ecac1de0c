/* SPDX-License-Identifier: BSD-3-Clause */
#include "pin_state_json.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VERSION 1

static json_t *key_json(const struct pin_rss *rss)
{
	char text[2 * PIN_KEY_CAP + 1] = "";

	for (uint32_t i = 0; i < rss->key_len; i++)
		(void)snprintf(text + 2 * (size_t)i, 3, "%02x", rss->key[i]);
	return json_string(text);
}

static json_t *rss_json(const struct pin_state *s)
{
	const struct pin_rss *rss = &s->was.nic.rss;
	json_t *table = json_array();

	for (uint32_t i = 0; i < rss->table_len; i++)
		(void)json_array_append_new(table, json_integer(rss->table[i]));
	return json_pack("{s:o,s:o,s:i,s:i,s:b}", "key", key_json(rss), "table", table, "function",
			 rss->function, "xfrm", rss->xfrm, "set", s->rss);
}

static void put_nic(json_t *o, const struct pin_state *s)
{
	const struct pin_nic *n = &s->was.nic;
	json_t *features = json_object(), *flows = json_object();

	if ((n->has & PIN_HAS_CHANNELS) != 0)
		(void)json_object_set_new(o, "channels",
					  json_pack("{s:I,s:I,s:I}", "rx",
						    (json_int_t)n->channels.rx, "tx",
						    (json_int_t)n->channels.tx, "combined",
						    (json_int_t)n->channels.combined));
	if ((n->has & PIN_HAS_RINGS) != 0)
		(void)json_object_set_new(o, "rings",
					  json_pack("{s:I,s:I}", "rx", (json_int_t)n->rings.rx,
						    "tx", (json_int_t)n->rings.tx));
	if ((n->has & PIN_HAS_COALESCE) != 0)
		(void)json_object_set_new(o, "coalesce",
					  json_pack("{s:b,s:b,s:I,s:I,s:I,s:I}", "adaptive_rx",
						    n->coalesce.adaptive_rx, "adaptive_tx",
						    n->coalesce.adaptive_tx, "rx_usecs",
						    (json_int_t)n->coalesce.rx_usecs, "rx_frames",
						    (json_int_t)n->coalesce.rx_frames, "tx_usecs",
						    (json_int_t)n->coalesce.tx_usecs, "tx_frames",
						    (json_int_t)n->coalesce.tx_frames));
	if ((n->has & PIN_HAS_RSS) != 0)
		(void)json_object_set_new(o, "rss", rss_json(s));
	for (size_t i = 0; i < n->features; i++)
		if (n->feature[i].changeable)
			(void)json_object_set_new(features, n->feature[i].name,
						  json_boolean(n->feature[i].wanted));
	for (size_t i = 0; i < PIN_FLOWS; i++)
		if (n->flow[i] != PIN_FLOW_UNKNOWN)
			(void)json_object_set_new(flows, pin_flow_names[i],
						  json_integer(n->flow[i]));
	(void)json_object_set_new(o, "features", features);
	(void)json_object_set_new(o, "flows", flows);
}

json_t *pin_state_json(const struct pin_state *s)
{
	json_t *irqs = json_array(), *files = json_object();
	char *list = malloc(PIN_LIST_MAX);
	json_t *o = json_pack("{s:i,s:s,s:I,s:s,s:s,s:I}", "v", VERSION, "interface", s->was.ifname,
			      "ifindex", (json_int_t)s->was.ifindex, "driver", s->was.nic.driver,
			      "bus", s->was.nic.bus, "applied_us", (json_int_t)s->applied_us);

	put_nic(o, s);
	for (size_t i = 0; i < s->was.irqs && list != NULL; i++) {
		(void)pin_cpus_list(&s->was.irq[i].affinity, list, PIN_LIST_MAX);
		(void)json_array_append_new(irqs, json_pack("{s:i,s:s,s:s}", "number",
							    (int)s->was.irq[i].number, "name",
							    s->was.irq[i].name, "cpus", list));
	}
	for (size_t i = 0; i < s->was.files; i++)
		(void)json_object_set_new(files, s->was.file[i].path,
					  json_string(s->was.file[i].text));
	(void)json_object_set_new(o, "irqs", irqs);
	(void)json_object_set_new(o, "files", files);
	if (list == NULL) {
		json_decref(o);
		o = NULL;
	}
	free(list);
	return o;
}

/* Readers: what is wrong is said once, and everything after it fails, too. */
struct reader {
	char *err;
	size_t cap;
	bool bad;
};

static void wrong(struct reader *r, const char *what)
{
	if (!r->bad)
		(void)snprintf(r->err, r->cap, "%s is missing or is not what pin writes", what);
	r->bad = true;
}

static uint32_t get_u32(struct reader *r, const json_t *o, const char *key)
{
	const json_t *v = json_object_get(o, key);

	if (!json_is_integer(v) || json_integer_value(v) < 0 ||
	    json_integer_value(v) > (json_int_t)UINT32_MAX) {
		wrong(r, key);
		return 0;
	}
	return (uint32_t)json_integer_value(v);
}

static bool get_bool(struct reader *r, const json_t *o, const char *key)
{
	const json_t *v = json_object_get(o, key);

	if (!json_is_boolean(v))
		wrong(r, key);
	return json_is_true(v);
}

static void get_text(struct reader *r, const json_t *o, const char *key, char *out, size_t cap)
{
	const json_t *v = json_object_get(o, key);

	if (!json_is_string(v) || json_string_length(v) >= cap ||
	    strlen(json_string_value(v)) != json_string_length(v))
		wrong(r, key);
	else
		(void)snprintf(out, cap, "%s", json_string_value(v));
}

/* The part of this name, or NULL where the driver had none. */
static const json_t *get_part(struct reader *r, const json_t *o, const char *key, unsigned has,
			      struct pin_nic *n)
{
	const json_t *v = json_object_get(o, key);

	if (v == NULL)
		return NULL;
	if (!json_is_object(v)) {
		wrong(r, key);
		return NULL;
	}
	n->has |= has;
	return v;
}

static void read_key(struct reader *r, const char *text, struct pin_rss *rss)
{
	const size_t len = strlen(text);
	unsigned octet;

	if (len % 2 != 0 || len / 2 > PIN_KEY_CAP || strspn(text, "0123456789abcdef") != len) {
		wrong(r, "key");
		return;
	}
	rss->key_len = (uint32_t)(len / 2);
	for (size_t i = 0; i < len / 2; i++)
		if (sscanf(text + 2 * i, "%2x", &octet) == 1)
			rss->key[i] = (uint8_t)octet;
}

static void read_rss(struct reader *r, const json_t *o, struct pin_state *s)
{
	struct pin_rss *rss = &s->was.nic.rss;
	const json_t *table = json_object_get(o, "table"), *v;
	char key[2 * PIN_KEY_CAP + 1] = "";

	get_text(r, o, "key", key, sizeof(key));
	read_key(r, key, rss);
	rss->function = (uint8_t)get_u32(r, o, "function");
	rss->xfrm = (uint8_t)get_u32(r, o, "xfrm");
	s->rss = get_bool(r, o, "set");
	if (!json_is_array(table) || json_array_size(table) > PIN_TABLE_CAP) {
		wrong(r, "table");
		return;
	}
	rss->table_len = (uint32_t)json_array_size(table);
	for (uint32_t i = 0; i < rss->table_len; i++) {
		v = json_array_get(table, i);
		if (!json_is_integer(v) || json_integer_value(v) < 0 ||
		    json_integer_value(v) > UINT16_MAX)
			wrong(r, "table");
		else
			rss->table[i] = (uint32_t)json_integer_value(v);
	}
}

static void read_features(struct reader *r, json_t *o, struct pin_nic *n)
{
	const char *name;
	json_t *v;

	if (!json_is_object(o) || json_object_size(o) > PIN_FEATURE_CAP) {
		wrong(r, "features");
		return;
	}
	json_object_foreach(o, name, v)
	{
		struct pin_feature *f = &n->feature[n->features++];

		if (!json_is_boolean(v) || strlen(name) >= sizeof(f->name))
			wrong(r, "features");
		(void)snprintf(f->name, sizeof(f->name), "%.63s", name);
		f->changeable = true;
		f->wanted = json_is_true(v);
	}
}

static void read_nic(struct reader *r, const json_t *o, struct pin_state *s)
{
	struct pin_nic *n = &s->was.nic;
	const json_t *part, *flows = json_object_get(o, "flows");

	if ((part = get_part(r, o, "channels", PIN_HAS_CHANNELS, n)) != NULL) {
		n->channels.rx = get_u32(r, part, "rx");
		n->channels.tx = get_u32(r, part, "tx");
		n->channels.combined = get_u32(r, part, "combined");
	}
	if ((part = get_part(r, o, "rings", PIN_HAS_RINGS, n)) != NULL) {
		n->rings.rx = get_u32(r, part, "rx");
		n->rings.tx = get_u32(r, part, "tx");
	}
	if ((part = get_part(r, o, "coalesce", PIN_HAS_COALESCE, n)) != NULL) {
		n->coalesce.adaptive_rx = get_bool(r, part, "adaptive_rx");
		n->coalesce.adaptive_tx = get_bool(r, part, "adaptive_tx");
		n->coalesce.rx_usecs = get_u32(r, part, "rx_usecs");
		n->coalesce.rx_frames = get_u32(r, part, "rx_frames");
		n->coalesce.tx_usecs = get_u32(r, part, "tx_usecs");
		n->coalesce.tx_frames = get_u32(r, part, "tx_frames");
	}
	if ((part = get_part(r, o, "rss", PIN_HAS_RSS, n)) != NULL)
		read_rss(r, part, s);
	if (!json_is_object(flows))
		wrong(r, "flows");
	for (size_t i = 0; i < PIN_FLOWS; i++)
		n->flow[i] = json_object_get(flows, pin_flow_names[i]) == NULL
				 ? PIN_FLOW_UNKNOWN
				 : get_u32(r, flows, pin_flow_names[i]);
	read_features(r, json_object_get(o, "features"), n);
}

static void read_irqs(struct reader *r, const json_t *list, struct pin_facts *was)
{
	if (!json_is_array(list) || json_array_size(list) > PIN_IRQ_CAP) {
		wrong(r, "irqs");
		return;
	}
	was->irq = calloc(json_array_size(list) + 1, sizeof(*was->irq));
	if (was->irq == NULL) {
		wrong(r, "irqs (not enough memory)");
		return;
	}
	for (size_t i = 0; i < json_array_size(list) && !r->bad; i++) {
		const json_t *o = json_array_get(list, i);
		struct pin_irq *irq = &was->irq[was->irqs++];

		irq->number = get_u32(r, o, "number");
		get_text(r, o, "name", irq->name, sizeof(irq->name));
		const json_t *cpus = json_object_get(o, "cpus");
		if (!json_is_string(cpus) ||
		    pin_cpus_parse(json_string_value(cpus), json_string_length(cpus),
				   &irq->affinity) != 0)
			wrong(r, "cpus");
	}
}

/* The files that pin changes, and no others: they will be written to as root. */
static bool is_ours(const char *path, const char *ifname)
{
	char begin[64], rest[32];
	unsigned n;
	int end = 0;

	if (sscanf(path, "/sys/devices/system/cpu/cpu%u/cpufreq/scaling_governor%n", &n, &end) ==
		1 &&
	    end > 0 && path[end] == '\0')
		return true;
	(void)snprintf(begin, sizeof(begin), "/sys/class/net/%s/queues/", ifname);
	if (strncmp(path, begin, strlen(begin)) != 0)
		return false;
	path += strlen(begin);
	if (strncmp(path, "rx-", 3) != 0 && strncmp(path, "tx-", 3) != 0)
		return false;
	end = 0;
	if (sscanf(path + 3, "%u/%31[a-z_]%n", &n, rest, &end) != 2 || path[3 + end] != '\0')
		return false;
	return strcmp(rest, "rps_cpus") == 0 || strcmp(rest, "rps_flow_cnt") == 0 ||
	       strcmp(rest, "xps_cpus") == 0 || strcmp(rest, "xps_rxqs") == 0;
}

static void read_files(struct reader *r, json_t *o, struct pin_facts *was)
{
	const char *path;
	json_t *v;

	was->file = json_is_object(o) ? calloc(json_object_size(o) + 1, sizeof(*was->file)) : NULL;
	if (was->file == NULL) {
		wrong(r, "files");
		return;
	}
	json_object_foreach(o, path, v)
	{
		struct pin_file *file = &was->file[was->files];

		if (!json_is_string(v) || !is_ours(path, was->ifname)) {
			wrong(r, "files");
			return;
		}
		*file = (struct pin_file){strdup(path), strdup(json_string_value(v))};
		was->files++;
		if (file->path == NULL || file->text == NULL) {
			wrong(r, "files (not enough memory)");
			return;
		}
	}
}

int pin_state_parse(const char *text, size_t len, struct pin_state *s, char *err, size_t cap)
{
	struct pin_state read = {.was = {.node = -1}};
	struct reader r = {.err = err, .cap = cap};
	json_error_t error;
	json_t *o = json_loadb(text, len, JSON_REJECT_DUPLICATES, &error);

	if (!json_is_object(o)) {
		(void)snprintf(err, cap, "no JSON object: line %d: %s", error.line, error.text);
		json_decref(o);
		return -EINVAL;
	}
	if (get_u32(&r, o, "v") != VERSION)
		wrong(&r, "v");
	get_text(&r, o, "interface", read.was.ifname, sizeof(read.was.ifname));
	if (read.was.ifname[0] == '\0' || strpbrk(read.was.ifname, "/%") != NULL)
		wrong(&r, "interface");
	read.was.ifindex = get_u32(&r, o, "ifindex");
	get_text(&r, o, "driver", read.was.nic.driver, sizeof(read.was.nic.driver));
	get_text(&r, o, "bus", read.was.nic.bus, sizeof(read.was.nic.bus));
	read.applied_us = json_integer_value(json_object_get(o, "applied_us"));
	read_nic(&r, o, &read);
	read_irqs(&r, json_object_get(o, "irqs"), &read.was);
	if (!r.bad)
		read_files(&r, json_object_get(o, "files"), &read.was);
	json_decref(o);
	if (r.bad) {
		pin_state_fini(&read);
		return -EINVAL;
	}
	*s = read;
	return 0;
}
