/* SPDX-License-Identifier: BSD-3-Clause */
#include "rights.h"

#include "config.h"
#include "exit.h"
#include "export/outdir.h"
#include "live.h"
#include "schema.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#define DAC_CAPS (RIGHTS_CAP(CAP_DAC_OVERRIDE) | RIGHTS_CAP(CAP_DAC_READ_SEARCH))

static char said[512]; /* for rights_text */

static int fail(int code, char *err, size_t cap, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
static int fail(int code, char *err, size_t cap, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	(void)vsnprintf(err, cap, format, args);
	va_end(args);
	return code;
}

/* ---- files that we have to reach, as who we are now ---- */

static bool may(const char *path, int how)
{
	return faccessat(AT_FDCWD, path, how, AT_EACCESS) == 0 || errno == ENOENT;
}

/* The first of our files and directories below --out that we cannot write to. */
static bool find_unreachable(const struct config *c, char path[PATH_MAX])
{
	bool found = false;
	struct stat st;
	DIR *d;

	(void)snprintf(path, PATH_MAX, "%s", c->out);
	if (!may(path, R_OK | W_OK | X_OK))
		return true;
	d = opendir(c->out);
	for (const struct dirent *e; d != NULL && !found && (e = readdir(d)) != NULL;) {
		if (!schema_has_set(e->d_name) ||
		    snprintf(path, PATH_MAX, "%s/%s", c->out, e->d_name) >= PATH_MAX)
			continue;
		found =
		    stat(path, &st) == 0 && S_ISDIR(st.st_mode) && !may(path, R_OK | W_OK | X_OK);
	}
	if (d != NULL)
		(void)closedir(d);
	if (found || snprintf(path, PATH_MAX, "%s/.state-%s.zst", c->out, c->probe) >= PATH_MAX)
		return found;
	return !may(path, R_OK);
}

/* The first list that a reload could not read. */
static const char *find_unreadable(const struct config *c)
{
	for (size_t i = 0; i < c->rules.n; i++)
		if (!may(c->rules.v[i], R_OK))
			return c->rules.v[i];
	if (c->sinkholes != NULL && !may(c->sinkholes, R_OK))
		return c->sinkholes;
	return c->psl != NULL && !may(c->psl, R_OK) ? c->psl : NULL;
}

/* ---- another user ---- */

static int give_dir(const char *path, const struct passwd *pw)
{
	const int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	const int rc = fd < 0 || fchown(fd, pw->pw_uid, pw->pw_gid) != 0 ? -errno : 0;

	if (fd >= 0)
		(void)close(fd);
	return rc;
}

/* The directory, made for the user where it is not there, with those above it. 0 or -errno. */
static int make_for(const char *path, const struct passwd *pw)
{
	char part[PATH_MAX];
	struct stat st;
	size_t at = 0;
	int rc;

	if (snprintf(part, sizeof(part), "%s", path) >= (int)sizeof(part))
		return -ENAMETOOLONG;
	for (;;) { /* to the first that is not there */
		at += strspn(path + at, "/");
		at += strcspn(path + at, "/");
		part[at] = '\0';
		if (stat(part, &st) != 0)
			break;
		if (path[at] == '\0')
			return 0;
		part[at] = '/';
	}
	rc = outdir_make_all(path);
	while (rc == 0) {
		rc = give_dir(part, pw);
		if (path[at] == '\0')
			break;
		part[at] = '/';
		at += strspn(path + at, "/");
		at += strcspn(path + at, "/");
		part[at] = '\0';
	}
	return rc;
}

/* What a killed probe of root left, so that its counters are found (segment.h). */
static void give_segment(const char *probe, const struct passwd *pw)
{
	char name[128];
	struct stat st;

	(void)snprintf(name, sizeof(name), "/fluxtap.%s", probe);
	const int fd = shm_open(name, O_RDWR | O_CLOEXEC, 0);
	if (fd < 0)
		return;
	if (flock(fd, LOCK_EX | LOCK_NB) == 0 && fstat(fd, &st) == 0 && st.st_uid == 0)
		(void)!fchown(fd, pw->pw_uid, pw->pw_gid);
	(void)close(fd);
}

static int become(const struct passwd *pw, uint64_t opening, char *err, size_t cap)
{
	/* Capabilities stay permitted over the change, and are made effective again. */
	if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) != 0 || initgroups(pw->pw_name, pw->pw_gid) != 0 ||
	    setresgid(pw->pw_gid, pw->pw_gid, pw->pw_gid) != 0 ||
	    setresuid(pw->pw_uid, pw->pw_uid, pw->pw_uid) != 0)
		return fail(EXIT_MACHINE, err, cap, "--user %s: %s", pw->pw_name, strerror(errno));
	const int rc = caps_set(opening);
	(void)prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0);
	if (rc != 0 || geteuid() != pw->pw_uid || setresuid(0, 0, 0) == 0)
		return fail(EXIT_MACHINE, err, cap, "--user %s: %s", pw->pw_name,
			    rc != 0 ? strerror(-rc) : "root is not given up");
	/* For the cache of rules. */
	(void)setenv("HOME", pw->pw_dir, 1);
	(void)unsetenv("XDG_CACHE_HOME");
	return EXIT_DONE;
}

static int check_reach(const struct config *c, char *err, size_t cap)
{
	char path[PATH_MAX];
	const char *list = find_unreadable(c);

	if (find_unreachable(c, path))
		return fail(EXIT_MACHINE, err, cap, "--user %s cannot use %s: chown -R %s: %s",
			    c->user, path, c->user, c->out);
	if (list != NULL)
		return fail(EXIT_MACHINE, err, cap, "--user %s cannot read %s: chmod a+r %s",
			    c->user, list, list);
	return EXIT_DONE;
}

static int switch_user(const struct config *c, char *err, size_t cap)
{
	const uint64_t users = RIGHTS_CAP(CAP_SETUID) | RIGHTS_CAP(CAP_SETGID);
	char run_dir[] = LIVE_RUN_DIR;
	struct passwd pw, *found = NULL;
	char buffer[4096];
	int rc;

	rc = getpwnam_r(c->user, &pw, buffer, sizeof(buffer), &found);
	if (found == NULL)
		return fail(EXIT_MACHINE, err, cap,
			    "--user %s: there is no such user: useradd --system %s", c->user,
			    rc == 0 ? c->user : strerror(rc));
	if (pw.pw_uid == 0)
		return fail(EXIT_USAGE, err, cap,
			    "--user %s is root; give a user without rights of its own", c->user);
	if (geteuid() == pw.pw_uid && getuid() == pw.pw_uid)
		return check_reach(c, err, cap);
	if ((caps_permitted() & users) != users)
		return fail(EXIT_MACHINE, err, cap,
			    "--user %s: only root can become another user: run with sudo", c->user);
	rc = make_for(c->out, &pw);
	if (rc != 0)
		return fail(EXIT_USAGE, err, cap,
			    "cannot make the directory %s: %s; give another one with --out", c->out,
			    strerror(-rc));
	if (strcmp(c->socket, "auto") == 0 && c->pcap.n == 0)
		(void)make_for(run_dir, &pw); /* else the socket stands below --out */
	give_segment(c->probe, &pw);
	const int code = become(&pw, rights_opening(c), err, cap);
	return code == EXIT_DONE ? check_reach(c, err, cap) : code;
}

int rights_begin(const struct config *c, char *err, size_t cap)
{
	const int code = rights_needs(c, err, cap);

	return code == EXIT_DONE && c->user != NULL ? switch_user(c, err, cap) : code;
}

/* ---- less and less ---- */

/* Root's files are root's without capabilities, too. But a root that writes to somebody else's
 * directory, or reads his lists, does so by these two. */
static uint64_t keep_for_files(const struct config *c)
{
	const uint64_t have = caps_permitted();
	char path[PATH_MAX];
	uint64_t keep = 0;

	if (geteuid() != 0 || (have & DAC_CAPS) == 0 || caps_set_effective(have & ~DAC_CAPS) != 0)
		return 0;
	if (find_unreachable(c, path))
		keep = RIGHTS_CAP(CAP_DAC_OVERRIDE);
	else if (find_unreadable(c) != NULL)
		keep = RIGHTS_CAP(CAP_DAC_READ_SEARCH);
	(void)caps_set_effective(have);
	return keep & have;
}

int rights_drop(const struct config *c, uint64_t source_keeps, char *err, size_t cap)
{
	const uint64_t keep = (source_keeps | keep_for_files(c)) & caps_permitted();
	char names[256];
	const int rc = caps_limit_all(keep);

	if (rc != 0)
		return fail(EXIT_MACHINE, err, cap, "capabilities cannot be given up: %s",
			    rc == -EBUSY ? "a thread of a library keeps its own" : strerror(-rc));
	(void)snprintf(said, sizeof(said), "%s%s", keep == 0 ? "no capabilities" : "capabilities ",
		       caps_text(keep, names, sizeof(names)));
	return EXIT_DONE;
}

int rights_lock(const struct config *c, char *err, size_t cap)
{
	const bool netlink = (caps_permitted() & RIGHTS_CAP(CAP_NET_ADMIN)) != 0;
	const enum filter_kind kind = c->dpdk != NULL  ? FILTER_DPDK
				      : c->xdp != NULL ? FILTER_XDP
						       : FILTER_FILE;
	const bool log = strcmp(c->seccomp, "log") == 0;
	const char *lack = strcmp(c->seccomp, "off") == 0 ? "off" : filter_lack();
	const size_t n = strlen(said);

	const int rc =
	    lack == NULL ? filter_load(kind, log ? FILTER_LOG : FILTER_KILL, netlink) : 0;
	if (rc != 0)
		return fail(
		    EXIT_MACHINE, err, cap,
		    "the kernel takes no system call filter (%s); do without: --seccomp off",
		    strerror(-rc));
	(void)snprintf(said + n, sizeof(said) - n, ", no_new_privs, seccomp %s%s",
		       lack != NULL ? lack
		       : log        ? "log"
				    : "on",
		       lack == NULL && kind == FILTER_DPDK ? " (wider, for DPDK's drivers)" : "");
	return EXIT_DONE;
}

const char *rights_text(char *text, size_t cap)
{
	(void)snprintf(text, cap, "%s", said);
	return text;
}
