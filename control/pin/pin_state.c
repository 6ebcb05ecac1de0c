/* SPDX-License-Identifier: BSD-3-Clause */
#include "pin_state_json.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define FILE_CAP (4u << 20)

void pin_state_path(const char *ifname, char out[PIN_PATH_CAP])
{
	struct stat ours = {.st_ino = 0};

	/* Two namespaces may have interfaces of one name, and share /run. */
	(void)stat("/proc/self/ns/net", &ours);
	(void)snprintf(out, PIN_PATH_CAP, "/run/fluxtap/pin-%s-net%llu.json", ifname,
		       (unsigned long long)ours.st_ino);
}

static int add_file(struct pin_facts *was, const char *path, const char *text)
{
	struct pin_file *grown = realloc(was->file, (was->files + 1) * sizeof(*grown));

	if (grown == NULL)
		return -ENOMEM;
	was->file = grown;
	grown[was->files] = (struct pin_file){strdup(path), strdup(text)};
	const struct pin_file *new = &grown[was->files++];
	return new->path != NULL &&new->text != NULL ? 0 : -ENOMEM;
}

int pin_state_make(const struct pin_facts *f, const struct pin_plan *p, struct pin_state *s)
{
	struct pin_state made = {.was = {.node = -1, .ifindex = f->ifindex, .nic = f->nic}};
	struct timespec now;
	int rc = 0;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	made.applied_us = now.tv_sec * 1000000ll + now.tv_nsec / 1000;
	(void)snprintf(made.was.ifname, sizeof(made.was.ifname), "%s", f->ifname);
	made.was.irq = calloc(f->irqs + 1, sizeof(*f->irq));
	if (made.was.irq == NULL)
		return -ENOMEM;
	if (f->irqs > 0)
		memcpy(made.was.irq, f->irq, f->irqs * sizeof(*f->irq));
	made.was.irqs = f->irqs;
	for (size_t i = 0; i < f->files && rc == 0; i++)
		rc = add_file(&made.was, f->file[i].path, f->file[i].text);
	for (size_t i = 0; i < p->changes && rc == 0; i++) {
		const struct pin_change *c = &p->change[i];
		unsigned cpu;

		made.rss = made.rss || c->part == PIN_RSS;
		if (c->part == PIN_FILE &&
		    sscanf(c->path, "/sys/devices/system/cpu/cpu%u/", &cpu) == 1 && cpu < f->cpus)
			rc = add_file(&made.was, c->path, f->cpu[cpu].governor);
	}
	if (rc != 0)
		pin_state_fini(&made);
	else
		*s = made;
	return rc;
}

void pin_state_fini(struct pin_state *s)
{
	pin_fini(&s->was);
	*s = (struct pin_state){.was = {.node = -1}};
}

static int fail(const char *path, int error, char *err, size_t cap)
{
	(void)snprintf(err, cap, "%s: %s", path, strerror(error));
	return -error;
}

/* Only what root wrote, where pin runs as root; of others what they wrote themselves. */
static int open_trusted(const char *full, char *err, size_t cap)
{
	struct stat st;
	const int fd = open(full, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0)
		return fail(full, errno, err, cap);
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_uid == geteuid() &&
	    (st.st_mode & 022) == 0)
		return fd;
	(void)close(fd);
	(void)snprintf(err, cap,
		       "%s: somebody else could have written it; look at it and remove it", full);
	return -EPERM;
}

int pin_state_read(const char *root, const char *path, struct pin_state *s, char *err, size_t cap)
{
	char full[PIN_PATH_CAP], why[256];
	size_t len = 0;
	ssize_t n = 1;
	int rc;

	if (snprintf(full, sizeof(full), "%s%s", root, path) >= (int)sizeof(full))
		return fail(path, ENAMETOOLONG, err, cap);
	const int fd = open_trusted(full, err, cap);
	if (fd < 0)
		return fd;
	char *text = malloc(FILE_CAP);
	while (text != NULL && n > 0 && len < FILE_CAP) {
		n = read(fd, text + len, FILE_CAP - len);
		len += n > 0 ? (size_t)n : 0;
	}
	(void)close(fd);
	if (text == NULL || n < 0) {
		rc = fail(full, text == NULL ? ENOMEM : EIO, err, cap);
	} else {
		rc = pin_state_parse(text, len, s, why, sizeof(why));
		if (rc != 0)
			(void)snprintf(err, cap, "%s: %s; nothing was put back", full, why);
	}
	free(text);
	return rc;
}

int pin_state_remove(const char *root, const char *path)
{
	char full[PIN_PATH_CAP];

	if (snprintf(full, sizeof(full), "%s%s", root, path) >= (int)sizeof(full))
		return -ENAMETOOLONG;
	return unlink(full) == 0 ? 0 : -errno;
}

/* Written beside, then linked under its name: link refuses where there is one already. */
static int write_whole(const char *full, const char *text, char *err, size_t cap)
{
	char beside[PIN_PATH_CAP + 16];
	int rc = 0;

	(void)snprintf(beside, sizeof(beside), "%s.%d", full, (int)getpid());
	(void)unlink(beside);
	const int fd = open(beside, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return fail(beside, errno, err, cap);
	const size_t len = strlen(text);
	for (size_t at = 0; at < len && rc == 0;) {
		const ssize_t n = write(fd, text + at, len - at);
		if (n < 0 && errno != EINTR)
			rc = fail(beside, errno, err, cap);
		at += n > 0 ? (size_t)n : 0;
	}
	if (fsync(fd) != 0 && rc == 0)
		rc = fail(beside, errno, err, cap);
	(void)close(fd);
	if (rc == 0 && link(beside, full) != 0)
		rc = fail(full, errno, err, cap);
	(void)unlink(beside);
	return rc;
}

int pin_state_write(const char *root, const char *path, const struct pin_state *s, char *err,
		    size_t cap)
{
	char full[PIN_PATH_CAP], dir[PIN_PATH_CAP];

	if (snprintf(full, sizeof(full), "%s%s", root, path) >= (int)sizeof(full))
		return fail(path, ENAMETOOLONG, err, cap);
	(void)snprintf(dir, sizeof(dir), "%s", full);
	*strrchr(dir, '/') = '\0';
	if (mkdir(dir, 0755) != 0 && errno != EEXIST)
		return fail(dir, errno, err, cap);
	json_t *o = pin_state_json(s);
	char *text = o != NULL ? json_dumps(o, JSON_INDENT(1)) : NULL;
	json_decref(o);
	if (text == NULL)
		return fail(full, ENOMEM, err, cap);
	const int rc = write_whole(full, text, err, cap);
	free(text);
	return rc;
}
