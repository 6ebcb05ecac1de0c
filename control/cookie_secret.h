/* SPDX-License-Identifier: BSD-3-Clause */
/* The secrets of the operator's own name servers, with which they make DNS cookies. Read
 * once at the start, by the main thread; never written or printed. */
#ifndef CONTROL_COOKIE_SECRET_H
#define CONTROL_COOKIE_SECRET_H

#include "../dataplane/cookies.h"

/* A line of 32 hexadecimal digits for each. 0 and *n, or -errno and a sentence in err. */
int cookie_secret_read(const char *path, uint8_t out[COOKIES_SECRETS][16], unsigned *n, char *err,
		       size_t cap);
/* The same from text in memory. */
int cookie_secret_parse(const char *name, const char *text, size_t len,
			uint8_t out[COOKIES_SECRETS][16], unsigned *n, char *err, size_t cap);

#endif
