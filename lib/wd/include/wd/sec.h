/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages of queues for ciphers and digests (wd/wd.h). The algorithm of the queue is a class:
 * "cipher", "digest" or "aead"; wd_capa::op_type is 0. A queue takes requests of every class that
 * its device has.
 *
 *	struct wd_sec_req r = { .op = WD_SEC_ENCRYPT, .mode = WD_SEC_CBC, .src = in, .dst = out,
 *				.len = n, .key = key, .key_len = 32, .iv = iv };
 *	wd_sec_run(&q, &r, -1);
 *
 * All memory must be shared with the queue (wd_mem_share()): data, keys, IVs and digests.
 */
#ifndef WD_SEC_H
#define WD_SEC_H

#include <stdint.h>

#include "wd/wd.h"

#ifdef __cplusplus
extern "C" {
#endif

/** The longest data of a request, in bytes, and the most associated bytes. */
#define WD_SEC_MAX_LEN 0xffffffu
#define WD_SEC_MAX_ASSOCIATED 0xffffu

enum wd_sec_op { WD_SEC_ENCRYPT = 0, WD_SEC_DECRYPT = 1, WD_SEC_DIGEST = 2 };

/** Modes of AES. ECB and CBC take whole blocks of 16 bytes: padding is the caller's. */
enum wd_sec_mode {
	WD_SEC_ECB = 0,
	WD_SEC_CBC = 1,
	WD_SEC_CTR = 4,
	WD_SEC_GCM = 6,
	WD_SEC_XTS = 7,
};

enum wd_sec_hash {
	WD_SEC_SHA1 = 0,
	WD_SEC_SHA256 = 1,
	WD_SEC_SHA224 = 3,
	WD_SEC_SHA384 = 4,
	WD_SEC_SHA512 = 5,
};

/** How a request ended. Values other than 0 are about the request, not about the queue. */
enum wd_sec_status {
	WD_SEC_OK = 0,
	WD_SEC_WRONG_TAG,   /* GCM: the data was changed, or the key is wrong; there is no output */
	WD_SEC_UNSUPPORTED, /* the device does not know the algorithm, or refuses the key */
	WD_SEC_BAD_LENGTH,  /* no length for this algorithm */
	WD_SEC_NOT_SHARED,  /* memory that the device may not reach */
	WD_SEC_FAILED,	    /* another error of the device */
};

/**
 * struct wd_sec_req - one request
 * @op: in: enum wd_sec_op
 * @mode: in: enum wd_sec_mode; not for digests
 * @hash: in: enum wd_sec_hash; for digests only
 * @src: in: for GCM @associated bytes, then @len bytes
 * @dst: in: place of the output; of GCM with @associated bytes in front, which are not written. May
 *	be @src. Not for digests
 * @len: in: bytes of data, at most WD_SEC_MAX_LEN
 * @associated: in: bytes that only the tag covers; GCM only
 * @key: in: key of AES, or of HMAC; NULL for a digest without key
 * @key_len: in: 16, 24 or 32 bytes; for XTS 32 or 64; for HMAC a multiple of 4, a block at most
 * @iv: in: 16 bytes, 12 for GCM; not for ECB and digests. The library does not change it
 * @mac: in: digest, or tag of GCM: written, but read by WD_SEC_DECRYPT
 * @mac_len: in: its bytes; for a digest a multiple of 4, 0 for all
 * @user: for the caller; the library never touches it
 * @status: out: enum wd_sec_status
 */
struct wd_sec_req {
	int op;
	int mode;
	int hash;
	const void *src;
	void *dst;
	uint32_t len;
	uint32_t associated;
	const void *key;
	uint32_t key_len;
	const void *iv;
	void *mac;
	uint32_t mac_len;
	void *user;

	int status;
};

/** A few words about an enum wd_sec_status. */
const char *wd_sec_status_text(int status);

/**
 * wd_sec_run() - wd_send() and wd_recv_sync() of one request on a queue with nothing in flight
 *
 * Return: 0 (look at @req->status), -EBUSY something is in flight, or as wd_send(), wd_recv_sync().
 */
int wd_sec_run(struct wd_queue *q, struct wd_sec_req *req, int timeout_ms);

#ifdef __cplusplus
}
#endif

#endif /* WD_SEC_H */
