/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A kernel user of the crypto API, without the kernel's headers: <linux/...> names clash with those
 * of the C library. Results are those of the kernel functions (0 or -errno).
 */
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

struct acomp_req;
struct crypto_acomp;
struct crypto_wait;
struct device;
struct iommu_domain;
struct scatterlist;

namespace wd::hisitest
{

constexpr const char *kHisiDriver = "hisi-deflate-acomp", *kSoftwareDriver = "deflate-scomp";

/** True if an algorithm or driver of this name is registered and has passed its tests. */
bool hasAlgorithm(const char *name);

/** Holds the lock of a device of the PCI bus, as the kernel does while it calls the driver. */
class HeldDevice
{
public:
	explicit HeldDevice(const std::string &address);
	~HeldDevice();
	HeldDevice(const HeldDevice &) = delete;
	HeldDevice &operator=(const HeldDevice &) = delete;

private:
	struct device *device_;
};

/**
 * Hides the ring of a queue: a page in the device's own address space that the device cannot reach
 * until restore(). @context: the device's address of the queue's context, from
 * FaultyZip::lastContext().
 */
class HiddenRing
{
public:
	HiddenRing(const std::string &device, uint64_t context);
	~HiddenRing() { restore(); }
	/** Call it before the queue is given back. Any context of the kernel. */
	void restore();
	bool hidden() const { return domain_; }

private:
	iommu_domain *domain_ = nullptr;
	uint64_t page_ = 0, physical_ = 0;
};

/** A tfm. */
class Deflate
{
public:
	explicit Deflate(const char *name = "deflate", int node = -1);
	~Deflate();
	Deflate(const Deflate &) = delete;
	Deflate &operator=(const Deflate &) = delete;
	int error() const { return error_; }
	std::string driver() const;

private:
	friend class Job;
	crypto_acomp *tfm_ = nullptr;
	int error_ = 0;
};

enum class Way { Compress, Decompress };

/** A request that can be sent repeatedly. The caller owns the buffers. */
class Job
{
public:
	explicit Job(Deflate &deflate, bool backlog = true);
	~Job();
	Job(const Job &) = delete;
	Job &operator=(const Job &) = delete;

	/**
	 * Input of @slen bytes, output of @dlen bytes, both in pieces of @piece bytes (0: whole).
	 * Without an output buffer the driver allocates one. @return the result of the kernel
	 */
	int submit(Way way, const void *in, size_t slen, void *out, size_t dlen, size_t piece = 0);
	/** As submit(), with one list for input and output. */
	int submitInPlace(Way way, void *buffer, size_t length);
	/** The result, after submit() returned @submitted. */
	int wait(int submitted);
	/** submit() and wait(). */
	int run(Way way, const void *in, size_t slen, void *out, size_t dlen, size_t piece = 0);

	size_t produced() const;
	/** Output that the driver allocated. */
	std::vector<uint8_t> allocated() const;
	bool valid() const { return req_; }

	/** Calls of the callback since the last submit(): with -EINPROGRESS, and with a result. */
	std::atomic<unsigned> begun{0}, done{0};
	/** Called in the completion, if set. */
	std::function<void()> notify;

private:
	friend struct JobCallback;
	std::vector<scatterlist> list(const void *buffer, size_t length, size_t piece) const;

	bool backlog_;
	acomp_req *req_;
	crypto_wait *wait_;
	std::vector<scatterlist> src_, dst_;
};

} // namespace wd::hisitest
