/* SPDX-License-Identifier: BSD-3-Clause */
#include "run.h"

#include "../dataplane/capfile.h"
#include "../dataplane/mem.h"
#include "../dataplane/worker.h"
#include "config.h"
#include "cookie_secret.h"
#include "doh_list.h"
#include "drain.h"
#include "exit.h"
#include "export/jsonl.h"
#include "export/retain.h"
#include "gap.h"
#include "keeper.h"
#include "live.h"
#include "log.h"
#include "lookups.h"
#include "notify.h"
#include "pressure.h"
#include "rights.h"
#include "rules.h"
#include "segment.h"
#include "source.h"
#include "summary.h"
#include "view/show.h"
#include "worker_config.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

struct run {
	struct config config;
	struct source *source;
	struct segment segment;
	struct vantage_rules vantage;
	struct rules *rules;
	struct lookups lookups;
	struct doh_file doh;
	struct live *live;
	struct worker **worker; /* [workers] */
	unsigned workers, started;
	struct jsonl *jsonl; /* below write_lock, as is `records` */
	pthread_mutex_t write_lock;
	struct retain *retain; /* NULL: all is kept */
	struct notify notify;
	struct drain *drain;
	struct keeper *keeper; /* NULL: state does not outlive the run */
	struct stat_run stat_run;
	struct show *show;
	struct prefix_set monitors;
	uint8_t cookie_secret[COOKIES_SECRETS][16];
	unsigned cookie_secrets;
	struct pressure *pressure;     /* NULL: the level of sampling is fixed */
	_Atomic uint32_t sample_level; /* pressure's to set */
	uint64_t *dropped_seen;        /* [workers] */
	uint64_t records, export_failures;
	uint64_t begin_us;
	int export_failed; /* -errno of the last commit, 0: all is written */
	bool progress_shown;
};

/* Signals received; the handlers' only word. */
static volatile sig_atomic_t stop_signals, hangups;

static void on_stop(int signo)
{
	(void)signo;
	if (stop_signals++ != 0)
		_exit(EXIT_FAILED); /* the operator means it */
	capfile_stop();
}

static void on_hangup(int signo)
{
	(void)signo;
	hangups = 1;
}

/* Why it does not run, or did not run well: the last words. */
static int complain(int code, const char *text)
{
	log_error("end", LOG_PLAIN, "%s", text);
	return code;
}

static void catch_signals(void)
{
	struct sigaction stop = {.sa_handler = on_stop}, ignore = {.sa_handler = SIG_IGN};
	struct sigaction hangup = {.sa_handler = on_hangup, .sa_flags = SA_RESTART};

	stop_signals = 0;
	(void)sigaction(SIGINT, &stop, NULL);
	(void)sigaction(SIGTERM, &stop, NULL);
	/* A closed terminal shall not end a probe; nor a broken pipe. */
	(void)sigaction(SIGHUP, &hangup, NULL);
	(void)sigaction(SIGPIPE, &ignore, NULL);
}

static uint64_t count_dropped(void *ctx, unsigned worker)
{
	return source_dropped(((struct run *)ctx)->source, worker);
}

static uint64_t take_dropped(void *ctx, unsigned worker)
{
	struct run *r = ctx;
	const uint64_t now = source_dropped(r->source, worker);
	const uint64_t grown = now - r->dropped_seen[worker];

	r->dropped_seen[worker] = now;
	return grown;
}

static void write_record(void *ctx, const char *set, uint64_t start_s, json_t *record)
{
	struct run *r = ctx;

	show_put(r->show, set, record);
	(void)pthread_mutex_lock(&r->write_lock);
	if (jsonl_write(r->jsonl, set, start_s, record) == 0)
		r->records++;
	(void)pthread_mutex_unlock(&r->write_lock);
}

static void say_alarm(void *ctx, const char *text)
{
	(void)ctx;
	log_alarm("watched-record", LOG_NO_FIELDS, "%s", text);
}

static void commit(struct run *r)
{
	const int before = r->export_failed;

	r->export_failed = jsonl_commit(r->jsonl);
	r->export_failures += r->export_failed != 0;
	if (r->export_failed != 0 && r->export_failed != before)
		log_error("export-failed", LOG_FIELDS(LOG_NUM("errno", -r->export_failed)), "%s",
			  jsonl_error(r->jsonl));
	else if (r->export_failed == 0 && before != 0)
		log_info("export-works", LOG_NO_FIELDS, "records are written again");
}

static struct watch_export export_state(struct run *r)
{
	struct watch_export e = {.failures = r->export_failures, .failing = r->export_failed != 0};

	(void)pthread_mutex_lock(&r->write_lock);
	e.written = r->records;
	e.lost = jsonl_lost_records(r->jsonl);
	(void)pthread_mutex_unlock(&r->write_lock);
	return e;
}

/* Behind the export: what the next start shall not take for lost. */
static void publish_exported(const struct run *r, uint64_t end_s)
{
	for (unsigned w = 0; w < r->workers; w++) {
		const struct ft_ledger *told = ledger_told_get(drain_stat(r->drain, 0), w);
		for (unsigned i = 0; i < FT_CTR_CAP; i++)
			atomic_store_explicit(&segment_worker(&r->segment, w)->exported[i],
					      told->c[i], memory_order_relaxed);
	}
	atomic_store_explicit(&r->segment.shm->exported_s, end_s, memory_order_relaxed);
}

static void interval_first(void *ctx, const struct stat_interval *interval)
{
	keeper_first(((struct run *)ctx)->keeper, interval);
}

static void interval_closed(void *ctx, const struct stat_interval *interval)
{
	struct run *r = ctx;

	commit(r);
	retain_closed(r->retain, interval->start_s, interval->end_s);
	if (r->export_failed == 0)
		publish_exported(r, interval->end_s);
	const struct watch_export e = export_state(r);
	show_closed(r->show, interval->start_s, interval->end_s, &e);
	keeper_closed(r->keeper, interval);
}

static void file_named(void *ctx, const char *name, uint64_t bytes)
{
	retain_add(((struct run *)ctx)->retain, name, bytes);
}

static bool snapshot_is_busy(void *ctx)
{
	return keeper_busy(((struct run *)ctx)->keeper);
}

static void input_ended(void *ctx)
{
	keeper_finish(((struct run *)ctx)->keeper);
}

static int init_prefixes(struct prefix_set *set, const struct config_prefixes *p)
{
	struct addr *addr = calloc(p->n + 1, sizeof(*addr));
	uint8_t *bits = calloc(p->n + 1, sizeof(*bits));
	int r = -ENOMEM;

	if (addr != NULL && bits != NULL) {
		for (size_t i = 0; i < p->n; i++) {
			memcpy(addr[i].b, p->v[i].addr, sizeof(addr[i].b));
			bits[i] = p->v[i].bits;
		}
		r = prefix_set_init(set, addr, bits, p->n);
	}
	free(addr);
	free(bits);
	return r;
}

static int init_vantage(struct run *r)
{
	r->vantage.configured = r->config.auth.n + r->config.resolvers.n != 0;
	const int result = init_prefixes(&r->vantage.auth, &r->config.auth);
	if (result == 0 && init_prefixes(&r->monitors, &r->config.monitors) != 0)
		return -ENOMEM;
	return result != 0 ? result : init_prefixes(&r->vantage.resolvers, &r->config.resolvers);
}

static struct worker_settings worker_settings_of(struct run *r, unsigned i, uint64_t hash_key)
{
	const struct config *c = &r->config;
	const bool live = source_is_live(r->source);
	struct worker_settings s = worker_config(c, &r->segment, i, live);

	s.rx = source_rx(r->source, i);
	s.cookie_secrets = r->cookie_secrets;
	memcpy(s.cookie_secret, r->cookie_secret, sizeof(s.cookie_secret));
	s.doh = &r->doh.list;
	s.vantage = &r->vantage;
	s.hash_key = hash_key;
	s.seat = live_seat(r->live, i);
	/* Entries have room for what sampling needs only where it can happen. */
	if (value_sample_level(c->sample) > 0 || live)
		s.sample.level = strcmp(c->sample, "1") != 0 ? &r->sample_level : NULL;

	for (size_t p = 0; p < c->ports.n && p < DECODE_PORTS_CAP; p++)
		s.ports.port[s.ports.n++] = c->ports.v[p];
	return s;
}

/* The rules, and how they change while it runs. */
static int open_live(struct run *r, uint64_t hash_key, char *err, size_t cap)
{
	const struct config *c = &r->config;
	const bool socket_off = strcmp(c->socket, "off") == 0 ||
				(strcmp(c->socket, "auto") == 0 && !source_is_live(r->source));
	char cache[PATH_MAX], socket_path[PATH_MAX];
	const char *why = NULL;
	const struct rules_settings set = {
	    .paths = (const char *const *)c->rules.v,
	    .paths_len = c->rules.n,
	    .psl_path = c->psl,
	    .cache_dir = rules_cache_dir(c->rule_cache, cache, sizeof(cache), &why),
	    .name_seed = hash_key,
	    .sketch_seed = c->sketch_seed,
	    .sinkholes = c->sinkholes,
	    .watch = c->watch,
	};
	struct live_opts live = {
	    .probe = c->probe,
	    .workers = r->workers,
	    .segment = &r->segment,
	};
	bool bad_rules;

	if (strcmp(c->socket, "auto") == 0)
		live_socket_path(c->probe, c->out, !socket_off, socket_path, sizeof(socket_path));
	else
		(void)snprintf(socket_path, sizeof(socket_path), "%s", c->socket);
	if (why != NULL)
		log_warning("rule-cache", LOG_NO_FIELDS, "%s", why);
	r->rules = rules_create(&set);
	(void)snprintf(err, cap, "not enough memory");
	if (r->rules == NULL)
		return EXIT_MACHINE;
	live.rules = r->rules;
	live.socket = socket_off ? NULL : socket_path;
	live.view = show_json;
	live.ctx = r->show;
	r->live = live_create(&live, &bad_rules, err, cap);
	if (r->live != NULL)
		return EXIT_DONE;
	return bad_rules ? EXIT_USAGE : EXIT_MACHINE;
}

static int open_show(struct run *r, char *err, size_t cap)
{
	const struct show_opts o = {
	    .config = &r->config,
	    .segment = &r->segment,
	    .live = source_is_live(r->source),
	    .source = source_is_live(r->source) ? source_note(r->source) : "capture files",
	    .source_dropped = count_dropped,
	    .ctx = r,
	    .sample_level = &r->sample_level,
	};
	int code = EXIT_DONE;

	r->show = show_create(&o, &code, err, cap);
	return r->show != NULL ? EXIT_DONE : code;
}

static int create_workers(struct run *r, char *err, size_t cap)
{
	const struct config *c = &r->config;
	uint64_t hash_key = 0;

	/* Keys differ in every run, so that nobody can choose names that collide; but for one
	 * that goes on where another was ended. */
	if (!keeper_hash_key(r->keeper, &hash_key) &&
	    getrandom(&hash_key, sizeof(hash_key), 0) != sizeof(hash_key)) {
		(void)snprintf(err, cap, "no random numbers: %s", strerror(errno));
		return EXIT_MACHINE;
	}
	const int code = open_live(r, hash_key, err, cap);
	if (code != EXIT_DONE)
		return code;
	if (lookups_init(&r->lookups, c->asn, c->cdn, c->psl, err, cap) != 0)
		return EXIT_USAGE;
	if (c->cookie_secret != NULL && cookie_secret_read(c->cookie_secret, r->cookie_secret,
							   &r->cookie_secrets, err, cap) != 0)
		return EXIT_USAGE;
	r->stat_run.name_seed = hash_key;
	for (unsigned i = 0; i < r->workers; i++) {
		const struct worker_settings s = worker_settings_of(r, i, hash_key);
		r->worker[i] = worker_create(&s);
		if (r->worker[i] == NULL) {
			(void)snprintf(err, cap,
				       "not enough memory for worker %u; smaller tables need less: "
				       "--pair-entries, --tcp-connections, --tcp-buffer-mb",
				       i);
			return EXIT_MACHINE;
		}
	}
	return EXIT_DONE;
}

/* What an earlier run left: the counters of a killed one, and its state. */
static int open_state(struct run *r)
{
	const struct config *c = &r->config;
	struct segment_left *left = calloc(1, sizeof(*left));
	const bool live = source_is_live(r->source);

	if (left == NULL)
		return -ENOMEM;
	if (segment_read_left(c->probe, left)) {
		gap_write(left, c->probe, rx_now_us() / 1000000, write_record, r);
		commit(r); /* before the segment goes */
	}
	free(left);
	if (strcmp(c->state, "on") != 0 && (strcmp(c->state, "off") == 0 || !live))
		return 0;
	r->keeper = keeper_create(c, live);
	return r->keeper != NULL ? 0 : -errno;
}

static int open_output(struct run *r, char *err, size_t cap)
{
	const struct config *c = &r->config;
	struct value_keep keep;

	r->jsonl = jsonl_create(c->out, c->probe, err, cap);
	if (r->jsonl == NULL)
		return EXIT_USAGE;
	if (c->keep == NULL || value_keep_read(c->keep, &keep) != 0)
		return EXIT_DONE;
	(void)snprintf(err, cap, "not enough memory");
	r->retain = retain_create(c->out, c->probe, &keep);
	jsonl_on_named(r->jsonl, file_named, r);
	return r->retain != NULL ? EXIT_DONE : EXIT_MACHINE;
}

/* Everything up to the first packet, in the order in which errors are told. */
static int open_all(struct run *r, char *err, size_t cap)
{
	const struct config *c = &r->config;
	int code = EXIT_MACHINE;

	r->workers = (unsigned)c->cores.n;
	(void)snprintf(err, cap, "not enough memory");
	r->worker = calloc(r->workers, sizeof(struct worker *));
	r->dropped_seen = calloc(r->workers, sizeof(*r->dropped_seen));
	if (r->worker == NULL || r->dropped_seen == NULL || init_vantage(r) != 0)
		return code;
	if (c->no_huge)
		mem_forbid_huge();
	if (c->doh != NULL && doh_file_read(c->doh, &r->doh, err, cap) != 0)
		return EXIT_USAGE;
	code = open_output(r, err, cap);
	if (code != EXIT_DONE)
		return code;
	r->source = source_create(c, &r->doh, &code, err, cap);
	if (r->source == NULL)
		return code;
	if (open_state(r) != 0) {
		(void)snprintf(err, cap, "not enough memory");
		return EXIT_MACHINE;
	}
	if (segment_init(&r->segment, c->probe, r->workers, (size_t)c->ring_mb << 20, err, cap) !=
	    0)
		return EXIT_MACHINE;
	r->segment.shm->live = source_is_live(r->source);
	const int level = value_sample_level(c->sample);
	atomic_init(&r->sample_level, level > 0 ? (uint32_t)level : 0);
	code = open_show(r, err, cap);
	if (code == EXIT_DONE)
		code = create_workers(r, err, cap);
	if (code != EXIT_DONE)
		return code;
	r->stat_run = (struct stat_run){
	    .probe = c->probe,
	    .workers = r->workers,
	    .interval_s = c->interval_s,
	    .table_keys = c->table_keys,
	    .top_clients = c->top_clients,
	    .top_domains = c->top_domains,
	    .sample_key = c->sample_key,
	    .rrset_keys = c->rrset_keys,
	    .flux_mb = c->flux_mb,
	    .flux_sliding = c->flux_sliding,
	    .psl = c->psl,
	    .rules = r->rules,
	    .lookups = &r->lookups,
	    .name_seed = r->stat_run.name_seed,
	    .dga_p0 = c->dga_p0_percent / 100.0,
	    .sinkhole_hour_s = c->sinkhole_hour_s,
	    .sinkhole_domains = c->sinkhole_domains,
	    .sinkhole_history = c->sinkhole_history,
	    .gap = keeper_gap(r->keeper),
	    .monitors = &r->monitors,
	    .by_address = c->auth.n != 0 || c->resolvers.n != 0,
	    .source_dropped = take_dropped,
	    .write = write_record,
	    .alarm = say_alarm,
	    .ctx = r,
	};
	const struct drain_opts drain = {
	    .segment = &r->segment,
	    .run = &r->stat_run,
	    .threads = (unsigned)c->control_core.n,
	    .cpu = c->control_core.v,
	    .cpus = c->control_core.n,
	    .live = source_is_live(r->source),
	    .first = interval_first,
	    .closed = interval_closed,
	    .hold = snapshot_is_busy,
	    .ending = input_ended,
	    .ctx = r,
	};
	/* Everything is open, and control's threads come next. */
	const int limited = rights_drop(c, source_keeps(r->source), err, cap);
	if (limited != 0)
		return limited;
	(void)snprintf(err, cap, "not enough memory");
	r->drain = drain_create(&drain);
	if (r->drain == NULL)
		return EXIT_MACHINE;
	keeper_use(r->keeper, r->stat_run.name_seed,
		   &(struct snapshot_stats){stat_all, drain_stats(r->drain)});
	if (drain.live && level == VALUE_SAMPLE_AUTO) { /* a file waits instead */
		const struct pressure_opts pressure = {
		    .segment = &r->segment,
		    .workers = r->workers,
		    .source_dropped = count_dropped,
		    .ctx = r,
		    .level = &r->sample_level,
		};
		r->pressure = pressure_create(&pressure);
		if (r->pressure == NULL)
			return EXIT_MACHINE;
	}
	return 0;
}

/* Control keeps off the workers' CPUs where it can. */
static void place_control(const struct config *c)
{
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set) != 0)
		return;
	if (c->control_core.n != 0)
		CPU_ZERO(&set);
	if (c->control_core.n != 0) /* the others are its crew's */
		CPU_SET(c->control_core.v[0], &set);
	for (size_t i = 0; c->control_core.n == 0 && i < c->cores.n; i++)
		CPU_CLR(c->cores.v[i], &set);
	if (CPU_COUNT(&set) != 0)
		(void)sched_setaffinity(0, sizeof(set), &set);
}

static int start_all(struct run *r, char *err, size_t cap)
{
	int result = 0;

	for (r->started = 0; r->started < r->workers && result == 0; r->started++)
		result = worker_start(r->worker[r->started], r->config.cores.v[r->started]);
	if (result != 0)
		r->started--;
	place_control(&r->config);
	if (result == 0) /* on control's CPUs */
		result = show_start(r->show);
	if (result == 0)
		result = source_start(r->source, -1);
	if (result == 0)
		return rights_lock(&r->config, err, cap);
	(void)snprintf(err, cap, "cannot start a thread: %s", strerror(-result));
	return EXIT_MACHINE;
}

static void stop_all(struct run *r)
{
	source_stop(r->source);
	for (unsigned i = 0; i < r->workers; i++)
		worker_stop(r->worker[i]);
}

static double seconds_since(uint64_t begin_us)
{
	return (double)(rx_now_us() - begin_us) / 1e6;
}

static void show_progress(struct run *r)
{
	static double next = 1;
	const double seconds = seconds_since(r->begin_us);
	uint64_t done, total, messages = 0;

	if (r->config.quiet || seconds < next || !isatty(STDERR_FILENO))
		return;
	next = seconds + 0.2;
	source_progress(r->source, &done, &total);
	for (unsigned i = 0; i < r->workers; i++)
		messages += atomic_load_explicit(
		    &segment_worker(&r->segment, i)->total[FT_CTR_MESSAGES], memory_order_relaxed);
	summary_progress(stderr, done, total, messages, seconds);
	r->progress_shown = true;
}

static void say_start(const struct run *r)
{
	const struct config *c = &r->config;
	char rights[256];

	if (!source_is_live(r->source))
		return;
	log_info("start",
		 LOG_FIELDS(LOG_TEXT("version", FLUXTAP_VERSION), LOG_NUM("workers", r->workers),
			    LOG_NUM("interval_s", c->interval_s), LOG_TEXT("out", c->out)),
		 "%s; %u worker%s, interval %u s, output in %s", source_note(r->source), r->workers,
		 r->workers == 1 ? "" : "s", c->interval_s, c->out);
	log_info("rights", LOG_FIELDS(LOG_NUM("uid", geteuid())), "%s",
		 rights_text(rights, sizeof(rights)));
	show_say(r->show);
	if (mem_mapped(MEM_HUGE) == 0 && !c->no_huge)
		log_info("no-huge-pages",
			 LOG_FIELDS(LOG_NUM("mib", mem_mapped(MEM_ORDINARY) >> 20)),
			 "no huge pages: slower under load; for %zu MiB of them: "
			 "sysctl -w vm.nr_hugepages=%zu",
			 mem_mapped(MEM_ORDINARY) >> 20, (mem_mapped(MEM_ORDINARY) >> 21) + 1);
}

/* The line that `systemctl status` shows. */
static const char *status_text(const struct run *r, char *text, size_t cap)
{
	uint64_t packets = 0, messages = 0, dropped = 0;

	for (unsigned i = 0; i < r->workers; i++) {
		const struct ft_shm_worker *w = segment_worker(&r->segment, i);
		packets += atomic_load_explicit(&w->total[FT_CTR_RX_PACKETS], memory_order_relaxed);
		messages += atomic_load_explicit(&w->total[FT_CTR_MESSAGES], memory_order_relaxed);
		dropped += source_dropped(r->source, i);
	}
	(void)snprintf(text, cap,
		       "%" PRIu64 " packets, %" PRIu64 " messages, %" PRIu64
		       " packets lost by the source",
		       packets, messages, dropped);
	return text;
}

/* What control does beside its work, each turn. */
static void housekeep(struct run *r)
{
	char text[256];

	retain_step(r->retain);
	log_step();
	notify_reloading(&r->notify, live_rules(r->live).busy);
	if (notify_step(&r->notify))
		notify_status(&r->notify, status_text(r, text, sizeof(text)));
}

static void loop(struct run *r)
{
	const bool live = source_is_live(r->source);
	const struct timespec pause = {.tv_nsec = live ? 5000000 : 1000000};
	bool stopping = false;

	for (unsigned turn = 0; drain_step(r->drain); turn++) {
		bool over =
		    r->config.duration_s != 0 && seconds_since(r->begin_us) >= r->config.duration_s;
		if (live && turn % 64 == 0)
			over = !source_tend(r->source) || over;
		if (!stopping && (stop_signals != 0 || over)) {
			notify_stopping(&r->notify);
			stop_all(r);
			stopping = true;
		}
		if (!drain_is_closing(r->drain))
			keeper_step(r->keeper);
		if (!keeper_busy(r->keeper)) { /* which reads the rules' names */
			if (hangups != 0) {
				hangups = 0;
				live_hangup(r->live);
			}
			live_step(r->live);
		}
		housekeep(r);
		if (r->pressure != NULL)
			pressure_step(r->pressure);
		const struct watch_export e = export_state(r);
		show_step(r->show, &e);
		if (!live)
			show_progress(r);
		(void)nanosleep(&pause, NULL);
	}
	if (r->progress_shown)
		(void)fprintf(stderr, "\r\033[K");
}

/* What has gone wrong in the whole run, each on its line. */
static int verdict(struct run *r)
{
	const struct ledger_sums *l = ledger_sums_get(drain_stat(r->drain, 0));
	char text[512];
	int code = EXIT_DONE;

	if (source_error(r->source)[0] != 0)
		code = complain(EXIT_FAILED, source_error(r->source));
	if (r->export_failed != 0 || jsonl_lost_records(r->jsonl) != 0) {
		(void)snprintf(text, sizeof(text), "%" PRIu64 " records could not be written: %s",
			       jsonl_lost_records(r->jsonl) + jsonl_held_records(r->jsonl),
			       jsonl_error(r->jsonl));
		code = complain(EXIT_FAILED, text);
	}
	if (l->broken != 0 || drain_bad_blocks(r->drain) != 0) {
		(void)snprintf(text, sizeof(text),
			       "the ledger does not close (%" PRIu64 " rows, %" PRIu64
			       " unreadable blocks), which is a fault in fluxtap: %s",
			       l->broken, drain_bad_blocks(r->drain), l->broken_text);
		code = complain(EXIT_FAILED, text);
	}
	return code;
}

static int run_to_end(struct run *r)
{
	char err[512], steered[512], state[PATH_MAX + 128];

	r->begin_us = rx_now_us();
	int code = start_all(r, err, sizeof(err));
	if (code != EXIT_DONE) {
		stop_all(r);
		for (unsigned i = 0; i < r->started; i++)
			worker_abandon(r->worker[i]);
	} else {
		say_start(r);
		notify_ready(&r->notify, source_note(r->source));
		loop(r);
	}
	for (unsigned i = 0; i < r->started; i++)
		worker_join(r->worker[i]);
	if (code != EXIT_DONE)
		return complain(code, err);
	commit(r);
	retain_finish(r->retain);
	const struct summary s = {
	    .ledger = ledger_sums_get(drain_stat(r->drain, 0)),
	    .traffic = traffic_sums_get(drain_stat(r->drain, 1)),
	    .seconds = seconds_since(r->begin_us),
	    .records = r->records,
	    .steered = source_counts(r->source, steered, sizeof(steered)),
	    .state = keeper_text(r->keeper, state, sizeof(state)),
	    .out = r->config.out,
	    .retain = retain_counts_get(r->retain),
	};
	if (!r->config.quiet)
		summary_print(stderr, &s);
	return verdict(r);
}

static void close_all(struct run *r)
{
	show_destroy(r->show); /* before what it reads */
	pressure_destroy(r->pressure);
	keeper_destroy(r->keeper); /* before what it reads */
	drain_destroy(r->drain);
	for (unsigned i = 0; r->worker != NULL && i < r->workers; i++)
		worker_destroy(r->worker[i]);
	live_destroy(r->live);
	rules_destroy(r->rules);
	lookups_fini(&r->lookups);
	doh_file_fini(&r->doh);
	segment_fini(&r->segment);
	source_destroy(r->source);
	jsonl_destroy(r->jsonl);
	retain_destroy(r->retain);
	prefix_set_fini(&r->vantage.auth);
	prefix_set_fini(&r->vantage.resolvers);
	prefix_set_fini(&r->monitors);
	free(r->worker);
	free(r->dropped_seen);
	config_fini(&r->config);
}

int run_main(int argc, char **argv)
{
	struct run r = {.write_lock = PTHREAD_MUTEX_INITIALIZER};
	char err[4096] = "";
	int code = config_parse_run(argc, argv, &r.config, err, sizeof(err));

	if (code == 1)
		return EXIT_DONE; /* help was asked for */
	if (code != 0)
		return complain(EXIT_USAGE, err);
	log_open(&(struct log_opts){
	    .level = r.config.quiet ? LOG_AT_WARNING
				    : (enum log_level)log_level_read(r.config.log_level),
	    .probe = r.config.probe,
	    .fd = STDERR_FILENO,
	});
	catch_signals();
	notify_init(&r.notify);
	code = rights_begin(&r.config, err, sizeof(err));
	if (code == EXIT_DONE)
		code = open_all(&r, err, sizeof(err));
	if (code == EXIT_DONE)
		code = run_to_end(&r);
	else if (stop_signals == 0)
		(void)complain(code, err);
	else
		code = EXIT_DONE; /* while it waited for the head of a capture in a pipe */
	log_close();
	close_all(&r);
	return code;
}
