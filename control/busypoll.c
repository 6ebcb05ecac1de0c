/* SPDX-License-Identifier: BSD-3-Clause */
#include "busypoll.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* As the kernel's page on AF_XDP has them: twice 200 us without a poll, and the
 * interrupts are back. */
static const struct {
	const char *name;
	unsigned long value;
} wanted[2] = {{"napi_defer_hard_irqs", 2}, {"gro_flush_timeout", 200000}};

static FILE *setting_open(const char *ifname, const char *name, const char *how)
{
	char path[96];

	(void)snprintf(path, sizeof(path), "/sys/class/net/%s/%s", ifname, name);
	return fopen(path, how);
}

static int setting_read(const char *ifname, const char *name, unsigned long *value)
{
	FILE *f = setting_open(ifname, name, "re");
	int rc;

	if (f == NULL)
		return -errno;
	rc = fscanf(f, "%lu", value) == 1 ? 0 : -EIO;
	(void)fclose(f);
	return rc;
}

static int setting_write(const char *ifname, const char *name, unsigned long value)
{
	FILE *f = setting_open(ifname, name, "we");
	int rc = 0;

	if (f == NULL)
		return -errno;
	if (fprintf(f, "%lu\n", value) < 0 || fflush(f) != 0)
		rc = -errno;
	(void)fclose(f);
	return rc;
}

int busypoll_set(struct busypoll *b, const char *ifname)
{
	int rc = 0;

	*b = (struct busypoll){0};
	(void)snprintf(b->ifname, sizeof(b->ifname), "%s", ifname);
	for (size_t i = 0; i < 2 && rc == 0; i++) {
		rc = setting_read(ifname, wanted[i].name, &b->before[i]);
		if (rc != 0 || b->before[i] >= wanted[i].value)
			continue;
		rc = setting_write(ifname, wanted[i].name, wanted[i].value);
		b->set[i] = rc == 0;
	}
	if (rc != 0)
		busypoll_restore(b);
	return rc;
}

void busypoll_restore(struct busypoll *b)
{
	for (size_t i = 0; i < 2; i++)
		if (b->set[i])
			(void)setting_write(b->ifname, wanted[i].name, b->before[i]);
	b->set[0] = b->set[1] = false;
}
