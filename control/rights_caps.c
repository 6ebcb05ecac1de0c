/* SPDX-License-Identifier: BSD-3-Clause */
#include "rights.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define WAIT_MS 2000

uint64_t caps_permitted(void)
{
	cap_t caps = cap_get_proc();
	uint64_t set = 0;

	for (cap_value_t c = 0; caps != NULL && c < cap_max_bits() && c < 64; c++) {
		cap_flag_value_t on = CAP_CLEAR;
		if (cap_get_flag(caps, c, CAP_PERMITTED, &on) == 0 && on == CAP_SET)
			set |= RIGHTS_CAP(c);
	}
	(void)cap_free(caps);
	return set;
}

/* capset(2) itself, as a signal handler may call it. Inheritable: none. */
static int set_raw(uint64_t permitted, uint64_t effective)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	const struct __user_cap_data_struct data[2] = {
	    {.permitted = (uint32_t)permitted, .effective = (uint32_t)effective},
	    {.permitted = (uint32_t)(permitted >> 32), .effective = (uint32_t)(effective >> 32)},
	};

	return syscall(SYS_capset, &head, data) == 0 ? 0 : -errno;
}

int caps_set(uint64_t set)
{
	return set_raw(set, set);
}

int caps_set_effective(uint64_t set)
{
	return set_raw(caps_permitted(), set);
}

const char *caps_text(uint64_t set, char *text, size_t cap)
{
	size_t n = 0;

	text[0] = '\0';
	for (cap_value_t c = 0; c < 64; c++) {
		char *name = (set & RIGHTS_CAP(c)) != 0 ? cap_to_name(c) : NULL;
		if (name == NULL)
			continue;
		if (n < cap)
			n += (size_t)snprintf(text + n, cap - n, "%s%s", n != 0 ? " " : "", name);
		(void)cap_free(name);
	}
	for (char *c = text; *c != '\0'; c++)
		*c = (char)toupper((unsigned char)*c);
	return text;
}

/* ---- all threads ---- */

/* Capabilities belong to threads. Those that libraries have started (DPDK's) are told by a
 * signal, as glibc tells them about setuid; in them the handler does what the main thread does. */
static struct {
	uint64_t set;
	atomic_int pending;
} order;

static void limit_this(void)
{
	/* The bounding set first: dropping from it takes a capability. Refused without
	 * CAP_SETPCAP, and no_new_privs makes it idle anyway. */
	for (int c = 0; c < 64 && prctl(PR_CAPBSET_READ, c, 0, 0, 0) >= 0; c++)
		if ((order.set & RIGHTS_CAP(c)) == 0)
			(void)prctl(PR_CAPBSET_DROP, c, 0, 0, 0);
	(void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	(void)set_raw(order.set, order.set);
	(void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

static void on_order(int signo)
{
	const int before = errno;

	(void)signo;
	limit_this();
	atomic_fetch_sub(&order.pending, 1);
	errno = before;
}

/* True where a thread has no more than `order.set`, and no_new_privs. */
static bool is_limited(const char *tid)
{
	char path[64], line[256];
	uint64_t permitted = UINT64_MAX, effective = UINT64_MAX, ambient = UINT64_MAX;
	int no_new_privs = 0;
	FILE *f;

	(void)snprintf(path, sizeof(path), "/proc/self/task/%.16s/status", tid);
	f = fopen(path, "re");
	if (f == NULL)
		return true; /* it has ended */
	while (fgets(line, sizeof(line), f) != NULL) {
		(void)sscanf(line, "CapPrm: %" SCNx64, &permitted);
		(void)sscanf(line, "CapEff: %" SCNx64, &effective);
		(void)sscanf(line, "CapAmb: %" SCNx64, &ambient);
		(void)sscanf(line, "NoNewPrivs: %d", &no_new_privs);
	}
	(void)fclose(f);
	return ((permitted | effective) & ~order.set) == 0 && ambient == 0 && no_new_privs == 1;
}

/* Calls fn for each other thread that is not limited yet; how many there were. */
static int each_other(void (*fn)(pid_t tid))
{
	DIR *d = opendir("/proc/self/task");
	int n = 0;

	for (const struct dirent *e; d != NULL && (e = readdir(d)) != NULL;) {
		const pid_t tid = (pid_t)strtol(e->d_name, NULL, 10);
		if (tid <= 0 || tid == gettid() || is_limited(e->d_name))
			continue;
		n++;
		if (fn != NULL)
			fn(tid);
	}
	if (d == NULL)
		return -errno;
	(void)closedir(d);
	return n;
}

static void tell(pid_t tid)
{
	atomic_fetch_add(&order.pending, 1);
	if (syscall(SYS_tgkill, getpid(), tid, SIGRTMAX - 2) != 0)
		atomic_fetch_sub(&order.pending, 1);
}

int caps_limit_all(uint64_t set)
{
	const struct timespec ms = {.tv_nsec = 1000000};
	struct sigaction act = {.sa_handler = on_order, .sa_flags = SA_RESTART}, before;
	char tid[16];
	int left;

	order.set = set & caps_permitted();
	if (sigaction(SIGRTMAX - 2, &act, &before) != 0)
		return -errno;
	left = each_other(tell);
	for (int i = 0; i < WAIT_MS && atomic_load(&order.pending) > 0; i++)
		(void)nanosleep(&ms, NULL);
	limit_this();
	if (left > 0)
		left = each_other(NULL);
	/* One that has not listened yet may do so later: then the handler has to be there. */
	if (left == 0)
		(void)sigaction(SIGRTMAX - 2, &before, NULL);
	(void)snprintf(tid, sizeof(tid), "%d", (int)gettid());
	if (left < 0)
		return left;
	return left == 0 && is_limited(tid) ? 0 : -EBUSY;
}
