// SPDX-License-Identifier: Apache-2.0
/* Users of queues: with an address space of /dev/iommu attached, and with their process's own. */
#include "helpers.h"

#include <cstring>

namespace wd::soak
{

namespace
{

/* The arena: text, then outputs. */
constexpr uint64_t kIova = 0x10000000, kOutputs = 64 << 10;
constexpr unsigned kAtOnce = 8;

bool mapArena(User &user, space &space)
{
	return !space_map(&space, user.arena, kOutputs, kIova) &&
	       !space_map(&space, user.arena + kOutputs, kArena - kOutputs, kIova + kOutputs);
}

/* Send requests without waiting for their results. */
void sendSome(queue &queue)
{
	const struct request request = {1, kIova, kIova + kOutputs, kSource, kDest, 0};

	for (unsigned i = 0; i < kAtOnce; i++)
		queue_send(&queue, &request);
}

bool attach(User &user, device &device, space &space, queue &queue)
{
	return !space_open(&device, &space) && mapArena(user, space) &&
	       !queue_ready(&device, &space, &queue, COMPRESS);
}

/* While requests run, replace the table by another one with the same mappings. */
bool replaceTable(User &user, space &space, queue &queue)
{
	const uint32_t ioas = space.ioas, hwpt = space.hwpt;

	sendSome(queue);
	return !table_ioas(&space, &space.ioas) && mapArena(user, space) &&
	       !space_hwpt(&space, &queue) && !queue_attach(&queue, space.hwpt, 0) &&
	       !table_destroy(&space, hwpt) && !table_destroy(&space, ioas);
}

/* Check that the device does not write unmapped memory. @return false if it could not be tried */
bool takeOutputsAway(User &user, space &space, queue &queue)
{
	uint8_t *outputs = user.arena + kOutputs;
	struct result result = {};

	sendSome(queue);
	if (space_unmap(&space, kIova + kOutputs, kArena - kOutputs))
		return false;
	std::memset(outputs, kUntouched, kDest);
	for (unsigned i = 0; i < kAtOnce && !queue_wait(&queue, &result, 100); i++)
		;
	if (!untouched(outputs, kDest))
		user.fail("the device wrote to memory that is unmapped");
	return !space_map(&space, outputs, kArena - kOutputs, kIova + kOutputs);
}

} // namespace

void liveWithAttachedQueue(User &user)
{
	auto device = anyDevice(user);
	space space = {};
	queue queue = {};

	text_fill(user.arena, kSource, static_cast<unsigned>(user.random()));
	if (!device || !attach(user, *device, space, queue))
		return;
	for (auto rounds = user.below(100); rounds && !user.stop; rounds--) {
		const auto outcome = compress(user, queue, kIova, kIova + kOutputs, user.arena,
					      user.arena + kOutputs,
					      1 + static_cast<unsigned>(user.below(kAtOnce)));

		if (outcome == Outcome::Gone)
			return;
		if (outcome == Outcome::Told || user.chance(5)) {
			if (queue_stop(&queue) || queue_start(&queue, COMPRESS))
				return;
		}
		if (user.chance(10) && (!takeOutputsAway(user, space, queue) ||
					queue_stop(&queue) || queue_start(&queue, COMPRESS)))
			return;
		if (user.chance(10) && (!replaceTable(user, space, queue) || queue_stop(&queue) ||
					queue_start(&queue, COMPRESS)))
			return;
		if (user.chance(5) &&
		    (queue_stop(&queue) || queue_detach(&queue) ||
		     queue_attach(&queue, space.hwpt, 0) || queue_start(&queue, COMPRESS)))
			return;
	}
	/* Half of the queues end with requests in flight. */
	if (user.chance(50))
		sendSome(queue);
}

void liveWithSharedQueue(User &user)
{
	auto device = anyDevice(user);
	const auto text = reinterpret_cast<uint64_t>(user.arena);
	queue queue = {};

	text_fill(user.arena, kSource, static_cast<unsigned>(user.random()));
	if (!device || sva_queue(&*device, &queue, COMPRESS))
		return;
	for (auto rounds = user.below(100); rounds && !user.stop; rounds--) {
		/* Some requests use memory that the process does not have. */
		const uint64_t source = user.chance(10) ? user.random() : text;
		const auto outcome = compress(user, queue, source, text + kOutputs, user.arena,
					      user.arena + kOutputs,
					      1 + static_cast<unsigned>(user.below(kAtOnce)));

		if (outcome == Outcome::Gone)
			return;
		if (outcome == Outcome::Told || user.chance(10)) {
			if (queue_stop(&queue) || queue_start(&queue, COMPRESS))
				return;
		}
	}
	if (user.chance(30))
		queue_close(&queue);
}

} // namespace wd::soak
