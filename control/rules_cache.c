/* SPDX-License-Identifier: BSD-3-Clause */
#include "rules.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A database is code to Hyperscan, so nobody else may put one there. NULL: it can be
 * used. */
static const char *look_at(const char *dir)
{
	struct stat st;

	if (mkdir(dir, 0700) != 0 && errno != EEXIST)
		return strerror(errno);
	if (stat(dir, &st) != 0)
		return strerror(errno);
	if (!S_ISDIR(st.st_mode))
		return "this is no directory";
	if (st.st_uid != geteuid() && st.st_uid != 0)
		return "this directory belongs to another user";
	if ((st.st_mode & (S_IWGRP | S_IWOTH)) != 0)
		return "others can write to this directory; take that right away (chmod go-w)";
	return access(dir, W_OK | X_OK) == 0 ? NULL : strerror(errno);
}

/* out holds a path below `parent`, which is made as well. */
static const char *try_below(const char *parent, const char *name, char *out, size_t cap)
{
	if (parent == NULL || parent[0] != '/' ||
	    snprintf(out, cap, "%s/%s", parent, name) >= (int)cap)
		return NULL;
	(void)mkdir(parent, 0700);
	return look_at(out) == NULL ? out : NULL;
}

const char *rules_cache_dir(const char *setting, char *out, size_t cap, const char **why)
{
	const char *found = NULL, *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
	char parent[4096];

	*why = NULL;
	if (setting != NULL) {
		if (strcmp(setting, "off") == 0)
			return NULL;
		*why = look_at(setting);
		if (*why == NULL && snprintf(out, cap, "%s", setting) >= (int)cap)
			*why = strerror(ENAMETOOLONG);
		return *why == NULL ? out : NULL;
	}
	if (xdg != NULL && xdg[0] == '/')
		return try_below(xdg, "fluxtap", out, cap);
	found = try_below("/var/cache", "fluxtap", out, cap);
	if (found == NULL && home != NULL &&
	    snprintf(parent, sizeof(parent), "%s/.cache", home) < (int)sizeof(parent))
		found = try_below(parent, "fluxtap", out, cap);
	return found;
}
