/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages of zlib, gzip and deflate queues (wd/wd.h). The library writes and reads the container
 * headers; the device does the rest, trailer and checksum included.
 *
 * A request without a stream is a whole: all input in, one complete zlib/gzip/deflate stream out
 * (or the reverse). With a stream, requests are its parts, one at a time:
 *
 *	struct wd_zip_stream *s;
 *	wd_zip_stream_open(&q, &s);
 *	struct wd_zip_req r = { .src = in, .src_len = n, .dst = out, .dst_len = m, .stream = s,
 *				.flush = WD_ZIP_FINISH };
 *	wd_zip_run(&q, &r, -1);
 *
 * All buffers must be shared with the queue (wd_mem_share()).
 */
#ifndef WD_ZIP_H
#define WD_ZIP_H

#include <stdint.h>

#include "wd/wd.h"

#ifdef __cplusplus
extern "C" {
#endif

/** The largest source or destination buffer, in bytes. */
#define WD_ZIP_MAX_LEN (8u << 20)
/** Input of this many bytes fits into one such buffer after compression, even random input. */
#define WD_ZIP_MAX_COMPRESS (WD_ZIP_MAX_LEN - 4096u)

/** Flush after a part of a compressed stream. Ignored without a stream, and by decompression. */
enum wd_zip_flush {
	WD_ZIP_SYNC = 0,   /* all output so far, on a byte boundary */
	WD_ZIP_FINISH = 1, /* all output, and the end of the stream */
};

/** How a request ended. Values other than 0 are about its data, not about the queue. */
enum wd_zip_status {
	WD_ZIP_OK = 0,
	WD_ZIP_STREAM_END,   /* decompression: end of the stream; gzip files may have several */
	WD_ZIP_NO_SPACE,     /* destination too small: the request did nothing useful */
	WD_ZIP_BAD_HEADER,   /* no zlib or gzip header, or one that we cannot read */
	WD_ZIP_BAD_CHECKSUM, /* the checksum or length in the trailer is not that of the data */
	WD_ZIP_BAD_DATA,     /* malformed or truncated data */
	WD_ZIP_NOT_SHARED, /* a buffer that the device may not reach: wd_mem_share() was forgotten,
			    * or did not allow it. wd_last_error() names the address */
};

struct wd_zip_stream;

/**
 * struct wd_zip_req - one request
 * @src: in: input; may be NULL if @src_len is 0
 * @dst: in: output
 * @src_len: in: bytes, at most WD_ZIP_MAX_LEN
 * @dst_len: in: bytes, at most WD_ZIP_MAX_LEN. Compression: give wd_zip_bound(src_len)
 * @stream: in: the stream of which this is a part, or NULL for a whole
 * @flush: in: enum wd_zip_flush
 * @user: for the caller; the library never touches it
 * @consumed: out: bytes of input used, headers and trailers included
 * @produced: out: bytes of output
 * @status: out: enum wd_zip_status
 * @more: out: decompression with a stream: there is more output, call again with a new @dst (and
 *	the rest of the input, if any) before you give new input
 * @priv: for the library only
 */
struct wd_zip_req {
	const void *src;
	void *dst;
	uint32_t src_len;
	uint32_t dst_len;
	struct wd_zip_stream *stream;
	int flush;
	void *user;

	uint32_t consumed;
	uint32_t produced;
	int status;
	int more;

	uint32_t priv[4];
};

/**
 * Compressing @len bytes in one part gives at most this many bytes, headers included. 0 if @len is
 * over WD_ZIP_MAX_COMPRESS: the largest buffer may be too small, so the caller must cut the input.
 */
uint32_t wd_zip_bound(uint32_t len);

/** A few words about an enum wd_zip_status. */
const char *wd_zip_status_text(int status);

/**
 * wd_zip_stream_open() - begin a stream
 * @q: queue that will run its parts. The stream must be closed before the queue is released
 * @out: stream
 *
 * Return: 0, -ENOMEM, -ENOSPC (a decompressing queue keeps 8 streams at a time), or an error of
 * wd_mem_share() for the stream's context (40 KiB).
 */
int wd_zip_stream_open(struct wd_queue *q, struct wd_zip_stream **out);
/** Begin the next stream. No part may be in flight. */
void wd_zip_stream_reset(struct wd_zip_stream *s);
/** True if the stream is at its very beginning: not even a byte of a header was seen. */
int wd_zip_stream_fresh(const struct wd_zip_stream *s);
void wd_zip_stream_close(struct wd_zip_stream *s);

/**
 * wd_zip_run() - wd_send() and wd_recv_sync() of one request on a queue with nothing in flight
 *
 * Return: 0 (look at @req->status), -EBUSY something is in flight, or as wd_send(), wd_recv_sync().
 */
int wd_zip_run(struct wd_queue *q, struct wd_zip_req *req, int timeout_ms);

#ifdef __cplusplus
}
#endif

#endif /* WD_ZIP_H */
