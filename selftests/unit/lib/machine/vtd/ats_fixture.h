/* SPDX-License-Identifier: Apache-2.0 */
/* A function with a device TLB and page requests, and the software for both. */
#pragma once

#include <memory>
#include <mutex>
#include <vector>

#include "machine/ats.h"
#include "vtd_fixture.h"

namespace wd::machine::test
{

constexpr unsigned kPqh = 0xc0, kPqt = 0xc8, kPqa = 0xd0, kPrs = 0xdc, kPectl = 0xe0;
constexpr uint32_t kPpr = 1, kPro = 2, kIce = 32, kIte = 64;
constexpr unsigned kEcapDt = 2, kEcapNwfs = 33, kEcapPds = 42, kEcapSms = 58;
constexpr unsigned kVectorFault = 0, kVectorPageRequest = 2;
constexpr unsigned kSuccess = 0, kInvalid = 1, kFailure = 15;

/* Descriptors (VT-d 6.5.2). @size: 0 is one page, n is 4 KiB << n. */
Descriptor deviceTlb(Rid rid, uint64_t address, unsigned size = 0);
Descriptor deviceTlbAll(Rid rid);
Descriptor pasidDeviceTlb(Rid rid, uint32_t pasid, uint64_t address, unsigned size = 0);
Descriptor pasidDeviceTlbAll(Rid rid, uint32_t pasid);
Descriptor deviceTlbEveryPasid(Rid rid);
Descriptor deviceTlbEveryPasid(Rid rid, uint64_t address, unsigned size = 0);
Descriptor groupResponse(const StreamId &stream, unsigned group, unsigned code);
Descriptor waitDrain(uint64_t address, uint32_t value);

/** A page request descriptor as software finds it. */
struct PageRequestDescriptor {
	StreamId stream;
	uint64_t address;
	bool read, write, last, privileged;
	unsigned group;
};

/** Records the answers. Any thread may call it. */
class Requester : public PageRequester
{
public:
	struct Answer {
		uint64_t token;
		PageResponse response;
	};
	void answered(uint64_t token, PageResponse response) noexcept override
	{
		std::lock_guard lock(mutex_);

		answers_.push_back({token, response});
	}
	std::vector<Answer> answers() const
	{
		std::lock_guard lock(mutex_);

		return answers_;
	}
	/** Expect that @response to @token is the only answer so far. */
	void expectOne(uint64_t token, PageResponse response) const;

private:
	mutable std::mutex mutex_;
	std::vector<Answer> answers_;
};

/** A function at @rid with ATS and PRI on. */
class TestDevice
{
public:
	explicit TestDevice(VtdBench &bench, Rid rid = kRid, uint32_t allocation = 64);
	~TestDevice();

	DmaResult read(const StreamId &stream, uint64_t address, uint64_t &value);
	DmaResult write(const StreamId &stream, uint64_t address, uint64_t value);
	DmaResult prepare(const StreamId &stream, uint64_t address, Access access, uint64_t token,
			  uint64_t length = 1)
	{
		return agent->prepare(stream, address, length, access, requester, token);
	}
	void send(const PageRequestMessage &message) { endpoint->sendRaw({message}); }

	uint16_t status = 0; /**< of the PRI capability */
	bool disabled = false;
	AtsSettings settings{true, true, 64};
	Requester requester;
	std::shared_ptr<AtsEndpoint> endpoint;
	std::unique_ptr<DmaAgent> agent;

private:
	VtdBench &bench_;
	Rid rid_;
};

class VtdAts : public VtdConformance
{
protected:
	void SetUp() override { useAts(VtdBench::e0()); }
	/** Start over, with a device at kRid and a queue of 2^order pages. */
	void useAts(const IommuCapabilities &capabilities, unsigned order = 0);
	TestDevice &device() { return *device_; }

	/** The unit's answer to AT=01. */
	TranslationCompletion ask(const StreamId &stream, uint64_t address, bool noWrite = true,
				  bool privileged = false);
	void expectEmpty(const StreamId &stream, uint64_t address, bool privileged = false);
	/** Expect UR or CA, and one record with AT=01. */
	void expectRefusal(FaultReason reason, TranslationCompletion::Status status,
			   const StreamId &stream, uint64_t address);
	void expectNoRecord();
	void expectOnlyRecord(FaultReason reason, unsigned at);

	/** Clear PPR and take the descriptors between head and tail. */
	std::vector<PageRequestDescriptor> requests();
	static PageRequestMessage message(const StreamId &stream, uint64_t address,
					  unsigned group = 0, bool last = true);

	static constexpr auto kOk = TranslationCompletion::Status::Success;
	static constexpr auto kUr = TranslationCompletion::Status::UnsupportedRequest;
	static constexpr auto kCa = TranslationCompletion::Status::CompleterAbort;

	uint64_t ring_ = 0, ringSize_ = 0;

	void TearDown() override { device_.reset(); }

private:
	std::unique_ptr<TestDevice> device_;
};

} // namespace wd::machine::test
