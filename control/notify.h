/* SPDX-License-Identifier: BSD-3-Clause */
/* What a service manager is told: ready, reloading, stopping, a line of status, and that
 * control's loop still turns (sd_notify(3), a Type=notify unit with WatchdogSec=).
 *
 * Control's thread calls; without $NOTIFY_SOCKET nothing happens. */
#ifndef CONTROL_NOTIFY_H
#define CONTROL_NOTIFY_H

#include <stdbool.h>
#include <stdint.h>

struct notify {
	uint64_t watchdog_us; /* between two heartbeats; 0: nobody waits for them */
	uint64_t beat_us;     /* the last one, monotonic */
	uint64_t status_us;   /* the last line of status */
	bool reloading;
};

/* Reads $WATCHDOG_USEC. */
void notify_init(struct notify *n);
/* The source is open and workers run. */
void notify_ready(struct notify *n, const char *status);
/* Each turn of control's loop: the heartbeat, when it is due. True where a new line of status
 * would be, too, which the caller then makes for notify_status. */
bool notify_step(struct notify *n);
void notify_status(struct notify *n, const char *status);
/* Rules are being loaded (true), or that is over. Called with each turn; tells changes. */
void notify_reloading(struct notify *n, bool reloading);
void notify_stopping(struct notify *n);

#endif
