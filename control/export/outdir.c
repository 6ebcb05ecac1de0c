/* SPDX-License-Identifier: BSD-3-Clause */
#include "outdir.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

void outdir_temporary(const char *set, const char *probe, char out[NAME_MAX + 1])
{
	snprintf(out, NAME_MAX + 1, ".%s-%s.%ld.tmp", set, probe, (long)getpid());
}

int outdir_make(const char *path)
{
	if (mkdir(path, 0750) == 0)
		return chmod(path, 0750) == 0 ? 0 : -errno;
	return errno == EEXIST ? 0 : -errno;
}

int outdir_make_all(const char *path)
{
	char part[PATH_MAX];
	const size_t len = strlen(path);

	if (len >= sizeof part)
		return -ENAMETOOLONG;
	for (size_t i = 1; i <= len; i++) {
		if (path[i] != '/' && path[i] != '\0')
			continue;
		memcpy(part, path, i);
		part[i] = '\0';
		const int rc = outdir_make(part);
		/* A parent that we may not make is fine as long as it is there. */
		if (rc != 0 && (i == len || (rc != -EACCES && rc != -EPERM && rc != -EROFS)))
			return rc;
	}
	return 0;
}

/* Removes `set`'s temporaries of this probe that no living process holds. */
static void remove_leftovers(const char *dir, const char *set, const char *probe)
{
	char path[PATH_MAX], prefix[NAME_MAX + 1];
	DIR *d = snprintf(path, sizeof path, "%s/%s", dir, set) < PATH_MAX ? opendir(path) : NULL;
	const int len = snprintf(prefix, sizeof prefix, ".%s-%s.", set, probe);

	for (struct dirent *e; d != NULL && (e = readdir(d)) != NULL;) {
		const char *rest = e->d_name + len;

		if (strncmp(e->d_name, prefix, (size_t)len) != 0 ||
		    !isdigit((unsigned char)*rest) ||
		    strcmp(rest + strspn(rest, "0123456789"), ".tmp") != 0)
			continue;
		const int fd =
		    openat(dirfd(d), e->d_name, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

		if (fd < 0)
			continue;
		if (flock(fd, LOCK_EX | LOCK_NB) == 0)
			unlinkat(dirfd(d), e->d_name, 0);
		close(fd);
	}
	if (d != NULL)
		closedir(d);
}

static void remove_all_leftovers(const char *dir, const char *probe)
{
	DIR *d = opendir(dir);

	for (struct dirent *e; d != NULL && (e = readdir(d)) != NULL;) {
		if (e->d_name[0] != '.' && strlen(e->d_name) < OUTDIR_SET_CAP)
			remove_leftovers(dir, e->d_name, probe);
	}
	if (d != NULL)
		closedir(d);
}

/* Writes one octet into a file of its own: a directory may exist and yet be
 * read-only, full or no directory. */
static int try_dir(const char *dir, const char *probe)
{
	char path[PATH_MAX], name[NAME_MAX + 1];
	int rc = 0;

	outdir_temporary("fluxtap", probe, name);
	if (snprintf(path, sizeof path, "%s/%s", dir, name) >= PATH_MAX)
		return -ENAMETOOLONG;
	const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0640);

	if (fd < 0)
		return -errno;
	if (write(fd, "\n", 1) != 1 || fsync(fd) != 0)
		rc = errno ? -errno : -EIO;
	close(fd);
	unlink(path);
	return rc;
}

int outdir_prepare(const char *dir, const char *probe)
{
	int rc = outdir_make_all(dir);

	if (rc == 0)
		rc = try_dir(dir, probe);
	if (rc == 0)
		remove_all_leftovers(dir, probe);
	return rc;
}
