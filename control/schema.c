/* SPDX-License-Identifier: BSD-3-Clause */
#include "schema.h"

#include "envelope.h"
#include "stats/integrity_state.h"

#include <errno.h>
#include <fluxtap/block.h>
#include <fluxtap/counters.h>
#include <fluxtap/rec_cookie.h>
#include <fluxtap/dns.h>
#include <fluxtap/drop.h>
#include <fluxtap/rec_dga.h>
#include <fluxtap/rec_match.h>
#include <fluxtap/rec_tap.h>
#include <fluxtap/rec_transport.h>
#include <jansson.h>
#include <string.h>

#define NAME_OF(n) #n,
#define TEXT_OF(n, s) s,
#define METRIC_OF(n, m, t) #m,
#define X(n) #n, /* the list has an X of its own, which only a macro of that name leaves alone */
static const char *const vantages[] = {FT_VANTAGES(X) NULL};
#undef X
static const char *const classes[] = {FT_CLASSES(NAME_OF) NULL};
static const char *const transports[] = {FT_TRANSPORTS(NAME_OF) NULL};
static const char *const edns[] = {FT_EDNS(NAME_OF) NULL};
static const char *const qgroups[] = {FT_QGROUPS(TEXT_OF) NULL};
static const char *const pkt_drops[] = {FT_PKT_DROPS(METRIC_OF) NULL};
static const char *const msg_drops[] = {FT_MSG_DROPS(METRIC_OF) NULL};

#define MNEMONIC "^[A-Za-z][A-Za-z0-9_-]*$"
#define BASE64_LEN(n) (((n) + 2) / 3 * 4)

/* A fixed object under construction: fields, and the names that must be there. */
struct shape {
	json_t *fields, *required;
};

static struct shape shape_init(void)
{
	return (struct shape){json_object(), json_array()};
}

/* Adds a field that must be there; takes `schema` over. */
static void shape_put(struct shape *s, const char *name, json_t *schema, const char *text)
{
	if (text != NULL)
		json_object_set_new(schema, "description", json_string(text));
	json_object_set_new(s->fields, name, schema);
	json_array_append_new(s->required, json_string(name));
}

/* Adds a field that may be left out. */
static void shape_put_optional(struct shape *s, const char *name, json_t *schema, const char *text)
{
	json_object_set_new(schema, "description", json_string(text));
	json_object_set_new(s->fields, name, schema);
}

static json_t *shape_fini(struct shape *s)
{
	return json_pack("{s:s, s:o, s:o, s:b}", "type", "object", "properties", s->fields,
			 "required", s->required, "additionalProperties", 0);
}

static json_t *integer(json_int_t least)
{
	return json_pack("{s:s, s:I}", "type", "integer", "minimum", least);
}

static json_t *integer_or_null(void)
{
	return json_pack("{s:[s, s], s:i}", "type", "integer", "null", "minimum", 0);
}

/* Names that may be there, each with a count above zero. */
static json_t *map_of(const char *const *names)
{
	json_t *fields = json_object();

	for (; *names != NULL; names++)
		json_object_set_new(fields, *names, integer(1));
	return json_pack("{s:s, s:o, s:b}", "type", "object", "properties", fields,
			 "additionalProperties", 0);
}

static json_t *map_of_mnemonics(void)
{
	return json_pack("{s:s, s:{s:s}, s:o}", "type", "object", "propertyNames", "pattern",
			 MNEMONIC, "additionalProperties", integer(1));
}

static json_t *one_of(const char *const *names)
{
	json_t *list = json_array();

	for (; *names != NULL; names++)
		json_array_append_new(list, json_string(*names));
	return json_pack("{s:o}", "enum", list);
}

static void put_envelope(struct shape *s, const char *set, json_t *vantage)
{
	shape_put(s, "set", json_pack("{s:s}", "const", set), "kind of record");
	shape_put(s, "v", json_pack("{s:i}", "const", ENVELOPE_VERSION),
		  "version of the record's meaning");
	shape_put(s, "probe",
		  json_pack("{s:s, s:s}", "type", "string", "pattern", "^[A-Za-z0-9_.-]{1,63}$"),
		  "name of the probe");
	shape_put(s, "vantage", vantage, "where the tap saw the traffic");
	shape_put(s, "start", integer(0), "begin of the interval, UTC seconds since 1970");
	shape_put(s, "end", integer(1), "end of the interval, exclusive");
	shape_put(
	    s, "p",
	    json_pack("{s:s, s:i, s:i}", "type", "number", "exclusiveMinimum", 0, "maximum", 1),
	    "share of flows that was kept");
	shape_put(
	    s, "loss_ppm",
	    json_pack("{s:s, s:i, s:i}", "type", "integer", "minimum", 0, "maximum", 1000000),
	    "packets that the source lost and messages that could not be read, of all packets, "
	    "and records lost to a full ring, of all records; in millionths");
}

static json_t *ledger_schema(void)
{
	static const char *const shown[] = {
	    "rx_packets",      "rx_bytes",     "source_dropped",
	    "carried",         "held_packets", "messages",
	    "counted",         "held",         "late",
	    "records",         "merged",       "blocks",
	    "block_bytes_raw", "block_bytes",  "ring_full_records",
	    "malformed",       "tcp_gaps",     "tcp_lost_bytes",
	    "tcp_evicted",
	};
	struct shape s = shape_init();

	put_envelope(&s, "ledger", json_pack("{s:s}", "const", "ALL"));
	shape_put(&s, "worker",
		  json_pack("{s:[{s:s, s:i}, {s:s}]}", "anyOf", "type", "integer", "minimum", 0,
			    "const", "all"),
		  "number of the worker, or all together");
	for (size_t i = 0; i < sizeof shown / sizeof *shown; i++) {
		const char *text = strcmp(shown[i], "merged") == 0
				       ? "records that control merged"
				       : "packets that the source lost before the probe";

		for (size_t k = 0; k < FT_CTR_PLAIN_CAP; k++) {
			if (strcmp(ft_counter_texts[k].name, shown[i]) == 0)
				text = ft_counter_texts[k].help;
		}
		shape_put(&s, shown[i], integer(0), text);
	}
	shape_put(&s, "dropped", map_of(pkt_drops), "packets by the reason why they left early");
	shape_put(&s, "msg_dropped", map_of(msg_drops),
		  "messages by the reason why they left early");
	shape_put_optional(&s, "gap", json_pack("{s:b}", "const", 1),
			   "what a killed run had counted and not exported: no equation holds; "
			   "held and held_packets are of its end");
	shape_put_optional(&s, "ring_bytes", integer(0),
			   "with gap: sealed blocks that control had not read");
	return shape_fini(&s);
}

static json_t *rtt_schema(void)
{
	static const char *const quantiles[] = {"p50", "p90", "p99", "p999", "max"};
	struct shape s = shape_init();

	shape_put(&s, "count", integer(0), "answered queries");
	for (size_t i = 0; i < sizeof quantiles / sizeof *quantiles; i++)
		shape_put(&s, quantiles[i], integer_or_null(),
			  "microseconds; null without answers");
	shape_put(&s, "alpha",
		  json_pack("{s:s, s:i, s:i}", "type", "number", "exclusiveMinimum", 0,
			    "exclusiveMaximum", 1),
		  "relative error of the quantiles");
	shape_put(&s, "bins",
		  json_pack("{s:s, s:{s:s, s:[o, o], s:i, s:b}}", "type", "array", "items", "type",
			    "array", "prefixItems", integer(0), integer(1), "minItems", 2, "items",
			    0),
		  "DDSketch: bin number and count");
	return shape_fini(&s);
}

static json_t *distinct_schema(void)
{
	struct shape registers = shape_init(), s = shape_init();
	const int len = BASE64_LEN((int)FT_DISTINCT_REGS);
	json_t *regs =
	    json_pack("{s:s, s:s, s:s, s:i, s:i}", "type", "string", "contentEncoding", "base64",
		      "pattern", "^[A-Za-z0-9+/]*={0,2}$", "minLength", len, "maxLength", len);

	shape_put(&registers, "p", json_pack("{s:i}", "const", FT_DISTINCT_P), "precision");
	shape_put(&registers, "regs", regs, "one octet per register");

	json_t *one = shape_fini(&registers);

	shape_put(&s, "clients", json_deep_copy(one), NULL);
	shape_put(&s, "names", one, NULL);
	return shape_fini(&s);
}

static json_t *series_schema(void)
{
	json_t *fields = json_object();

	for (const char *const *name = qgroups; *name != NULL; name++)
		json_object_set_new(fields, *name,
				    json_pack("{s:s, s:o, s:i, s:i}", "type", "array", "items",
					      integer(0), "minItems", 1, "maxItems", 86400));
	return json_pack("{s:s, s:o, s:b}", "type", "object", "properties", fields,
			 "additionalProperties", 0);
}

static json_t *traffic_schema(void)
{
	static const struct {
		const char *name, *text;
	} counts[] = {
	    {"queries", "queries seen"},
	    {"responses", "responses seen"},
	    {"pairs", "queries whose response was seen"},
	    {"unanswered", "queries without a response in time"},
	    {"unsolicited", "responses without a query"},
	    {"malformed", "messages counted although their records are damaged"},
	};
	struct shape s = shape_init();

	put_envelope(&s, "traffic", one_of(vantages));
	for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
		shape_put(&s, counts[i].name, integer(0), counts[i].text);
	shape_put(&s, "by_qtype", map_of_mnemonics(), "queries by type");
	shape_put(&s, "by_rcode", map_of_mnemonics(), "responses by extended response code");
	shape_put(&s, "by_class", map_of(classes), "transactions by how they were answered");
	shape_put(&s, "by_opcode", map_of_mnemonics(), "queries by opcode");
	shape_put(&s, "by_transport", map_of(transports), "queries by transport");
	shape_put(&s, "edns", map_of(edns), "queries with EDNS, by what it says");
	shape_put(&s, "query_bytes", integer(0), "DNS octets in queries");
	shape_put(&s, "response_bytes", integer(0), "DNS octets in responses");
	shape_put(&s, "clients", integer(0), "distinct client addresses");
	shape_put(&s, "names", integer(0), "distinct names asked for");
	shape_put(&s, "rtt_us", rtt_schema(), "from query to response, microseconds");
	shape_put(&s, "series", series_schema(), "queries in each second, by group of types");
	shape_put(&s, "hll", distinct_schema(),
		  "HyperLogLog registers, which merge over probes by maximum");
	return shape_fini(&s);
}

static json_t *string_or_null(bool may_be_null)
{
	return may_be_null ? json_pack("{s:[s, s]}", "type", "string", "null")
			   : json_pack("{s:s}", "type", "string");
}

/* What is left out where there are more keys than control keeps. */
static json_t *error_all_schema(const char *set)
{
	struct shape s = shape_init();

	put_envelope(&s, set, one_of(vantages));
	shape_put(&s, "kind", json_pack("{s:s}", "const", "ALL"), "all keys together");
	shape_put(&s, "count", integer(1), "transactions");
	shape_put(&s, "left_out", integer(1), "of these, those without a record");
	return shape_fini(&s);
}

static json_t *number(void)
{
	return json_pack("{s:s, s:i}", "type", "number", "minimum", 0);
}

static json_t *error_schema(const char *set, bool nxdomain)
{
	struct shape s = shape_init();

	put_envelope(&s, set, one_of(vantages));
	shape_put(&s, "qname", string_or_null(true), "the name, lower case; null: no question");
	shape_put(&s, "qname_raw", string_or_null(true), "as the first one asked for it");
	shape_put(&s, "qtype", string_or_null(false), "type asked for");
	shape_put(&s, "qclass", string_or_null(false), "class asked for");
	shape_put(&s, "response_ip", string_or_null(false), "the server, asked if silent");
	shape_put(&s, "soa_rrname_raw", string_or_null(true), "owner of the authority's SOA");
	shape_put(&s, "response_us", integer_or_null(), "time of the first response");
	shape_put(&s, "count", integer(1), "transactions");
	shape_put(&s, "clients", integer(1), "distinct clients; exact up to 8");
	shape_put(&s, "nx_cut", string_or_null(true), "the topmost name that does not exist");
	if (!nxdomain) {
		shape_put(&s, "rcode", string_or_null(true), "extended rcode; null: no response");
		shape_put(&s, "class", one_of(classes), "how it went wrong");
	}
	return json_pack("{s:[o, o]}", "anyOf", shape_fini(&s), error_all_schema(set));
}

/* A name that is suddenly asked for and does not exist. */
static json_t *nx_spike_schema(void)
{
	static const char *const states[] = {"spike", "drift", NULL};
	struct shape s = shape_init();

	put_envelope(&s, "nxdomain", one_of(vantages));
	shape_put(&s, "state", one_of(states), "drift: over several intervals");
	shape_put(&s, "nx_cut", string_or_null(false), "the topmost name that does not exist");
	shape_put(&s, "count", integer(1), "transactions at it and below");
	shape_put(&s, "keys", integer(1), "records of this interval that they are in");
	shape_put(&s, "expected", number(), "transactions that its past lets expect");
	shape_put(&s, "dispersion", number(), "variance over mean of its past, at least 1");
	return shape_fini(&s);
}

static json_t *nxdomain_schema(void)
{
	json_t *rows = error_schema("nxdomain", true);

	json_array_append_new(json_object_get(rows, "anyOf"), nx_spike_schema());
	return rows;
}

static json_t *spamtrap_schema(void)
{
	struct shape s = shape_init();

	put_envelope(&s, "spamtrap", one_of(vantages));
	shape_put(&s, "domain", string_or_null(false), "the name, which does not exist");
	shape_put(&s, "q30d", integer(1), "MX queries in thirty days");
	shape_put(&s, "clients", integer(1), "distinct clients; exact up to 8");
	shape_put(&s, "days", integer(1), "days of the thirty on which it was asked for");
	shape_put(&s, "first_us", integer(0), "time of the first of them");
	shape_put(&s, "last_us", integer(0), "time of a late one");
	shape_put(&s, "nx_by", string_or_null(true), "the zone that says it does not exist");
	return shape_fini(&s);
}

static json_t *domain_record_schema(bool sampled)
{
	struct shape s = shape_init();

	put_envelope(&s, "domain", one_of(vantages));
	shape_put(&s, "domain", string_or_null(false), "registered domain");
	shape_put(&s, "queries", integer(0), "queries, unanswered ones too");
	shape_put(&s, "by_class", map_of(classes), "queries by how they were answered");
	shape_put(&s, "names", integer(0), "distinct names; exact up to 8, then within 13 %");
	shape_put(&s, "clients", integer(0), "distinct clients; likewise");
	shape_put(&s, "query_bytes", integer(0), "octets of the DNS messages");
	shape_put(&s, "response_bytes", integer(0), "octets of the DNS messages");
	if (sampled) {
		shape_put(&s, "est_queries", number(), "queries, estimated over all flows");
		shape_put(&s, "se_queries", number(),
			  "standard error of that, and more than that of any part of it");
		shape_put(&s, "est_query_bytes", number(), "estimate");
		shape_put(&s, "est_response_bytes", number(), "estimate");
		shape_put(&s, "est_by_class",
			  json_pack("{s:s, s:{s:s}}", "type", "object", "additionalProperties",
				    "type", "number"),
			  "estimates");
	}
	return shape_fini(&s);
}

static json_t *domain_schema(void)
{
	return json_pack("{s:[o, o]}", "anyOf", domain_record_schema(false),
			 domain_record_schema(true));
}

static json_t *dnserror_schema(void)
{
	return error_schema("dnserror", false);
}

static json_t *text(void)
{
	return json_pack("{s:s}", "type", "string");
}

static json_t *text_or_null(void)
{
	return json_pack("{s:[s, s]}", "type", "string", "null");
}

static json_t *list_of(json_t *item, int most)
{
	return json_pack("{s:s, s:o, s:i}", "type", "array", "items", item, "maxItems", most);
}

static void put_match_counts(struct shape *s)
{
	shape_put(s, "queries", integer(1), "queries, unanswered ones too");
	shape_put(s, "by_class", map_of(classes), "queries by how they were answered");
}

/* A record of a rule: kinds are those without, or with, a blocklist's fields. */
static json_t *match_rule_schema(const char *const *kinds, bool dnsbl)
{
	static const char *const forms[] = {"IP4", "IP6", "DOMAIN", "HASH", NULL};
	static const char *const results[] = {FT_DNSBL_RESULTS(NAME_OF) NULL};
	struct shape s = shape_init();

	put_envelope(&s, "match", one_of(vantages));
	shape_put(&s, "rule", text(), "the rule's id, as the list file gives it");
	shape_put(&s, "kind", one_of(kinds), "kind of rule");
	shape_put(&s, "family", text_or_null(), "the rule's family, where one is given");
	shape_put(&s, "severity",
		  json_pack("{s:[s, s], s:i}", "type", "integer", "null", "minimum", 0),
		  "the rule's severity, where one is given");
	shape_put(&s, "domain", text_or_null(), "registered domain; null where it was lost");
	shape_put(&s, "names", integer(0), "distinct names that matched");
	put_match_counts(&s);
	shape_put(&s, "clients", integer(0), "distinct clients that asked");
	shape_put(&s, "first_us", integer(0), "time of the first query");
	shape_put(&s, "last_us", integer(0), "time of the last query");
	shape_put(&s, "sample_names", list_of(text(), FT_MATCH_SAMPLES),
		  "some of the names, in every run the same");
	if (!dnsbl)
		return shape_fini(&s);
	shape_put(&s, "zone", text_or_null(), "the blocklist");
	shape_put(&s, "form", one_of(forms), "what was asked about");
	shape_put(&s, "subject", text_or_null(), "the address, domain or hash asked about");
	shape_put(&s, "result", one_of(results), "what the blocklist said");
	shape_put(&s, "codes", list_of(text(), FT_MATCH_CODES), "the addresses it answered with");
	return shape_fini(&s);
}

/* What is left out where more rules hit more domains than control keeps. */
static json_t *match_all_schema(void)
{
	struct shape s = shape_init();

	put_envelope(&s, "match", one_of(vantages));
	shape_put(&s, "kind", json_pack("{s:s}", "const", "ALL"), "all rules and domains together");
	put_match_counts(&s);
	shape_put(&s, "left_out_queries", integer(1), "of these, those without a record");
	return shape_fini(&s);
}

static json_t *resolver_schema(void)
{
	struct shape s = shape_init();

	shape_put(&s, "client", text(), "address");
	shape_put(&s, "queries", integer(0), "its queries in the domain, an estimate");
	shape_put(&s, "se", integer(0), "standard error of the estimate");
	return shape_fini(&s);
}

/* A random-subdomain attack; figures are estimates over a sample of the names. */
static json_t *match_flood_schema(void)
{
	static const char *const states[] = {"onset", "ongoing", "end", NULL};
	struct shape s = shape_init();

	put_envelope(&s, "match", one_of(vantages));
	shape_put(&s, "rule", json_pack("{s:s}", "const", "flood"), NULL);
	shape_put(&s, "kind", json_pack("{s:s}", "const", "flood"), "a random-subdomain attack");
	shape_put(&s, "domain", text_or_null(), "the victim; null where its name was lost");
	shape_put(&s, "state", one_of(states), "end: in the first interval without it");
	shape_put(&s, "since_us", integer(0), "when it began, to a sixteenth of the interval");
	shape_put(&s, "rate", number(), "distinct names a second while it lasted");
	shape_put(&s, "peak_qps", number(), "queries a second, over a sixteenth of the interval");
	shape_put(&s, "names", integer(0), "distinct names asked for");
	shape_put(&s, "se_names", integer(0), "standard error of that");
	shape_put(&s, "queries", integer(0), "queries in the domain");
	shape_put(&s, "failed", number(), "share of them without a useful answer");
	shape_put(&s, "names_before", number(), "names an interval before it began");
	shape_put(&s, "names_skipped", integer(0),
		  "look-ups of names that were not looked at in full, at all vantage points");
	shape_put(&s, "top_resolvers", list_of(resolver_schema(), 8), "who asked most");
	return shape_fini(&s);
}

/* A block list, or a subject of it, that is suddenly asked about. */
static json_t *match_spike_schema(void)
{
	static const char *const states[] = {"spike", "drift", NULL};
	struct shape s = shape_init();

	put_envelope(&s, "match", one_of(vantages));
	shape_put(&s, "rule", text(), "the rule's id, as the list file gives it");
	shape_put(&s, "kind", json_pack("{s:s}", "const", "dnsbl"), NULL);
	shape_put(&s, "state", one_of(states), "drift: over several intervals");
	shape_put(&s, "zone", text(), "the blocklist");
	shape_put(&s, "subject", text_or_null(), "asked about; null: the list as a whole");
	shape_put(&s, "queries", integer(1), "queries of this interval");
	shape_put(&s, "expected", number(), "queries that its past lets expect");
	shape_put(&s, "dispersion", number(), "variance over mean of its past, at least 1");
	return shape_fini(&s);
}

static json_t *match_schema(void)
{
	static const char *const plain[] = {"exact", "suffix", "regex", "shape", NULL};
	static const char *const dnsbl[] = {"dnsbl", NULL};

	return json_pack("{s:[o, o, o, o, o]}", "anyOf", match_rule_schema(plain, false),
			 match_rule_schema(dnsbl, true), match_all_schema(), match_flood_schema(),
			 match_spike_schema());
}

static json_t *flux_target_schema(void)
{
	struct shape s = shape_init();

	shape_put(&s, "name", text_or_null(), "null where it came before names are kept");
	shape_put(&s, "count", integer(1), "observations");
	shape_put(&s, "first", integer(0), "second of the first");
	shape_put(&s, "last", integer(0), "second of the last");
	return shape_fini(&s);
}

static void put_gap(struct shape *s)
{
	shape_put_optional(s, "gap_s", integer(1),
			   "seconds of the day between two runs that nobody watched");
}

static json_t *flux_cname_schema(bool onset)
{
	static const char *const classes_day[] = {"FLUX", "GEO", "LB", NULL};
	static const char *const classes_onset[] = {"FLUX", "LB", NULL};
	struct shape s = shape_init();

	put_envelope(&s, "flux", one_of(vantages));
	shape_put(&s, "kind", json_pack("{s:s}", "const", "cname"), "targets of a CNAME");
	shape_put(&s, "owner", text_or_null(), "owner of the CNAME; null where it was lost");
	shape_put(&s, "class", one_of(onset ? classes_onset : classes_day),
		  "FLUX; LB where all targets are of one registered domain; GEO where only the "
		  "views differ");
	if (onset) {
		shape_put(&s, "state", json_pack("{s:s}", "const", "onset"), "it became flux");
		shape_put(&s, "at_us", integer(0), "begin of the second in which it did");
	}
	shape_put(&s, "trans", integer(onset ? 0 : 1), "changes in the day, views mixed");
	shape_put(&s, "vtrans", integer(onset ? 8 : 0), "most changes that one view saw");
	shape_put(&s, "views", integer(1),
		  "views: clients asked from, or for S2R servers, by their ECS subnets");
	shape_put(&s, "targets", integer(1), "distinct targets");
	shape_put(&s, "multi_cname", integer(0), "answers with more than one, left out");
	shape_put(&s, "ttl_min", integer(0), "least TTL seen");
	shape_put(&s, "ttl_max", integer(0), "greatest TTL seen");
	shape_put(&s, "first_us", integer(0), "begin of the second of the first observation");
	shape_put(&s, "last_us", integer(0), "begin of the second of the last one");
	shape_put(&s, "top_targets", list_of(flux_target_schema(), 16), "those seen most");
	if (!onset)
		put_gap(&s);
	return shape_fini(&s);
}

/* The moment of 8 changes within 24 h, whatever the day (--flux-sliding). */
static json_t *flux_sliding_schema(void)
{
	static const char *const classes_onset[] = {"FLUX", "LB", NULL};
	struct shape s = shape_init();

	put_envelope(&s, "flux", one_of(vantages));
	shape_put(&s, "kind", json_pack("{s:s}", "const", "cname"), "targets of a CNAME");
	shape_put(&s, "owner", text_or_null(), "owner of the CNAME; null where it was lost");
	shape_put(&s, "class", one_of(classes_onset),
		  "LB where all targets are of one registered domain");
	shape_put(&s, "state", json_pack("{s:s}", "const", "onset"), "it became flux");
	shape_put(&s, "window", json_pack("{s:s}", "const", "sliding"), "of any 24 h");
	shape_put(&s, "at_us", integer(0), "begin of the second in which it did");
	shape_put(&s, "since_us", integer(0), "and of the oldest of the 8 changes");
	shape_put(&s, "views", integer(1), "views that are followed, 64 at most");
	return shape_fini(&s);
}

/* What is left out where there are more owners than control follows. */
static json_t *flux_cname_all_schema(void)
{
	struct shape s = shape_init();

	put_envelope(&s, "flux", json_pack("{s:s}", "const", "ALL"));
	shape_put(&s, "kind", json_pack("{s:s}", "const", "cname"), "targets of a CNAME");
	shape_put(&s, "owner", json_pack("{s:s}", "const", "ALL"), "all owners of the day");
	shape_put(&s, "owners", integer(0), "owners followed");
	shape_put(&s, "dropped_owners", integer(0), "owners followed until there were too many");
	shape_put(&s, "left_out", integer(0), "observations of owners that were not followed");
	shape_put(&s, "lost_records", integer(0), "records lost for want of memory");
	shape_put(&s, "fluxers", integer(0), "owners of class FLUX or LB");
	shape_put(&s, "est_fluxers", integer(0), "how many there are among all, an estimate");
	shape_put(&s, "se_fluxers", integer(0), "its standard error");
	return shape_fini(&s);
}

static json_t *boolean(void)
{
	return json_pack("{s:s}", "type", "boolean");
}

static json_t *number_or_null(void)
{
	return json_pack("{s:[s, s], s:i}", "type", "number", "null", "minimum", 0);
}

/* What kinds of flux by address begin with. */
static void put_flux_head(struct shape *s, const char *kind, const char *const *types)
{
	static const char *const states[] = {"onset", "day", NULL};

	put_envelope(s, "flux", one_of(vantages));
	shape_put(s, "kind", json_pack("{s:s}", "const", kind), NULL);
	shape_put(s, "state", one_of(states), "onset: the moment it crossed; day: the UTC day");
	shape_put(s, "owner", text(), "the name");
	shape_put(s, "type", one_of(types), "type of the records");
	shape_put(s, "double_flux", boolean(), "a name in flux on name servers in flux");
	shape_put(s, "views", integer(1), "resolvers or clients that saw it; ip: 64 is 64 or more");
	shape_put(s, "first_us", integer(0), "seen first, to a second");
	shape_put(s, "last_us", integer(0), "seen last, to a second");
	put_gap(s);
}

static json_t *flux_ip_schema(void)
{
	static const char *const types[] = {"A", "AAAA", NULL};
	static const char *const ttl_fields[] = {"min", "med", "max", "changes"};
	struct shape s = shape_init(), ttl = shape_init();

	for (size_t i = 0; i < sizeof ttl_fields / sizeof *ttl_fields; i++)
		shape_put(&ttl, ttl_fields[i], integer(0), NULL);
	put_flux_head(&s, "ip", types);
	shape_put(&s, "class", json_pack("{s:[s, n]}", "enum", "FLUX"),
		  "null: no flux, or not sure");
	shape_put(&s, "suppressed_by",
		  json_pack("{s:[s, s, s, s, s, s, n]}", "enum", "ttl", "cdn_list", "top_asn",
			    "saturated", "geo", "shared"),
		  "what speaks for a content network");
	shape_put(&s, "n_a", integer(1), "addresses of the day, IPv6 by /64");
	shape_put(&s, "n_asn", integer_or_null(), "their autonomous systems");
	shape_put(&s, "n_24", integer(1), "their networks of 24 bits (IPv6: 48)");
	shape_put(&s, "n_16", integer(1), "their networks of 16 bits (IPv6: 32)");
	shape_put(&s, "n_single", integer(1), "addresses of the largest answer");
	shape_put(&s, "phi", number(), "n_a / n_single");
	shape_put(&s, "f_holz", number(),
		  "largest flux score over two TTL epochs of one view; flux beyond 142.38");
	shape_put(&s, "s_zeek", number(), "the same, times systems / addresses");
	shape_put(&s, "churn", number_or_null(), "mean share of addresses that an hour changed");
	shape_put(&s, "growth", number(), "n_a / addresses seen in the first half");
	shape_put(&s, "ttl", shape_fini(&ttl), "seconds; med and changes: of TTL epochs");
	shape_put(&s, "epochs", integer(1), "TTL epochs of all views");
	shape_put(&s, "asn_missing", boolean(),
		  "no table of systems: networks of 16 bits stand for them");
	shape_put(&s, "top_asn", integer_or_null(), "the commonest system");
	shape_put(&s, "top_asn_share", number(), "its share of the addresses");
	shape_put(&s, "sample_addrs", list_of(text(), 8), "the lowest addresses, IPv6 as /64");
	shape_put(&s, "cut", boolean(), "there were more addresses than are kept");
	return shape_fini(&s);
}

static json_t *flux_ns_schema(void)
{
	static const char *const types[] = {"NS", "A", "AAAA", NULL};
	static const char *const sides[] = {"PARENT", "CHILD", NULL};
	static const char *const moves[] = {"DELEG_FLUX", "NS_MOVE", "NS_FLUX", NULL};
	struct shape s = shape_init(), set = shape_init();

	shape_put(&set, "hash",
		  json_pack("{s:s, s:s}", "type", "string", "pattern", "^[0-9a-f]{16}$"),
		  "of its content, the same everywhere");
	shape_put(&set, "count", integer(1), "observations");
	shape_put(&set, "first_us", integer(0), "seen first, to a second");
	shape_put(&set, "last_us", integer(0), "seen last, to a second");
	shape_put(&set, "members", list_of(text(), 8), "its first names or addresses");
	put_flux_head(&s, "ns", types);
	shape_put(&s, "side", one_of(sides), "PARENT: referrals and glue; CHILD: answers");
	shape_put(&s, "class", one_of(moves), "NS: delegation; A, AAAA: name server");
	shape_put(&s, "n_changes", integer(2), "changes of the set, the most that one view saw");
	shape_put(&s, "ttl_min", integer(0), "seconds");
	shape_put(&s, "ttl_max", integer(0), "seconds");
	shape_put(&s, "ns_e2lds", integer_or_null(), "registered domains of the NS names");
	shape_put(&s, "sets", list_of(shape_fini(&set), 8), "the commonest sets");
	return shape_fini(&s);
}

/* What a day's budget left out. */
static json_t *flux_all_schema(void)
{
	static const char *const kinds[] = {"ip", "ns", NULL};
	struct shape s = shape_init();

	put_envelope(&s, "flux", json_pack("{s:s}", "const", "ALL"));
	shape_put(&s, "kind", json_pack("{s:s}", "const", "ALL"), "all owners together");
	shape_put(&s, "of", one_of(kinds), "the kind that this speaks of");
	shape_put(&s, "owners", integer(0), "names seen, those that came back counted again");
	shape_put(&s, "left_out", integer(0), "of these, those not followed to the day's end");
	shape_put(&s, "lost", integer(0), "observations that found no room in their interval");
	return shape_fini(&s);
}

static json_t *flux_schema(void)
{
	return json_pack("{s:[o, o, o, o, o, o, o]}", "anyOf", flux_cname_schema(false),
			 flux_cname_schema(true), flux_sliding_schema(), flux_cname_all_schema(),
			 flux_ip_schema(), flux_ns_schema(), flux_all_schema());
}

static json_t *class_or_null(void)
{
	json_t *list = one_of(classes);

	json_array_append_new(json_object_get(list, "enum"), json_null());
	return list;
}

/* How much more is asked under a class of answers than under DATA. */
static json_t *multipliers_schema(void)
{
	static const char *const bases[] = {"minute", "hour_of_week", NULL};
	static const char *const compared[] = {"NODATA",  "NXDOMAIN", "SERVFAIL",
					       "REFUSED", "TIMEOUT",  NULL};
	json_t *fields = json_object();

	for (const char *const *name = compared; *name != NULL; name++) {
		struct shape s = shape_init();

		shape_put(&s, "est", number(), "queries, as a multiple of those under DATA");
		shape_put(&s, "lo", number(), "lower end of the 95 % interval");
		shape_put(&s, "hi", number(), "upper end");
		shape_put(&s, "n", integer(1), "hours of the week, or minutes, of the class");
		shape_put(&s, "basis", one_of(bases), "what was compared");
		json_object_set_new(fields, *name, shape_fini(&s));
	}
	return json_pack("{s:s, s:o, s:b}", "type", "object", "properties", fields,
			 "additionalProperties", 0);
}

static void put_sinkhole_switch(struct shape *s)
{
	static const char *const bases[] = {"minute", "hour_of_week", "mixed", NULL};
	json_t *basis = one_of(bases);

	json_array_append_new(json_object_get(basis, "enum"), json_null());
	shape_put(
	    s, "switch_us", integer_or_null(),
	    "begin of the minute in which nine in ten answers became others; of a group: when "
	    "half of its domains had; null: never, as far as is known");
	shape_put(s, "from_class", class_or_null(), "the answers before");
	shape_put(s, "to_class", class_or_null(), "the answers since");
	shape_put(s, "before", number_or_null(),
		  "queries per name and second, 24 h to 1 h before the switch; null: not known");
	shape_put(s, "after", number_or_null(),
		  "the same for 24 h from 2 h, or the old TTL, after it; null: not known");
	shape_put(s, "ratio", number_or_null(), "before / after");
	shape_put(s, "multipliers", multipliers_schema(), "queries under other answers than DATA");
	shape_put(s, "basis", basis, "what the multipliers compare");
}

static void put_sinkhole_rates(struct shape *s)
{
	shape_put(s, "group", text(), "the group, as the list gives it");
	shape_put(s, "name", text(), "registered domain, or ALL of the group");
	shape_put(s, "queries", integer(0), "queries counted");
	shape_put(s, "qps", number(), "queries a second; an estimate where p < 1");
	shape_put(s, "names", integer(0), "distinct full names asked for");
	shape_put(s, "domains", integer(0), "registered domains asked for");
	shape_put(s, "clients", integer(0), "distinct clients that asked");
	shape_put(s, "qps_per_name", number_or_null(), "qps / names");
	shape_put(s, "qps_per_domain", number_or_null(), "qps / domains");
	shape_put(s, "by_class", map_of(classes), "queries by how they were answered");
	shape_put(
	    s, "neg_ttl", integer_or_null(),
	    "negative TTL, least of the SOA's own and its minimum (RFC 2308), the greatest seen");
	shape_put(s, "ans_ttl", integer_or_null(),
		  "least TTL along an answer or of a delegation, the greatest seen");
	shape_put(s, "response_bytes", integer(0), "DNS octets in responses");
}

static json_t *sinkhole_schema_of(bool all)
{
	static const char *const known[] = {"SINKHOLED", "SINKHOLE_MAYBE", NULL};
	static const char *const signals[] = {"IP", "NS", "CNAME", "NAME", "NXDOMAIN", NULL};
	static const char *const found[] = {"name", "answer", NULL};
	struct shape s = shape_init();

	put_envelope(&s, "sinkhole", one_of(vantages));
	put_sinkhole_rates(&s);
	put_sinkhole_switch(&s);
	shape_put(&s, "class", all ? json_pack("{s:s}", "type", "null") : one_of(known),
		  "SINKHOLED needs two signals");
	shape_put(&s, "signals", list_of(one_of(signals), 5),
		  "what was seen in the last 49 h: listed address, name server, alias or name, and "
		  "that the domain did not exist before");
	json_object_set_new(s.fields, "est_queries", number());
	json_object_set_new(s.fields, "se_queries", number());
	put_gap(&s);
	if (!all) {
		shape_put(&s, "found", one_of(found), "listed by name, or found by its answers");
		return shape_fini(&s);
	}
	shape_put(&s, "top_client_share", number_or_null(),
		  "share of the client that asked most; null: not known");
	shape_put(&s, "left_out_queries", integer(0),
		  "queries for domains beyond the budget, of all groups");
	shape_put(&s, "without_past", integer(0), "times that a domain found no room for a past");
	shape_put(&s, "hll",
		  json_pack("{s:[{s:s}, o]}", "anyOf", "type", "null", distinct_schema()),
		  "HyperLogLog registers; null with domains found by their answers");
	return shape_fini(&s);
}

static json_t *sinkhole_schema(void)
{
	return json_pack("{s:[o, o]}", "anyOf", sinkhole_schema_of(false),
			 sinkhole_schema_of(true));
}

static json_t *tap_schema(void)
{
	static const char *const kinds[] = {"tap", "untagged", "other", NULL};
	static const char *const tunnels[] = {
#define X(n, t) t,
	    FT_TUNNELS(X)
#undef X
		NULL};
	struct shape s = shape_init();
	json_t *tunnel = one_of(tunnels + 1); /* without "none" */

	json_array_append_new(json_object_get(tunnel, "enum"), json_null());
	put_envelope(&s, "tap", json_pack("{s:s}", "const", "ALL"));
	shape_put(&s, "kind", one_of(kinds),
		  "tap: these outer headers; untagged: packets without any; other: the "
		  "combinations beyond the budget, together");
	shape_put(&s, "vlan", list_of(integer(0), FT_TAG_VLANS),
		  "VLAN ids in front of any tunnel, outermost first");
	shape_put(&s, "tunnel", tunnel, "the outermost tunnel");
	shape_put(&s, "id", integer_or_null(),
		  "label (mpls), key (gre), session (erspan), VNI (vxlan, geneve) or tunnel "
		  "(l2tp); null where there is none");
	shape_put(&s, "packets", integer(1), "packets received, dropped ones too");
	shape_put(&s, "bytes", integer(0), "frame bytes, as on the wire");
	shape_put(&s, "messages", integer(0), "DNS messages found in them");
	return shape_fini(&s);
}

static json_t *quantiles_or_null(bool brief, const char *text)
{
	static const char *const names[] = {"p50", "max", "count", "p90", "p99", "p999"};
	struct shape s = shape_init();

	for (size_t i = 0; i < (brief ? 2 : sizeof names / sizeof *names); i++)
		shape_put(&s, names[i], integer(0), NULL);
	return json_pack("{s:[{s:s}, o], s:s}", "anyOf", "type", "null", shape_fini(&s),
			 "description", text);
}

static json_t *server_schema(void)
{
	static const char *const states[] = {"UP", "DEGRADED", "DOWN", NULL};
	static const char *const guards[] = {"ASYM", "LOSS", NULL};
	json_t *state = one_of(states), *guard = one_of(guards);
	struct shape s = shape_init();

	json_array_append_new(json_object_get(state, "enum"), json_null());
	json_array_append_new(json_object_get(guard, "enum"), json_null());
	put_envelope(&s, "server", one_of(vantages));
	shape_put(&s, "server", text(), "its address");
	shape_put(&s, "queries", integer(0), "queries to it, duplicates too");
	shape_put(&s, "answered", integer_or_null(), "of them, those that it answered in time");
	shape_put(&s, "unanswered", integer_or_null(), "of them, those that it did not");
	shape_put(&s, "late", integer_or_null(), "responses up to 5 s after their query's time");
	shape_put(&s, "dup", integer(0), "queries like one that was waiting");
	shape_put(&s, "retry_same", integer_or_null(),
		  "questions asked of it again, by new queries, while one was unanswered");
	shape_put(&s, "retry_other", integer_or_null(),
		  "questions then asked of another server: it was left");
	shape_put(&s, "retry_p", number(), "share of questions in which retries were looked for");
	shape_put(&s, "by_class", map_of(classes), "queries by how they were answered");
	shape_put(&s, "tc", integer_or_null(), "answers over UDP with TC=1");
	shape_put(&s, "unsolicited", integer(0), "responses that no query waited for");
	shape_put(&s, "clients", integer(0), "distinct clients");
	shape_put(&s, "rtt_us", quantiles_or_null(false, "response times"), NULL);
	shape_put(&s, "tcp_rtt_us", quantiles_or_null(false, "from SYN-ACK to ACK of handshakes"),
		  NULL);
	shape_put(&s, "retry_other_us",
		  quantiles_or_null(true, "from the first query to that at another server"), NULL);
	shape_put(&s, "state", state, "null: too few queries to tell, or a guard forbids it");
	shape_put(&s, "since_us", integer_or_null(), "since when it is in this state");
	shape_put(&s, "state_change", json_pack("{s:s}", "type", "boolean"),
		  "an extra record, for the state that it came into");
	shape_put(&s, "guard", guard,
		  "ASYM: the tap sees one direction; LOSS: packets were lost here");
	shape_put_optional(&s, "est_queries", number(), "estimate of all queries, where p < 1");
	shape_put_optional(&s, "se_queries", number(), "its standard error");
	return shape_fini(&s);
}

static json_t *named_counts(const char *const *names, size_t n)
{
	struct shape s = shape_init();

	for (size_t i = 0; i < n; i++)
		shape_put(&s, names[i], integer(0), NULL);
	return shape_fini(&s);
}

static void put_cookie_all(struct shape *s)
{
	static const char *const servers[] = {"seen", "cookies", "enforcing", "not_enforcing"};
	static const char *const clients[] = {"seen", "cookies", "reused"};
	struct shape e = shape_init();

	shape_put(&e, "queries", integer(0), "all queries");
	shape_put(&e, "present", integer(0), "those with EDNS");
	shape_put(&e, "do", integer(0), NULL);
	shape_put(&e, "cookie", integer(0), NULL);
	for (size_t i = 1; edns[i] != NULL; i++)
		if (strcmp(edns[i], "do") != 0 && strcmp(edns[i], "cookie") != 0)
			json_object_set_new(e.fields, edns[i], integer(1));
	shape_put(s, "edns", shape_fini(&e), "queries by what their EDNS has");
	shape_put(s, "servers", named_counts(servers, 4),
		  "addresses: asked, giving cookies, and what they did without one");
	shape_put(s, "clients", named_counts(clients, 3),
		  "addresses: asking, sending cookies, and one cookie to two servers");
}

static json_t *cookie_schema_of(bool all)
{
	static const char *const classes_of[] = {FT_COOKIE_CLASSES(NAME_OF) NULL};
	static const char *const formats_of[] = {FT_COOKIE_FORMATS(NAME_OF) NULL};
	static const char *const roles[] = {"server", "client", NULL}, *const whole[] = {"ALL",
											 NULL};
	static const char *const checks[] = {"genuine", "forged"};
	struct shape s = shape_init();

	put_envelope(&s, "cookie", one_of(vantages));
	shape_put(&s, "role", one_of(all ? whole : roles), "whose row this is");
	shape_put(&s, "address", all ? json_pack("{s:s}", "type", "null") : text(), "its address");
	shape_put(&s, "transactions", integer(0), "all of its queries");
	shape_put(&s, "by_class", map_of(classes_of), "transactions by what became of cookies");
	shape_put(&s, "format", map_of(formats_of), "server cookies in queries and responses");
	shape_put(&s, "enforcing", json_pack("{s:[s, s]}", "type", "boolean", "null"),
		  "it answers no client that leaves out its cookie; null: not seen");
	shape_put(&s, "cc_reused", json_pack("{s:[s, s]}", "type", "boolean", "null"),
		  "it sent one client cookie to two servers");
	shape_put_optional(&s, "verified", named_counts(checks, 2),
			   "server cookies that were made with --cookie-secret, or not");
	if (all)
		put_cookie_all(&s);
	return shape_fini(&s);
}

static json_t *profile_schema(void)
{
	static const char *const classes_of[] = {FT_COOKIE_CLASSES(NAME_OF) NULL};
	static const char *const bands[] = {"511",  "512",  "1231",  "1232", "1400",
					    "4095", "4096", "65535", NULL};
	struct shape s = shape_init();

	put_envelope(&s, "resolver", one_of(vantages));
	shape_put(&s, "client", text(), "its address");
	shape_put(&s, "queries", integer(1), "queries in the day");
	shape_put(&s, "edns", integer(0), "of them, those with EDNS");
	shape_put(&s, "do", integer(0), "that want DNSSEC's records");
	shape_put(&s, "cd", integer(0), "that want them unchecked");
	shape_put(&s, "ecs", integer(0), "with a client's subnet");
	shape_put(&s, "nsid", integer(0), "that ask for the server's name");
	shape_put(&s, "mixed_case", integer(0), "with capitals in the name's first 16 octets");
	shape_put(&s, "qname_min", integer(0),
		  "of type A or NS for a registered domain or what is above it");
	shape_put(&s, "tc", integer(0), "answered over UDP with TC=1");
	shape_put(&s, "tc_retry_ok", integer(0), "of these, asked again over TCP and answered");
	shape_put(&s, "bufsize", map_of(bands), "EDNS buffer sizes, by the upper end of bands");
	shape_put(&s, "tcp_share", number(), "share of queries over TCP");
	shape_put(&s, "port_entropy", number(), "log2 of the distinct source ports");
	shape_put(&s, "cookie", map_of(classes_of), "as by_class of set cookie");
	put_gap(&s);
	return shape_fini(&s);
}

static json_t *mix_schema(void)
{
	static const char *const mixes[] = {FT_MIXES(NAME_OF)};
	static const char *const fields[] = {"packets", "bytes", "connections", "messages"};
	struct shape s = shape_init();

	for (size_t i = 0; i < FT_MIX_CAP; i++)
		shape_put(&s, mixes[i], named_counts(fields, FT_MIX_FIELDS), NULL);
	return shape_fini(&s);
}

static json_t *tc_schema(void)
{
	static const char *const cuts[] = {FT_CUTS(NAME_OF)};
	static const char *const quantiles[] = {"p50", "p90", "p99", "max"};
	struct shape s = shape_init(), l = shape_init();

	shape_put(&l, "count", integer(0), NULL);
	for (size_t i = 0; i < sizeof quantiles / sizeof *quantiles; i++)
		shape_put(&l, quantiles[i], integer_or_null(), NULL);
	shape_put(&s, "responses", integer(0), "responses over UDP with TC=1");
	for (size_t i = 0; i < FT_CUT_CAP; i++)
		shape_put(&s, cuts[i], integer(0), NULL);
	shape_put(&s, "latency_us", shape_fini(&l), "from the first query to the answer over TCP");
	shape_put(&s, "p", number(), "share of questions in which other servers were looked at");
	shape_put_optional(&s, "est_OTHER_SERVER", number(), "estimate of all, where p < 1");
	shape_put_optional(&s, "se_OTHER_SERVER", number(), "its standard error");
	return shape_fini(&s);
}

static json_t *transports_schema(void)
{
	static const char *const tfos[] = {FT_TFOS(NAME_OF) NULL}, *const all[] = {"ALL", NULL};
	static const char *const lost[] = {"tickets", "connections", "transfers"};
	struct shape s = shape_init();

	put_envelope(&s, "transport", one_of(all));
	shape_put(&s, "mix", mix_schema(), "packets, frame bytes, connections and messages");
	shape_put(&s, "tfo", map_of(tfos), "TCP connections by what their SYNs say of Fast Open");
	shape_put(&s, "tc", tc_schema(), "truncated answers by what their client did next");
	shape_put(&s, "lost", named_counts(lost, 3), "what tables had no room for");
	return shape_fini(&s);
}

static void put_transfer(struct shape *s, const char *kind)
{
	put_envelope(s, "transport", one_of(vantages));
	shape_put(s, "kind", json_pack("{s:s}", "const", kind), NULL);
	shape_put(s, "client", text(), "who asked for the zone");
	shape_put(s, "server", text(), "who has it");
	shape_put(s, "dur_us", integer(0), NULL);
	shape_put(s, "first_us", integer(0), "when it began");
}

static json_t *transfer_schema(void)
{
	static const char *const types[] = {"AXFR", "IXFR", NULL}, *const over[] = {"tcp", "udp",
										    NULL};
	static const char *const styles[] = {FT_STYLES(NAME_OF) NULL};
	struct shape s = shape_init();

	put_transfer(&s, "transfer");
	shape_put(&s, "zone", text(), NULL);
	shape_put(&s, "type", one_of(types), NULL);
	shape_put(&s, "style", one_of(styles),
		  "overflow: too long for UDP; failed: broken off, or of another rcode");
	shape_put(&s, "messages", integer(0), "responses");
	shape_put(&s, "rrs", integer(0), "records of their answer sections");
	shape_put(&s, "bytes", integer(0), "octets of responses, without their length prefix");
	shape_put(&s, "serial_from", integer_or_null(), "serial of who asks; null: AXFR");
	shape_put(&s, "serial_to", integer_or_null(), "serial of who answers; null: no data");
	shape_put(&s, "tsig", json_pack("{s:s}", "type", "boolean"), "messages are signed");
	shape_put(&s, "over", one_of(over), NULL);
	shape_put(&s, "rcode", integer(0), NULL);
	return shape_fini(&s);
}

static json_t *xot_schema(void)
{
	struct shape s = shape_init();

	put_transfer(&s, "xot");
	shape_put(&s, "bytes_out", integer(0), "TCP payload of the client");
	shape_put(&s, "bytes_in", integer(0), "TCP payload of the server");
	shape_put(&s, "after_notify_us", integer(0), "from the server's NOTIFY to the SYN");
	return shape_fini(&s);
}

static json_t *transport_schema(void)
{
	return json_pack("{s:[o, o, o]}", "anyOf", transports_schema(), transfer_schema(),
			 xot_schema());
}

static json_t *ttl_lines_schema(void)
{
	struct shape s = shape_init();

	put_envelope(&s, "ttl", one_of(vantages));
	shape_put(&s, "owner", text(), "watched name");
	shape_put(&s, "type", text(), "watched type");
	shape_put(&s, "server", text(), "the resolver that answered without AA");
	shape_put(&s, "ttl_max", integer(0), "greatest TTL seen, also in answers with AA");
	shape_put(&s, "fills", integer(0), "lines of falling TTLs that began: fills of a cache");
	shape_put(&s, "live_caches", integer(0), "most lines that ran at one time");
	shape_put(&s, "idle_us", integer_or_null(), "mean time from an expiry to the next fill");
	shape_put(&s, "demand_qps", number_or_null(), "1e6 / idle_us: what asks each cache");
	shape_put(&s, "randomised", boolean(), "first TTLs of the fills are uniform on 0..ttl_max");
	shape_put(&s, "stretched", boolean(),
		  "TTLs below ttl_max did not fall: fills is not exact then");
	shape_put(&s, "answers", integer(1), "answers, those alike within a second as one");
	shape_put(&s, "idles", integer(0), "times that idle_us is the mean of");
	shape_put(&s, "age_us", integer(0), "age of the entry in the last answer, by ttl_max");
	shape_put(&s, "evicted", integer(0), "lines given up for want of room, 64 a server");
	return shape_fini(&s);
}

static json_t *snooper_schema(void)
{
	static const char *const classes_of[] = {"SNOOPER", "PERIODIC", "TARGETED", NULL};
	struct shape s = shape_init();

	put_envelope(&s, "ttl", one_of(vantages));
	shape_put(&s, "kind", json_pack("{s:s}", "const", "snooper"), NULL);
	shape_put(&s, "client", text(), "who asked recursive servers with RD=0");
	shape_put(&s, "rd0", integer(10), "such queries of class IN in 600 s");
	shape_put(&s, "names", integer(5), "different names in them");
	shape_put(&s, "hits", integer(0), "of the queries, those with an answer");
	shape_put(&s, "misses", integer(0), "those without");
	shape_put(&s, "chaos", integer(0), "queries of class CH besides");
	shape_put(&s, "cv", number(), "coefficient of variation of the gaps between queries");
	shape_put(&s, "class", one_of(classes_of),
		  "TARGETED: a watched name is among them; PERIODIC: cv below 0.1");
	shape_put(&s, "periodic", boolean(), "cv below 0.1, also where class is TARGETED");
	return shape_fini(&s);
}

static json_t *ttl_left_out_schema(void)
{
	struct shape s = shape_init();

	put_envelope(&s, "ttl", one_of(vantages));
	shape_put(&s, "kind", json_pack("{s:s}", "const", "left_out"), NULL);
	shape_put_optional(&s, "answers", integer(1), "answers beyond the budgets");
	shape_put_optional(&s, "queries", integer(1), "queries with RD=0 beyond the budgets");
	return shape_fini(&s);
}

static json_t *ttl_schema(void)
{
	return json_pack("{s:[o, o, o]}", "anyOf", ttl_lines_schema(), snooper_schema(),
			 ttl_left_out_schema());
}

static json_t *cookie_schema(void)
{
	return json_pack("{s:[o, o]}", "anyOf", cookie_schema_of(false), cookie_schema_of(true));
}

static json_t *client_top_schema(void)
{
	static const char *const spans[] = {"interval", "day", NULL};
	struct shape s = shape_init();
	json_t *types = one_of(qgroups);

	json_array_append_new(json_object_get(types, "enum"), json_string("ALL"));
	put_envelope(&s, "client", one_of(vantages));
	shape_put(&s, "kind", json_pack("{s:s}", "const", "top"), "who asks most");
	shape_put(&s, "span", one_of(spans), "what it is counted over");
	shape_put(&s, "qtype", types, "group of types");
	shape_put(&s, "rank", integer(1), "ties go by address");
	shape_put(&s, "client", text(), "its address");
	shape_put(&s, "queries", integer(1), "queries seen");
	shape_put(&s, "err", integer(0), "most that queries can be over");
	shape_put_optional(&s, "est_queries", number(), "estimate of all queries, where p < 1");
	shape_put_optional(&s, "se_queries", number(), "its standard error");
	return shape_fini(&s);
}

static json_t *client_coupling_schema(void)
{
	struct shape s = shape_init();

	put_envelope(&s, "client", one_of(vantages));
	shape_put(&s, "kind", json_pack("{s:s}", "const", "coupling"), "A and AAAA of a day");
	shape_put(&s, "client", text(), "its address");
	shape_put(&s, "n", integer(0), "seconds from its first to its last query, less silences");
	shape_put(&s, "sx", integer(0), "queries for A");
	shape_put(&s, "sy", integer(0), "queries for AAAA");
	shape_put(&s, "r2_1s", number(), "R2 of the counts in bins of a second");
	shape_put(&s, "r2_5s", number(), "the same in bins of five seconds");
	shape_put(&s, "ratio", number(), "sy / sx");
	shape_put(&s, "coupled", json_pack("{s:s}", "type", "boolean"),
		  "r2_1s of 0.9 or more, ratio from 0.8 to 1.25");
	return shape_fini(&s);
}

static json_t *client_silence_schema(void)
{
	static const char *const states[] = {"onset", "end", NULL};
	static const char *const causes[] = {"SILENT", "TAP_LOSS", NULL};
	struct shape s = shape_init();

	put_envelope(&s, "client", one_of(vantages));
	shape_put(&s, "kind", json_pack("{s:s}", "const", "silence"), "a client is not heard");
	shape_put(&s, "client", text(), "its address");
	shape_put(&s, "state", one_of(states), NULL);
	shape_put(&s, "from_us", integer(0), "second of its last query before");
	shape_put(&s, "to_us", integer_or_null(), "of the first one after; null: not yet");
	shape_put(&s, "qps_before", number(), "its queries a second");
	shape_put(&s, "cause", one_of(causes), "TAP_LOSS: others were not heard either");
	return shape_fini(&s);
}

static json_t *client_failover_schema(void)
{
	static const char *const states[] = {"onset", "end", NULL};
	struct shape s = shape_init();

	put_envelope(&s, "client", one_of(vantages));
	shape_put(&s, "kind", json_pack("{s:s}", "const", "failover"),
		  "a client turns to another server");
	shape_put(&s, "client", text(), "its address");
	shape_put(&s, "from", text(), "who fell silent: a client, or a server it asked");
	shape_put(&s, "to", text(), "the server that it asks instead");
	shape_put(&s, "state", one_of(states), NULL);
	shape_put(&s, "at_us", integer(0), "second of the first query");
	shape_put(&s, "end_us", integer_or_null(), "of the last one; null: not yet");
	shape_put(&s, "qps_before", number(), "its queries a second to that server");
	shape_put(&s, "qps_during", number(), "the same since");
	return shape_fini(&s);
}

static json_t *client_entropy_schema(void)
{
	static const char *const spans[] = {"interval", "day", NULL};
	static const char *const readings[] = {"TARGETED", "RANDOM", "HOST_SEARCH", NULL};
	struct shape s = shape_init();
	json_t *reading = one_of(readings);

	json_array_append_new(json_object_get(reading, "enum"), json_null());
	put_envelope(&s, "client", one_of(vantages));
	shape_put(&s, "kind", json_pack("{s:s}", "const", "entropy"), "how mixed traffic is");
	shape_put(&s, "span", one_of(spans), NULL);
	shape_put(&s, "h_client", number(), "entropy of the clients, bits");
	shape_put(&s, "h_qname", number(), "of the names, bits; an upper bound");
	shape_put(&s, "reading", reading, "what a change of both means; null: as usual");
	return shape_fini(&s);
}

static json_t *client_search_schema(void)
{
	static const char *const forms[] = {"CONSECUTIVE", "RANDOM", NULL};
	struct shape s = shape_init();

	put_envelope(&s, "client", one_of(vantages));
	shape_put(&s, "kind", json_pack("{s:s}", "const", "host_search"),
		  "a client goes through the reverse zone of IPv4");
	shape_put(&s, "client", text(), "its address");
	shape_put(&s, "distance_mean", number(),
		  "between addresses it asked about one after another: points of four octets");
	shape_put(&s, "queries", integer(1), "its queries for names of IPv4 addresses");
	shape_put(&s, "form", one_of(forms), NULL);
	return shape_fini(&s);
}

static json_t *client_schema(void)
{
	return json_pack("{s:[o, o, o, o, o, o]}", "anyOf", client_top_schema(),
			 client_coupling_schema(), client_silence_schema(),
			 client_failover_schema(), client_entropy_schema(), client_search_schema());
}

static json_t *dga_client_schema(void)
{
	static const char *const states[] = {"onset", "open", "end", NULL};
	struct shape s = shape_init(), c2 = shape_init();

	shape_put(&c2, "name", text(), "registered domain");
	shape_put(&c2, "addresses", list_of(text(), FT_DGA_ADDRS),
		  "of its first answer in the interval");
	put_envelope(&s, "dga", one_of(vantages));
	shape_put(&s, "kind", json_pack("{s:s}", "const", "client"), "a client");
	shape_put(&s, "state", one_of(states), "open: something is new; end: no evidence is left");
	shape_put(&s, "client", text(), "its address");
	shape_put(&s, "llr", number(), "evidence: a log-likelihood ratio");
	shape_put(&s, "nx", integer(0), "distinct registered domains that do not exist");
	shape_put(&s, "flagged", integer(0), "of these, those that look generated");
	shape_put(&s, "families", list_of(text(), 16), "whose shape most of them have");
	shape_put(&s, "alarm_us", integer(0), "second of the name that raised the alarm");
	shape_put(&s, "first_us", integer(0), "second of the first of them");
	shape_put(&s, "last_us", integer(0), "second of the last of them");
	shape_put(&s, "sample", list_of(text(), 8), "the first ones that look generated");
	shape_put(&s, "c2", json_pack("{s:[{s:s}, o]}", "anyOf", "type", "null", shape_fini(&c2)),
		  "the first name that looks generated and was answered, within an hour");
	return shape_fini(&s);
}

static json_t *dga_cluster_schema(void)
{
	struct shape s = shape_init();

	put_envelope(&s, "dga", one_of(vantages));
	shape_put(&s, "kind", json_pack("{s:s}", "const", "cluster"), "a day of names of a kind");
	shape_put(&s, "families", list_of(text(), 16), "families that make such names");
	shape_put(&s, "tld", text(), "their public suffix");
	shape_put(&s, "names", integer(0), "distinct ones that do not exist; exact up to 96");
	shape_put(&s, "clients", integer(0), "distinct clients that asked; exact up to 96");
	shape_put(&s, "left_out", integer(0), "names that found no room in any cluster");
	return shape_fini(&s);
}

static json_t *dga_schema(void)
{
	return json_pack("{s:[o, o]}", "anyOf", dga_client_schema(), dga_cluster_schema());
}

static json_t *texts(void)
{
	return json_pack("{s:s, s:{s:s}}", "type", "array", "items", "type", "string");
}

static json_t *texts_of(const char *const *names)
{
	return json_pack("{s:s, s:o}", "type", "array", "items", one_of(names));
}

static json_t *or_null(const char *type)
{
	return json_pack("{s:[s, s]}", "type", type, "null");
}

static void put_watched(struct shape *s)
{
	static const char *const types[] = {"NS",  "MX", "A",      "AAAA", "TXT", "CNAME",
					    "SOA", "DS", "DNSKEY", "CAA",  NULL};

	put_envelope(s, "integrity", one_of(vantages));
	shape_put(s, "domain", text(), "the owner's registered domain");
	shape_put(s, "owner", text(), "of the watched RRset");
	shape_put(s, "type", one_of(types), "of the watched RRset");
}

static json_t *change_schema(void)
{
	static const char *const sides[] = {"CHILD", "PARENT", NULL};
	static const char *const states[] = {"SUSPECT", "CHANGED", "REVERTED", "ACCEPTED", NULL};
	static const char *const auths[] = {"AUTHORISED", "UNAUTHORISED", "UNKNOWN", NULL};
#define X(n, s) s,
	static const char *const flags[] = {INTEGRITY_FLAGS(X) NULL};
#undef X
	static const char *const views[] = {"clients", "servers"};
	struct shape s = shape_init(), d = shape_init();

	put_watched(&s);
	shape_put(&s, "side", one_of(sides), "of the zone cut: what the zone or its parent says");
	shape_put(&s, "state", one_of(states), "what became of it");
	shape_put(&s, "old_set", texts(), "the rdata before; of REVERTED: the baseline");
	shape_put(&s, "new_set", texts(), "the rdata of the change");
	shape_put(&s, "added", texts(), "in new_set alone");
	shape_put(&s, "removed", texts(), "in old_set alone");
	shape_put(&s, "ttl_old", or_null("integer"), "the authoritative TTL before");
	shape_put(&s, "ttl_new", or_null("integer"), "and with the change");
	shape_put(&s, "onset_lo_us", or_null("integer"), "it was not yet so; null: never seen so");
	shape_put(&s, "onset_hi_us", integer(0), "it was so");
	shape_put(&s, "revert_lo_us", or_null("integer"), "it was still so; null: not over");
	shape_put(&s, "revert_hi_us", or_null("integer"), "it was over");
	shape_put(&s, "flags", texts_of(flags), "what is odd about it, so far");
	shape_put(&s, "seen_by", named_counts(views, 2), "addresses");
	shape_put(&s, "auth", one_of(auths), "whether the watch list allows it");
	shape_put(&s, "class",
		  json_pack("{s:[s, s, s, n]}", "enum", "POISON_SUSPECT", "DELEGATION_HIJACK",
			    "ZONE_EDIT"),
		  "null: not known yet, or no change of rdata");
	shape_put(&d, "ds", or_null("boolean"), "the delegation has a DS");
	shape_put(&d, "ad", or_null("boolean"), "resolvers say that it was validated");
	shape_put(&d, "rrsig", or_null("boolean"), "it is signed");
	shape_put(&d, "ede", or_null("integer"), "code of an extended error (RFC 8914)");
	shape_put(&s, "dnssec", shape_fini(&d), "as seen last; null: not seen");
	return shape_fini(&s);
}

static json_t *coverage_schema(void)
{
	static const char *const kinds[] = {"coverage", NULL}, *const stale[] = {"STALE", NULL};
	struct shape s = shape_init();

	put_watched(&s);
	shape_put(&s, "kind", one_of(kinds), "how well it was seen in a UTC day");
	shape_put(&s, "cov5", number(),
		  "share of the day's five minutes with an answer of its own");
	shape_put(&s, "last_auth_us", or_null("integer"), "the last such answer; null: none ever");
	shape_put(&s, "observations", integer(0), "of any kind");
	shape_put(&s, "left_out", integer(0), "of all watched RRsets, for want of room");
	shape_put(&s, "flags", texts_of(stale), "STALE: the last answer is too old");
	return shape_fini(&s);
}

static json_t *integrity_schema(void)
{
	return json_pack("{s:[o, o]}", "anyOf", change_schema(), coverage_schema());
}

static const struct {
	const char *name;
	json_t *(*make)(void);
} sets[] = {
    {"client", client_schema},       {"cookie", cookie_schema},       {"dga", dga_schema},
    {"dnserror", dnserror_schema},   {"domain", domain_schema},       {"flux", flux_schema},
    {"integrity", integrity_schema}, {"ledger", ledger_schema},       {"match", match_schema},
    {"nxdomain", nxdomain_schema},   {"resolver", profile_schema},    {"server", server_schema},
    {"sinkhole", sinkhole_schema},   {"spamtrap", spamtrap_schema},   {"tap", tap_schema},
    {"traffic", traffic_schema},     {"transport", transport_schema}, {"ttl", ttl_schema}};
#define SETS_LEN (sizeof sets / sizeof *sets)

bool schema_has_set(const char *name)
{
	for (size_t i = 0; i < SETS_LEN; i++) {
		if (strcmp(sets[i].name, name) == 0)
			return true;
	}
	return false;
}

const char *schema_sets(void)
{
	return "client cookie dga dnserror domain flux integrity ledger match nxdomain resolver "
	       "server sinkhole spamtrap tap traffic transport ttl";
}

json_t *schema_make(void)
{
	json_t *defs = json_object(), *names = json_array(), *rules = json_array();
	char ref[64];

	for (size_t i = 0; i < SETS_LEN; i++) {
		snprintf(ref, sizeof ref, "#/$defs/%s", sets[i].name);
		json_object_set_new(defs, sets[i].name, sets[i].make());
		json_array_append_new(names, json_string(sets[i].name));
		json_array_append_new(rules, json_pack("{s:{s:{s:{s:s}}, s:[s]}, s:{s:s}}", "if",
						       "properties", "set", "const", sets[i].name,
						       "required", "set", "then", "$ref", ref));
	}
	return json_pack("{s:s, s:s, s:s, s:[s], s:{s:{s:o}}, s:o, s:o}", "$schema",
			 "https://json-schema.org/draft/2020-12/schema", "title",
			 "A record exported by fluxtap", "type", "object", "required", "set",
			 "properties", "set", "enum", names, "allOf", rules, "$defs", defs);
}

int schema_print(FILE *out)
{
	json_t *schema = schema_make();
	int rc = 0;

	if (schema == NULL)
		return -ENOMEM;
	if (json_dumpf(schema, out, JSON_INDENT(2)) != 0 || fputc('\n', out) == EOF ||
	    fflush(out) != 0)
		rc = errno ? -errno : -EIO;
	json_decref(schema);
	return rc;
}
