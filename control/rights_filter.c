/* SPDX-License-Identifier: BSD-3-Clause */
#include "rights.h"

#include <errno.h>
#include <linux/bpf.h>
#include <linux/netlink.h>
#include <sched.h>
#include <seccomp.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* Sanitizers make system calls of their own, in the probe's name. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) ||                         \
    __has_feature(memory_sanitizer)
#define SANITIZED 1
#endif
#endif

const char *filter_lack(void)
{
#ifdef SANITIZED
	return "off in this build with a sanitizer";
#else
	return NULL;
#endif
}

#define CALL(name) SCMP_SYS(name)

/* Whatever their arguments. Names that an architecture does not have are skipped. */
static const int always[] = {
    /* files: records, snapshots, captures, lists on reload, sysfs */
    CALL(read),
    CALL(write),
    CALL(readv),
    CALL(writev),
    CALL(pread64),
    CALL(pwrite64),
    CALL(preadv),
    CALL(pwritev),
    CALL(close),
    CALL(lseek),
    CALL(open),
    CALL(openat),
    CALL(stat),
    CALL(fstat),
    CALL(lstat),
    CALL(newfstatat),
    CALL(fstatat64),
    CALL(statx),
    CALL(access),
    CALL(faccessat),
    CALL(faccessat2),
    CALL(readlink),
    CALL(readlinkat),
    CALL(getdents64),
    CALL(mkdir),
    CALL(mkdirat),
    CALL(unlink),
    CALL(unlinkat),
    CALL(rmdir),
    CALL(rename),
    CALL(renameat),
    CALL(renameat2),
    CALL(link),
    CALL(linkat),
    CALL(chmod),
    CALL(fchmod),
    CALL(fchmodat),
    CALL(fsync),
    CALL(fdatasync),
    CALL(ftruncate),
    CALL(fallocate),
    CALL(flock),
    CALL(fcntl),
    CALL(fadvise64),
    CALL(dup),
    CALL(dup3),
    CALL(umask),
    CALL(getcwd),
    CALL(statfs),
    CALL(fstatfs),
    CALL(memfd_create),
    CALL(utimensat),
    /* memory; mmap and mprotect: below */
    CALL(munmap),
    CALL(mremap),
    CALL(madvise),
    CALL(brk),
    CALL(mincore),
    CALL(membarrier),
    CALL(mlock),
    CALL(munlock),
    /* threads; clone: below */
    CALL(futex),
    CALL(set_robust_list),
    CALL(get_robust_list),
    CALL(rseq),
    CALL(exit),
    CALL(exit_group),
    CALL(gettid),
    CALL(getpid),
    CALL(getppid),
    CALL(sched_yield),
    CALL(sched_getaffinity),
    CALL(sched_setaffinity),
    CALL(sched_getparam),
    CALL(sched_getscheduler),
    CALL(sched_get_priority_max),
    CALL(sched_get_priority_min),
    CALL(set_tid_address),
    CALL(getcpu),
    CALL(getrusage),
    CALL(times),
    /* time */
    CALL(clock_gettime),
    CALL(clock_getres),
    CALL(clock_nanosleep),
    CALL(nanosleep),
    CALL(gettimeofday),
    CALL(time),
    CALL(timerfd_create),
    CALL(timerfd_settime),
    CALL(timerfd_gettime),
    /* signals */
    CALL(rt_sigaction),
    CALL(rt_sigprocmask),
    CALL(rt_sigreturn),
    CALL(rt_sigpending),
    CALL(rt_sigtimedwait),
    CALL(sigaltstack),
    CALL(restart_syscall),
    /* sockets that are open (AF_XDP, control, HTTP), and new clients of them */
    CALL(accept),
    CALL(accept4),
    CALL(recvfrom),
    CALL(recvmsg),
    CALL(recvmmsg),
    CALL(sendto),
    CALL(sendmsg),
    CALL(sendmmsg),
    CALL(shutdown),
    CALL(getsockopt),
    CALL(setsockopt),
    CALL(getsockname),
    CALL(getpeername),
    CALL(poll),
    CALL(ppoll),
    CALL(select),
    CALL(pselect6),
    CALL(epoll_create1),
    CALL(epoll_ctl),
    CALL(epoll_wait),
    CALL(epoll_pwait),
    CALL(epoll_pwait2),
    CALL(eventfd2),
    CALL(pipe2),
    CALL(sendfile),
    CALL(splice),
    /* who and where we are */
    CALL(getrandom),
    CALL(uname),
    CALL(sysinfo),
    CALL(getuid),
    CALL(geteuid),
    CALL(getgid),
    CALL(getegid),
    CALL(getgroups),
    CALL(capget),
    CALL(getrlimit),
};

/* Drivers of DPDK talk to devices in ways of their own. */
static const int dpdk_too[] = {
    CALL(ioctl),      CALL(bpf),       CALL(socket),        CALL(bind),
    CALL(connect),    CALL(mbind),     CALL(get_mempolicy), CALL(set_mempolicy),
    CALL(socketpair), CALL(eventfd),   CALL(epoll_create),  CALL(mlockall),
    CALL(prlimit64),  CALL(setrlimit), CALL(prctl),         CALL(inotify_init1),
};

/* A call with one argument that has to be (after `mask`) this value. */
struct rule {
	int call;
	unsigned arg;
	scmp_datum_t mask, value;
};
#define WHOLE UINT64_MAX

static const struct rule also[] = {
    {CALL(socket), 0, WHOLE, AF_UNIX}, /* to the journal, to the service manager */
    {CALL(socketpair), 0, WHOLE, AF_UNIX},
    {CALL(clone), 0, CLONE_THREAD, CLONE_THREAD}, /* threads, no processes */
    {CALL(mmap), 2, PROT_EXEC, 0},
    {CALL(mmap2), 2, PROT_EXEC, 0},
    {CALL(mprotect), 2, PROT_EXEC, 0},
    {CALL(prctl), 0, WHOLE, PR_SET_NAME},
    {CALL(prctl), 0, WHOLE, PR_GET_NAME},
    {CALL(prctl), 0, WHOLE, 0x53564d41}, /* PR_SET_VMA: names of memory, by newer malloc */
    {CALL(prlimit64), 2, WHOLE, 0},      /* reads limits */
    {CALL(ioctl), 1, UINT32_MAX, TCGETS},
    {CALL(ioctl), 1, UINT32_MAX, TIOCGWINSZ},
    {CALL(ioctl), 1, UINT32_MAX, FIONREAD},
    {CALL(ioctl), 1, UINT32_MAX, FIONBIO},
};

/* Prefix filters of a running XDP program; no programs, no new maps. */
static const struct rule xdp_too[] = {
    {CALL(bpf), 0, WHOLE, BPF_MAP_LOOKUP_ELEM},
    {CALL(bpf), 0, WHOLE, BPF_MAP_UPDATE_ELEM},
    {CALL(bpf), 0, WHOLE, BPF_MAP_DELETE_ELEM},
    {CALL(bpf), 0, WHOLE, BPF_MAP_GET_NEXT_KEY},
};
/* A tc filter is taken away by netlink (libbpf binds its socket). */
static const struct rule netlink_too[] = {{CALL(socket), 0, WHOLE, AF_NETLINK},
					  {CALL(bind), 2, WHOLE, sizeof(struct sockaddr_nl)}};

#define LEN(a) (sizeof(a) / sizeof(*(a)))

static int add_calls(scmp_filter_ctx f, const int *calls, size_t n)
{
	int rc = 0;

	for (size_t i = 0; i < n && rc == 0; i++) {
		rc = calls[i] == __NR_SCMP_ERROR ? 0
						 : seccomp_rule_add(f, SCMP_ACT_ALLOW, calls[i], 0);
		if (rc == -EDOM || rc == -EEXIST)
			rc = 0; /* another architecture's */
	}
	return rc;
}

static int add_rules(scmp_filter_ctx f, const struct rule *rules, size_t n)
{
	int rc = 0;

	for (size_t i = 0; i < n && rc == 0; i++) {
		const struct scmp_arg_cmp c =
		    SCMP_CMP(rules[i].arg, SCMP_CMP_MASKED_EQ, rules[i].mask, rules[i].value);
		rc = seccomp_rule_add_array(f, SCMP_ACT_ALLOW, rules[i].call, 1, &c);
		if (rc == -EDOM || rc == -EEXIST)
			rc = 0;
	}
	return rc;
}

/* Answers instead of death, where a library has another way if it is refused. */
static int add_refusals(scmp_filter_ctx f)
{
	const struct scmp_arg_cmp exec =
	    SCMP_CMP(2, SCMP_CMP_MASKED_EQ, (scmp_datum_t)PROT_EXEC, (scmp_datum_t)PROT_EXEC);
	/* clone3's flags lie in memory, where no filter looks: glibc then takes clone. */
	int rc = seccomp_rule_add(f, SCMP_ACT_ERRNO(ENOSYS), CALL(clone3), 0);

	if (rc == 0)
		rc = seccomp_rule_add_array(f, SCMP_ACT_ERRNO(EACCES), CALL(mmap), 1, &exec);
	if (rc == 0)
		rc = seccomp_rule_add_array(f, SCMP_ACT_ERRNO(EACCES), CALL(mprotect), 1, &exec);
	return rc;
}

/* Signals to our own threads: abort(3), and what rights_caps.c does. */
static int add_tgkill(scmp_filter_ctx f)
{
	const struct scmp_arg_cmp own = SCMP_CMP(0, SCMP_CMP_EQ, (scmp_datum_t)getpid(), 0);

	return seccomp_rule_add_array(f, SCMP_ACT_ALLOW, CALL(tgkill), 1, &own);
}

static int fill(scmp_filter_ctx f, enum filter_kind kind, bool netlink)
{
	int rc = add_calls(f, always, LEN(always));

	if (rc == 0)
		rc = add_tgkill(f);
	if (rc == 0 && kind == FILTER_DPDK)
		rc = add_calls(f, dpdk_too, LEN(dpdk_too));
	if (rc == 0)
		rc = add_rules(f, also, LEN(also));
	if (rc == 0 && kind == FILTER_XDP)
		rc = add_rules(f, xdp_too, LEN(xdp_too));
	if (rc == 0 && netlink && kind != FILTER_DPDK)
		rc = add_rules(f, netlink_too, LEN(netlink_too));
	return rc == 0 ? add_refusals(f) : rc;
}

int filter_load(enum filter_kind kind, enum filter_action action, bool netlink)
{
	scmp_filter_ctx f;
	int rc;

	if (filter_lack() != NULL)
		return -ENOTSUP;
	f = seccomp_init(action == FILTER_LOG ? SCMP_ACT_LOG : SCMP_ACT_KILL_PROCESS);
	if (f == NULL)
		return -ENOTSUP;
	rc = seccomp_attr_set(f, SCMP_FLTATR_CTL_TSYNC, 1);
	/* Old kernels slow all filtered threads down against speculation; ours share no
	 * process with anybody. */
	if (rc == 0)
		rc = seccomp_attr_set(f, SCMP_FLTATR_CTL_SSB, 1);
	if (rc == 0)
		(void)seccomp_attr_set(f, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	if (rc == 0)
		rc = fill(f, kind, netlink);
	if (rc == 0)
		rc = seccomp_load(f);
	seccomp_release(f);
	return rc;
}
