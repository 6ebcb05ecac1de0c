/* SPDX-License-Identifier: BSD-3-Clause */
/* Least privilege: a forbidden call ends the process, an allowed one does not, and no thread
 * keeps what was given up. Each case is a child of its own; what it has left is read from
 * /proc and tried. */
#include "rights.h"

#include "config.h"
#include "exit.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <pthread.h>
#include <pwd.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define NOBODY "nobody"
static char dir[64];

/* Runs fn in a child; its wait status. */
static int child(int (*fn)(const void *), const void *arg)
{
	int status;
	const pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		const struct rlimit none = {0, 0};
		for (int i = 1; i < 32; i++) /* cmocka's handlers are not for it */
			(void)signal(i, SIG_DFL);
		(void)setrlimit(RLIMIT_CORE, &none);
		_exit(fn(arg));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

/* ---- calls ---- */

static void call_exec(void)
{
	char *const argv[] = {"true", NULL};
	(void)execv("/bin/true", argv);
}
static void call_fork(void)
{
	if (fork() == 0)
		_exit(0);
}
static void call_ptrace(void)
{
	(void)ptrace(PTRACE_TRACEME, 0, NULL, NULL);
}
static void call_inet(void)
{
	(void)!socket(AF_INET, SOCK_STREAM, 0);
}
static void call_netlink(void)
{
	(void)!socket(AF_NETLINK, SOCK_RAW, 0);
}
static void call_packet(void)
{
	(void)!socket(AF_PACKET, SOCK_RAW, 0);
}
static void call_connect(void)
{
	const struct sockaddr_un a = {.sun_family = AF_UNIX, .sun_path = "/nosuch"};
	(void)connect(0, (const struct sockaddr *)&a, sizeof(a));
}
static void call_listen(void)
{
	(void)listen(0, 1);
}
static void call_kill(void)
{
	(void)kill(getppid(), 0);
}
static void call_tgkill_other(void)
{
	(void)syscall(SYS_tgkill, getppid(), getppid(), 0);
}
static void call_setuid(void)
{
	(void)syscall(SYS_setuid, 0);
}
static void call_capset(void)
{
	(void)caps_set(0);
}
static void call_mount(void)
{
	(void)mount("none", "/nosuch", "tmpfs", 0, NULL);
}
static void call_chroot(void)
{
	(void)!chroot("/");
}
static void call_unshare(void)
{
	(void)unshare(CLONE_NEWUSER);
}
static void call_setns(void)
{
	(void)setns(0, 0);
}
static void call_bpf_load(void)
{
	(void)syscall(SYS_bpf, BPF_PROG_LOAD, NULL, 0);
}
static void call_bpf_create(void)
{
	(void)syscall(SYS_bpf, BPF_MAP_CREATE, NULL, 0);
}
static void call_bpf_update(void)
{
	(void)syscall(SYS_bpf, BPF_MAP_UPDATE_ELEM, NULL, 0);
}
static void call_perf(void)
{
	(void)syscall(SYS_perf_event_open, NULL, 0, 0, -1, 0);
}
static void call_module(void)
{
	(void)syscall(SYS_init_module, NULL, 0, "");
}
static void call_uring(void)
{
	(void)syscall(SYS_io_uring_setup, 1, NULL);
}
static void call_process_vm(void)
{
	(void)syscall(SYS_process_vm_readv, getppid(), NULL, 0, NULL, 0, 0);
}
static void call_settime(void)
{
	(void)settimeofday(NULL, NULL);
}
static void call_chown(void)
{
	(void)!chown("/nosuch", 0, 0);
}
static void call_mknod(void)
{
	(void)mknod("/nosuch/x", S_IFIFO, 0);
}
static void call_reboot(void)
{
	(void)syscall(SYS_reboot, 0, 0, 0, NULL);
}
static void call_setrlimit(void)
{
	struct rlimit l;
	(void)getrlimit(RLIMIT_NOFILE, &l);
	(void)setrlimit(RLIMIT_NOFILE, &l);
}
static void call_undumpable(void)
{
	(void)prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
}
#if defined(__x86_64__)
static void call_foreign(void) /* getpid by the 32-bit door */
{
	long r;
	__asm__ volatile("int $0x80" : "=a"(r) : "a"(20) : "memory");
}
#endif

/* FILE, XDP, DPDK: what each filter does with it. */
static const struct forbidden {
	const char *name;
	void (*call)(void);
	bool kills[3];
} forbidden[] = {
#define ALL                                                                                        \
	{                                                                                          \
		true, true, true                                                                   \
	}
#define NOT_DPDK                                                                                   \
	{                                                                                          \
		true, true, false                                                                  \
	}
    {"execve", call_exec, ALL},
    {"fork", call_fork, ALL},
    {"ptrace", call_ptrace, ALL},
    {"socket inet", call_inet, NOT_DPDK},
    {"socket netlink", call_netlink, NOT_DPDK},
    {"socket packet", call_packet, NOT_DPDK},
    {"connect", call_connect, NOT_DPDK},
    {"listen", call_listen, ALL},
    {"kill", call_kill, ALL},
    {"tgkill", call_tgkill_other, ALL},
    {"setuid", call_setuid, ALL},
    {"capset", call_capset, ALL},
    {"mount", call_mount, ALL},
    {"chroot", call_chroot, ALL},
    {"unshare", call_unshare, ALL},
    {"setns", call_setns, ALL},
    {"bpf load", call_bpf_load, NOT_DPDK},
    {"bpf create", call_bpf_create, NOT_DPDK},
    {"bpf update", call_bpf_update, {true, false, false}},
    {"perf_event_open", call_perf, ALL},
    {"init_module", call_module, ALL},
    {"io_uring_setup", call_uring, ALL},
    {"process_vm_readv", call_process_vm, ALL},
    {"settimeofday", call_settime, ALL},
    {"chown", call_chown, ALL},
    {"mknod", call_mknod, ALL},
    {"reboot", call_reboot, ALL},
    {"setrlimit", call_setrlimit, NOT_DPDK},
    {"prctl dumpable", call_undumpable, NOT_DPDK},
#if defined(__x86_64__)
    {"32-bit call", call_foreign, ALL},
#endif
};
#define FORBIDDEN_LEN (sizeof(forbidden) / sizeof(*forbidden))

struct attempt {
	const struct forbidden *what;
	enum filter_kind kind;
	enum filter_action action;
	bool filter;
};

static int try_call(const void *arg)
{
	const struct attempt *a = arg;

	if (a->filter && filter_load(a->kind, a->action, false) != 0)
		return 99;
	a->what->call();
	return 0;
}

static void skip_without_filter(void)
{
	if (filter_lack() != NULL) {
		print_message("no filter: %s\n", filter_lack());
		skip();
	}
}

static void test_forbidden(void **state)
{
	(void)state;
	skip_without_filter();
	for (size_t i = 0; i < FORBIDDEN_LEN; i++) {
		struct attempt a = {&forbidden[i], FILTER_FILE, FILTER_KILL, false};

		/* Without the filter it does no harm: the filter is what kills. */
		const int harmless = forbidden[i].call != call_exec ? child(try_call, &a) : 0;
		if (WIFSIGNALED(harmless) && WTERMSIG(harmless) == SIGSEGV)
			continue; /* a kernel without the 32-bit door */
		assert_int_equal(harmless, 0);
		a.filter = true;
		for (int k = FILTER_FILE; k <= FILTER_DPDK; k++) {
			a.kind = (enum filter_kind)k;
			const int status = child(try_call, &a);
			const bool killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS;
			if (killed != forbidden[i].kills[k] || (!killed && status != 0))
				fail_msg("%s, filter %d: status %#x", forbidden[i].name, k, status);
		}
	}
}

static void test_log_mode(void **state)
{
	(void)state;
	skip_without_filter();
	const struct forbidden inet = {"inet", call_inet, ALL};
	const struct attempt a = {&inet, FILTER_XDP, FILTER_LOG, true};
	assert_int_equal(child(try_call, &a), 0);
}

/* ---- what a probe does all day ---- */

static void *do_nothing(void *arg)
{
	return arg;
}

#define NEED(x)                                                                                    \
	do {                                                                                       \
		if (!(x)) {                                                                        \
			(void)fprintf(stderr, "line %d: %s\n", __LINE__, #x);                      \
			return 1;                                                                  \
		}                                                                                  \
	} while (0)

static int work(const void *arg)
{
	const struct timespec ms = {.tv_nsec = 1000000};
	const enum filter_kind kind = *(const enum filter_kind *)arg;
	char path[128], to[128];
	struct epoll_event e = {.events = EPOLLIN};
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	pthread_t t;
	cpu_set_t cpus;

	(void)snprintf(at.sun_path, sizeof(at.sun_path), "%s/s%d", dir, (int)kind);
	const int l = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
	const int c = socket(AF_UNIX, SOCK_STREAM, 0);
	NEED(bind(l, (struct sockaddr *)&at, sizeof(at)) == 0 && listen(l, 4) == 0);
	NEED(connect(c, (struct sockaddr *)&at, sizeof(at)) == 0);
	NEED(filter_load(kind, FILTER_KILL, false) == 0);

	const int s = accept4(l, NULL, NULL, SOCK_NONBLOCK);
	NEED(s >= 0 && send(s, "x", 1, MSG_NOSIGNAL) == 1 && recv(c, to, 1, 0) == 1);
	const int ep = epoll_create1(EPOLL_CLOEXEC);
	NEED(epoll_ctl(ep, EPOLL_CTL_ADD, s, &e) == 0 && epoll_wait(ep, &e, 1, 0) == 0);
	NEED(socket(AF_UNIX, SOCK_DGRAM, 0) >= 0);

	(void)snprintf(path, sizeof(path), "%s/f%d", dir, (int)kind);
	(void)snprintf(to, sizeof(to), "%s/g%d", dir, (int)kind);
	const int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
	NEED(fd >= 0 && write(fd, "abc", 3) == 3 && fchmod(fd, 0640) == 0 && fsync(fd) == 0);
	NEED(rename(path, to) == 0 && unlink(to) == 0);
	FILE *f = fopen("/proc/self/status", "re");
	NEED(f != NULL && fgetc(f) != EOF && fclose(f) == 0);

	NEED(pthread_create(&t, NULL, do_nothing, NULL) == 0 && pthread_join(t, NULL) == 0);
	NEED(pthread_setname_np(pthread_self(), "x") == 0);
	NEED(sched_getaffinity(0, sizeof(cpus), &cpus) == 0 &&
	     sched_setaffinity(0, sizeof(cpus), &cpus) == 0);
	void *p = mmap(NULL, 1 << 22, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	NEED(p != MAP_FAILED && madvise(p, 1 << 22, MADV_HUGEPAGE) == 0);
	NEED(mprotect(p, 4096, PROT_READ) == 0);
	/* No new code: refused, not killed for. */
	NEED(mprotect(p, 4096, PROT_READ | PROT_EXEC) == -1 && errno == EACCES);
	NEED(mmap(NULL, 4096, PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED &&
	     errno == EACCES);
	NEED(munmap(p, 1 << 22) == 0);
	p = malloc(50 << 20);
	NEED(p != NULL && (p = realloc(p, 90 << 20)) != NULL);
	free(p);
	NEED(nanosleep(&ms, NULL) == 0 && isatty(0) >= 0);
	return 0;
}

static void test_allowed(void **state)
{
	(void)state;
	skip_without_filter();
	for (int k = FILTER_FILE; k <= FILTER_DPDK; k++) {
		const enum filter_kind kind = (enum filter_kind)k;
		const int status = child(work, &kind);
		if (status != 0)
			fail_msg("filter %d: status %#x", k, status);
	}
}

/* ---- an HTTP server that was started before ---- */

static enum MHD_Result serve(void *ctx, struct MHD_Connection *c, const char *url,
			     const char *method, const char *version, const char *data, size_t *len,
			     void **own)
{
	static char page[] = "hello";
	struct MHD_Response *r;

	(void)ctx, (void)url, (void)method, (void)version, (void)data, (void)len, (void)own;
	r = MHD_create_response_from_buffer(5, page, MHD_RESPMEM_PERSISTENT);
	const enum MHD_Result result = MHD_queue_response(c, MHD_HTTP_OK, r);
	MHD_destroy_response(r);
	return result;
}

static int ask(uint16_t port)
{
	const struct sockaddr_in at = {.sin_family = AF_INET,
				       .sin_port = htons(port),
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	static const char request[] = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
	char text[2048] = "";
	size_t n = 0;
	const int fd = socket(AF_INET, SOCK_STREAM, 0);

	NEED(connect(fd, (const struct sockaddr *)&at, sizeof(at)) == 0);
	NEED(send(fd, request, sizeof(request) - 1, 0) == sizeof(request) - 1);
	for (ssize_t got; (got = recv(fd, text + n, sizeof(text) - 1 - n, 0)) > 0;)
		n += (size_t)got;
	(void)close(fd);
	NEED(strncmp(text, "HTTP/1.1 200", 12) == 0 && strstr(text, "\r\n\r\nhello") != NULL);
	return 0;
}

/* Threads that were started before, capabilities given up and the filter put on meanwhile; and
 * new ones, one for each client. Says its ports to fd[1], ends when fd[0] does. */
static int serve_with_filter(enum filter_kind kind, const int fd[2])
{
	static const unsigned flags[2] = {MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_EPOLL,
					  MHD_USE_INTERNAL_POLLING_THREAD |
					      MHD_USE_THREAD_PER_CONNECTION | MHD_USE_POLL};
	struct MHD_Daemon *d[2];
	uint16_t port[2];
	char c;

	for (int i = 0; i < 2; i++) {
		d[i] = MHD_start_daemon(flags[i], 0, NULL, NULL, serve, NULL, MHD_OPTION_END);
		NEED(d[i] != NULL);
		port[i] = MHD_get_daemon_info(d[i], MHD_DAEMON_INFO_BIND_PORT)->port;
	}
	NEED(geteuid() != 0 || caps_limit_all(0) == 0);
	NEED(filter_load(kind, FILTER_KILL, false) == 0);
	NEED(write(fd[1], port, sizeof(port)) == sizeof(port));
	NEED(read(fd[0], &c, 1) == 0);
	MHD_stop_daemon(d[0]);
	MHD_stop_daemon(d[1]);
	return 0;
}

static void test_http(void **state)
{
	(void)state;
	skip_without_filter();
	for (int k = FILTER_FILE; k <= FILTER_DPDK; k++) {
		int to[2], from[2], status;
		uint16_t port[2];

		assert_int_equal(pipe2(to, O_CLOEXEC) | pipe2(from, O_CLOEXEC), 0);
		const pid_t pid = fork();
		if (pid == 0) {
			(void)close(to[1]);
			_exit(
			    serve_with_filter((enum filter_kind)k, (const int[]){to[0], from[1]}));
		}
		(void)close(from[1]);
		assert_int_equal(read(from[0], port, sizeof(port)), sizeof(port));
		for (int i = 0; i < 20; i++)
			assert_int_equal(ask(port[i % 2]), 0);
		(void)close(to[0]);
		(void)close(to[1]);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status, 0);
		(void)close(from[0]);
	}
}

static int fail_an_assertion(const void *arg)
{
	(void)arg;
	(void)!freopen("/dev/null", "w", stderr);
	if (filter_load(FILTER_FILE, FILTER_KILL, false) != 0)
		return 99;
	abort();
}

/* Our own mistakes end as what they are. */
static void test_abort(void **state)
{
	(void)state;
	skip_without_filter();
	const int status = child(fail_an_assertion, NULL);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGABRT);
}

/* ---- threads ---- */

static atomic_int go, deaf;

static void *wait_and_call(void *arg)
{
	const struct timespec ms = {.tv_nsec = 1000000};
	sigset_t all;

	(void)arg;
	(void)sigfillset(&all);
	if (atomic_load(&deaf) != 0)
		(void)pthread_sigmask(SIG_SETMASK, &all, NULL);
	atomic_store(&deaf, 0);
	while (!atomic_load(&go))
		(void)nanosleep(&ms, NULL);
	call_inet();
	return NULL;
}

static int filter_after_thread(const void *arg)
{
	pthread_t t;

	(void)arg;
	if (pthread_create(&t, NULL, wait_and_call, NULL) != 0 ||
	    filter_load(FILTER_FILE, FILTER_KILL, false) != 0)
		return 99;
	atomic_store(&go, 1);
	(void)pthread_join(t, NULL);
	return 0;
}

/* A thread that was there before has the filter, too. */
static void test_filter_threads(void **state)
{
	(void)state;
	skip_without_filter();
	const int status = child(filter_after_thread, NULL);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGSYS);
}

/* A line of every thread's status; the number of threads that have `want` there. */
static int count_threads(const char *key, const char *want)
{
	char command[256], text[32] = "";
	FILE *p;

	(void)snprintf(command, sizeof(command),
		       "cat /proc/%d/task/*/status | grep -c '^%s:[[:space:]]*%s$'", (int)getpid(),
		       key, want);
	p = popen(command, "r");
	(void)!fgets(text, sizeof(text), p);
	(void)pclose(p);
	return (int)strtol(text, NULL, 10);
}

static int limit_with_threads(const void *arg)
{
	const uint64_t keep = *(const uint64_t *)arg;
	char hex[20];
	pthread_t t;

	for (int i = 0; i < 5; i++)
		NEED(pthread_create(&t, NULL, wait_and_call, NULL) == 0);
	NEED(count_threads("NoNewPrivs", "0") == 6);
	(void)snprintf(hex, sizeof(hex), "%016llx", (unsigned long long)keep);
	NEED(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) == 0);
	NEED(caps_limit_all(keep) == 0);
	NEED(count_threads("CapEff", hex) == 6);
	NEED(count_threads("CapPrm", hex) == 6);
	NEED(count_threads("CapBnd", hex) == 6);
	NEED(count_threads("CapInh", "0000000000000000") == 6);
	NEED(count_threads("CapAmb", "0000000000000000") == 6);
	NEED(count_threads("NoNewPrivs", "1") == 6);
	/* Nothing comes back. */
	NEED(caps_set(UINT64_MAX >> 24) == -EPERM);
	NEED(keep != 0 || (setuid(12345) == -1 && errno == EPERM));
	NEED(keep != 0 || (sethostname("x", 1) == -1 && errno == EPERM));
	return 0;
}

static void test_caps_threads(void **state)
{
	const uint64_t some = RIGHTS_CAP(CAP_NET_ADMIN) | RIGHTS_CAP(CAP_IPC_LOCK), none = 0;

	(void)state;
	if (geteuid() != 0)
		skip();
	assert_int_equal(child(limit_with_threads, &none), 0);
	assert_int_equal(child(limit_with_threads, &some), 0);
}

static int limit_with_deaf(const void *arg)
{
	pthread_t t;

	(void)arg;
	atomic_store(&deaf, 1);
	NEED(pthread_create(&t, NULL, wait_and_call, NULL) == 0);
	while (atomic_load(&deaf) != 0)
		(void)sched_yield();
	NEED(caps_limit_all(0) == -EBUSY); /* said, not passed over */
	NEED(caps_permitted() == 0);
	return 0;
}

static void test_caps_deaf(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	assert_int_equal(child(limit_with_deaf, NULL), 0);
}

/* ---- BPF maps that are open ---- */

static int map_create(void)
{
	union bpf_attr a = {
	    .map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 8, .max_entries = 4};

	return (int)syscall(SYS_bpf, BPF_MAP_CREATE, &a, sizeof(a));
}

static int update_without(const void *arg)
{
	uint32_t key = 1;
	uint64_t value = 77, back = 0;
	union bpf_attr a = {0};

	(void)arg;
	const int fd = map_create();
	NEED(fd >= 0);
	a.map_fd = (uint32_t)fd;
	a.key = (uint64_t)(uintptr_t)&key;
	a.value = (uint64_t)(uintptr_t)&value;
	NEED(caps_limit_all(0) == 0);
	NEED(filter_lack() != NULL || filter_load(FILTER_XDP, FILTER_KILL, false) == 0);
	NEED(syscall(SYS_bpf, BPF_MAP_UPDATE_ELEM, &a, sizeof(a)) == 0);
	a.value = (uint64_t)(uintptr_t)&back;
	NEED(syscall(SYS_bpf, BPF_MAP_LOOKUP_ELEM, &a, sizeof(a)) == 0);
	NEED(back == 77);
	return 0;
}

/* What a running XDP program is told needs no capability: the map is open. */
static void test_map_update(void **state)
{
	(void)state;
	const int fd = geteuid() == 0 ? map_create() : -1;
	if (fd < 0)
		skip();
	(void)close(fd);
	const int status = child(update_without, NULL);
	/* Linux before 5.19 wants CAP_BPF for every bpf(2) where unprivileged use is off. */
	if (status != 0)
		fail_msg("status %#x", status);
}

/* ---- the steps ---- */

static struct config config_of(char *xdp, char *user, char *out)
{
	return (struct config){.xdp = xdp,
			       .user = user,
			       .out = out,
			       .probe = "rights-test",
			       .socket = "off",
			       .seccomp = "on"};
}

static int begin_as_nobody(const void *arg)
{
	const char *const *want = arg;
	const struct config c = config_of("vb", NULL, dir);
	char err[1024] = "";

	NEED(setresgid(65534, 65534, 65534) == 0 && setresuid(65534, 65534, 65534) == 0);
	NEED(rights_begin(&c, err, sizeof(err)) == EXIT_MACHINE);
	for (; *want != NULL; want++)
		NEED(strstr(err, *want) != NULL);
	return 0;
}

static void test_needs(void **state)
{
	static const char *const want[] = {"--xdp vb",       "CAP_NET_ADMIN", "CAP_NET_RAW",
					   "CAP_PERFMON",    "CAP_BPF",       "run with sudo",
					   "setcap cap_bpf", "test_rights",   NULL};

	(void)state;
	if (geteuid() != 0)
		skip();
	assert_int_equal(child(begin_as_nobody, want), 0);
}

static int memlock_as_nobody(const void *arg)
{
	const struct rlimit small = {8 << 20, 8 << 20};
	const struct config c = config_of("vb", NULL, dir);
	const uint64_t enough = RIGHTS_CAP(CAP_NET_ADMIN) | RIGHTS_CAP(CAP_NET_RAW) |
				RIGHTS_CAP(CAP_BPF) | RIGHTS_CAP(CAP_PERFMON);
	char err[1024] = "";

	(void)arg;
	NEED(setrlimit(RLIMIT_MEMLOCK, &small) == 0);
	NEED(caps_set(enough) == 0);
	NEED(rights_needs(&c, err, sizeof(err)) == EXIT_MACHINE);
	NEED(strstr(err, "limit is 8192 KiB") != NULL && strstr(err, "ulimit -l") != NULL);
	const struct config host = config_of("vb,mode=host", NULL, dir);
	NEED(rights_needs(&host, err, sizeof(err)) == EXIT_DONE);
	return 0;
}

static void test_memlock(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	assert_int_equal(child(memlock_as_nobody, NULL), 0);
}

static int become_nobody(const void *arg)
{
	char out[128], err[1024] = "", text[512];
	struct stat st;
	gid_t groups[64];
	const struct passwd *pw = getpwnam(NOBODY);
	const struct config c = config_of("vb", NOBODY, out);

	(void)arg;
	NEED(pw != NULL);
	(void)snprintf(out, sizeof(out), "%s/deep/out", dir);
	NEED(setgroups(1, &(gid_t){0}) == 0);
	NEED(rights_begin(&c, err, sizeof(err)) == EXIT_DONE);
	NEED(geteuid() == pw->pw_uid && getuid() == pw->pw_uid && getegid() == pw->pw_gid);
	for (int n = getgroups(64, groups), i = 0; i < n; i++)
		NEED(groups[i] != 0);
	NEED(stat(out, &st) == 0 && st.st_uid == pw->pw_uid && st.st_gid == pw->pw_gid);
	/* What opening takes, and nothing that looks through file modes. */
	const uint64_t have = caps_permitted();
	NEED((have & RIGHTS_CAP(CAP_NET_ADMIN)) != 0 && (have & RIGHTS_CAP(CAP_NET_RAW)) != 0);
	NEED((have & (RIGHTS_CAP(CAP_DAC_OVERRIDE) | RIGHTS_CAP(CAP_SETUID) |
		      RIGHTS_CAP(CAP_SYS_PTRACE) | RIGHTS_CAP(CAP_CHOWN))) == 0);
	NEED(open("/etc/shadow", O_RDONLY | O_CLOEXEC) == -1);
	NEED(rights_drop(&c, 0, err, sizeof(err)) == EXIT_DONE);
	NEED(caps_permitted() == 0);
	NEED(rights_lock(&c, err, sizeof(err)) == EXIT_DONE);
	rights_text(text, sizeof(text));
	NEED(strstr(text, "no capabilities, no_new_privs, seccomp ") != NULL);
	return 0;
}

static void test_user(void **state)
{
	(void)state;
	if (geteuid() != 0 || chmod(dir, 0755) != 0)
		skip();
	const int status = child(become_nobody, NULL);
	if (status != 0)
		fail_msg("status %#x", status);
}

static int refuse_users(const void *arg)
{
	char err[1024];
	struct config c = config_of(NULL, "root", dir);

	(void)arg;
	NEED(rights_begin(&c, err, sizeof(err)) == EXIT_USAGE && strstr(err, "root") != NULL);
	c.user = "no-such-user-x";
	NEED(rights_begin(&c, err, sizeof(err)) == EXIT_MACHINE);
	NEED(strstr(err, "useradd --system no-such-user-x") != NULL);
	/* A directory of somebody else's: what would help, before anything is opened. */
	c.user = NOBODY;
	NEED(rights_begin(&c, err, sizeof(err)) == EXIT_MACHINE);
	NEED(strstr(err, "chown -R nobody") != NULL && strstr(err, dir) != NULL);
	/* Only root can. */
	NEED(geteuid() != 0);
	c.user = "daemon";
	NEED(rights_begin(&c, err, sizeof(err)) == EXIT_MACHINE && strstr(err, "sudo") != NULL);
	return 0;
}

static void test_bad_users(void **state)
{
	(void)state;
	if (geteuid() != 0 || chmod(dir, 0700) != 0)
		skip();
	const int status = child(refuse_users, NULL);
	if (status != 0)
		fail_msg("status %#x", status);
}

/* Root that writes to somebody else's directory goes on doing so. */
static int drop_in_foreign(const void *arg)
{
	const bool foreign = *(const bool *)arg;
	const struct config c = config_of(NULL, NULL, dir);
	char err[1024];

	NEED(rights_drop(&c, 0, err, sizeof(err)) == EXIT_DONE);
	NEED(caps_permitted() == (foreign ? RIGHTS_CAP(CAP_DAC_OVERRIDE) : 0));
	return 0;
}

static void test_foreign_out(void **state)
{
	const bool yes = true, no = false;

	(void)state;
	if (geteuid() != 0)
		skip();
	assert_int_equal(child(drop_in_foreign, &no), 0);
	assert_int_equal(chown(dir, 12345, 12345), 0);
	assert_int_equal(child(drop_in_foreign, &yes), 0);
	assert_int_equal(chown(dir, 0, 0), 0);
}

static int set_up(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/fluxtap-rights-XXXXXX");
	return mkdtemp(dir) == NULL;
}

static int tear_down(void **state)
{
	char command[128];

	(void)state;
	(void)snprintf(command, sizeof(command), "rm -rf %s", dir);
	return system(command);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	    T(test_forbidden),  T(test_log_mode),       T(test_allowed),      T(test_http),
	    T(test_abort),      T(test_filter_threads), T(test_caps_threads), T(test_caps_deaf),
	    T(test_map_update), T(test_needs),          T(test_memlock),      T(test_user),
	    T(test_bad_users),  T(test_foreign_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
