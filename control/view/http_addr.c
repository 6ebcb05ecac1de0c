/* SPDX-License-Identifier: BSD-3-Clause */
#include "http_addr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* 1 to 65535, digits alone; 0: none. */
static uint16_t port_of(const char *text)
{
	const size_t len = strspn(text, "0123456789");

	if (len == 0 || len > 5 || text[len] != '\0')
		return 0;
	const unsigned long n = strtoul(text, NULL, 10);
	return n <= UINT16_MAX ? (uint16_t)n : 0;
}

int http_addr_read(const char *text, struct sockaddr_storage *out, socklen_t *len)
{
	const char *colon = strrchr(text, ':');
	struct sockaddr_storage a = {0};
	struct sockaddr_in *v4 = (struct sockaddr_in *)&a;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&a;
	char host[64];

	if (colon == NULL || colon == text || (size_t)(colon - text) >= sizeof(host))
		return -EINVAL;
	(void)snprintf(host, sizeof(host), "%.*s", (int)(colon - text), text);
	const uint16_t port = port_of(colon + 1);
	const size_t n = strlen(host);
	if (port == 0)
		return -EINVAL;
	if (inet_pton(AF_INET, host, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons(port);
		*len = sizeof(*v4);
	} else {
		if (host[0] != '[' || host[n - 1] != ']')
			return -EINVAL;
		host[n - 1] = '\0';
		if (inet_pton(AF_INET6, host + 1, &v6->sin6_addr) != 1)
			return -EINVAL;
		v6->sin6_family = AF_INET6;
		v6->sin6_port = htons(port);
		*len = sizeof(*v6);
	}
	*out = a;
	return 0;
}

bool http_addr_is_loopback(const struct sockaddr_storage *a)
{
	if (a->ss_family == AF_INET)
		return ntohl(((const struct sockaddr_in *)a)->sin_addr.s_addr) >> 24 == 127;
	return IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)a)->sin6_addr);
}

bool http_addr_host_is_local(const char *host)
{
	char name[64];
	struct in6_addr any;

	if (host == NULL)
		return true;
	if (host[0] == '[') { /* an address in brackets, whatever follows is a port */
		const char *end = strchr(host, ']');
		if (end == NULL || (size_t)(end - host) >= sizeof(name))
			return false;
		(void)snprintf(name, sizeof(name), "%.*s", (int)(end - host - 1), host + 1);
		return inet_pton(AF_INET6, name, &any) == 1;
	}
	const size_t len = strcspn(host, ":");
	if (len >= sizeof(name))
		return false;
	(void)snprintf(name, sizeof(name), "%.*s", (int)len, host);
	return inet_pton(AF_INET, name, &any) == 1 || strcasecmp(name, "localhost") == 0;
}
