/* SPDX-License-Identifier: BSD-3-Clause */
/* What begins an encrypted or a quick connection: TLS hellos (RFC 8446 4.1), QUIC long
 * headers (RFC 9000 17.2, RFC 9369), and the TCP option of Fast Open (RFC 7413).
 *
 * Pure reading of untrusted octets that lie in one piece; any thread. */
#ifndef DATAPLANE_HELLO_H
#define DATAPLANE_HELLO_H

#include <stdbool.h>
#include <stdint.h>

#define HELLO_NAME_CAP 255u

enum hello_kind {
	HELLO_NONE,  /* no TLS handshake begins here */
	HELLO_SHORT, /* so far it could; more octets are needed to tell */
	HELLO_CLIENT,
	HELLO_SERVER
};

struct hello {
	enum hello_kind kind;
	bool whole;       /* all of the record is there */
	bool tls13;       /* server: its supported_versions chose TLS 1.3 */
	bool alpn_dot;    /* client: ALPN has "dot" */
	uint8_t name_len; /* client: the server's name; 0: none */
	const uint8_t *name;
};

/* What stands at the beginning of one direction of a TLS connection. */
void hello_read(const uint8_t *p, uint32_t len, struct hello *out);
/* Whether a UDP payload begins with a long header of a QUIC version that is in use. */
bool hello_is_quic(const uint8_t *p, uint32_t len);

enum hello_tfo { HELLO_TFO_NONE, HELLO_TFO_REQUEST, HELLO_TFO_COOKIE };
/* What TCP options say of Fast Open; also in its experimental form (RFC 6994). */
enum hello_tfo hello_tfo(const uint8_t *options, uint32_t len);

#endif
