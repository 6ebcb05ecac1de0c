/* SPDX-License-Identifier: BSD-3-Clause */
/* Rules from a text, compiled, for tests; each in a directory of its own. */
#ifndef TESTS_UNIT_RULES_RIG_H
#define TESTS_UNIT_RULES_RIG_H

#include "rules.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct rules_rig {
	char dir[32], list[64], suffixes[64];
	struct rules *rules;
	struct ruleset *set;
	struct ruleset_scratch *scratch;
};

static inline void rules_rig_put(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	if (f == NULL || fputs(text, f) < 0 || fclose(f) != 0)
		abort();
}

/* suffixes: a list in the format of publicsuffix.org. Says why and aborts where the
 * rules are refused. */
static inline void rules_rig_init(struct rules_rig *r, const char *list, const char *suffixes,
				  uint64_t name_seed, uint64_t sketch_seed)
{
	const char *const paths[] = {r->list};
	const struct rules_settings settings = {.paths = paths,
						.paths_len = 1,
						.psl_path = r->suffixes,
						.name_seed = name_seed,
						.sketch_seed = sketch_seed};
	char err[1024] = "";

	strcpy(r->dir, "/tmp/fluxtap-rig-XXXXXX");
	if (mkdtemp(r->dir) == NULL)
		abort();
	snprintf(r->list, sizeof(r->list), "%s/list", r->dir);
	snprintf(r->suffixes, sizeof(r->suffixes), "%s/suffixes", r->dir);
	rules_rig_put(r->list, list);
	rules_rig_put(r->suffixes, suffixes);
	r->rules = rules_create(&settings);
	r->set = r->rules != NULL ? rules_load(r->rules, err, sizeof(err)) : NULL;
	r->scratch = r->set != NULL ? ruleset_scratch_create(r->set) : NULL;
	unlink(r->list);
	unlink(r->suffixes);
	rmdir(r->dir);
	if (r->scratch == NULL) {
		fprintf(stderr, "%s\n", err);
		abort();
	}
}

static inline void rules_rig_fini(struct rules_rig *r)
{
	ruleset_scratch_destroy(r->scratch);
	ruleset_destroy(r->set);
	rules_destroy(r->rules);
}

#endif
