/* SPDX-License-Identifier: BSD-3-Clause */
#include "notify.h"

#include <inttypes.h>
#include <systemd/sd-daemon.h>
#include <time.h>

#define STATUS_US 10000000u

static uint64_t now_us(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000u + (uint64_t)t.tv_nsec / 1000u;
}

void notify_init(struct notify *n)
{
	uint64_t limit_us;

	*n = (struct notify){0};
	/* Half of it, as sd_watchdog_enabled(3) advises. */
	if (sd_watchdog_enabled(0, &limit_us) > 0)
		n->watchdog_us = limit_us / 2 + (limit_us < 2);
}

void notify_ready(struct notify *n, const char *status)
{
	n->status_us = n->beat_us = now_us();
	(void)sd_notifyf(0, "READY=1\nSTATUS=%s", status);
}

bool notify_step(struct notify *n)
{
	const uint64_t now = now_us();

	if (n->watchdog_us != 0 && now - n->beat_us >= n->watchdog_us) {
		n->beat_us = now;
		(void)sd_notify(0, "WATCHDOG=1");
	}
	if (now - n->status_us < STATUS_US)
		return false;
	n->status_us = now;
	return true;
}

void notify_status(struct notify *n, const char *status)
{
	(void)n;
	(void)sd_notifyf(0, "STATUS=%s", status);
}

void notify_reloading(struct notify *n, bool reloading)
{
	if (reloading == n->reloading)
		return;
	n->reloading = reloading;
	if (reloading)
		(void)sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64, now_us());
	else
		(void)sd_notify(0, "READY=1");
}

void notify_stopping(struct notify *n)
{
	(void)n;
	(void)sd_notify(0, "STOPPING=1\nSTATUS=Writing what is open");
}
