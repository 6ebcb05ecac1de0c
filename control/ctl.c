/* SPDX-License-Identifier: BSD-3-Clause */
#include "ctl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define SILENCE_MS 10000u /* of a client that owes us a line, or takes no answer */

struct client {
	uint64_t id; /* 0: free place */
	int fd;
	bool waiting; /* for our answer */
	bool ended;   /* it will not say more; or it shall not */
	uint64_t heard_ms;
	char in[CTL_LINE_CAP];
	size_t in_len;
	char *out; /* NULL: nothing to send */
	size_t out_len, out_at;
};

struct ctl {
	ctl_request_fn request;
	void *ctx;
	int fd;
	struct sockaddr_un at;
	dev_t dev; /* of our socket's file, so that nobody else's is removed */
	ino_t ino;
	uint64_t last_id;
	struct client client[CTL_CLIENTS];
};

static uint64_t now_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000u + (uint64_t)t.tv_nsec / 1000000u;
}

/* 0 where the path is free, or holds a socket that nobody answers. */
static int check_path(const struct sockaddr_un *at, char *err, size_t cap)
{
	struct stat st;

	if (lstat(at->sun_path, &st) != 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode)) {
		(void)snprintf(err, cap, "%s is there and no socket; give another --socket",
			       at->sun_path);
		return -EEXIST;
	}
	const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	const int result = connect(fd, (const struct sockaddr *)at, sizeof(*at));
	const int why = errno;
	(void)close(fd);
	if (result != 0 && (why == ECONNREFUSED || why == ENOENT))
		return 0;
	(void)snprintf(err, cap, "another probe answers at %s; give another --probe or --socket",
		       at->sun_path);
	return -EADDRINUSE;
}

/* Binds beside the path and moves the socket there whole, over one that is stale. */
static int bind_at(struct ctl *c)
{
	struct sockaddr_un beside = c->at;
	struct stat st;
	const size_t len = strlen(beside.sun_path);
	const int n =
	    snprintf(beside.sun_path + len, sizeof(beside.sun_path) - len, ".%d", (int)getpid());

	if (n < 0 || (size_t)n >= sizeof(beside.sun_path) - len)
		return -ENAMETOOLONG;
	(void)unlink(beside.sun_path);
	const mode_t before = umask(0177);
	int result =
	    bind(c->fd, (const struct sockaddr *)&beside, sizeof(beside)) != 0 ? -errno : 0;
	(void)umask(before);
	if (result != 0)
		return result;
	if (listen(c->fd, (int)CTL_CLIENTS) != 0 || stat(beside.sun_path, &st) != 0 ||
	    rename(beside.sun_path, c->at.sun_path) != 0) {
		result = -errno;
		(void)unlink(beside.sun_path);
		return result;
	}
	c->dev = st.st_dev;
	c->ino = st.st_ino;
	return 0;
}

static int open_at(struct ctl *c, const char *path, char *err, size_t cap)
{
	if (strlen(path) + 12 > sizeof(c->at.sun_path)) {
		(void)snprintf(err, cap,
			       "the path of the control socket is longer than %zu characters: %s",
			       sizeof(c->at.sun_path) - 12, path);
		return -ENAMETOOLONG;
	}
	c->at.sun_family = AF_UNIX;
	memcpy(c->at.sun_path, path, strlen(path) + 1);
	const int result = check_path(&c->at, err, cap);
	if (result != 0)
		return result;
	c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	return c->fd < 0 ? -errno : bind_at(c);
}

struct ctl *ctl_create(const char *path, ctl_request_fn request, void *ctx, char *err, size_t cap)
{
	struct ctl *c = calloc(1, sizeof(*c));

	err[0] = '\0';
	if (c == NULL) {
		(void)snprintf(err, cap, "not enough memory");
		return NULL;
	}
	c->fd = -1;
	c->request = request;
	c->ctx = ctx;
	const int result = open_at(c, path, err, cap);
	if (result == 0)
		return c;
	if (err[0] == '\0')
		(void)snprintf(err, cap, "control socket %s: %s", path, strerror(-result));
	ctl_destroy(c);
	return NULL;
}

static void client_close(struct client *k)
{
	(void)close(k->fd);
	free(k->out);
	memset(k, 0, sizeof(*k));
}

void ctl_destroy(struct ctl *c)
{
	struct stat st;

	if (c == NULL)
		return;
	for (unsigned i = 0; i < CTL_CLIENTS; i++)
		if (c->client[i].id != 0)
			client_close(&c->client[i]);
	if (c->fd >= 0)
		(void)close(c->fd);
	if (c->ino != 0 && lstat(c->at.sun_path, &st) == 0 && st.st_dev == c->dev &&
	    st.st_ino == c->ino)
		(void)unlink(c->at.sun_path);
	free(c);
}

static void accept_clients(struct ctl *c)
{
	for (unsigned i = 0; i < CTL_CLIENTS; i++) {
		struct client *k = &c->client[i];
		if (k->id != 0)
			continue;
		const int fd = accept4(c->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd < 0)
			return;
		k->id = ++c->last_id;
		k->fd = fd;
		k->heard_ms = now_ms();
	}
}

static struct client *client_of(struct ctl *c, uint64_t id)
{
	for (unsigned i = 0; i < CTL_CLIENTS; i++)
		if (c->client[i].id == id && id != 0)
			return &c->client[i];
	return NULL;
}

void ctl_answer(struct ctl *c, uint64_t client, json_t *answer)
{
	struct client *k = client_of(c, client);
	char *text = k != NULL ? json_dumps(answer, JSON_COMPACT) : NULL;

	json_decref(answer);
	if (k == NULL)
		return;
	k->waiting = false;
	k->heard_ms = now_ms();
	free(k->out);
	k->out = text;
	k->out_len = text != NULL ? strlen(text) : 0;
	k->out_at = 0;
	if (text != NULL)
		text[k->out_len++] = '\n'; /* in place of the NUL */
	else
		k->ended = true;
}

void ctl_refuse(struct ctl *c, uint64_t client, const char *text)
{
	ctl_answer(c, client, json_pack("{s:b, s:s}", "ok", 0, "error", text));
}

/* Takes a line out of what has come. */
static void take_line(struct ctl *c, struct client *k)
{
	char line[CTL_LINE_CAP];
	const char *end = memchr(k->in, '\n', k->in_len);
	const uint64_t id = k->id;

	if (end == NULL && k->in_len == sizeof(k->in)) {
		k->waiting = k->ended = true;
		ctl_refuse(c, id, "the line is too long");
	}
	if (end == NULL)
		return;
	const size_t len = (size_t)(end - k->in);
	bool plain = true;
	for (size_t i = 0; i < len; i++) {
		line[i] = k->in[i];
		plain &= (line[i] >= 0x20 && line[i] < 0x7f) || (i + 1 == len && line[i] == '\r');
	}
	line[len != 0 && line[len - 1] == '\r' ? len - 1 : len] = '\0';
	k->in_len -= len + 1;
	memmove(k->in, k->in + len + 1, k->in_len);
	k->waiting = true;
	if (plain)
		c->request(c->ctx, id, line);
	else
		ctl_refuse(c, id, "no such request");
}

static void read_some(struct client *k)
{
	const size_t room = sizeof(k->in) - k->in_len;
	const ssize_t n = k->ended || room == 0 ? -2 : recv(k->fd, k->in + k->in_len, room, 0);

	/* Only whole lines count as heard: octets that drip would hold the place for long. */
	if (n > 0)
		k->in_len += (size_t)n;
	else if (n == 0 || (n == -1 && errno != EAGAIN && errno != EINTR))
		k->ended = true; /* it may still wait for an answer */
}

/* False where the client takes nothing any more. */
static bool write_some(struct client *k)
{
	while (k->out != NULL) {
		const ssize_t n =
		    send(k->fd, k->out + k->out_at, k->out_len - k->out_at, MSG_NOSIGNAL);
		if (n < 0)
			return errno == EAGAIN || errno == EINTR;
		k->heard_ms = now_ms();
		k->out_at += (size_t)n;
		if (k->out_at == k->out_len) {
			free(k->out);
			k->out = NULL;
		}
	}
	return true;
}

static void client_step(struct ctl *c, struct client *k)
{
	const uint64_t id = k->id;

	read_some(k);
	/* One request at a time, and not before its answer has gone out. */
	if (!k->waiting && k->out == NULL && k->in_len != 0)
		take_line(c, k);
	if (k->id != id)
		return;
	const bool takes = write_some(k);
	const bool idle = !k->waiting && k->out == NULL;
	const bool more = memchr(k->in, '\n', k->in_len) != NULL;
	if (!takes || (k->ended && idle && !more) ||
	    (!k->waiting && now_ms() - k->heard_ms > SILENCE_MS))
		client_close(k);
}

void ctl_step(struct ctl *c)
{
	accept_clients(c);
	for (unsigned i = 0; i < CTL_CLIENTS; i++)
		if (c->client[i].id != 0)
			client_step(c, &c->client[i]);
}
