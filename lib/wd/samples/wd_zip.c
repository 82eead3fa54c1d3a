// SPDX-License-Identifier: Apache-2.0
/*
 * wd_zip - compress or decompress standard input on an accelerator, with WarpDrive's C API
 *
 *	wd_zip [-d] [--alg gzip|zlib] <in >out
 *
 * The sample to read first: take a queue, share two buffers with it, run the parts of a stream,
 * give the queue back. gzip(1) reads the output of --alg gzip, and the reverse.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "wd/wd.h"
#include "wd/zip.h"

#define BLOCK (1u << 20)
#define TIMEOUT_MS 30000

struct job {
	const char *alg;
	int decompress;
	struct wd_queue queue;
	struct wd_zip_stream *stream;
	unsigned char *in, *out;
	size_t memory, out_size;
};

static int complain(const char *what, const char *why)
{
	fprintf(stderr, "wd_zip: %s: %s\n", what, why);
	return -1;
}

/* Fill the input buffer. Returns the bytes read, fewer than BLOCK only at the end; -1 on error. */
static ssize_t read_block(struct job *job)
{
	size_t have = 0;

	while (have < BLOCK) {
		ssize_t n = read(STDIN_FILENO, job->in + have, BLOCK - have);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return complain("standard input", strerror(errno));
		if (n == 0)
			break;
		have += (size_t)n;
	}
	return (ssize_t)have;
}

static int write_block(const struct job *job, size_t length)
{
	for (size_t done = 0; done < length;) {
		ssize_t n = write(STDOUT_FILENO, job->out + done, length - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return complain("standard output", strerror(errno));
		done += (size_t)n;
	}
	return 0;
}

/* One part of the stream: run it, write its output. Returns the part's status, or -1. */
static int run_part(struct job *job, struct wd_zip_req *req)
{
	req->dst = job->out;
	req->dst_len = (uint32_t)job->out_size;
	req->stream = job->stream;
	if (wd_zip_run(&job->queue, req, TIMEOUT_MS) < 0)
		return complain(job->queue.dev_path, wd_last_error());
	if (req->status != WD_ZIP_OK && req->status != WD_ZIP_STREAM_END)
		return complain("standard input", wd_zip_status_text(req->status));
	return write_block(job, req->produced) < 0 ? -1 : req->status;
}

static int compress_all(struct job *job)
{
	ssize_t n;

	do {
		n = read_block(job);
		if (n < 0)
			return -1;

		struct wd_zip_req req = {
			.src = job->in,
			.src_len = (uint32_t)n,
			.flush = n < BLOCK ? WD_ZIP_FINISH : WD_ZIP_SYNC,
		};
		if (run_part(job, &req) < 0)
			return -1;
	} while (n == BLOCK);
	return 0;
}

/* After a complete gzip stream another member may follow, or zeros (tapes pad with them). */
static int check_tail(const struct job *job, const unsigned char *at, size_t length, int *padding)
{
	if (!strcmp(job->alg, "gzip") && length && *at && !*padding)
		return 0;
	for (size_t i = 0; i < length; i++)
		if (at[i] || strcmp(job->alg, "gzip"))
			return complain("standard input", "unexpected data after the end");
	*padding = 1;
	return 0;
}

/* Decompress one block of input. *members counts the streams that have ended. */
static int decompress_block(struct job *job, size_t length, unsigned long *members, int *padding)
{
	size_t used = 0;
	int more = 0;

	while (used < length || more) {
		struct wd_zip_req req = {
			.src = job->in + used,
			.src_len = (uint32_t)(length - used),
		};

		if (*members && !more && wd_zip_stream_fresh(job->stream)) {
			if (check_tail(job, job->in + used, length - used, padding) < 0)
				return -1;
			if (*padding)
				return 0;
		}
		int status = run_part(job, &req);

		if (status < 0)
			return -1;
		used += req.consumed;
		more = req.more;
		if (status == WD_ZIP_STREAM_END) {
			wd_zip_stream_reset(job->stream);
			(*members)++;
		} else if (!req.consumed && !req.produced) {
			return complain("standard input", "corrupt data: the device is stuck");
		}
	}
	return 0;
}

static int decompress_all(struct job *job)
{
	unsigned long members = 0;
	int padding = 0;
	ssize_t n;

	do {
		n = read_block(job);
		if (n < 0 || decompress_block(job, (size_t)n, &members, &padding) < 0)
			return -1;
	} while (n == BLOCK);
	if (!members || !wd_zip_stream_fresh(job->stream))
		return complain("standard input", "unexpected end of file");
	return 0;
}

static int set_up(struct job *job)
{
	job->queue.capa.alg = job->alg;
	job->queue.capa.op_type = job->decompress ? WD_OP_DECOMPRESS : WD_OP_COMPRESS;
	if (wd_request_queue(&job->queue) < 0)
		return complain("no accelerator", wd_last_error());
	job->out_size = wd_zip_bound(BLOCK);
	job->memory = BLOCK + job->out_size;
	job->memory = (job->memory + 4095) & ~(size_t)4095;
	job->in = aligned_alloc(4096, job->memory);
	if (!job->in)
		return complain("buffers", strerror(ENOMEM));
	job->out = job->in + BLOCK;
	if (wd_mem_share(&job->queue, job->in, job->memory, 0) < 0)
		return complain("buffers", wd_last_error());
	if (wd_zip_stream_open(&job->queue, &job->stream) < 0)
		return complain("stream", wd_last_error());
	return 0;
}

static void tear_down(struct job *job)
{
	wd_zip_stream_close(job->stream);
	wd_release_queue(&job->queue);
	free(job->in);
}

static int usage(void)
{
	fprintf(stderr, "usage: wd_zip [-d] [--alg gzip|zlib] <in >out\n");
	return 2;
}

static int help(void)
{
	printf("Compress standard input on an accelerator\n"
	       "Usage: wd_zip [OPTIONS] <in >out\n\n"
	       "Options:\n"
	       "  -h,--help                   Print this help message and exit\n"
	       "  -d                          decompress\n"
	       "  --alg TEXT                  gzip or zlib (default: gzip)\n");
	return fflush(stdout) ? complain("standard output", strerror(errno)) : 0;
}

static int parse(int argc, char **argv, struct job *job)
{
	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "-d"))
			job->decompress = 1;
		else if (!strcmp(argv[i], "--alg") && i + 1 < argc)
			job->alg = argv[++i];
		else
			return -1;
	}
	return strcmp(job->alg, "gzip") && strcmp(job->alg, "zlib") ? -1 : 0;
}

/* If 0 or 1 is closed, the next open() gets that number, and we would read or write that file. */
static int check_standard(void)
{
	if (fcntl(STDIN_FILENO, F_GETFD) < 0)
		return complain("standard input", strerror(errno));
	if (fcntl(STDOUT_FILENO, F_GETFD) < 0)
		return complain("standard output", strerror(errno));
	return 0;
}

int main(int argc, char **argv)
{
	struct job job = {.alg = "gzip"};
	int error;

	if (argc == 2 && (!strcmp(argv[1], "-h") || !strcmp(argv[1], "--help")))
		return help() < 0 ? 1 : 0;
	if (parse(argc, argv, &job) < 0)
		return usage();
	if (check_standard() < 0)
		return 1;
	error = set_up(&job);
	if (!error)
		error = job.decompress ? decompress_all(&job) : compress_all(&job);
	tear_down(&job);
	return error ? 1 : 0;
}
