// SPDX-License-Identifier: Apache-2.0
#include "zip.h"

#include <errno.h>
#include <sched.h>
#include <string.h>
#include <time.h>

#define TIMEOUT_S 20

/* BAR2 */
#define AEQ_MASK 0x4
#define EQ_MASK 0xc
#define MAILBOX 0x300
#define MAILBOX_BUSY (1u << 13)
#define MAILBOX_QUERY (1u << 14)
#define MAILBOX_STATUS(word) ((word) >> 9 & 0xf)
#define DOORBELL_QUEUE 0x1000
#define DOORBELL_EVENTS 0x2000
#define START_INIT 0x100040
#define INIT_DONE 0x100044
#define VFT_EXECUTE 0x100054
#define VFT_READ 0x100058
#define VFT_TYPE 0x10005c
#define VFT_FUNCTION 0x100060
#define VFT_LOW 0x100064
#define VFT_HIGH 0x100068
#define VFT_READY 0x10006c

enum command {
	COMMAND_SQC = 0,
	COMMAND_CQC = 1,
	COMMAND_EQC = 2,
	COMMAND_AEQC = 3,
};

/* Offsets in zip.memory. */
#define AT_CONTEXT 0x0000
#define AT_CQ 0x1000
#define AT_EQ 0x2000  /* 2048 entries of 4 bytes */
#define AT_AEQ 0x4000 /* 1024 entries of 4 bytes */
#define AT_SQ 0x8000
#define DEPTH 64u
#define SQ_PASID_ENABLE (1u << 7)
#define EQ_DEPTH 2048u
#define AEQ_DEPTH 1024u

static uint32_t get(const struct zip *zip, uint32_t offset)
{
	return zip->registers.read(zip->registers.context, offset);
}

static void put(const struct zip *zip, uint32_t offset, uint32_t value)
{
	zip->registers.write(zip->registers.context, offset, value, sizeof(value));
}

/* Make stores to memory visible before the device gets the doorbell. */
static void ring(const struct zip *zip, uint32_t offset, uint64_t value)
{
	__sync_synchronize();
	zip->registers.write(zip->registers.context, offset, value, sizeof(value));
}

static bool in_time(const struct timespec *since)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	sched_yield();
	return now.tv_sec - since->tv_sec < TIMEOUT_S;
}

/* Wait until the bits of @mask in the register are @wanted. */
static int wait_register(const struct zip *zip, uint32_t offset, uint32_t mask, uint32_t wanted)
{
	struct timespec begin;
	uint32_t value;

	clock_gettime(CLOCK_MONOTONIC, &begin);
	while (((value = get(zip, offset)) & mask) != wanted) {
		if (value == UINT32_MAX)
			return -ENODEV; /* all ones: the function is gone */
		if (!in_time(&begin))
			return -ETIMEDOUT;
	}
	return 0;
}

static int mailbox(const struct zip *zip, uint32_t command, uint64_t iova)
{
	int ret;

	__sync_synchronize();
	put(zip, MAILBOX + 4, (uint32_t)iova);
	put(zip, MAILBOX + 8, (uint32_t)(iova >> 32));
	put(zip, MAILBOX, command | MAILBOX_BUSY);
	put(zip, MAILBOX + 12, 0);
	ret = wait_register(zip, MAILBOX, MAILBOX_BUSY, 0);
	if (ret)
		return ret;
	return MAILBOX_STATUS(get(zip, MAILBOX)) ? -EIO : 0;
}

static int load(const struct zip *zip, enum command command, const uint32_t context[8])
{
	memcpy(zip->memory + AT_CONTEXT, context, 32);
	return mailbox(zip, command, zip->iova + AT_CONTEXT);
}

/* The function gets queue 0 only. Type 0 is for submission, 1 for completion queues. */
static int assign_queues(const struct zip *zip)
{
	for (uint32_t type = 0; type < 2; type++) {
		int ret;

		put(zip, VFT_READ, 0);
		put(zip, VFT_TYPE, type);
		put(zip, VFT_FUNCTION, 0);
		put(zip, VFT_LOW, type ? 1u << 28 : 0);
		put(zip, VFT_HIGH, type ? 0 : 1u << 12);
		put(zip, VFT_READY, 0);
		put(zip, VFT_EXECUTE, 1);
		ret = wait_register(zip, VFT_READY, 1, 1);
		if (ret)
			return ret;
	}
	return 0;
}

static int start_events(const struct zip *zip)
{
	const uint64_t eq = zip->iova + AT_EQ, aeq = zip->iova + AT_AEQ;
	const uint32_t events[8] = {
		0, (uint32_t)eq, (uint32_t)(eq >> 32), 0, 0, 0, 1u << 16 | (EQ_DEPTH - 1)};
	const uint32_t errors[8] = {
		0, (uint32_t)aeq, (uint32_t)(aeq >> 32), 0, 0, 0, 1u << 16 | (AEQ_DEPTH - 1)};
	int ret = load(zip, COMMAND_EQC, events);

	if (!ret)
		ret = load(zip, COMMAND_AEQC, errors);
	ring(zip, DOORBELL_EVENTS, 3u << 12);
	ring(zip, DOORBELL_EVENTS, 2u << 12);
	put(zip, EQ_MASK, 0);
	put(zip, AEQ_MASK, 0);
	return ret;
}

int zip_start(struct zip *zip, const struct zip_registers *registers, void *memory, uint64_t iova)
{
	int ret;

	*zip = (struct zip){.registers = *registers, .memory = memory, .iova = iova};
	memset(memory, 0, ZIP_MEMORY);
	put(zip, START_INIT, 1);
	ret = wait_register(zip, INIT_DONE, 1, 1);
	if (!ret)
		ret = assign_queues(zip);
	if (!ret)
		ret = start_events(zip);
	return ret;
}

void zip_context(const struct zip *zip, unsigned type, uint32_t context[8])
{
	const uint64_t sq = zip->iova + AT_SQ;

	memset(context, 0, 32);
	context[1] = (uint32_t)sq;
	context[2] = (uint32_t)(sq >> 32);
	context[3] = 7u << 12 | (DEPTH - 1);
	context[6] = (type << 8 | 0x10) << 16;
}

int zip_queue(struct zip *zip, unsigned type)
{
	return zip_queue_at(zip, type, 0);
}

int zip_queue_at(struct zip *zip, unsigned type, uint16_t pasid)
{
	const uint64_t cq = zip->iova + AT_CQ;
	const uint32_t completions[8] = {
		0, (uint32_t)cq, (uint32_t)(cq >> 32), 4u << 12 | (DEPTH - 1), 0, 0, 3};
	uint32_t context[8];
	int ret;

	memset(zip->memory + AT_CQ, 0, DEPTH * 16);
	zip_context(zip, type, context);
	if (pasid)
		context[5] = pasid | SQ_PASID_ENABLE << 16;
	zip->tail = 0;
	zip->phase = true;
	ret = load(zip, COMMAND_SQC, context);
	return ret ? ret : load(zip, COMMAND_CQC, completions);
}

int zip_load(struct zip *zip, uint64_t iova)
{
	return mailbox(zip, COMMAND_SQC, iova);
}

int zip_dump(struct zip *zip, uint64_t iova)
{
	return mailbox(zip, COMMAND_SQC | MAILBOX_QUERY, iova);
}

static int wait_completion(const struct zip *zip, unsigned slot)
{
	const volatile uint16_t *word = (void *)(zip->memory + AT_CQ + slot * 16 + 14);
	struct timespec begin;

	clock_gettime(CLOCK_MONOTONIC, &begin);
	while ((*word & 1) != zip->phase)
		if (!in_time(&begin))
			return -ETIMEDOUT;
	__sync_synchronize();
	return 0;
}

unsigned zip_send(struct zip *zip, uint64_t in, uint32_t length, uint64_t out, uint32_t room)
{
	const unsigned slot = zip->tail;
	volatile uint32_t *sqe = (void *)(zip->memory + AT_SQ + slot * 128);

	for (unsigned i = 0; i < 32; i++)
		sqe[i] = 0;
	sqe[4] = length;
	sqe[7] = 3u << 28;     /* descriptor of type 3 */
	sqe[9] = 1 | 4u << 12; /* raw deflate, window of 32 KiB */
	sqe[14] = room;
	sqe[18] = (uint32_t)in;
	sqe[19] = (uint32_t)(in >> 32);
	sqe[20] = (uint32_t)out;
	sqe[21] = (uint32_t)(out >> 32);
	zip->tail = (slot + 1) % DEPTH;
	ring(zip, DOORBELL_QUEUE, (uint64_t)zip->tail << 32);
	return slot;
}

int zip_run(struct zip *zip, uint64_t in, uint32_t length, uint64_t out, uint32_t room)
{
	const unsigned slot = zip_send(zip, in, length, out, room);
	volatile uint32_t *sqe = (void *)(zip->memory + AT_SQ + slot * 128);
	int ret = wait_completion(zip, slot);

	if (!zip->tail)
		zip->phase = !zip->phase;
	ring(zip, DOORBELL_QUEUE, (uint64_t)zip->tail << 32 | 1u << 12);
	if (ret)
		return ret;
	return sqe[3] & 0xff ? -EIO : (int)sqe[1];
}
