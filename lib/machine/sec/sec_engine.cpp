// SPDX-License-Identifier: Apache-2.0
/*
 * A request in three phases, as one of the ZIP (zip_engine.cpp): copy in, compute, copy out. Only
 * the copies hold a DMA burst. Missing pages are requested before the first.
 */
#include "sec/sec_engine.h"

#include <new>

#include <openssl/crypto.h>

#include "sec/crypto.h"

namespace wd::machine::sec
{

namespace
{

using zip::BufferList;
using zip::DataPort;

/* Lengths have 24 bits, and the offset 16. */
constexpr uint32_t kMaxLength = 0xffffff, kMaxSource = kMaxLength + 0xffff;

/* How often a request starts again because a page has gone. After that it ends with a bus error. */
constexpr unsigned kMaxVanished = 16;

/* Word 28 (SEC-DONE-1): [0] done, [3:1] result of a check, [10:7] what was done, [23:16] error. */
constexpr uint32_t kDone = 1, kMatch = 1u << 1, kWrongTag = 2u << 1;
constexpr uint32_t kDidDigest = 1u << 7, kDidCipher = 2u << 7, kDidAead = 3u << 7;
constexpr unsigned kErrorShift = 16;

Error errorOf(zip::Status status)
{
	switch (status) {
	case zip::kStatusOk:
		return kOk;
	case zip::kStatusMalformed:
		return kBadList;
	case zip::kStatusParked:
		return kParked;
	case zip::kStatusVanished:
		return kVanished;
	default:
		return kBusError;
	}
}

uint32_t doneWord(const Job &job, Error error)
{
	if (error == kMismatch)
		return kDone | kDidAead | kWrongTag;
	if (error != kOk)
		return kDone | error << kErrorShift;
	switch (job.work) {
	case Work::Nothing:
		return kDone;
	case Work::Digest:
		return kDone | kDidDigest;
	case Work::Cipher:
		return kDone | kDidCipher;
	case Work::Aead:
		break;
	}
	return kDone | kDidAead | (job.encrypt ? 0 : kMatch);
}

} // namespace

/** Buffers and contexts of one engine thread. Pages that are never used take no memory. */
class Workspace : public EngineLocal
{
public:
	Workspace() : memory_(new std::byte[size_t{kMaxSource} + kMaxLength])
	{
		source = {memory_.get(), kMaxSource};
		destination = {memory_.get() + kMaxSource, kMaxLength};
	}
	~Workspace() override { OPENSSL_cleanse(&secrets, sizeof(secrets)); }

	Crypto crypto;
	Secrets secrets{};
	BufferList from{kMaxSource}, to{kMaxSource};
	/** Flat memory: keys, IV, and the tag or digest. */
	BufferList key, iv, macKey, mac;
	std::span<std::byte> source, destination;

private:
	std::unique_ptr<std::byte[]> memory_;
};

namespace
{

Error listOne(const DataPort &port, BufferList &list, const Buffer &buffer, uint32_t skip,
	      uint32_t length)
{
	if (!buffer.list)
		return errorOf(list.setFlat(buffer.address + skip, length));
	const Error error = errorOf(list.readSgl(port, buffer.address, skip, length));

	return error == kOk && list.length() < length ? kBadList : error;
}

bool writesData(const Job &job)
{
	return job.work != Work::Digest;
}

bool readsMac(const Job &job)
{
	return job.work == Work::Aead && !job.encrypt;
}

/* SEC-BD-4, SEC-BD-5: find the memory of the request. */
Error list(const DataPort &port, Workspace &workspace, const Job &job)
{
	Error error = listOne(port, workspace.from, job.source, 0, job.sourceBytes());
	const std::pair<BufferList *, std::pair<uint64_t, unsigned>> small[] = {
		{&workspace.key, {job.key, job.keyBytes}},
		{&workspace.iv, {job.iv, job.ivBytes}},
		{&workspace.macKey, {job.macKey, job.macKeyBytes}},
		{&workspace.mac, {job.mac, job.macBytes}}};

	if (error == kOk)
		error = listOne(port, workspace.to, job.destination, job.associated,
				writesData(job) ? job.length : 0);
	for (const auto &[each, place] : small)
		if (error == kOk)
			error = errorOf(each->setFlat(place.first, place.second));
	return error;
}

/* SEC-BD-6: nothing is accessed that has no bytes. */
Error prepareOne(const DataPort &port, const BufferList &buffer, Access access)
{
	return buffer.length() ? errorOf(buffer.prepare(port, access)) : kOk;
}

Error prepare(const DataPort &port, const Workspace &workspace, const Job &job)
{
	for (const BufferList *each :
	     {&workspace.from, &workspace.key, &workspace.iv, &workspace.macKey}) {
		const Error error = prepareOne(port, *each, Access::Read);

		if (error != kOk)
			return error;
	}
	const Error error = prepareOne(port, workspace.to, Access::Write);

	if (error != kOk)
		return error;
	return prepareOne(port, workspace.mac, readsMac(job) ? Access::Read : Access::Write);
}

Error gather(const DataPort &port, Workspace &workspace, const Job &job)
{
	Secrets &secrets = workspace.secrets;
	const std::pair<const BufferList *, std::span<std::byte>> parts[] = {
		{&workspace.from, workspace.source.first(job.sourceBytes())},
		{&workspace.key, std::span(secrets.key).first(job.keyBytes)},
		{&workspace.iv, std::span(secrets.iv).first(job.ivBytes)},
		{&workspace.macKey, std::span(secrets.macKey).first(job.macKeyBytes)},
		{&workspace.mac, std::span(secrets.mac).first(readsMac(job) ? job.macBytes : 0)}};

	for (const auto &[each, to] : parts) {
		const Error error = errorOf(each->gather(port, to));

		if (error != kOk)
			return error;
	}
	return kOk;
}

/* SEC-BD-7: the device writes the result and the tag, and no other byte. */
Error scatter(const DataPort &port, Workspace &workspace, const Job &job)
{
	if (writesData(job)) {
		const Error error = errorOf(
			workspace.to.scatter(port, workspace.destination.first(job.length)));

		if (error != kOk)
			return error;
	}
	if (readsMac(job))
		return kOk;
	return errorOf(
		workspace.mac.scatter(port, std::span(workspace.secrets.mac).first(job.macBytes)));
}

} // namespace

/*
 * A device does not depend on the OpenSSL configuration of the machine that it is modelled on. And
 * reading it on an engine thread leaks what OpenSSL keeps for that thread.
 */
SecEngine::SecEngine(unsigned classes) : classes_(classes)
{
	OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, nullptr);
}

Error SecEngine::attempt(Task &task, Workspace &workspace, Job &job) const
{
	/* SEC-BD-8 */
	Error error = task.type ? kUnsupported : decode(task.words, classes_, job);

	if (error != kOk || job.work == Work::Nothing)
		return error;
	if (task.refused)
		return kBusError;
	const DataPort port(task);

	error = list(port, workspace, job);
	if (error == kOk)
		error = prepare(port, workspace, job);
	if (error == kOk) {
		DmaBurst burst(task.agent);

		error = gather(port, workspace, job);
	}
	if (error == kOk)
		error = workspace.crypto.run(job, workspace.source.first(job.sourceBytes()),
					     workspace.destination, workspace.secrets);
	if (error != kOk)
		return error;
	DmaBurst burst(task.agent);

	return scatter(port, workspace, job);
}

/* SEC-DONE-1: only word 28 changes. */
bool SecEngine::execute(Task &task) noexcept
{
	Job job;
	Error error;

	try {
		error = attempt(task, task.thread.local<Workspace>(), job);
	} catch (const std::bad_alloc &) {
		error = kNoMemory;
	}
	if (error == kVanished) {
		if (task.vanished++ < kMaxVanished) {
			task.pages.answered(task.token, PageResponse::Success);
			return false;
		}
		error = kBusError;
	}
	if (error == kParked)
		return false;
	task.words[kWordDone] = doneWord(job, error);
	return true;
}

void SecEngine::abandon(Task &task) noexcept
{
	task.words[kWordDone] = doneWord({}, kStopped);
}

} // namespace wd::machine::sec
