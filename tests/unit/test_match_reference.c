/* SPDX-License-Identifier: BSD-3-Clause */
/* 100,000 names against rules of all kinds: for every name the rules that match are
 * those that a plain loop finds, written from the contract alone (DESIGN 3 and 7,
 * DOMAIN 5 and 6.2) over labels as C strings, memcmp and PCRE2. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "lists.h"
#include "msg.h"
#include "name.h"
#include "rules_rig.h"

#include <ctype.h>
#include <pcre2.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>

#include <cmocka.h>

#define NAMES 100000u
#define LABELS_CAP 128
#define RULES_CAP 400u
#define LISTED_CAP 2000u
#define SEED 0xfeedfacecafebeefu

static uint64_t state = 20240229;

/* splitmix64 */
static uint64_t draw(void)
{
	uint64_t z = state += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

static unsigned below(unsigned n)
{
	return (unsigned)(draw() % n);
}

/* --- names as lists of labels --- */

struct label {
	uint8_t n, b[63];
};
struct name {
	unsigned n; /* labels, the first at v[0] */
	struct label v[LABELS_CAP];
};

static unsigned wire_bytes(const struct name *x)
{
	unsigned n = 1;

	for (unsigned i = 0; i < x->n; i++)
		n += 1u + x->v[i].n;
	return n;
}

/* Labels of a plain text in front of those that x has. What does not fit is left out. */
static void prepend(struct name *x, const char *text)
{
	struct name front = {0};

	while (*text != '\0') {
		const size_t n = strcspn(text, ".");

		front.v[front.n].n = (uint8_t)n;
		memcpy(front.v[front.n++].b, text, n);
		text += n + (text[n] == '.');
	}
	if (wire_bytes(&front) + wire_bytes(x) - 1 > 255)
		return;
	memcpy(front.v + front.n, x->v, x->n * sizeof(*x->v));
	front.n += x->n;
	*x = front;
}

static struct name name_of(const char *text)
{
	struct name x = {0};

	prepend(&x, text);
	return x;
}

static unsigned to_wire(const struct name *x, uint8_t *out)
{
	unsigned n = 0;

	for (unsigned i = 0; i < x->n; i++) {
		out[n++] = x->v[i].n;
		memcpy(out + n, x->v[i].b, x->v[i].n);
		n += x->v[i].n;
	}
	out[n++] = 0;
	return n;
}

/* RFC 1035 5.1; of visible characters these eight are escaped. */
static size_t to_text(const struct name *x, char *out)
{
	size_t n = 0;

	if (x->n == 0)
		return (size_t)sprintf(out, ".");
	for (unsigned i = 0; i < x->n; i++) {
		if (i > 0)
			out[n++] = '.';
		for (unsigned k = 0; k < x->v[i].n; k++) {
			const int c = x->v[i].b[k];

			if (c <= 32 || c >= 127)
				n += (size_t)sprintf(out + n, "\\%03d", c);
			else if (strchr(".\\\"();@$", c) != NULL)
				n += (size_t)sprintf(out + n, "\\%c", c);
			else
				out[n++] = (char)c;
		}
	}
	out[n] = '\0';
	return n;
}

/* For a list file: whatever is no letter, digit or hyphen as \DDD. */
static size_t to_list(const struct name *x, char *out)
{
	size_t n = 0;

	for (unsigned i = 0; i < x->n; i++) {
		for (unsigned k = 0; k < x->v[i].n; k++) {
			const int c = x->v[i].b[k];

			if (isalnum(c) || c == '-')
				out[n++] = (char)(below(4) == 0 ? toupper(c) : c);
			else
				n += (size_t)sprintf(out + n, "\\%03d", c);
		}
		if (i + 1 < x->n || below(2) == 0)
			out[n++] = '.';
	}
	out[n] = '\0';
	return n;
}

static bool label_is(const struct label *l, const char *text)
{
	return l->n == strlen(text) && memcmp(l->b, text, l->n) == 0;
}

/* Whether the labels of x from `from` on are those of y. */
static bool ends_as(const struct name *x, unsigned from, const struct name *y)
{
	if (x->n - from != y->n)
		return false;
	for (unsigned i = 0; i < y->n; i++)
		if (x->v[from + i].n != y->v[i].n ||
		    memcmp(x->v[from + i].b, y->v[i].b, y->v[i].n) != 0)
			return false;
	return true;
}

/* --- public suffixes --- */

static const char psl_text[] = "com\nnet\norg\ninfo\nbiz\nru\nde\nuk\nco.uk\nddns.net\n*.ck\n"
			       "!www.ck\ncc\ntk\nin\n";
static const char *const plain_suffixes[] = {"com", "net",   "org",      "info", "biz", "ru", "de",
					     "uk",  "co.uk", "ddns.net", "cc",   "tk",  "in"};
static const char *const tlds[] = {"com", "net", "org", "info", "biz", "ru",
				   "de",  "uk",  "ck",  "cc",   "tk",  "in"};
#define COUNT(a) (sizeof(a) / sizeof(*(a)))

static bool is_tld(const struct label *l)
{
	for (size_t i = 0; i < COUNT(tlds); i++)
		if (label_is(l, tlds[i]))
			return true;
	return false;
}

/* How many labels the public suffix of x has (publicsuffix.org/list, "Algorithm"). */
static unsigned suffix_labels(const struct name *x)
{
	unsigned best = x->n > 0 ? 1 : 0;

	if (x->n >= 2 && label_is(&x->v[x->n - 1], "ck"))
		return label_is(&x->v[x->n - 2], "www") ? 1 : 2;
	for (size_t i = 0; i < COUNT(plain_suffixes); i++) {
		const struct name s = name_of(plain_suffixes[i]);

		if (s.n > best && s.n <= x->n && ends_as(x, x->n - s.n, &s))
			best = s.n;
	}
	return best;
}

/* --- rules --- */

struct shape {
	unsigned lo, hi;
	const char *charset, *letters, *tld; /* letters: charset spelled out */
};
static const struct shape shapes[] = {
    {8, 12, "a-z", "abcdefghijklmnopqrstuvwxyz", "com,net"},
    {16, 16, "a-f0-9", "abcdef0123456789", "ddns.net"},
    {5, 7, "a-e", "abcde", "co.uk,com"},
    {1, 63, "0-9", "0123456789", NULL},
    {10, 20, "a-z0-9-", "abcdefghijklmnopqrstuvwxyz0123456789-", "biz,info,org"},
    {11, 11, "acegikmoqsuwy", "acegikmoqsuwy", "org"},
    {6, 32, "a-z_", "abcdefghijklmnopqrstuvwxyz_", "tk"},
    {3, 63, "xyz", "xyz", NULL},
};

struct rule {
	enum rule_kind kind;
	char id[16];
	uint32_t number; /* as given out */
	pcre2_code *code;
	const struct shape *shape;
	size_t hits;
};
static struct rule rules[RULES_CAP];
static unsigned rules_n;

/* Names of exact, suffix and dnsbl rules: the index of the rule beside each. */
static struct {
	struct name name;
	unsigned rule;
} listed[LISTED_CAP];
static unsigned listed_n;

static const char *const fixed_expressions[] = {
    "^\\.$",
    "^com$",
    "\\\\000",
    "\\\\[0-9]{3}\\\\[0-9]{3}",
    "\\\\\\.",
    "\\\\@",
    "^[^.]+$",
    "^([^.]+\\.){6,}",
    "^[a-z]{7}\\.com$",
    "^[a-z]{12,20}\\.(com|net|org)$",
    "[0-9]{5,}",
    "(^|\\.)mail[0-9]*\\.",
    "(^|\\.)ns[1-9]\\.[a-z]+\\.(de|uk)$",
    "xn--[a-z0-9]+",
    "^_[a-z]+\\._(tcp|udp)\\.",
    "\\.in$",
    "^(?:[a-z0-9_-]{1,63}\\.)*[a-z]{11}\\.info$",
    "a.*b.*c.*d",
    "^([0-9]{1,3}\\.){4}",
    "^[0-9a-f]{32}\\.",
    "^([0-9a-f]\\.){32}",
    "[bcdfghjklmnpqrstvwxz]{6}",
    "^.{60,}$",
    "^.{4}$",
    "\\.\\.",
    "-",
    "\\S",
    "\\s",
    "[^a-z0-9.-]",
    "(login|secure|update|account)[a-z0-9-]*\\.(tk|cc|ru)$",
};

static const char *const words[] = {
    "mail",     "shop",  "news",  "login", "secure", "update", "account", "cdn",  "static",
    "img",      "api",   "dev",   "test",  "www",    "ns1",    "ns2",     "smtp", "vpn",
    "download", "cloud", "video", "game",  "bank",   "travel", "health",  "auto", "music"};

static const char *const zones[] = {"zen.spamhaus.org",  "sbl.spamhaus.org",     "spamhaus.org",
				    "bl.spamcop.net",    "multi.surbl.org",      "hashbl.surbl.org",
				    "dnsbl.sorbs.net",   "spam.dnsbl.sorbs.net", "list.dnswl.org",
				    "dnsbl.dronebl.org", "ebl.msbl.org",         "com.rbl.example"};

static unsigned add_rule(enum rule_kind kind)
{
	struct rule *r = &rules[rules_n];

	assert_true(rules_n < RULES_CAP);
	r->kind = kind;
	sprintf(r->id, "r%u", rules_n);
	return rules_n++;
}

static void add_expression(const char *expression, FILE *list)
{
	const unsigned k = add_rule(RULE_REGEX);
	PCRE2_SIZE at;
	int error;

	rules[k].code = pcre2_compile((PCRE2_SPTR)expression, PCRE2_ZERO_TERMINATED, PCRE2_CASELESS,
				      &error, &at, NULL);
	assert_non_null(rules[k].code);
	(void)pcre2_jit_compile(rules[k].code, PCRE2_JIT_COMPLETE);
	fprintf(list, "%s regex %s\n", rules[k].id, expression);
}

static void add_expressions(FILE *list)
{
	static const char *const forms[] = {"^%s[0-9]+\\.", "%s-%s", "(^|\\.)%s\\.%s\\.",
					    "%s.?%s[^.]*\\.com$", "^[a-z]*%s[a-z]{2,9}%s?\\."};
	char text[256];

	for (size_t i = 0; i < COUNT(fixed_expressions); i++)
		add_expression(fixed_expressions[i], list);
	for (unsigned i = 0; i < 100; i++) {
		const char *a = words[below(COUNT(words))], *b = words[below(COUNT(words))];

		switch (i % COUNT(forms)) {
		case 0: sprintf(text, "^%s[0-9]+\\.", a); break;
		case 1: sprintf(text, "%s-%s", a, b); break;
		case 2: sprintf(text, "(^|\\.)%s\\.%s\\.", a, b); break;
		case 3: sprintf(text, "%s.?%s[^.]*\\.com$", a, b); break;
		default: sprintf(text, "^[a-z]*%s[a-z]{2,9}(%s)?\\.", a, b); break;
		}
		add_expression(text, list);
	}
}

static void put_name(const struct name *x, unsigned rule, FILE *list)
{
	char text[1100];

	if (listed_n == LISTED_CAP)
		return;
	listed[listed_n].name = *x;
	listed[listed_n++].rule = rule;
	to_list(x, text);
	if (x->n == 0)
		strcpy(text, ".");
	fprintf(list, "%s %s %s%s\n", rules[rule].id,
		rules[rule].kind == RULE_EXACT    ? "exact"
		: rules[rule].kind == RULE_SUFFIX ? "suffix"
						  : "dnsbl",
		text, below(5) == 0 ? " severity=5" : "");
}

/* --- generated names --- */

static void random_label(struct name *x, const char *letters, unsigned n)
{
	char text[64];

	for (unsigned i = 0; i < n; i++)
		text[i] = letters[below((unsigned)strlen(letters))];
	text[n] = '\0';
	prepend(x, text);
}

static struct name realistic(void)
{
	struct name x = {0};
	char text[64];

	if (below(20) == 0)
		prepend(&x, below(2) ? "www.ck" : "gov.ck");
	else if (below(20) == 0)
		prepend(&x, "local");
	else
		prepend(&x, plain_suffixes[below(COUNT(plain_suffixes))]);
	sprintf(text, below(3) ? "%s%s" : "%s-%s", words[below(COUNT(words))],
		words[below(COUNT(words))]);
	if (below(4) == 0)
		sprintf(text + strlen(text), "%u", below(100));
	prepend(&x, text);
	for (unsigned i = below(4); i > 0; i--) {
		sprintf(text, below(3) ? "%s" : "%s%u", words[below(COUNT(words))], below(30));
		prepend(&x, text);
	}
	if (below(30) == 0)
		prepend(&x, "_sip._tcp");
	return x;
}

/* Labels of any octets, but upper case, which folding takes away. */
static struct name junk(void)
{
	struct name x = {0};
	const unsigned labels = below(below(10) == 0 ? 127 : 6);

	if (below(2))
		x = name_of(plain_suffixes[below(COUNT(plain_suffixes))]);
	for (unsigned i = 0; i < labels; i++) {
		struct name front = {0};
		struct label *l = &front.v[front.n++];

		l->n = (uint8_t)(1 + below(below(5) == 0 ? 63 : 9));
		for (unsigned k = 0; k < l->n; k++)
			l->b[k] = (uint8_t)tolower((int)below(below(2) ? 256 : 127));
		if (wire_bytes(&front) + wire_bytes(&x) - 1 > 255)
			break;
		memmove(x.v + 1, x.v, x.n++ * sizeof(*x.v));
		x.v[0] = *l;
	}
	return x;
}

/* A listed name, or one that is nearly one. */
static struct name near_listed(void)
{
	struct name x = listed[below(listed_n)].name;
	struct label *l = &x.v[0];

	switch (below(7)) {
	case 0: break;
	case 1: prepend(&x, words[below(COUNT(words))]); break;
	case 2: prepend(&x, "a.b.c"); break;
	case 3:
		if (x.n > 0)
			memmove(x.v, x.v + 1, --x.n * sizeof(*x.v));
		break;
	case 4:
		if (x.n > 0 && l->n < 63 && wire_bytes(&x) < 255) {
			memmove(l->b + 1, l->b, l->n++);
			l->b[0] = 'x';
		}
		break;
	case 5:
		if (x.n > 0)
			l->b[below(l->n)] = (uint8_t)('a' + below(26));
		break;
	default:
		if (x.n > 1) /* one label less at the end */
			x.n--;
		break;
	}
	return x;
}

static struct name block_list_query(void)
{
	struct name x = name_of(zones[below(COUNT(zones))]);
	char text[300] = "";

	switch (below(9)) {
	case 0:
	case 1: sprintf(text, "%u.%u.%u.%u", below(256), below(256), below(256), below(256)); break;
	case 2: /* mostly wrong */
		sprintf(text, below(2) ? "%u.%u.%u.0%u" : "%u.%u.%u.%u.%u", below(300), below(300),
			below(300), below(300), below(9));
		break;
	case 3:
	case 4: {
		const unsigned n = below(4) ? 32 : 30 + below(5);
		for (unsigned i = 0; i < n; i++)
			sprintf(text + strlen(text), "%s%c", i ? "." : "",
				"0123456789abcdefg"[below(below(9) ? 16 : 17)]);
		break;
	}
	case 5:
		sprintf(text, "%s%u.%s", words[below(COUNT(words))], below(10),
			below(4) ? tlds[below(COUNT(tlds))] : "test");
		break;
	case 6:
		random_label(&x, "0123456789abcdef", below(3) ? 32 + 8 * below(2) : 30 + below(12));
		break;
	case 7:
		random_label(&x,
			     below(2) ? "abcdefghijklmnopqrstuvwxyz234567"
				      : "ybndrfg8ejkmcpqxot1uwisza345h769",
			     below(4) ? 32 : 31 + below(3));
		break;
	default: sprintf(text, "%s", tlds[below(COUNT(tlds))]); break;
	}
	prepend(&x, text);
	if (below(12) == 0)
		prepend(&x, "x");
	return x;
}

static struct name shaped(void)
{
	const struct shape *s = &shapes[below(COUNT(shapes))];
	unsigned n = s->lo + below(s->hi - s->lo + 3) - (s->lo > 1 ? 1 : 0);
	struct name x = name_of(plain_suffixes[below(COUNT(plain_suffixes))]);

	random_label(&x, s->letters, n > 63 ? 63 : n);
	if (below(10) == 0)
		x.v[0].b[0] = '+';
	if (below(3) == 0)
		prepend(&x, words[below(COUNT(words))]);
	return x;
}

/* Names of the list files beside the checkout, in turn; false where there are none. */
static bool from_lists(struct name *x)
{
	static FILE *f;
	static bool over;
	char line[300];
	uint8_t wire[255];

	if (f == NULL && !over)
		f = lists_open("qnames-1m.txt.zst");
	for (unsigned i = 0; f != NULL && i < 50; i++) { /* one in so many */
		if (!lists_line(f, line, sizeof(line))) {
			lists_close(f, "qnames-1m.txt.zst");
			f = NULL;
		}
	}
	over |= f == NULL;
	if (over || lists_wire(line, wire) == 0)
		return false;
	for (char *p = line; *p != '\0'; p++)
		*p = (char)tolower((unsigned char)*p);
	*x = name_of(line);
	return true;
}

static struct name any_name(void)
{
	struct name x;

	switch (below(20)) {
	case 0:
	case 1:
	case 2: return junk();
	case 3:
	case 4:
	case 5:
	case 6: return block_list_query();
	case 7:
	case 8: return shaped();
	case 9:
	case 10:
	case 11:
	case 12: return near_listed();
	case 13:
	case 14: return from_lists(&x) ? x : realistic();
	default: return realistic();
	}
}

/* --- the contract, by plain loops --- */

static bool all_of(const struct label *l, const char *letters)
{
	for (unsigned i = 0; i < l->n; i++)
		if (l->b[i] == '\0' || strchr(letters, l->b[i]) == NULL)
			return false;
	return true;
}

/* Whether the first n labels of x are what a block list is asked about. */
static bool has_form(const struct name *x, unsigned n)
{
	bool ip4 = n == 4, ip6 = n == 32;

	for (unsigned i = 0; i < n; i++) {
		char text[64], again[64];

		memcpy(text, x->v[i].b, x->v[i].n);
		text[x->v[i].n] = '\0';
		sprintf(again, "%d", atoi(text) & 255);
		ip4 &= label_is(&x->v[i], again);
		ip6 &= x->v[i].n == 1 && all_of(&x->v[i], "0123456789abcdef");
	}
	if (ip4 || ip6)
		return true;
	if (n == 1)
		return ((x->v[0].n == 32 || x->v[0].n == 40) &&
			all_of(&x->v[0], "0123456789abcdef")) ||
		       (x->v[0].n == 32 && (all_of(&x->v[0], "abcdefghijklmnopqrstuvwxyz234567") ||
					    all_of(&x->v[0], "ybndrfg8ejkmcpqxot1uwisza345h769")));
	return n >= 2 && is_tld(&x->v[n - 1]);
}

static bool list_says(const struct name *x, const struct name *y, enum rule_kind kind)
{
	if (y->n > x->n || !ends_as(x, x->n - y->n, y))
		return false;
	switch (kind) {
	case RULE_EXACT: return x->n == y->n;
	case RULE_SUFFIX: return true;
	default: return x->n > y->n && has_form(x, x->n - y->n);
	}
}

static bool shape_says(const struct name *x, const struct shape *s)
{
	const unsigned k = suffix_labels(x);
	char text[1100], *rest = NULL;

	if (k >= x->n)
		return false;
	const struct label *l = &x->v[x->n - k - 1];
	if (l->n < s->lo || l->n > s->hi || !all_of(l, s->letters))
		return false;
	if (s->tld == NULL)
		return true;
	strcpy(text, s->tld);
	for (char *t = strtok_r(text, ",", &rest); t != NULL; t = strtok_r(NULL, ",", &rest)) {
		const struct name want = name_of(t);

		if (ends_as(x, x->n - k, &want))
			return true;
	}
	return false;
}

static void evaluate(const struct name *x, bool says[RULES_CAP], pcre2_match_data *data)
{
	char text[1100];
	const size_t len = to_text(x, text);

	for (unsigned i = 0; i < rules_n; i++)
		says[i] = rules[i].kind == RULE_REGEX ? pcre2_match(rules[i].code, (PCRE2_SPTR)text,
								    len, 0, 0, data, NULL) >= 0
			  : rules[i].kind == RULE_SHAPE ? shape_says(x, rules[i].shape)
							: false;
	for (unsigned i = 0; i < listed_n; i++)
		if (!says[listed[i].rule] &&
		    list_says(x, &listed[i].name, rules[listed[i].rule].kind))
			says[listed[i].rule] = true;
}

/* --- putting it together --- */

static void make_rules(FILE *list)
{
	unsigned first;

	add_expressions(list);
	first = rules_n;
	for (unsigned i = 0; i < 40; i++)
		add_rule(i < 25 ? RULE_EXACT : RULE_SUFFIX);
	for (unsigned i = 0; i < 1400; i++) {
		const struct name x = below(6) ? realistic() : junk();

		if (x.n < 2 && below(10) > 0)
			continue; /* a suffix of nearly everything */
		put_name(&x, first + below(40), list);
		if (below(3) == 0) /* one name in several rules, or twice in one */
			put_name(&x, first + below(40), list);
	}
	first = rules_n;
	for (unsigned i = 0; i < 3; i++)
		add_rule(RULE_DNSBL);
	for (size_t i = 0; i < COUNT(zones); i++) {
		const struct name x = name_of(zones[i]);
		put_name(&x, first + (unsigned)i % 3, list);
	}
	for (size_t i = 0; i < COUNT(shapes); i++) {
		const struct shape *s = &shapes[i];
		const unsigned k = add_rule(RULE_SHAPE);

		rules[k].shape = s;
		fprintf(list, "%s shape len=%u-%u charset=%s%s%s\n", rules[k].id, s->lo, s->hi,
			s->charset, s->tld ? " tld=" : "", s->tld ? s->tld : "");
	}
}

static void compare(const struct rules_rig *r, const struct name *x, const struct verdict *v,
		    const bool says[RULES_CAP])
{
	uint32_t tags[RULES_CAP], n, wanted = 0;
	bool got[RULES_CAP] = {false};
	uint8_t wire[256];
	char text[1100];
	const unsigned len = to_wire(x, wire);

	n = ruleset_tags(r->set, r->scratch, wire, len, tags, RULES_CAP);
	assert_true(n <= rules_n);
	for (uint32_t i = 0; i < n; i++) {
		got[atoi(rules_info(r->rules, tags[i])->id + 1)] = true;
		assert_true(i == 0 || tags[i] > tags[i - 1]);
	}
	for (unsigned i = 0; i < rules_n; i++) {
		wanted += says[i];
		rules[i].hits += says[i];
		if (says[i] == got[i])
			continue;
		to_text(x, text);
		fail_msg("%s: rule %s (kind %u) says %d, must say %d", text, rules[i].id,
			 rules[i].kind, got[i], says[i]);
	}
	assert_int_equal(v->tags, wanted);
	for (uint32_t i = 0; i < VERDICT_TAGS; i++)
		assert_int_equal(v->tag[i], i < n ? tags[i] : 0);
}

static void run_batch(const struct rules_rig *r, unsigned n, pcre2_match_data *data)
{
	static struct name names[MSG_CAP];
	static uint8_t wire[MSG_CAP][256];
	static struct verdict verdicts[MSG_CAP];
	struct ruleset_name in[MSG_CAP];
	bool says[RULES_CAP];

	for (unsigned i = 0; i < n; i++) {
		names[i] = any_name();
		in[i] =
		    (struct ruleset_name){wire[i], to_wire(&names[i], wire[i]), 0, &verdicts[i]};
		in[i].key = name_hash(in[i].folded, in[i].len, SEED);
	}
	ruleset_step(r->set, r->scratch, in, n);
	for (unsigned i = 0; i < n; i++) {
		const unsigned k = suffix_labels(&names[i]);
		unsigned domain = 0;

		evaluate(&names[i], says, data);
		compare(r, &names[i], &verdicts[i], says);
		for (unsigned j = 0; j + k + 1 < names[i].n; j++)
			domain += names[i].v[j].n + 1u;
		assert_int_equal(verdicts[i].domain_off, k < names[i].n ? domain : 0);
		assert_int_equal(verdicts[i].labels, names[i].n);
	}
}

static void same_as_plain_loops(void **unused)
{
	pcre2_match_data *data = pcre2_match_data_create(1, NULL);
	size_t by_kind[RULE_KIND_CAP] = {0}, len, used[RULE_KIND_CAP] = {0};
	char *text = NULL;
	FILE *list = open_memstream(&text, &len);
	struct rules_rig r;

	(void)unused;
	make_rules(list);
	fclose(list);
	rules_rig_init(&r, text, psl_text, SEED, 1);
	for (unsigned done = 0, n; done < NAMES; done += n) {
		n = 1 + below(MSG_CAP);
		run_batch(&r, n, data);
	}
	for (unsigned i = 0; i < rules_n; i++) {
		by_kind[rules[i].kind] += rules[i].hits;
		used[rules[i].kind] += rules[i].hits > 0;
		pcre2_code_free(rules[i].code);
	}
	printf("%u rules; matches: exact %zu, suffix %zu, regex %zu (%zu of %zu rules), dnsbl %zu, "
	       "shape %zu\n",
	       rules_n, by_kind[RULE_EXACT], by_kind[RULE_SUFFIX], by_kind[RULE_REGEX],
	       used[RULE_REGEX], COUNT(fixed_expressions) + 100, by_kind[RULE_DNSBL],
	       by_kind[RULE_SHAPE]);
	for (unsigned k = 0; k < RULE_SINKHOLE; k++) /* no rule is one */
		assert_true(by_kind[k] > 2000);
	assert_true(used[RULE_REGEX] > 100);
	pcre2_match_data_free(data);
	rules_rig_fini(&r);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(same_as_plain_loops),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
