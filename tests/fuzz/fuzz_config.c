/* SPDX-License-Identifier: BSD-3-Clause */
/* The configuration file's reader: any octets give settings or one sentence. */
#include "config.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct config c;
	char err[1024] = "";
	const int rc = config_parse_yaml("F", (const char *)data, len, &c, err, sizeof err);

	if (rc > 0 || (rc < 0) != (err[0] != '\0'))
		abort();
	if (rc < 0 && strncmp(err, "F:", 2) != 0)
		abort();
	config_fini(&c);
	return 0;
}
