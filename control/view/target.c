/* SPDX-License-Identifier: BSD-3-Clause */
#include "target.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ANSWER_S 2u
#define LIST_CAP 64u

json_t *target_ask(const struct target *t, const char *line, char *err, size_t cap)
{
	if (t->socket[0] != '\0')
		return ctl_cli_ask(t->socket, line, ANSWER_S, err, cap);
	(void)snprintf(err, cap, "the probe has no control socket");
	return NULL;
}

void target_close(struct target *t)
{
	counts_close(&t->file);
	t->socket[0] = '\0';
}

static bool lives(struct counts_file *f, const char *name, struct counts *c)
{
	if (counts_open(f, name) == 0 && counts_take(f, c) == 0)
		return true;
	counts_close(f);
	return false;
}

/* By the socket: it says which segment it is. */
static int open_by_socket(struct target *t, const struct ctl_options *o, struct counts *c,
			  char *err, size_t cap)
{
	if (ctl_cli_find(o, t->socket, sizeof(t->socket), err, cap) != 0) {
		t->socket[0] = '\0';
		return -ENOENT;
	}
	json_t *status = target_ask(t, "status", err, cap);
	const char *name = json_string_value(json_object_get(status, "segment"));
	const bool found = name != NULL && lives(&t->file, name, c);
	if (name != NULL && !found)
		(void)snprintf(err, cap, "cannot read /dev/shm%s; run as the probe's user, or root",
			       name);
	json_decref(status);
	if (!found)
		t->socket[0] = '\0';
	return found ? 0 : -ENOENT;
}

/* Only those that live; says which there are where one has to choose. */
static int open_by_name(struct target *t, const struct ctl_options *o, struct counts *c, char *err,
			size_t cap)
{
	char names[LIST_CAP][128], given[128], list[512] = "";
	size_t n = 1, living = 0, len = 0;

	(void)snprintf(given, sizeof(given), "/fluxtap.%s", o->probe != NULL ? o->probe : "");
	if (o->probe != NULL)
		memcpy(names[0], given, sizeof(given));
	else
		n = counts_list(names, LIST_CAP);
	for (size_t i = 0; i < n; i++) {
		struct counts_file f;
		if (!lives(&f, names[i], c))
			continue;
		if (living++ == 0)
			t->file = f;
		else
			counts_close(&f);
		if (len < sizeof(list))
			len += (size_t)snprintf(list + len, sizeof(list) - len, " %s", c->probe);
	}
	if (living == 1)
		return 0;
	counts_close(&t->file);
	if (living > 1)
		(void)snprintf(err, cap, "%zu probes run here; say which with --probe:%s", living,
			       list);
	return -ENOENT;
}

int target_open(struct target *t, const struct ctl_options *o, char *err, size_t cap)
{
	struct counts *c = malloc(sizeof(*c));
	int result = -ENOMEM;

	t->file.fd = -1;
	t->socket[0] = '\0';
	(void)snprintf(err, cap, "not enough memory");
	if (c != NULL)
		result = open_by_socket(t, o, c, err, cap);
	/* A socket or a directory means one probe and no other. */
	if (result == -ENOENT && o->socket == NULL && o->out == NULL)
		result = open_by_name(t, o, c, err, cap);
	free(c);
	return result;
}
