/* SPDX-License-Identifier: BSD-3-Clause */
#include "out.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

static void set_count(json_t *o, const char *key, uint64_t n)
{
	json_object_set_new(o, key, json_integer((json_int_t)n));
}

static json_t *classes_json(const struct ft_gen_row *row)
{
	json_t *o = json_object();

	for (unsigned i = 0; i < FT_GEN_CLASSES; i++)
		if (row->by_class[i] > 0)
			set_count(o, ft_gen_class_name((enum ft_gen_class)i), row->by_class[i]);
	return o;
}

static json_t *transports_json(const struct ft_gen_row *row)
{
	json_t *o = json_object();

	for (unsigned i = 0; i < FT_GEN_TRANSPORTS; i++)
		set_count(o, ft_gen_transport_name((enum ft_gen_transport)i), row->by_transport[i]);
	return o;
}

static json_t *edns_json(const struct ft_gen_row *row)
{
	json_t *o = json_object();

	for (unsigned i = 0; i < FT_GEN_EDNS_FIELDS; i++)
		set_count(o, ft_gen_edns_name((enum ft_gen_edns)i), row->edns[i]);
	return o;
}

static json_t *rtt_json(const struct ft_gen_row *row)
{
	json_t *o = json_object();

	set_count(o, "count", row->rtt_count);
	set_count(o, "p50", row->rtt_p50_us);
	set_count(o, "p90", row->rtt_p90_us);
	set_count(o, "p99", row->rtt_p99_us);
	set_count(o, "p999", row->rtt_p999_us);
	set_count(o, "max", row->rtt_max_us);
	return o;
}

static json_t *series_json(const struct ft_gen_row *row, uint32_t interval_s)
{
	json_t *o = json_object();

	for (unsigned k = 0; k < FT_GEN_GROUPS; k++) {
		json_t *counts;

		if (!row->series[k])
			continue;
		counts = json_array();
		for (uint32_t i = 0; i < interval_s; i++)
			json_array_append_new(counts, json_integer(row->series[k][i]));
		json_object_set_new(o, ft_gen_group_name((enum ft_gen_group)k), counts);
	}
	return o;
}

static void add_counters(json_t *o, const struct ft_gen_row *row)
{
	json_t *qtypes = json_object(), *rcodes = json_object(), *opcodes = json_object();
	char buf[FT_GEN_NAME_BUF];

	for (size_t i = 0; i < row->by_qtype.len; i++)
		set_count(qtypes, ft_gen_qtype_name((uint16_t)row->by_qtype.row[i].key, buf),
			  row->by_qtype.row[i].n);
	for (size_t i = 0; i < row->by_rcode.len; i++)
		set_count(rcodes, ft_gen_rcode_name((uint16_t)row->by_rcode.row[i].key, buf),
			  row->by_rcode.row[i].n);
	for (size_t i = 0; i < row->by_opcode.len; i++)
		set_count(opcodes, ft_gen_opcode_name((uint8_t)row->by_opcode.row[i].key, buf),
			  row->by_opcode.row[i].n);
	json_object_set_new(o, "by_qtype", qtypes);
	json_object_set_new(o, "by_rcode", rcodes);
	json_object_set_new(o, "by_class", classes_json(row));
	json_object_set_new(o, "by_opcode", opcodes);
	json_object_set_new(o, "by_transport", transports_json(row));
	json_object_set_new(o, "edns", edns_json(row));
}

static json_t *row_json(const struct ft_gen_row *row, uint32_t interval_s)
{
	json_t *o = json_object();

	json_object_set_new(o, "set", json_string("traffic"));
	json_object_set_new(o, "vantage", json_string(ft_gen_vantage_name(row->vantage)));
	set_count(o, "start", row->start_s);
	set_count(o, "end", row->start_s + interval_s);
	set_count(o, "queries", row->queries);
	set_count(o, "responses", row->responses);
	set_count(o, "pairs", row->pairs);
	set_count(o, "unanswered", row->unanswered);
	set_count(o, "unsolicited", row->unsolicited);
	add_counters(o, row);
	set_count(o, "query_bytes", row->query_bytes);
	set_count(o, "response_bytes", row->response_bytes);
	set_count(o, "clients", row->clients);
	set_count(o, "names", row->names);
	json_object_set_new(o, "rtt_us", rtt_json(row));
	json_object_set_new(o, "series", series_json(row, interval_s));
	return o;
}

static json_t *totals_json(const struct ft_gen_totals *t)
{
	json_t *o = json_object(), *malformed = json_object();

	set_count(o, "packets", t->packets);
	set_count(o, "bytes", t->bytes);
	set_count(o, "dns_messages", t->dns_messages);
	for (unsigned i = 0; i < FT_GEN_MALFORMED; i++)
		set_count(malformed, ft_gen_malformed_name((enum ft_gen_malformed)i),
			  t->malformed[i]);
	json_object_set_new(o, "malformed", malformed);
	set_count(o, "non_dns", t->non_dns);
	set_count(o, "non_ip", t->non_ip);
	set_count(o, "fragments", t->fragments);
	set_count(o, "tcp_packets", t->tcp_packets);
	return o;
}

static json_t *flux_json(const struct ft_gen_flux *f)
{
	json_t *o = json_object();

	json_object_set_new(o, "owner", json_string(f->owner));
	json_object_set_new(o, "kind", json_string(ft_gen_flux_name(f->kind)));
	set_count(o, "start", f->start_s);
	set_count(o, "trans", f->trans);
	set_count(o, "vtrans", f->vtrans);
	set_count(o, "views", f->views);
	set_count(o, "targets", f->targets);
	return o;
}

static json_t *error_json(const struct ft_gen_error *e)
{
	json_t *o = json_object();

	set_count(o, "start", e->start_s);
	json_object_set_new(o, "qname", json_string(e->qname));
	json_object_set_new(o, "class", json_string(ft_gen_class_name(e->class_of)));
	set_count(o, "queries", e->queries);
	if (e->result != NULL) {
		json_object_set_new(o, "zone", json_string(e->zone));
		json_object_set_new(o, "subject", json_string(e->subject));
		json_object_set_new(o, "result", json_string(e->result));
	}
	return o;
}

static json_t *text_or_null(const char *text)
{
	return text != NULL ? json_string(text) : json_null();
}

/* The plan of the scenario ip-flux and the lists that go with it. */
static void add_ip_flux(json_t *o, const struct ft_gen *g)
{
	struct ft_gen_ip_flux plan[FT_GEN_IP_FLUX_NAMES];
	const size_t n = ft_gen_ip_flux_get(g, plan, FT_GEN_IP_FLUX_NAMES);
	json_t *names = json_array(), *systems = json_array();
	char prefix[FT_GEN_NAME_BUF];
	unsigned number;

	for (size_t i = 0; i < n; i++)
		json_array_append_new(
		    names, json_pack("{s:s, s:s, s:s, s:o, s:o, s:b, s:b, s:f, s:I, s:I, s:I}",
				     "kind", plan[i].kind, "owner", plan[i].owner, "type",
				     plan[i].type, "class", text_or_null(plan[i].class),
				     "suppressed_by", text_or_null(plan[i].suppressed_by), "is_due",
				     (int)plan[i].is_due, "double_flux", (int)plan[i].is_double,
				     "f_holz", plan[i].f_holz_milli / 1000.0, "n_a",
				     (json_int_t)plan[i].n_a, "n_asn", (json_int_t)plan[i].n_asn,
				     "n_changes", (json_int_t)plan[i].n_changes));
	for (unsigned i = 0; n != 0 && (number = ft_gen_ip_flux_system(i, prefix)) != 0; i++)
		json_array_append_new(systems, json_pack("[s, i]", prefix, (int)number));
	if (n != 0) {
		json_object_set(o, "flux", names);
		json_object_set(o, "asn", systems);
	}
	json_decref(names);
	json_decref(systems);
}

static void add_kumamoto(json_t *o, const struct ft_gen *g)
{
	struct ft_gen_kumamoto k;

	if (ft_gen_kumamoto_get(g, &k))
		json_object_set_new(
		    o, "kumamoto",
		    json_pack("{s:f, s:f, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "r2_1s", k.r2_1s,
			      "r2_5s", k.r2_5s, "seconds", (json_int_t)k.seconds, "a",
			      (json_int_t)k.a, "aaaa", (json_int_t)k.aaaa, "silent_from",
			      (json_int_t)k.silent_from_s, "silent_to", (json_int_t)k.silent_to_s,
			      "failover_at", (json_int_t)k.failover_at_s, "failover_end",
			      (json_int_t)k.failover_end_s));
}

/* The bots of the scenario dga. */
static void add_dga(json_t *o, const struct ft_gen *g)
{
	struct ft_gen_dga_bot bots[FT_GEN_DGA_BOTS];
	const size_t n = ft_gen_dga_get(g, bots);
	json_t *list = json_array();

	for (size_t i = 0; i < n; i++)
		json_array_append_new(
		    list, json_pack("{s:s, s:s, s:I, s:I, s:o}", "client", bots[i].client, "family",
				    bots[i].family, "missing", (json_int_t)bots[i].missing,
				    "first_us", (json_int_t)bots[i].first_us, "c2",
				    text_or_null(bots[i].c2[0] != '\0' ? bots[i].c2 : NULL)));
	if (n != 0)
		json_object_set(o, "dga", list);
	json_decref(list);
}

static json_t *botnet_json(const struct ft_gen_botnet *b)
{
	json_t *o = json_object(), *stages = json_array();

	set_count(o, "domains", b->domains);
	set_count(o, "names", b->names);
	for (unsigned i = 0; i < b->stages; i++) {
		const struct ft_gen_botnet_stage *s = &b->stage[i];
		json_t *stage = json_object();

		json_object_set_new(stage, "class", json_string(ft_gen_class_name(s->class_of)));
		set_count(stage, "ttl", s->ttl_s);
		set_count(stage, "begin_us", s->begin_us);
		set_count(stage, "end_us", s->end_us);
		set_count(stage, "queries", s->queries);
		set_count(stage, "names", s->names);
		json_object_set_new(stage, "model_qps_per_domain", json_real(s->model_qps));
		json_object_set_new(stage, "multiplier", json_real(s->multiplier));
		json_array_append_new(stages, stage);
	}
	json_object_set_new(o, "stages", stages);
	return o;
}

static json_t *message_json(const struct ft_gen_message *m, const struct ft_gen_truth *t)
{
	return json_pack("{s:I, s:i, s:i, s:s, s:i, s:i, s:i, s:i, s:b, s:b, s:s}", "ts_us",
			 (json_int_t)m->ts_us, "qr", (int)m->is_response, "id", m->id, "qname",
			 m->qname, "qtype", m->qtype, "opcode", m->opcode, "rcode", m->rcode,
			 "ancount", m->answers, "tcp", (int)m->is_tcp, "v6", (int)m->is_v6, "wrap",
			 t->wraps[m->wrap].name);
}

static json_t *wrap_json(const struct ft_gen_wrap *w)
{
	json_t *o = json_object(), *vlan = json_array();

	for (unsigned i = 0; i < 2 && w->vlan[i] >= 0; i++)
		json_array_append_new(vlan, json_integer(w->vlan[i]));
	json_object_set_new(o, "name", json_string(w->name));
	json_object_set_new(o, "vlan", vlan);
	json_object_set_new(o, "tunnel", text_or_null(w->tunnel));
	json_object_set_new(o, "id", w->id >= 0 ? json_integer(w->id) : json_null());
	json_object_set_new(o, "too_deep", json_boolean(w->is_too_deep));
	set_count(o, "packets", w->packets);
	set_count(o, "bytes", w->bytes);
	set_count(o, "part_packets", w->part_packets);
	set_count(o, "part_bytes", w->part_bytes);
	return o;
}

/* What the scenario tunnels sent, message by message. */
static void add_tunnels(json_t *o, const struct ft_gen_truth *t)
{
	json_t *messages = json_array(), *wraps = json_array();

	for (size_t i = 0; i < t->message_count; i++)
		json_array_append_new(messages, message_json(&t->messages[i], t));
	for (size_t i = 0; i < t->wrap_count; i++)
		json_array_append_new(wraps, wrap_json(&t->wraps[i]));
	json_object_set_new(o, "messages", messages);
	json_object_set_new(o, "wraps", wraps);
}

static json_t *server_json(const struct ft_gen_server *s)
{
	static const struct {
		const char *name;
		double q;
	} quantiles[] = {{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p999", 0.999}, {"max", 1}};
	json_t *o = json_object(), *rtt = json_object();

	json_object_set_new(o, "server", json_string(s->address));
	json_object_set_new(o, "loss", json_real(s->loss));
	set_count(o, "down_us", s->down_us);
	set_count(o, "up_us", s->up_us);
	set_count(o, "queries", s->queries);
	set_count(o, "answered", s->answered);
	set_count(o, "unanswered", s->unanswered);
	set_count(o, "late", s->late);
	set_count(o, "dup", s->dup);
	set_count(o, "retry_same", s->retry_same);
	set_count(o, "retry_other", s->retry_other);
	set_count(o, "retry_other_us", s->retry_other_us);
	for (size_t i = 0; s->rtt_count != 0 && i < sizeof quantiles / sizeof *quantiles; i++)
		set_count(rtt, quantiles[i].name,
			  s->rtt_us[(size_t)(quantiles[i].q * (double)(s->rtt_count - 1))]);
	json_object_set_new(o, "rtt_us", rtt);
	return o;
}

static json_t *cookies_json(const struct ft_gen_cookies *c)
{
	static const char *const names[] = {
	    "BADLEN", "DOWNGRADE", "UNSUPPORTED", "CLIENT_MISMATCH",
	    "ISSUE",  "RENEW",     "OK",          "BADCOOKIE_RETRY_OK"};
	json_t *classes = json_object();

	for (unsigned i = 0; i < FT_GEN_COOKIE_CLASSES; i++)
		if (c->by_class[i] != 0)
			set_count(classes, names[i], c->by_class[i]);
	return json_pack("{s:I, s:I, s:I, s:o, s:{s:I, s:I, s:I, s:I}, s:{s:I, s:I, s:I}}",
			 "queries", (json_int_t)c->queries, "present", (json_int_t)c->present,
			 "cookie", (json_int_t)c->cookie, "by_class", classes, "servers", "seen",
			 (json_int_t)c->servers, "cookies", (json_int_t)c->servers_cookies,
			 "enforcing", (json_int_t)c->servers_enforcing, "not_enforcing",
			 (json_int_t)c->servers_passing, "clients", "seen", (json_int_t)c->clients,
			 "cookies", (json_int_t)c->clients_cookies, "reused",
			 (json_int_t)c->clients_reusing);
}

static json_t *transfer_json(const struct ft_gen_transfer *x)
{
	return json_pack("{s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:o, s:o}", "client", x->client,
			 "zone", x->zone, "type", x->type, "style", x->style, "messages",
			 (json_int_t)x->messages, "rrs", (json_int_t)x->rrs, "bytes",
			 (json_int_t)x->bytes, "dur_us", (json_int_t)x->dur_us, "serial_from",
			 x->has_from ? json_integer(x->serial_from) : json_null(), "serial_to",
			 x->has_to ? json_integer(x->serial_to) : json_null());
}

static json_t *transport_json(const struct ft_gen_carry *t)
{
	static const char *const mixes[] = {"udp53", "tcp53", "dot", "doq", "doh"};
	static const char *const tfos[] = {"NONE",          "REQ",
					   "REQ_GRANTED",   "DATA_ACCEPTED",
					   "DATA_REJECTED", "DATA_REJECTED_NEWCOOKIE",
					   "BLACKHOLE"};
	static const char *const cuts[] = {"TCP_OK", "TCP_FAIL", "UDP_RETRY", "OTHER_SERVER",
					   "NONE"};
	json_t *mix = json_object(), *tfo = json_object(), *tc = json_object();
	json_t *transfers = json_array(), *xots = json_array();

	for (unsigned i = 0; i < FT_GEN_MIXES; i++)
		json_object_set_new(mix, mixes[i],
				    json_pack("{s:I, s:I, s:I, s:I}", "packets",
					      (json_int_t)t->mix[i].packets, "bytes",
					      (json_int_t)t->mix[i].bytes, "connections",
					      (json_int_t)t->mix[i].connections, "messages",
					      (json_int_t)t->mix[i].messages));
	for (unsigned i = 0; i < FT_GEN_TFOS; i++)
		set_count(tfo, tfos[i], t->tfo[i]);
	set_count(tc, "responses", t->tc_responses);
	for (unsigned i = 0; i < FT_GEN_CUTS; i++)
		set_count(tc, cuts[i], t->tc[i]);
	set_count(tc, "latency_sum_us", t->tc_latency_us);
	for (size_t i = 0; i < t->transfers; i++)
		json_array_append_new(transfers, transfer_json(&t->transfer[i]));
	for (size_t i = 0; i < t->xots; i++)
		json_array_append_new(
		    xots,
		    json_pack("{s:s, s:I, s:I, s:I, s:I}", "client", t->xot[i].client, "bytes_out",
			      (json_int_t)t->xot[i].out, "bytes_in", (json_int_t)t->xot[i].in,
			      "dur_us", (json_int_t)t->xot[i].dur_us, "after_notify_us",
			      (json_int_t)t->xot[i].after_us));
	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:[s]}", "mix", mix, "tfo", tfo, "tc", tc,
			 "transfer", transfers, "xot", xots, "doh", "192.0.2.53");
}

/* The words of a text. */
static json_t *words_json(const char *text)
{
	json_t *list = json_array();

	while (*text != '\0') {
		const size_t n = strcspn(text, " ");
		json_array_append_new(list,
				      n == 1 && *text == '-' ? json_null() : json_stringn(text, n));
		text += n + (text[n] == ' ');
	}
	return list;
}

static json_t *hijack_json(const struct ft_gen_hijack *h)
{
	json_t *watch = json_array(), *others = json_array(), *changes = json_array();
	json_t *seen = json_array();

	for (unsigned i = 0; h->watch[i] != NULL; i++)
		json_array_append_new(watch, json_string(h->watch[i]));
	for (unsigned i = 0; h->others[i] != NULL; i++)
		json_array_append_new(others, words_json(h->others[i]));
	for (unsigned i = 0; i < FT_GEN_HIJACK_CHANGES; i++) {
		const struct ft_gen_change *c = &h->change[i];
		json_array_append_new(
		    changes,
		    json_pack("{s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:o, s:o, s:o}", "owner",
			      c->owner, "type", c->type, "side", c->side, "class",
			      "DELEGATION_HIJACK", "onset_us", (json_int_t)c->onset_us, "revert_us",
			      (json_int_t)c->revert_us, "gap_us", (json_int_t)c->gap_us, "added",
			      words_json(c->added), "removed", words_json(c->removed), "flags",
			      words_json(c->flags)));
	}
	for (unsigned i = 0; i < FT_GEN_HIJACK_RRSETS; i++)
		json_array_append_new(seen,
				      json_pack("{s:s, s:s, s:I, s:I, s:i}", "owner",
						h->seen[i].owner, "type", h->seen[i].type,
						"observations", (json_int_t)h->seen[i].observations,
						"last_auth_us", (json_int_t)h->seen[i].last_auth_us,
						"slots", (int)h->seen[i].slots));
	return json_pack("{s:o, s:o, s:o, s:o}", "watch", watch, "changes", changes, "others",
			 others, "observations", seen);
}

static json_t *cache_line_json(const struct ft_gen_cache_line *l)
{
	char server[16];
	json_t *o = json_object();

	snprintf(server, sizeof(server), "%u.%u.%u.%u", l->server[0], l->server[1], l->server[2],
		 l->server[3]);
	json_object_set_new(o, "owner", json_string(l->owner));
	json_object_set_new(o, "server", json_string(server));
	json_object_set_new(o, "randomised", json_boolean(l->randomised));
	json_object_set_new(o, "stretched", json_boolean(l->stretched));
	set_count(o, "caches", l->caches);
	set_count(o, "ttl_max", l->ttl_max_s);
	set_count(o, "answers", l->answers);
	set_count(o, "fills", l->fills);
	set_count(o, "seen", l->seen);
	set_count(o, "collisions", l->collisions);
	set_count(o, "live", l->live);
	set_count(o, "idles", l->idles);
	set_count(o, "idle_s", l->idle_s);
	return o;
}

static json_t *snooper_json(const struct ft_gen_snooper *s)
{
	char client[16];
	json_t *o = json_object();

	snprintf(client, sizeof(client), "%u.%u.%u.%u", s->client[0], s->client[1], s->client[2],
		 s->client[3]);
	json_object_set_new(o, "client", json_string(client));
	json_object_set_new(o, "class", json_string(s->class));
	json_object_set_new(o, "monitor", json_boolean(s->is_monitor));
	set_count(o, "start", s->start_s);
	set_count(o, "rd0", s->rd0);
	set_count(o, "names", s->names);
	set_count(o, "hits", s->hits);
	set_count(o, "chaos", s->chaos);
	return o;
}

static json_t *caches_json(const struct ft_gen_caches *c)
{
	json_t *watch = json_array(), *lines = json_array(), *snoopers = json_array();

	for (unsigned i = 0; c->watch[i] != NULL; i++)
		json_array_append_new(watch, json_string(c->watch[i]));
	for (unsigned i = 0; i < FT_GEN_CACHE_LINES; i++)
		json_array_append_new(lines, cache_line_json(&c->line[i]));
	for (size_t i = 0; i < c->snoopers; i++)
		json_array_append_new(snoopers, snooper_json(&c->snooper[i]));
	return json_pack("{s:o, s:o, s:o}", "watch", watch, "lines", lines, "snoopers", snoopers);
}

int out_truth(struct ft_gen *g, const struct ft_gen_opts *opts, const char *file)
{
	const struct ft_gen_truth *truth = ft_gen_truth_get(g);
	json_t *o, *rows;
	int r = 0;

	if (!truth)
		return -EINVAL;
	o = json_object();
	rows = json_array();
	json_object_set_new(o, "scenario", json_string(ft_gen_scenario_name(opts->scenario)));
	set_count(o, "seed", opts->seed);
	set_count(o, "interval", truth->interval_s);
	json_object_set_new(o, "totals", totals_json(&truth->totals));
	for (size_t i = 0; i < truth->row_count; i++)
		json_array_append_new(rows, row_json(&truth->rows[i], truth->interval_s));
	json_object_set_new(o, "traffic", rows);
	if (truth->flux_count != 0) {
		json_t *flux = json_array();
		for (size_t i = 0; i < truth->flux_count; i++)
			json_array_append_new(flux, flux_json(&truth->flux[i]));
		json_object_set_new(o, "flux", flux);
	}
	if (truth->error_count != 0) {
		json_t *errors = json_array();
		for (size_t i = 0; i < truth->error_count; i++)
			json_array_append_new(errors, error_json(&truth->errors[i]));
		json_object_set_new(o, "errors", errors);
	}
	if (truth->server_count != 0) {
		json_t *servers = json_array();
		for (size_t i = 0; i < truth->server_count; i++)
			json_array_append_new(servers, server_json(&truth->servers[i]));
		json_object_set_new(o, "servers", servers);
	}
	if (truth->cookies.queries != 0)
		json_object_set_new(o, "cookies", cookies_json(&truth->cookies));
	if (truth->transport != NULL)
		json_object_set_new(o, "transport", transport_json(truth->transport));
	if (truth->hijack != NULL)
		json_object_set_new(o, "hijack", hijack_json(truth->hijack));
	if (truth->caches != NULL)
		json_object_set_new(o, "caches", caches_json(truth->caches));
	add_ip_flux(o, g);
	add_dga(o, g);
	add_kumamoto(o, g);
	if (truth->wrap_count != 0)
		add_tunnels(o, truth);
	if (truth->botnet.stages > 0)
		json_object_set_new(o, "botnet", botnet_json(&truth->botnet));
	errno = 0;
	if (json_dump_file(o, file, JSON_INDENT(1) | JSON_COMPACT) != 0) {
		r = -(errno ? errno : EIO);
		fprintf(stderr, OUT_PROGRAM ": --truth %s: %s\n", file, strerror(-r));
	}
	json_decref(o);
	return r;
}
