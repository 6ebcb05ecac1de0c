/* SPDX-License-Identifier: BSD-3-Clause */
/* Trains the table of dataplane/bigram.c:
 *
 *	fluxtap-bigram NAMES PUBLIC_SUFFIX_LIST > dataplane/bigram_table.h
 *
 * NAMES has one name a line. Of each different label in front of a public suffix it
 * counts the pairs of characters, begin and end among them. A pair's probability is
 *
 *	p(b | a) = (pairs(a, b) + K p(b)) / (pairs(a, any) + K), K = 20,
 *	p(b) = (pairs(any, b) + 1) / (pairs(any, any) + characters),
 *
 * add-one for single characters, and these as prior for pairs. The table holds
 * 256 log2 p, rounded. Nothing but these numbers is kept of the names. */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CLASSES 40u /* a-z 0-9 - _ other edge */
#define OTHER 38u
#define EDGE 39u
#define PRIOR 20.0
#define LINE_CAP 1024
#define SHORTEST 6u /* of labels that the threshold looks at, as in DOMAIN 6.1 */
#define WIDTH 12u

struct lines {
	char **v;
	size_t n, cap;
};

static uint32_t class_of(uint8_t c)
{
	if (c >= 'a' && c <= 'z')
		return c - 'a';
	if (c >= '0' && c <= '9')
		return 26u + c - '0';
	return c == '-' ? 36 : c == '_' ? 37 : OTHER;
}

static int compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void take(struct lines *l, const char *text)
{
	if (l->n == l->cap) {
		l->cap = l->cap > 0 ? 2 * l->cap : 4096;
		l->v = realloc(l->v, l->cap * sizeof(*l->v));
	}
	if (l->v == NULL || (l->v[l->n++] = strdup(text)) == NULL) {
		perror("fluxtap-bigram");
		exit(1);
	}
}

static void free_lines(struct lines *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->v[i]);
	free(l->v);
}

/* The first word of each line but of comments, in lower case, sorted. */
static struct lines read_lines(const char *path)
{
	struct lines l = {NULL, 0, 0};
	char line[LINE_CAP];
	FILE *f = fopen(path, "r");

	if (f == NULL) {
		perror(path);
		exit(1);
	}
	while (fgets(line, sizeof line, f) != NULL) {
		line[strcspn(line, " \t\r\n")] = '\0';
		for (char *c = line; *c != '\0'; c++)
			*c = (char)(*c >= 'A' && *c <= 'Z' ? *c + 'a' - 'A' : *c);
		if (line[0] != '\0' && line[0] != '#' && strncmp(line, "//", 2) != 0)
			take(&l, line);
	}
	(void)fclose(f);
	if (l.n > 0)
		qsort(l.v, l.n, sizeof(*l.v), compare);
	return l;
}

static int has(const struct lines *l, const char *mark, const char *name)
{
	char text[LINE_CAP + 8];
	char *key = text;

	(void)snprintf(text, sizeof text, "%s%s", mark, name);
	return l->n > 0 && bsearch(&key, l->v, l->n, sizeof(*l->v), compare) != NULL;
}

/* Cuts a name down to its label in front of the public suffix; 0: it has none. Goes
 * from the whole name to its last label: the first rule that fits is the longest. */
static int cut(const struct lines *rules, char *name)
{
	char *before = NULL, *at = name;

	for (;; before = at, at = strchr(at, '.') + 1) {
		char *dot = strchr(at, '.');
		if (has(rules, "!", at)) {
			before = at;
			break;
		}
		if (dot == NULL || has(rules, "", at) || has(rules, "*", dot))
			break;
	}
	if (before == NULL)
		return 0;
	before[strcspn(before, ".")] = '\0';
	memmove(name, before, strlen(before) + 1);
	return name[0] != '\0';
}

static struct lines different_labels(struct lines *names, const struct lines *rules)
{
	struct lines out = {NULL, 0, 0}, all = {NULL, 0, 0};

	for (size_t i = 0; i < names->n; i++)
		if (cut(rules, names->v[i]))
			take(&all, names->v[i]);
	if (all.n > 0)
		qsort(all.v, all.n, sizeof(*all.v), compare);
	for (size_t i = 0; i < all.n; i++)
		if (i == 0 || strcmp(all.v[i], all.v[i - 1]) != 0)
			take(&out, all.v[i]);
	free_lines(&all);
	return out;
}

static double pairs[CLASSES][CLASSES];
static int32_t table[CLASSES][CLASSES];

static void count(const char *label)
{
	uint32_t a = EDGE;

	for (; *label != '\0'; label++) {
		const uint32_t b = class_of((uint8_t)*label);
		pairs[a][b]++;
		a = b;
	}
	pairs[a][EDGE]++;
}

static void fill_table(void)
{
	double to[CLASSES] = {0}, all = 0;

	for (uint32_t a = 0; a < CLASSES; a++)
		for (uint32_t b = 0; b < CLASSES; b++) {
			to[b] += pairs[a][b];
			all += pairs[a][b];
		}
	for (uint32_t a = 0; a < CLASSES; a++) {
		double from = 0;
		for (uint32_t b = 0; b < CLASSES; b++)
			from += pairs[a][b];
		for (uint32_t b = 0; b < CLASSES; b++) {
			const double alone = (to[b] + 1) / (all + CLASSES);
			const double p = (pairs[a][b] + PRIOR * alone) / (from + PRIOR);
			table[a][b] = (int32_t)lround(256 * log2(p));
		}
	}
}

static int32_t score(const char *label)
{
	uint32_t a = EDGE;
	int32_t sum = 0, n = 1;

	for (; *label != '\0'; label++, n++) {
		const uint32_t b = class_of((uint8_t)*label);
		sum += table[a][b];
		a = b;
	}
	return (sum + table[a][EDGE]) / n;
}

static int compare_scores(const void *a, const void *b)
{
	const int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;

	return x < y ? -1 : x > y;
}

/* The score that one label in twenty is below. */
static int32_t threshold(const struct lines *labels)
{
	int32_t *scores = calloc(labels->n + 1, sizeof(*scores));
	size_t n = 0;

	if (scores == NULL)
		exit(1);
	for (size_t i = 0; i < labels->n; i++)
		if (strlen(labels->v[i]) >= SHORTEST)
			scores[n++] = score(labels->v[i]);
	qsort(scores, n, sizeof(*scores), compare_scores);
	const int32_t out = scores[n / 20];
	free(scores);
	return out;
}

static void print_row(const int32_t *v, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		printf("%s%d%s", i % WIDTH == 0 ? "\t" : " ", v[i],
		       i + 1 == n               ? "\n"
		       : i % WIDTH == WIDTH - 1 ? ",\n"
						: ",");
}

int main(int argc, char **argv)
{
	if (argc != 3) {
		fprintf(stderr, "usage: fluxtap-bigram NAMES PUBLIC_SUFFIX_LIST > TABLE.h\n");
		return 2;
	}
	struct lines names = read_lines(argv[1]), rules = read_lines(argv[2]);
	struct lines labels = different_labels(&names, &rules);
	int32_t classes[256];

	for (size_t i = 0; i < labels.n; i++)
		count(labels.v[i]);
	fill_table();
	for (uint32_t c = 0; c < 256; c++)
		classes[c] = (int32_t)class_of((uint8_t)c);
	printf("/* SPDX-License-Identifier: BSD-3-Clause */\n"
	       "/* Made by tools/bigram from %zu labels. Do not edit. */\n"
	       "#define BIGRAM_CLASSES %uu\n#define BIGRAM_EDGE %uu\n"
	       "/* One label in twenty, of %u octets or more, is below. */\n"
	       "#define BIGRAM_LOW (%d)\n\n/* clang-format off */\n"
	       "static const uint8_t bigram_class[256] = {\n",
	       labels.n, CLASSES, EDGE, SHORTEST, threshold(&labels));
	print_row(classes, 256);
	printf("};\n\n/* 256 log2 p(column | row) */\n"
	       "static const int16_t bigram_table[BIGRAM_CLASSES][BIGRAM_CLASSES] = {\n");
	for (uint32_t a = 0; a < CLASSES; a++) {
		printf("\t{\n");
		print_row(table[a], CLASSES);
		printf("\t},\n");
	}
	printf("};\n/* clang-format on */\n");
	free_lines(&names);
	free_lines(&rules);
	free_lines(&labels);
	return ferror(stdout) || fclose(stdout) != 0;
}
