/* SPDX-License-Identifier: BSD-3-Clause */
#include "http.h"

#include "http_addr.h"
#include "metrics.h"

#include <errno.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define TOKEN_CAP 257u
#define FRESH_US 250000u
#define CONNECTION_BYTES 32768u

/* Made of page.html by tools/embed_page. */
extern const char view_page_text[];
extern const size_t view_page_len;
extern const char view_page_csp[];

enum kind { KIND_METRICS, KIND_OPENMETRICS, KIND_JSON, KINDS };

struct guest {
	int fd; /* -1: free */
	uint64_t since_us;
};

struct http {
	struct sockaddr_storage at;
	socklen_t at_len;
	bool local;
	char token[TOKEN_CAP]; /* "": none; the rest is zero */
	int fd;                /* of the listening socket; -1: the daemon has it */
	struct MHD_Daemon *daemon;
	const struct glancer *glancer;
	/* Of the daemon's thread. */
	struct MHD_Response *page, *fresh[KINDS];
	uint64_t made_us[KINDS];
	pthread_mutex_t lock; /* of the guests */
	struct guest guest[HTTP_CONNECTIONS];
};

static int refuse(char *err, size_t cap, const char *what, const char *why)
{
	(void)snprintf(err, cap, "%s: %s", what, why);
	return -EINVAL;
}

/* The file's first line. */
static int read_token(struct http *h, const char *path, char *err, size_t cap)
{
	char line[TOKEN_CAP + 2] = "";
	FILE *f = fopen(path, "re");

	if (f == NULL)
		return refuse(err, cap, path, strerror(errno));
	const bool got = fgets(line, sizeof(line), f) != NULL;
	(void)fclose(f);
	const size_t len = strcspn(line, "\r\n");
	if (!got || len == 0 || len >= TOKEN_CAP)
		return refuse(err, cap, path, "its first line is no token of 1 to 256 characters");
	for (size_t i = 0; i < len; i++)
		if (line[i] <= 0x20 || line[i] >= 0x7f)
			return refuse(err, cap, path,
				      "a token has visible ASCII characters and no blanks");
	memcpy(h->token, line, len);
	explicit_bzero(line, sizeof(line));
	return 0;
}

static int listen_at(struct http *h)
{
	const int on = 1;

	h->fd = socket(h->at.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (h->fd < 0 || setsockopt(h->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0)
		return -errno;
	if (h->at.ss_family == AF_INET6 && /* an address says which family it means */
	    setsockopt(h->fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) != 0)
		return -errno;
	if (bind(h->fd, (const struct sockaddr *)&h->at, h->at_len) != 0 ||
	    listen(h->fd, (int)HTTP_CONNECTIONS) != 0)
		return -errno;
	return 0;
}

struct http *http_create(const char *at, const char *token_file, bool *bad_use, char *err,
			 size_t cap)
{
	struct http *h = calloc(1, sizeof(*h));
	int result;

	*bad_use = false;
	(void)snprintf(err, cap, "not enough memory");
	if (h == NULL)
		return NULL;
	h->fd = -1;
	(void)pthread_mutex_init(&h->lock, NULL);
	for (unsigned i = 0; i < HTTP_CONNECTIONS; i++)
		h->guest[i].fd = -1;
	*bad_use = true;
	if (http_addr_read(at, &h->at, &h->at_len) != 0) {
		(void)refuse(err, cap, at, "no ADDR:PORT");
		goto fail;
	}
	if (token_file != NULL && read_token(h, token_file, err, cap) != 0)
		goto fail;
	h->local = http_addr_is_loopback(&h->at);
	*bad_use = false;
	result = listen_at(h);
	if (result != 0) {
		(void)snprintf(err, cap,
			       "cannot listen for HTTP at %s: %s; give another --http "
			       "ADDR:PORT, or --http off",
			       at, strerror(-result));
		goto fail;
	}
	return h;
fail:
	http_destroy(h);
	return NULL;
}

bool http_is_open(const struct http *h)
{
	return !h->local && h->token[0] == '\0';
}

/* ---- who is connected ---- */

static void notify_connection(void *ctx, struct MHD_Connection *c, void **slot,
			      enum MHD_ConnectionNotificationCode what)
{
	struct http *h = ctx;
	const union MHD_ConnectionInfo *info =
	    MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD);

	(void)pthread_mutex_lock(&h->lock);
	if (what == MHD_CONNECTION_NOTIFY_CLOSED && *slot != NULL)
		((struct guest *)*slot)->fd = -1;
	for (unsigned i = 0; what == MHD_CONNECTION_NOTIFY_STARTED && i < HTTP_CONNECTIONS; i++) {
		struct guest *g = &h->guest[i];
		if (g->fd >= 0)
			continue;
		*g = (struct guest){info != NULL ? (int)info->connect_fd : -1, counts_now_us()};
		*slot = g;
		break;
	}
	(void)pthread_mutex_unlock(&h->lock);
}

/* An answer has been taken: the time for the next request begins. */
static void notify_completed(void *ctx, struct MHD_Connection *c, void **request,
			     enum MHD_RequestTerminationCode how)
{
	struct http *h = ctx;
	const union MHD_ConnectionInfo *info =
	    MHD_get_connection_info(c, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

	(void)request;
	(void)how;
	if (info == NULL || info->socket_context == NULL)
		return;
	(void)pthread_mutex_lock(&h->lock);
	((struct guest *)info->socket_context)->since_us = counts_now_us();
	(void)pthread_mutex_unlock(&h->lock);
}

/* The library's own time-out is for silence; this one is for those who drip. */
void http_tend(struct http *h)
{
	if (h == NULL)
		return;
	const uint64_t now_us = counts_now_us();

	(void)pthread_mutex_lock(&h->lock);
	for (unsigned i = 0; i < HTTP_CONNECTIONS; i++) {
		const struct guest *g = &h->guest[i];
		/* A multiplexed connection is not closed here, its number is the daemon's. */
		if (g->fd >= 0 && now_us - g->since_us > HTTP_PATIENCE_S * 1000000ull)
			(void)shutdown(g->fd, SHUT_RDWR);
	}
	(void)pthread_mutex_unlock(&h->lock);
}

/* ---- what is served ---- */

static void add_headers(struct MHD_Response *r, const char *type, const char *csp)
{
	(void)MHD_add_response_header(r, "Content-Type", type);
	(void)MHD_add_response_header(r, "Content-Security-Policy", csp);
	(void)MHD_add_response_header(r, "X-Content-Type-Options", "nosniff");
	(void)MHD_add_response_header(r, "X-Frame-Options", "DENY");
	(void)MHD_add_response_header(r, "Referrer-Policy", "no-referrer");
	(void)MHD_add_response_header(r, "Cache-Control", "no-store");
}

static enum MHD_Result answer_text(struct MHD_Connection *c, unsigned status, const char *text,
				   const char *more_key, const char *more)
{
	struct MHD_Response *r = MHD_create_response_from_buffer(
	    strlen(text), (void *)(uintptr_t)text, MHD_RESPMEM_MUST_COPY);

	if (r == NULL)
		return MHD_NO;
	add_headers(r, "text/plain; charset=utf-8", "default-src 'none'");
	if (more_key != NULL)
		(void)MHD_add_response_header(r, more_key, more);
	const enum MHD_Result result = MHD_queue_response(c, status, r);
	MHD_destroy_response(r);
	return result;
}

static char *make(const struct http *h, enum kind kind, size_t *len)
{
	struct glance *g = glance_take(h->glancer);
	char *text = NULL;

	if (g == NULL)
		return NULL;
	if (kind == KIND_JSON) {
		json_t *o = glance_json(g, true);
		text = json_dumps(o, JSON_COMPACT);
		*len = text != NULL ? strlen(text) : 0;
		json_decref(o);
	} else {
		text = metrics_text(g, kind == KIND_OPENMETRICS, len);
	}
	free(g);
	return text;
}

/* Clients that ask at the same time get the same. */
static enum MHD_Result answer_fresh(struct http *h, struct MHD_Connection *c, enum kind kind)
{
	static const char *const types[KINDS] = {METRICS_PLAIN, METRICS_OPEN, "application/json"};
	const uint64_t now_us = counts_now_us();
	size_t len = 0;

	if (h->fresh[kind] == NULL || now_us - h->made_us[kind] > FRESH_US) {
		char *text = make(h, kind, &len);
		struct MHD_Response *r =
		    text != NULL ? MHD_create_response_from_buffer(len, text, MHD_RESPMEM_MUST_FREE)
				 : NULL;
		if (r == NULL) {
			free(text);
			return answer_text(c, MHD_HTTP_SERVICE_UNAVAILABLE, "not enough memory\n",
					   NULL, NULL);
		}
		add_headers(r, types[kind], "default-src 'none'");
		(void)MHD_add_response_header(r, "Vary", "Accept");
		if (h->fresh[kind] != NULL)
			MHD_destroy_response(h->fresh[kind]);
		h->fresh[kind] = r;
		h->made_us[kind] = now_us;
	}
	return MHD_queue_response(c, MHD_HTTP_OK, h->fresh[kind]);
}

static enum MHD_Result answer_page(struct http *h, struct MHD_Connection *c)
{
	if (h->page == NULL) {
		h->page = MHD_create_response_from_buffer(
		    view_page_len, (void *)(uintptr_t)view_page_text, MHD_RESPMEM_PERSISTENT);
		if (h->page == NULL)
			return MHD_NO;
		add_headers(h->page, "text/html; charset=utf-8", view_page_csp);
	}
	return MHD_queue_response(c, MHD_HTTP_OK, h->page);
}

static enum MHD_Result answer_health(struct http *h, struct MHD_Connection *c, bool ready)
{
	const uint64_t now_us = counts_now_us();
	char why[160], text[192];
	const bool well = ready ? watch_ready(h->glancer->watch, now_us, why, sizeof(why))
				: watch_alive(h->glancer->watch, now_us, why, sizeof(why));

	(void)snprintf(text, sizeof(text), "%s\n", well ? "ok" : why);
	return answer_text(c, well ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE, text, NULL, NULL);
}

/* In a time that does not depend on where the two differ. */
static bool is_token(const struct http *h, const char *header)
{
	char given[TOKEN_CAP] = "";
	unsigned char differs = 0;

	if (header == NULL || strncasecmp(header, "Bearer ", 7) != 0 ||
	    strlen(header + 7) >= TOKEN_CAP)
		return false;
	memcpy(given, header + 7, strlen(header + 7));
	for (size_t i = 0; i < TOKEN_CAP; i++)
		differs |= (unsigned char)(given[i] ^ h->token[i]);
	return differs == 0;
}

static const char *header_of(struct MHD_Connection *c, const char *key)
{
	return MHD_lookup_connection_value(c, MHD_HEADER_KIND, key);
}

static enum MHD_Result answer(void *ctx, struct MHD_Connection *c, const char *url,
			      const char *method, const char *version, const char *upload,
			      size_t *upload_len, void **request)
{
	struct http *h = ctx;

	(void)version;
	(void)upload;
	(void)upload_len;
	if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0)
		return answer_text(c, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET and HEAD\n", "Allow",
				   "GET, HEAD");
	if (*request == NULL) { /* the header alone; an answer now would end the connection */
		*request = h;
		return MHD_YES;
	}
	if (h->local && !http_addr_host_is_local(header_of(c, "Host")))
		return answer_text(
		    c, MHD_HTTP_FORBIDDEN,
		    "ask by address or as localhost; a name may be somebody else's\n", NULL, NULL);
	if (strcmp(url, "/") == 0)
		return answer_page(h, c);
	if (strcmp(url, "/healthz") == 0)
		return answer_health(h, c, false);
	if (strcmp(url, "/readyz") == 0)
		return answer_health(h, c, true);
	if (h->token[0] != '\0' && !is_token(h, header_of(c, "Authorization")))
		return answer_text(c, MHD_HTTP_UNAUTHORIZED, "a bearer token is needed\n",
				   "WWW-Authenticate", "Bearer realm=\"fluxtap\"");
	if (strcmp(url, "/metrics") == 0)
		return answer_fresh(h, c,
				    metrics_wants_open(header_of(c, "Accept")) ? KIND_OPENMETRICS
									       : KIND_METRICS);
	if (strcmp(url, "/api/view.json") == 0)
		return answer_fresh(h, c, KIND_JSON);
	return answer_text(c, MHD_HTTP_NOT_FOUND,
			   "there are: / /metrics /healthz /readyz /api/view.json\n", NULL, NULL);
}

int http_start(struct http *h, const struct glancer *g)
{
	sigset_t all, before;

	h->glancer = g;
	/* Signals are for control's main thread. */
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	h->daemon = MHD_start_daemon(
	    MHD_USE_AUTO_INTERNAL_THREAD, 0, NULL, NULL, answer, h, MHD_OPTION_LISTEN_SOCKET, h->fd,
	    MHD_OPTION_CONNECTION_LIMIT, HTTP_CONNECTIONS, MHD_OPTION_CONNECTION_TIMEOUT,
	    HTTP_PATIENCE_S, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_BYTES,
	    MHD_OPTION_NOTIFY_CONNECTION, notify_connection, h, MHD_OPTION_NOTIFY_COMPLETED,
	    notify_completed, h, MHD_OPTION_END);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (h->daemon == NULL)
		return errno != 0 ? -errno : -EIO;
	h->fd = -1;
	return 0;
}

void http_destroy(struct http *h)
{
	if (h == NULL)
		return;
	if (h->daemon != NULL)
		MHD_stop_daemon(h->daemon); /* joins its thread, closes every socket */
	for (unsigned i = 0; i < KINDS; i++)
		if (h->fresh[i] != NULL)
			MHD_destroy_response(h->fresh[i]);
	if (h->page != NULL)
		MHD_destroy_response(h->page);
	if (h->fd >= 0)
		(void)close(h->fd);
	(void)pthread_mutex_destroy(&h->lock);
	explicit_bzero(h->token, sizeof(h->token));
	free(h);
}
