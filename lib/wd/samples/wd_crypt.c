// SPDX-License-Identifier: Apache-2.0
/*
 * wd_crypt - encrypt or decrypt standard input on an accelerator, with WarpDrive's C API
 *
 *	wd_crypt [-d] [--alg aes-256-cbc] --key HEX [--iv HEX] <in >out
 *
 * openssl(1) reads the output, and the reverse: openssl enc -d -aes-256-cbc -K HEX -iv HEX.
 * A file of any length is a chain of requests: each takes up the IV where the one before ended.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "wd/sec.h"
#include "wd/wd.h"

#define BLOCK (1u << 20)
#define CIPHER_BLOCK 16u
#define KEY_MAX 32
#define TIMEOUT_MS 30000

/* What the device reaches. */
struct memory {
	unsigned char in[BLOCK + CIPHER_BLOCK], out[BLOCK + CIPHER_BLOCK];
	unsigned char key[KEY_MAX], iv[CIPHER_BLOCK];
};

struct job {
	const char *alg, *key, *iv;
	int decrypt, mode;
	uint32_t key_len;
	struct wd_queue queue;
	struct memory *memory;
	/* Decryption: the last block of output, which may be padding. */
	unsigned char held[CIPHER_BLOCK];
	int holds;
};

static const struct {
	const char *name;
	int mode;
	uint32_t key_len;
} algorithms[] = {
	{"aes-128-ecb", WD_SEC_ECB, 16}, {"aes-192-ecb", WD_SEC_ECB, 24},
	{"aes-256-ecb", WD_SEC_ECB, 32}, {"aes-128-cbc", WD_SEC_CBC, 16},
	{"aes-192-cbc", WD_SEC_CBC, 24}, {"aes-256-cbc", WD_SEC_CBC, 32},
	{"aes-128-ctr", WD_SEC_CTR, 16}, {"aes-192-ctr", WD_SEC_CTR, 24},
	{"aes-256-ctr", WD_SEC_CTR, 32},
};

static int complain(const char *what, const char *why)
{
	fprintf(stderr, "wd_crypt: %s: %s\n", what, why);
	return -1;
}

/* Fill the input buffer. Returns the bytes read, fewer than BLOCK only at the end; -1 on error. */
static ssize_t read_block(struct job *job)
{
	size_t have = 0;

	while (have < BLOCK) {
		ssize_t n = read(STDIN_FILENO, job->memory->in + have, BLOCK - have);

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

static int write_all(const unsigned char *from, size_t length)
{
	for (size_t done = 0; done < length;) {
		ssize_t n = write(STDOUT_FILENO, from + done, length - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return complain("standard output", strerror(errno));
		done += (size_t)n;
	}
	return 0;
}

static int padded(const struct job *job)
{
	return job->mode != WD_SEC_CTR;
}

/* The IV for what follows @length bytes. */
static void next_iv(struct job *job, size_t length)
{
	struct memory *m = job->memory;
	const unsigned char *cipher = job->decrypt ? m->in : m->out;
	size_t blocks = length / CIPHER_BLOCK;

	if (job->mode == WD_SEC_CBC)
		memcpy(m->iv, cipher + length - CIPHER_BLOCK, CIPHER_BLOCK);
	if (job->mode != WD_SEC_CTR)
		return;
	for (unsigned i = CIPHER_BLOCK; i-- && blocks; blocks >>= 8) {
		blocks += m->iv[i];
		m->iv[i] = (unsigned char)blocks;
	}
}

/* Run a request for @length bytes of the input buffer. */
static int run(struct job *job, size_t length)
{
	struct memory *m = job->memory;
	struct wd_sec_req req = {
		.op = job->decrypt ? WD_SEC_DECRYPT : WD_SEC_ENCRYPT,
		.mode = job->mode,
		.src = m->in,
		.dst = m->out,
		.len = (uint32_t)length,
		.key = m->key,
		.key_len = job->key_len,
		.iv = m->iv,
	};

	if (wd_sec_run(&job->queue, &req, TIMEOUT_MS) < 0)
		return complain(job->queue.dev_path, wd_last_error());
	if (req.status != WD_SEC_OK)
		return complain(job->queue.dev_path, wd_sec_status_text(req.status));
	next_iv(job, length);
	return 0;
}

/* PKCS 7: as many bytes as are missing, each with that number; a whole block if none is. */
static size_t pad(struct job *job, size_t length)
{
	size_t missing = CIPHER_BLOCK - length % CIPHER_BLOCK;

	memset(job->memory->in + length, (int)missing, missing);
	return length + missing;
}

static int encrypt_all(struct job *job)
{
	ssize_t n;

	do {
		n = read_block(job);
		if (n < 0)
			return -1;

		size_t length = (size_t)n;

		if (n < BLOCK && padded(job))
			length = pad(job, length);
		if (length && (run(job, length) < 0 || write_all(job->memory->out, length) < 0))
			return -1;
	} while (n == BLOCK);
	return 0;
}

/* Write @length bytes of output, but keep the last block, since it may be padding. */
static int write_but_last(struct job *job, size_t length)
{
	if (job->holds && write_all(job->held, CIPHER_BLOCK) < 0)
		return -1;
	length -= CIPHER_BLOCK;
	memcpy(job->held, job->memory->out + length, CIPHER_BLOCK);
	job->holds = 1;
	return write_all(job->memory->out, length);
}

static int write_last(const struct job *job)
{
	unsigned missing = job->held[CIPHER_BLOCK - 1];
	int good = job->holds && missing && missing <= CIPHER_BLOCK;

	for (unsigned i = 0; good && i < missing; i++)
		good = job->held[CIPHER_BLOCK - 1 - i] == missing;
	if (!good)
		return complain("standard input", "bad padding: wrong key, or the end is missing");
	return write_all(job->held, CIPHER_BLOCK - missing);
}

static int decrypt_all(struct job *job)
{
	ssize_t n;

	do {
		n = read_block(job);
		if (n < 0)
			return -1;

		size_t length = (size_t)n;

		if (padded(job) && length % CIPHER_BLOCK)
			return complain("standard input", "not a whole number of blocks");
		if (!length)
			break;
		if (run(job, length) < 0)
			return -1;
		if ((padded(job) ? write_but_last(job, length)
				 : write_all(job->memory->out, length)) < 0)
			return -1;
	} while (n == BLOCK);
	return padded(job) ? write_last(job) : 0;
}

static int digit(char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *at = c ? strchr(digits, c >= 'A' && c <= 'F' ? c - 'A' + 'a' : c) : NULL;

	return at ? (int)(at - digits) : -1;
}

static int read_hex(const char *name, const char *text, unsigned char *to, size_t length)
{
	if (strlen(text) != 2 * length)
		return complain(name, "wrong number of hexadecimal digits");
	for (size_t i = 0; i < length; i++) {
		int high = digit(text[2 * i]), low = digit(text[2 * i + 1]);

		if (high < 0 || low < 0)
			return complain(name, "not hexadecimal");
		to[i] = (unsigned char)(high << 4 | low);
	}
	return 0;
}

static int set_up(struct job *job)
{
	size_t size = (sizeof(*job->memory) + 4095) & ~(size_t)4095;

	job->memory = aligned_alloc(4096, size);
	if (!job->memory)
		return complain("buffers", strerror(ENOMEM));
	if (read_hex("--key", job->key, job->memory->key, job->key_len) < 0)
		return -1;
	if (job->mode != WD_SEC_ECB && read_hex("--iv", job->iv, job->memory->iv, CIPHER_BLOCK) < 0)
		return -1;
	job->queue.capa.alg = "cipher";
	if (wd_request_queue(&job->queue) < 0)
		return complain("no accelerator", wd_last_error());
	if (wd_mem_share(&job->queue, job->memory, size, 0) < 0)
		return complain("buffers", wd_last_error());
	return 0;
}

static void tear_down(struct job *job)
{
	wd_release_queue(&job->queue);
	if (job->memory)
		explicit_bzero(job->memory, sizeof(*job->memory));
	free(job->memory);
}

static int usage(void)
{
	fprintf(stderr, "usage: wd_crypt [-d] [--alg NAME] --key HEX [--iv HEX] <in >out\n");
	return 2;
}

static int help(void)
{
	printf("Encrypt standard input on an accelerator\n"
	       "Usage: wd_crypt [OPTIONS] <in >out\n\n"
	       "Options:\n"
	       "  -h,--help                   Print this help message and exit\n"
	       "  -d                          decrypt\n"
	       "  --alg TEXT                  aes-256-cbc (default), aes-192-cbc, aes-128-cbc, "
	       "aes-256-ctr, aes-192-ctr, aes-128-ctr, aes-256-ecb, aes-192-ecb, aes-128-ecb\n"
	       "  --key TEXT                  the key, in hexadecimal\n"
	       "  --iv TEXT                   the IV, in hexadecimal; not for ecb\n");
	return fflush(stdout) ? complain("standard output", strerror(errno)) : 0;
}

static int find_algorithm(struct job *job)
{
	for (size_t i = 0; i < sizeof(algorithms) / sizeof(algorithms[0]); i++)
		if (!strcmp(job->alg, algorithms[i].name)) {
			job->mode = algorithms[i].mode;
			job->key_len = algorithms[i].key_len;
			return 0;
		}
	return -1;
}

static int parse(int argc, char **argv, struct job *job)
{
	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "-d"))
			job->decrypt = 1;
		else if (!strcmp(argv[i], "--alg") && i + 1 < argc)
			job->alg = argv[++i];
		else if (!strcmp(argv[i], "--key") && i + 1 < argc)
			job->key = argv[++i];
		else if (!strcmp(argv[i], "--iv") && i + 1 < argc)
			job->iv = argv[++i];
		else
			return -1;
	}
	if (find_algorithm(job) < 0 || !job->key)
		return -1;
	return !job->iv == (job->mode == WD_SEC_ECB) ? 0 : -1;
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
	struct job job = {.alg = "aes-256-cbc"};
	int error;

	if (argc == 2 && (!strcmp(argv[1], "-h") || !strcmp(argv[1], "--help")))
		return help() < 0 ? 1 : 0;
	if (parse(argc, argv, &job) < 0)
		return usage();
	if (check_standard() < 0)
		return 1;
	error = set_up(&job);
	if (!error)
		error = job.decrypt ? decrypt_all(&job) : encrypt_all(&job);
	tear_down(&job);
	return error ? 1 : 0;
}
