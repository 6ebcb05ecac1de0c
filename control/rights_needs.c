/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"
#include "exit.h"
#include "rights.h"

#include <linux/capability.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define UMEM_BYTES ((rlim_t)64 << 20) /* that AF_XDP locks at least */

/* PERFMON and BPF came with Linux 5.8; before, and where a container gives it, SYS_ADMIN. */
#define XDP_CAPS (RIGHTS_CAP(CAP_NET_ADMIN) | RIGHTS_CAP(CAP_NET_RAW))
#define BPF_CAPS (RIGHTS_CAP(CAP_BPF) | RIGHTS_CAP(CAP_PERFMON))
#define MEMORY_CAPS (RIGHTS_CAP(CAP_IPC_LOCK) | RIGHTS_CAP(CAP_SYS_RESOURCE))

/* DPDK's virtual devices that do something to a kernel interface. */
static const struct device {
	const char *name;
	uint64_t needs, keeps;
	const char *setcap;
} devices[] = {
    /* Loads and, at the end, removes its XDP program, which it looks up by its number: that
     * takes SYS_ADMIN. */
    {"net_af_xdp", XDP_CAPS | BPF_CAPS, RIGHTS_CAP(CAP_NET_ADMIN) | RIGHTS_CAP(CAP_SYS_ADMIN),
     "cap_bpf,cap_perfmon,cap_net_admin,cap_net_raw,cap_ipc_lock+ep"},
    {"net_af_packet", RIGHTS_CAP(CAP_NET_RAW), 0, "cap_net_raw+ep"},
    {"net_tap", RIGHTS_CAP(CAP_NET_ADMIN), RIGHTS_CAP(CAP_NET_ADMIN), "cap_net_admin+ep"},
};

static const struct device *device_of(const char *devargs)
{
	for (size_t i = 0; i < sizeof(devices) / sizeof(*devices); i++)
		if (strncmp(devargs, devices[i].name, strlen(devices[i].name)) == 0)
			return &devices[i];
	return NULL;
}

uint64_t rights_keeps_dpdk(const char *devargs)
{
	const struct device *d = device_of(devargs);

	return d != NULL ? d->keeps : 0;
}

static int fail(char *err, size_t cap, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static int fail(char *err, size_t cap, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	(void)vsnprintf(err, cap, format, args);
	va_end(args);
	return EXIT_MACHINE;
}

/* What is missing of `wanted`. */
static uint64_t missing(uint64_t wanted)
{
	const uint64_t have = caps_permitted();

	if ((have & RIGHTS_CAP(CAP_SYS_ADMIN)) != 0)
		wanted &= ~BPF_CAPS;
	return wanted & ~have;
}

static void own_path(char *self, size_t cap)
{
	const ssize_t n = readlink("/proc/self/exe", self, cap - 1);

	if (n > 0)
		self[n] = '\0';
	else
		(void)snprintf(self, cap, "fluxtap");
}

static int check_caps(const char *option, const char *what, uint64_t wanted, const char *setcap,
		      char *err, size_t cap)
{
	const uint64_t lacking = missing(wanted);
	char names[256], self[512];

	if (lacking == 0)
		return EXIT_DONE;
	own_path(self, sizeof(self));
	return fail(err, cap, "%s %s lacks %s: run with sudo, or: setcap %s %s", option, what,
		    caps_text(lacking, names, sizeof(names)), setcap, self);
}

/* Locked memory counts against a limit, unless one may lock what one likes. */
static int check_memlock(const char *xdp, char *err, size_t cap)
{
	struct rlimit limit;
	char self[512];

	if ((caps_permitted() & MEMORY_CAPS) != 0 || getrlimit(RLIMIT_MEMLOCK, &limit) != 0 ||
	    limit.rlim_max == RLIM_INFINITY || limit.rlim_max >= UMEM_BYTES)
		return EXIT_DONE;
	own_path(self, sizeof(self));
	return fail(err, cap,
		    "--xdp %s locks %llu MiB of memory, and the limit is %llu KiB: \"ulimit -l "
		    "unlimited\" as root, LimitMEMLOCK=infinity in a unit, or: setcap "
		    "cap_bpf,cap_perfmon,cap_net_admin,cap_net_raw,cap_ipc_lock+ep %s",
		    xdp, (unsigned long long)UMEM_BYTES >> 20,
		    (unsigned long long)limit.rlim_max >> 10, self);
}

static int check_xdp(const char *xdp, char *err, size_t cap)
{
	const bool host = strstr(xdp, "mode=host") != NULL;
	const int code =
	    check_caps("--xdp", xdp, XDP_CAPS | BPF_CAPS,
		       "cap_bpf,cap_perfmon,cap_net_admin,cap_net_raw,cap_ipc_lock+ep", err, cap);

	/* Host mode's ring buffers are the kernel's memory and are charged to the cgroup. */
	return code != EXIT_DONE || host ? code : check_memlock(xdp, err, cap);
}

int rights_needs(const struct config *c, char *err, size_t cap)
{
	const struct device *d = c->dpdk != NULL ? device_of(c->dpdk) : NULL;

	if (c->xdp != NULL)
		return check_xdp(c->xdp, err, cap);
	return d != NULL ? check_caps("--dpdk", c->dpdk, d->needs, d->setcap, err, cap) : EXIT_DONE;
}

uint64_t rights_opening(const struct config *c)
{
	const uint64_t have = caps_permitted();
	/* Not what looks through file modes: what --user may not read or write shows now. */
	const uint64_t files = RIGHTS_CAP(CAP_DAC_OVERRIDE) | RIGHTS_CAP(CAP_DAC_READ_SEARCH) |
			       RIGHTS_CAP(CAP_FOWNER) | RIGHTS_CAP(CAP_CHOWN) |
			       RIGHTS_CAP(CAP_FSETID);
	const uint64_t users = RIGHTS_CAP(CAP_SETUID) | RIGHTS_CAP(CAP_SETGID);

	if (c->dpdk != NULL) /* physical addresses, VFIO, locked memory ...: drivers differ */
		return have & ~(files | users);
	if (c->xdp == NULL)
		return have & RIGHTS_CAP(CAP_SETPCAP);
	uint64_t want = XDP_CAPS | BPF_CAPS | MEMORY_CAPS | RIGHTS_CAP(CAP_SETPCAP);
	if ((BPF_CAPS & ~have) != 0)
		want |= RIGHTS_CAP(CAP_SYS_ADMIN);
	return have & want;
}
